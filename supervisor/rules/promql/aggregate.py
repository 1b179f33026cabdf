"""Aggregations: many elements of a vector into one per group.

Called by `evaluate.py`; a pure function of the vector. Groups come out in the order of their first element.
"""

from collections.abc import Callable, Sequence

from supervisor.facts import Labels
from supervisor.rules.promql.nodes import Aggregate, Vector
from supervisor.rules.promql.sums import highest, lowest, mean, total

TABLE: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": total,
    "avg": mean,
    "min": lowest,
    "max": highest,
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
}
"""Every aggregation there is; `parse.py` refuses the others by name."""


def aggregate(node: Aggregate, vector: Vector) -> Vector:
    """The groups of `vector` and the value of each."""
    dropped, kept = {*node.labels, "__name__"}, set(node.labels)
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector:
        if node.without:
            key = tuple(pair for pair in labels if pair[0] not in dropped)
        else:
            key = tuple(pair for pair in labels if pair[0] in kept)
        groups.setdefault(key, []).append(value)
    run = TABLE[node.op]
    return [(labels, run(values)) for labels, values in groups.items()]
