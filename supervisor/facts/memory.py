"""Memory: as the kernel tells it (`HostReading`), and as it was understood (`MemoryBudget`). All sizes are bytes.

A reading comes with a `Readings` fact of the collector `host`; the budget is part of the snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """The memory of one container, from its control group. 0 where the kernel does not tell."""

    anon: float = 0.0
    """its own pages: heap, stacks"""
    shmem: float = 0.0
    """shared memory and tmpfs; pinned host memory of a GPU program is here, too"""
    locked: float = 0.0
    """pages of files that cannot be given up (mlock); anonymous ones are in `anon` already"""
    kernel: float = 0.0
    """kernel memory charged to it, without what the kernel can give up"""
    swap: float = 0.0
    file: float = 0.0
    """page cache charged to it, mapped weights among it: the kernel can drop it, so it is nobody's use"""
    usage: float = 0.0
    """the kernel's own sum, page cache included"""
    limit: float = 0.0
    """0 for none"""
    high: float = 0.0
    """the fuse (memory.high); 0 for none"""
    oom_kills: float = 0.0
    """processes of it that the kernel killed for want of memory, since it began"""
    frozen: bool = False
    nodes: Mapping[int, float] = field(default_factory=dict)
    """NUMA node -> bytes on it; empty where there is one node only"""

    @property
    def resident(self) -> float:
        """What it holds in RAM and nobody else can have."""
        return self.anon + self.shmem + self.locked + self.kernel

    @property
    def used(self) -> float:
        """What counts against its plan: in RAM and in swap, never page cache."""
        return self.resident + self.swap


@dataclass(frozen=True, slots=True)
class HostReading:
    """What the kernel told at one instant."""

    memory: Mapping[str, float]
    """/proc/meminfo in bytes (of the control group that stands for the machine, where one does)"""
    groups: Mapping[str, GroupMemory] = field(default_factory=dict)
    """container id -> its memory; those that could not be read are left out"""
    nodes: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    """NUMA node -> (total, free); empty where there is one only"""


@dataclass(frozen=True, slots=True)
class MemorySource:
    """One way in which we hear about memory: whether it works here, and if not, why and what to do about it."""

    name: str
    """meminfo | vmstat | swaps | groups | pressure | thresholds | events | kernel-log | engine | level …"""
    live: bool
    text: str
    """one sentence: what it gives, or why it does not"""
    cure: str = ""
    """what a person can do about it; '' for nothing"""


@dataclass(frozen=True, slots=True)
class ServiceMemory:
    """One service in the budget."""

    service: str
    plan: float = 0.0
    """what it is to need at most; 0 where nobody knows"""
    source: str = ""
    """declared | learned | '' """
    used: float = 0.0
    resident: float = 0.0
    swap: float = 0.0
    limit: float = 0.0
    growth: float = 0.0
    """bytes per second over the short window; 0 while too little is known"""
    grew_from: float = 0.0
    """what it used at the beginning of that window"""
    grew_for: float = 0.0
    """seconds of that window"""
    loading: bool = False
    """it is not past its load: what it still has to take is expected"""
    running: bool = False
    frozen: bool = False
    fuse: float = 0.0
    """memory.high, if it is set"""
    nodes: Mapping[int, float] = field(default_factory=dict)
    priority: int = 0
    """higher is spared longer"""
    unread: bool = False
    """it runs, and nobody knows what it uses: its control group cannot be read"""
    plans: Mapping[str, float] = field(default_factory=dict)
    """image id -> what it is to need of that image, where nothing is declared and that was learned"""

    @property
    def over(self) -> float:
        """How far it is above its plan; 0 where it keeps to it, or has none."""
        return max(0.0, self.used - self.plan) if self.plan else 0.0

    @property
    def remaining(self) -> float:
        """What it still has to take by its plan."""
        return max(0.0, self.plan - self.used) if self.plan and self.running and not self.unread else 0.0

    @property
    def claim(self) -> float:
        """What it needs by its plan, or takes in fact where that is more: what no other can have."""
        return max(self.plan, self.used) if self.running else 0.0


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """When one kind of memory runs out. `seconds` is infinite while it does not."""

    resource: str
    """ram | swap"""
    seconds: float
    free: float
    """what is left now: for ram the effective available, for swap what is free of it"""
    rate: float
    """bytes per second at which it goes; 0 or less: it does not"""
    since: float = 0.0
    """unix seconds since when it is foreseen without a break; 0: it is not"""
    certain: bool = False
    """it was foreseen for long enough, measured by the time that is left: now it counts"""


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """The memory of the box: what there is, what is planned, what is used, and until when it lasts."""

    at: float
    total: float
    reserve: float
    """what services may not plan with: the system's own"""
    planned: float
    """the sum of the plans of everything that runs; of what has none, what it uses"""
    available: float
    """MemAvailable, as the kernel tells it"""
    effective: float
    """of that, what is left once everything that runs has taken what its plan says, and without the reserve"""
    swap_total: float = 0.0
    swap_free: float = 0.0
    swap_declared: float = 0.0
    exhaustion: tuple[Exhaustion, ...] = ()
    culprit: str = ""
    """the service that grew most of those above their plan, while exhaustion is foreseen; '' for none"""
    services: tuple[ServiceMemory, ...] = ()
    nodes: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    foreign: float = 0.0
    """what is in use and no service's: the system itself, and programs outside of containers"""
    text: str = ""
    """one sentence for people: who grew, from what to what, over which plan; '' while there is nothing to say"""

    @property
    def headroom(self) -> float:
        """What may still be planned; below 0 where more is planned than there is."""
        return self.total - self.reserve - self.planned

    def of(self, service: str) -> ServiceMemory | None:
        """One service's part."""
        return next((one for one in self.services if one.service == service), None)


@dataclass(frozen=True, slots=True)
class Hold:
    """Something we did to a running container that ends by itself: a fuse, or that it stands frozen."""

    service: str
    container_id: str
    kind: str
    """fuse | freeze"""
    until: float
    """unix seconds: it is released then at the latest"""
    before: str = ""
    """what the kernel's file said before, to be given back"""
    plan: int = 0
    why: str = ""
    since: float = 0.0
    """unix seconds: when it began"""
    engine: str = ""
    name: str = ""
    """the container's"""
    pid: int = 0
    """of its main process, by which the kernel finds it also where the engine does not answer"""
    started_at: float = 0.0
    """which run of the container it is, unix seconds: a later one is not held"""
