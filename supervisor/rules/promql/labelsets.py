"""Label sets as an evaluation handles them: reduced, without their metric name, and what was worked out remembered.

Pure; used by `evaluate.py`, `operators.py` and `aggregate.py`. The label sets of an evaluation are mostly the very
tuples that series carry, evaluation after evaluation. So what was worked out about one is kept under its identity,
and no label set is hashed twice; the entry holds the tuple, so that its identity cannot pass to another.
"""

from collections.abc import Callable, Iterable
from typing import Any

from supervisor.facts import Labels
from supervisor.rules.promql.nodes import Aggregate, Binary, Call, Kind, Negate, Node, Selector, Subquery, Window
from supervisor.samples import METADATA, exact_name

LIMIT = 100_000
"""Entries that all memos together keep; then they start anew."""


class Doomed(tuple[tuple[str, str], ...]):
    """A label set whose metric name is to be dropped at the very end (delayed name removal)."""

    __slots__ = ()


class Memo:
    """What was worked out about label sets. An entry is a tuple: the label set, then `run`'s results.

    Read `kept.get(id(labels)) or learn(labels)`: a dictionary hit and nothing else on the way that counts."""

    __slots__ = ("_run", "kept")
    count = 0
    """entries in all memos, about"""

    def __init__(self, run: Callable[[Labels], tuple[Any, ...]]) -> None:
        self._run = run
        self.kept: dict[Any, tuple[Any, ...]] = {}

    def learn(self, labels: Labels) -> tuple[Any, ...]:
        """Work it out, keep it, answer the entry."""
        return self.keep(id(labels), (labels, *self._run(labels)))

    def keep(self, key: Any, entry: tuple[Any, ...]) -> tuple[Any, ...]:
        """Keep an entry under a key made of the identities of what the entry holds."""
        if Memo.count >= LIMIT:
            Memo.count = 0
            for memo in (BARE, DOOMED, *_MEMOS.values()):
                memo.kept.clear()
        Memo.count += 1
        self.kept[key] = entry
        return entry


_MEMOS: dict[Any, Memo] = {}


def memo(key: tuple[Any, ...], run: Callable[[Labels], tuple[Any, ...]]) -> Memo:
    """The memo for this key; all with one key work the same out."""
    found = _MEMOS.get(key)
    if found is None:
        if len(_MEMOS) >= LIMIT // 100:
            _MEMOS.clear()
        found = _MEMOS[key] = Memo(run)
    return found


def _bare(labels: Labels) -> tuple[Labels]:
    for name, _value in labels:
        if name in METADATA:
            return (tuple(pair for pair in labels if pair[0] not in METADATA),)
    return (tuple(labels) if type(labels) is Doomed else labels,)


BARE = Memo(_bare)
"""label set -> (label set, the same without its metric name)"""

DOOMED = Memo(lambda labels: (labels if type(labels) is Doomed else Doomed(labels),))
"""label set -> (label set, the same marked to lose its name at the end)"""


def without(labels: Labels) -> Labels:
    """The labels without the metric name (and its type and unit)."""
    found: Labels = (BARE.kept.get(id(labels)) or BARE.learn(labels))[1]
    return found


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """The labels called so."""
    return tuple(pair for pair in labels if pair[0] in names)


def less(labels: Labels, names: Iterable[str]) -> Labels:
    """The labels not called so."""
    return tuple(pair for pair in labels if pair[0] not in names)


def show(labels: Labels) -> str:
    """A label set as Prometheus' messages show it: `x{a="1"}`."""
    name = next((value for label, value in labels if label == "__name__"), "")
    pairs = ", ".join(f'{label}="{_escaped(value)}"' for label, value in labels if label != "__name__")
    return f"{name}{{{pairs}}}" if pairs or not name else name


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# ---------------------------------------------------------------- names that cannot collide

_NAMES: dict[int, tuple[Node, str | None]] = {}


def one_name(node: Node) -> str | None:
    """What tells apart whether dropping names can make two elements of this node one: if not None, all its elements
    have the same metric name (or all have none)."""
    found = _NAMES.get(id(node))
    if found is None:
        if len(_NAMES) >= LIMIT // 10:
            _NAMES.clear()
        found = _NAMES[id(node)] = (node, _one_name(node))
    return found[1]


def _one_name(node: Node) -> str | None:
    match node:
        case Selector():
            return exact_name(node.matchers)
        case Window():
            return one_name(node.selector)
        case Subquery():
            return one_name(node.expr)
        case Negate():
            return ""
        case Aggregate():
            if node.op in ("topk", "bottomk", "limitk", "limit_ratio"):
                return one_name(node.expr)
            return one_name(node.expr) if "__name__" in node.labels else ""
        case Binary():
            return _binary_name(node)
        case Call():
            return _call_name(node)
        case _:
            return ""


def _binary_name(node: Binary) -> str | None:
    left, right = node.left, node.right
    if left.kind is Kind.SCALAR:
        return one_name(right) if node.op in _FILTERS and not node.as_bool else ""
    matching = node.matching
    if node.op in _FILTERS and not node.as_bool:
        if matching.group or matching.fill_left is not None:
            return None
        return "" if matching.on and "__name__" not in matching.labels else one_name(left)
    if node.op in ("and", "unless"):
        return one_name(left)
    if node.op == "or":
        name = one_name(left)
        return name if name == one_name(right) else None
    return None if "__name__" in matching.include else ""


_FILTERS = ("==", "!=", ">", "<", ">=", "<=")


def _call_name(node: Call) -> str | None:
    """A function treats all names alike; only these two may give each element one of its own."""
    if node.function.name in ("label_replace", "label_join"):
        return None
    names = [one_name(arg) for arg in node.args if arg.kind in (Kind.VECTOR, Kind.MATRIX)]
    return None if None in names else f"{node.function.name}({names})"
