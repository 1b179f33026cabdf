"""Waits until nobody is being answered by a model any more. What nobody knows counts as busy.

From: the gate's count (per request) and the server's own counter, else its connections (ports.ServerLook.in_flight).
To: swap.py and its kin, before a model is stopped, put to sleep or unloaded.
"""

from dataclasses import dataclass

from supervisor.actions.hand import Hand
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.sides import Sides, where

_AGAIN, _SLOWEST = 0.1, 1.0
"""seconds between two looks, at first and later"""
_TOLD_AGAIN = 5.0


@dataclass(frozen=True, slots=True)
class Drained:
    """`idle`: nothing is in flight. `count` is None where nobody knows."""

    idle: bool
    count: int | None
    text: str


async def drain(hand: Hand, both: Sides, part: Part, step: str, seconds: float, *, gate: bool = True) -> Drained:
    """Wait so long at most. A container that does not run works on nothing. A wish ends it (Denied) while nothing was
    touched. `gate` False: what the gate passes on goes to another model."""
    end, pause, told, tell_again = hand.clock.mono() + seconds, _AGAIN, "", 0.0
    while True:
        count, text = await in_flight(hand, both, part, gate=gate)
        if count == 0:
            return Drained(True, 0, text)
        now = hand.clock.mono()
        if now >= end:
            return Drained(False, count, text)
        if text != told and now >= tell_again:
            told, tell_again = text, now + _TOLD_AGAIN
            hand.mark(step, f"Waits: {text}.", ok=False, in_flight=count)
        hand.obey()
        await hand.nap(min(pause, max(0.01, end - now)))
        pause = min(pause * 1.5, _SLOWEST)


async def in_flight(hand: Hand, both: Sides, part: Part, *, gate: bool = True) -> tuple[int | None, str]:
    """(requests in flight at the model, None where nobody knows; how to say it)."""
    at = await where(hand, part)
    door = hand.models.gate.state(both.slot) if gate else None
    behind = door.in_flight if door is not None and door.listening else 0
    if part.container_id and (at.container is None or not at.container.running):
        return behind, f"{part.model.name} does not run"
    look = await hand.models.server.look(at)
    if look.in_flight is None:
        text = f"nobody knows how many requests {part.model.name} works on ({look.text})"
        return None, text
    count = max(look.in_flight, behind)
    return count, f"{count} request in flight" if count == 1 else f"{count} requests in flight"
