"""Memory that gets scarce, told by the kernel: stall triggers, thresholds of limits (version 1), swap that changes.

From: kernel/pressure and watches. To: edges.py, as a call: read the memory now.
"""

import os
from collections.abc import Callable

from supervisor.clock import Clock
from supervisor.kernel import pressure
from supervisor.kernel.groups import NO_LIMIT, Place
from supervisor.kernel.host import SWAPS
from supervisor.kernel.tree import Tree
from supervisor.kernel.watches import Cannot, Ready, Urgent, group_events
from supervisor.signals.memory.sources import Groups, Key, PerGroup, Source

SHARES = (0.80, 0.90, 0.95)
"""of a container's limit: where its thresholds are"""
LIMITS = 5.0
"""seconds between two looks whether a limit was changed"""
CALM = 0.5
"""seconds in which the same threshold of the same container wakes nobody twice"""


class Pressure(PerGroup):
    """Stall triggers of the machine and of every container."""

    name = "pressure"

    def __init__(self, clock: Clock, wake: Callable[[], None], path: str = pressure.MACHINE) -> None:
        super().__init__(clock)
        self._wake, self._path = wake, path
        self._machine: Urgent | None = None
        self._spec = pressure.LADDER[-1]
        self._totals: dict[int, int] = {}

    def step(self, now: float, groups: Groups) -> None:
        if self._machine is None:
            made = pressure.arm(self._path)
            if isinstance(made, Cannot):
                self.off(made, now)
                return
            self._spec = made.spec
            self._machine = Urgent(made.number, self._happened, lambda why: self.off(why, self._clock.mono()))
        super().step(now, groups)
        self._cannot = None

    def arm(self, key: Key, place: Place) -> Ready | Cannot | None:
        if not place.unified:
            return None
        made = pressure.arm(f"{place.unified}/memory.pressure")
        return made if isinstance(made, Cannot) else Urgent(made.number, self._happened, self.lost(key))

    def close(self) -> None:
        super().close()
        if self._machine is not None:
            self._machine.close()
            self._machine = None
        self._totals.clear()

    def gives(self) -> str:
        spec = self._spec
        when = f"{spec.stall / 1000:.0f} ms of {spec.window / 1e6:g} s were lost waiting for memory"
        return f"Tells when {when}; the machine and {self.counted()}."

    def better(self) -> str:
        return (
            "" if self._spec == pressure.LADDER[0] else "With CAP_SYS_RESOURCE it tells within half a second, not two."
        )

    def _happened(self, number: int) -> bool:
        total = pressure.stalled(number)
        new = total != self._totals.get(number)
        self._totals[number] = total
        if new:
            self._wake()
        return new


class Thresholds(PerGroup):
    """Levels of a container's limit, on version 1."""

    name = "thresholds"

    def __init__(self, clock: Clock, wake: Callable[[], None], tree: Tree, root: str) -> None:
        super().__init__(clock)
        self._wake, self._tree, self._root = wake, tree, root
        self._limits: dict[Key, int] = {}
        self._looked = float("-inf")
        self._levels: dict[Key, int] = {}
        self._woke: dict[tuple[Key, int], float] = {}

    def step(self, now: float, groups: Groups) -> None:
        if now - self._looked >= LIMITS:
            self._looked = now
            for key, place in groups.items():
                if key in self.watches and self._limit(place) != self._limits.get(key):
                    self.drop(key)
        super().step(now, {key: place for key, place in groups.items() if place.version == 1})
        if not self.watches and self._cannot is None and not self._tree.exists(f"{self._root}/cgroup.event_control"):
            self._cannot = Cannot("Control groups have no thresholds here: version 2 has events and pressure instead.")

    def arm(self, key: Key, place: Place) -> Ready | Cannot | None:
        limit = self._limit(place)
        self._limits[key] = limit
        if not 0 < limit < NO_LIMIT:
            return None
        made = group_events(place.memory, "memory.usage_in_bytes", [str(level) for level in levels(limit)])
        if isinstance(made, Cannot):
            return made
        usage = f"{place.memory}/memory.usage_in_bytes"

        def happened(number: int) -> bool:
            os.eventfd_read(number)
            now = self._clock.mono()
            level = len([one for one in levels(limit) if int(self._tree.read(usage)) >= one])
            higher = level > self._levels.get(key, 0)
            self._levels[key] = level
            if higher and now - self._woke.get((key, level), float("-inf")) > CALM:
                self._woke[key, level] = now
                self._wake()
            return True

        return Ready(made, happened, self.lost(key))

    def dropped(self, key: Key) -> None:
        self._limits.pop(key, None)
        self._levels.pop(key, None)
        for level in range(len(SHARES) + 1):
            self._woke.pop((key, level), None)

    def gives(self) -> str:
        shares = ", ".join(f"{share * 100:.0f}" for share in SHARES)
        return f"Tells when a container takes {shares} % of its limit; {self.counted()} with a limit."

    def _limit(self, place: Place) -> int:
        try:
            return int(self._tree.read(f"{place.memory}/memory.limit_in_bytes"))
        except (OSError, ValueError):
            return 0


def levels(limit: int) -> tuple[int, ...]:
    """Where the thresholds of a limit are, in bytes."""
    return tuple(int(limit * share) for share in SHARES)


class Swaps(Source):
    """Swap that is added or taken away."""

    name = "swaps"

    def __init__(self, clock: Clock, wake: Callable[[], None], path: str = SWAPS) -> None:
        super().__init__()
        self._clock, self._wake, self._path = clock, wake, path
        self._watch: Urgent | None = None
        self._said = b""

    def step(self, now: float, groups: Groups) -> None:
        if self._watch is not None:
            return
        try:
            number = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._said = os.pread(number, 65_536, 0)
            self._watch = Urgent(number, self._happened, self._gone, dies=False)
        except OSError as err:
            self.off(Cannot(f"{self._path} cannot be watched ({err.strerror}); swap is read all the same."), now)
            return
        self._cannot = None

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def gives(self) -> str:
        return "Tells at once when swap is added or taken away."

    def _gone(self, why: Cannot) -> None:
        self.off(why, self._clock.mono())

    def _happened(self, number: int) -> bool:
        said = os.pread(number, 65_536, 0)
        new, self._said = said != self._said, said
        if new:
            self._wake()
        return new
