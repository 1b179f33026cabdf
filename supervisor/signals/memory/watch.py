"""The rhythm of looking at memory: the machine and every running container, in one reading.

From: kernel/host (or mac.py) and kernel/groups, at an interval that pace.py derives from what is left; sooner where
an edge asks for it. To: the core, as one Readings fact of the collector `host` per round, with the samples, the
HostReading and how each source is; and OomSeen where a counter of kills has gone up. Each source may fail alone.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from supervisor import units
from supervisor.clock import Clock
from supervisor.errors import UsageError
from supervisor.facts import (
    Container,
    EngineEvent,
    Fact,
    GroupMemory,
    HostReading,
    MemorySource,
    OomSeen,
    Readings,
    Sample,
    Snapshot,
)
from supervisor.kernel.host import Swap
from supervisor.kernel.tree import Tree
from supervisor.ports import Submit
from supervisor.signals.memory import series
from supervisor.signals.memory.groups import Followed
from supervisor.signals.memory.pace import LEAST, Margin, interval
from supervisor.signals.memory.series import EVERY

COLLECTOR = "host"
GAP = 0.05
"""seconds between two readings at least, however often edges ask"""
WOKEN = 5.0
"""times what a reading costs, and no sooner: of a hundred containers that stand at their limits each may ask for one"""
RARE = 2.0
"""seconds between two looks at what rarely changes: limits, fuses, swap areas"""
COSTS = 8
"""readings of which the cheapest tells what one costs: the others waited for something"""


class Machine(Protocol):
    """The memory of the machine itself: kernel/host, mac.py. Each raises UsageError where it cannot be had."""

    def meminfo(self) -> Mapping[str, float]: ...

    def vmstat(self) -> Mapping[str, float]: ...

    def pressure(self) -> tuple[float, float]: ...

    def swaps(self) -> tuple[Swap, ...]: ...

    def nodes(self) -> Mapping[int, tuple[float, float]]: ...


def in_memory(snapshot: Snapshot) -> tuple[Container, ...]:
    """The containers whose memory is looked at: those that run, or stand frozen (a paused one holds what it had)."""
    found = (service.container for service in snapshot.services)
    return tuple(one for one in found if one is not None and one.alive)


class Told(Protocol):
    """What the kernel tells by itself (signals/memory/edges): it calls `wake`."""

    def sources(self) -> Sequence[MemorySource]: ...


class MemoryWatch:
    """Reads memory for ever. `problem` says why there is nothing to read, '' while there is."""

    def __init__(
        self,
        machine: Machine,
        tree: Tree,
        submit: Submit,
        clock: Clock,
        containers: Callable[[], Iterable[Container]],
        every: float = EVERY,
        edges: Told | None = None,
        least: float = LEAST,
    ) -> None:
        """`containers`: those that run now; `every` and `least`: the longest and the shortest interval in seconds."""
        self._machine, self._submit, self._clock, self._containers = machine, submit, clock, containers
        self._every, self._least = every, least
        self.edges = edges
        self.problem = ""
        self.pause = every
        """seconds until the next reading"""
        self._groups = Followed(tree)
        self._bell = asyncio.Event()
        self._costs: deque[float] = deque(maxlen=COSTS)
        self._nodes: Mapping[int, tuple[float, float]] = {}
        self._at = self._full_at = self._rare_at = float("-inf")
        self._own: dict[str, MemorySource] = {}
        self._left: tuple[float, float, float] | None = None
        """(when, MemAvailable, SwapFree) of the last reading"""
        self._killed: float | None = None
        """the machine's counter of kills, in the round before"""
        self._ahead = 0
        """kills that groups counted in the round before and the machine's counter did not yet; 0 or less"""

    async def run(self) -> None:
        """Read, wait, read."""
        loop = asyncio.get_running_loop()
        while True:
            self.read()
            alarm = loop.call_later(self.pause, self._bell.set)
            try:
                await self._bell.wait()
            finally:
                alarm.cancel()
            early = self._at + max(GAP, WOKEN * min(self._costs, default=0.0)) - self._clock.mono()
            if early > 0:
                await asyncio.sleep(early)
            self._bell.clear()

    def wake(self) -> None:
        """Something happened: read soon."""
        self._bell.set()

    def heard(self, submit: Submit) -> Submit:
        """The same for who listens to an engine: where it says that a container ran out of memory, the counter of its
        group is read at once, which tells whether something of it was killed."""

        def told(fact: Fact) -> None:
            submit(fact)
            if isinstance(fact, EngineEvent) and fact.kind == "oom":
                self.wake()

        return told

    def sources(self) -> tuple[MemorySource, ...]:
        """How each way to hear about memory is. What is both read and watched by the kernel lives while both do."""
        found = dict(self._own)
        for one in self.edges.sources() if self.edges is not None else ():
            own = found.get(one.name)
            if own is not None:
                one = replace(one, live=own.live and one.live, text=f"{own.text} {one.text}", cure=own.cure or one.cure)
            found[one.name] = one
        return tuple(found.values())

    def read(self) -> None:
        """Read once and tell the core."""
        now = self._at = self._clock.mono()
        full = now - self._full_at >= self._every - LEAST / 2
        self._full_at = now if full else self._full_at
        try:
            memory = self._machine.meminfo()
        except (UsageError, OSError) as err:
            self.problem = str(err)
            self._own["meminfo"] = MemorySource("meminfo", False, self.problem)
            self.pause = self._every
            self._tell(None, [], full)
            return
        self.problem = ""
        self._own["meminfo"] = MemorySource("meminfo", True, "How much memory the machine has, and how much is left.")
        counters, stalls = self._counters(), self._stalls()
        rise = self._rise(counters)
        rare = now - self._rare_at >= min(RARE, self._every)
        if rare:
            self._rare_at = now
            self._seldom(memory)
        groups = self._read_groups(memory, now, rare or rise is None or rise > 0)
        self._tell_kills(rise)
        reading = HostReading(memory, groups, self._nodes)
        samples = series.machine(reading, counters, stalls, full=full)
        if full:
            samples += self._groups.samples()
        self._tell(reading, samples, full)
        self._set_pace(memory, now)

    # ------------------------------------------------------------ one source each

    def _counters(self) -> Mapping[str, float]:
        try:
            found = self._machine.vmstat()
        except (UsageError, OSError) as err:
            self._own["vmstat"] = MemorySource("vmstat", False, str(err))
            return {}
        self._own["vmstat"] = MemorySource("vmstat", True, "The kernel's counters of kills, swapping and page faults.")
        return found

    def _stalls(self) -> tuple[float, float] | None:
        try:
            return self._machine.pressure()
        except (UsageError, OSError):
            return None  # what the edges say of pressure says why

    def _seldom(self, memory: Mapping[str, float]) -> None:
        """What rarely changes."""
        if "PressureLevel" in memory:
            self._own["level"] = MemorySource("level", True, "The system's own word for how short memory is.")
        try:
            self._nodes = self._machine.nodes()
        except (UsageError, OSError):
            self._nodes = {}
        try:
            areas = self._machine.swaps()
        except (UsageError, OSError) as err:
            self._own["swaps"] = MemorySource("swaps", False, str(err))
            return
        shown = ", ".join(f"{units.plain(one.name, 64)} ({units.show_size(one.size)})" for one in areas)
        self._own["swaps"] = MemorySource("swaps", True, f"Swap: {shown}." if shown else "No swap is switched on.")

    def _read_groups(self, memory: Mapping[str, float], now: float, rare: bool) -> dict[str, GroupMemory]:
        running = tuple(self._containers())
        swapped = memory.get("SwapTotal", 0.0) > memory.get("SwapFree", 0.0)
        found = self._groups.read(running, now, rare=rare, swap=swapped, nodes=len(self._nodes) > 1)
        self._own["groups"] = self._groups.source()
        return found

    # ------------------------------------------------------------ kills

    def _rise(self, counters: Mapping[str, float]) -> int | None:
        """Kills on the machine since the round before; None where nobody counts them."""
        now, before = counters.get("oom_kill"), self._killed
        self._killed = now
        return None if now is None else max(0, int(now - before)) if before is not None else 0

    def _tell_kills(self, rise: int | None) -> None:
        """A kill stands in its group's counter and in the machine's; the group may be gone by now, and either may be
        read before the other counts."""
        at, mono, told = self._clock.wall(), self._clock.mono(), 0
        edges = self.edges.sources() if self.edges is not None else ()
        already = any(one.name == "events" and one.live for one in edges)  # the same counter, told once
        for container_id, kills in self._groups.kills:
            told += kills
            if not already:
                self._submit(OomSeen(at, mono, "events", container_id=container_id, kills=kills))
        if rise is None:
            return
        unknown, self._ahead = rise - told + self._ahead, min(0, rise - told)
        if unknown > 0:
            self._submit(OomSeen(at, mono, "vmstat", kills=unknown))

    # ------------------------------------------------------------ telling, and the rhythm

    def _tell(self, reading: HostReading | None, samples: list[Sample], full: bool) -> None:
        sources = self.sources()
        if full:
            samples += series.live(sources)
        at, mono = self._clock.wall(), self._clock.mono()
        self._submit(Readings(at, mono, COLLECTOR, tuple(samples), host=reading, sources=sources))

    def _set_pace(self, memory: Mapping[str, float], now: float) -> None:
        """From what is left, how fast it goes, and what a reading costs."""
        whole = memory.get("MemTotal", 0.0)
        left, swap = memory.get("MemAvailable", whole), memory.get("SwapFree", 0.0)
        going = (0.0, 0.0)
        if self._left is not None and now > self._left[0]:
            spent = now - self._left[0]
            going = ((self._left[1] - left) / spent, (self._left[2] - swap) / spent)
        self._left = (now, left, swap)
        margins = [Margin(left, whole, going[0], machine=True), *self._groups.margins()]
        if going[1] > 0:
            margins.append(Margin(swap, memory.get("SwapTotal", 0.0), going[1]))
        self._costs.append(self._clock.mono() - now)
        self.pause = max(self._least, interval(margins, self.pause, min(self._costs), self._every))
