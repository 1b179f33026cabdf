"""Which retained topics the broker has of us, over restarts: so that what vanished while we were away is cleared.

In: the topics that are wanted now, snapshot by snapshot. Out: those that an earlier life told and nobody wants any
more, to be told once as empty; the list itself is in a space of the journal. What vanishes while we live the board
clears by itself. A topic leaves the list when the clearing has surely been sent; should the list be lost with the
journal, the messages expire. Used by `bus/vanished.py` (services) and `bus/homeassistant` (discovery).
"""

import asyncio
from collections.abc import Iterable

from supervisor.clock import Clock
from supervisor.errors import JournalError
from supervisor.facts import Snapshot
from supervisor.journal import Journal, JournalThread

SETTLED = 60.0
"""seconds that all engines must have answered before a service that is not there counts as gone, and that the broker
must have been reached before a clearing counts as sent"""


class Told:
    """The list. `leftovers` may be called at any time; `run` reads and writes it."""

    def __init__(self, thread: JournalThread, clock: Clock, space: str) -> None:
        """`space`: the journal's, of this list alone."""
        self._thread, self._clock, self._space = thread, clock, space
        self._listed: set[str] | None = None
        """what stands in the journal; None until it was read"""
        self._wanted: dict[str, None] = {}
        self._old: tuple[str, ...] = ()
        """what an earlier life told"""
        self._sound_since: float | None = None
        self._heard_since: float | None = None
        self._changed = asyncio.Event()

    def leftovers(self, wanted: Iterable[str], snapshot: Snapshot, *, anyway: bool = False) -> tuple[str, ...]:
        """Topics of an earlier life that are not `wanted`, once that is sure (`anyway`: it is now)."""
        now = self._clock.mono()
        self._sound_since = _since(self._sound_since, anyway or _all_seen(snapshot), now)
        self._heard_since = _since(self._heard_since, bool(snapshot.bus and snapshot.bus.connected), now)
        fresh = dict.fromkeys(wanted)
        if fresh.keys() != self._wanted.keys():
            self._heard_since = None if self._heard_since is None else now  # what vanished is only being cleared now
        self._wanted = fresh
        if self._listed is None:
            return ()
        if self._next() != self._listed:
            self._changed.set()
        if not anyway and not _lasted(self._sound_since, now):
            return ()
        return tuple(topic for topic in self._old if topic not in self._wanted)

    async def run(self) -> None:
        """Keep the journal's list as it should be. JournalErrors leave it for the next time."""
        while True:
            try:
                if self._listed is None:
                    found = await self._thread.run(self._thread.journal.space, self._space)
                    self._old, self._listed = tuple(found), set(found)
                else:
                    await self._write(self._next())
            except JournalError:
                await asyncio.sleep(SETTLED)
                continue
            self._changed.clear()
            if self._next() == self._listed:
                await self._changed.wait()

    def _next(self) -> set[str]:
        """What the list should be: all that is wanted, and what may still have to be cleared."""
        now, listed = self._clock.mono(), self._listed or set()
        cleared = _lasted(self._sound_since, now) and _lasted(self._heard_since, now)
        return set(self._wanted) if cleared else set(self._wanted) | listed

    async def _write(self, wanted: set[str]) -> None:
        listed = self._listed or set()
        changes = {topic: topic in wanted for topic in sorted(wanted ^ listed)}
        if changes:
            await self._thread.run(_write, self._thread.journal, self._space, changes)
            self._listed = wanted


def _write(journal: Journal, space: str, changes: dict[str, bool]) -> None:
    batch = journal.batch()
    for topic, there in changes.items():
        batch.put(space, topic, {} if there else None)
    journal.commit(batch)


def _all_seen(snapshot: Snapshot) -> bool:
    """Whether the services of this snapshot are all there are: every engine answers."""
    return snapshot.status != "recovering" and bool(snapshot.engines) and all(one.up for one in snapshot.engines)


def _since(before: float | None, holds: bool, now: float) -> float | None:
    return (now if before is None else before) if holds else None


def _lasted(since: float | None, now: float) -> bool:
    return since is not None and now - since >= SETTLED
