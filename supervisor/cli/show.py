"""`resurgam show ID`: everything about one plan, incident or event.

In: /v1/show. Out: a heading and its timeline, or the document itself.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.events import Printer
from supervisor.cli.output import Output
from supervisor.facts import Json

_INNER = ("action.begin", "action.end", "incident.changed")
"""kinds that `show PLAN` and -o json tell"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    parser.add_argument("id", help="a plan's number, an incident's id, or plan:N, incident:ID, seq:N")


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
    else:
        _row(found["row"], output)
    return 0


def _plan(plan: Json, output: Output) -> None:
    output.line(f"plan {plan['id']}: {plan['verb']} {plan['service']}, {plan['state']}", "bold")
    _facts(output, ("cause", plan["cause"]), ("by", plan["by"]), ("incident", plan["incident"]))
    _facts(output, *[(name, value) for name, value in plan["params"].items() if value])
    if plan.get("waiting"):
        _facts(output, ("waits", plan["waiting"]))
    for step in plan.get("steps", []):
        if not step["back"] or step["state"] != "ahead":
            output.line(f"  {step['state']:<6}  {step['name']} ({step['phase']})")
    _events(plan["events"], output)


def _incident(incident: Json, output: Output) -> None:
    output.line(f"incident {incident['id']}: {incident['subject']}, {incident['state']}", "bold")
    _facts(output, ("title", incident["title"]), ("cause", incident["cause"]))
    _events([event for event in incident["events"] if event["kind"] not in _INNER], output)


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
