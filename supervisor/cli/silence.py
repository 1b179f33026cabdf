"""`resurgam silence MATCHER… --for 2h`: no messages about alerts that match, for a while. Actions go on.

In: Alertmanager's matchers, for how long and why; nothing at all to list what holds; `--end ID` to end one. Out: one
sentence, or the list.
"""

import argparse

from supervisor.cli.client import Client
from supervisor.cli.output import Output, local
from supervisor.errors import UsageError
from supervisor.facts import Json


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, for how long, why."""
    text = 'Alertmanager\'s matchers, like name="oracle" or severity=~"info|warning"; all must hold'
    parser.add_argument("matchers", nargs="*", metavar="MATCHER", help=text)
    parser.add_argument("--for", dest="duration", default="", metavar="DURATION", help="like 2h; at most 90d")
    parser.add_argument("--reason", default="", help="why, for whoever looks next")
    parser.add_argument("--end", default="", metavar="ID", help="end this one, like si-2")


def run(args: argparse.Namespace) -> int:
    """Make one, end one, or list them."""
    client, output = Client.of(args), Output(args.output)
    if not args.matchers and not args.end:
        if args.duration or args.reason:
            raise UsageError("say what to silence: resurgam silence 'name=\"oracle\"' --for 2h")
        return _list(client.get("status")["silences"], output)
    if args.end and (args.matchers or args.duration):
        raise UsageError("--end takes the id of a silence and nothing else")
    if args.matchers and not args.duration:
        raise UsageError("say for how long: --for 2h")
    given = {"for": args.duration, "reason": args.reason, "end": args.end}
    answer = client.command("silence", "\n".join(args.matchers), {name: word for name, word in given.items() if word})
    return output.decided(answer)


def _list(silences: list[Json], output: Output) -> int:
    if not output.for_people:
        output.document({"silences": silences})
    elif not silences:
        output.line("nothing is silenced")
    else:
        rows = [
            (one["id"], ", ".join(one["matchers"]), one["muted"], local(one["ends_at"]), one["by"], one["why"] or "-")
            for one in silences
        ]
        output.table(("silence", "matches", "mutes", "ends", "by", "why"), rows)
    return 0
