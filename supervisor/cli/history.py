"""`resurgam history`: what was done, and how it ended; `--benchmarks`: how fast models were.

In: /v1/history, /v1/benchmarks. Out: a table, or the events and measurements themselves.
"""

import argparse
from datetime import datetime

from supervisor.cli.client import Client
from supervisor.cli.output import Output, local
from supervisor.cli.status_slots import rate
from supervisor.facts import SLOT, Json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose history, and how much of it."""
    parser.add_argument("service", nargs="?", default="", help="of this service, slot or model only")
    parser.add_argument("--benchmarks", action="store_true", help="what models did when they were measured")
    parser.add_argument("-n", "--limit", type=int, default=50, help="at most so many (default 50)")


def run(args: argparse.Namespace) -> int:
    """Print ended plans, newest last."""
    client, output = Client.of(args), Output(args.output)
    if args.benchmarks:
        return _benchmarks(client, output, args.service, args.limit)
    events = _events(client, args.service, args.limit)
    if not output.for_people:
        output.document(events)
    elif events:
        output.table(("when", "plan", "verb", "service", "outcome", "by", "text"), [_row(event) for event in events])
    else:
        output.line("nothing was done yet")
    return 0


def _events(client: Client, word: str, limit: int) -> list[Json]:
    """The ends of plans about a service; of none by that name, those about the slot."""
    found: list[Json] = client.get("history", service=word, limit=limit)["history"]
    if word and not found:
        found = client.get("history", service=f"{SLOT}{word}", limit=limit)["history"]
    return found


def _benchmarks(client: Client, output: Output, word: str, limit: int) -> int:
    """Measurements, newest last; `word`: of this slot, else of this model."""
    slot = word.removeprefix(SLOT)
    found: list[Json] = client.get("benchmarks", slot=slot, limit=limit)["benchmarks"]
    if word and not found:
        found = client.get("benchmarks", model=word, limit=limit)["benchmarks"]
    if not output.for_people:
        output.document(found)
    elif found:
        heads = ("when", "slot", "model", "tok/s", "spread", "prompt tok/s", "first token", "runs", "canaries", "why")
        output.table(heads, [_bench(one) for one in found])
    else:
        output.line("nothing was measured yet; `resurgam bench SLOT` does")
    return 0


def _bench(one: Json) -> tuple[object, ...]:
    asked, failed = one["canaries"], len(one["failed"])
    return (
        local(one["at"]),
        one["slot"],
        one["model"],
        rate(one["rate"]),
        f"{one['spread'] * 100:.0f}%" if one["spread"] else "-",
        rate(one["prompt_rate"]),
        f"{one['first_token'] * 1000:.0f} ms" if one["first_token"] else "-",
        one["runs"],
        f"{asked - failed} of {asked} well" if asked else "-",
        one["reason"] + (f", plan {one['plan']}" if one["plan"] else ""),
    )


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
