"""Binary operators: arithmetic that never raises, comparisons, and how two vectors find each other.

Called by `evaluate.py` with the operands' values; pure functions.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

from supervisor.facts import Labels
from supervisor.rules.promql.labelsets import BARE, DOOMED, Doomed, Memo, less, memo, only, show, without
from supervisor.rules.promql.nodes import Binary, Matching, Vector

__all__ = ["ARITHMETIC", "COMPARISONS", "SETS", "MatchingError", "mixed", "power", "scalars", "vectors", "without"]


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
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": power,
    "atan2": math.atan2,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS = ("and", "or", "unless")


def scalars(op: str, left: float, right: float) -> float:
    """Two numbers; a comparison gives 0 or 1."""
    if op in ARITHMETIC:
        return ARITHMETIC[op](left, right)
    return float(COMPARISONS[op](left, right))


def mixed(node: Binary, left: Vector | float, right: Vector | float, delayed: bool = False) -> Vector:
    """A vector and a number, in either order. A comparison keeps the vector's element and value. `delayed`: metric
    names are not dropped, but marked to be."""
    swapped = isinstance(right, list)
    vector = right if isinstance(right, list) else left
    number = left if isinstance(right, list) else right
    assert isinstance(vector, list)
    assert isinstance(number, float | int)
    names = DOOMED if delayed else BARE
    kept, learn = names.kept.get, names.learn
    if node.op in ARITHMETIC:
        run = ARITHMETIC[node.op]
        if swapped:
            return [((kept(id(of)) or learn(of))[1], run(number, value)) for of, value in vector]
        return [((kept(id(of)) or learn(of))[1], run(value, number)) for of, value in vector]
    test = COMPARISONS[node.op]
    if node.as_bool:
        if swapped:
            return [((kept(id(of)) or learn(of))[1], float(test(number, value))) for of, value in vector]
        return [((kept(id(of)) or learn(of))[1], float(test(value, number))) for of, value in vector]
    if swapped:
        return [element for element in vector if test(number, element[1])]
    return [element for element in vector if test(element[1], number)]


def vectors(node: Binary, left: Vector, right: Vector, delayed: bool = False) -> Vector:
    """Two vectors, matched by their labels. MatchingError where that is ambiguous."""
    if node.op in SETS:
        return _sets(node.op, _signatures(node.matching), left, right)
    if node.matching.group == "right":
        return _join(node, right, left, True, delayed)
    return _join(node, left, right, False, delayed)


def _signatures(matching: Matching) -> Memo:
    """label set -> (label set, a text that is the same for all that match it)"""
    on, names = matching.on, matching.labels
    return memo(("signature", on, names), lambda labels: (repr(_reduced(labels, names, on)),))


def _reduced(labels: Labels, names: tuple[str, ...], on: bool) -> Labels:
    """What of the labels must be equal on both sides."""
    return only(labels, names) if on else less(labels, (*names, "__name__"))


def _sets(op: str, signatures: Memo, left: Vector, right: Vector) -> Vector:
    if not left or not right:
        return [] if op == "and" else left if op == "unless" else left or right
    kept, learn = signatures.kept.get, signatures.learn
    if op == "or":
        seen = {(kept(id(labels)) or learn(labels))[1] for labels, _value in left}
        return left + [of for of in right if (kept(id(of[0])) or learn(of[0]))[1] not in seen]
    seen = {(kept(id(labels)) or learn(labels))[1] for labels, _value in right}
    if op == "and":
        return [of for of in left if (kept(id(of[0])) or learn(of[0]))[1] in seen]
    return [of for of in left if (kept(id(of[0])) or learn(of[0]))[1] not in seen]


def _join(node: Binary, many: Vector, one: Vector, swapped: bool, delayed: bool) -> Vector:
    """Each element of `many` with its one partner. `swapped`: `many` is the right operand."""
    matching = node.matching
    fills = (matching.fill_right, matching.fill_left) if swapped else (matching.fill_left, matching.fill_right)
    if (not many or not one) and (fills == (None, None) or not (many or one)):
        return []  # before any ambiguity is looked for, as Prometheus does
    partners = _partners(matching, one, "left" if swapped else "right")
    results = _results(node, delayed)
    kept, learn = results.kept.get, results.learn
    found: list[tuple[Labels, float, float]] = []
    keys: list[str] = []
    for labels, value in many:
        _labels, key, metric = kept(id(labels)) or learn(labels)
        other = partners.get(key)
        if other is None:
            if fills[1] is None:
                continue
            other = (_reduced(labels, matching.labels, matching.on), fills[1])
        if matching.include:
            metric = _extended(matching.include, metric, other[0])
        keys.append(key)
        found.append((metric, value, other[1]))
    _unambiguous(matching, keys, found)
    if fills[0] is not None:
        matched = set(keys)
        for key, (labels, value) in partners.items():
            if key not in matched:
                metric = learn(_reduced(labels, matching.labels, matching.on))[2]
                if matching.include:
                    metric = _extended(matching.include, metric, labels)
                found.append((metric, fills[0], value))
    return _computed(node, found, swapped, delayed)


def _computed(node: Binary, pairs: list[tuple[Labels, float, float]], swapped: bool, delayed: bool) -> Vector:
    """The operator's value for each pair: (labels of the result, value of the many side, of the one side)."""
    if swapped:
        pairs = [(metric, before, after) for metric, after, before in pairs]
    if node.op in ARITHMETIC:
        run = ARITHMETIC[node.op]
        return [(metric, run(before, after)) for metric, before, after in pairs]
    test = COMPARISONS[node.op]
    if not node.as_bool:
        return [(metric, before) for metric, before, after in pairs if test(before, after)]
    names = DOOMED if delayed else BARE
    return [
        ((names.kept.get(id(metric)) or names.learn(metric))[1], float(test(before, after)))
        for metric, before, after in pairs
    ]


def _partners(matching: Matching, one: Vector, side: str) -> dict[str, tuple[Labels, float]]:
    """The elements of the side that may match but once, by signature."""
    signatures = _signatures(matching)
    kept, learn = signatures.kept.get, signatures.learn
    found: dict[str, tuple[Labels, float]] = {}
    for element in one:
        labels = element[0]
        key = (kept(id(labels)) or learn(labels))[1]
        other = found.setdefault(key, element)
        if other is not element:
            group = show(_reduced(labels, matching.labels, matching.on))
            raise MatchingError(
                f"found duplicate series for the match group {group} on the {side} hand-side of the operation: "
                f"[{show(labels)}, {show(other[0])}];many-to-many matching not allowed: matching labels must be "
                "unique on one side"
            )
    return found


def _unambiguous(matching: Matching, keys: list[str], found: list[tuple[Labels, float, float]]) -> None:
    """MatchingError if two elements of the many side are to become one."""
    if not matching.group:
        if len(set(keys)) != len(keys):
            raise MatchingError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
    elif len({(key, pair[0]) for key, pair in zip(keys, found, strict=True)}) != len(keys):
        raise MatchingError("multiple matches for labels: grouping labels must ensure unique matches")


def _results(node: Binary, delayed: bool) -> Memo:
    """label set of the many side -> (label set, its signature, the labels of the result)"""
    matching = node.matching
    nameless = node.op in ARITHMETIC or (node.as_bool and not delayed)

    def run(labels: Labels) -> tuple[Any, ...]:
        metric = without(labels) if nameless else tuple(labels) if type(labels) is Doomed else labels
        if not matching.group and matching.on:
            metric = only(metric, matching.labels)
        elif not matching.group and matching.labels:
            metric = less(metric, matching.labels)
        return repr(_reduced(labels, matching.labels, matching.on)), metric

    return memo(("result", nameless, matching.on, matching.labels, matching.group), run)


def _extended(include: tuple[str, ...], metric: Labels, other: Labels) -> Labels:
    """The labels with those taken over from the one side."""
    pairs = memo(("extended", include), lambda labels: ())
    key = (id(metric), id(other))
    found = pairs.kept.get(key)
    if found is None:
        given = dict(other)
        merged = {name: value for name, value in metric if name not in include}
        merged.update({name: given[name] for name in include if name in given})
        found = pairs.keep(key, (metric, other, tuple(sorted(merged.items()))))
    labels: Labels = found[2]
    return labels
