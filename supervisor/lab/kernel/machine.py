"""The simulated machine: its control groups, its memory and swap, and what was counted.

From: sim.py, which owns one. To: reclaim.py (limits), files.py (what is shown) and
writes.py (what is written).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from supervisor.lab.kernel.group import SimGroup

Version = Literal[1, 2, "hybrid"]
Memory = Mapping[str, float] | Callable[[], Mapping[str, float]]
COUNTED = ("pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill")


@dataclass(frozen=True, slots=True)
class Death:
    """The simulated kernel killed a process."""

    container_id: str
    how: str
    """oom | kill (`cgroup.kill`)"""
    child: bool = False
    """a child of its main process: the container lives on"""
    limit_of: str = ""
    """the path of the control group whose limit was met; '' where it was the machine's own memory"""
    pid: int = 0
    process: str = ""


class SimMachine:
    """Everything of a simulated kernel but its time. `memory` is /proc/meminfo in bytes, or makes it."""

    def __init__(self, memory: Memory, version: Version, nodes: int, system: float) -> None:
        self._memory = memory
        self.version, self.nodes, self.system = version, nodes, system
        self.root = SimGroup("")
        self.groups: dict[str, SimGroup] = {"": self.root}
        self.declared = False
        """a load was declared: from then on what is available follows from the loads"""
        self.vmstat: dict[str, float] = dict.fromkeys(COUNTED, 0.0)
        self.log: list[str] = []
        """what the kernel log said of kills"""
        self.on_death: list[Callable[[Death], None]] = []
        """told of every kill; its memory is free by then"""
        self.on_freeze: list[Callable[[str, bool], None]] = []
        """told (container id, whether it is to stand still) whenever that changes"""

    def parent(self, path: str) -> SimGroup:
        """The group with this path; made where there is none."""
        if path not in self.groups:
            self.groups[path] = SimGroup(path, self.parent(path.rpartition("/")[0]))
        return self.groups[path]

    def find(self, container_id: str) -> SimGroup | None:
        """A container's group."""
        return next((one for one in self.groups.values() if one.container_id == container_id), None)

    def died(self, death: Death) -> None:
        """Tell of a kill."""
        for listener in tuple(self.on_death):
            listener(death)

    # ------------------------------------------------------------ the machine's memory

    @property
    def memory(self) -> Mapping[str, float]:
        """What /proc/meminfo was declared to be."""
        return self._memory() if callable(self._memory) else self._memory

    @property
    def room(self) -> float:
        """Bytes that containers can have."""
        return max(0.0, self.memory.get("MemTotal", 0.0) - self.system) if self.declared else math.inf

    def most(self, group: SimGroup) -> float:
        """What may be charged to a group; to the root: all there is."""
        return self.room if group is self.root else group.limit

    @property
    def swap_used(self) -> float:
        """Bytes in swap."""
        return self.root.total("swap")

    @property
    def swap_free(self) -> float:
        """Bytes of swap that nobody has."""
        return max(0.0, self.memory.get("SwapTotal", 0.0) - self.swap_used)

    def meminfo(self) -> Mapping[str, float]:
        """/proc/meminfo in bytes."""
        found = dict(self.memory)
        if not self.declared:
            return found
        of = {kind: self.root.total(kind) for kind in self.root.pages}
        found |= {
            "MemFree": max(0.0, self.room - self.root.charge),
            "MemAvailable": max(0.0, self.room - math.fsum(group.resident for group in self.root.below())),
            "Cached": of["file"] + of["locked"] + of["shmem"],
            "AnonPages": of["anon"],
            "Shmem": of["shmem"],
            "Mlocked": of["locked"],
            "Unevictable": of["locked"],
            "SReclaimable": of["slab"],
        }
        return found | ({"SwapFree": self.swap_free} if "SwapTotal" in found else {})
