"""A journal in memory, a simulated broker and a pump between them, for tests of the bus."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from supervisor.bus.messages import availability
from supervisor.bus.pump import Pump
from supervisor.clock import ManualClock
from supervisor.facts import BusState, Fact, Snapshot
from supervisor.journal import Journal, JournalThread, Row
from supervisor.lab.broker import SimBrokerWorld
from supervisor.lab.loop import SimLoop

HOST = "box"


def snapshot(**changes: Any) -> Snapshot:
    """A quiet daemon on `box`."""
    base: dict[str, Any] = {
        "at": 1_760_000_000.0,
        "mono": 0.0,
        "rev": 1,
        "host": HOST,
        "version": "0.1.0",
        "epoch": "e",
        "seq": 1,
        "started_at": 1_760_000_000.0,
        "mode": "heal",
        "status": "ok",
    }
    return Snapshot(**{**base, **changes})


class BusHouse:
    """Everything around one pump, on a virtual clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.loop = SimLoop(self.clock)
        self.journal = Journal.open(None, self.clock)
        self.thread = JournalThread(self.journal)
        self.world = SimBrokerWorld(will=availability(HOST, online=False))
        self.facts: list[BusState] = []
        self.handed = True
        self.pump: Pump

    def submit(self, fact: Fact) -> None:
        assert isinstance(fact, BusState)
        self.facts.append(fact)

    def play(self, story: Callable[["BusHouse"], Awaitable[None]]) -> None:
        """Run a story with the pump going, and close the pump after it."""
        self.loop.run_until_complete(self._play(story))

    async def _play(self, story: Callable[["BusHouse"], Awaitable[None]]) -> None:
        self.pump = Pump(self.thread, self.world, self.clock, HOST, self.submit, broker="mqtt://sim")
        running = asyncio.ensure_future(self.pump.run())
        try:
            await story(self)
        finally:
            await self.pump.close()
        assert running.done()
        await asyncio.gather(running, return_exceptions=True)

    def write(
        self, count: int = 1, kind: str = "alert.firing", public: bool = True, at: float | None = None
    ) -> list[Row]:
        """Commit rows and knock, as the core does after a turn."""
        rows = []
        for _ in range(count):
            batch = self.journal.batch()
            batch.row(kind, "oracle", {"alert": {"labels": {"alertname": "X"}}}, at or self.clock.wall(), public)
            self.journal.commit(batch)
            rows += batch.rows
            if hasattr(self, "pump"):
                self.pump.knock(batch.rows if self.handed else ())
        return rows

    def states(self) -> dict[str, int]:
        """The journal's delivery counts."""
        return self.journal.delivery_counts()
