"""GO or NO-GO: what a model showed, held against what it must show. Pure.

From: a measurement (Bench), what the model took, what its log said, what callers got; the criteria of the slot; the
measurement of the model before it. To: the report of a swap (actions/swap/report.py), and probation (core/slots.py).
A criterion that is not set is shown where there is a figure, and refuses nothing.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.facts import Bench, Completion, Criteria, Json
from supervisor.units import above, show_duration, speaker

GO, NO_GO = "GO", "NO-GO"
_CANARIES_SHOWN = 3
SLACK = 1.05
"""times what is declared for a model that it may take, where no criterion says how much"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model showed. Bytes; -1 and () where nobody looked."""

    bench: Bench | None = None
    before: Bench | None = None
    """of the model before it in this slot"""
    memory: float = 0.0
    vram: Mapping[str, float] = field(default_factory=dict)
    """GPU -> bytes, under the names of the criteria where they name one, else UUIDs"""
    log: tuple[str, ...] = ()
    """lines of its log that are a reason to go back"""
    errors: int = -1
    """answers of 500 and above that callers got; -1: not counted now"""


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared for the room a model needs, in bytes: what it may take where its criteria say nothing."""

    memory: int = 0
    vram: tuple[tuple[str, int], ...] = ()
    """as Criteria has it"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report. `ok` None: said, and no reason for anything."""

    what: str
    found: str
    wanted: str = ""
    ok: bool | None = None

    def document(self) -> Json:
        """{what, found, wanted, ok}."""
        return {"what": self.what, "found": self.found, "wanted": self.wanted, "ok": self.ok}


def judge(criteria: Criteria, shown: Shown, declared: Declared = Declared()) -> tuple[Line, ...]:
    """Every line, in the order in which people ask."""
    lines: list[Line] = []
    if shown.bench is not None:
        lines += _speed(criteria, shown.bench, shown.before)
        lines += _canaries(shown.bench)
    lines += _taken(criteria, shown, declared)
    if criteria.log:
        found = shown.log[0][:200] if shown.log else "nothing of the kind"
        lines.append(Line("log", found, "none of its patterns", not shown.log))
    if criteria.errors >= 0 and shown.errors >= 0:
        wanted = f"{criteria.errors} at most"
        lines.append(Line("errors", str(shown.errors), wanted, shown.errors <= criteria.errors))
    return tuple(lines)


def verdict(lines: Sequence[Line]) -> str:
    """GO, or NO-GO where one line says no."""
    return NO_GO if any(line.ok is False for line in lines) else GO


def why(lines: Sequence[Line]) -> str:
    """The lines that say no, as the end of a sentence; '' where none does."""
    return "; ".join(_said(line) for line in lines if line.ok is False)


def headline(lines: Sequence[Line], bench: Bench | None, before: Bench | None) -> str:
    """What is said first of a model: what is wrong with it, else how fast it is; the one before in brackets."""
    bad = why(lines)
    text = bad or (rate(bench.rate) if bench is not None and bench.rate else "")
    first = next((line for line in lines if line.ok is False), None)
    compared = before is not None and before.rate and (not bad or (first is not None and first.what == _RATE))
    return f"{text} ({before.model}: {_figure(before.rate)})" if compared and before is not None and text else text


def rate(value: float) -> str:
    """`15.2 tokens/s`."""
    return f"{_figure(value)} tokens/s"


# ------------------------------------------------------------ a measurement


def bench_of(
    runs: Sequence[Completion], *, at: float, slot: str, model: str, service: str, image_id: str, plan: int, reason: str
) -> Bench:
    """The medians of what was measured. A figure that no run has is 0."""
    rates = [run.rate for run in runs if run.rate > 0]
    middle = _median(rates)
    return Bench(
        at,
        slot,
        model,
        service,
        image_id,
        len(runs),
        middle,
        _median([run.prompt_rate for run in runs if run.prompt_rate > 0]),
        _median([run.first_token for run in runs if run.first_token > 0]),
        (max(rates) - min(rates)) / 2 / middle if middle else 0.0,
        plan=plan,
        reason=reason,
    )


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values)) if values else 0.0


# ------------------------------------------------------------ lines

_RATE, _PROMPT, _RATIO, _FIRST = "tokens/s", "prompt tokens/s", "ratio", "first token"


def _speed(criteria: Criteria, bench: Bench, before: Bench | None) -> list[Line]:
    lines = []
    spread = f" (± {bench.spread * 100:.0f} %, median of {bench.runs})" if bench.runs > 1 and bench.rate else ""
    if bench.runs:
        lines.append(_least(_RATE, bench.rate, criteria.rate, criteria.rate_wanted, spread))
        if bench.prompt_rate or criteria.prompt_rate:
            lines.append(_least(_PROMPT, bench.prompt_rate, criteria.prompt_rate, criteria.prompt_rate_wanted))
    if criteria.ratio and before is not None and before.rate and bench.runs:
        found = bench.rate / before.rate
        text = f"{found:.2f} times {before.model} ({_figure(before.rate)})"
        lines.append(Line(_RATIO, text, f"{criteria.ratio:g} times at least", found >= criteria.ratio))
    elif criteria.ratio and bench.runs:
        lines.append(Line(_RATIO, "nothing to compare it with: the one before was not measured"))
    if bench.first_token or (criteria.first_token and bench.runs):
        found_text = f"{bench.first_token * 1000:.0f} ms" if bench.first_token else "not told"
        if criteria.first_token:
            ok = 0 < bench.first_token <= criteria.first_token
            lines.append(Line(_FIRST, found_text, f"{show_duration(criteria.first_token)} at most", ok))
        else:
            lines.append(Line(_FIRST, found_text))
    return lines


def _least(what: str, found: float, least: float, hoped: float, more: str = "") -> Line:
    """A rate that must be so high, or is hoped to be."""
    less = ", less than hoped for" if 0 < found < hoped and found >= least else ""
    text = f"{_figure(found)}{more}{less}" if found else "not told"
    if least:
        wanted = f"{least:g} at least" + (f", {hoped:g} hoped for" if hoped > least else "")
        return Line(what, text, wanted, found >= least)
    return Line(what, text, f"{hoped:g} hoped for" if hoped else "")


def _canaries(bench: Bench) -> list[Line]:
    if not bench.canaries:
        return []
    bad = len(bench.failed)
    text = f"{bench.canaries - bad} of {bench.canaries} right"
    if bad:
        text += ": " + "; ".join(bench.failed[:_CANARIES_SHOWN])
    return [Line("canaries", text, "all", not bad)]


def _taken(criteria: Criteria, shown: Shown, declared: Declared) -> list[Line]:
    lines = []
    if shown.memory > 0:
        lines.append(_most("memory", shown.memory, criteria.memory, declared.memory))
    named, room = dict(criteria.vram), dict(declared.vram)
    for gpu, used in sorted(shown.vram.items()):
        limits = (named.get(gpu, named.get("", 0)), room.get(gpu, room.get("", 0)))
        lines.append(_most(f"vram {gpu[:12]}".strip(), used, *limits))
    return lines


def _most(what: str, used: float, most: int, declared: int) -> Line:
    """A size that must not be exceeded: `most` to the byte, else what is declared with some slack; 0 for neither."""
    limit, say = most or declared * SLACK, speaker((most or declared,))
    if not limit:
        return Line(what, say(used))
    more = "" if most else f" ({say(declared)} are declared)"
    return Line(what, above(used, limit, say), f"{say(limit)} at most{more}", used <= limit)


def _said(line: Line) -> str:
    if line.what in (_RATE, _PROMPT):
        found = line.found.partition(" (")[0]
        return f"{found} {line.what}, wanted {line.wanted.partition(',')[0]}"
    if line.what == "canaries":
        return f"canaries: {line.found}"
    wanted = f", wanted {line.wanted}" if line.wanted else ""
    return f"{line.what}: {line.found}{wanted}"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
