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
from supervisor.core.asked import Asked
from supervisor.core.outside import Taken
from supervisor.facts import Command, Decision, Fact, Intent, Json, Labels, Outside, Snapshot
from supervisor.journal import Journal
from supervisor.rules.engine import RuleState
from supervisor.samples import Store
from supervisor.verdicts import Verdict, yes
from supervisor.web.control import Control
from tests.support.boxes import NOW, box
from tests.support.rules import Box, rule

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
        self.handed: list[Outside] = []
        """alerts from outside, by delivery"""
        self.verdicts: dict[str, Verdict] = {}
        self.rollout = 0
        """the rollout that every command begins"""
        self.series: list[tuple[Labels, float]] = [
            (series("resurgam_container_deaths_total", name="oracle"), 3.0),
            (series("node_memory_MemTotal_bytes"), 4e11),
        ]
        self.store = Store()
        self.questions = Asked(self.store, self.clock)
        self.states: list[tuple[str, RuleState]] = []
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
        if isinstance(fact, Outside):
            self.handed.append(fact)
            return Taken(len(fact.alerts), 0)
        assert isinstance(fact, Command)
        self.asked.append(fact)
        verdict = self.verdicts.get(fact.verb, yes("Plan 41 was started."))
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        steers = fact.verb in ("pause", "resume")
        return Decision(NOW, intent, verdict, 41 if verdict.ok and not steers else 0, self.rollout)

    async def next(self, rev: int) -> Snapshot:
        while self.snapshot.rev <= rev:
            self._newer.clear()
            await self._newer.wait()
        return self.snapshot

    async def read(self, fn: Callable[[Journal], T]) -> T:
        return fn(self.journal)

    def rule_states(self) -> list[tuple[str, RuleState]]:
        return self.states

    def metrics(self, now: float) -> Iterable[tuple[Labels, float]]:
        return self.series

    async def explain(self, word: str) -> Json:
        """One rule is known: HostMemoryHigh, which became pending half a minute ago."""
        rules = pending("HostMemoryHigh").reasons(word)
        return {"found": bool(rules), "rules": rules, "names": ["HostMemoryHigh"]}


def pending(name: str) -> Box:
    """A box whose one rule became true half a minute ago, as of now."""
    found = Box(rule("node_memory_MemTotal_bytes > 1", name=name, for_="5m"), start=NOW - 60)
    found.put(node_memory_MemTotal_bytes=0)
    found.wait(30)
    found.put(node_memory_MemTotal_bytes=4e11)
    found.wait(30)
    return found


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
def served(snapshot: Snapshot | None = None, **options: Any) -> Iterator[Served]:
    """A control socket on a loop in a thread; `options` are the Control's."""
    with short_folder() as folder:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        async def up() -> tuple[FakeHouse, Control]:
            house = FakeHouse(snapshot)
            control = Control(house, folder / "control.sock", **options)
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
