"""Functions over a range: what became of each series within a window, or of each element of a subquery.

Part of the one table (`functions/__init__.py`); the arithmetic is in `windows.py`. Functions that need no more than a
window's edges, or where a series turned, read those from the series (`frame.ranges`) and leave the samples alone.
"""

import math
from collections.abc import Callable, Sequence
from operator import gt, lt

from supervisor.facts import Labels
from supervisor.rules.promql import sums, windows
from supervisor.rules.promql.costs import PAIR
from supervisor.rules.promql.evaluate import EvaluationError, Frame, Span
from supervisor.rules.promql.functions.base import Args, M, S, V, check_quantile
from supervisor.rules.promql.nodes import Function, Node, Subquery, Vector, Window
from supervisor.samples import Series

Run = Callable[[Frame, Args], Vector]


def ranged(node: Node) -> Window | Subquery:
    """An argument that is a range vector."""
    assert isinstance(node, Window | Subquery)
    return node


# ---------------------------------------------------------------- growth


def _extrapolated(counter: bool, rate: bool) -> Run:
    """`increase`, `rate` and `delta`."""

    def call(frame: Frame, args: Args) -> Vector:
        node = ranged(args[0])
        if isinstance(node, Window):
            result = _window_growth(frame, node, counter, rate)
        else:
            start, end = frame.bounds(node)
            result = []
            for source, times, values in frame.spans(node):
                value = windows.extrapolated(times, values, start, end, counter, rate)
                if value is not None:
                    result.append((frame.bare(source), value))
        return result

    return call


def _window_growth(frame: Frame, node: Window, counter: bool, rate: bool) -> Vector:
    """As `windows.extrapolated` for every series, from the edges of its window and the resets known inside."""
    start, end = frame.bounds(node)
    span = (end - start) / 1000 if rate else 1.0
    bare, stretched = frame.bare, windows.stretched
    shape, along = (0, 0, 0), (0.0, 0.0, 0.0)
    result: Vector = []
    for series, low, high in frame.ranges(node):
        times, values = series.times, series.values
        count = high - low - (series.trim(low, high)[2] if series.holes else 0)
        if count < 2:
            continue
        seen = (times[low], times[high - 1], count)
        if seen != shape:  # series of one collector have the same times
            shape, along = seen, windows.reach(*seen, start, end)
        first = values[low]
        change = values[high - 1] - first
        if counter:
            drops = series.drops(frame.spend)
            if drops.at:
                inside = drops.between(low + series.gone, high + series.gone)
                frame.spend(len(inside))
                for lost in inside:
                    change += lost
        result.append((bare(series), stretched(change, first, along, counter, span)))
    return result


def _last_two(counter: bool) -> Run:
    """`irate` and `idelta`."""

    def call(frame: Frame, args: Args) -> Vector:
        result: Vector = []
        for source, times, values in _tails(frame, ranged(args[0])):
            value = windows.last_two(times, values, counter)
            if value is not None:
                result.append((frame.bare(source), value))
        return result

    return call


def _tails(frame: Frame, node: Window | Subquery) -> Sequence[Span]:
    """The last two samples of each series, or the only one."""
    if isinstance(node, Subquery):
        return frame.spans(node)
    found: list[Span] = []
    ranges = frame.ranges(node)
    frame.spend(PAIR * len(ranges))
    for series, low, high in ranges:
        before = (series.trim(low, high - 1)[1] if series.holes else high - 1) - 1
        picked = [before, high - 1] if before >= low else [high - 1]
        found.append((series, [series.times[index] for index in picked], [series.values[index] for index in picked]))
    return found


# ---------------------------------------------------------------- counting


def _inside(frame: Frame, series: Series, low: int, high: int) -> float:
    return float(high - low - (series.trim(low, high)[2] if series.holes else 0))


def _resets(frame: Frame, series: Series, low: int, high: int) -> float:
    return float(series.drops(frame.spend).count(low + series.gone, high + series.gone))


def _changes(frame: Frame, series: Series, low: int, high: int) -> float:
    return float(series.changes(frame.spend).count(low + series.gone, high + series.gone))


def _count(known: Callable[[Frame, Series, int, int], float], plain: Callable[[Sequence[float]], float]) -> Run:
    """A count that a series knows without a look at its samples (`known`), and how to get it from values alone."""

    def call(frame: Frame, args: Args) -> Vector:
        node, bare = ranged(args[0]), frame.bare
        if isinstance(node, Window):
            return [(bare(series), known(frame, series, low, high)) for series, low, high in frame.ranges(node)]
        return [(bare(source), plain(values)) for source, _times, values in frame.spans(node)]

    return call


# ---------------------------------------------------------------- the first, the last


def _edge(read: Callable[[Sequence[int], Sequence[float], int, int], float], keep_name: bool = False) -> Run:
    """A function of a window's first or last sample: `read(times, values, low, high)`."""

    def call(frame: Frame, args: Args) -> Vector:
        node = ranged(args[0])
        if isinstance(node, Window):
            found = [(series, read(series.times, series.values, low, high)) for series, low, high in frame.ranges(node)]
            return [(series.labels if keep_name else frame.bare(series), value) for series, value in found]
        return [
            (source.labels if keep_name else frame.bare(source), read(times, values, 0, len(values)))
            for source, times, values in frame.spans(node)
        ]

    return call


# ---------------------------------------------------------------- all samples


def _each(run: Callable[[Sequence[float]], float], again: int = 0) -> Run:
    """A function of the values alone. `again`: how often more it looks at each than others do."""

    def call(frame: Frame, args: Args) -> Vector:
        bare, spans = frame.bare, frame.spans(ranged(args[0]))
        if again:
            for _source, _times, values in spans:
                frame.spend(again * len(values))
        return [(bare(source), run(values)) for source, _times, values in spans]

    return call


def _timed(run: Callable[[Sequence[int], Sequence[float]], float]) -> Run:
    """A function of the instants and the values."""

    def call(frame: Frame, args: Args) -> Vector:
        bare = frame.bare
        return [(bare(source), run(times, values)) for source, times, values in frame.spans(ranged(args[0]))]

    return call


def _quantile(frame: Frame, args: Args) -> Vector:
    phi = frame.scalar(args[0])
    spans = frame.spans(ranged(args[1]))
    if spans:
        check_quantile(frame, phi, args[0])
    return [(frame.bare(source), sums.quantile(phi, values)) for source, _times, values in spans]


def _deriv(frame: Frame, args: Args) -> Vector:
    return [(labels, slope) for labels, slope, _value in _lines(frame, ranged(args[0]), None)]


def _predict_linear(frame: Frame, args: Args) -> Vector:
    ahead = frame.scalar(args[1])
    return [(labels, slope * ahead + value) for labels, slope, value in _lines(frame, ranged(args[0]), frame.at)]


def _lines(frame: Frame, node: Window | Subquery, origin: int | None) -> list[tuple[Labels, float, float]]:
    """The straight line through the samples of each series: its slope per second and its value at `origin` (ms; None:
    each series' first sample, which is nearest to what it is about)."""
    found: list[tuple[Labels, float, float]] = []
    known: Sequence[int] = ()
    along: windows.Axis = ((), 0.0, 0.0)
    for source, times, values in frame.spans(node):
        if times != known:
            known, along = times, windows.axis(times, times[0] if origin is None else origin)
        line = windows.regression(values, along)
        if line is not None:
            found.append((frame.bare(source), *line))
    return found


def _smoothing(frame: Frame, args: Args) -> Vector:
    smoothing, trend = frame.scalar(args[1]), frame.scalar(args[2])
    result: Vector = []
    for source, _times, values in frame.spans(ranged(args[0])):
        for factor, name, sign in ((smoothing, "smoothing", "sf"), (trend, "trend", "tf")):
            if factor <= 0 or factor >= 1:
                given = f"{factor:f}" if math.isfinite(factor) else "+Inf" if factor > 0 else "-Inf"
                raise EvaluationError(f"invalid {name} factor. Expected: 0 < {sign} < 1, got: {given}")
        value = windows.smoothed(values, smoothing, trend)
        if value is not None:
            result.append((frame.bare(source), value))
    return result


def _range(name: str, run: Run, experimental: bool = False, flows: bool = False) -> Function:
    return Function(name, (M,), V, run, experimental=experimental, flows=flows)


FUNCTIONS = (
    _range("increase", _extrapolated(counter=True, rate=False), flows=True),
    _range("rate", _extrapolated(counter=True, rate=True), flows=True),
    _range("delta", _extrapolated(counter=False, rate=False), flows=True),
    _range("irate", _last_two(counter=True)),
    _range("idelta", _last_two(counter=False)),
    _range("deriv", _deriv),
    Function("predict_linear", (M, S), V, _predict_linear, flows=True),
    Function("double_exponential_smoothing", (M, S, S), V, _smoothing, experimental=True),
    _range("changes", _count(_changes, windows.changes)),
    _range("resets", _count(_resets, windows.resets)),
    _range("count_over_time", _count(_inside, lambda values: float(len(values)))),
    _range("present_over_time", _edge(lambda times, values, low, high: 1.0)),
    _range("last_over_time", _edge(lambda times, values, low, high: values[high - 1], keep_name=True)),
    _range("first_over_time", _edge(lambda times, values, low, high: values[low], keep_name=True), experimental=True),
    _range("ts_of_last_over_time", _edge(lambda times, values, low, high: times[high - 1] / 1000), experimental=True),
    _range("ts_of_first_over_time", _edge(lambda times, values, low, high: times[low] / 1000), experimental=True),
    _range("ts_of_min_over_time", _timed(lambda times, values: windows.when(times, values, lt)), experimental=True),
    _range("ts_of_max_over_time", _timed(lambda times, values: windows.when(times, values, gt)), experimental=True),
    _range("min_over_time", _each(sums.lowest)),
    _range("max_over_time", _each(sums.highest)),
    _range("avg_over_time", _each(sums.mean)),
    _range("sum_over_time", _each(sums.total)),
    _range("stdvar_over_time", _each(windows.variance)),
    _range("stddev_over_time", _each(lambda values: windows.root(windows.variance(values)))),
    _range("mad_over_time", _each(windows.deviation, again=1), experimental=True),
    Function("quantile_over_time", (S, M), V, _quantile),
)
