"""`resurgam approve ID` and `resurgam deny ID`: a person's word, where something waits for one.

In: the question's id (`ap-3`, as `resurgam status` lists them) or the service it is about. Out: what comes of it; a
plan that begins or goes on because of a yes is followed to its end, as by the commands that act.
"""

import argparse

from supervisor.cli import act
from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.errors import Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, and why."""
    parser.add_argument("id", metavar="ID|SERVICE", help="the question, like ap-3, or the service it is about")
    parser.add_argument("--reason", default="", help="why, for whoever looks next")
    if parser.prog.endswith("approve"):
        parser.add_argument("--no-follow", action="store_true", help="do not wait for the end of the plan")


def run(args: argparse.Namespace) -> int:
    """Say it, and follow what comes of it."""
    client, output = Client.of(args), Output(args.output)
    answer = client.command(args.command, args.id, {"reason": args.reason} if args.reason else {})
    decision, plan = answer["decision"], answer["plan"]
    if decision["allowed"] and args.command == "approve" and decision.get("rollout"):
        return act.rollout(client, answer, output, wait=not args.no_follow)
    follows = args.command == "approve" and plan and not args.no_follow
    if not output.for_people and not (decision["allowed"] and follows):
        output.document(answer)
    if not decision["allowed"]:
        raise Refused(decision["reason"], f"refused: {decision['text']}")
    if output.for_people:
        output.line(decision["text"])
    if not follows:
        return 0
    try:
        ended = act.follow(client, plan, output)
    except KeyboardInterrupt:
        output.line(f"plan {plan} goes on; `resurgam show {plan}` tells how it ends")
        return 130
    if not output.for_people:
        output.document(answer | {"outcome": ended})
    return 0 if ended["state"] == "verified" else 1
