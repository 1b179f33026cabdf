"""The memory part of `resurgam status`: what there is, what is planned, until when it lasts, and who takes what.

In: the documents of host and services, as views/memory.py makes them. Out: lines and rows for `cli/status.py`. Made for
80 columns: what matters stands in front, and a narrow terminal leaves out what can be done without.
"""

from collections.abc import Sequence

from supervisor.cli.output import counted, local
from supervisor.facts import Json
from supervisor.units import show_duration, show_size

NARROW = 90
"""columns below which the growth has no column of its own"""
IN_SWAP = 3
"""services that are named"""
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
    found = [(_said(budget), "red")] if budget["at_risk"] else []
    found.append((_total(host, budget), ""))
    found.append((f"        {_left(budget)}", ""))
    found.append(_swap(document))
    if budget["nodes"]:
        nodes = [f"{one['node']}: {show_size(one['free'])} of {show_size(one['total'])}" for one in budget["nodes"]]
        found.append((f"nodes   free: {', '.join(nodes)}", ""))
    return found


def table(services: Sequence[Json], width: int = 0) -> tuple[tuple[str, ...], list[tuple[object, ...]], str]:
    """(heads, rows, a line about those that are left out) of the services there is something to say about. `width`:
    columns of the terminal; 0 for as many as it takes."""
    known = [one for one in services if one.get("budget") is not None]
    shown = [one for one in known if _worth_a_row(one["budget"])]
    narrow = bool(width) and width < NARROW
    heads = ("service", "plan", "uses", "left") + (() if narrow else ("grows",)) + ("memory note",)
    rows = [_row(one["service"], one["budget"], narrow) for one in shown]
    rest = [float(one["budget"]["used"] or 0) for one in known if not _worth_a_row(one["budget"])]
    used = 0.0
    for size in rest:
        used += size
    others = f"{counted(len(rest), 'service')} without a plan: {show_size(used)}" if rest and shown else ""
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
            parts.append(f"{name} {store['used'] * 100:.0f}% of {show_size(store['total'])}")
    return ", ".join(parts) or "memory not read yet"


def _said(budget: Json) -> str:
    """What runs out, when, and by whom."""
    what = [
        f"{'memory' if kind == 'ram' else kind} lasts {_time(budget['lasts'][kind])} more" for kind in budget["at_risk"]
    ]
    return f"! {' and '.join(what)}" + (f": {budget['text']}" if budget["text"] else "")


def _total(host: Json, budget: Json) -> str:
    used = host["memory"]["used"]
    share = "" if used is None else f"{used * 100:.0f}% of "
    room, kept = budget["headroom"], show_size(budget["reserve"])
    spare = f"{show_size(room)} may be planned" if room >= 0 else f"{show_size(-room)} too much"
    return f"memory  {share}{show_size(budget['total'])}; {kept} kept, {show_size(budget['planned'])} planned, {spare}"


def _left(budget: Json) -> str:
    lasts = budget["lasts"]["ram"]
    ends = "does not run out" if lasts is None else f"lasts {_time(lasts)} at this rate"
    free = f"{show_size(budget['available'])} available"
    if budget["effective"] >= 0:
        return f"{free}, {show_size(budget['effective'])} of it in no plan; {ends}"
    return f"{free}, {show_size(-budget['effective'])} less than plans still need; {ends}"


def _swap(document: Json) -> tuple[str, str]:
    swap, budget = document["host"]["budget"]["swap"], document["host"]["budget"]
    total, declared = swap["total"], swap["declared"]
    if not total and not declared:
        return "swap    none", "dim"
    if not total:
        return f"swap    none, and {show_size(declared)} are declared", "yellow"
    short = declared and total < declared * 0.95
    there = f"swap    {show_size(total)}" + (f" of {show_size(declared)} declared" if short else "")
    used = total - swap["free"]
    who = sorted(
        ((one["budget"]["swap"], one["service"]) for one in document["services"] if one.get("budget")), reverse=True
    )
    named = [f"{service} {show_size(size)}" for size, service in who[:IN_SWAP] if size >= FELT]
    text = there + (f"; {show_size(used)} used" if used >= FELT else "; not used")
    if named:
        text += f": {', '.join(named)}"
    if budget["lasts"]["swap"] is not None:
        text += f"; lasts {_time(budget['lasts']['swap'])} at this rate"
    return text, "yellow" if short else ""


def _worth_a_row(part: Json) -> bool:
    told = part["frozen"] or part["fuse"] or part["culprit"] or part["swap"] >= FELT
    return bool(part["plan"] is not None or told)


def _row(service: str, part: Json, narrow: bool) -> tuple[object, ...]:
    plan = "-" if part["plan"] is None else f"{show_size(part['plan'])} {part['source']}"
    if part["plan"] is None:
        left = "-"
    else:
        left = f"{show_size(part['over'])} over" if part["over"] else show_size(part["left"])
    grows = f"{show_size(part['growth'])}/s" if part["growth"] >= SLOW else "-"
    note = _note(part)
    if narrow:
        note = ", ".join(one for one in (f"grows {grows}" if grows != "-" else "", note) if one)
    uses = "-" if part["used"] is None else show_size(part["used"])
    return (service, plan, uses, left, *(() if narrow else (grows,)), note)


def _note(part: Json) -> str:
    found = ["takes the last memory"] if part["culprit"] else []
    found += ["loading"] if part["loading"] else []
    if part["frozen"]:
        found.append(f"frozen{_until(part['frozen_until'])}")
    if part["fuse"]:
        found.append(f"slowed down above {show_size(part['fuse'])}{_until(part['fuse_until'])}")
    found += [f"{show_size(part['swap'])} in swap"] if part["swap"] >= FELT else []
    return ", ".join(found)


def _until(then: str) -> str:
    clock = local(then).rpartition(" ")[2]
    return "" if clock == "-" else f" until {clock}"


def _time(seconds: object) -> str:
    return show_duration(float(seconds)) if isinstance(seconds, int | float) else "long"
