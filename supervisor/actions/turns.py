"""Turns containers that stand still: their restart policies and their names, while the service is away.

From: phoenix.py (the old one is parked, the new one takes its name) and rollback.py (the other way round). To: the
engine, through the plan's hand. Every look that another call waits for would be time without the service.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from supervisor.actions.hand import ACTIVE, Hand, Told
from supervisor.actions.memory.loosen import loosen
from supervisor.facts import Container

Seen = tuple[Container | None, ...]
"""containers as they stand, None for one that is gone"""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a container that stands still is to be called, and its restart policy; '' for as it is."""

    key: str
    name: str
    policy: str = ""
    stopped: bool = False
    """stop it first where it runs (again): an engine that comes back starts what ran when it ended"""

    def runs(self, seen: Container) -> bool:
        """Whether it has to be stopped first."""
        return self.stopped and seen.status in ACTIVE

    def done(self, seen: Container | None) -> bool:
        """Whether it is so; one that is gone needs nothing."""
        if seen is None:
            return True
        return seen.name == self.name and self.policy in ("", seen.restart_policy) and not self.runs(seen)


async def turn(hand: Hand, turns: Sequence[tuple[Container, Turn]], tries: int = 3) -> Seen:
    """See to it that containers have these policies and names, one after the other in this order; it holds for all of
    them when this returns. Each comes as it stands at this moment. Conflict where another container has a name.

    All but the last are looked at while the last one is turned; of that one the engine's yes is believed. Whatever was
    not a plain yes ends in a look at all of them.
    """

    async def look() -> Seen:
        return tuple(await asyncio.gather(*(hand.engine.inspect(each.key) for _seen, each in turns)))

    async def act(now: Seen) -> Told[Seen] | None:
        *others, (last, one) = [(each, seen) for (_seen, each), seen in zip(turns, now, strict=True)]
        for each, seen in others:
            await _bring(hand, each, seen)
        # where the last one fails these end by themselves, and nobody asks for what they saw
        beside = asyncio.gather(*(hand.engine.inspect(each.key) for each, _seen in others), return_exceptions=True)
        await _bring(hand, last, one)
        found = [seen for seen in await beside if not isinstance(seen, BaseException)]
        if len(found) < len(others) or one is None or last.runs(one):
            return None
        return Told((*found, replace(one, name=last.name, restart_policy=last.policy or one.restart_policy)))

    return await hand.make(
        look,
        lambda now: all(each.done(one) for (_seen, each), one in zip(turns, now, strict=True)),
        act,
        tries=tries,
        seen=tuple(seen for seen, _turn in turns),
    )


async def _bring(hand: Hand, wanted: Turn, one: Container | None) -> None:
    """Do what is missing: held down first, so that no engine that comes back starts it."""
    if one is not None and wanted.runs(one):
        await loosen(hand.groups, one)
        await hand.engine.stop(wanted.key, hand.grace(one))
    if one is not None and wanted.policy not in ("", one.restart_policy):
        await hand.engine.set_policy(wanted.key, wanted.policy)
    if one is not None and wanted.name != one.name:
        await hand.engine.rename(wanted.key, wanted.name)
