"""Measures a model: warm-up, so many answers, canaries; and what it takes meanwhile, and what its log says.

From: the model server's answers, the kernel and the cards. To: a Bench and what was taken, for supervisor/slots/judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor import units
from supervisor.actions.hand import Hand
from supervisor.actions.swap import golden
from supervisor.actions.swap.checks.room import own_cards
from supervisor.actions.swap.sides import Sides, where
from supervisor.actions.swap.watching import Trouble, Vigil, check, meanwhile, outlived
from supervisor.errors import EngineError, ResurgamError, ServerError
from supervisor.facts import Bench, Canary, Completion, Criteria, Free, Json
from supervisor.slots.judge import bench_of

LOG_LINES = 1000
"""of its log that are looked through"""
TAIL = 20
"""lines by which the part of a log is found that was written before its start"""
SHOWN = 5
"""bad lines that are kept"""
_WIDTH = 300
_LONG = 4096
"""tokens of context from which on a longer text is asked, so that its own rate means something"""
_TEXT = (
    "Write a plain description of a harbour town: its streets, its market, the ships that come and go, and the people "
    "who work there."
)
_MORE = (
    " Say who lives near the water and who lives on the hill, what is sold in the morning and what in the evening, how "
    "the weather changes over the year, and what is told about the old lighthouse. Name no dates."
)
_PIECES = 10
"""times that _MORE is said to a model with a long context"""


@dataclass(slots=True)
class Taken:
    """What it took at its peak, in bytes. `base`: what was free before it came."""

    base: Free
    memory: float = 0.0
    vram: dict[str, float] = field(default_factory=dict)
    """by what its server says, or what is free less: that may be a neighbour's, too"""
    own: dict[str, float] | None = None
    """by its own processes; None where the driver does not tell"""

    @property
    def cards(self) -> dict[str, float]:
        """UUID -> bytes, by the better of both."""
        return self.vram if self.own is None else self.own


async def taken(hand: Hand, vigil: Vigil, peak: Taken) -> None:
    """Look once more. What its server says of itself counts where the kernel does not tell; of the cards what its own
    processes hold, else what its server says, else what is free less than before it came."""
    at = await where(hand, vigil.part)
    look = await hand.models.server.look(at)
    memory = look.memory
    if at.container is not None and not vigil.part.model.inside:
        try:
            memory = max(memory, (await hand.groups.read(at.container)).used)
        except ResurgamError:
            memory = max(memory, 0.0)
        own = own_cards(await hand.driver.snapshot("fast"), at.container)
        if own is not None:
            known = peak.own or {}
            peak.own = {uuid: max(own.get(uuid, 0.0), known.get(uuid, 0.0)) for uuid in sorted({*own, *known})}
    peak.memory = max(peak.memory, memory)
    if look.vram and len(peak.base.vram) == 1:
        only = next(iter(peak.base.vram))
        peak.vram[only] = max(peak.vram.get(only, 0.0), look.vram)
        return
    if not peak.base.vram:
        return
    free = (await hand.room.free()).vram
    for uuid, was in peak.base.vram.items():
        used = was - free.get(uuid, was)
        if used > 0:
            peak.vram[uuid] = max(peak.vram.get(uuid, 0.0), used)


# ------------------------------------------------------------ answers


async def warm(hand: Hand, vigil: Vigil, criteria: Criteria, context: int) -> None:
    """Answers that do not count: the first after a load is slow."""
    for number in range(criteria.warmup):
        await _ask(hand, vigil, _prompt(hand, criteria, f"w{number}", context), criteria.tokens, criteria.within)


async def run(
    hand: Hand, both: Sides, vigil: Vigil, criteria: Criteria, context: int, peak: Taken, reason: str
) -> Bench:
    """So many answers that count, one after the other."""
    runs = []
    asked = hand.plan.params.get("runs", "")
    count = int(asked) if asked.isdigit() and 0 < int(asked) <= 50 else criteria.runs
    for number in range(count):
        prompt = _prompt(hand, criteria, str(number), context)
        runs.append(await _ask(hand, vigil, prompt, criteria.tokens, criteria.within))
        await taken(hand, vigil, peak)
    return summed(hand, both, vigil, runs, reason)


def summed(hand: Hand, both: Sides, vigil: Vigil, runs: Sequence[Completion], reason: str) -> Bench:
    """The measurement of these answers; none for one that is only asked its canaries."""
    part = vigil.part
    return bench_of(
        runs,
        at=hand.clock.wall(),
        slot=both.slot,
        model=vigil.name,
        service=part.service,
        image_id=part.image_id,
        plan=hand.plan.id,
        reason=reason,
    )


async def canaries(hand: Hand, both: Sides, vigil: Vigil, criteria: Criteria, bench: Bench) -> Bench:
    """Ask them all; those of the golden folder too."""
    found, wrong = golden.read(both.golden) if both.golden else ((), ())
    asked = (*criteria.canaries, *found)
    failed = list(wrong)
    for number, canary in enumerate(asked, 1):
        try:
            answer = await _ask(hand, vigil, canary.prompt, canary.tokens, criteria.within, exact=True)
        except Trouble as err:
            if not err.its_fault or hand.wish is not None:
                raise
            await check(hand, vigil)
            failed.append(f"{_name(canary, number)} got no answer: {err}")
            continue
        if not right(canary, answer.text):
            said = units.mask(units.plain(answer.text.strip(), 80)) or "nothing"
            failed.append(f"{_name(canary, number)} answered {said!r}")
    return replace(bench, canaries=len(asked) + len(wrong), failed=tuple(units.plain(one, _WIDTH) for one in failed))


def right(canary: Canary, answer: str) -> bool:
    """Whether an answer is what the canary expects."""
    if canary.equals:
        return answer.strip() == canary.equals.strip()
    return units.regex(canary.matches).search(answer) is not None


def _name(canary: Canary, number: int) -> str:
    return f"canary {canary.name or number}"


async def _ask(hand: Hand, vigil: Vigil, prompt: str, tokens: int, within: float, *, exact: bool = False) -> Completion:
    """One answer; Trouble where there is none."""
    seen = await check(hand, vigil)
    at = replace(await where(hand, vigil.part), container=seen)
    try:
        return await meanwhile(hand, vigil, hand.models.server.complete(at, prompt, tokens, within, exact=exact))
    except ServerError as err:
        await outlived(hand, vigil)  # that it died, or was stopped by somebody, is the better reason
        raise Trouble(f"{vigil.name} gave no answer: {err}", its_fault=hand.cuts == vigil.cuts) from err


def _prompt(hand: Hand, criteria: Criteria, number: str, context: int) -> str:
    """What is asked. Ours begins with a word that was never asked before: no cache of the server knows it."""
    if criteria.prompt:
        return criteria.prompt
    more = _MORE * _PIECES if context >= _LONG else ""
    return f"({hand.plan.op}-{number}) {_TEXT}{more}"


# ------------------------------------------------------------ its log


async def mark_log(hand: Hand, key: str) -> Json:
    """Where its log ends before its start, for the marks: what comes later is this run's."""
    lines = await _log(hand, key)
    return {"log_count": len(lines), "log_tail": [line[:_WIDTH] for line in lines[-TAIL:]]}


async def bad_lines(hand: Hand, vigil: Vigil, patterns: Sequence[str]) -> tuple[str, ...]:
    """Lines of this run that have one of the patterns, bounded and without secrets. None where the engine keeps
    silent."""
    if not patterns or not vigil.part.container_id:
        return ()
    lines = await _log(hand, vigil.part.container_id)
    tail = [str(line) for line in hand.data.get("log_tail") or ()]
    found = fresh(lines, int(hand.data.get("log_count") or 0), tail)
    bad = [line for line in found if any(units.regex(one).search(line) is not None for one in patterns)]
    return tuple(units.mask(units.plain(line, _WIDTH)) for line in bad[:SHOWN])


def fresh(lines: Sequence[str], count: int, tail: Sequence[str]) -> list[str]:
    """The lines behind the `count` that were there before, the last of which were `tail`. A log that was longer than we
    look, or was rotated, is searched for them; all lines where they are not there any more."""
    old, cut = list(tail), [line[:_WIDTH] for line in lines]
    if count < LOG_LINES and cut[max(0, count - len(old)) : count] == old:
        return list(lines[count:])
    for end in range(len(old), len(cut) + 1):
        if old and cut[end - len(old) : end] == old:
            return list(lines[end:])
    return list(lines)


async def _log(hand: Hand, key: str) -> tuple[str, ...]:
    try:
        return await hand.engine.logs(key, LOG_LINES)
    except EngineError:
        return ()


def cards(peak: Mapping[str, float]) -> dict[str, int]:
    """What is kept of it: whole bytes."""
    return {uuid: int(size) for uuid, size in sorted(peak.items()) if size > 0}
