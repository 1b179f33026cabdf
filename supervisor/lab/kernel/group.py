"""One simulated control group: its pages, its limits, its counters, and how its processes grow.

From: load.py (what the process does) and sim.py (time, reclaim, kills). To: text.py,
which shows it as the kernel's files.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from supervisor.lab.kernel.load import KINDS, Ramp, SimLoad

NEAR = 1.0
"""bytes: amounts that differ by less are the same"""
SOON = 1e-6
"""seconds: sums of floats may fall this short of an instant"""
THROTTLED = float(2**20)
"""bytes per second that a process still gets above memory.high, as measured"""
NOTHING = SimLoad()
EVENTS = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")


@dataclass
class Stall:
    """Pressure: how long somebody waited for memory, and the averages over 10, 60 and 300 seconds."""

    some: float = 0.0
    full: float = 0.0
    averages: dict[int, float] = field(default_factory=lambda: {10: 0.0, 60: 0.0, 300: 0.0})

    def go_by(self, seconds: float, share: float) -> None:
        """Time went by, and for `share` of it tasks waited."""
        self.some += seconds * share
        self.full += seconds * share * 0.8
        for window, average in self.averages.items():
            kept = math.exp(-seconds / window)
            self.averages[window] = average * kept + 100.0 * share * (1 - kept)


@dataclass(eq=False)
class SimGroup:
    """A control group. `path` begins with a slash, '' is the root. Sizes are bytes; infinity is no limit."""

    path: str
    parent: "SimGroup | None" = None
    container_id: str = ""
    pid: int = 0
    load: SimLoad = NOTHING
    limit: float = math.inf
    """memory.max, memory.limit_in_bytes"""
    high: float = math.inf
    swap_limit: float = math.inf
    """v2: of swap alone"""
    memsw: float = math.inf
    """v1: of memory and swap together"""
    score: int = 0
    """oom_score_adj of its processes"""
    words: tuple[str, ...] = ()
    """what a load can be declared for: its id, names, image, the best first"""
    children: list["SimGroup"] = field(default_factory=list)
    pages: dict[str, float] = field(default_factory=dict)
    age: float = 0.0
    """seconds its processes have run, without those in which they stood frozen"""
    cpu: float = 0.01
    """CPU seconds it uses each second"""
    freezers: dict[str, float] = field(default_factory=dict)
    """v1 | v2 -> since when it is told to stand still (monotonic seconds)"""
    throttled: bool = False
    stuck: bool = False
    """its limit is met, nothing can be taken and nobody may be killed"""
    peak: float = 0.0
    failures: int = 0
    refaults: float = 0.0
    events: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENTS, 0))
    stall: Stall = field(default_factory=Stall)
    stalled: float = 0.0
    """the share of time in which it waits for memory now"""

    def __post_init__(self) -> None:
        self.carry(self.load)
        if self.parent is not None:
            self.parent.children.append(self)

    def carry(self, load: SimLoad) -> None:
        """From now on it is so."""
        self.load, self.age = load, 0.0
        self.pages = {kind: float(getattr(load, kind)) for kind in KINDS}

    # ------------------------------------------------------------ what it has

    @property
    def own(self) -> float:
        """What is charged to it alone."""
        return math.fsum(self.pages[kind] for kind in KINDS if kind != "swap")

    @property
    def resident(self) -> float:
        """Of that, what the kernel cannot drop."""
        return self.own - self.pages["file"] - self.pages["slab"]

    def below(self) -> Iterator["SimGroup"]:
        """Itself and everything below it."""
        yield self
        for child in self.children:
            yield from child.below()

    def above(self) -> Iterator["SimGroup"]:
        """Itself and everything above it."""
        group: SimGroup | None = self
        while group is not None:
            yield group
            group = group.parent

    @property
    def charge(self) -> float:
        """What is charged to it and everything below."""
        return math.fsum(group.own for group in self.below()) if self.children else self.own

    def total(self, kind: str) -> float:
        """One kind of pages, of it and everything below."""
        return math.fsum(group.pages[kind] for group in self.below()) if self.children else self.pages[kind]

    def badness(self, whole: float) -> float:
        """How big it looks to the OOM killer, which was told to spare or prefer it in thousandths of `whole`. (Of page
        cache nothing is left by then.)"""
        seen = ("anon", "shmem", "locked", "swap")
        return math.fsum(self.pages[kind] for kind in seen) + self.score * whole / 1000

    # ------------------------------------------------------------ how it grows

    def told(self) -> bool:
        """It, or one above it, is told to stand still."""
        return any(group.freezers for group in self.above())

    def still(self, which: str, now: float) -> bool:
        """All its processes stand still because of this freezer (v1 | v2) of it or of one above."""
        return any(
            now - since >= self.load.stubborn
            for group in self.above()
            for name, since in group.freezers.items()
            if name == which
        )

    def active(self) -> Iterator[Ramp]:
        """The ramps that go on now."""
        for ramp in self.load.ramps:
            there = self.pages[ramp.of]
            ends = there >= ramp.upto - NEAR if ramp.rate > 0 else there <= max(0.0, _floor(ramp)) + NEAR
            if self.age >= ramp.after - SOON and not ends:
                yield ramp

    def rates(self) -> dict[str, float]:
        """Kind -> bytes per second, now."""
        if not self.load.ramps or self.told() or any(group.stuck for group in self.above()):
            return {}
        found: dict[str, float] = {}
        for ramp in self.active():
            found[ramp.of] = found.get(ramp.of, 0.0) + ramp.rate
        whole = math.fsum(found.values())
        if whole > THROTTLED and any(group.throttled for group in self.above()):
            found = {kind: rate * THROTTLED / whole for kind, rate in found.items()}
        return found

    def turn(self) -> float:
        """Seconds until it grows otherwise than now by itself: a ramp begins or ends."""
        rates = self.rates() if self.load.ramps else {}
        if not self.load.ramps or self.told():
            return math.inf
        ends = [math.inf, *(ramp.after - self.age for ramp in self.load.ramps if ramp.after > self.age + SOON)]
        for ramp in self.active():
            goal = ramp.upto if ramp.rate > 0 else _floor(ramp)
            if rates.get(ramp.of) and not math.isinf(goal):
                ends.append((goal - self.pages[ramp.of]) / rates[ramp.of])
        return max(SOON, min(ends))

    def go_by(self, seconds: float) -> None:
        """Let its processes run for so long; nothing is limited here."""
        told = self.told()
        goals = {ramp.of: ramp.upto if ramp.rate > 0 else _floor(ramp) for ramp in self.active()}
        for kind, rate in self.rates().items():
            there, goal = self.pages[kind] + rate * seconds, goals[kind]
            self.pages[kind] = goal if abs(goal - there) < NEAR else max(0.0, there)
        if not told:
            self.age += seconds
            self.refaults += max(0.0, self.load.hot - self.pages["file"]) / 4096 * seconds


def _floor(ramp: Ramp) -> float:
    return 0.0 if math.isinf(ramp.upto) else ramp.upto
