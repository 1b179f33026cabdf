"""What the kernel tells of memory by itself, without being asked: it has the memory read at once, and names who died.

From: kernel/pressure, watches and log, through levels.py and kills.py. To: `wake` (MemoryWatch reads now), and the core
as OomSeen. Everything is on the loop, no thread, no fork. Every source stands or falls alone: what fails is off with
its reason, and is tried again slowly.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from supervisor.clock import Clock
from supervisor.facts import Container, MemorySource
from supervisor.kernel.groups import ROOT, Place, find, standing
from supervisor.kernel.host import SWAPS
from supervisor.kernel.log import PATH, KernelLog
from supervisor.kernel.pressure import MACHINE
from supervisor.kernel.tree import KernelFiles, Tree
from supervisor.kernel.watches import Cannot
from supervisor.ports import Submit
from supervisor.signals.memory.kills import Events, Log
from supervisor.signals.memory.levels import Pressure, Swaps, Thresholds
from supervisor.signals.memory.sources import Key, Source

EVERY = 1.0
"""seconds between two looks at which containers there are"""
UNSEEN = 5.0
"""seconds until a container whose group could not be found is looked for again"""

Containers = Callable[[], Iterable[Container]]
"""the containers there are, whatever their state"""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the kernel's files are."""

    pressure: str = MACHINE
    swaps: str = SWAPS
    log: str = PATH
    groups: str = ROOT


class Edges:
    """Watches what the kernel tells by itself. `wake` is called at once when memory gets scarce somewhere; it may be
    called often. `log` is the kernel's log, for whoever else wants to listen."""

    def __init__(
        self,
        submit: Submit,
        clock: Clock,
        wake: Callable[[], None],
        containers: Containers,
        *,
        group: str = "",
        tree: Tree | None = None,
        paths: Paths = Paths(),
    ) -> None:
        """`group`: the path of a control group that stands for the machine (settings.memory.group)."""
        self._clock, self._wake, self._containers = clock, wake, containers
        self._tree: Tree = tree if tree is not None else KernelFiles()
        self._bell = asyncio.Event()
        self._root, self._group = paths.groups, group
        self._machine: dict[Key, Place] = {}
        """the group that stands for the machine, as one without an id"""
        self._groups: dict[Key, Place] = {}
        self._unseen: dict[Key, float] = {}
        self.log = KernelLog(clock, paths.log)
        every: tuple[Source, ...] = (
            Pressure(clock, wake, paths.pressure),
            Thresholds(clock, wake, self._tree, f"{paths.groups}/memory"),
            Events(clock, submit, wake, self._tree),
            Swaps(clock, wake, paths.swaps),
            Log(clock, submit, wake, self._tree, self.log),
        )
        self._sources = every if sys.platform.startswith("linux") else ()
        self._live: tuple[bool, ...] = ()
        self._seen: dict[Key, None] = {}
        """the containers there were at the last look"""
        self._unread, self._woke = False, float("-inf")
        """whether what one uses was never read (something may be decided about it at once), and when that woke last"""
        self._failed = 0

    def sources(self) -> tuple[MemorySource, ...]:
        """How each is, always the same ones in the same order; none where the kernel is not Linux."""
        return tuple(one.source() for one in self._sources)

    @property
    def faults(self) -> int:
        """Defects of our own: they put a source off, or kept a listener of the log from hearing."""
        return self._failed + self.log.faults

    def changed(self) -> None:
        """Something became known of containers: where one came or went, do not wait for the next look."""
        if self._running() != self._seen:
            self._bell.set()

    def _running(self) -> dict[Key, None]:
        """The containers that have processes."""
        return {Key(one.id, one.pid): None for one in self._containers() if one.pid > 0 and one.id}

    async def run(self) -> None:
        """Watch for ever; everything is let go of when it is cancelled."""
        try:
            while True:
                self._bell.clear()
                self.look()
                alarm = asyncio.get_running_loop().call_later(EVERY, self._bell.set)
                try:
                    await self._bell.wait()
                finally:
                    alarm.cancel()
        finally:
            for source in self._sources:
                source.close()
            self._tree.forget(place for groups in self._groups.values() for place in groups.folders())
            self._groups.clear()

    def look(self) -> None:
        """One round: what is new is watched, what is gone is let go of. Within a running loop. Where a source came or
        went, or a container came, whoever is woken reads it and tells people so."""
        now = self._clock.mono()
        groups = self._present(now)
        for source in self._sources:
            try:
                source.look(now, groups)
            except Exception as err:  # noqa: BLE001 - the edge of the loop: counted, told, and tried again
                self._failed += 1
                source.off(Cannot(f"It failed ({type(err).__name__}: {err}); it is tried again."), now)
        live = tuple(one.live for one in self.sources())
        new = self._unread and now - self._woke >= EVERY  # many may come and go all the time
        if new:
            self._unread, self._woke = False, now
        if new or live != self._live:
            self._live = live
            self._wake()

    def _present(self, now: float) -> dict[Key, Place]:
        """The groups of the containers that have processes."""
        keys = self._seen = self._running()
        for key in [key for key in self._groups if key not in keys]:
            self._tree.forget(self._groups.pop(key).folders())
        self._unseen = {key: until for key, until in self._unseen.items() if key in keys}
        for key in keys:
            if key in self._groups or now < self._unseen.get(key, now):
                continue
            place = find(self._tree, key.pid, key.container_id)
            if place is not None:
                self._groups[key] = place
                self._unread = True
            else:
                self._unseen[key] = now + UNSEEN
        if self._group and not self._machine:
            place = standing(self._tree, self._group, self._root)
            self._machine = {Key("", 0): place} if place is not None else {}
        return {**self._machine, **self._groups}
