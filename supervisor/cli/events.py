"""`resurgam events`: what happened, one line each; `-f` goes on as it happens.

In: /v1/events. Out: lines, JSON lines or YAML documents.
"""

import argparse
from datetime import datetime

from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.errors import DaemonAbsent
from supervisor.facts import Json
from supervisor.views.sentences import headline

COLOURS = {
    "alert.firing": "red",
    "alert.resolved": "green",
    "container.died": "red",
    "container.oom": "red",
    "action.verified": "green",
    "action.failed": "red",
    "action.degraded": "red",
    "action.refused": "yellow",
    "action.rolled_back": "yellow",
}
"""kind of event -> how its line is painted"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which events, and whether to go on."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on as it happens; Ctrl-C ends it")
    parser.add_argument("--after", metavar="SEQ", type=int, help="those after this one (default: the last ones)")
    parser.add_argument("-n", "--limit", type=int, default=50, help="at most so many of the past (default 50)")
    parser.add_argument("--service", default="", help="of one service (or host, or daemon)")
    parser.add_argument("--kind", default="", help="kinds by their beginning, with commas: alert,action.verified")
    parser.add_argument("--all", action="store_true", help="inner steps and decisions too")


def run(args: argparse.Namespace) -> int:
    """Print events."""
    client, output = Client.of(args), Output(args.output)
    query = {
        "after": args.after,
        "limit": args.limit,
        "subject": args.service,
        "kind": args.kind,
        "all": 1 if args.all else None,
    }
    printer = Printer(output)
    if args.follow:
        for event in client.stream("events", follow=1, **query):
            printer.show(event)
        raise DaemonAbsent("the daemon ended; nothing more will come from here")
    events = client.get("events", **query)["events"]
    if output.for_people:
        for event in events:
            printer.show(event)
    else:
        output.document(events)
    return 0


class Printer:
    """Event lines with local times, and the day where it changes."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._day = ""
        self._width = 8

    def show(self, event: Json) -> None:
        """One event."""
        if not self._output.for_people:
            self._output.item(event)
            return
        day = datetime.fromtimestamp(event["time"]).strftime("%A %Y-%m-%d")
        if day != self._day:
            self._output.line(f"-- {day}", "dim")
            self._day = day
        self._width = min(max(self._width, len(event["subject"])), 32)
        text = headline(event["time"], event["subject"], event["text"], None, self._width)
        self._output.line(text, COLOURS.get(event["kind"], ""))
