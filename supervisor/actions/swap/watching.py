"""Keeps an eye on a model while something else is waited for: an answer of it, its load, its measurement.

From: the engine (inspect, events through the hand), the core's wishes. To: every step between a model's start and the
commit: Trouble, the moment there is reason to go back.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from supervisor.actions.common import sentence
from supervisor.actions.hand import KILLED, LOST, Hand
from supervisor.actions.probation import Baseline, death, ended, life_of
from supervisor.actions.swap.checks.case import Part
from supervisor.errors import ResurgamError
from supervisor.facts import Container
from supervisor.services.checks import broken_check
from supervisor.verdicts import Reason

T = TypeVar("T")
LOOK_AGAIN = 1.0
"""seconds between two looks at a model that works on something"""
_LIFE_WITHIN = 5.0
_LAST_NEWS = 1.0
"""seconds after an answer that broke off in which its end is seen"""
_LOST_NEWS = 0.5
"""seconds after a SIGKILL in which the engine says whose it was"""
_URGENT = (Reason.NO_ROOM, Reason.OUTRANKED, Reason.ENDED_EARLY)
"""wishes that ask for the exit that needs less memory"""


class Trouble(ResurgamError):
    """There is reason to go back. `its_fault`: the model's, or that of its server's image; not where somebody, the
    engine or an emergency came in between. `stopped`: a person stopped it, and wants it down."""

    def __init__(self, text: str, *, its_fault: bool = False, stopped: bool = False) -> None:
        self.its_fault, self.stopped = its_fault, stopped
        super().__init__(text.strip().rstrip("."))


@dataclass(slots=True)
class Vigil:
    """What is watched: one model in one life of its container. `base` None: its server is no container of ours, or its
    container served before this plan. `rival`: the container that must not run meanwhile."""

    part: Part
    base: Baseline | None = None
    rival: str = ""
    life: str = ""
    """what tells this life of the engine from the next"""
    spares: bool = False
    """to go back needs less memory than to go on"""
    cuts: int = 0

    @property
    def name(self) -> str:
        """The model's."""
        return self.part.model.name


async def begin(hand: Hand, part: Part, base: Baseline | None, rival: str = "", *, spares: bool = False) -> Vigil:
    """Watch it from now on."""
    vigil = Vigil(part, base, rival, spares=spares, cuts=hand.cuts)
    if base is not None:
        hand.asked.pop(part.container_id, None)
        vigil.life = await life_of(hand, hand.clock.mono() + _LIFE_WITHIN)
    return vigil


async def check(hand: Hand, vigil: Vigil) -> Container | None:
    """Its container as it stands now. Trouble where there is reason to go back."""
    _obey(hand, vigil)
    key = vigil.part.container_id
    seen = await hand.inspect(key) if key else None
    if key and vigil.base is not None:
        died = death(seen, vigil.base, hand.deaths.get(key))
        if died or seen is None:
            fault = seen is not None and hand.cuts == vigil.cuts
            finding = await ended(hand, key, died, vigil.life, fault)
            lost = finding.its_fault and seen is not None and await _lost(hand, seen)
            how = LOST if lost else finding.text
            raise Trouble(f"{vigil.name} {how}", its_fault=finding.its_fault, stopped=finding.stopped)
        if vigil.base.started_at and seen.started_at > vigil.base.started_at:
            raise Trouble(f"{vigil.name} was started anew meanwhile, by its engine or by somebody")
        if seen.health == "unhealthy" and not broken_check(seen):
            raise Trouble(f"{vigil.name}: its health check says unhealthy", its_fault=True)
    elif key and (seen is None or not seen.running):
        raise Trouble(f"the server of {vigil.name} does not run any more")
    if vigil.rival:
        other = await hand.inspect(vigil.rival)
        if other is not None and other.running:
            raise Trouble(f"somebody started {other.name} meanwhile")
    return seen


async def _lost(hand: Hand, seen: Container) -> bool:
    """Whether it was the out-of-memory killer: the engine may tell so a little after the death itself."""
    end = hand.clock.mono() + _LOST_NEWS
    killed = seen.exit_code == KILLED or hand.deaths.get(seen.id, (0.0, ""))[1].endswith(f" {KILLED}")
    while killed and not seen.oom_killed and hand.deaths.get(seen.id, (0.0, ""))[1] != LOST:
        if hand.clock.mono() >= end:
            return False
        await hand.nap(end - hand.clock.mono())
        seen = await hand.inspect(seen.id) or seen
    return killed


def _obey(hand: Hand, vigil: Vigil) -> None:
    """What the core wishes in the midst of it: an XID or the like ends the trial; an emergency does where to go back
    needs less memory."""
    wish = hand.wish
    if wish is None or hand.deaf:
        return
    if wish.reason is Reason.FAILED:
        raise Trouble(wish.text, its_fault=True)
    if wish.reason in _URGENT and vigil.spares:
        raise Trouble(f"memory is short: {wish.text}")


async def outlived(hand: Hand, vigil: Vigil) -> None:
    """An answer broke off: Trouble where the model died of it. Its connection ends before its container does."""
    end = hand.clock.mono() + (_LAST_NEWS if vigil.base is not None else 0.0)
    while True:
        await check(hand, vigil)
        left = end - hand.clock.mono()
        if left <= 0:
            return
        await hand.nap(left)


async def meanwhile(hand: Hand, vigil: Vigil, work: Coroutine[Any, Any, T]) -> T:
    """Do this, and look at the model while it lasts. Trouble ends the work."""
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(lambda _task: hand.wake())
    try:
        while not task.done():
            await hand.nap(LOOK_AGAIN)
            if not task.done():
                await check(hand, vigil)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # what it came to is looked at, also where it came too late


def plain(text: str) -> str:
    """The end of a sentence, without its full stop."""
    return sentence(text).rstrip(".")
