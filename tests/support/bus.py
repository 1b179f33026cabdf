"""A journal in memory, a simulated broker and a pump between them, for tests of the bus."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from supervisor.bus.delivery.pump import Pump
from supervisor.bus.messages import availability
from supervisor.clock import ManualClock
from supervisor.facts import BusState, Fact, Gathered, Json, Snapshot
from supervisor.journal import Journal, JournalThread, Row
from supervisor.lab.broker import SimBrokerWorld, Subscriber
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


def events(subscriber: Subscriber, kind: str = "") -> list[Json]:
    """The events it got, in order, repeats included; `kind` is a beginning (`alert.`, `daemon.digest`)."""
    got = [json.loads(body) for body in subscriber.payloads("resurgam/box/event/")]
    return [event for event in got if event["type"].startswith(f"resurgam.{kind}")]


def seqs(subscriber: Subscriber, kind: str = "") -> list[int]:
    """Their journal numbers."""
    return [event["seq"] for event in events(subscriber, kind)]


class BusHouse:
    """Everything around one pump, on a virtual clock. It does for the pump what the core does: it writes the rows that
    tell of many, unless it is `deaf`. `options` go to the pump."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock()
        self.loop = SimLoop(self.clock)
        self.journal = Journal.open(None, self.clock)
        self.thread = JournalThread(self.journal)
        self.world = SimBrokerWorld(will=availability(HOST, online=False))
        self.facts: list[BusState] = []
        self.gathered: list[Gathered] = []
        self.handed = True
        self.deaf = False
        self.options = options
        self.pump: Pump

    def submit(self, fact: Fact) -> None:
        if isinstance(fact, Gathered):
            self.gathered.append(fact)
            if not self.deaf:
                asyncio.get_running_loop().call_soon(self.tell, fact)
            return
        assert isinstance(fact, BusState)
        self.facts.append(fact)

    def tell(self, fact: Gathered) -> None:
        """Write the row that a pile asks for."""
        self.row(f"daemon.{fact.what}", {**fact.body, "pile": fact.pile}, subject="daemon")

    def play(self, story: Callable[["BusHouse"], Awaitable[None]]) -> None:
        """Run a story with the pump going, and close the pump after it."""
        self.loop.run_until_complete(self._play(story))

    async def _play(self, story: Callable[["BusHouse"], Awaitable[None]]) -> None:
        running = self.begin()
        try:
            await story(self)
        finally:
            await self.pump.close()
        await asyncio.gather(*self.running, return_exceptions=True)
        assert running.done()

    def begin(self) -> "asyncio.Task[None]":
        """Start a pump: the one of the next process, where there was one."""
        self.pump = Pump(self.thread, self.world, self.clock, HOST, self.submit, broker="mqtt://sim", **self.options)
        self.running = [asyncio.ensure_future(self.pump.run())]
        return self.running[0]

    async def kill(self) -> None:
        """What SIGKILL leaves: what was committed. The next pump starts at once."""
        self.running[0].cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        image = self.journal.image()
        self.journal.close()
        self.journal = Journal.open(None, self.clock, image=image)
        self.thread = JournalThread(self.journal)
        self.world.cut()
        self.begin()

    def write(
        self, count: int = 1, kind: str = "alert.firing", public: bool = True, at: float | None = None
    ) -> list[Row]:
        """Commit rows about many different things, and knock."""
        rows = []
        for _ in range(count):
            about = {"labels": {"alertname": "X"}, "fingerprint": f"f{self.journal.last_seq}"}
            rows += self.row(kind, {"alert": about}, public=public, at=at)
        return rows

    def alert(self, what: str, mark: str, severity: str = "warning") -> Row:
        """Commit an alert's row (`firing` | `resolved`), and knock."""
        about = {"labels": {"alertname": mark.upper(), "severity": severity}, "fingerprint": mark}
        return self.row(f"alert.{what}", {"alert": about})[0]

    def row(
        self, kind: str, body: Json, *, subject: str = "oracle", public: bool = True, at: float | None = None
    ) -> list[Row]:
        """Commit one row and knock, as the core does after a turn."""
        batch = self.journal.batch()
        batch.row(kind, subject, body, at or self.clock.wall(), public)
        self.journal.commit(batch)
        if hasattr(self, "pump"):
            self.pump.knock(batch.rows if self.handed else ())
        return batch.rows

    def states(self) -> dict[str, int]:
        """The journal's delivery counts."""
        return self.journal.delivery_counts()
