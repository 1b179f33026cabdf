"""`resurgam explain ALERT|SERVICE|SLOT`: why it is as it is, what would be done, what stands in the way.

In: /v1/explain. Out: a sentence and what it rests on (`reasons.py` prints rules), or the document itself.
"""

import argparse

from supervisor.cli import status_slots
from supervisor.cli.client import Client
from supervisor.cli.output import Output, local
from supervisor.cli.plan import at_step
from supervisor.cli.reasons import print_rule, show_value
from supervisor.facts import Json
from supervisor.units import speaker

PROBED = {
    "well": "answered well",
    "asleep": "found its model put away",
    "failing": "fails",
    "failed": "failed",
    "broken": "cannot be asked",
}
_MOST_ALERTS = 10
_MOST_LINES = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain."""
    parser.add_argument(
        "word", metavar="ALERT|SERVICE|SLOT", help="the name of an alert or of a recording rule, a service, or a slot"
    )


def run(args: argparse.Namespace) -> int:
    """Print the explanation."""
    document = Client.of(args).get("explain", args.word)
    output = Output(args.output)
    if output.for_people:
        _print(document, output)
    else:
        output.document(document)
    return 0


def _print(document: Json, output: Output) -> None:
    output.line(document["sentence"], "bold")
    for text, colour in watched(document):
        output.line(f"  {text}", colour)
    for text, colour in status_slots.lines({"slots": document.get("slots", ()), "at": document["at"]}):
        output.line(f"  {text}", colour)
    for rule in document["rules"]:
        print_rule(rule, output)
    if document.get("rules_left_out"):
        output.line(f"  … and {document['rules_left_out']} more rules of that name")
    for alert in document["alerts"][:_MOST_ALERTS]:
        labels = ", ".join(f"{key}={value}" for key, value in alert["labels"].items() if key != "alertname")
        output.line(
            f"  alert {alert['labels']['alertname']} {alert['status']}, value {show_value(alert['value'])}"
            + (f": {labels}" if labels else "")
        )
    if len(document["alerts"]) > _MOST_ALERTS:
        output.line(f"  … and {len(document['alerts']) - _MOST_ALERTS} more alerts; all of them: -o json")
    for incident in document["incidents"]:
        cause = f"; {incident['cause']}" if incident["cause"] else ""
        output.line(f"  incident {incident['id']} {incident['state']}: {incident['title']}{cause}")
    for plan in document["plans"]:
        output.line(f"  plan {plan['id']} {plan['verb']}: {plan['waiting'] or at_step(plan)}")
    if document["evidence"]:
        _last_words(document["evidence"], output)
    for decision in document["decisions"][:10]:
        said = "yes" if decision["allowed"] else f"no, {decision['reason']}"
        output.line(f"  {local(decision['at'])} {decision['verb']} by {decision['by']}: {said}: {decision['text']}")


def watched(document: Json) -> list[tuple[str, str]]:
    """(line, colour): how the service answered its probe, and what it holds of which GPU."""
    found, probe, say = [], document["probe"], speaker(())
    if probe is not None and probe["state"] != "unknown":
        colour = {"failing": "red", "failed": "yellow", "broken": "yellow"}.get(probe["state"], "")
        rate = f", {probe['rate']:g} tokens a second" if probe["rate"] else ""
        said = f": {probe['text']}" if probe["text"] else ""
        how = f"{PROBED[probe['state']]} at {local(probe['at'])}, in {probe['seconds']:g} s{rate}{said}"
        found.append((f"probe {probe['address'] or 'probe-exec'} {how}", colour))
    for card in document["gpus"]:
        named = f"GPU {card['gpu']}" + (f" ({card['name']})" if card["name"] else "")
        found.append((f"holds {say(float(card['used']))} of {say(float(card['total']))} of {named}", ""))
    return found


def _last_words(event: Json, output: Output) -> None:
    """The last lines that a container logged before it died."""
    output.line(f"  last log lines before it died, {local(event['at'])}; all of them: resurgam show seq:{event['seq']}")
    for text in event["body"].get("log", [])[-_MOST_LINES:]:
        output.line(f"    | {text}")
