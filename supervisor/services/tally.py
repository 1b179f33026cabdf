"""Counting deaths: per container against the engine's RestartCount, per service for people and rules.

The registry tells it what it saw; series.py and the Service snapshot read it; the journal's space `tally` keeps it over
a restart. No death is counted twice: not when its event is repeated, late, or first noticed by a sweep.
"""

from dataclasses import dataclass, field

from supervisor.facts import Needs

CHAIN = 600.0
"""seconds: deaths with no longer gap belong together, and so long a run ends a streak"""
SLOW = 3600.0
"""seconds: deaths with no longer gap belong together where it was not well in between, by its own check"""
_BEFORE_START = 1.0
_KEPT_STAMPS = 32


def chain(needs: Needs, *, unwell: bool = False) -> float:
    """Seconds that tie two deaths together: longer for what takes long to load, or a slow loop would not be seen.
    `unwell`: by its own check it never got well in between."""
    return max(SLOW if unwell else CHAIN, 2 * needs.startup)


@dataclass(slots=True)
class Life:
    """How much of one container's RestartCount is accounted for.

    The engine adds one to RestartCount at every restart of its own and sets it to 0 at a start by hand. `base` is
    where we came in, `dies` how many deaths we know of since then. `early` of those were first seen in the count (at
    `asof`): their events may come late.
    """

    base: int = 0
    count: int = 0
    dies: int = 0
    early: int = 0
    asof: float = 0.0
    since: float = 0.0
    """engine time of the last start by hand: counts of runs before it say nothing any more"""
    run: float = 0.0
    """StartedAt when `count` was read"""
    recent: int = 0
    """deaths since the last inspect"""
    stamps: tuple[int, ...] = ()

    def died(self, when: float, stamp: int) -> bool:
        """A death. True if it is news: neither a repeat nor counted already."""
        if stamp in self.stamps:
            return False
        self.stamps = (*self.stamps, stamp)[-_KEPT_STAMPS:]
        if self.early and when <= self.asof:
            self.early -= 1
            return False
        self.dies += 1
        self.recent += 1
        return True

    def started_by_hand(self, when: float) -> None:
        """The engine counts from 0 again."""
        self.base = self.count = self.dies = self.early = self.recent = 0
        self.since = when

    def looked(self, count: int, started: float, at: float) -> int:
        """An inspect says `count` for the run that began at `started`. Returns how many deaths nobody saw."""
        if self.since and started < self.since - _BEFORE_START:
            return 0
        if count < self.count and started <= self.run:
            return 0  # an inspect that was overtaken by a later one
        if count < self.count:
            # A start by hand that we missed: what we saw since the last look is all that can belong to the new count.
            self.base, self.dies, self.early = 0, min(self.recent, count), 0
        self.count, self.run, self.recent = count, started, 0
        unknown = count - self.base - self.dies
        if unknown <= 0:
            return 0
        self.dies += unknown
        self.early += unknown
        self.asof = at
        return unknown


@dataclass(slots=True)
class Tally:
    """What a service has been through, over all its containers."""

    engine: str = ""
    series: dict[str, str] = field(default_factory=dict)
    """the labels of its series, for marking them stale once it is gone"""
    owned: bool = False
    """whether it was ours when last seen: a maneuver cut off between two names goes on after a restart"""
    deaths: int = 0
    restarts: int = 0
    ooms: int = 0
    streak: int = 0
    last_exit: int | None = None
    last_death_at: float = 0.0
    down: bool = False
    """it died and did not start again yet"""
    drift: str = ""
    trouble: str = ""
    """the cause people are told: a word of causes.py"""
    trouble_text: str = ""
    trouble_told: str = ""
    """the cause by the engine's word alone"""
    trouble_by: str = ""
    """who holds what it needs, where somebody is known"""
    trouble_at: float = 0.0
    gone_at: float = 0.0
    """when it lost its last container, 0 while it has one"""
    ran: bool = False
    """it ran when we last looked: where nobody says otherwise it is to run"""
    lives: dict[str, Life] = field(default_factory=dict)
    """by container id"""

    def died(self, number: int, at: float, code: int | None, chained: bool) -> None:
        """`number` deaths, the last at `at` (unix seconds); `chained` to those before, or the first of a new streak."""
        self.streak = self.streak + number if chained else number
        self.deaths += number
        self.last_death_at = max(self.last_death_at, at)
        if code is not None:
            self.last_exit = code
        if self.down:
            number += 1  # it must have started again to die again
        self.restarts += number - 1
        self.down = True

    def started(self) -> bool:
        """It runs (again). True if that follows a death."""
        if not self.down:
            return False
        self.restarts += 1
        self.down = False
        return True


def exit_signal(code: int | None) -> int:
    """The signal in an exit code (139 → 11); 0 for none."""
    return code - 128 if code is not None and 128 < code <= 192 else 0
