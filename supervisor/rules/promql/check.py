"""The parts of an expression put together, and whether they fit: kinds, numbers of arguments, modifiers, matchers.

Called by `parse.py` from the inside out. What does not fit becomes a mistake with its place and a hole in the tree, and
whatever has a hole in it is not judged any further: each mistake is told once. The wording is Prometheus' own where
that is clear.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

from supervisor.rules.promql import aggregate, functions
from supervisor.rules.promql.durations import Length
from supervisor.rules.promql.lexer import AGGREGATIONS, Token
from supervisor.rules.promql.nodes import (
    Aggregate,
    At,
    Binary,
    Call,
    Function,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Pos,
    Selector,
    Subquery,
    Text,
    Window,
)
from supervisor.rules.promql.operators import COMPARISONS, SETS
from supervisor.rules.promql.show import show_number
from supervisor.units import Matcher, regex

HOLE: Node = Text("")
"""Stands for a part that has a mistake in it; recognised by identity."""
MOST_MISTAKES = 20
"""Told of one expression."""
_VALUES = (Kind.SCALAR, Kind.VECTOR)
_MOVABLE = "must be preceded by an instant vector selector or range vector selector or a subquery"
_LATEST = 1 << 63


@dataclass(slots=True)
class Check:
    """Builds nodes and collects what is wrong with them."""

    mistakes: list[tuple[int, str]] = field(default_factory=list)
    """(character from 0, sentence), in the order of discovery"""
    extras: list[str] = field(default_factory=list)
    """syntax used that Prometheus calls experimental"""

    def wrong(self, at: int, why: str) -> Node:
        """Note a mistake, if there are not too many already; gives a hole."""
        if len(self.mistakes) < MOST_MISTAKES:
            self.mistakes.append((at, why))
        return HOLE

    def uses(self, what: str) -> None:
        """Note experimental syntax, once."""
        if what not in self.extras:
            self.extras.append(what)

    # ------------------------------------------------------------ selectors and what moves them

    def selector(self, name: str, given: Sequence[Matcher], pos: Pos, places: Sequence[int]) -> Node:
        """Series of a metric (`name` may be empty) that fit the matchers. `places`: where each matcher stands."""
        sound = True
        for matcher, place in zip(given, places, strict=True):
            if matcher.op in ("=~", "!~"):
                sound &= self._regex(matcher.value, place)
        matchers = list(given)
        if name:
            for matcher in given:
                if matcher.name == "__name__":
                    return self.wrong(pos[0], f'metric name must not be set twice: "{name}" or "{matcher.value}"')
            matchers.insert(0, Matcher("__name__", "=", name))
        elif sound:
            if all(matcher.matches({}) for matcher in given):
                return self.wrong(pos[0], "vector selector must contain at least one non-empty matcher")
            # the name first, wherever it was written, so that two ways to write one selector are one tree
            matchers.sort(key=lambda matcher: matcher.name != "__name__" or matcher.op != "=")
        return Selector(tuple(matchers), pos=pos) if sound else HOLE

    def _regex(self, pattern: str, at: int) -> bool:
        try:
            regex(pattern)
        except ValueError as err:
            self.wrong(at, str(err))
            return False
        return True

    def window(self, node: Node, bare: bool, length: Length, bracket: int, pos: Pos) -> Node:
        """`node[range]`. `bare`: no parentheses around the node."""
        if length.reckoned:
            self.uses("duration arithmetic")
        if node is HOLE:
            return node
        if not isinstance(node, Selector) or not bare:
            return self.wrong(bracket, "ranges only allowed for vector selectors")
        if node.offset:
            return self.wrong(bracket, "no offset modifiers allowed before range")
        if isinstance(node.at, int):
            return self.wrong(bracket, "no @ modifiers allowed before range")
        return Window(node, length.ms, pos)

    def subquery(self, node: Node, length: Length, step: Length | None, pos: Pos) -> Node:
        """`node[range:step]`."""
        if length.reckoned or (step is not None and step.reckoned):
            self.uses("duration arithmetic")
        if node is HOLE:
            return node
        if node.kind is not Kind.VECTOR:
            return self.wrong(pos[0], f"subquery is only allowed on instant vector, got {node.kind.value} instead")
        return Subquery(node, length.ms, step.ms if step is not None else 0, pos=pos)

    def shifted(self, node: Node, bare: bool, length: Length, pos: Pos) -> Node:
        """`node offset length`."""
        if length.reckoned:
            self.uses("duration arithmetic")
        if node is HOLE:
            return node
        inner = node.selector if isinstance(node, Window) else node
        if not isinstance(inner, Selector | Subquery) or not bare:
            return self.wrong(pos[0], f"offset modifier {_MOVABLE}")
        if inner.offset:
            return self.wrong(pos[0], "offset may not be set multiple times")
        if isinstance(node, Window):
            return replace(node, selector=replace(node.selector, offset=length.ms), pos=pos)
        return replace(inner, offset=length.ms, pos=pos)

    def fixed(self, node: Node, bare: bool, moment: float | Literal["start", "end"], pos: Pos) -> Node:
        """`node @ moment`: unix seconds, 'start' or 'end'."""
        if node is HOLE:
            return node
        at: At
        if isinstance(moment, str):
            at = moment
        elif not math.isfinite(moment) or not -_LATEST < moment * 1000 < _LATEST:
            return self.wrong(pos[0], f"timestamp out of bounds for @ modifier: {show_number(moment)}")
        else:
            at = int(math.copysign(math.floor(abs(moment) * 1000 + 0.5), moment))
        inner = node.selector if isinstance(node, Window) else node
        if not isinstance(inner, Selector | Subquery) or not bare:
            return self.wrong(pos[0], f"@ modifier {_MOVABLE}")
        if inner.at is not None:
            return self.wrong(pos[0], "@ <timestamp> may not be set multiple times")
        if isinstance(node, Window):
            return replace(node, selector=replace(node.selector, at=at), pos=pos)
        return replace(inner, at=at, pos=pos)

    # ------------------------------------------------------------ operators

    def unary(self, sign: Token, node: Node, pos: Pos) -> Node:
        """`-node` and `+node`."""
        if node is HOLE:
            return node
        if node.kind not in _VALUES:
            why = "unary expression only allowed on expressions of type scalar or instant vector"
            return self.wrong(pos[0], f'{why}, got "{node.kind.value}"')
        if sign.kind == "+":
            return replace(node, signed=True, pos=pos) if isinstance(node, Selector) else node
        if isinstance(node, Number):
            return Number(-node.value if node.value == node.value else node.value, pos)
        return Negate(node, pos)

    def binary(self, sign: Token, left: Node, right: Node, as_bool: bool, matching: Matching, pos: Pos) -> Node:
        """Two operands and what stands between them."""
        if matching.fill_left is not None or matching.fill_right is not None:
            self.uses("fill modifiers")
        if left is HOLE or right is HOLE:
            return HOLE
        for side in (left, right):
            if side.kind not in _VALUES:
                why = "binary expression must contain only scalar and instant vector types"
                return self.wrong(side.pos[0], f"{why}, not a {side.kind.value}")
        op = sign.kind
        why = self._misfit(op, left.kind, right.kind, as_bool, matching)
        if why:
            return self.wrong(sign.at, why)
        if left.kind is Kind.SCALAR or right.kind is Kind.SCALAR:
            matching = Matching()
        return Binary(op, left, right, as_bool, matching, pos)

    def _misfit(self, op: str, left: Kind, right: Kind, as_bool: bool, matching: Matching) -> str:
        """Why the operands and the modifiers do not go together; '' if they do."""
        if as_bool and op not in COMPARISONS:
            return "bool modifier can only be used on comparison operators"
        if op in COMPARISONS and not as_bool and left is right is Kind.SCALAR:
            return "comparisons between scalars must use BOOL modifier"
        if matching.on:
            for label in matching.labels:
                if label in matching.include:
                    return f'label "{label}" must not occur in ON and GROUP clause at once'
        filled = matching.fill_left is not None or matching.fill_right is not None
        if left is Kind.SCALAR or right is Kind.SCALAR:
            if matching.labels:
                return "vector matching only allowed between instant vectors"
            if filled:
                return "filling in missing series only allowed between instant vectors"
            return f'set operator "{op}" not allowed in binary scalar expression' if op in SETS else ""
        if op in SETS and matching.group:
            return f'no grouping allowed for "{op}" operation'
        if op in SETS and filled:
            return "filling in missing series not allowed for set operators"
        return ""

    # ------------------------------------------------------------ functions and aggregations

    def call(self, name: Token, args: Sequence[Node], pos: Pos) -> Node:
        """`name(args)`."""
        function = functions.TABLE.get(name.text)
        if function is None:
            return self.wrong(name.at, _unknown(name.text)) if len(self.mistakes) < MOST_MISTAKES else HOLE
        why = _misnumbered(function, len(args))
        if why:
            return self.wrong(name.at, why)
        sound = True
        for index, arg in enumerate(args):
            wanted = function.args[min(index, len(function.args) - 1)]
            if arg is HOLE:
                sound = False
            elif arg.kind is not wanted:
                why = f'expected type {wanted.value} in call to function "{name.text}", got {arg.kind.value}'
                self.wrong(arg.pos[0], why)
                sound = False
        if sound and name.text == "label_replace" and isinstance(args[4], Text):
            sound = self._regex(args[4].value, args[4].pos[0])
        return Call(function, tuple(args), pos) if sound else HOLE

    def aggregate(self, op: str, args: Sequence[Node], labels: tuple[str, ...], without: bool, pos: Pos) -> Node:
        """`op by (labels) (args)`."""
        entry = aggregate.TABLE.get(op)
        if entry is None:
            return self.wrong(pos[0], f"the aggregation {op}() is not supported")
        wanted = entry.param
        count = 1 if wanted is None else 2
        if not args:
            return self.wrong(pos[0], "no arguments for aggregate expression provided")
        if len(args) != count:
            why = f"wrong number of arguments for aggregate expression provided, expected {count}, got {len(args)}"
            return self.wrong(pos[0], why)
        sound = self._is(args[-1], Kind.VECTOR, "aggregation expression")
        if wanted is None:
            return Aggregate(op, args[0], labels, without, None, pos) if sound else HOLE
        sound &= self._is(args[0], wanted, "aggregation parameter")
        return Aggregate(op, args[1], labels, without, args[0], pos) if sound else HOLE

    def _is(self, node: Node, wanted: Kind, where: str) -> bool:
        if node is HOLE:
            return False
        if node.kind is not wanted:
            self.wrong(node.pos[0], f"expected type {wanted.value} in {where}, got {node.kind.value}")
            return False
        return True


def _misnumbered(function: Function, count: int) -> str:
    """Why a function cannot take so many arguments; '' if it can."""
    most = len(function.args)
    least = most - 1 if function.more else most - function.optional
    tail = f'argument(s) in call to "{function.name}", got {count}'
    if count < least:
        return f"expected {'' if least == most else 'at least '}{least} {tail}"
    if count > most and not function.more:
        return f"expected {'' if least == most else 'at most '}{most} {tail}"
    return ""


def _unknown(name: str) -> str:
    """What to tell who calls a function that is not there."""
    reason = functions.REFUSED.get(name)
    if reason:
        return f"{name}() {reason}"
    near = get_close_matches(name.lower(), [*functions.TABLE, *AGGREGATIONS], 1)
    return f"there is no function {name}()" + (f"; did you mean {near[0]}()?" if near else "")
