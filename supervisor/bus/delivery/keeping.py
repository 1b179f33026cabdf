"""Looks after what waits, as long as the process lives and whether a broker is there or not.

Every 10 s it looks whether too much waits (`shedding.py`) and whether the core must hear of it; in between it hands
in digests that are due and marks what was told (`piles.py`). Beside the connection, so that publishing waits for
none of it, except while the backlog is read through.
"""

import asyncio
from collections.abc import Awaitable, Callable

from supervisor.bus.delivery.catchup import catch_up
from supervisor.bus.delivery.line import Line
from supervisor.bus.delivery.piles import Piles
from supervisor.bus.delivery.reporting import Reporter
from supervisor.bus.delivery.sending import Sending
from supervisor.bus.delivery.shedding import Shedder
from supervisor.clock import Clock
from supervisor.errors import JournalError
from supervisor.journal import JournalThread

EVERY = 10.0
"""seconds between two looks at what waits"""
CATCH_UP = "catch up"
PATIENCE = 1.0
"""seconds until something is tried again that the journal would not do"""


class Keeper:
    """One task beside the pump."""

    def __init__(
        self,
        thread: JournalThread,
        clock: Clock,
        line: Line,
        sending: Sending,
        piles: Piles,
        shedder: Shedder,
        reporter: Reporter,
        stirred: asyncio.Event,
    ) -> None:
        """`stirred` is set when a pile wants attention."""
        self._thread, self._clock, self._line, self._stirred = thread, clock, line, stirred
        self._sending, self._piles, self._shedder, self._reporter = sending, piles, shedder, reporter
        self._reading = asyncio.Lock()
        self._look_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._stirred.clear()
            pause = 0.0
            try:
                await self.once()
            except JournalError:
                pause = PATIENCE  # the core tells of a lost journal
            except Exception:  # noqa: BLE001 - the edge of this loop: counted, and it goes on
                self._line.crashes += 1
                pause = PATIENCE
            now = self._clock.mono()
            due = self._piles.due()
            due = self._look_at if due is None else min(self._look_at, due)
            await self._sleep(max(pause, due - now))

    async def once(self) -> None:
        """One look. JournalError where the journal cannot be read or written."""
        await self._piles.work()
        now = self._clock.mono()
        if now >= self._look_at:
            self._look_at = now + EVERY
            await self._sending.flush()
            await self.shed()
            await self._reporter.again()

    async def shed(self) -> None:
        """Give up what is too much."""
        why = await self._shedder.broken(self._clock.wall(), self._clock.mono())
        if why:
            now, mono = self._clock.wall(), self._clock.mono()
            way, told = self._sending.under_way, self._sending.maybe_told
            await self._read_through("shed", lambda: self._shedder.shed(why, now, mono, way, told))

    async def catch_up(self) -> None:
        """A connection is back: let one digest tell of what is old."""
        way, told = self._sending.under_way, self._sending.maybe_told
        await self._read_through(CATCH_UP, lambda: catch_up(self._thread, self._clock, self._piles, way, told))

    async def _read_through(self, why: str, read: Callable[[], Awaitable[None]]) -> None:
        """Read the backlog through, while no new row is taken from it."""
        self._sending.pause(why)
        try:
            async with self._reading:
                await read()
        finally:
            self._sending.resume(why)

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless a pile wants attention meanwhile."""
        # not wait_for: it forgets that it was cancelled where the event is set at the same moment
        timer = asyncio.get_running_loop().call_later(max(seconds, 0.001), self._stirred.set)
        try:
            await self._stirred.wait()
        finally:
            timer.cancel()
