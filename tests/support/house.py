"""A house for the doors: a snapshot that can be replaced, a journal in memory, and answers said beforehand.

`FakeHouse` satisfies web.house.House. `served` runs a control socket on a loop of its own thread, for the blocking
command line client.
"""

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from supervisor.clock import ManualClock
from supervisor.facts import Command, Decision, Fact, Intent, Json, Labels, Snapshot
from supervisor.journal import Journal
from supervisor.verdicts import Verdict, yes
from supervisor.web.control import Control
from tests.support.boxes import NOW, box

T = TypeVar("T")


def series(metric: str, /, **pairs: str) -> Labels:
    """A label set; `name` may be among the labels."""
    return tuple(sorted({"__name__": metric, **pairs}.items()))


class FakeHouse:
    """What a door needs of a core. `verdicts` answer verbs; others are allowed with plan 41."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.journal = Journal.open(None, self.clock)
        self.snapshot = snapshot or box(seq=0)
        self.asked: list[Command] = []
        self.verdicts: dict[str, Verdict] = {}
        self.series: list[tuple[Labels, float]] = [
            (series("resurgam_container_deaths_total", name="oracle"), 3.0),
            (series("node_memory_MemTotal_bytes"), 4e11),
        ]
        self._newer = asyncio.Event()

    def happen(self, kind: str, subject: str, body: Json, public: bool = True, **changes: Any) -> int:
        """Journal a row and let the next snapshot know it."""
        batch = self.journal.batch()
        seq = batch.row(kind, subject, body, self.clock.wall(), public)
        self.journal.commit(batch)
        self.now(**changes)
        return seq

    def now(self, **changes: Any) -> None:
        """A new snapshot."""
        self.snapshot = replace(self.snapshot, rev=self.snapshot.rev + 1, seq=self.journal.last_seq, **changes)
        self._newer.set()

    async def ask(self, fact: Fact) -> Any:
        assert isinstance(fact, Command)
        self.asked.append(fact)
        verdict = self.verdicts.get(fact.verb, yes("Plan 41 was started."))
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        steers = fact.verb in ("pause", "resume")
        return Decision(NOW, intent, verdict, 41 if verdict.ok and not steers else 0)

    async def next(self, rev: int) -> Snapshot:
        while self.snapshot.rev <= rev:
            self._newer.clear()
            await self._newer.wait()
        return self.snapshot

    async def read(self, fn: Callable[[Journal], T]) -> T:
        return fn(self.journal)

    def metrics(self, now: float) -> Iterable[tuple[Labels, float]]:
        return self.series

    def explain(self, word: str) -> Json:
        parts = [
            {"expr": "node_memory_MemTotal_bytes > 1", "rows": [{"labels": {"a": "b"}, "value": 4e11}]},
            {"expr": "x", "rows": []},
        ]
        known = word == "HostMemoryHigh"
        rule = {"alert": word, "rule": "host.yaml:host:0", "expr": parts[0]["expr"], "parts": parts}
        return {"found": known, "rules": [rule] if known else []}


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a unix socket's name, which holds some 100 characters."""
    with tempfile.TemporaryDirectory(prefix="rg-") as name:
        yield Path(name)


class Served:
    """A control socket that answers; `do` runs something on its loop and waits for it."""

    def __init__(self, house: FakeHouse, socket: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.house, self.socket, self._loop = house, socket, loop

    def do(self, call: Callable[[], Any]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (call(), done.set()))
        assert done.wait(5)


@contextlib.contextmanager
def served(snapshot: Snapshot | None = None) -> Iterator[Served]:
    """A control socket on a loop in a thread."""
    with short_folder() as folder:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        async def up() -> tuple[FakeHouse, Control]:
            house = FakeHouse(snapshot)
            control = Control(house, folder / "control.sock")
            await control.start()
            return house, control

        house, control = asyncio.run_coroutine_threadsafe(up(), loop).result(5)
        try:
            yield Served(house, folder / "control.sock", loop)
        finally:
            asyncio.run_coroutine_threadsafe(control.close(), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)
            loop.close()
