"""What an expression is once it was read: a tree of frozen, typed nodes.

Made by `parse.py`, walked by `evaluate.py` (values), `schedule.py` (when they can change) and `show.py` (text for
people). Durations and times are integer milliseconds. `pos` is where a node stands in its text: (first character,
one past the last), counted from 0; two nodes that differ in nothing else are equal.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from supervisor.facts import Labels
from supervisor.units import Matcher

if TYPE_CHECKING:
    from supervisor.rules.promql.evaluate import Frame

Pos = tuple[int, int]
At = int | Literal["start", "end"]
"""What `@` fixes: an instant in ms, or the first or last instant of the query's range."""

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
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.SCALAR


@dataclass(frozen=True, slots=True)
class Text:
    """A string, as some functions take it."""

    value: str
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels, at one instant. `at`: a fixed instant (`@`), None for the evaluation's own. `signed`: a
    plus stands before it; nothing changes but that timestamp() and absent() no longer see through to the selector."""

    matchers: tuple[Matcher, ...]
    offset: int = 0
    at: At | None = None
    signed: bool = False
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.VECTOR


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of a selector's series over the last `span` ms."""

    selector: Selector
    span: int
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.MATRIX


@dataclass(frozen=True, slots=True)
class Subquery:
    """An expression evaluated at every multiple of `step` ms (0: the default step) within the last `span` ms."""

    expr: "Node"
    span: int
    step: int = 0
    offset: int = 0
    at: At | None = None
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.MATRIX


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    expr: "Node"
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: Kind = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.expr.kind)


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of the function table (`functions.py`)."""

    name: str
    args: tuple[Kind, ...]
    returns: Kind
    run: "Callable[[Frame, tuple[Node, ...]], Any]"
    optional: int = 0
    """how many of the last arguments may be left out"""
    more: bool = False
    """the last argument may be given any number of times, none included"""
    experimental: bool = False
    """Prometheus knows it only with `--enable-feature=promql-experimental-functions`"""
    flows: bool = False
    """its value moves as time goes by, with no sample coming or going: evaluated on a tick as well"""


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to its arguments."""

    function: Function
    args: "tuple[Node, ...]"
    pos: Pos = field(default=(0, 0), compare=False, repr=False)

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
    fill_left: float | None = None
    fill_right: float | None = None
    """the value that stands for a missing element of that side"""


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands: arithmetic, a comparison (`as_bool`: 0 or 1 instead of a filter) or a set operator."""

    op: str
    left: "Node"
    right: "Node"
    as_bool: bool = False
    matching: Matching = Matching()
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: Kind = field(init=False, compare=False, repr=False)
    """kept, not looked up: in a long chain of operators that would take quadratic time"""

    def __post_init__(self) -> None:
        both = self.left.kind is Kind.SCALAR and self.right.kind is Kind.SCALAR
        object.__setattr__(self, "kind", Kind.SCALAR if both else Kind.VECTOR)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A vector grouped `by` some labels, or `without` some. `param`: what `topk`, `quantile` … take first."""

    op: str
    expr: "Node"
    labels: tuple[str, ...] = ()
    without: bool = False
    param: "Node | None" = None
    pos: Pos = field(default=(0, 0), compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.VECTOR


Node = Number | Text | Selector | Window | Subquery | Negate | Call | Binary | Aggregate


def children(node: Node) -> "tuple[Node, ...]":
    """The parts of a node, left to right."""
    match node:
        case Window():
            return (node.selector,)
        case Negate() | Subquery():
            return (node.expr,)
        case Aggregate():
            return (node.expr,) if node.param is None else (node.param, node.expr)
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
