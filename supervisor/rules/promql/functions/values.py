"""Functions of each element's value, one by one: rounding, clamping, logarithms, trigonometry.

Part of the one table (`functions/__init__.py`). What Go's math package answers without raising, this answers too:
NaN outside a function's domain, infinities beyond the range of floats, zeros with the sign Go gives them.
"""

import math
from collections.abc import Callable

from supervisor.rules.promql.evaluate import Frame
from supervisor.rules.promql.functions.base import Args, S, V
from supervisor.rules.promql.nodes import Function, Vector

_INF, _NAN = math.inf, math.nan
Unary = Callable[[float], float]


def mapped(run: Callable[..., float]) -> Callable[[Frame, Args], Vector]:
    """A function of each element's value and of scalar arguments."""

    def call(frame: Frame, args: Args) -> Vector:
        rest = [frame.scalar(arg) for arg in args[1:]]
        nameless = frame.nameless
        return [(nameless(labels), run(value, *rest)) for labels, value in frame.vector(args[0])]

    return call


def _within(run: Unary) -> Unary:
    """NaN where the function is not defined."""

    def call(value: float) -> float:
        try:
            return run(value)
        except ValueError:
            return _NAN

    return call


def _whole(run: Callable[[float], int]) -> Unary:
    """A function that gives integers; zero keeps the sign of what it was made of."""

    def call(value: float) -> float:
        if not math.isfinite(value):
            return value
        return float(run(value)) or math.copysign(0.0, value)

    return call


def rounded(value: float, to: float = 1.0) -> float:
    """To the nearest multiple of `to`, halves upwards."""
    if not to or math.isinf(to):
        return _NAN
    inverse = 1 / to
    whole = value * inverse + 0.5
    return (float(math.floor(whole)) if math.isfinite(whole) else whole) / inverse


def _sgn(value: float) -> float:
    return math.copysign(1.0, value) if value and value == value else value


def _logarithm(run: Unary) -> Unary:
    def call(value: float) -> float:
        if value == 0:
            return -_INF
        return run(value) if value > 0 else _NAN

    return call


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return _INF


def _sinh(value: float) -> float:
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(_INF, value)


def _cosh(value: float) -> float:
    try:
        return math.cosh(value)
    except OverflowError:
        return _INF


def _atanh(value: float) -> float:
    return math.copysign(_INF, value) if abs(value) == 1 else math.atanh(value)


def at_least(low: float, value: float) -> float:
    """The larger, as Go's math.Max: +Inf wins over NaN, NaN over all else."""
    if low == _INF or value == _INF:
        return _INF
    if low != low or value != value:
        return _NAN
    if low == value == 0:
        return value if math.copysign(1.0, low) < 0 else low
    return max(low, value)


def at_most(high: float, value: float) -> float:
    """The smaller, as Go's math.Min: -Inf wins over NaN, NaN over all else."""
    return -at_least(-high, -value)


def _clamp(frame: Frame, args: Args) -> Vector:
    return _between(frame, args, frame.scalar(args[1]), frame.scalar(args[2]))


def _clamp_min(frame: Frame, args: Args) -> Vector:
    return _between(frame, args, frame.scalar(args[1]), _INF)


def _clamp_max(frame: Frame, args: Args) -> Vector:
    return _between(frame, args, -_INF, frame.scalar(args[1]))


def _between(frame: Frame, args: Args, low: float, high: float) -> Vector:
    vector = frame.vector(args[0])
    if high < low:
        return []
    nameless = frame.nameless
    return [(nameless(labels), at_least(low, at_most(high, value))) for labels, value in vector]


_UNARY: dict[str, Unary] = {
    "abs": abs,
    "acos": _within(math.acos),
    "acosh": _within(math.acosh),
    "asin": _within(math.asin),
    "asinh": math.asinh,
    "atan": math.atan,
    "atanh": _within(_atanh),
    "ceil": _whole(math.ceil),
    "cos": _within(math.cos),
    "cosh": _cosh,
    "deg": lambda value: value * 180 / math.pi,
    "exp": _exp,
    "floor": _whole(math.floor),
    "ln": _logarithm(math.log),
    "log10": _logarithm(math.log10),
    "log2": _logarithm(math.log2),
    "rad": lambda value: value * math.pi / 180,
    "sgn": _sgn,
    "sin": _within(math.sin),
    "sinh": _sinh,
    "sqrt": _within(math.sqrt),
    "tan": _within(math.tan),
    "tanh": math.tanh,
}

FUNCTIONS = (
    *(Function(name, (V,), V, mapped(run)) for name, run in _UNARY.items()),
    Function("round", (V, S), V, mapped(rounded), optional=1),
    Function("clamp", (V, S, S), V, _clamp),
    Function("clamp_min", (V, S), V, _clamp_min),
    Function("clamp_max", (V, S), V, _clamp_max),
)
