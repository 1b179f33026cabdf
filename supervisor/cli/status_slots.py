"""The part of `resurgam status` about model slots: who holds each, what works on it, how the other models stand.

In: the part `slots` of /v1/status. Out: lines and rows for `cli/status.py`; the rows of a GO/NO-GO report, also for
`cli/swap.py`. Sizes are written as in every other sentence about memory.
"""

from collections.abc import Collection, Sequence

from supervisor.cli.output import ago, counted, local
from supervisor.facts import Json
from supervisor.units import show_duration, speaker

HEADS = ("slot", "model", "state", "tok/s", "in flight", "memory", "vram", "used", "note")
REPORT_HEADS = ("", "what", "found", "wanted")
NARROW = 90
"""columns below which sizes and the last use have no columns of their own"""
_NEVER = "0001"


def lines(document: Json) -> list[tuple[str, str]]:
    """(line, colour). A machine without slots has none."""
    now = str(document.get("now", document["at"]))
    return [line for slot in document.get("slots", ()) for line in _slot(slot, now)]


def _slot(slot: Json, now: str) -> list[tuple[str, str]]:
    """How one slot stands: who holds it; below, what is wrong, what works on it, and what is still armed."""
    found = [(f"slot    {slot['slot']}: {_holder(slot, now)}{_callers(slot)}", "" if slot["holder"] else "yellow")]
    below = "        "
    if slot["problem"]:
        found.append((f"{below}{slot['problem']}", "red" if not slot["holder"] else "yellow"))
    gate = slot["gate"]
    if gate is not None and not gate["listening"]:
        found.append((f"{below}its gate does not listen: {gate['text'] or 'nobody knows why'}", "red"))
    if slot["phase"]:
        ends = "" if _none(slot["expected"]) else f", expected to end at {_clock(slot['expected'])}"
        found.append((f"{below}plan {slot['plan']} is at {slot['phase']}{ends}", "yellow"))
    probation = slot["probation"]
    if probation is not None:
        armed = f"; {probation['before']} is armed to come back" if probation["before"] else ""
        found.append((f"{below}{probation['model']} is on probation until {local(probation['until'])}{armed}", ""))
    report = slot["report"]
    if report is not None and report["verdict"] == "NO-GO":
        found.append((f"{below}the last swap, {ago(report['at'], now)} ago: {report['text']}", "yellow"))
    return found


def _holder(slot: Json, now: str) -> str:
    if not slot["holder"]:
        return "nobody holds it"
    whose = f" (it stands in for {slot['first']})" if slot["stand_in"] else ""
    since = "" if _none(slot["since"]) else f" for {ago(slot['since'], now)}"
    return f"{slot['holder']} holds it{since}{whose}"


def _callers(slot: Json) -> str:
    """Where callers come to, and how many there are."""
    where, gate = slot["address"], slot["gate"]
    said = f", at {where}" if where else ""
    if gate is None or not gate["listening"]:
        return said
    busy = [f"{gate['held']} held"] if gate["held"] else []
    busy += [f"{gate['in_flight']} in flight"] if gate["in_flight"] else []
    return said + (f": {', '.join(busy)}" if busy else "")


def table(document: Json, width: int = 0) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """(heads, rows), one row per model. `width`: columns of the terminal; 0 for as many as it takes."""
    now = str(document.get("now", document["at"]))
    kept = [place for place, head in enumerate(HEADS) if not _narrow(width) or head not in ("memory", "vram", "used")]
    rows = [_model(slot, model, now) for slot in document.get("slots", ()) for model in slot["models"]]
    return tuple(HEADS[place] for place in kept), [tuple(row[place] for place in kept) for row in rows]


def _narrow(width: int) -> bool:
    return bool(width) and width < NARROW


def _model(slot: Json, model: Json, now: str) -> tuple[object, ...]:
    say, bench = speaker(()), model["bench"]
    mark = "* " if model["name"] == slot["holder"] else ""
    return (
        slot["slot"],
        mark + model["name"],
        model["state"],
        rate(bench["rate"] if bench is not None else 0.0),
        "?" if model["in_flight"] is None and model["state"] == "loaded" else model["in_flight"] or "-",
        say(float(model["memory"])) if model["memory"] else "-",
        say(float(model["vram"])) if model["vram"] else "-",
        "-" if _none(model["used_at"]) else f"{ago(model['used_at'], now)} ago",
        _note(slot, model),
    )


def _note(slot: Json, model: Json) -> str:
    found = ["first choice"] if model["name"] == slot["first"] and model["name"] != slot["holder"] else []
    if model["kept"]:
        found.append("kept" if _none(model["kept_until"]) else f"kept until {_clock(model['kept_until'])}")
    if model["no_go"]:
        found.append(f"NO-GO: {model['no_go']}")
    bench = model["bench"]
    if bench is not None and bench["failed"]:
        found.append(f"{len(bench['failed'])} of {counted(bench['canaries'], 'canary').replace('canarys', 'canaries')}")
        found[-1] += " failed"
    odd = model["state"] in ("failed", "unknown")
    return ", ".join(found + ([model["text"]] if odd and model["text"] else []))


def report_rows(report: Json) -> list[tuple[object, ...]]:
    """One row per line of a GO/NO-GO report, as a document or a row has it."""
    marks = {True: "ok", False: "!"}
    return [
        (marks.get(one.get("ok"), "-"), one.get("what", ""), one.get("found", ""), one.get("wanted") or "-")
        for one in report["lines"]
    ]


def rate(value: float) -> str:
    """Tokens per second in a column, as reports write them; `-` for none."""
    return "-" if not value else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def only(document: Json, names: Collection[str]) -> list[Json]:
    """The slots that these services, or these words, are about."""
    return [
        slot
        for slot in document.get("slots", ())
        if slot["slot"] in names or f"slot:{slot['slot']}" in names or _services(slot) & set(names)
    ]


def _services(slot: Json) -> set[str]:
    return {model["service"] for model in slot["models"] if model["service"]}


def services_of(slots: Sequence[Json]) -> set[str]:
    """The services that carry their models."""
    return {name for slot in slots for name in _services(slot)}


def troubled(document: Json) -> list[str]:
    """The slots that a person should look at: nobody holds one, a stand-in does, or its gate does not listen."""
    return [
        f"slot {slot['slot']}"
        for slot in document.get("slots", ())
        if slot["problem"] or (slot["gate"] is not None and not slot["gate"]["listening"])
    ]


def lasting(seconds: float) -> str:
    """`12m` of seconds; '' for none."""
    return show_duration(round(seconds)) if seconds >= 1 else ""


def _clock(then: str) -> str:
    return local(then).rpartition(" ")[2][:5]


def _none(then: str) -> bool:
    return then.startswith(_NEVER)
