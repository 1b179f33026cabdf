"""PromQL text in, our typed nodes out (`nodes.py`).

The syntax is promql-parser's (it knows Prometheus' grammar and checks types); its tree is turned into ours at once,
and whatever we do not evaluate yet is refused by name. It has three habits to guard against: it gives no positions,
it takes quadratic time in long chains, and reading some of its fields raises a Rust panic (a BaseException).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import promql_parser

from supervisor.errors import ConfigError, Mistake
from supervisor.rules.promql import aggregate, functions, operators
from supervisor.rules.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Selector,
    Text,
    Window,
    walk,
)
from supervisor.rules.promql.show import show
from supervisor.units import Matcher, regex

MAX_LENGTH = 16_384
MAX_DEPTH = 64
MAX_OPERATORS = 200

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])
    |(?P<word>[A-Za-z_:][\w:.]*)|(?P<number>\d[\w.]*)|(?P<operator>[-+*/%^<>=!~@]+)""",
    re.VERBOSE,
)
_NAMED = re.compile(r"'([^']+)'")
_REGEX = re.compile(r"illegal regex for (.+)", re.DOTALL)
_OPERATOR_WORDS = ("and", "or", "unless", "atan2")


class BadExpression(ConfigError, ValueError):
    """An expression cannot be used. `mistakes` has its place inside the expression (line and column from 1)."""


@dataclass(frozen=True, slots=True)
class CompiledExpr:
    """An expression that can be evaluated any number of times. `text` is as written."""

    text: str
    node: Node

    @property
    def selectors(self) -> tuple[tuple[Selector, int], ...]:
        """Every selector in it, left to right, with the span of its window in ms (0: the lookback applies)."""
        found: list[tuple[Selector, int]] = []
        inside: list[int] = []
        for node in walk(self.node):
            if isinstance(node, Window):
                found.append((node.selector, node.span))
                inside.append(id(node.selector))
            elif isinstance(node, Selector) and id(node) not in inside:
                found.append((node, 0))
        return tuple(found)

    @property
    def flows(self) -> bool:
        """Whether its value moves with time alone."""
        return any(isinstance(node, Call) and node.function.flows for node in walk(self.node))


def compile_expr(text: str, file: str = "expression") -> CompiledExpr:
    """Read one PromQL expression. BadExpression (a ConfigError and a ValueError) with its place if it cannot be read
    or needs something we do not evaluate yet."""
    _guard(text, file)
    try:
        node = _Reader(text, file).read(promql_parser.parse(text))
    except BadExpression:
        raise
    except RecursionError:
        _refuse(text, file, "the expression is nested too deeply; split it")
    except ValueError as err:
        message = str(err)
        named = _NAMED.search(message) or _REGEX.search(message)
        _refuse(text, file, f"this is not PromQL: {message}", named.group(1) if named else "")
    except BaseException as err:
        if type(err).__name__ != "PanicException":  # what a Rust panic arrives as; it cannot be imported
            raise
        _refuse(text, file, "the expression has a number that the parser cannot hold")
    return CompiledExpr(text, node)


def _guard(text: str, file: str) -> None:
    """Refuse what would take the parser too long or too deep, before it sees it."""
    if len(text) > MAX_LENGTH:
        _refuse(text, file, f"the expression is longer than {MAX_LENGTH} characters; split it")
    depth = count = 0
    after_at = False
    for token in _TOKEN.finditer(text):
        operator = token.group() if token.lastgroup == "operator" else ""
        if (after_at and operator.startswith("-")) or "@-" in operator:
            _refuse(text, file, "a time before 1970 after '@' is not supported", at=token.start())
        after_at = operator.endswith("@")
        if token.lastgroup == "open":
            depth += 1
        elif token.lastgroup == "close":
            depth -= 1
        elif operator:
            count += len(operator)
        elif token.lastgroup == "word" and token.group() in _OPERATOR_WORDS:
            count += 1
        if depth > MAX_DEPTH:
            _refuse(
                text, file, f"brackets are nested more than {MAX_DEPTH} deep; split the expression", at=token.start()
            )
        if count > MAX_OPERATORS * 2:
            _refuse(text, file, f"the expression has more than {MAX_OPERATORS} operators; split it", at=token.start())


def _refuse(text: str, file: str, why: str, word: str = "", at: int = -1) -> NoReturn:
    """Raise the mistake, at `word` if it stands in the expression as a token of its own."""
    if at < 0:
        at = 0
        for token in _TOKEN.finditer(text):
            if word and token.group().strip("\"'`") == word.strip("\"'`"):
                at = token.start()
                break
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    raise BadExpression([Mistake(file, line, column, why)])


class _Reader:
    """Turns promql-parser's tree into ours."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.table: dict[str, Callable[[Any], Node]] = {
            "NumberLiteral": lambda tree: Number(float(tree.val)),
            "StringLiteral": lambda tree: Text(tree.val),
            "ParenExpr": lambda tree: self.read(tree.expr),
            "UnaryExpr": self.negate,
            "VectorSelector": self.selector,
            "MatrixSelector": lambda tree: Window(self.selector(tree.vector_selector), _ms(tree.range)),
            "Call": self.call,
            "BinaryExpr": self.binary,
            "AggregateExpr": self.aggregate,
        }

    def unsupported(self, what: str, word: str = "") -> NoReturn:
        _refuse(self.text, self.file, f"{what} is not supported yet", word)

    def read(self, tree: Any) -> Node:
        kind = type(tree).__name__
        if kind == "SubqueryExpr":
            self.unsupported("a subquery ([range:step])")
        if kind not in self.table:
            self.unsupported(f"{kind} in an expression")
        return self.table[kind](tree)

    def negate(self, tree: Any) -> Node:
        return Negate(self.read(tree.expr))

    def selector(self, tree: Any) -> Selector:
        if tree.matchers.or_matchers:
            _refuse(self.text, self.file, "'or' between matchers is VictoriaMetrics, not Prometheus", "or")
        found: list[Matcher] = []
        if tree.name:
            found.append(Matcher("__name__", "=", tree.name))
        for given in tree.matchers.matchers:
            op = _MATCH_OPS[str(given.op)]
            if op in ("=~", "!~"):
                try:
                    regex(given.value)
                except ValueError as err:
                    _refuse(self.text, self.file, str(err), given.value)
            found.append(Matcher(given.name, op, given.value))
        at: int | None = None
        if tree.at is not None and str(tree.at.type).endswith("At"):
            # its field `at` panics for instants before 1970, which its text shows as 0: `_guard` refuses those
            at = round(float(str(tree.at).removeprefix("@")) * 1000)
        return Selector(tuple(found), _ms(tree.offset) if tree.offset is not None else 0, at)

    def call(self, tree: Any) -> Node:
        name = tree.func.name
        function = functions.TABLE.get(name)
        if function is None:
            self.unsupported(f"the function {name}()", name)
        args = tuple(self.read(arg) for arg in tree.args)
        if not len(function.args) - function.optional <= len(args) <= len(function.args):
            _refuse(self.text, self.file, f"{name}() takes {len(function.args)} arguments, not {len(args)}", name)
        for arg, wanted in zip(args, function.args, strict=False):
            if arg.kind is not wanted:
                _refuse(self.text, self.file, f"{name}() takes a {wanted.value} here, not {show(arg)}", name)
        return Call(function, args)

    def binary(self, tree: Any) -> Node:
        op = str(tree.op)
        if op not in operators.ARITHMETIC and op not in operators.COMPARISONS and op not in operators.SETS:
            self.unsupported(f"the operator {op}", op)
        left, right = self.read(tree.lhs), self.read(tree.rhs)
        given = tree.modifier
        if given is None:
            return Binary(op, left, right)
        fill = given.fill_values
        if fill is not None and (fill.lhs is not None or fill.rhs is not None):
            self.unsupported("the modifier fill()", "fill")
        card = str(given.card)
        group = "left" if card.endswith("ManyToOne") else "right" if card.endswith("OneToMany") else ""
        on, labels = False, ()
        if given.matching is not None:
            on = str(given.matching.type).endswith("Include")
            labels = tuple(given.matching.labels)
        matching = Matching(on, labels, group, tuple(given.group_labels or ()))
        return Binary(op, left, right, bool(given.return_bool), matching)

    def aggregate(self, tree: Any) -> Node:
        op = str(tree.op)
        if op not in aggregate.TABLE:
            self.unsupported(f"the aggregation {op}()", op)
        expr = self.read(tree.expr)
        if expr.kind is not Kind.VECTOR:
            _refuse(self.text, self.file, f"{op}() takes an instant vector, not {show(expr)}", op)
        if tree.modifier is None:
            return Aggregate(op, expr)
        return Aggregate(op, expr, tuple(tree.modifier.labels), str(tree.modifier.type).endswith("Without"))


_MATCH_OPS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def _ms(delta: Any) -> int:
    """A timedelta as integer milliseconds."""
    return (int(delta.days) * 86_400_000) + int(delta.seconds) * 1000 + int(delta.microseconds) // 1000
