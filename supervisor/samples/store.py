"""All series, found by their labels: bounded in series, in samples per series, in label bytes and in age.

Readings come in as transactions from the core, what rules write from the rule engine; both read it back by matchers,
`/metrics` shows the newest ones, and the recorder takes what is new since it last asked.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from supervisor.facts import STALE, Labels, Sample
from supervisor.samples.series import LOOKBACK, Series, is_stale, newest_before, to_ms
from supervisor.units import Matcher

_MARGIN = 60.0
_PRUNE_EVERY = 60_000
_LABEL_BYTES = 4096
_UNREAD = 200_000
_SELECTIONS = 5000


@dataclass(frozen=True, slots=True)
class _Selection:
    """What one set of matchers was found to mean. `births`, `deaths`: how many series had come and gone by then, of
    those it was looked for among; `seen`: how many there were."""

    births: int
    deaths: int
    seen: int
    found: list[Series]


class Store:
    """All series. Bounded in series, in samples per series, in label bytes and in age."""

    def __init__(self, max_series: int = 20_000, max_points: int = 200_000) -> None:
        self.max_series, self.max_points = max_series, max_points
        self.max_made = (max_series + 1) // 2
        self.max_brought = (max_series + 1) // 2
        """on top of the others: what is read elsewhere never keeps out what this machine says of itself"""
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
        self._died: dict[str, int] = {}
        """by metric, how many series came and went; '' is all of them"""
        self._made = 0
        """how many series rules write"""
        self._brought = 0
        """how many series others offered"""
        self._cleared = False
        """in this transaction room was made for what others offer"""
        self._selections: dict[tuple[Matcher, ...], _Selection] = {}
        self._keep = to_ms(LOOKBACK + _MARGIN)
        self._pruned = 0
        self._unread: deque[tuple[Labels, int, float]] = deque()

    def __len__(self) -> int:
        return len(self._series)

    # ------------------------------------------------------------ writing

    def append(
        self, at: float, samples: Iterable[Sample], made: bool = False, brought: bool = False
    ) -> tuple[Series, ...]:
        """One transaction at one timestamp (unix seconds). Answers the series that took a sample, in the order given;
        what was refused is in `counts`. `made`: rules write these series; they get half of the room at most, so that
        what they make never keeps out what is read. `brought`: others offered them; they have room of their own."""
        ms = to_ms(at)
        touched: list[Series] = []
        known, took = self._series, self._took
        self._cleared = False
        for sample in samples:
            labels, value = sample.labels, sample.value
            series = known.get(labels)
            if series is None:
                series = self._make(labels, made, brought)
                if series is None:
                    continue
            if not series.put(ms, value):
                self.counts["samples_out_of_order"] += 1
                continue
            if made and not series.made:
                series.made = True
                self._made += 1
            if brought and not series.brought:
                series.brought = True
                self._brought += 1
            touched.append(series)
            took(series)
        if ms - self._pruned >= _PRUNE_EVERY:
            self.prune(at)
        return tuple(touched)

    def stale(self, at: float, match: Mapping[str, str]) -> tuple[Series, ...]:
        """End every live series that has all these labels, now: its source is gone. Answers the series it ended. What
        rules made of such series they end themselves."""
        ms = to_ms(at)
        wanted = [pair for pair in match.items() if pair[1]]
        name = match.get("__name__", "")
        pool = self._by_name.get(name, {}) if name else self._series
        touched: list[Series] = []
        for series in pool.values():
            if series.live and not series.made and all(pair in series.labels for pair in wanted):
                series.put(ms, STALE, force=True)
                touched.append(series)
                self._took(series)
        return tuple(sorted(touched, key=lambda series: series.labels))

    def restore(
        self, rows: Iterable[tuple[Labels, int, float]], brought: Callable[[str], bool] = lambda _name: False
    ) -> int:
        """Take back samples kept earlier, in any order; those not newer than what a series has are left out. They are
        not handed to the recorder again. `brought`: tells by a metric's name whether others offered it. Answers how
        many were taken."""
        kept: dict[Labels, list[tuple[int, float]]] = {}
        for labels, ms, value in rows:
            kept.setdefault(labels, []).append((ms, value))
        count = 0
        for labels in sorted(kept):
            others = brought(dict(labels).get("__name__", ""))
            series = self._series.get(labels) or self._make(labels, brought=others)
            if series is None:
                continue
            if others and not series.brought:
                series.brought = True
                self._brought += 1
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

    def _took(self, series: Series) -> None:
        """A series took a sample: for the recorder, and within bounds. Done for every sample there is."""
        times = series.times
        time = times[-1]
        if time > self.newest:
            self.newest = time
        unread = self._unread
        if len(unread) >= _UNREAD:
            unread.popleft()
            self.counts["samples_unrecorded"] += 1
        unread.append((series.labels, time, series.values[-1]))
        if len(times) > self.max_points:
            gone = self.max_points // 10 or 1
            series.cut(gone)
            self.counts["samples_truncated"] += gone

    def _make(self, labels: Labels, made: bool = False, brought: bool = False) -> Series | None:
        """The series of a label set not seen in this very form before; None if it may not have one."""
        clean: Labels = tuple(sorted((name, value) for name, value in labels if value))
        if clean in self._series:
            return self._series[clean]
        if not _fits(clean):
            self.counts["samples_refused_labels"] += 1
            return None
        if self._full(made, brought):
            self.counts["samples_refused_series"] += 1
            return None
        series = self._series[clean] = Series(clean)
        self._by_name.setdefault(series.name, {})[clean] = series
        self._count(self._born, series.name)
        return series

    def _full(self, made: bool, brought: bool) -> bool:
        """Whether there is no room for one more series of this kind."""
        if brought:
            if self._brought >= self.max_brought and not self._cleared:
                self._cleared = True
                self._clear()
            return self._brought >= self.max_brought
        return len(self._series) - self._brought >= self.max_series or (made and self._made >= self.max_made)

    def _clear(self) -> None:
        """Forget the half of what others offer no more that ended first: rules may look back for a day, and whoever
        offers other series each time would keep everybody else out for so long."""
        ended = [one for one in self._series.values() if one.brought and not one.live and one.times]
        ended.sort(key=lambda one: (one.times[-1], one.labels))
        self._forget(one for one in ended[: (len(ended) + 1) // 2] if one.times[-1] < self.newest)

    def _forget(self, gone: Iterable[Series]) -> None:
        for series in gone:
            del self._series[series.labels]
            del self._by_name[series.name][series.labels]
            self._made -= series.made
            self._brought -= series.brought
            self._count(self._died, series.name)

    def _count(self, counts: dict[str, int], name: str) -> None:
        """A series of this metric came, or went."""
        counts[name] = counts.get(name, 0) + 1
        if name:
            counts[""] = counts.get("", 0) + 1

    def hold(self, series: Series) -> None:
        """Take a whole series, made elsewhere; one with the same labels is replaced."""
        replaced = series.labels in self._series
        self._series[series.labels] = series
        self._by_name.setdefault(series.name, {})[series.labels] = series
        if series.times:
            self.newest = max(self.newest, series.times[-1])
        self._count(self._died if replaced else self._born, series.name)

    # ------------------------------------------------------------ reading

    def pool(self, matchers: tuple[Matcher, ...]) -> list[Series]:
        """The series among which those that all matchers accept must be, in no order: for who looks in small steps."""
        name = exact_name(matchers)
        return list((self._series if name is None else self._by_name.get(name, {})).values())

    def select(self, matchers: tuple[Matcher, ...]) -> list[Series]:
        """Every series all matchers accept, ordered by labels. The list is shared: do not change it."""
        name = exact_name(matchers) or ""
        births, deaths = self._born.get(name, 0), self._died.get(name, 0)
        before = self._selections.get(matchers)
        if before is not None and before.births == births and before.deaths == deaths:
            return before.found
        pool = self._by_name.get(name, {}) if name else self._series
        known = before is not None and before.deaths == deaths
        seen, found = (before.seen, list(before.found)) if before is not None and known else (0, [])
        fresh = [series for series in islice(pool.values(), seen, None) if _accepted(series.labels, matchers)]
        if len(fresh) > 8:
            found = sorted(found + fresh, key=_labels)
        else:
            for series in fresh:
                insort(found, series, key=_labels)
        if len(self._selections) >= _SELECTIONS:
            self._selections.clear()
        self._selections[matchers] = _Selection(births, deaths, len(pool), found)
        return found

    def unknown(self, matchers: tuple[Matcher, ...]) -> int:
        """How many series `select` would have to look at, because it was not asked since they came."""
        name = exact_name(matchers) or ""
        pool = self._by_name.get(name, {}) if name else self._series
        before = self._selections.get(matchers)
        return len(pool) - before.seen if before is not None and before.deaths == self._died.get(name, 0) else len(pool)

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
        self._forget(empty)
        return len(empty)


def _labels(series: Series) -> Labels:
    return series.labels


def _accepted(labels: Labels, matchers: tuple[Matcher, ...]) -> bool:
    found = dict(labels)
    return all(matcher.matches(found) for matcher in matchers)


def _fits(labels: Labels) -> bool:
    """Whether the label set is within bounds and is text that can be written down and matched at all."""
    try:
        return len("".join(name + value for name, value in labels).encode()) <= _LABEL_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, as JSON lets people smuggle in
        return False


def exact_name(matchers: tuple[Matcher, ...]) -> str | None:
    """The metric name these matchers ask for exactly; None if they do not name one."""
    for matcher in matchers:
        if matcher.name == "__name__" and matcher.op == "=" and matcher.value:
            return matcher.value
    return None
