"""What work costs: everything that takes longer than a look at a sample, in sample visits.

Read by `evaluate.py` and by the functions, which pay it from the purse. Measured on a slow core, and rounded: a visit
is a quarter of a microsecond there, so that a purse of two million holds a turn for half a second, whatever it is
spent on. Labels count by their letters, because that is what makes them dear.
"""

from supervisor.rules.promql.nodes import Aggregate, Binary, Vector

NODE = 8
"""to look at one node of a subquery's expression once"""
KEPT = 4
"""to keep one element of one instant of a subquery"""
FOUND = 3
"""to find the sample of a series that was the newest at an instant before the last one"""
MADE = 2
"""each element that a function gives, besides the samples it looked at"""
PAIR = 4
"""to take the last two samples of a series out of its window"""
SOUGHT = 8
"""to find out whether a selector means a series that it was not asked about before"""
SORTED = 8
"""to put one element in its place by its labels"""
BUCKET = 8
"""to put a bucket beside its like"""
LABELLED = 6
"""to make a label set that was not there before"""
LETTERS = 16
"""so many letters a regular expression reads in one visit; for each group once more"""


def operation(node: Binary, left: int, right: int) -> int:
    """Two vectors with so many elements: looked up on the other side, and labels taken over from there."""
    if node.op in ("and", "or", "unless"):
        return left + right
    return (left + right) * (6 if node.matching.include else 3)


def aggregation(node: Aggregate, vector: Vector, param: float | str | None) -> int:
    """Elements sorted into groups, and what their group does with each."""
    count = len(vector)
    if node.op == "count_values":
        return 12 * count
    if node.op in ("topk", "bottomk"):
        most = int(param) if isinstance(param, float | int) and 0 <= param < count else count
        return (2 + most.bit_length()) * count
    if node.op == "limit_ratio":
        letters = 0
        for labels, _value in vector:
            for name, text in labels:
                letters += len(name) + len(text)
        return 10 * count + letters // 8
    return (3 if node.labels or node.without else 1) * count
