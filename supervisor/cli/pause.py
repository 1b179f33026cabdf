"""`resurgam pause [SERVICE]` and `resurgam resume [SERVICE]`: start no new plan, for one service or the whole box.

In: the reason and for how long. Out: one sentence. Messages go on all the same.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.output import Output


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whom; for a pause also why and how long."""
    parser.add_argument("service", nargs="?", default="*", metavar="SERVICE", help="default: everything")
    if parser.prog.endswith("pause"):
        parser.add_argument("--for", dest="duration", default="", metavar="DURATION", help="like 2h (default: no end)")
        parser.add_argument("--reason", default="", help="why, for whoever looks next")


def run(args: argparse.Namespace) -> int:
    """Ask for it."""
    params = {}
    if args.command == "pause":
        params = {name: value for name, value in (("reason", args.reason), ("for", args.duration)) if value}
    answer = Client.of(args).command(args.command, args.service, params)
    return Output(args.output).decided(answer)
