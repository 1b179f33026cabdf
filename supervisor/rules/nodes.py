"""What an expression is once it was read: a tree of frozen, typed nodes.

Made by `parse.py`, walked by `evaluate.py` (values), `schedule.py` (when they can change) and `show` (text for
people). Durations and times are integer milliseconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from supervisor.facts import Labels
from supervisor.units import Matcher, show_duration

if TYPE_CHECKING:
    from supervisor.rules.evaluate import Frame

Vector = list[tuple[Labels, float]]
"""An instant vector: label set and value of each element, in a fixed order."""


class Kind(Enum):
    """What an expression gives, in PromQL's own words."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    TEXT = "string"


@dataclass(frozen=True, slots=True)
class Number:
    """A number (or a duration, which is its seconds)."""

    value: float
    kind: ClassVar[Kind] = Kind.SCALAR


@dataclass(frozen=True, slots=True)
class Text:
    """A string, as some functions take it."""

    value: str
    kind: ClassVar[Kind] = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels, at one instant. `at`: a fixed instant (`@`), None for the evaluation's own."""

    matchers: tuple[Matcher, ...]
    offset: int = 0
    at: int | None = None
    kind: ClassVar[Kind] = Kind.VECTOR


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of a selector's series over the last `span` ms."""

    selector: Selector
    span: int
    kind: ClassVar[Kind] = Kind.MATRIX


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    expr: "Node"

    @property
    def kind(self) -> Kind:
        return self.expr.kind


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of the function table (`functions.py`)."""

    name: str
    args: tuple[Kind, ...]
    returns: Kind
    run: "Callable[[Frame, tuple[Node, ...]], Any]"
    optional: int = 0
    """how many of the last arguments may be left out"""
    flows: bool = False
    """its value moves as time goes by, with no sample coming or going: evaluated on a tick as well"""


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to its arguments."""

    function: Function
    args: "tuple[Node, ...]"

    @property
    def kind(self) -> Kind:
        return self.function.returns


@dataclass(frozen=True, slots=True)
class Matching:
    """How the elements of two vectors find each other. `group`: '' (one to one), 'left' or 'right' (the many)."""

    on: bool = False
    labels: tuple[str, ...] = ()
    group: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands: arithmetic, a comparison (`as_bool`: 0 or 1 instead of a filter) or a set operator."""

    op: str
    left: "Node"
    right: "Node"
    as_bool: bool = False
    matching: Matching = Matching()

    @property
    def kind(self) -> Kind:
        both = self.left.kind is Kind.SCALAR and self.right.kind is Kind.SCALAR
        return Kind.SCALAR if both else Kind.VECTOR


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A vector grouped `by` some labels, or `without` some."""

    op: str
    expr: "Node"
    labels: tuple[str, ...] = ()
    without: bool = False
    kind: ClassVar[Kind] = Kind.VECTOR


Node = Number | Text | Selector | Window | Negate | Call | Binary | Aggregate


def children(node: Node) -> "tuple[Node, ...]":
    """The parts of a node, left to right."""
    match node:
        case Window():
            return (node.selector,)
        case Negate() | Aggregate():
            return (node.expr,)
        case Call():
            return node.args
        case Binary():
            return (node.left, node.right)
        case _:
            return ()


def walk(node: Node) -> "Iterator[Node]":
    """The node and everything below it, the outermost first."""
    yield node
    for child in children(node):
        yield from walk(child)


def show(node: Node, outer: bool = True) -> str:
    """The expression as text, for people."""
    match node:
        case Number():
            return show_number(node.value)
        case Text():
            return quote(node.value)
        case Selector():
            return _selector(node, "")
        case Window():
            return _selector(node.selector, f"[{show_duration(node.span / 1000)}]")
        case Negate():
            return f"-{show(node.expr, outer=False)}"
        case Call():
            return f"{node.function.name}({', '.join(show(arg) for arg in node.args)})"
        case Aggregate():
            word = " without " if node.without else " by " if node.labels else ""
            grouping = f"{word}({', '.join(node.labels)}) " if word else ""
            return f"{node.op}{grouping}({show(node.expr)})"
        case Binary():
            text = f"{show(node.left, outer=False)} {_operator(node)} {show(node.right, outer=False)}"
            return text if outer else f"({text})"


def show_number(value: float) -> str:
    """A number as PromQL writes it."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def quote(text: str) -> str:
    """A string as PromQL writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _operator(node: Binary) -> str:
    words = [node.op, "bool"] if node.as_bool else [node.op]
    matching = node.matching
    if matching.on or matching.labels:
        words.append(f"{'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})")
    if matching.group:
        words.append(f"group_{matching.group} ({', '.join(matching.include)})")
    return " ".join(words)


def _selector(node: Selector, span: str) -> str:
    name, rest = "", []
    for matcher in node.matchers:
        if matcher.name == "__name__" and matcher.op == "=" and not name:
            name = matcher.value
        else:
            rest.append(f"{matcher.name}{matcher.op}{quote(matcher.value)}")
    text = name + (f"{{{', '.join(rest)}}}" if rest or not name else "") + span
    if node.at is not None:
        text += f" @ {node.at / 1000:.3f}"
    if node.offset:
        text += f" offset {show_duration(node.offset / 1000)}"
    return text
