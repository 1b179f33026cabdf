"""Waits until what a model took is really free, and stays free: "its container exited" is not "its memory is free".

From: ports.Room: what the next container needs and who still holds it (ports, memory, VRAM, processes of the old one on
the cards), and what is free at this instant. To: swap.py and back.py, between a stop and a start.

Three traps that others fell into. Growth is never waited for: after a crash everything is free before the first look.
Differences are signed: memory that shrinks is no memory that came back. And enough is not stable: a server that starts
while the old one still gives back measures its own room wrongly. So: enough for what is known of the next one, and two
looks in a row that are alike.
"""

from collections.abc import Mapping

from supervisor import units
from supervisor.actions.hand import Hand
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.sides import STOPS, Sides, as_of, where
from supervisor.facts import Free
from supervisor.slots import fit

WITHIN = 120.0
"""seconds to wait at most"""
ALIKE, ALIKE_SHARE = 64.0 * 2**20, 0.005
"""bytes, and the share of what is free, by which two looks may differ: others work on this machine, too"""
_FAST, _PLAIN, _SLOWEST = 0.2, 0.5, 1.0
"""seconds between two looks: without cards, with cards, and later"""
_TOLD_AGAIN = 5.0


async def freed(hand: Hand, both: Sides, part: Part, gone: Part | None, step: str, within: float = WITHIN) -> str:
    """Wait until there is room for `part` and it is stable. '' then; else, at the deadline, what is still held and by
    whom. `gone`: the model that left. Marks progress only."""
    end, told, tell_again = hand.clock.mono() + within, "", 0.0
    pause = _PLAIN if part.needs.vram or part.model.vram or part.vram else _FAST
    before: Free | None = None
    while True:
        free = await hand.room.free()
        held = await _held(hand, both, part, gone) or _short(part, free)
        if not held and before is not None and alike(before, free):
            return ""
        now = hand.clock.mono()
        if now >= end:
            # one that never settles while there is enough is no reason to leave the slot empty
            return held
        if held and held != told and now >= tell_again:
            told, tell_again = held, now + _TOLD_AGAIN
            hand.mark(step, f"Waits: {held}.", ok=False)
        before = free
        await hand.nap(min(pause, max(0.01, end - now)))
        pause = min(pause * 1.2, _SLOWEST)


async def _held(hand: Hand, both: Sides, part: Part, gone: Part | None) -> str:
    """What its container would have to wait for; '' for one that runs already, or has none: its server holds its own
    ports."""
    at = await where(hand, part)
    if at.container is None or at.container.running:
        return ""
    # one that sleeps, or whose server lives on, keeps its processes on the cards
    left = gone.container_id if gone is not None and both.leaves(gone) == STOPS else ""
    with as_of(hand, part):
        return await hand.room.held(part.needs, at.container, left)


def _short(part: Part, free: Free) -> str:
    """What of its known needs is not free, by the figures of the preflight: what its last good run took, else what is
    declared; '' where all is, or nobody can say."""
    declared = fit.declared(part.model, part.needs, lambda word: _uuid(word, free.vram))
    found = fit.trusted(fit.measured(part.memory, part.vram), declared)
    short = next((one for one in fit.fits(found, free).places if one.ok is False), None)
    if short is None:
        return ""
    say = units.speaker((short.need.bytes,))
    what = "memory" if short.need.where == fit.MEMORY else f"VRAM of {short.need.where[:12]}"
    return f"{say(short.free)} of {what} are free, {part.model.name} needs {say(short.need.bytes)}"


def _uuid(word: str, cards: Mapping[str, float]) -> str:
    """The card that `0`, `gpu:0`, a UUID or its beginning means; `cards` are in the driver's order."""
    bare, known = word.lower().removeprefix("gpu:"), list(cards)
    if bare.isdecimal():
        return known[int(bare)] if int(bare) < len(known) else ""
    found = [uuid for uuid in known if bare and uuid.lower().startswith(bare)]
    return found[0] if len(found) == 1 else ""


def alike(one: Free, other: Free) -> bool:
    """Whether two looks show the same: nothing is being given back, or taken, in between."""
    if set(one.vram) != set(other.vram):
        return False
    pairs = [(one.memory, other.memory), *((one.vram[uuid], other.vram[uuid]) for uuid in sorted(one.vram))]
    return all(abs(was - now) <= max(ALIKE, ALIKE_SHARE * max(was, now)) for was, now in pairs)
