"""Adding floats the way the field does: without losing small ones beside large ones, and alike on every Python.

Pure arithmetic for `aggregate.py` and `windows.py`.
"""

import math
from collections.abc import Sequence

NAN = math.nan


def total(values: Sequence[float]) -> float:
    """The sum, exactly rounded; beyond the range of floats as Neumaier's loop gives it."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return neumaier(values)


def neumaier(values: Sequence[float]) -> float:
    """Neumaier's compensated sum: infinities stay infinite, infinity minus infinity is NaN."""
    add, rest = 0.0, 0.0
    for value in values:
        after = add + value
        if math.isinf(after):
            rest = 0.0
        elif abs(add) >= abs(value):
            rest += (add - after) + value
        else:
            rest += (value - after) + add
        add = after
    return add if math.isinf(add) else add + rest


def mean(values: Sequence[float]) -> float:
    """The average; incremental only where the sum would overflow."""
    add = total(values)
    if not math.isinf(add) or any(math.isinf(value) for value in values):
        return add / len(values)
    result = 0.0
    for count, value in enumerate(values, start=1):
        result += value / count - result / count
    return result


def lowest(values: Sequence[float]) -> float:
    """The minimum; NaN only if there is nothing else."""
    return min((value for value in values if value == value), default=NAN)


def highest(values: Sequence[float]) -> float:
    """The maximum; NaN only if there is nothing else."""
    return max((value for value in values if value == value), default=NAN)
