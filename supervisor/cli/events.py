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

_LAST = ("before", "probation", "verify", "back_verify")
"""steps that may take long"""
COLOURS = {
    "alert.firing": "red",
    "alert.resolved": "green",
    "container.died": "red",
    "container.oom": "red",
    "daemon.oom": "red",
    "action.verified": "green",
    "action.failed": "red",
    "action.degraded": "red",
    "action.refused": "yellow",
    "action.rolled_back": "yellow",
    "model.swapped": "green",
    "model.no_go": "yellow",
    "model.stand_in": "yellow",
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


def worth_a_line(event: Json) -> bool:
    """Whether a step's row tells a person something. What took a moment needs no line for its beginning and one for its
    end; what lasts is announced, since nothing else is heard until it is over. `show PLAN -o json` has them all."""
    body = event["body"]
    if event["kind"] == "model.phase":
        return False  # the plan's own steps say it
    if event["kind"] == "action.begin":
        return body.get("step") in _LAST
    if event["kind"] == "action.halt":
        return str(body.get("reason")) != "needs_approval"  # the question itself, the row before, says it all
    return event["kind"] != "action.end" or bool(body.get("text"))


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
        subject = _short(event["subject"])
        self._width = min(max(self._width, len(subject)), 32)
        text = headline(event["time"], subject, event["text"], None, self._width)
        self._output.line(text, COLOURS.get(event["kind"], ""))


def _short(subject: str) -> str:
    """A card by the beginning of its UUID, which tells the cards of one machine apart."""
    return subject[:16] if subject.startswith("gpu:GPU-") else subject
