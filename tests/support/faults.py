"""A core that listens to the real log of the kernel for faults of GPUs, without an engine and without a GPU."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.core import Core
from supervisor.core.assembling import assemble
from supervisor.core.standing import Loaded
from supervisor.facts import GpuCard, GpuReading, Readings, XidSeen
from supervisor.journal import Journal, JournalThread, Row
from supervisor.kernel.log import KernelLog
from supervisor.signals.gpu.faults import GpuFaults
from tests.support.rules import ruleset

BUS, UUID = "00000000:f7:00.0", "GPU-77777777-0000-4000-8000-000000000007"
"""of a card that no machine of a test has"""
DEADLINE = 120.0


class NoDriver:
    """What is told to let go."""

    held, running = "", False

    def hold(self, why: str) -> None:
        self.held = why

    def resume(self) -> None:
        self.held = ""

    def listen(self, heard: Any) -> None:
        """It tells nothing."""

    async def events(self, on: bool) -> str:
        return ""


class Listening:
    """The core, its ears, and what it wrote down."""

    def __init__(self, rules: Sequence[str], owners: dict[int, str], path: Path | None) -> None:
        self.clock = SystemClock()
        settings = Settings.model_validate({"host": "sim", "consent": "listed"})
        self.journal = Journal.open(path, self.clock)
        self.thread = JournalThread(self.journal)
        decider = assemble(Loaded(settings, ruleset(*rules), ()), self.journal, self.clock, machine="boot-1")
        self.rows: list[Row] = []
        self.facts: list[XidSeen] = []
        self.core = Core(decider, self.journal, self.thread, self, self.clock)
        self.log, self.driver = KernelLog(self.clock), NoDriver()
        self._moved = asyncio.Event()
        owner_of: Callable[[int], str] = lambda pid: owners.get(pid, "")  # noqa: E731 - a line, not a function
        self.faults = GpuFaults(self.log, self.driver, owner_of, self._submit, self.clock, lambda: decider.loaded.xids)

    def _submit(self, fact: Any) -> None:
        self.facts.append(fact)
        self.core.submit(fact)
        self._moved.set()

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait for that; a limit says only that something hangs."""
        async with asyncio.timeout(DEADLINE):
            while not happened():
                self._moved.clear()
                await self._moved.wait()

    async def until_foreign(self, count: int) -> None:
        """Wait until so many messages of processes were read from the log; whoever reads it is not told of them."""
        async with asyncio.timeout(DEADLINE):
            while self.log.foreign < count:
                await asyncio.sleep(0.005)

    def fires(self, name: str) -> bool:
        """Whether an alert of that name fires."""
        return any(alert.name == name and alert.state == "firing" for alert in self.core.snapshot.alerts)

    # effects of a turn
    def drill(self, text: str, until: float) -> None:
        self.faults.drill(text, until)

    def publish(self, rows: Sequence[Row]) -> None:
        self.rows.extend(rows)
        self._moved.set()

    def show(self, _snapshot: Any) -> None:
        self._moved.set()

    def start(self, *_: Any) -> None: ...
    def end(self, *_: Any) -> None: ...
    def notice(self, *_: Any) -> None: ...
    def resweep(self, *_: Any) -> None: ...
    def remember(self) -> None: ...
    def prune(self, _now: float) -> None: ...
    def alive(self) -> None: ...


@asynccontextmanager
async def listening(
    *rules: str, owners: dict[int, str] | None = None, path: Path | None = None
) -> AsyncIterator[Listening]:
    """A core that runs, knows one card, and reads the kernel's log. `path`: of its journal, None for memory."""
    made = Listening(rules, owners or {}, path)
    why = made.log.open()
    assert why is None, why
    running = asyncio.create_task(made.core.run())
    wall, mono = made.clock.wall(), made.clock.mono()
    card = GpuCard(7, UUID, BUS, "NVIDIA Drill", total=1 << 36, free=1 << 35)
    made.core.submit(Readings(wall, mono, "gpu", (), gpu=GpuReading((card,))))
    await made.until(lambda: made.core.snapshot.gpus is not None and made.core.snapshot.gpus.cards)
    try:
        yield made
    finally:
        made.core.stop()
        made.log.close()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        made.thread.close()
        made.journal.close()


def write(text: str, priority: int = 12) -> None:
    """One line into the kernel's log, as any process with the right may. The kernel marks it as a process's."""
    number = os.open("/dev/kmsg", os.O_WRONLY)
    try:
        os.write(number, f"<{priority}>{text}\n".encode())
    finally:
        os.close(number)
