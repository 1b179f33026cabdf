"""`resurgam show ID`: everything about one plan, incident, question or event.

In: /v1/show. Out: a heading and its timeline, or the document itself.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.events import Printer, worth_a_line
from supervisor.cli.output import Output, local
from supervisor.cli.status_slots import REPORT_HEADS, report_rows
from supervisor.facts import Json
from supervisor.units import short_image, show_duration

_ENDS = ("action.verified", "action.rolled_back", "action.degraded", "action.failed", "action.ended_early")
"""kinds that end a plan"""
_REPORTS = ("model.swapped", "model.no_go")
"""kinds with the GO/NO-GO report of a swap"""
_LOG_LINES = 5
_INNER = ("action.begin", "action.end", "incident.changed", "model.phase")
"""kinds that `show PLAN` and -o json tell"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    parser.add_argument("id", help="a plan's number, inc-3, ap-3, or plan:N, incident:ID, seq:N")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    found = Client.of(args).get("show", args.id)
    output = Output(args.output)
    if not output.for_people:
        output.document(found)
    elif found["kind"] == "plan":
        _plan(found["plan"], output)
    elif found["kind"] == "incident":
        _incident(found["incident"], output)
    elif found["kind"] == "rollout":
        _rollout(found["rollout"], output)
    elif found["kind"] == "approval":
        _approval(found["approval"], output)
    else:
        _row(found["row"], output)
    return 0


def _plan(plan: Json, output: Output) -> None:
    output.line(f"plan {plan['id']}: {plan['verb']} {plan['service']}, {plan['state']}", "bold")
    _facts(output, ("cause", plan["cause"]), ("by", plan["by"]), ("incident", plan["incident"]))
    _facts(output, *[(name, image_words(value)) for name, value in plan["params"].items() if value])
    _facts(output, ("waits", plan.get("waiting") or ""), ("limit", plan.get("limit_text") or ""))
    for step in plan.get("steps", []):
        if not step["back"] or step["state"] != "ahead":
            output.line(f"  {step['state']:<6}  {step['name']} ({step['phase']})")
    _events([event for event in plan["events"] if worth_a_line(event)], output)
    ends = [event["body"] for event in plan["events"] if event["kind"] in _ENDS]
    reports = [event["body"].get("report") for event in plan["events"] if event["kind"] in _REPORTS]
    if reports and isinstance(reports[-1], dict) and reports[-1].get("lines"):
        output.line()
        output.table(REPORT_HEADS, report_rows(reports[-1]))
    if ends:
        _proof(ends[-1], output)


def _proof(body: Json, output: Output) -> None:
    """What the end of a maneuver proves: from which image to which, how long each step took, what showed that it is
    well, what is left."""
    _facts(output, ("from", _image(body, "old")), ("to", _image(body, "new")), ("proof", str(body.get("proof") or "")))
    for name, probes in (("probes", body.get("probes")), ("old one", body.get("back_probes"))):
        _facts(output, (name, _probes(probes or {})))
    for name, key in (("away", "downtime"), ("load", "load_seconds")):
        _facts(output, (name, show_duration(float(body[key])) if body.get(key) else ""))
    steps = [f"{each['step']} {show_duration(float(each['seconds']))}" for each in body.get("steps") or ()]
    _facts(output, ("steps", ", ".join(steps)))
    backup = body.get("backup") or {}
    if backup:
        wrote = f", wrote {backup['file']}" if backup.get("file") else ""
        took = show_duration(float(backup.get("seconds") or 0.0))
        _facts(output, ("before", f"exit {backup.get('exit_code')} after {took}{wrote}"))
    _facts(output, ("left", ", ".join(body.get("left") or ())))
    failed = body.get("failed") or {}
    for title, log in (
        (f"{failed.get('name', '')} said", failed.get("log")),
        ("the old one said", body.get("old_log")),
    ):
        if log:
            output.line(f"  {title}")
            for text in log[-_LOG_LINES:]:
                output.line(f"    {text}")


def image_words(value: str) -> str:
    """An image id as people read it; anything else as it is."""
    return short_image(value) if value.startswith("sha256:") else value


def _image(body: Json, which: str) -> str:
    """`local/oracle:1 4d5c3a98f21b (registry/oracle@sha256:…)`."""
    ident, digest = str(body.get(f"{which}_image") or ""), str(body.get(f"{which}_digest") or "")
    words = [str(body.get(f"{which}_ref") or ""), short_image(ident), f"({digest})" if digest else ""]
    return " ".join(word for word in words if word)


def _probes(found: Json) -> str:
    asked = found.get("probe") or {}
    said = [f"{asked.get('kind', 'probe')} {asked.get('ok', 0)} ok, {asked.get('failed', 0)} failed"] if asked else []
    said += [f"broken: {asked['broken']}"] if asked.get("broken") else []
    said += [f"its own check cannot run: {found['check']}"] if found.get("check") else []
    said += [f"{found['rate']} tokens/s"] if found.get("rate") else []
    return "; ".join(said)


def _incident(incident: Json, output: Output) -> None:
    output.line(f"incident {incident['id']}: {incident['subject']}, {incident['state']}", "bold")
    _facts(output, ("title", incident["title"]), ("cause", incident["cause"]), ("acked", incident.get("acked", "")))
    _events([event for event in incident["events"] if event["kind"] not in _INNER], output)


def _rollout(rollout: Json, output: Output) -> None:
    output.line(f"rollout {rollout['id']}: {rollout['verb']} {rollout['target']}, {rollout['state']}", "bold")
    _facts(output, ("cause", rollout["cause"]), ("by", rollout["by"]), ("left", ", ".join(rollout["left"] or ())))
    for stage in rollout["stages"] or ():
        plan = f" (plan {stage['plan']})" if stage["plan"] else ""
        ahead = "ahead" if rollout["state"] == "open" else "not touched"
        output.line(f"  {stage['outcome'] or ahead:<12}  {stage['verb']} {stage['service']}{plan}")
    _events([event for event in rollout["events"] if event["kind"] not in _INNER], output)


def _approval(asked: Json, output: Output) -> None:
    output.line(f"{asked['id']}: {asked['verb']} {asked['service']}, {asked['state']}", "bold")
    plan = f"{asked['plan']}, step {asked['step']}" if asked["plan"] else ""
    _facts(output, ("by", asked["by"]), ("plan", plan), ("cause", asked["cause"]), ("incident", asked["incident"]))
    _facts(output, *[(name, value) for name, value in asked["params"].items() if value])
    _facts(output, ("lapses", local(asked["expires_at"]) if asked["state"] == "open" else ""))
    _events(asked["events"], output)


def _row(row: Json, output: Output) -> None:
    Printer(output).show(row)
    _facts(output, ("kind", row["kind"]), ("seq", str(row["seq"])))
    for name, value in row["body"].items():
        if name == "log" and isinstance(value, list):
            output.line("  log")
            for text in value:
                output.line(f"    {text}")
        elif value not in ("", None, [], {}):
            _facts(output, (name, str(value)))


def _facts(output: Output, *pairs: tuple[str, str]) -> None:
    for name, value in pairs:
        if value:
            output.line(f"  {name:<10} {value}")


def _events(events: list[Json], output: Output) -> None:
    printer = Printer(output)
    for event in events:
        printer.show(event)
