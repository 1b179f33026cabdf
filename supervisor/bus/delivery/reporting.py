"""Tells the core how the message pump is: connected or not, how much waits, what became of messages.

In: the connection's state (from `pump.py`) and the journal's delivery counts. Out: a `BusState` fact when something
changed; of an outage that only grows, one every 10 s; and that nothing waits any more.
"""

from dataclasses import replace

from supervisor.bus.delivery.hearing import Hearing
from supervisor.bus.delivery.outbox import Outbox
from supervisor.clock import Clock
from supervisor.errors import JournalError
from supervisor.facts import BusState
from supervisor.journal import Backlog, JournalThread
from supervisor.ports import Submit

STEP = 100
"""messages more or less that wait are worth a report while we are connected"""
TELL_AGAIN = 10.0
"""seconds between two reports of an outage that only grows"""


class Reporter:
    """What the core was told last."""

    def __init__(
        self, thread: JournalThread, outbox: Outbox, clock: Clock, submit: Submit, name: str, hearing: Hearing
    ) -> None:
        """`name` is how the broker is called in sentences for people."""
        self._thread, self._outbox, self._clock, self._submit = thread, outbox, clock, submit
        self._name, self._hearing = name, hearing
        self._told: BusState | None = None

    async def report(self, connected: bool, text: str) -> None:
        """The connection is like this now."""
        now, told = self._clock.mono(), self._told
        known = told is not None and (told.connected, told.text) == (connected, text)
        if told is not None and known and (not told.waiting if connected else now - told.mono < TELL_AGAIN):
            return
        self._told = BusState(self._clock.wall(), now, connected, self._name, text)
        self._told = await self._counted(self._told)
        self._submit(self._told)

    async def again(self) -> None:
        """The same, if what became of messages is not as it was told."""
        told = self._told
        if told is None or self._clock.mono() - told.mono < TELL_AGAIN:
            return
        now = await self._counted(replace(told, at=self._clock.wall(), mono=self._clock.mono()))
        same = replace(now, at=told.at, mono=told.mono, waiting=told.waiting, oldest_at=told.oldest_at) == told
        grown = now.waiting // STEP != told.waiting // STEP
        over = bool(told.waiting) and not now.waiting
        if self._told is told and (grown or over or not same):
            self._told = now
            self._submit(now)

    async def _counted(self, state: BusState) -> BusState:
        try:
            counts = await self._outbox.counts()
            backlog = await self._thread.run(self._thread.journal.backlog)
        except JournalError:
            counts, backlog = {}, Backlog()
        return replace(
            state,
            waiting=counts.get("waiting", 0),
            oldest_at=backlog.since,
            unheard=counts.get("unheard", 0),
            dead=counts.get("dead", 0),
            shed=counts.get("shed", 0),
            digested=counts.get("digested", 0),
            critical_unheard=self._hearing.count,
            unheard_alerts=self._hearing.unheard,
            epoch=self._outbox.epoch,
        )
