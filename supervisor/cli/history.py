"""`resurgam history`: what was done, and how it ended.

In: /v1/history. Out: a table, or the events themselves.
"""

import argparse
from datetime import datetime

from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.facts import Json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose history, and how much of it."""
    parser.add_argument("service", nargs="?", default="", help="of this service only")
    parser.add_argument("-n", "--limit", type=int, default=50, help="at most so many (default 50)")


def run(args: argparse.Namespace) -> int:
    """Print ended plans, newest last."""
    events = Client.of(args).get("history", service=args.service, limit=args.limit)["history"]
    output = Output(args.output)
    if not output.for_people:
        output.document(events)
    elif events:
        output.table(("when", "plan", "verb", "service", "outcome", "by", "text"), [_row(event) for event in events])
    else:
        output.line("nothing was done yet")
    return 0


def _row(event: Json) -> tuple[object, ...]:
    body = event["body"]
    when = datetime.fromtimestamp(event["time"]).strftime("%Y-%m-%d %H:%M:%S")
    outcome = event["kind"].partition(".")[2]
    return (
        when,
        body.get("plan") or "-",
        body.get("verb", ""),
        event["subject"],
        outcome,
        body.get("by", ""),
        body.get("text") or body.get("cause", ""),
    )
