"""The traces of memory that the forecast is judged by: 256 GiB, made anew each time, the same each time.

The nine of the reference (leaks, loads, a heap with a garbage collector, a cache, noise) and some that fool simple
rules. `play` goes through one reading by reading, as the core does, and tells what was said when.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from supervisor.facts import GroupMemory, HostReading, MemoryBudget, ServiceMemory
from supervisor.memory.budget import budget_of, reserve_of
from supervisor.memory.foresight import Foresight, foresee

GIB, MIB = float(1 << 30), float(1 << 20)
TOTAL = 256 * GIB
HORIZON = 900.0
AT = 1_760_000_000.0


@dataclass(frozen=True)
class Part:
    """One service of a trace. `plan` in bytes, 0 for none; `loading` until that second."""

    plan: float = 0.0
    begins: float = 0.0
    ends: float = math.inf
    loading: float = 0.0
    priority: int = 0


@dataclass(frozen=True)
class Instant:
    """What the machine held at one instant. Sizes in bytes."""

    used: Mapping[str, float]
    swapped: Mapping[str, float] = field(default_factory=dict)
    foreign: float = 4 * GIB
    cache: float = 0.0
    """page cache, which MemAvailable counts as free but for a small part"""


@dataclass(frozen=True)
class Trace:
    """A story: what each service holds at second t. `every`: seconds between two readings."""

    parts: Mapping[str, Part]
    at: Callable[[float], Instant]
    seconds: float
    every: float = 5.0
    swap: float = 0.0
    total: float = TOTAL
    reserve: float | None = None

    def instants(self) -> Iterator[float]:
        """Its readings."""
        for number in range(int(self.seconds / self.every) + 1):
            yield number * self.every

    def sums(self, t: float) -> MemoryBudget:
        """The budget of one reading, without any forecast."""
        now = self.at(t)
        groups = {
            name: GroupMemory(anon=size - now.swapped.get(name, 0.0), swap=now.swapped.get(name, 0.0))
            for name, size in now.used.items()
        }
        held = now.foreign
        swapped = 0.0
        for group in groups.values():
            held += group.resident
            swapped += group.swap
        memory = {
            "MemTotal": self.total,
            "MemAvailable": max(0.0, self.total - held - 0.02 * now.cache),
            "SwapTotal": self.swap,
            "SwapFree": max(0.0, self.swap - swapped),
        }
        parts = []
        for name in sorted(self.parts):
            part, used = self.parts[name], now.used.get(name, 0.0)
            running = part.begins <= t < part.ends
            parts.append(
                ServiceMemory(
                    name,
                    part.plan,
                    "declared" if part.plan else "",
                    used=used if running else 0.0,
                    resident=groups[name].resident if running and name in groups else 0.0,
                    swap=groups[name].swap if running and name in groups else 0.0,
                    running=running,
                    loading=running and t < part.loading,
                    priority=part.priority,
                )
            )
        reading = HostReading(memory, groups)
        return budget_of(reading, parts, reserve_of(self.total, self.reserve), 0.0, AT + t)


@dataclass
class Seen:
    """What was said: each list holds seconds of the trace."""

    spent: float = math.inf
    """when nothing was left of RAM (the kernel would kill)"""
    ram: list[tuple[float, bool]] = field(default_factory=list)
    """when it became certain that RAM ends (True), or was so no more"""
    swap: list[tuple[float, bool]] = field(default_factory=list)
    culprits: list[tuple[float, str]] = field(default_factory=list)
    """when somebody else was named, '' for nobody any more"""
    budgets: dict[float, MemoryBudget] = field(default_factory=dict)

    @property
    def alarms(self) -> int:
        """How often it became certain that RAM ends."""
        return len([at for at, on in self.ram if on])

    @property
    def first(self) -> float:
        """When it became certain first; infinite for never."""
        return next((at for at, on in self.ram if on), math.inf)

    @property
    def lead(self) -> float:
        """Seconds from the first alarm to the end."""
        return self.spent - self.first

    @property
    def blamed(self) -> set[str]:
        """Everybody who was named."""
        return {name for _at, name in self.culprits if name}


def play(trace: Trace) -> Seen:
    """Go through a trace."""
    seen, state = Seen(), Foresight()
    before: MemoryBudget | None = None
    for t in trace.instants():
        state, made = foresee(state, trace.sums(t), 1000.0 + t, HORIZON)
        seen.budgets[t] = made
        for place, changes in enumerate((seen.ram, seen.swap)):
            was = before is not None and before.exhaustion[place].certain
            if made.exhaustion[place].certain != was:
                changes.append((t, not was))
        if made.culprit != (before.culprit if before is not None else ""):
            seen.culprits.append((t, made.culprit))
        if made.available <= 0 and math.isinf(seen.spent):
            seen.spent = t
        before = made
    return seen


def noise(t: float, size: float) -> float:
    """The same scatter each time, within +-size: no generator, so that a reading is a function of its second."""
    found = math.sin(12.9898 * t + 78.233) * 43758.5453
    return size * (2 * (found - math.floor(found)) - 1)


def tooth(t: float, size: float, period: float) -> float:
    """A heap that is filled and cleaned up again: 0 to `size` within each period."""
    return size * (t % period) / period


def still(parts: Mapping[str, float], **more: float) -> Mapping[str, float]:
    """What holds still."""
    return {**parts, **more}


# ------------------------------------------------------------ the nine of the reference


def leak(rate: float, left: float, *, plan: float = 4 * GIB, calm: float = 300.0, every: float = 5.0) -> Trace:
    """A sidecar that leaks so many bytes per second beside a model that fills the box but for `left`."""
    model = TOTAL - left - 8 * GIB

    def at(t: float) -> Instant:
        grown = max(0.0, t - calm) * rate
        used = {"model": model + noise(t, 100 * MIB), "sidecar": 4 * GIB + grown}
        return Instant(used)

    parts = {"model": Part(model + GIB), "sidecar": Part(plan)}
    return Trace(parts, at, calm + left / rate + 60, every)


def leak_on_teeth(every: float = 5.0) -> Trace:
    """20 MiB/s leak from a service whose heap is a sawtooth of 30 GiB in 60 s."""
    model = TOTAL - 100 * GIB

    def at(t: float) -> Instant:
        lost = max(0.0, t - 600) * 20 * MIB
        used = {"model": model, "java": 8 * GIB + tooth(t, 30 * GIB, 60) + lost}
        return Instant(used)

    return Trace({"model": Part(model + GIB), "java": Part(38 * GIB)}, at, 3720, every)


def load(size: float, room: float, *, plan: float | None = None, rate: float = 2 * GIB, every: float = 5.0) -> Trace:
    """A model of this size loads beside others that leave so much room."""
    others = TOTAL - room - 4 * GIB

    def at(t: float) -> Instant:
        used = {"others": others + noise(t, 50 * MIB)}
        if t >= 300:
            used["model"] = min(size, (t - 300) * rate) + noise(t + 1, 50 * MIB)
        return Instant(used, cache=min(100.0, max(0.0, t - 300)) * GIB)

    parts = {"others": Part(others + GIB), "model": Part(size if plan is None else plan, 300, loading=1200)}
    return Trace(parts, at, 900, every)


def hot_swap(every: float = 5.0) -> Trace:
    """A of 150 GiB goes, and B of 180 GiB takes its place, in 220 GiB."""
    others = TOTAL - 220 * GIB - 4 * GIB

    def at(t: float) -> Instant:
        used = {"others": others + noise(t, 50 * MIB)}
        if t < 320:
            used["a"] = 150 * GIB * min(1.0, (320 - t) / 20)
        if t >= 325:
            used["b"] = min(180 * GIB, (t - 325) * 2 * GIB)
        return Instant(used)

    parts = {
        "others": Part(others + GIB),
        "a": Part(150 * GIB, ends=320),
        "b": Part(180 * GIB, begins=322, loading=900),
    }
    return Trace(parts, at, 1200, every)


def teeth(left: float = 20 * GIB, period: float = 60.0, plan: float = 0.0, every: float = 5.0) -> Trace:
    """A heap of 30 GiB that is filled and cleaned up, nobody knows by how much; at its fullest so much is left."""
    model = TOTAL - left - 30 * GIB - 12 * GIB

    def at(t: float) -> Instant:
        return Instant({"model": model, "java": 4 * GIB + tooth(t, 30 * GIB, period)})

    return Trace({"model": Part(model), "java": Part(plan)}, at, 1800, every)


def cache_fills(every: float = 5.0) -> Trace:
    """A prefix cache of 60 GiB that saturates, planned with as the owner does."""
    model = 180 * GIB

    def at(t: float) -> Instant:
        filled = 60 * GIB * (1 - math.exp(-t / 300))
        return Instant({"model": model + filled + noise(t, 200 * MIB)})

    return Trace({"model": Part(model + 60 * GIB, loading=0)}, at, 3000, every)


def noisy(every: float = 5.0) -> Trace:
    """Nothing but steps of 3 GiB up and down."""

    def at(t: float) -> Instant:
        step = 3 * GIB * (round(noise(t // 45, 1.4)))
        return Instant({"model": 200 * GIB, "sidecar": 9 * GIB + step}, foreign=6 * GIB + noise(t, 100 * MIB))

    return Trace({"model": Part(201 * GIB), "sidecar": Part(0.0)}, at, 2100, every)


# ------------------------------------------------------------ what fools simple rules


def ramp(rate: float, left: float, *, every: float = 0.25, calm: float = 40.0, until: float = math.inf) -> Trace:
    """Calm, then a ramp of seconds; with `until` it stands still from then on (frozen)."""
    model = TOTAL - left - 8 * GIB

    def at(t: float) -> Instant:
        grown = max(0.0, min(t, until) - calm) * rate
        return Instant({"model": model + noise(t, 50 * MIB), "sidecar": 4 * GIB + grown})

    seconds = calm + left / rate + 2 if math.isinf(until) else until + 200
    return Trace({"model": Part(model + GIB), "sidecar": Part(4 * GIB)}, at, seconds, every)


def two_leakers() -> Trace:
    """Both are above their plan; b leaks three times as fast."""

    def at(t: float) -> Instant:
        grown = max(0.0, t - 300)
        return Instant({"model": 200 * GIB, "a": 4 * GIB + grown * 20 * MIB, "b": 4 * GIB + grown * 60 * MIB})

    return Trace({"model": Part(200 * GIB), "a": Part(4 * GIB), "b": Part(4 * GIB)}, at, 860)


def outside_grows() -> Trace:
    """A program outside of all containers takes 50 MiB/s."""

    def at(t: float) -> Instant:
        return Instant({"model": 200 * GIB}, foreign=4 * GIB + max(0.0, t - 300) * 50 * MIB)

    return Trace({"model": Part(200 * GIB)}, at, 1200)


def page_cache_burst() -> Trace:
    """A backup reads 40 GiB of files, and then a mapped model of 100 GiB is read again and again."""

    def at(t: float) -> Instant:
        cache = 40 * GIB if 300 < t < 400 else min(100.0, max(0.0, t - 500)) * GIB
        return Instant({"model": 200 * GIB}, cache=cache)

    return Trace({"model": Part(200 * GIB)}, at, 1200, 2.0)


def into_swap() -> Trace:
    """RAM is full but for 8 GiB, and a leak of 40 MiB/s goes on into 32 GiB of swap."""

    def at(t: float) -> Instant:
        grown = max(0.0, t - 300) * 40 * MIB
        return Instant({"model": 210 * GIB, "sidecar": 4 * GIB + grown}, {"sidecar": max(0.0, grown - 30 * GIB)})

    return Trace({"model": Part(210 * GIB), "sidecar": Part(4 * GIB)}, at, 1880, 10.0, swap=32 * GIB)


def plan_step() -> Trace:
    """Beside a box that holds still a service of 150 GiB is started, and takes nothing for ten minutes."""

    def at(t: float) -> Instant:
        return Instant({"model": 60 * GIB + noise(t, 50 * MIB), "big": 0.0})

    return Trace({"model": Part(61 * GIB), "big": Part(150 * GIB, begins=300, loading=900)}, at, 900)
