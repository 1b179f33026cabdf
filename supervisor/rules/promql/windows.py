"""Functions over the samples of one series inside one window: pure arithmetic on (timestamps in ms, values).

Called by `functions/ranges.py`. Windows are never empty and hold no stale markers. An answer of None means: no element
for this series. Go's floats never raise, so neither does anything here.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from supervisor.rules.promql.sums import NAN, added, products, quantile, total

Times = Sequence[int]
Values = Sequence[float]
Reach = tuple[float, float, float]
"""Seconds from the first sample to the last, and by how many to stretch that towards the window's start and end."""
Axis = tuple[Values, float, float]
"""Seconds of each sample after some origin, their sum, and the sum of the squares of their distances from the mean."""


# ---------------------------------------------------------------- how much a counter grew


def extrapolated(times: Times, values: Values, start: int, end: int, counter: bool, rate: bool) -> float | None:
    """`increase`, `rate` (counter) and `delta`: the change between first and last sample, stretched to the window's
    edges where the samples suggest that the series reached that far."""
    if len(values) < 2:
        return None
    change = values[-1] - values[0]
    if counter:
        for lost in falls(values):
            change += lost
    span = (end - start) / 1000 if rate else 1.0
    return stretched(change, values[0], reach(times[0], times[-1], len(values), start, end), counter, span)


def reach(first: int, last: int, count: int, start: int, end: int) -> Reach:
    """How far `count` (at least 2) samples between two instants (ms) speak for the window (start, end]: to an edge
    that is nearer than 1.1 of their average distance, else half that distance beyond the last one seen."""
    sampled = (last - first) / 1000
    average = sampled / (count - 1)
    to_start, to_end = (first - start) / 1000, (end - last) / 1000
    threshold = average * 1.1
    return sampled, average / 2 if to_start >= threshold else to_start, average / 2 if to_end >= threshold else to_end


def stretched(change: float, first: float, along: Reach, counter: bool, span: float) -> float:
    """The change, stretched; per `span` seconds."""
    sampled, to_start, to_end = along
    if counter and change > 0 and first >= 0:
        # a counter cannot have been below zero: do not stretch it further back than that
        to_zero = sampled * (first / change)
        if to_zero < to_start:
            to_start = to_zero
    return change * ((sampled + to_start + to_end) / sampled / span)


def falls(values: Values) -> list[float]:
    """What a counter had reached before each of its resets, oldest first."""
    return [before for before, value in pairwise(values) if value < before]


def resets(values: Values) -> float:
    """How often the value went down."""
    return float(len(falls(values)))


def changes(values: Values) -> float:
    """How often the value changed (NaN to NaN is no change)."""
    count = 0
    for before, value in pairwise(values):
        if value != before and not (value != value and before != before):
            count += 1
    return float(count)


def last_two(times: Times, values: Values, counter: bool) -> float | None:
    """`irate` (counter) and `idelta`: from the last two samples alone."""
    if len(values) < 2:
        return None
    before, last = values[-2], values[-1]
    if not counter:
        return last - before
    return (last if last < before else last - before) / ((times[-1] - times[-2]) / 1000)


# ---------------------------------------------------------------- lines


def axis(times: Times, origin: int) -> Axis:
    """The instants of samples as a line's x: many series have the same ones."""
    xs = [(time - origin) / 1000 for time in times]
    sum_x = total(xs)
    return xs, sum_x, total([x * x for x in xs]) - sum_x * sum_x / len(xs)


def regression(values: Values, along: Axis) -> tuple[float, float] | None:
    """Slope per second and value at the origin of the straight line through the samples, by least squares."""
    if len(values) < 2:
        return None
    if all(value == values[0] for value in values):
        return (NAN, NAN) if math.isinf(values[0]) else (0.0, values[0])
    count = len(values)
    xs, sum_x, spread = along
    sum_y = total(values)
    if not spread:  # instants so far from the origin that their differences drown
        return NAN, NAN
    slope = (products(xs, values) - sum_x * sum_y / count) / spread
    return slope, sum_y / count - slope * sum_x / count


def smoothed(values: Values, smoothing: float, trend: float) -> float | None:
    """Double exponential smoothing: what the series is now, were its noise taken away. Both factors are in (0, 1)."""
    if len(values) < 2:
        return None
    before, now, slope = 0.0, values[0], values[1] - values[0]
    for index, value in enumerate(values[1:]):
        if index:
            slope = trend * (now - before) + (1 - trend) * slope
        before, now = now, smoothing * value + (1 - smoothing) * (now + slope)
    return now


# ---------------------------------------------------------------- all values alike


def when(times: Times, values: Values, better: Callable[[float, float], bool]) -> float:
    """The instant (unix seconds) of the last value that no other is `better` than; a number beats NaN."""
    best, at = values[0], times[0]
    for time, value in zip(times, values, strict=True):
        if best != best or better(value, best) or value == best:
            best, at = value, time
    return at / 1000


def deviation(values: Values) -> float:
    """The median of the distances from the median."""
    middle = quantile(0.5, values)
    return quantile(0.5, [abs(value - middle) for value in values])


def variance(values: Values) -> float:
    """The mean square distance from the mean (of the population); exactly 0 if the values are all the same."""
    count = len(values)
    if min(values) == max(values) and all(value == value for value in values):
        return 0.0 if math.isfinite(values[0]) else NAN
    middle = total(values) / count
    squares = total([(value - middle) * (value - middle) for value in values])
    if math.isfinite(squares):
        return squares / count
    return _welford(values)


def root(value: float) -> float:
    """The square root; NaN of what has none."""
    return math.sqrt(value) if value >= 0 else NAN


def _welford(values: Values) -> float:
    """As `variance`, one value at a time: for sums beyond floats, infinities and NaN, as Prometheus has them."""
    mean = mean_rest = squares = squares_rest = 0.0
    for count, value in enumerate(values, start=1):
        delta = value - (mean + mean_rest)
        mean, mean_rest = added(delta / count, mean, mean_rest)
        squares, squares_rest = added(delta * (value - (mean + mean_rest)), squares, squares_rest)
    return (squares + squares_rest) / len(values)
