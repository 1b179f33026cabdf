"""`resurgam gpu [status | release | resume | forget CARD | drill XID]`: the cards, and what a person says about them.

In: the part `gpus` of /v1/status, and commands. Out: one line and a table per question. Exit 1 where something is
wrong with a card or with its driver.
"""

import argparse

from supervisor.cli import main
from supervisor.cli.client import Client
from supervisor.cli.output import Output, local
from supervisor.facts import Json
from supervisor.units import speaker

_NEVER = "0001"
ORPHANED, UNATTRIBUTED = 1 << 30, 2 << 30
"""bytes beyond which memory that nobody answers for is worth a line"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do; without a word, how they are."""
    words = parser.add_subparsers(dest="word", metavar="WHAT")

    def word(name: str, text: str) -> argparse.ArgumentParser:
        return words.add_parser(name, help=text, description=text, parents=[main.shared()])

    word("status", "how every card is (also without a word)")
    release = word("release", "let go of NVIDIA's driver, for a reset or another driver")
    release.add_argument("--for", dest="duration", default="", metavar="DURATION", help="like 30m (default: 10m)")
    word("resume", "ask the driver again, also after a fault that makes it hang")
    forget = word("forget", "a card that was taken out is expected no more")
    forget.add_argument("card", metavar="CARD", help="its index or UUID")
    drill = word("drill", "practise a fault: everything is decided and told, nothing is done")
    drill.add_argument("xid", metavar="XID", help="the number of the fault, like 79")
    drill.add_argument("--gpu", default="", metavar="CARD", help="an index or UUID (default: the first)")
    drill.add_argument("--service", default="", metavar="SERVICE", help="whose process it is to be")
    drill.add_argument("--for", dest="duration", default="", metavar="DURATION", help="like 5m (default: 2m)")


def run(args: argparse.Namespace) -> int:
    """Show, or ask for it."""
    client, output = Client.of(args), Output(args.output)
    if args.word in (None, "status"):
        document = client.get("status")["gpus"]
        if output.for_people:
            for text, colour in lines(document):
                output.line(text, colour)
            _tables(document, output)
        else:
            output.document(document or {})
        return 1 if troubled(document) else 0
    answer = client.command(f"gpu-{args.word}", _target(args), _params(args))
    return output.decided(answer)


def _target(args: argparse.Namespace) -> str:
    return args.card if args.word == "forget" else args.gpu if args.word == "drill" else ""


def _params(args: argparse.Namespace) -> dict[str, str]:
    said = {"for": getattr(args, "duration", ""), "xid": getattr(args, "xid", ""), "service": ""}
    if args.word == "drill":
        said["service"] = args.service
    return {name: value for name, value in said.items() if value}


# ------------------------------------------------------------ for people


def lines(document: Json | None) -> list[tuple[str, str]]:
    """(line, colour) of what is wrong, the worst in front; one line where all is well."""
    if document is None:
        return [("No GPU is in this machine, and no service asks for one.", "dim")]
    found = []
    if document["quiet"]:
        found.append((document["quiet"], "red"))
    elif not document["released_until"].startswith(_NEVER):
        found.append(
            (f"the driver is let go of until {local(document['released_until'])}: resurgam gpu resume", "yellow")
        )
    elif document["text"]:
        found.append((document["text"], "yellow"))
    if not document["drill_until"].startswith(_NEVER):
        found.append(
            (f"a fault is practised until {local(document['drill_until'])}: nothing that follows is done", "yellow")
        )
    found += [(wrong(card), "red") for card in document["cards"] if card["text"]]
    found += [(one["text"], "yellow" if one["drill"] else "red") for one in document["faults"]]
    found += _loose(document)
    return found or [(f"{_counted(document)}, driver {document['driver'] or 'unknown'}: nothing is wrong.", "")]


def wrong(card: Json) -> str:
    """What is wrong with a card, with its index in front."""
    named = f"GPU {card['gpu']}"
    return str(card["text"]) if card["text"].startswith(named) else f"{named}: {card['text']}"


def _loose(document: Json) -> list[tuple[str, str]]:
    """Memory that nobody answers for, where it is a lot (as GpuOrphanMemory and GpuUnattributedMemory have it)."""
    found = []
    for card in document["cards"]:
        memory = card["memory"] or {"orphaned": 0, "unattributed": 0}
        if memory["orphaned"] > ORPHANED:
            text = (
                f"GPU {card['gpu']}: {_size(memory['orphaned'])} are held by what is left of containers that are gone"
            )
            found.append((text, "yellow"))
        if memory["unattributed"] > UNATTRIBUTED:
            found.append((f"GPU {card['gpu']}: {_size(memory['unattributed'])} are in use, and by nobody", "yellow"))
    return found


def _counted(document: Json) -> str:
    there = [card for card in document["cards"] if card["present"]]
    return (
        f"{len(there)} of {document['expected']} GPUs"
        if len(there) != document["expected"]
        else f"{len(there)} GPU" + ("" if len(there) == 1 else "s")
    )


def _tables(document: Json | None, output: Output) -> None:
    if document is None or not document["cards"]:
        return
    output.line()
    output.table(("gpu", "card", "memory", "planned", "may be planned", "busy", "heat", "needs"), rows(document))
    used = [(card["gpu"], *user) for card in document["cards"] for user in _users(card)]
    if used:
        output.line()
        output.table(("gpu", "used by", "memory"), used)


def _users(card: Json) -> list[tuple[str, str]]:
    """(who, how much), also what nobody is known to hold."""
    loose = (card["memory"] or {}).get("unattributed", 0)
    found = [(one["name"], _size(one["used"]) if one["used"] else "-") for one in card["users"]]
    return found + ([("nobody that the driver names", _size(loose))] if loose else [])


def rows(document: Json) -> list[tuple[object, ...]]:
    """One row per card."""
    asked = document["trouble"] not in ("stopped", "asleep") and not document["quiet"]
    return [_row(card, "does not answer" if asked else "not asked") for card in document["cards"]]


def _row(card: Json, silent: str) -> tuple[object, ...]:
    memory, readings = card["memory"], card["readings"]
    state = "" if card["present"] and card["up"] else "gone" if not card["present"] else silent
    needs = card["recovery"].replace("_", " and ") if card["recovery"] not in ("", "none") else ""
    if memory is None:
        return card["gpu"], card["name"] or card["uuid"], state or "-", "-", "-", "-", "-", needs
    total = float(memory["total"])
    used = f"{_size(total - memory['free'])} of {_size(total)}"
    busy, heat = readings["utilization"], readings["temperature"]
    return (
        card["gpu"],
        card["name"],
        state or used,
        _size(memory["planned"]),
        _left(memory),
        "-" if busy is None else f"{busy:.0f}%",
        "-" if heat is None else f"{heat:.0f} °C",
        needs,
    )


def _left(memory: Json) -> str:
    """What a start may still plan with: what nobody answers for counts as taken."""
    left = float(memory["headroom"]) - float(memory["orphaned"]) - float(memory["unattributed"])
    return _size(left) if left >= 0 else f"{_size(-left)} too much"


def _size(size: float) -> str:
    return speaker(())(float(size))


def troubled(document: Json | None) -> list[str]:
    """What of the cards a person should look at."""
    if document is None:
        return []
    found = [f"GPU {card['gpu']}" for card in document["cards"] if card["text"]]
    found += [one["id"] for one in document["faults"] if not one["drill"]]
    return found + (
        ["the GPUs' driver"] if document["quiet"] or (document["text"] and document["trouble"] != "stopped") else []
    )
