"""`resurgam release SERVICE | --all`: give back the restart policies we took, before Resurgam is removed.

In: one service, or all. Out: what was given back, the commands that are left for a person, and what of ours stays.
Nothing is removed.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.output import Output


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("service", nargs="?", default="", metavar="SERVICE", help="one service")
    which.add_argument("--all", action="store_true", help="every service")


def run(args: argparse.Namespace) -> int:
    """Ask for it."""
    answer = Client.of(args).command("release", "*" if args.all else args.service, {})
    return Output(args.output).decided(answer)
