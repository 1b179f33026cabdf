"""The samples of one label set, oldest first, and where they turned. What they are kept in is `store.py`.

Timestamps are integer milliseconds of unix time, values are floats; a *stale marker* ends a series without a gap.
"""

import math
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from supervisor.facts import STALE, Labels

_STALE_BITS = struct.pack("<d", STALE)

LOOKBACK = 300.0
"""Seconds for which the newest sample of a series speaks for it."""

METADATA = ("__name__", "__type__", "__unit__")
"""The labels that say what a value is a sample of: what is computed from it has them no more."""


def is_stale(value: float) -> bool:
    """Whether this is the stale marker (an ordinary NaN is not)."""
    return value != value and struct.pack("<d", value) == _STALE_BITS


def to_ms(seconds: float) -> int:
    """Unix seconds as the integer milliseconds that samples carry."""
    return round(seconds * 1000)


def newest_before(times: Sequence[int], ms: int) -> int:
    """Index of the newest timestamp not later than `ms`; -1 if there is none."""
    if times and times[-1] <= ms:
        return len(times) - 1
    return bisect_right(times, ms) - 1


class Turns:
    """Where a series turned: each sample that is lower than the one before it (or merely another, if `any_other`).

    Found once per sample, so that `rate` or `changes` over a window need not look at every sample of it each time.
    Stale markers are jumped over. A series that nobody asks for its turns pays nothing.
    """

    __slots__ = ("_before", "any_other", "at", "known", "lost")

    def __init__(self, any_other: bool) -> None:
        self.any_other = any_other
        self.at = array("q")
        """their positions, counted from the series' first sample ever"""
        self.lost = array("d")
        """the value before each"""
        self.known = 0
        """how many positions were looked at"""
        self._before = math.nan

    def learn(self, values: Sequence[float], gone: int) -> None:
        """Look at the samples that came since the last call; `gone` came before the first of `values`."""
        before = self._before
        for index in range(max(self.known - gone, 0), len(values)):  # most often there is one
            value = values[index]
            if value != value and (is_stale(value) or (self.any_other and before != before)):
                continue
            if value < before or (self.any_other and value != before):
                self.at.append(index + gone)
                self.lost.append(before)
            before = value
        self._before, self.known = before, gone + len(values)

    def count(self, low: int, high: int) -> int:
        """How many lie at positions after `low` and before `high`: those of a window whose first sample is at `low`."""
        return bisect_left(self.at, high) - bisect_right(self.at, low) if self.at else 0

    def between(self, low: int, high: int) -> Sequence[float]:
        """The values that were lost at these (see `count`), oldest first."""
        return self.lost[bisect_right(self.at, low) : bisect_left(self.at, high)] if self.at else ()

    def forget(self, gone: int) -> None:
        """Samples before this position are no longer kept."""
        count = bisect_left(self.at, gone)
        del self.at[:count]
        del self.lost[:count]


class Series:
    """The samples of one label set, oldest first. Read it freely; only the store writes to it."""

    __slots__ = (
        "_asked",
        "_changes",
        "_drops",
        "bare",
        "brought",
        "gone",
        "holes",
        "labels",
        "made",
        "name",
        "times",
        "values",
    )

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.bare: Labels = tuple(pair for pair in labels if pair[0] not in METADATA)
        """the labels without the name"""
        self.name = dict(labels).get("__name__", "")
        self.times = array("q")
        self.values = array("d")
        self.made = False
        """whether a rule writes it: it ends when the rule says so, not when the source of other series goes"""
        self.brought = False
        """whether others offered it (scrapes, text files)"""
        self.gone = 0
        """how many older samples it has forgotten: position = index + gone"""
        self.holes = array("q")
        """the positions of the stale markers in `values`: window readers skip the search where there is none"""
        self._drops: Turns | None = None
        self._changes: Turns | None = None
        self._asked = -(1 << 62)

    @property
    def live(self) -> bool:
        """Whether its newest sample is not a stale marker."""
        return bool(self.values) and not is_stale(self.values[-1])

    def put(self, ms: int, value: float, force: bool = False) -> bool:
        """Append one sample; False if it is older than what was already asked for. Several in one millisecond are
        spread over the next ones, so that a burst of events keeps every value."""
        if ms >= self._asked:
            self._asked = ms
        elif not force:
            return False
        times = self.times
        last = times[-1] if times else ms - 1
        times.append(ms if ms > last else last + 1)
        self.values.append(value)
        if value != value and is_stale(value):
            self.holes.append(self.gone + len(self.values) - 1)
        return True

    def cut(self, count: int) -> None:
        """Forget the oldest `count` samples."""
        del self.times[:count]
        del self.values[:count]
        self.gone += count
        if self.holes:
            del self.holes[: bisect_left(self.holes, self.gone)]
        for turns in (self._drops, self._changes):
            if turns is not None:
                turns.forget(self.gone)

    def trim(self, low: int, high: int) -> tuple[int, int, int]:
        """The samples [low, high) without the stale markers at either end, and how many markers are left inside."""
        holes, gone = self.holes, self.gone
        first, last = bisect_left(holes, low + gone), bisect_left(holes, high + gone)
        while first < last and holes[first] == low + gone:
            first, low = first + 1, low + 1
        while first < last and holes[last - 1] == high + gone - 1:
            last, high = last - 1, high - 1
        return low, high, last - first

    def drops(self, spend: Callable[[int], None]) -> Turns:
        """Where the value went down: the resets, if it is a counter. `spend` is told how many samples that takes."""
        turns = self._drops
        if turns is None:
            turns = self._drops = Turns(any_other=False)
        return turns if turns.known == self.gone + len(self.values) else self._learned(turns, spend)

    def changes(self, spend: Callable[[int], None]) -> Turns:
        """Where the value became another (from NaN to NaN is no change)."""
        turns = self._changes
        if turns is None:
            turns = self._changes = Turns(any_other=True)
        return turns if turns.known == self.gone + len(self.values) else self._learned(turns, spend)

    def _learned(self, turns: Turns, spend: Callable[[int], None]) -> Turns:
        """Where it turned, with the samples that it has not looked at yet."""
        spend(min(self.gone + len(self.values) - turns.known, len(self.values)))
        turns.learn(self.values, self.gone)
        return turns

    def since(self, ms: int) -> "Series":
        """A copy of its own, with the samples later than `ms` alone."""
        low = newest_before(self.times, ms) + 1
        copy = Series(self.labels)
        copy.times, copy.values = self.times[low:], self.values[low:]
        first = self.gone + low
        copy.holes = array("q", [hole - first for hole in self.holes if hole >= first])
        return copy

    def shift(self, ms: int) -> None:
        """Move every timestamp by `ms`."""
        self.times = array("q", [time + ms for time in self.times])
        self._asked += ms
