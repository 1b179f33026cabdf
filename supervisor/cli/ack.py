"""`resurgam ack INCIDENT|SERVICE`: I take this one on. Everybody sees who did; actions and messages go on.

In: an open incident's id (`resurgam status` and `resurgam events` name them) or the service it is about. Out: one
sentence.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.errors import Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and why."""
    parser.add_argument("incident", metavar="INCIDENT|SERVICE", help="like inc-3, or the service it is about")
    parser.add_argument("--reason", default="", help="what you know, for whoever looks next")


def run(args: argparse.Namespace) -> int:
    """Say it."""
    answer = Client.of(args).command("ack", args.incident, {"reason": args.reason} if args.reason else {})
    output, decision = Output(args.output), answer["decision"]
    if not output.for_people:
        output.document(answer)
    if not decision["allowed"]:
        raise Refused(decision["reason"], decision["text"])
    if output.for_people:
        output.line(decision["text"])
    return 0
