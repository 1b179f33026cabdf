"""Bounded waiting: when too much waits for a broker, the oldest info is given up, then the oldest warnings.

In: what waits (`backlog.py`) and the bounds. Out: a pile (`piles.py`) whose one row `daemon.shed` says how much
was given up, and how to have it all the same. Critical rows are never given up, and neither is the end of an alert
whose beginning people were told. Given up is a good piece at once, so that an outage of weeks makes few such rows.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from supervisor.bus.delivery.backlog import Brief, waiting
from supervisor.bus.delivery.flow import SUMMARIES
from supervisor.bus.delivery.piles import Piles
from supervisor.bus.delivery.sift import Sift
from supervisor.journal import Backlog, JournalThread

DAY = 86_400.0
ORDER = ("info", "warning")
"""what may be given up, in this order"""
PATIENCE = 600.0
"""seconds until we look again, where nothing could be given up"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait. What is over a bound is brought down to `keep` of it."""

    rows: int = 100_000
    size: int = 64 * 1024 * 1024
    """bytes"""
    age: float = 7 * DAY
    """seconds"""
    keep: float = 0.9

    def broken(self, backlog: Backlog, now: float) -> str:
        """Which bound is broken, in words; '' for none."""
        if backlog.rows > self.rows:
            return f"more than {self.rows} messages wait"
        if backlog.size > self.size:
            return f"more than {self.size // 2**20} MB of messages wait"
        if backlog.rows and backlog.since < now - self.age:
            return f"messages wait for more than {self.age / DAY:.0f} days"
        return ""


BOUNDS = Bounds()
"""unless a test says otherwise"""


@dataclass(slots=True)
class Choice:
    """How far of each severity is given up: everything up to a seq, oldest first."""

    bounds: Bounds
    backlog: Backlog
    now: float
    _rows: dict[str, "array[int]"] = field(default_factory=lambda: {name: array("q") for name in ORDER})
    _old: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ORDER, 0))
    """how many of them, from the oldest on, are too old"""

    def add(self, one: Brief) -> None:
        """A row that waits, in the order of seq."""
        if one.severity in self._rows and one.kind not in SUMMARIES:
            self._rows[one.severity].append(one.seq)
            if one.at < self.now - self.bounds.age * self.bounds.keep:
                self._old[one.severity] = len(self._rows[one.severity])

    def upto(self) -> dict[str, int]:
        """severity -> the last seq that is given up."""
        bounds, backlog, found = self.bounds, self.backlog, {}
        over = 0.0
        if backlog.rows > bounds.rows:
            over = backlog.rows - bounds.keep * bounds.rows
        if backlog.size > bounds.size:
            # rows are taken to be of one size; who is still over the bound is looked at again
            over = max(over, backlog.rows * (1 - bounds.keep * bounds.size / backlog.size))
        old = backlog.since < self.now - bounds.age
        for name in ORDER:
            rows = self._rows[name]
            count = min(len(rows), max(int(over), self._old[name] if old else 0))
            if count:
                found[name] = rows[count - 1]
                over -= count
        return found


class Shedder:
    """Looks whether too much waits, and gives some of it up."""

    def __init__(self, thread: JournalThread, piles: Piles, bounds: Bounds) -> None:
        self._thread, self._piles, self._bounds = thread, piles, bounds
        self._not_before = 0.0

    async def broken(self, now: float, mono: float) -> str:
        """Which bound is broken, '' for none, or if it is no use to look again yet."""
        if mono < self._not_before or self._piles.shedding:
            return ""
        return self._bounds.broken(await self._thread.run(self._thread.journal.backlog), now)

    async def shed(
        self, why: str, now: float, mono: float, skip: Callable[[int], bool], maybe_told: Callable[[Brief], bool]
    ) -> None:
        """Give up what must be. `skip`: rows that are under way; `maybe_told`: whether a row may have reached listeners
        all the same. JournalError where the journal cannot be read."""
        choice = Choice(self._bounds, await self._thread.run(self._thread.journal.backlog), now)
        async for one in waiting(self._thread, skip):
            choice.add(one)
        upto = choice.upto()
        sift = Sift(lambda one: one.seq <= upto.get(one.severity, 0), maybe_told, firing=True)
        async for one in waiting(self._thread, skip):
            sift.add(one)
        tally = sift.finish()
        if tally.seqs:
            self._piles.hand_in("shed", tally, "bounds", f"were given up, because {why} for a broker")
        else:
            self._not_before = mono + PATIENCE
