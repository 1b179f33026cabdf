"""Functions that turn one kind into another or look at a vector as a whole: time, absence, scalars, order.

Part of the one table (`functions/__init__.py`).
"""

import math

from supervisor.facts import Labels
from supervisor.rules.promql.evaluate import Frame
from supervisor.rules.promql.functions.base import Args, M, S, V
from supervisor.rules.promql.functions.ranges import ranged
from supervisor.rules.promql.nodes import Function, Node, Selector, Vector, Window


def _time(frame: Frame, args: Args) -> float:
    return frame.at / 1000


def _pi(frame: Frame, args: Args) -> float:
    return math.pi


def _timestamp(frame: Frame, args: Args) -> Vector:
    """A selector's samples have instants of their own; any other vector is of now."""
    if isinstance(args[0], Selector) and not args[0].signed:
        return [(frame.bare(series), time / 1000) for series, time, _value in frame.points(args[0])]
    return [(frame.nameless(labels), frame.at / 1000) for labels, _value in frame.vector(args[0])]


def _scalar(frame: Frame, args: Args) -> float:
    vector = frame.vector(args[0])
    return vector[0][1] if len(vector) == 1 else math.nan


def _vector(frame: Frame, args: Args) -> Vector:
    return [((), frame.scalar(args[0]))]


# ---------------------------------------------------------------- absence


def absent_labels(node: Node) -> Labels:
    """What the missing thing would be called: the labels its selector asks for exactly. A matcher after the first
    exact one of the same label takes it away again."""
    selector = node.selector if isinstance(node, Window) else node
    if not isinstance(selector, Selector) or selector.signed:
        return ()
    found: dict[str, str] = {}
    asked: list[str] = []
    for matcher in selector.matchers:
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in asked:
            found[matcher.name] = matcher.value
            asked.append(matcher.name)
        else:
            found[matcher.name] = ""
    return tuple(sorted(pair for pair in found.items() if pair[1]))


def _absent(frame: Frame, args: Args) -> Vector:
    return [] if frame.vector(args[0]) else [(absent_labels(args[0]), 1.0)]


def _absent_over_time(frame: Frame, args: Args) -> Vector:
    node = ranged(args[0])
    there = frame.ranges(node) if isinstance(node, Window) else frame.spans(node)
    return [] if there else [(absent_labels(node), 1.0)]


# ---------------------------------------------------------------- order


def _sort(frame: Frame, args: Args) -> Vector:
    return _sorted(frame.vector(args[0]), falling=False)


def _sort_desc(frame: Frame, args: Args) -> Vector:
    return _sorted(frame.vector(args[0]), falling=True)


def _sorted(vector: Vector, falling: bool) -> Vector:
    """By value; NaN comes last either way, the last of them first, as upstream's sort leaves them."""
    numbers = [element for element in vector if element[1] == element[1]]
    rest = [element for element in reversed(vector) if element[1] != element[1]]
    return sorted(numbers, key=lambda element: element[1], reverse=falling) + rest


FUNCTIONS = (
    Function("time", (), S, _time, flows=True),
    Function("pi", (), S, _pi),
    # of a selector it stands still, of anything else it is now (see `flows` in the table's module)
    Function("timestamp", (V,), V, _timestamp, flows=True),
    Function("scalar", (V,), S, _scalar),
    Function("vector", (S,), V, _vector),
    Function("absent", (V,), V, _absent),
    Function("absent_over_time", (M,), V, _absent_over_time),
    Function("sort", (V,), V, _sort),
    Function("sort_desc", (V,), V, _sort_desc),
)
