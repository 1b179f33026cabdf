"""`resurgam explain ALERT|SERVICE`: why it is as it is, what would be done, what stands in the way.

In: /v1/explain. Out: a sentence and what it rests on, or the document itself.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.facts import Json

_MOST_ROWS = 10
_MOST_LINES = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain."""
    parser.add_argument("word", metavar="ALERT|SERVICE", help="an alert's name, or a service")


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
    for rule in document["rules"]:
        _rule(rule, output)
    for alert in document["alerts"]:
        labels = ", ".join(f"{key}={value}" for key, value in alert["labels"].items() if key != "alertname")
        output.line(f"  alert {alert['labels']['alertname']} {alert['status']}, value {alert['value']}: {labels}")
    for incident in document["incidents"]:
        output.line(
            f"  incident {incident['id']} {incident['state']}: {incident['title']} {incident['cause']}".rstrip()
        )
    for plan in document["plans"]:
        output.line(f"  plan {plan['id']} {plan['verb']}: {plan['waiting'] or plan['phase']}")
    if document["evidence"]:
        _last_words(document["evidence"], output)
    for decision in document["decisions"][:10]:
        said = "yes" if decision["allowed"] else f"no, {decision['reason']}"
        output.line(f"  {decision['at']} {decision['verb']} by {decision['by']}: {said}: {decision['text']}")


def _last_words(event: Json, output: Output) -> None:
    """The last lines that a container logged before it died."""
    output.line(f"  last log lines before it died, {event['at']}; all of them: resurgam show seq:{event['seq']}")
    for text in event["body"].get("log", [])[-_MOST_LINES:]:
        output.line(f"    | {text}")


def _rule(rule: Json, output: Output) -> None:
    """A rule with the parts of its expression, and what each gives now."""
    output.line(f"  rule {rule['rule']}")
    for said in (rule.get("error"), rule.get("waits")):
        if said:
            output.line(f"    {said}", "yellow")
    for part in rule["parts"]:
        rows = part["rows"]
        output.line(f"    {part['expr']}" + ("" if rows or part.get("error") else "  gives nothing"))
        if part.get("error"):
            output.line(f"      {part['error']}", "red")
        for row in rows[:_MOST_ROWS]:
            labels = ", ".join(f"{key}={value}" for key, value in row["labels"].items() if key != "__name__")
            output.line(f"      {row['value']}" + (f"  {{{labels}}}" if labels else ""))
        if len(rows) > _MOST_ROWS:
            output.line(f"      … and {len(rows) - _MOST_ROWS} more")
