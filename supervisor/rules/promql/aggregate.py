"""Aggregations: many elements of a vector into one per group, or the few of each group that are asked for.

Called by `evaluate.py`; pure functions of the vector. Groups come out in the order of their first element.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from supervisor.facts import Labels
from supervisor.rules.promql.labelsets import DOOMED, Doomed, Memo, less, memo, only
from supervisor.rules.promql.nodes import Aggregate, Kind, Vector
from supervisor.rules.promql.ranking import best, share
from supervisor.rules.promql.sums import highest, lowest, mean, quantile, spread, total


class ParameterError(Exception):
    """The number that an aggregation takes first cannot be used."""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One entry of the table. `run`: the value of a group. Those without one choose elements, or count values."""

    run: Callable[[Sequence[float]], float] | None = None
    param: Kind | None = None
    """what it takes before the vector"""
    experimental: bool = False
    """Prometheus knows it only with `--enable-feature=promql-experimental-functions`"""


TABLE: dict[str, Aggregation] = {
    "sum": Aggregation(total),
    "avg": Aggregation(mean),
    "min": Aggregation(lowest),
    "max": Aggregation(highest),
    "count": Aggregation(lambda values: float(len(values))),
    "group": Aggregation(lambda values: 1.0),
    "stdvar": Aggregation(spread),
    "stddev": Aggregation(lambda values: math.sqrt(spread(values))),
    "quantile": Aggregation(param=Kind.SCALAR),
    "topk": Aggregation(param=Kind.SCALAR),
    "bottomk": Aggregation(param=Kind.SCALAR),
    "count_values": Aggregation(param=Kind.TEXT),
    "limitk": Aggregation(param=Kind.SCALAR, experimental=True),
    "limit_ratio": Aggregation(param=Kind.SCALAR, experimental=True),
}
"""Every aggregation there is; `parse.py` refuses the others by name."""


def aggregate(node: Aggregate, vector: Vector, param: float | str | None = None) -> Vector:
    """The groups of `vector` and the value of each. ParameterError if `param` is no number it can use."""
    if node.op in ("topk", "bottomk", "limitk", "limit_ratio"):
        assert isinstance(param, float | int)
        return _chosen(node, vector, float(param))
    if node.op == "count_values":
        assert isinstance(param, str)
        return _counted(node, vector, param)
    run = TABLE[node.op].run
    if run is None:
        assert isinstance(param, float | int)
        rank = float(param)
        run = lambda values: quantile(rank, values)  # noqa: E731 - the one aggregation with a number to it
    if not node.labels and not node.without:
        return [(_marked((), vector), run([value for _labels, value in vector]))] if vector else []
    return [(labels, run(values)) for labels, values in _grouped(node, vector)]


def doubts(op: str, param: float | str | None) -> list[str]:
    """What Prometheus would warn of about this parameter."""
    if not isinstance(param, float | int):
        return []
    if op == "quantile" and not 0 <= param <= 1:
        return [f"PromQL warning: quantile value should be between 0 and 1, got {short(param)}"]
    if op == "limit_ratio" and abs(param) > 1:
        bound = "1" if param > 0 else "-1"
        return [f"PromQL warning: ratio value should be between -1 and 1, got {short(param)}, capping to {bound}"]
    return []


def short(value: float) -> str:
    """As Go's `%v` and `%g`."""
    if not math.isfinite(value) or not value:
        return written(value)
    found = Decimal(repr(value)).normalize()
    power = found.adjusted()
    if -4 <= power < 6:
        return format(found, "f")
    return f"{found.scaleb(-power)}e{'-' if power < 0 else '+'}{abs(power):02}"


def _groups(node: Aggregate) -> Memo:
    """label set -> (label set, a text that is the same for the whole group, the group's labels)"""
    names, without = node.labels, node.without

    def run(labels: Labels) -> tuple[Any, ...]:
        kept = less(labels, (*names, "__name__")) if without else only(labels, names)
        return repr(kept), kept

    return memo(("group", names, without), run)


def _grouped(node: Aggregate, vector: Vector) -> list[tuple[Labels, list[float]]]:
    """The values of each group."""
    groups = _groups(node)
    kept, learn = groups.kept.get, groups.learn
    found: dict[str, tuple[Labels, list[float]]] = {}
    doomed: dict[str, bool] = {}
    for labels, value in vector:
        _labels, key, label = kept(id(labels)) or learn(labels)
        group = found.get(key)
        if group is None:
            found[key] = (label, [value])
        else:
            group[1].append(value)
        if type(labels) is Doomed:
            doomed[key] = True
    if doomed:
        return [(_doom(labels) if key in doomed else labels, values) for key, (labels, values) in found.items()]
    return list(found.values())


def _marked(labels: Labels, members: Vector) -> Labels:
    """A group's labels: to lose their name at the end if one of its members is to."""
    return _doom(labels) if any(type(of) is Doomed for of, _value in members) else labels


def _doom(labels: Labels) -> Labels:
    found: Labels = (DOOMED.kept.get(id(labels)) or DOOMED.learn(labels))[1]
    return found


# ---------------------------------------------------------------- a few of each group


def _chosen(node: Aggregate, vector: Vector, param: float) -> Vector:
    """topk, bottomk, limitk, limit_ratio: elements as they are."""
    if node.op == "limit_ratio":
        if param == 0:
            return []
        if param != param:
            raise ParameterError("Ratio value is NaN")
        return [element for element in vector if share(element[0], param)]
    if param < 1:
        return []
    if param != param:
        raise ParameterError("Parameter value is NaN")
    if param >= 2.0**63 - 1024:
        raise ParameterError(f"Scalar value {short(param)} overflows int64")
    most = min(int(param), len(vector))
    groups = _groups(node)
    found: dict[str, Vector] = {}
    for element in vector:
        key = (groups.kept.get(id(element[0])) or groups.learn(element[0]))[1]
        found.setdefault(key, []).append(element)
    if node.op == "limitk":
        return [element for members in found.values() for element in members[:most]]
    return [element for members in found.values() for element in best(members, most, node.op == "topk")]


# ---------------------------------------------------------------- values counted


def _counted(node: Aggregate, vector: Vector, name: str) -> Vector:
    """count_values: how many elements of each group have each value, which becomes a label."""
    if not name or "\ufffd" in name:  # bytes that were no text have become the replacement character
        raise ParameterError(f'invalid label name "{name}"')
    dropped = [*node.labels, "__name__"]
    kept = [*node.labels, name]
    counts: dict[Labels, int] = {}
    for labels, value in vector:
        given = {**dict(labels), name: written(value)}
        if node.without:
            key = tuple(sorted((label, text) for label, text in given.items() if label not in dropped))
        else:
            key = tuple(sorted((label, text) for label, text in given.items() if label in kept))
        counts[key] = counts.get(key, 0) + 1
    return [(labels, float(count)) for labels, count in counts.items()]


def written(value: float) -> str:
    """A number as a label's value: the shortest digits that mean it, never an exponent."""
    if not math.isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return format(Decimal(repr(value)), "f").removesuffix(".0")
