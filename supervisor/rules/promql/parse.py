"""PromQL text in, our typed nodes out (`nodes.py`), or every mistake with its place.

The door to the reading: `grammar.py` does it, with `lexer.py` below and `check.py` beside it. The first error of syntax
ends the reading; errors of kind (a number where a vector is wanted) are told all at once.
"""

from dataclasses import dataclass, field
from typing import NoReturn

from supervisor.errors import ConfigError, Mistake
from supervisor.rules.promql import aggregate, functions
from supervisor.rules.promql.check import Check
from supervisor.rules.promql.grammar import Parser
from supervisor.rules.promql.lexer import Unreadable
from supervisor.rules.promql.nodes import Aggregate, Call, Node, Selector, Subquery, Window, children, walk
from supervisor.samples import LOOKBACK, to_ms

MAX_LENGTH = 16_384
"""Characters of an expression."""
_TOO_DEEP = "the expression is nested too deeply; split it"


class BadExpression(ConfigError, ValueError):
    """An expression cannot be used. `mistakes` have their places inside the expression (line and column from 1)."""


@dataclass(frozen=True, slots=True)
class CompiledExpr:
    """An expression that can be evaluated any number of times. `text` is as written."""

    text: str
    node: Node
    extras: tuple[str, ...] = ()
    """syntax in it that Prometheus calls experimental: 'duration arithmetic', 'fill modifiers'"""

    selectors: tuple[tuple[Selector, int], ...] = field(init=False, repr=False, compare=False)
    """Every selector in it, left to right, with the ms that it looks back from its own `offset`: the span of its
    window, or 0 where the lookback applies. Inside a subquery it looks back from the subquery's first instant, so
    that span and offset of every subquery around it are added (and the lookback too, where it applies)."""
    flows: bool = field(init=False, repr=False, compare=False)
    """whether its value moves with time alone"""
    clocked: bool = field(init=False, repr=False, compare=False)
    """whether its value can move with time alone even while nothing is in sight of its selectors"""
    plain: bool = field(init=False, repr=False, compare=False)
    """whether a sample with the value of the one before is no news to it: it sees each series' newest value alone, and
    neither its time nor how many there are"""

    def __post_init__(self) -> None:
        # found once, where the expression is read: a reload asks this of ten thousand rules within one turn
        nodes = tuple(walk(self.node))
        calls = [node for node in nodes if isinstance(node, Call)]
        object.__setattr__(self, "selectors", tuple(_selectors(self.node, 0)))
        object.__setattr__(self, "flows", any(functions.flows(call) for call in calls))
        object.__setattr__(self, "clocked", any(functions.clocked(call) for call in calls))
        object.__setattr__(self, "plain", not self.flows and not any(_sees_more(node) for node in nodes))

    @property
    def experimental(self) -> tuple[str, ...]:
        """What in it Prometheus knows only with a feature switched on, each once: functions and aggregations
        by name, then the syntax in `extras`."""
        found: dict[str, None] = {}
        for node in walk(self.node):
            if isinstance(node, Call) and node.function.experimental:
                found[node.function.name] = None
            elif isinstance(node, Aggregate) and aggregate.TABLE[node.op].experimental:
                found[node.op] = None
        return (*found, *self.extras)


def _sees_more(node: Node) -> bool:
    """Whether more of the samples counts here than the newest value."""
    match node:
        case Selector():
            return node.at is not None or node.offset != 0
        case Call():
            return node.function.name == "timestamp"
    return isinstance(node, Window | Subquery)


def _selectors(node: Node, before: int) -> list[tuple[Selector, int]]:
    """The selectors below a node that is evaluated up to `before` ms before the whole."""
    match node:
        case Window():
            return [(node.selector, before + node.span)]
        case Selector():
            return [(node, before + to_ms(LOOKBACK) if before else 0)]
        case Subquery():
            before += node.span + max(node.offset, 0)
    return [found for child in children(node) for found in _selectors(child, before)]


def compile_expr(text: str, file: str = "expression") -> CompiledExpr:
    """Read one PromQL expression. BadExpression (a ConfigError and a ValueError) with every mistake and its place if
    it cannot be read or needs something that we do not evaluate."""
    if len(text) > MAX_LENGTH:
        _refuse(text, file, [(0, f"the expression is longer than {MAX_LENGTH} characters; split it")])
    check = Check()
    try:
        node = Parser(text, check).whole()
    except Unreadable as err:
        _refuse(text, file, [(err.at, err.why)])
    except RecursionError:
        _refuse(text, file, [(0, _TOO_DEEP)])
    if check.mistakes:
        _refuse(text, file, sorted(check.mistakes))
    return CompiledExpr(text, node, tuple(check.extras))


def _refuse(text: str, file: str, found: list[tuple[int, str]]) -> NoReturn:
    mistakes = []
    for at, why in found:
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        mistakes.append(Mistake(file, line, column, why))
    raise BadExpression(mistakes) from None
