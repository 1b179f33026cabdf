"""The one table of functions: what an expression may call. Later capabilities add entries here and nowhere else.

Each entry gets the frame (instant, samples, purse) and its argument nodes, so that a few may look at an argument's
form (`absent` at its matchers, `timestamp` at its samples' own times).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from supervisor.facts import Labels
from supervisor.rules.promql import sums, windows
from supervisor.rules.promql.evaluate import Frame
from supervisor.rules.promql.nodes import Function, Kind, Node, Selector, Vector, Window
from supervisor.rules.promql.operators import without

_S, _V, _M = Kind.SCALAR, Kind.VECTOR, Kind.MATRIX
Args = tuple[Node, ...]


def _window(args: Args) -> Window:
    found = args[0]
    assert isinstance(found, Window)
    return found


# ---------------------------------------------------------------- over a range


def _each(run: Callable[[Sequence[float]], float]) -> Callable[[Frame, Args], Vector]:
    """A function of the values in the window alone."""

    def call(frame: Frame, args: Args) -> Vector:
        return [(series.bare, run(values)) for series, _times, values in frame.spans(_window(args))]

    return call


def _extrapolated(counter: bool, rate: bool) -> Callable[[Frame, Args], Vector]:
    def call(frame: Frame, args: Args) -> Vector:
        window = _window(args)
        start, end = frame.bounds(window)
        result: Vector = []
        for series, times, values in frame.spans(window):
            value = windows.extrapolated(times, values, start, end, counter, rate)
            if value is not None:
                result.append((series.bare, value))
        return result

    return call


def _last_two(counter: bool) -> Callable[[Frame, Args], Vector]:
    def call(frame: Frame, args: Args) -> Vector:
        result: Vector = []
        for series, times, values in frame.spans(_window(args)):
            value = windows.last_two(times, values, counter)
            if value is not None:
                result.append((series.bare, value))
        return result

    return call


def _deriv(frame: Frame, args: Args) -> Vector:
    result: Vector = []
    for series, times, values in frame.spans(_window(args)):
        line = windows.regression(times, values, times[0])
        if line is not None:
            result.append((series.bare, line[0]))
    return result


def _predict_linear(frame: Frame, args: Args) -> Vector:
    ahead = frame.scalar(args[1])
    result: Vector = []
    for series, times, values in frame.spans(_window(args)):
        line = windows.regression(times, values, frame.at)
        if line is not None:
            result.append((series.bare, line[0] * ahead + line[1]))
    return result


def _last_over_time(frame: Frame, args: Args) -> Vector:
    return [(series.labels, values[-1]) for series, _times, values in frame.spans(_window(args))]


# ---------------------------------------------------------------- absence


def _absent_labels(node: Node) -> Labels:
    """What the missing thing would be called: the labels its selector asks for exactly, each once."""
    selector = node.selector if isinstance(node, Window) else node
    if not isinstance(selector, Selector):
        return ()
    found: dict[str, str] = {}
    doubtful: list[str] = []
    for matcher in selector.matchers:
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in found:
            found[matcher.name] = matcher.value
        else:
            doubtful.append(matcher.name)
    return tuple(sorted((name, value) for name, value in found.items() if value and name not in doubtful))


def _absent(frame: Frame, args: Args) -> Vector:
    return [] if frame.vector(args[0]) else [(_absent_labels(args[0]), 1.0)]


def _absent_over_time(frame: Frame, args: Args) -> Vector:
    return [] if frame.spans(_window(args)) else [(_absent_labels(args[0]), 1.0)]


# ---------------------------------------------------------------- value by value


def _map(run: Callable[..., float]) -> Callable[[Frame, Args], Vector]:
    """A function of each element's value and of scalar arguments."""

    def call(frame: Frame, args: Args) -> Vector:
        rest = [frame.scalar(arg) for arg in args[1:]]
        return [(without(labels), run(value, *rest)) for labels, value in frame.vector(args[0])]

    return call


def _whole(run: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(run(value)) if math.isfinite(value) else value


def _round(value: float, to: float = 1.0) -> float:
    if not to:
        return math.nan
    inverse = 1 / to
    return _whole(math.floor)(value * inverse + 0.5) / inverse


def _sgn(value: float) -> float:
    return math.copysign(1.0, value) if value and value == value else value


def _log(run: Callable[[float], float]) -> Callable[[float], float]:
    def call(value: float) -> float:
        if value == 0:
            return -math.inf
        return run(value) if value > 0 else math.nan

    return call


def _sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _at_least(value: float, low: float) -> float:
    """As Go's math.Max: NaN wins."""
    return math.nan if value != value or low != low else max(value, low)


def _at_most(value: float, high: float) -> float:
    """As Go's math.Min: NaN wins."""
    return math.nan if value != value or high != high else min(value, high)


def _clamp(frame: Frame, args: Args) -> Vector:
    low, high = frame.scalar(args[1]), frame.scalar(args[2])
    if high < low:
        return []
    return [(without(labels), _at_least(low, _at_most(high, value))) for labels, value in frame.vector(args[0])]


# ---------------------------------------------------------------- time and kinds


def _time(frame: Frame, args: Args) -> float:
    return frame.at / 1000


def _timestamp(frame: Frame, args: Args) -> Vector:
    if isinstance(args[0], Selector):
        return [(series.bare, time / 1000) for series, time, _value in frame.points(args[0])]
    return [(without(labels), frame.at / 1000) for labels, _value in frame.vector(args[0])]


def _scalar(frame: Frame, args: Args) -> float:
    vector = frame.vector(args[0])
    return vector[0][1] if len(vector) == 1 else math.nan


def _vector(frame: Frame, args: Args) -> Vector:
    return [((), frame.scalar(args[0]))]


def _table() -> dict[str, Function]:
    found: dict[str, Function] = {}

    def add(
        name: str, args: tuple[Kind, ...], returns: Kind, run: Any, *, optional: int = 0, flows: bool = False
    ) -> None:
        found[name] = Function(name, args, returns, run, optional, flows=flows)

    add("increase", (_M,), _V, _extrapolated(counter=True, rate=False), flows=True)
    add("rate", (_M,), _V, _extrapolated(counter=True, rate=True), flows=True)
    add("delta", (_M,), _V, _extrapolated(counter=False, rate=False), flows=True)
    add("irate", (_M,), _V, _last_two(counter=True))
    add("idelta", (_M,), _V, _last_two(counter=False))
    add("deriv", (_M,), _V, _deriv)
    add("predict_linear", (_M, _S), _V, _predict_linear, flows=True)
    add("changes", (_M,), _V, _each(windows.changes))
    add("resets", (_M,), _V, _each(windows.resets))
    add("min_over_time", (_M,), _V, _each(sums.lowest))
    add("max_over_time", (_M,), _V, _each(sums.highest))
    add("avg_over_time", (_M,), _V, _each(sums.mean))
    add("sum_over_time", (_M,), _V, _each(sums.total))
    add("count_over_time", (_M,), _V, _each(lambda values: float(len(values))))
    add("present_over_time", (_M,), _V, _each(lambda values: 1.0))
    add("last_over_time", (_M,), _V, _last_over_time)
    add("absent", (_V,), _V, _absent)
    add("absent_over_time", (_M,), _V, _absent_over_time)
    add("abs", (_V,), _V, _map(abs))
    add("ceil", (_V,), _V, _map(_whole(math.ceil)))
    add("floor", (_V,), _V, _map(_whole(math.floor)))
    add("round", (_V, _S), _V, _map(_round), optional=1)
    add("sgn", (_V,), _V, _map(_sgn))
    add("sqrt", (_V,), _V, _map(_sqrt))
    add("exp", (_V,), _V, _map(_exp))
    add("ln", (_V,), _V, _map(_log(math.log)))
    add("log2", (_V,), _V, _map(_log(math.log2)))
    add("log10", (_V,), _V, _map(_log(math.log10)))
    add("clamp", (_V, _S, _S), _V, _clamp)
    add("clamp_min", (_V, _S), _V, _map(_at_least))
    add("clamp_max", (_V, _S), _V, _map(_at_most))
    add("time", (), _S, _time, flows=True)
    add("timestamp", (_V,), _V, _timestamp)
    add("scalar", (_V,), _S, _scalar)
    add("vector", (_S,), _V, _vector)
    return found


TABLE: dict[str, Function] = _table()
