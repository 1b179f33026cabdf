"""Adding floats the way the field does: without losing small ones beside large ones, and alike on every Python.

Pure arithmetic for `aggregate.py` and `windows.py`. None of these functions is given nothing.
"""

import math
from collections.abc import Sequence
from operator import mul

NAN = math.nan
_LOST = 1e-10
"""The part of its terms that a sum must exceed to be the same whichever way it was compensated."""


def total(values: Sequence[float]) -> float:
    """The sum as Neumaier's loop gives it, since Prometheus adds so. Where nothing much cancels out, that is the
    exactly rounded sum, which takes a tenth of the time."""
    try:
        found = math.fsum(values)
    except (OverflowError, ValueError):
        return neumaier(values)
    least = min(values)
    if least >= 0 or abs(found) > _LOST * len(values) * max(-least, max(values)):
        return found
    return neumaier(values)  # also of NaN, for which nothing above is true


def products(left: Sequence[float], right: Sequence[float]) -> float:
    """The sum of the products, pair by pair, as `total` adds them."""
    try:
        return math.fsum(map(mul, left, right))  # no list of them: this is most of what a line costs
    except (OverflowError, ValueError):
        return neumaier(list(map(mul, left, right)))


def neumaier(values: Sequence[float]) -> float:
    """Neumaier's compensated sum: infinities stay infinite, infinity minus infinity is NaN."""
    add, rest = 0.0, 0.0
    for value in values:
        add, rest = added(value, add, rest)
    return add if math.isinf(add) else add + rest


def added(value: float, add: float, rest: float) -> tuple[float, float]:
    """One step of Neumaier's sum: (sum, what rounding has lost of it)."""
    after = add + value
    if math.isinf(after):
        return after, 0.0
    if abs(add) >= abs(value):
        return after, rest + ((add - after) + value)
    return after, rest + ((value - after) + add)


def mean(values: Sequence[float]) -> float:
    """The average; incremental from where the sum would overflow."""
    add = total(values)
    if math.isfinite(add):
        return add / len(values)
    add, rest = values[0], 0.0
    running = False
    for count, value in enumerate(values[1:], start=2):
        if not running:
            after, lost = added(value, add, rest)
            if not math.isinf(after):
                add, rest = after, lost
                continue
            running = True
            add, rest = add / (count - 1), rest / (count - 1)
        share = (count - 1) / count
        add, rest = added(value / count, share * add, share * rest)
    return add + rest if running else add / len(values) + rest / len(values)


def lowest(values: Sequence[float]) -> float:
    """The minimum; NaN only if there is nothing else."""
    if values[0] == values[0]:
        return min(values)  # a NaN that is not the first is never lower than what was found
    return min((value for value in values if value == value), default=NAN)


def highest(values: Sequence[float]) -> float:
    """The maximum; NaN only if there is nothing else."""
    if values[0] == values[0]:
        return max(values)
    return max((value for value in values if value == value), default=NAN)


def spread(values: Sequence[float]) -> float:
    """The population variance, by Welford's method; NaN if any value is not finite."""
    if not math.isfinite(values[0]):
        return NAN
    middle, squares = 0.0, 0.0
    for count, value in enumerate(values, start=1):
        delta = value - middle
        middle += delta / count
        squares += delta * (value - middle)
    return squares / len(values)


def quantile(rank: float, values: Sequence[float]) -> float:
    """The value below which the share `rank` of the values lies, on a straight line between the two nearest; NaN
    counts as lower than all else."""
    if rank != rank:
        return NAN
    if rank < 0:
        return -math.inf
    if rank > 1:
        return math.inf
    ordered = [value for value in values if value != value]
    ordered += sorted(value for value in values if value == value)
    place = rank * (len(ordered) - 1)
    lower = math.floor(place)
    upper = min(len(ordered) - 1, lower + 1)
    weight = place - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight
