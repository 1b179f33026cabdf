"""`resurgam ack INCIDENT|SERVICE`: I take this one on. Everybody sees who did; actions and messages go on.

In: an open incident's id (`resurgam status` and `resurgam events` name them) or the service it is about. Out: one
sentence.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.output import Output


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and why."""
    parser.add_argument("incident", metavar="INCIDENT|SERVICE", help="like inc-3, or the service it is about")
    parser.add_argument("--reason", default="", help="what you know, for whoever looks next")


def run(args: argparse.Namespace) -> int:
    """Say it."""
    answer = Client.of(args).command("ack", args.incident, {"reason": args.reason} if args.reason else {})
    return Output(args.output).decided(answer)
