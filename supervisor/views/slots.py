"""Model slots as documents: who holds each, what the others do, what the latest swap found.

In: facts.Snapshot, and the benchmarks that the journal keeps. Out: plain JSON: `slots_document` for the status,
`slot_document` for one MQTT topic, `benchmarks_document` for `resurgam history --benchmarks`. Rates are tokens per
second, sizes bytes (what moves all the time is rounded, views/memory.py), durations seconds; what nobody knows is null,
never 0. The report of a swap is a plan's own words: here it gets its fixed form, whatever an older daemon wrote.
"""

from collections.abc import Mapping
from typing import Any

from supervisor.facts import SLOT, Bench, GateState, Json, ModelState, Probation, SlotState, Snapshot
from supervisor.units import iso, plain
from supervisor.views.memory import coarse
from supervisor.views.words import json_number, when

_LONGEST = 64
"""lines of a report, and canaries that failed, that are shown"""
_WORDS = 300
"""characters of a text that a server, or a model, may have had a part in: its answers are its own words"""


def slots_document(snapshot: Snapshot) -> list[Json]:
    """Every slot, in the order in which they are declared."""
    return [slot_document(state, snapshot) for state in snapshot.slots]


def slot_document(state: SlotState, snapshot: Snapshot) -> Json:
    """One slot. `gate` is None for a slot without one, `report` before the first swap."""
    return {
        "host": snapshot.host,
        "slot": state.name,
        "address": state.address,
        "holder": state.holder,
        "first": state.first,
        "stand_in": state.stand_in,
        "since": iso(state.since),
        "phase": state.phase,
        "plan": state.plan,
        "expected": iso(state.expected),
        "problem": state.problem,
        "models": [_model(one) for one in state.models],
        "gate": _gate(state.gate) if state.gate is not None else None,
        "probation": _probation(state.probation) if state.probation is not None else None,
        "report": report_document(state.report) if state.report else None,
        "rev": snapshot.revisions.get(f"{SLOT}{state.name}", 0),
    }


def slot_sentence(state: SlotState, now: float) -> str:
    """How a slot stands, in one sentence."""
    if state.holder:
        since = f" since {when(state.since, now)}" if state.since else ""
        whose = f", standing in for {state.first}" if state.stand_in else ""
        parts = [f"slot {state.name}: {state.holder} holds it{since}{whose}"]
    elif state.problem:
        parts = [f"slot {state.name}: {state.problem.rstrip('.')}"]
    else:
        parts = [f"slot {state.name}: nobody holds it"]
    if state.problem and state.holder:
        parts.append(state.problem.rstrip("."))
    if state.gate is not None and not state.gate.listening:
        parts.append(f"its gate does not listen: {state.gate.text}")
    if state.phase:
        ends = f", expected to end at {when(state.expected, now)}" if state.expected else ""
        parts.append(f"plan {state.plan} is at {state.phase}{ends}")
    if state.probation is not None:
        parts.append(f"{state.probation.model} is on probation until {when(state.probation.until, now)}")
    return "; ".join(parts)


def kept_down(service: str, snapshot: Snapshot) -> str:
    """Why a service is stopped that carries a model of a slot, with what starts it (a bare start could put two models
    onto one card); '' where no slot keeps it so."""
    wanted = next((one.wanted for one in snapshot.services if one.id == service), None)
    if wanted is None or not wanted.by.startswith(SLOT):
        return ""
    state = next((one for one in snapshot.slots if f"{SLOT}{one.name}" == wanted.by), None)
    model = next((one.name for one in state.models if one.service == service), "") if state is not None else ""
    if state is None or not model:
        return ""
    return (
        f"{state.holder or 'nobody'} holds {state.name}; `resurgam swap {state.name} --to {model}` puts {model} there"
    )


def found_slot(word: str, snapshot: Snapshot) -> SlotState | None:
    """The slot of this name (`oracle`, `slot:oracle`), else the only one that a model of this name may hold."""
    name = word.removeprefix(SLOT)
    by_name = {state.name: state for state in snapshot.slots}
    if name in by_name:
        return by_name[name]
    carrying = [state for state in snapshot.slots if any(one.name == word for one in state.models)]
    return carrying[0] if len(carrying) == 1 else None


def _model(one: ModelState) -> Json:
    return {
        "name": one.name,
        "state": one.state,
        "service": one.service,
        "text": plain(one.text, _WORDS),
        "since": iso(one.since),
        "used_at": iso(one.used_at),
        "kept": bool(one.kept_until),
        "kept_until": iso(0.0 if one.kept_until < 0 else one.kept_until),
        "in_flight": one.in_flight,
        "memory": coarse(one.memory),
        "vram": coarse(one.vram),
        "no_go": plain(one.no_go, _WORDS),
        "bench": bench_document(one.bench) if one.bench is not None else None,
    }


def bench_document(bench: Bench) -> Json:
    """One measurement."""
    return {
        "at": iso(bench.at),
        "rate": round(bench.rate, 2),
        "prompt_rate": round(bench.prompt_rate, 2),
        "first_token": round(bench.first_token, 3),
        "spread": round(bench.spread, 4),
        "runs": bench.runs,
        "canaries": bench.canaries,
        "failed": [plain(one, _WORDS) for one in bench.failed[:_LONGEST]],
        "plan": bench.plan,
        "reason": bench.reason,
        "image_id": bench.image_id,
    }


def _gate(gate: GateState) -> Json:
    return {
        "listening": gate.listening,
        "text": gate.text,
        "open": gate.open,
        "upstream": gate.upstream,
        "held": gate.held,
        "in_flight": gate.in_flight,
        "requests": gate.requests,
        "errors": gate.errors,
        "refused": gate.refused,
        "cut": gate.cut,
        "last_at": iso(gate.last_at),
        "longest_hold": round(gate.longest_hold, 3),
    }


def _probation(one: Probation) -> Json:
    return {
        "model": one.model,
        "before": one.before,
        "began": iso(one.began),
        "until": iso(one.until),
        "next_bench": iso(one.next_bench),
    }


def report_document(report: Mapping[str, Any]) -> Json:
    """The GO/NO-GO report of a swap in its fixed form."""
    lines = report.get("lines")
    shown = [_line(one) for one in lines[:_LONGEST] if isinstance(one, Mapping)] if isinstance(lines, list) else []
    verdict = _text(report, "verdict")
    return {
        "plan": int(_number(report, "plan")),
        "at": iso(_number(report, "at")),
        "from": _text(report, "from"),
        "to": _text(report, "to"),
        "verdict": verdict if verdict in ("GO", "NO-GO") else "",
        "text": plain(_text(report, "text"), 1000),
        "lines": shown,
        "seconds": json_number(_number(report, "seconds")),
        "outage": json_number(_number(report, "outage")),
    }


def _line(one: Mapping[str, Any]) -> Json:
    ok = one.get("ok", True)
    found: Json = {key: plain(_text(one, key), _WORDS) for key in ("what", "found", "wanted")}
    return found | {"ok": ok if isinstance(ok, bool) else None}


def benchmarks_document(kept: Mapping[str, Any], slot: str = "", model: str = "") -> list[Json]:
    """The kept measurements, oldest first. `kept`: the journal's space `bench` (slot|model -> the list of them, bare or
    as the only list of a mapping); `slot` and `model` leave out all others."""
    found: list[tuple[float, Json]] = []
    for bench in [bench for value in kept.values() for bench in _benches(value)]:
        if (not slot or bench.slot == slot) and (not model or bench.model == model):
            about = {"slot": bench.slot, "model": bench.model, "service": bench.service}
            found.append((bench.at, about | bench_document(bench) | {"time": bench.at}))
    found.sort(key=lambda one: (one[0], one[1]["slot"], one[1]["model"]))
    return [one for _at, one in found]


def _benches(value: Any) -> list[Bench]:
    """Read by hand: the journal's codec takes a tenth of a second to load, and every command loads this file."""
    inner = next((one for one in value.values() if isinstance(one, list)), []) if isinstance(value, dict) else value
    return [_bench(one) for one in inner if isinstance(one, Mapping)] if isinstance(inner, list) else []


def _bench(one: Mapping[str, Any]) -> Bench:
    failed = one.get("failed")
    return Bench(
        at=_number(one, "at"),
        slot=_text(one, "slot"),
        model=_text(one, "model"),
        service=_text(one, "service"),
        image_id=_text(one, "image_id"),
        runs=int(_number(one, "runs")),
        rate=_number(one, "rate"),
        prompt_rate=_number(one, "prompt_rate"),
        first_token=_number(one, "first_token"),
        spread=_number(one, "spread"),
        canaries=int(_number(one, "canaries")),
        failed=tuple(str(each) for each in failed) if isinstance(failed, list | tuple) else (),
        plan=int(_number(one, "plan")),
        reason=_text(one, "reason"),
    )


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(given: Mapping[str, Any], key: str) -> float:
    value = given.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
