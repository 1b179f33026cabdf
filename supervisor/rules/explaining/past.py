"""Backwards from now: since when a sub-expression gives what it gives, and which sample moved it last.

Used by `reasons.py`, on a copy of the samples. A value changes at few instants: where a sample comes, where one falls
out of a window or of the lookback, at the steps of a subquery's grid. Those are looked at one by one, newest first,
until the present is explained, or the samples, the instants or the purse end: then it is so "at least" since. What
moves with time itself is looked at every `tick` as well, and the instant between two looks is found by halving.

All instants are ms in the expression's own time (a rule's `query_offset` left aside).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from supervisor.facts import Labels
from supervisor.rules.alerts import same
from supervisor.rules.explaining.gives import Gives, Known, Limits, Piece, look
from supervisor.rules.promql.evaluate import Options
from supervisor.rules.promql.nodes import At, Node, Selector, Subquery, Window, children, walk
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.rules.promql.schedule import needed
from supervisor.samples import LOOKBACK, Series, Store, is_stale, newest_before, to_ms
from supervisor.units import Matcher

MOST_INSTANTS = 2000
"""Instants of the past at which one sub-expression is looked at."""
_MOST_EDGES = 100_000
_LONG_AGO = -(1 << 62)
_LOOKBACK = to_ms(LOOKBACK)
_MOST_CHANGED = 8


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed a value last, at `at`. `by`: 'sample' (it came), 'age' (it was too old to be seen any longer),
    'time' (no sample did). `stamp`: the sample's own instant."""

    at: int
    by: str
    series: Labels = ()
    value: float = 0.0
    stamp: int = 0

    @property
    def ended(self) -> bool:
        """Whether the sample says that its series ended."""
        return is_stale(self.value)


@dataclass(frozen=True, slots=True)
class Past:
    """`since`: from when on it gives this (for Piece.valued these values, else these series); where `least`, perhaps
    from earlier on. None where that cannot be said."""

    since: int | None = None
    least: bool = False
    moved: Moved | None = None


class History:
    """The past of one rule's sub-expressions. Nothing is known of what was at or before `horizon`; it is `whole` where
    there were no samples either."""

    def __init__(self, store: Store, options: Options, tick: int, horizon: int, whole: bool) -> None:
        self._store, self._options, self._tick, self._horizon, self._whole = store, options, tick, horizon, whole
        self._edges: dict[tuple[tuple[Matcher, ...], bool], _Edges] = {}

    def trace(self, known: Known, at: int, limits: Limits) -> Past:
        """How it came to what it gives now, at `at`."""
        piece, now, cost = known.piece, known.gives, 2 * known.cost
        if any(isinstance(node, Selector | Subquery) and node.offset < 0 for node in walk(piece.node)):
            return Past()  # it looks ahead: at what was not there yet
        sights = list(_sights(piece.node, self._options.step))
        selectors = CompiledExpr(piece.text, piece.node).selectors
        floor = self._floor(piece.node, sights, selectors)
        moved = self._newest(selectors, at) if piece.flows else None
        if piece.flows and piece.valued and limits.more(cost) and not self._look(piece, at - 1, limits).like(now, True):
            return Past(None, False, moved)  # such as time(): it never stands still
        upper = at
        for _ in range(MOST_INSTANTS):
            edge = max([self._before(sight, upper + 1) for sight in sights], default=_LONG_AGO)
            if piece.flows:
                edge = max(edge, upper - self._tick)
            if edge <= floor:
                return Past(min(floor + 1, at), True, moved)
            if not limits.more(cost):
                break
            if piece.flows and not self._look(piece, edge, limits).like(now, piece.valued):
                return Past(self._halve(piece, edge, upper, now, limits), False, moved)
            before = self._look(piece, edge - 1, limits)
            if moved is None and not piece.flows and not before.like(now, True):
                moved = self._mover(sights, selectors, edge, _changed(before, now))
            if not before.like(now, piece.valued):
                return Past(edge, False, moved)
            upper = edge - 1
        return Past(upper, True, moved)

    def _floor(self, node: Node, sights: Sequence["_Sight"], selectors: Sequence[tuple[Selector, int]]) -> int:
        """At and before this instant it may have given anything: what it looked at is not known any more."""
        found = [self._horizon]
        for sight in sights:
            if sight.step:
                found += [] if self._whole else [self._horizon + to_ms(needed(selectors))]
                continue
            found.append(self._of(sight).start + sight.offset + sight.span)
            if not self._whole:
                begun = self._horizon + sight.span
                if sight.fades:  # of a series that has a sample before, nothing older matters
                    firsts = [series.times[0] for series in self._store.select(sight.matchers) if series.times]
                    begun = min(begun, max(firsts, default=begun))
                found.append(begun + sight.offset)
        for each in walk(node):
            if isinstance(each, Selector | Subquery) and isinstance(each.at, int):
                found.append(each.at - each.offset)  # before it, it was not there to be looked at
        return max(found)

    def _look(self, piece: Piece, at: int, limits: Limits) -> Gives:
        return look(piece.node, self._store, at, self._options, limits)[0]

    def _halve(self, piece: Piece, before: int, since: int, now: Gives, limits: Limits) -> int:
        """The first instant from which on it is as it is `now`, which it was not at `before` and is at `since`."""
        while since - before > 1:
            middle = (since + before) // 2
            if self._look(piece, middle, limits).like(now, piece.valued):
                since = middle
            else:
                before = middle
        return since

    # ------------------------------------------------------------ where it can have changed

    def _before(self, sight: "_Sight", at: int) -> int:
        """The newest instant before `at` at which what this sight sees changed."""
        at -= sight.offset
        if sight.step:
            newest = max(_grid(at, sight.step), _grid(at - sight.span, sight.step) + sight.span)
        else:
            edges = self._of(sight)
            newest = max(_below(edges.entries, at), _below(edges.exits, at - sight.span) + sight.span)
        return newest + sight.offset

    def _of(self, sight: "_Sight") -> "_Edges":
        key = (sight.matchers, sight.fades)
        found = self._edges.get(key)
        if found is None:
            found = self._edges[key] = _edges(self._store.select(sight.matchers), sight.fades)
        return found

    # ------------------------------------------------------------ which sample it was

    def _mover(
        self,
        sights: Sequence["_Sight"],
        selectors: Sequence[tuple[Selector, int]],
        edge: int,
        changed: Sequence[Labels],
    ) -> Moved:
        """The sample that came or went at `edge`: where there are several, one that makes a difference (to the sample
        before it, or of those that went to the one behind it) and is most like a changed row."""
        found: list[tuple[bool, int, str, Series, int]] = []
        for by, step in (("sample", -1), ("age", 1)):
            for sight in sights:
                stamp = edge - sight.offset - (sight.span if by == "age" else 0)
                for series, index in () if sight.step else _at(self._store.select(sight.matchers), stamp):
                    found.append((_differs(series, index, index + step), _likeness(series, changed), by, series, index))
        if found:
            _differ, _like, by, series, index = max(found, key=lambda each: each[:2])
            return Moved(edge, by, series.labels, series.values[index], series.times[index])
        if any(sight.step for sight in sights):
            newest = self._newest(selectors, edge)
            if newest is not None:  # seen only now: the grid's step was not there before
                return Moved(edge, "sample", newest.series, newest.value, newest.stamp)
        return Moved(edge, "time")

    def _newest(self, selectors: Sequence[tuple[Selector, int]], at: int) -> Moved | None:
        """The newest sample in sight that differs from the one before it, or begins its series."""
        best: Moved | None = None
        for selector, _span in selectors:
            for series in self._store.select(selector.matchers):
                index = self._turned(series, newest_before(series.times, at - selector.offset))
                if index >= 0 and (best is None or series.times[index] + selector.offset > best.at):
                    stamp = series.times[index]
                    best = Moved(stamp + selector.offset, "sample", series.labels, series.values[index], stamp)
        return best

    def _turned(self, series: Series, index: int) -> int:
        """The newest sample up to `index` that is not as the one before it; -1 if there is none."""
        values, last = series.values, max(index - MOST_INSTANTS, 0)
        while index > last:
            now, before = values[index], values[index - 1]
            if not same(now, before) or is_stale(now) != is_stale(before):
                return index
            index -= 1
        # one that begins well after what is known of is new; others may have been the same before already
        return 0 if index == 0 and (self._whole or series.times[0] > self._horizon + _LOOKBACK) else -1


@dataclass(frozen=True, slots=True)
class _Sight:
    """How a sub-expression sees samples: those of `matchers` within `span` before `offset`, or (with a `step`) what a
    subquery gives at each step of its grid. `fades`: of each series only the newest sample is seen."""

    matchers: tuple[Matcher, ...]
    offset: int
    span: int
    fades: bool = False
    step: int = 0


def _sights(node: Node, step: int) -> Iterator[_Sight]:
    """The sights of a node. What stands still (`@ 1234`) has none. `step`: of a grid that names none."""
    match node:
        case Selector(at=int()) | Window(selector=Selector(at=int())):
            return
        case Selector():
            yield _Sight(node.matchers, node.offset, _LOOKBACK, fades=True)
        case Window():
            yield _Sight(node.selector.matchers, node.selector.offset, node.span)
        case Subquery():
            if not isinstance(node.at, int):
                yield _Sight((), node.offset, node.span, step=node.step or step)
            for inner in walk(node.expr):  # `@ end()` is the whole expression's own instant, also in here
                if isinstance(inner, Selector | Window) and isinstance(_fixed(inner), str):
                    yield from _sights(inner, step)
        case _:
            for child in children(node):
                yield from _sights(child, step)


@dataclass(frozen=True, slots=True)
class _Edges:
    """When samples came, and those after which the next one came too late (or, of windows, all of them again). Before
    `start` some are left out."""

    entries: Sequence[int]
    exits: Sequence[int]
    start: int


def _edges(series: Sequence[Series], fades: bool) -> _Edges:
    """Series of one collector have the same instants, which are looked at once."""
    distinct = {one.times.tobytes(): one.times for one in series}
    most = max(_MOST_EDGES // max(len(distinct), 1), 16)
    entries: set[int] = set()
    exits: set[int] = set()
    start = _LONG_AGO
    for times in distinct.values():
        if len(times) > most:
            times = times[-most:]
            start = max(start, times[0])
        entries.update(times)
        if fades:
            exits.update(time for time, following in pairwise(times) if following > time + _LOOKBACK)
            exits.update(times[-1:])
    ordered = sorted(entries)
    return _Edges(ordered, sorted(exits) if fades else ordered, start)


def _fixed(node: Selector | Window) -> At | None:
    return node.at if isinstance(node, Selector) else node.selector.at


def _below(times: Sequence[int], at: int) -> int:
    index = bisect_left(times, at)
    return times[index - 1] if index else _LONG_AGO


def _grid(at: int, step: int) -> int:
    return (at - 1) // step * step


def _at(series: Sequence[Series], stamp: int) -> list[tuple[Series, int]]:
    """Those with a sample of this very instant, and its place."""
    found = []
    for one in series:
        index = bisect_left(one.times, stamp)
        if index < len(one.times) and one.times[index] == stamp:
            found.append((one, index))
    return found


def _differs(series: Series, index: int, other: int) -> bool:
    values = series.values
    return not 0 <= other < len(values) or not same(values[index], values[other])


def _likeness(series: Series, changed: Sequence[Labels]) -> int:
    """How many labels it shares with one of these rows."""
    return max((len(set(series.labels).intersection(labels)) for labels in changed), default=0)


def _changed(before: Gives, now: Gives) -> list[Labels]:
    """The first rows that are not as they were."""
    old, new = dict(before.rows), dict(now.rows)
    both = {**new, **old}
    found = [labels for labels in both if not (labels in old and labels in new and same(old[labels], new[labels]))]
    return found[:_MOST_CHANGED]
