"""What can be told of an expression's result without any sample: which labels it can carry, whether it is a condition.

Pure functions of the tree; `lint.py` asks. What is not known is taken as possible, so nothing is refused for lack of
knowledge.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from supervisor.rules.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Kind,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Window,
)

COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")
SETS = ("and", "or", "unless")
_KEEPERS = ("topk", "bottomk", "limitk", "limit_ratio")
"""aggregations that answer some of the elements as they are"""


@dataclass(frozen=True, slots=True)
class Carries:
    """The labels that the elements of a vector can carry: `names`; where it is `open`, any but `names`."""

    names: frozenset[str] = frozenset()
    open: bool = False

    def can(self, name: str) -> bool:
        """Whether an element can have this label."""
        return (name in self.names) != self.open

    def keep(self, names: Iterable[str]) -> "Carries":
        """No other labels than these."""
        return Carries(frozenset(name for name in names if self.can(name)))

    def drop(self, names: Iterable[str]) -> "Carries":
        """Without these labels."""
        gone = frozenset(names)
        return Carries(self.names | gone if self.open else self.names - gone, self.open)

    def add(self, names: Iterable[str]) -> "Carries":
        """With these labels as well."""
        new = frozenset(names)
        return Carries(self.names - new if self.open else self.names | new, self.open)

    def either(self, other: "Carries") -> "Carries":
        """Elements of the one or the other."""
        if self.open and other.open:
            return Carries(self.names & other.names, True)
        if self.open or other.open:
            wide, narrow = (self, other) if self.open else (other, self)
            return wide.add(narrow.names)
        return Carries(self.names | other.names)


ANY = Carries(open=True)
NONE = Carries()


def carries(node: Node, of: Callable[[Selector], Carries]) -> Carries:
    """The labels that the result can carry, the name left aside. `of` knows what a selector's series carry."""
    match node:
        case Number() | Text():
            return NONE
        case Selector():
            empty = [matcher.name for matcher in node.matchers if matcher.op == "=" and not matcher.value]
            return of(node).drop(empty)
        case Window():
            return carries(node.selector, of)
        case Subquery() | Negate():
            return carries(node.expr, of)
        case Call():
            return _of_call(node, of)
        case Aggregate():
            inner = carries(node.expr, of)
            if node.op in _KEEPERS:
                return inner
            kept = inner.drop(node.labels) if node.without else inner.keep(node.labels)
            if node.op == "count_values" and isinstance(node.param, Text):
                return kept.add([node.param.value])
            return kept
        case Binary():
            return _of_binary(node, of)


def _of_call(node: Call, of: Callable[[Selector], Carries]) -> Carries:
    name = node.function.name
    if name in ("absent", "absent_over_time"):
        inner = node.args[0].selector if isinstance(node.args[0], Window) else node.args[0]
        if not isinstance(inner, Selector):
            return NONE
        return Carries(frozenset(matcher.name for matcher in inner.matchers if matcher.op == "="))
    source = next((arg for arg in node.args if arg.kind in (Kind.VECTOR, Kind.MATRIX)), None)
    found = carries(source, of) if source is not None else NONE
    if name in ("label_replace", "label_join") and isinstance(node.args[1], Text):
        return found.add([node.args[1].value])
    if name == "histogram_quantiles" and isinstance(node.args[1], Text):
        return found.drop(["le"]).add([node.args[1].value])
    return found.drop(["le"]) if name.startswith("histogram_") else found


def _of_binary(node: Binary, of: Callable[[Selector], Carries]) -> Carries:
    left, right = carries(node.left, of), carries(node.right, of)
    if node.left.kind is Kind.SCALAR or node.right.kind is Kind.SCALAR:
        return right if node.left.kind is Kind.SCALAR else left
    if node.op in ("and", "unless"):
        return left
    if node.op == "or":
        return left.either(right)
    matching = node.matching
    if matching.group == "left":
        return left.add(name for name in matching.include if right.can(name))
    if matching.group == "right":
        return right.add(name for name in matching.include if left.can(name))
    filled = left.either(right) if matching.fill_left is not None else left
    return filled.keep(matching.labels) if matching.on else filled.drop(matching.labels)


def always(node: Node, seen: Callable[[Selector], bool]) -> bool:
    """Whether it gives something whenever its series are there, whatever their values. `seen`: whether a selector's
    series are there all the time."""
    match node:
        case Number() | Text():
            return True
        case Selector():
            return seen(node)
        case Window():
            return seen(node.selector)
        case Subquery() | Negate():
            return always(node.expr, seen)
        case Call():
            if node.function.name in ("absent", "absent_over_time"):
                return False
            return all(always(arg, seen) for arg in node.args if arg.kind in (Kind.VECTOR, Kind.MATRIX))
        case Aggregate():
            return always(node.expr, seen)
        case Binary():
            if node.op in ("and", "unless"):
                return False
            if node.op == "or":
                return always(node.left, seen) or always(node.right, seen)
            if node.op in COMPARISONS and not node.as_bool:
                return False
            return always(node.left, seen) and always(node.right, seen)
