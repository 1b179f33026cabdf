"""The memory part of `resurgam status`: what there is, what is planned, until when it lasts, and who takes what.

In: the documents of host and services, as views/memory.py makes them. Out: lines and rows for `cli/status.py`. Made for
80 columns: what matters stands in front, and a narrow terminal leaves out what can be done without. Sizes are written
as in every other sentence about memory (memory/words.py).
"""

from collections.abc import Sequence

from supervisor.cli.output import counted, local
from supervisor.facts import Json
from supervisor.units import Say, show_duration, speaker

NARROW = 90
"""columns below which the growth has no column of its own"""
IN_SWAP = 3
"""services that are named"""
SPREAD = 3
"""services whose spread over the NUMA nodes is told"""
FELT = 2**20
"""bytes in swap that are worth a word"""
SLOW = 1024.0
"""bytes per second of growth that are worth a word"""


def lines(document: Json) -> list[tuple[str, str]]:
    """(line, colour), the worst in front; one line where nothing is planned or known."""
    host = document["host"]
    budget = host.get("budget")
    if budget is None:
        return [(_plain(host), "dim")]
    say = speaking(document)
    found = [(_said(budget), "red")] if budget["at_risk"] else []
    found.append((_total(host, budget, say), ""))
    found.append((f"        {_left(budget, say)}", ""))
    found.append(_swap(document, say))
    if budget["nodes"]:
        nodes = [f"{one['node']}: {say(one['free'])} of {say(one['total'])}" for one in budget["nodes"]]
        found.append((f"nodes   free: {', '.join(nodes)}", ""))
        found += [(f"        {text}", "") for text in _spread(document["services"], say)]
    return found


def speaking(document: Json) -> Say:
    """How sizes are written beside what was declared."""
    parts = [one["budget"] for one in document["services"] if one.get("budget")]
    declared = [float(part["plan"]) for part in parts if part["source"] == "declared"]
    budget = document["host"].get("budget")
    return speaker((*declared, float(budget["swap"]["declared"])) if budget else declared)


def _spread(services: Sequence[Json], say: Say) -> list[str]:
    """How the largest of those with a plan are spread over the nodes, page cache counted in."""
    planned = [one for one in services if one.get("budget") and one["budget"]["plan"] and one["budget"]["nodes"]]
    planned.sort(key=lambda one: (-one["budget"]["plan"], one["service"]))
    return [
        f"{one['service']}: {', '.join(f'{node}: {say(size)}' for node, size in one['budget']['nodes'].items())}"
        for one in planned[:SPREAD]
    ]


def table(document: Json, width: int = 0) -> tuple[tuple[str, ...], list[tuple[object, ...]], str]:
    """(heads, rows, a line about those that are left out) of the services there is something to say about. `width`:
    columns of the terminal; 0 for as many as it takes."""
    say = speaking(document)
    known = [one for one in document["services"] if one.get("budget") is not None]
    shown = [one for one in known if _worth_a_row(one["budget"])]
    narrow = bool(width) and width < NARROW
    heads = ("service", "plan", "uses", "left") + (() if narrow else ("grows",)) + ("memory note",)
    rows = [_row(one, say, narrow) for one in shown]
    rest = [float(one["budget"]["used"] or 0) for one in known if not _worth_a_row(one["budget"]) and _lives(one)]
    used = 0.0
    for size in rest:
        used += size
    others = f"{counted(len(rest), 'more service')} without a plan: {say(used)}" if rest and shown else ""
    return heads, rows, others


def troubled(document: Json) -> list[str]:
    """What of the memory a person should look at."""
    budget = document["host"].get("budget") or {}
    return [f"{kind} runs out" for kind in budget.get("at_risk", ())]


def _plain(host: Json) -> str:
    parts = []
    for name in ("memory", "swap"):
        store = host[name]
        if isinstance(store["total"], int | float) and store["used"] is not None:
            parts.append(f"{name} {store['used'] * 100:.0f}% of {speaker(())(store['total'])}")
    return ", ".join(parts) or "memory not read yet"


def _said(budget: Json) -> str:
    """What runs out, when, and by whom."""
    if budget["text"]:
        return f"! {budget['text']}"
    what = []
    for kind in budget["at_risk"]:
        name, lasts = "memory" if kind == "ram" else kind, budget["lasts"][kind]
        what.append(f"{name} was about to run out" if lasts is None else f"{name} lasts {_time(lasts)} more")
    return f"! {' and '.join(what)}"


def _total(host: Json, budget: Json, say: Say) -> str:
    used = host["memory"]["used"]
    share = say(budget["total"]) if used is None else f"{used * 100:.0f}% of {say(budget['total'])} used"
    room = budget["headroom"]
    spare = f"{say(room)} may be planned" if room >= 0 else f"{say(-room)} too much"
    return f"memory  {share}; {say(budget['reserve'])} reserve, {say(budget['planned'])} planned, {spare}"


def _left(budget: Json, say: Say) -> str:
    lasts = budget["lasts"]["ram"]
    ends = "no end foreseen" if lasts is None else f"lasts {_time(lasts)} at this rate"
    free = f"{say(budget['available'])} available"
    if budget["effective"] >= 0:
        return f"{free}, {say(budget['effective'])} of it in no plan; {ends}"
    return f"{free}, {say(-budget['effective'])} less than plans still need; {ends}"


def _swap(document: Json, say: Say) -> tuple[str, str]:
    swap, budget = document["host"]["budget"]["swap"], document["host"]["budget"]
    total, declared = swap["total"], swap["declared"]
    if not total and not declared:
        return "swap    none", "dim"
    if not total:
        return f"swap    none, and {say(declared)} are declared", "yellow"
    short = declared and total < declared * 0.95
    there = f"swap    {say(total)}" + (f" of {say(declared)} declared" if short else "")
    used = total - swap["free"]
    who = sorted(
        ((one["budget"]["swap"], one["service"]) for one in document["services"] if one.get("budget")), reverse=True
    )
    named = [f"{service} {say(size)}" for size, service in who[:IN_SWAP] if size >= FELT]
    text = there + (f"; {say(used)} used" if used >= FELT else "; not used")
    if named:
        text += f": {', '.join(named)}"
    if budget["lasts"]["swap"] is not None:
        text += f"; lasts {_time(budget['lasts']['swap'])} at this rate"
    return text, "yellow" if short else ""


def _worth_a_row(part: Json) -> bool:
    told = part["frozen"] or part["fuse"] or part["culprit"] or part["swap"] >= FELT
    return bool(part["plan"] is not None or told)


def _lives(entry: Json) -> bool:
    return entry["state"] in ("running", "paused", "restarting")


def _row(entry: Json, say: Say, narrow: bool) -> tuple[object, ...]:
    part, lives = entry["budget"], _lives(entry)
    plan = "-" if part["plan"] is None else f"{say(part['plan'])} {part['source']}"
    if part["plan"] is None or part["used"] is None or not lives:
        left = "-"
    else:
        left = f"{say(part['over'])} over" if part["over"] else say(part["left"])
    grows = f"{say(part['growth'])}/s" if part["growth"] >= SLOW and lives else "-"
    note = _note(part, say)
    if narrow:
        note = ", ".join(one for one in (f"grows {grows}" if grows != "-" else "", note) if one)
    uses = "-" if part["used"] is None or not lives else say(part["used"])
    return (entry["service"], plan, uses, left, *(() if narrow else (grows,)), note)


def _note(part: Json, say: Say) -> str:
    found = ["takes the last memory"] if part["culprit"] else []
    found += ["loading"] if part["loading"] else []
    if part["frozen"]:
        found.append(f"frozen{_until(part['frozen_until'])}")
    if part["fuse"]:
        found.append(f"slowed down above {say(part['fuse'])}{_until(part['fuse_until'])}")
    found += [f"{say(part['swap'])} in swap"] if part["swap"] >= FELT else []
    return ", ".join(found)


def _until(then: str) -> str:
    clock = local(then).rpartition(" ")[2]
    return "" if clock == "-" else f" until {clock}"


def _time(seconds: object) -> str:
    return show_duration(float(seconds)) if isinstance(seconds, int | float) else "long"
