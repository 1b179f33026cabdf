"""Functions over the samples of one series inside one window: pure arithmetic on (timestamps in ms, values).

Called through the table in `functions.py`. Windows are never empty and hold no stale markers. An answer of None
means: no element for this series.
"""

import math
from collections.abc import Sequence

from supervisor.rules.promql.sums import NAN, total

Times = Sequence[int]
Values = Sequence[float]


def extrapolated(times: Times, values: Values, start: int, end: int, counter: bool, rate: bool) -> float | None:
    """`increase`, `rate` (counter) and `delta`: the change between first and last sample, stretched to the window's
    edges where the samples suggest that the series reached that far."""
    if len(values) < 2:
        return None
    result = values[-1] - values[0]
    if counter:
        result += regained(values)
    to_start, to_end = (times[0] - start) / 1000, (end - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(values) - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if counter and result > 0 and values[0] >= 0:
        # a counter cannot have been below zero: do not stretch it further back than that
        to_start = min(to_start, sampled * (values[0] / result))
    if to_end >= threshold:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    if rate:
        factor /= (end - start) / 1000
    return result * factor


def regained(values: Values) -> float:
    """What a counter had reached before each of its resets, added up."""
    lost = 0.0
    before = values[0]
    for value in values:
        if value < before:
            lost += before
        before = value
    return lost


def last_two(times: Times, values: Values, counter: bool) -> float | None:
    """`irate` (counter) and `idelta`: from the last two samples alone."""
    if len(values) < 2:
        return None
    before, last = values[-2], values[-1]
    if not counter:
        return last - before
    change = last if last < before else last - before
    return change / ((times[-1] - times[-2]) / 1000)


def regression(times: Times, values: Values, origin: int) -> tuple[float, float] | None:
    """Slope per second and value at `origin` (ms) of the straight line through the samples, by least squares."""
    if len(values) < 2:
        return None
    if all(value == values[0] for value in values):
        return (NAN, NAN) if math.isinf(values[0]) else (0.0, values[0])
    count = float(len(values))
    xs = [(time - origin) / 1000 for time in times]
    sum_x, sum_y = total(xs), total(values)
    covariance = total([x * y for x, y in zip(xs, values, strict=True)]) - sum_x * sum_y / count
    variance = total([x * x for x in xs]) - sum_x * sum_x / count
    if not variance:  # instants so far from the origin that their differences drown
        return NAN, NAN
    slope = covariance / variance
    return slope, sum_y / count - slope * sum_x / count


def changes(values: Values) -> float:
    """How often the value changed (NaN to NaN is no change)."""
    count = 0
    before = values[0]
    for value in values:
        if value != before and not (value != value and before != before):
            count += 1
        before = value
    return float(count)


def resets(values: Values) -> float:
    """How often the value went down."""
    count = 0
    before = values[0]
    for value in values:
        if value < before:
            count += 1
        before = value
    return float(count)
