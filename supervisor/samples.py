"""What we remember: bounded series of samples, one per label set.

Readings (from signals and services, through the core) come in as transactions; rules read them back by matchers;
`/metrics` shows the newest ones; the recorder takes what is new since it last asked. Nothing here reads a clock.
Timestamps are integer milliseconds of unix time, values are floats; a *stale marker* ends a series without a gap.
"""

import struct
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from supervisor.facts import Labels, Sample
from supervisor.units import Matcher

_STALE_BITS = struct.pack("<Q", 0x7FF0000000000002)
STALE: float = struct.unpack("<d", _STALE_BITS)[0]
"""The stale marker: one particular NaN, the one Prometheus uses. Compare with `is_stale`, never with `==`."""

LOOKBACK = 300.0
"""Seconds for which the newest sample of a series speaks for it."""

_MARGIN = 60.0
_PRUNE_EVERY = 60_000
_LABEL_BYTES = 4096
_UNREAD = 200_000


def is_stale(value: float) -> bool:
    """Whether this is the stale marker (an ordinary NaN is not)."""
    return value != value and struct.pack("<d", value) == _STALE_BITS


def to_ms(seconds: float) -> int:
    """Unix seconds as the integer milliseconds that samples carry."""
    return round(seconds * 1000)


class Series:
    """The samples of one label set, oldest first. Read it freely; only the store writes to it."""

    __slots__ = ("_asked", "bare", "labels", "name", "stales", "times", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.bare: Labels = tuple(pair for pair in labels if pair[0] != "__name__")
        """the labels without `__name__`"""
        self.name = dict(labels).get("__name__", "")
        self.times = array("q")
        self.values = array("d")
        self.stales = 0
        """how many stale markers are in `values`: window readers skip the search where there is none"""
        self._asked = -(1 << 62)

    @property
    def live(self) -> bool:
        """Whether its newest sample is not a stale marker."""
        return bool(self.values) and not is_stale(self.values[-1])

    def put(self, ms: int, value: float, force: bool = False) -> bool:
        """Append one sample; False if it is older than what was already asked for. Several in one millisecond are
        spread over the next ones, so that a burst of events keeps every value."""
        if ms < self._asked and not force:
            return False
        self._asked = max(ms, self._asked)
        last = self.times[-1] if self.times else ms - 1
        self.times.append(ms if ms > last else last + 1)
        self.values.append(value)
        if value != value and is_stale(value):
            self.stales += 1
        return True

    def cut(self, count: int) -> None:
        """Forget the oldest `count` samples."""
        if self.stales:
            for value in self.values[:count]:
                self.stales -= is_stale(value)
        del self.times[:count]
        del self.values[:count]

    def shift(self, ms: int) -> None:
        """Move every timestamp by `ms`."""
        self.times = array("q", [time + ms for time in self.times])
        self._asked += ms


class Store:
    """All series. Bounded in series, in samples per series, in label bytes and in age."""

    def __init__(self, max_series: int = 20_000, max_points: int = 200_000) -> None:
        self.max_series, self.max_points = max_series, max_points
        self.newest = 0
        """the newest timestamp anywhere, in ms"""
        self.counts: dict[str, int] = {
            "samples_out_of_order": 0,
            "samples_refused_series": 0,
            "samples_refused_labels": 0,
            "samples_truncated": 0,
            "samples_unrecorded": 0,
        }
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, dict[Labels, Series]] = {}
        self._born: dict[str, int] = {}
        self._births = 0
        self._cache: dict[tuple[Matcher, ...], tuple[int, list[Series]]] = {}
        self._keep = to_ms(LOOKBACK + _MARGIN)
        self._pruned = 0
        self._unread: deque[tuple[Labels, int, float]] = deque()

    def __len__(self) -> int:
        return len(self._series)

    # ------------------------------------------------------------ writing

    def append(self, at: float, samples: Iterable[Sample]) -> tuple[Series, ...]:
        """One transaction at one timestamp (unix seconds). Answers the series that took a sample, in the order given;
        what was refused is in `counts`."""
        ms = to_ms(at)
        touched: list[Series] = []
        for sample in samples:
            series = self._series.get(sample.labels) or self._make(sample.labels)
            if series is None:
                continue
            if not series.put(ms, sample.value):
                self.counts["samples_out_of_order"] += 1
                continue
            self._took(series, touched)
        if ms - self._pruned >= _PRUNE_EVERY:
            self.prune(at)
        return tuple(touched)

    def stale(self, at: float, match: Mapping[str, str]) -> tuple[Series, ...]:
        """End every live series that has all these labels, now: its source is gone. Answers the series it ended."""
        ms = to_ms(at)
        wanted = [pair for pair in match.items() if pair[1]]
        name = match.get("__name__", "")
        pool = self._by_name.get(name, {}) if name else self._series
        touched: list[Series] = []
        for series in pool.values():
            if series.live and all(pair in series.labels for pair in wanted):
                series.put(ms, STALE, force=True)
                self._took(series, touched)
        return tuple(sorted(touched, key=lambda series: series.labels))

    def restore(self, rows: Iterable[tuple[Labels, int, float]]) -> int:
        """Take back samples kept earlier, in any order; those not newer than what a series has are left out. They are
        not handed to the recorder again. Answers how many were taken."""
        kept: dict[Labels, list[tuple[int, float]]] = {}
        for labels, ms, value in rows:
            kept.setdefault(labels, []).append((ms, value))
        count = 0
        for labels in sorted(kept):
            series = self._series.get(labels) or self._make(labels)
            if series is None:
                continue
            for ms, value in sorted(kept[labels], key=lambda point: point[0]):
                if not series.times or ms > series.times[-1]:
                    series.put(ms, value)
                    count += 1
            if series.times:
                self.newest = max(self.newest, series.times[-1])
        return count

    def shift(self, seconds: float) -> None:
        """The wall clock was set back by `-seconds`: move every sample along, so that ages stay true."""
        ms = to_ms(seconds)
        for series in self._series.values():
            series.shift(ms)
        self.newest += ms
        self._pruned += ms

    def _took(self, series: Series, touched: list[Series]) -> None:
        touched.append(series)
        time = series.times[-1]
        self.newest = max(self.newest, time)
        if len(self._unread) >= _UNREAD:
            self._unread.popleft()
            self.counts["samples_unrecorded"] += 1
        self._unread.append((series.labels, time, series.values[-1]))
        if len(series.times) > self.max_points:
            gone = self.max_points // 10 or 1
            series.cut(gone)
            self.counts["samples_truncated"] += gone

    def _make(self, labels: Labels) -> Series | None:
        """The series of a label set not seen in this very form before; None if it may not have one."""
        clean: Labels = tuple(sorted((name, value) for name, value in labels if value))
        if clean in self._series:
            return self._series[clean]
        if not _fits(clean):
            self.counts["samples_refused_labels"] += 1
            return None
        if len(self._series) >= self.max_series:
            self.counts["samples_refused_series"] += 1
            return None
        series = self._series[clean] = Series(clean)
        self._by_name.setdefault(series.name, {})[clean] = series
        self._changed(series.name)
        return series

    def _changed(self, name: str) -> None:
        self._births += 1
        self._born[name] = self._births

    # ------------------------------------------------------------ reading

    def select(self, matchers: tuple[Matcher, ...]) -> list[Series]:
        """Every series all matchers accept, ordered by labels. The list is shared: do not change it."""
        name = exact_name(matchers)
        stamp = self._births if name is None else self._born.get(name, 0)
        cached = self._cache.get(matchers)
        if cached is not None and cached[0] == stamp:
            return cached[1]
        pool = self._series if name is None else self._by_name.get(name, {})
        found = [pool[labels] for labels in sorted(pool) if all(matcher.matches(dict(labels)) for matcher in matchers)]
        if len(self._cache) > 5000:
            self._cache.clear()
        self._cache[matchers] = (stamp, found)
        return found

    def latest(self, now: float, lookback: float = LOOKBACK) -> Iterator[tuple[Labels, int, float]]:
        """The newest sample of every live series not older than `lookback` seconds, ordered by labels."""
        end = to_ms(now)
        for labels in sorted(self._series):
            series = self._series[labels]
            found = newest_before(series.times, end)
            if found < 0 or series.times[found] <= end - to_ms(lookback) or is_stale(series.values[found]):
                continue
            yield labels, series.times[found], series.values[found]

    def drain(self) -> list[tuple[Labels, int, float]]:
        """Every sample taken since the last call (labels, ms, value), in order of arrival: for the recorder."""
        rows = list(self._unread)
        self._unread.clear()
        return rows

    # ------------------------------------------------------------ bounds

    def keep(self, seconds: float) -> None:
        """How long samples are needed: what rules and playbooks look back to. Never less than the lookback."""
        self._keep = to_ms(max(seconds, LOOKBACK) + _MARGIN)

    @property
    def kept(self) -> float:
        """Seconds of samples kept."""
        return self._keep / 1000

    def prune(self, now: float) -> int:
        """Forget what is older than needed, and series that have nothing left. Answers how many series went."""
        self._pruned = to_ms(now)
        horizon = self._pruned - self._keep
        empty: list[Series] = []
        for series in self._series.values():
            if series.times and series.times[0] <= horizon:
                series.cut(bisect_right(series.times, horizon))
            if not series.times:
                empty.append(series)
        for series in empty:
            del self._series[series.labels]
            del self._by_name[series.name][series.labels]
            self._changed(series.name)
        return len(empty)


def _fits(labels: Labels) -> bool:
    """Whether the label set is within bounds and is text that can be written down and matched at all."""
    try:
        return len("".join(name + value for name, value in labels).encode()) <= _LABEL_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, as JSON lets people smuggle in
        return False


def newest_before(times: Sequence[int], ms: int) -> int:
    """Index of the newest timestamp not later than `ms`; -1 if there is none."""
    if times and times[-1] <= ms:
        return len(times) - 1
    return bisect_right(times, ms) - 1


def exact_name(matchers: tuple[Matcher, ...]) -> str | None:
    """The metric name these matchers ask for exactly; None if they do not name one."""
    for matcher in matchers:
        if matcher.name == "__name__" and matcher.op == "=" and matcher.value:
            return matcher.value
    return None
