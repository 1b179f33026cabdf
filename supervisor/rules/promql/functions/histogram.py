"""Functions of classic histograms: counters of observations up to a bound, one per value of the label `le`.

Part of the one table (`functions/__init__.py`). The buckets of one histogram are the elements whose labels differ in
`le` alone. The arithmetic takes (upper bound, observations up to it) pairs and never raises.
"""

import math
import re

from supervisor.facts import Labels
from supervisor.rules.promql.costs import BUCKET, LABELLED
from supervisor.rules.promql.evaluate import Frame
from supervisor.rules.promql.functions.base import Args, S, T, V, check_quantile, text
from supervisor.rules.promql.functions.labels import get, put
from supervisor.rules.promql.labelsets import memo
from supervisor.rules.promql.nodes import Function, Node, Vector

Bucket = tuple[float, float]
"""the upper bound, and how many observations were not above it"""

_NUMBER = re.compile(r"[+-]?(?:inf(?:inity)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)", re.IGNORECASE)
_HEX = re.compile(r"[+-]?0x[0-9a-f]*\.?[0-9a-f]*p[+-]?[0-9]+", re.IGNORECASE)
_SMALL = 1e-12
"""Relative differences of counts not above this are noise of floats, not observations."""
_NORMAL = 2.2250738585072014e-308


def bound(label: str) -> float | None:
    """The number a label `le` holds; None if it holds none."""
    if _NUMBER.fullmatch(label):
        return float(label)
    if _HEX.fullmatch(label):
        try:
            return float.fromhex(label)
        except (ValueError, OverflowError):
            return None
    return None


def _unbucket(labels: Labels) -> tuple[Labels, float | None]:
    return put(labels, "le", ""), bound(get(labels, "le"))


def _histograms(frame: Frame, node: Node) -> list[tuple[Labels, list[Bucket]]]:
    """The histograms in a vector (`node`): their labels without `le`, and their buckets in order of their bounds,
    those with equal bounds added up."""
    known = memo(("le",), _unbucket)
    groups: dict[Labels, list[Bucket]] = {}
    vector = frame.vector(node)
    frame.spend(BUCKET * len(vector))
    for labels, value in vector:
        _labels, rest, upper = known.kept.get(id(labels)) or known.learn(labels)
        if upper is None:
            frame.note(
                'PromQL warning: bucket label "le" is missing or has a malformed value of '
                f'"{get(labels, "le")}" for metric name "{get(labels, "__name__")}"',
                node,
            )
            continue
        groups.setdefault(rest, []).append((upper, value))
    return [(labels, _ordered(buckets)) for labels, buckets in groups.items()]


def _ordered(buckets: list[Bucket]) -> list[Bucket]:
    found: list[Bucket] = []
    for upper, count in sorted(buckets, key=lambda bucket: bucket[0]):
        if found and found[-1][0] == upper:
            found[-1] = (upper, found[-1][1] + count)
        else:
            found.append((upper, count))
    return found


def rising(buckets: list[Bucket]) -> tuple[list[Bucket], bool]:
    """The buckets with counts that never fall, and whether that took more than ironing out the noise of floats."""
    found, forced = [buckets[0]], False
    before = buckets[0][1]
    for upper, count in buckets[1:]:
        if count != before and not _close(before, count):
            if count < before:
                forced = True
            else:
                before = count
        found.append((upper, before))
    return found, forced


def _close(one: float, other: float) -> bool:
    apart, both = abs(one - other), abs(one) + abs(other)
    if not one or not other or both < _NORMAL:
        return apart < _SMALL * _NORMAL
    return apart / min(both, 1.7976931348623157e308) < _SMALL


def bucket_quantile(phi: float, buckets: list[Bucket]) -> tuple[float, bool]:
    """The value below which the share `phi` of the observations lies, as if they were spread evenly within a bucket;
    and whether counts had to be forced to rise. NaN without a bucket up to +Inf, with only one, or if it is empty."""
    if phi != phi:
        return math.nan, False
    if phi < 0 or phi > 1:
        return math.copysign(math.inf, phi), False
    if buckets[-1][0] != math.inf:
        return math.nan, False
    buckets, forced = rising(buckets)
    last = len(buckets) - 1
    observations = buckets[last][1]
    if last < 1 or observations == 0:
        return math.nan, False
    rank = phi * observations
    at = _first(buckets, rank)
    upper, count = buckets[at]
    if at == last:
        return buckets[last - 1][0], forced
    if at == 0:
        return (upper, forced) if upper <= 0 else (upper * _ratio(rank, count), forced)
    lower, below = buckets[at - 1]
    return lower + (upper - lower) * _ratio(rank - below, count - below), forced


def _first(buckets: list[Bucket], rank: float) -> int:
    """The first bucket that holds the rank, found by halving: the same one as elsewhere also where counts are NaN."""
    low, high = 0, len(buckets) - 1
    while low < high:
        middle = (low + high) // 2
        if buckets[middle][1] >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def _ratio(part: float, whole: float) -> float:
    """A quotient; NaN of nothing in nothing."""
    if whole:
        return part / whole
    return math.copysign(math.inf, part) * math.copysign(1.0, whole) if part and part == part else math.nan


def bucket_fraction(lower: float, upper: float, buckets: list[Bucket]) -> float:
    """The share of the observations between two values, as if they were spread evenly within a bucket."""
    count = buckets[-1][1]
    if buckets[-1][0] != math.inf or count == 0 or lower != lower or upper != upper:
        return math.nan
    if lower >= upper:
        return 0.0
    return _ratio(_rank(upper, buckets) - _rank(lower, buckets), count)


def _rank(value: float, buckets: list[Bucket]) -> float:
    """How many observations lie below a value; at most all of them. The first bucket starts at 0 if it ends above it.
    A bucket without an end counts as if all of it lay at the end that it has."""
    start, rank = 0.0 if buckets[0][0] > 0 else -math.inf, 0.0
    for end, count in buckets:
        if start >= value:
            break
        if end > value:
            rank = count if start == -math.inf else rank + (count - rank) * ((value - start) / (end - start))
            break
        start, rank = end, count
    return min(rank, buckets[-1][1])


# ---------------------------------------------------------------- the functions


def _quantile(frame: Frame, args: Args) -> Vector:
    phi = frame.scalar(args[0])
    check_quantile(frame, phi, args[0])
    histograms = _histograms(frame, args[1])
    return [(frame.nameless(labels), _of(frame, args[1], phi, labels, buckets)) for labels, buckets in histograms]


def _of(frame: Frame, node: Node, phi: float, labels: Labels, buckets: list[Bucket]) -> float:
    value, forced = bucket_quantile(phi, buckets)
    if forced:
        metric = get(labels, "__name__")
        frame.note(
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io"
            f'/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name "{metric}"',
            node,
        )
    return value


def _quantiles(frame: Frame, args: Args) -> Vector:
    """Several quantiles at once; the label named by the second argument tells them apart."""
    name, phis = text(args[1]), [frame.scalar(arg) for arg in args[2:]]
    for phi, arg in zip(phis, args[2:], strict=True):
        check_quantile(frame, phi, arg)
    result: Vector = []
    histograms = _histograms(frame, args[0])
    frame.spend((BUCKET + LABELLED) * len(phis) * len(histograms))
    for phi in phis:
        for labels, buckets in histograms:
            value = _of(frame, args[0], phi, labels, buckets)
            result.append((put(frame.nameless(labels), name, show_quantile(phi)), value))
    return result


def show_quantile(phi: float) -> str:
    """A quantile as a label's value, the way OpenMetrics writes it: `0.5`, `1.0`."""
    if not math.isfinite(phi):
        return "NaN" if phi != phi else "+Inf" if phi > 0 else "-Inf"
    return repr(phi)


def _fraction(frame: Frame, args: Args) -> Vector:
    lower, upper = frame.scalar(args[0]), frame.scalar(args[1])
    histograms = _histograms(frame, args[2])
    return [(frame.nameless(labels), bucket_fraction(lower, upper, buckets)) for labels, buckets in histograms]


_MOST = 10
"""quantiles that histogram_quantiles() takes at most"""

FUNCTIONS = (
    Function("histogram_quantile", (S, V), V, _quantile),
    Function("histogram_fraction", (S, S, V), V, _fraction),
    Function("histogram_quantiles", (V, T, *([S] * _MOST)), V, _quantiles, optional=_MOST - 1, experimental=True),
)
