"""Which elements of a group `topk`, `bottomk` and `limit_ratio` give: the very ones that Prometheus gives, ties too.

Pure functions for `aggregate.py`.
"""

from collections.abc import Callable

from supervisor.facts import Labels
from supervisor.rules.promql.nodes import Vector

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def best(elements: Vector, most: int, top: bool) -> Vector:
    """The `most` elements with the highest values (or the lowest), the first of them first, NaN last.

    Among equals those stay that a bounded binary heap happens to keep, as upstream does it."""
    worse = _below if top else _above
    heap: Vector = []
    for element in elements:
        if len(heap) < most:
            heap.append(element)
            _up(heap, worse)
            continue
        value, last = element[1], heap[0][1]
        if (last < value if top else last > value) or (last != last and value == value):
            heap[0] = element
            _down(heap, worse)
    numbers = [element for element in heap if element[1] == element[1]]
    numbers.sort(key=_value, reverse=top)
    return numbers + [element for element in reversed(heap) if element[1] != element[1]]


def _value(element: tuple[Labels, float]) -> float:
    return element[1]


def _below(one: float, other: float) -> bool:
    return one != one or one < other


def _above(one: float, other: float) -> bool:
    return one != one or one > other


def _up(heap: Vector, worse: Callable[[float, float], bool]) -> None:
    """Let the last element rise to its place."""
    child = len(heap) - 1
    while child:
        parent = (child - 1) // 2
        if not worse(heap[child][1], heap[parent][1]):
            return
        heap[child], heap[parent] = heap[parent], heap[child]
        child = parent


def _down(heap: Vector, worse: Callable[[float, float], bool]) -> None:
    """Let the first element sink to its place."""
    parent, count = 0, len(heap)
    while 2 * parent + 1 < count:
        child = 2 * parent + 1
        if child + 1 < count and worse(heap[child + 1][1], heap[child][1]):
            child += 1
        if not worse(heap[child][1], heap[parent][1]):
            return
        heap[parent], heap[child] = heap[child], heap[parent]
        parent = child


def share(labels: Labels, ratio: float) -> bool:
    """Whether `limit_ratio(ratio, …)` gives the element with these labels: the same always, and either it or its
    complement (a negative ratio) does."""
    place = _hash(b"".join(_sized(name) + _sized(value) for name, value in labels)) / float(_MASK)
    return place < ratio if ratio >= 0 else place >= 1.0 + max(ratio, -1.0)


def _sized(text: str) -> bytes:
    data = text.encode()
    size = bytes((len(data),)) if len(data) < 255 else b"\xff" + len(data).to_bytes(3, "little")
    return size + data


def _rotated(value: int, by: int) -> int:
    value &= _MASK
    return (value << by | value >> (64 - by)) & _MASK


def _hash(data: bytes) -> int:
    """xxHash64 with seed 0."""
    size, at = len(data), 0
    if size >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while at + 32 <= size:
            for lane in range(4):
                word = int.from_bytes(data[at : at + 8], "little")
                lanes[lane] = _rotated(lanes[lane] + word * _P2, 31) * _P1 & _MASK
                at += 8
        value = _rotated(lanes[0], 1) + _rotated(lanes[1], 7) + _rotated(lanes[2], 12) + _rotated(lanes[3], 18)
        for lane in lanes:
            value = ((value ^ _rotated(lane * _P2, 31) * _P1) * _P1 + _P4) & _MASK
    else:
        value = _P5
    value = (value + size) & _MASK
    while at + 8 <= size:
        word = int.from_bytes(data[at : at + 8], "little")
        value = _rotated(value ^ _rotated(word * _P2, 31) * _P1, 27) * _P1 + _P4 & _MASK
        at += 8
    if at + 4 <= size:
        word = int.from_bytes(data[at : at + 4], "little")
        value = _rotated(value ^ word * _P1, 23) * _P2 + _P3 & _MASK
        at += 4
    for byte in data[at:]:
        value = _rotated(value ^ byte * _P5, 11) * _P1 & _MASK
    value = (value ^ value >> 33) * _P2 & _MASK
    value = (value ^ value >> 29) * _P3 & _MASK
    return value ^ value >> 32
