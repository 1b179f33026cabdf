"""Binary operators: arithmetic that never raises, comparisons, and how two vectors find each other.

Called by `evaluate.py` with the operands' values; pure functions.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from supervisor.facts import Labels
from supervisor.rules.promql.nodes import Binary, Matching, Vector


class MatchingError(Exception):
    """Two vectors do not match one to one (or many to one) as the expression says they do."""


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or left != left or right != right:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _modulo(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


def power(left: float, right: float) -> float:
    """`left ^ right` as C and Go give it."""
    try:
        return math.pow(left, right)
    except OverflowError:
        odd = abs(right) < 2**53 and right % 2 == 1
        return -math.inf if left < 0 and odd else math.inf
    except ValueError:
        if left == 0:  # a negative power of zero
            odd = right == int(right) and int(right) % 2 == 1
            return math.copysign(math.inf, left) if odd else math.inf
        return math.nan


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": _modulo,
    "^": power,
    "atan2": math.atan2,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}
SETS = ("and", "or", "unless")


def scalars(op: str, left: float, right: float) -> float:
    """Two numbers; a comparison gives 0 or 1."""
    if op in ARITHMETIC:
        return ARITHMETIC[op](left, right)
    return float(COMPARISONS[op](left, right))


def mixed(node: Binary, left: Vector | float, right: Vector | float) -> Vector:
    """A vector and a number, in either order. A comparison keeps the vector's element and value."""
    swapped = isinstance(right, list)
    vector = right if isinstance(right, list) else left
    number = left if isinstance(right, list) else right
    assert isinstance(vector, list)
    assert isinstance(number, float | int)
    if node.op in ARITHMETIC:
        run = ARITHMETIC[node.op]
        if swapped:
            return [(without(labels), run(number, value)) for labels, value in vector]
        return [(without(labels), run(value, number)) for labels, value in vector]
    test = COMPARISONS[node.op]
    if node.as_bool:
        return [
            (without(labels), float(test(number, value) if swapped else test(value, number)))
            for labels, value in vector
        ]
    if swapped:
        return [(labels, value) for labels, value in vector if test(number, value)]
    return [(labels, value) for labels, value in vector if test(value, number)]


def vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    """Two vectors, matched by their labels. MatchingError where that is ambiguous."""
    matching = node.matching
    if node.op in SETS:
        return _sets(node.op, matching, left, right)
    if matching.group == "right":
        return _join(node, right, left, swapped=True)
    return _join(node, left, right, swapped=False)


def _sets(op: str, matching: Matching, left: Vector, right: Vector) -> Vector:
    if op == "or":
        seen = {_signature(matching, labels) for labels, _value in left}
        return left + [element for element in right if _signature(matching, element[0]) not in seen]
    seen = {_signature(matching, labels) for labels, _value in right}
    return [element for element in left if (_signature(matching, element[0]) in seen) == (op == "and")]


def _join(node: Binary, many: Vector, one: Vector, swapped: bool) -> Vector:
    if not many or not one:
        return []  # before any ambiguity is looked for, as Prometheus does
    matching = node.matching
    others: dict[Labels, tuple[Labels, float]] = {}
    for element in one:
        key = _signature(matching, element[0])
        if key in others:
            side = "left" if swapped else "right"
            raise MatchingError(
                f"found duplicate series for the match group {_text(key)} on the {side} hand-side of the operation: "
                f"[{_text(element[0])}, {_text(others[key][0])}]; many-to-many matching not allowed: matching labels "
                "must be unique on one side"
            )
        others[key] = element
    taken: set[tuple[Labels, Labels]] = set()
    result: Vector = []
    for labels, value in many:
        key = _signature(matching, labels)
        other = others.get(key)
        if other is None:
            continue
        before, after = (other[1], value) if swapped else (value, other[1])
        metric = _metric(node, labels, other[0])
        mark = (key, metric if matching.group else ())
        if mark in taken:
            raise MatchingError(
                "multiple matches for labels: grouping labels must ensure unique matches"
                if matching.group
                else "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        taken.add(mark)
        if node.op in ARITHMETIC:
            result.append((metric, ARITHMETIC[node.op](before, after)))
            continue
        holds = COMPARISONS[node.op](before, after)
        if node.as_bool:
            result.append((metric, float(holds)))
        elif holds:
            result.append((metric, before))
    return result


def _metric(node: Binary, labels: Labels, other: Labels) -> Labels:
    """The labels of a result: those of the many side, reduced and extended as the matching says."""
    matching = node.matching
    if node.op in ARITHMETIC or node.as_bool:
        labels = without(labels)
    if not matching.group:
        if matching.on:
            return tuple(pair for pair in labels if pair[0] in matching.labels)
        return tuple(pair for pair in labels if pair[0] not in matching.labels) if matching.labels else labels
    if not matching.include:
        return labels
    given = dict(other)
    merged = {name: value for name, value in labels if name not in matching.include}
    merged.update({name: given[name] for name in matching.include if name in given})
    return tuple(sorted(merged.items()))


def _signature(matching: Matching, labels: Labels) -> Labels:
    return _reduced(labels, matching.labels, matching.on)


@lru_cache(maxsize=65536)
def _reduced(labels: Labels, names: tuple[str, ...], on: bool) -> Labels:
    if on:
        return tuple(pair for pair in labels if pair[0] in names)
    return tuple(pair for pair in labels if pair[0] != "__name__" and pair[0] not in names)


@lru_cache(maxsize=65536)
def without(labels: Labels) -> Labels:
    """The labels without the metric name."""
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _text(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
