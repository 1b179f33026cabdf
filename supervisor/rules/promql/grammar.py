"""The order of PromQL's words: Prometheus 3's grammar, read from left to right in linear time.

Called by `parse.py`. `lexer.py` cuts the text into tokens, this file knows how they follow each other, `durations.py`
reads lengths of time and `check.py` builds the nodes and judges whether they fit. Nesting is bounded, so that no
expression can exhaust the stack here or in the evaluation.
"""

from typing import Literal

from supervisor.rules.promql import durations
from supervisor.rules.promql.check import Check
from supervisor.rules.promql.lexer import AGGREGATIONS, LABELS, LAST, LEVELS, METRICS, Cursor, Token, Unreadable, tokens
from supervisor.rules.promql.literals import number, seconds, unquote
from supervisor.rules.promql.nodes import Matching, Node, Number, Text
from supervisor.units import Matcher

MAX_DEPTH = 64
"""Brackets and signs inside each other."""
MAX_HEIGHT = 200
"""Parts inside each other altogether; a chain such as `a or b or c` counts one for each operator."""

_POWER = LEVELS["^"]
_FILLS = {"fill": (True, True), "fill_left": (True, False), "fill_right": (False, True)}
"""Which sides they fill in."""
_TRIMS = ("</", ">/")
_EXTENDED = ("anchored", "smoothed")
_SIGNS = ("=", "!=", "=~", "!~")


class Parser:
    """Reads tokens; each method takes those of one part and gives its node. `height` is that of the last part read."""

    def __init__(self, text: str, check: Check) -> None:
        self.cursor = Cursor(tokens(text))
        self.check = check
        self.depth = 0
        self.height = 0

    def whole(self) -> Node:
        """The whole expression."""
        if self.cursor.token.kind == LAST:
            raise Unreadable(0, "no expression found in input")
        node = self.expression()
        if self.cursor.token.kind != LAST:
            self.cursor.unexpected()
        return node

    def inside(self, floor: int = 1) -> Node:
        """An expression one level further in."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(
                self.cursor.token.at, f"more than {MAX_DEPTH} brackets or signs inside each other; split it"
            )
        node = self.expression(floor)
        self.depth -= 1
        return node

    def grown(self, at: int, height: int) -> None:
        """A part of this height was made."""
        if height > MAX_HEIGHT:
            raise Unreadable(at, f"more than {MAX_HEIGHT} operators or parts inside each other; split it")
        self.height = height

    def expression(self, floor: int = 1) -> Node:
        """Operands joined by operators that bind at least as tightly as `floor`."""
        start = self.cursor.token.at
        node = self.operand()
        while True:
            sign = self.cursor.token
            level = LEVELS.get(sign.kind, 0)
            if level < floor:
                if sign.kind in _TRIMS:
                    raise Unreadable(sign.at, f"{sign.kind} trims native histograms, which are not supported")
                return node
            self.cursor.take()
            as_bool = self.cursor.have("bool")
            matching = self.matching()
            height = self.height
            right = self.inside(level) if sign.kind == "^" else self.expression(level + 1)
            self.grown(sign.at, 1 + max(height, self.height))
            node = self.check.binary(sign, node, right, as_bool, matching, (start, self.cursor.end))

    def matching(self) -> Matching:
        """What may stand between an operator and its right operand."""
        cursor = self.cursor
        on, group = False, ""
        labels: tuple[str, ...] = ()
        include: tuple[str, ...] = ()
        if cursor.token.kind in ("on", "ignoring"):
            on = cursor.take().kind == "on"
            labels = self.labels()
            if cursor.token.kind in ("group_left", "group_right"):
                group = cursor.take().kind.removeprefix("group_")
                include = self.labels() if cursor.token.kind == "(" else ()
        elif cursor.token.kind in ("group_left", "group_right"):
            raise Unreadable(cursor.token.at, f"unexpected {cursor.token}: it goes behind on (…) or ignoring (…)")
        left, right = self.fills()
        return Matching(on, labels, group, include, left, right)

    def fills(self) -> tuple[float | None, float | None]:
        """`fill(0)`, or one or both of `fill_left(0)` and `fill_right(0)`."""
        values: list[float | None] = [None, None]
        while self.cursor.token.text.lower() in _FILLS and self.cursor.after.kind == "(":
            word = self.cursor.take()
            sides = _FILLS[word.text.lower()]
            if any(values[side] is not None for side in (0, 1) if sides[side]):
                raise Unreadable(word.at, f"unexpected {word}: a side is filled in already")
            self.cursor.take()
            value = self.signed("fill modifier", "number")
            self.cursor.need(")", "fill modifier", '")"')
            values = [value if sides[side] else values[side] for side in (0, 1)]
        return values[0], values[1]

    def signed(self, context: str, expected: str) -> float:
        """A number or a duration's seconds, with or without a sign."""
        sign = self.cursor.take().kind if self.cursor.token.kind in ("+", "-") else "+"
        if self.cursor.token.kind not in ("number", "duration"):
            self.cursor.unexpected(context, expected)
        value = _value(self.cursor.take())
        return -value if sign == "-" and value == value else value

    def labels(self) -> tuple[str, ...]:
        """Label names in parentheses, separated by commas; one at the end is fine."""
        cursor = self.cursor
        cursor.need("(", "grouping opts", '"("')
        found: list[str] = []
        while not cursor.have(")"):
            token = cursor.token
            if token.kind == "string":
                found.append(unquote(cursor.take()))
                if not found[-1]:
                    raise Unreadable(token.at, 'invalid label name for grouping: ""')
            elif token.kind in LABELS:
                found.append(cursor.take().text)
            else:
                cursor.unexpected("grouping opts", "label")
            if not cursor.have(","):
                cursor.need(")", "grouping opts", '"," or ")"')
                break
        return tuple(found)

    def operand(self) -> Node:
        """One operand with its sign and what stands behind it."""
        sign = self.cursor.token
        if sign.kind in ("+", "-"):
            self.cursor.take()
            node = self.inside(_POWER)
            self.grown(sign.at, self.height + 1)
            return self.check.unary(sign, node, (sign.at, self.cursor.end))
        self.height = 1
        wrapped = sign.kind == "("
        node = self.wrapped() if wrapped else self.primary()
        return self.modified(node, sign.at, bare=not wrapped)

    def wrapped(self) -> Node:
        """An expression in parentheses."""
        self.cursor.take()
        node = self.inside()
        self.cursor.need(")")
        return node

    def modified(self, node: Node, start: int, bare: bool) -> Node:
        """What stands behind an operand: ranges, subqueries, `offset` and `@`, in any order. `bare`: there are no
        parentheses around it."""
        cursor, check = self.cursor, self.check
        while True:
            token = cursor.token
            if token.kind == "[":
                node = self.bracket(node, start, bare)
                bare = True
            elif token.kind == "offset":
                cursor.take()
                length = durations.offset(cursor)
                node = check.shifted(node, bare, length, (start, cursor.end))
            elif token.kind == "@":
                cursor.take()
                moment = self.moment()
                node = check.fixed(node, bare, moment, (start, cursor.end))
            elif token.kind == "name" and token.text.lower() in _EXTENDED:
                raise Unreadable(token.at, f"the modifier {token.text} is not supported")
            else:
                return node

    def bracket(self, node: Node, start: int, bare: bool) -> Node:
        """`[range]` or `[range:step]`."""
        cursor = self.cursor
        opened = cursor.take()
        length = durations.span(cursor, "subquery selector")
        if cursor.have("]"):
            self.grown(opened.at, self.height + 1)
            return self.check.window(node, bare, length, opened.at, (start, cursor.end))
        if not cursor.have(":"):
            cursor.unexpected("subquery or range", '":" or "]"')
        step = None if cursor.token.kind == "]" else durations.span(cursor, "subquery selector")
        cursor.need("]", "subquery selector", '"]"')
        self.grown(opened.at, self.height + 1)
        return self.check.subquery(node, length, step, (start, cursor.end))

    def moment(self) -> float | Literal["start", "end"]:
        """What stands behind `@`: unix seconds, 'start' or 'end'."""
        token = self.cursor.token
        if token.kind not in ("start", "end"):
            return self.signed("@", "timestamp")
        self.cursor.take()
        self.cursor.need("(", "@", '"("')
        self.cursor.need(")", "@", '")"')
        return "start" if token.kind == "start" else "end"

    def primary(self) -> Node:
        """One operand without anything around it."""
        cursor = self.cursor
        token, after = cursor.token, cursor.after.kind
        if token.kind in ("number", "duration"):
            cursor.take()
            return Number(_value(token), (token.at, cursor.end))
        if token.kind == "string":
            cursor.take()
            return Text(unquote(token), (token.at, cursor.end))
        if token.kind in AGGREGATIONS and after in ("(", "by", "without"):
            return self.aggregation()
        if token.kind == "name" and after == "(" and ":" not in token.text:
            cursor.take()
            args = self.arguments()
            return self.check.call(token, args, (token.at, cursor.end))
        if token.kind in METRICS:
            cursor.take()
            return self.selector(token.text, token.at)
        if token.kind != "{":
            cursor.unexpected()
        return self.selector("", token.at)

    def aggregation(self) -> Node:
        """`sum by (a) (x)`, `sum (x) by (a)` or `sum(x)`."""
        cursor = self.cursor
        name = cursor.take()
        grouping = self.grouping()
        if cursor.token.kind != "(":
            cursor.unexpected("aggregation", '"("')
        args = self.arguments()
        if grouping is None:
            grouping = self.grouping()
        labels, without = grouping or ((), False)
        return self.check.aggregate(name.kind, args, labels, without, (name.at, cursor.end))

    def grouping(self) -> tuple[tuple[str, ...], bool] | None:
        """`by (…)` or `without (…)`, if one stands here."""
        if self.cursor.token.kind not in ("by", "without"):
            return None
        without = self.cursor.take().kind == "without"
        return self.labels(), without

    def arguments(self) -> list[Node]:
        """What stands between a function's parentheses."""
        cursor = self.cursor
        opened = cursor.take()
        found: list[Node] = []
        height = 0
        while not cursor.have(")"):
            found.append(self.inside())
            height = max(height, self.height)
            comma = cursor.token
            if not cursor.have(","):
                cursor.need(")", "", '"," or ")"')
                break
            if cursor.token.kind == ")":
                raise Unreadable(comma.at, "trailing commas not allowed in function call args")
        self.grown(opened.at, height + 1)
        return found

    def selector(self, name: str, start: int) -> Node:
        """The rest of a selector, behind its metric's name."""
        cursor = self.cursor
        matchers: list[Matcher] = []
        places: list[int] = []
        if cursor.have("{"):
            while not cursor.have("}"):
                matcher, place = self.matcher()
                matchers.append(matcher)
                places.append(place)
                if not cursor.have(",") and cursor.token.kind != "}":
                    cursor.unexpected("label matching", '"," or "}"')
        return self.check.selector(name, matchers, (start, cursor.end), places)

    def matcher(self) -> tuple[Matcher, int]:
        """One matcher between braces and where its value stands; a string alone is the metric's name."""
        cursor = self.cursor
        token = cursor.token
        if token.kind == "string":
            label = unquote(cursor.take())
            if cursor.token.kind in (",", "}"):
                return Matcher("__name__", "=", label), token.at
        elif token.kind == "name":
            if ":" in token.text:
                raise Unreadable(token.at + token.text.index(":"), "unexpected character inside braces: ':'")
            label = cursor.take().text
        else:
            cursor.unexpected("label matching", 'identifier or "}"')
        if cursor.token.kind not in _SIGNS:
            cursor.unexpected("label matching", "label matching operator")
        sign = cursor.take()
        if cursor.token.kind != "string":
            cursor.unexpected("label matching", "string")
        value = cursor.take()
        return Matcher(label, sign.kind, unquote(value)), value.at


def _value(token: Token) -> float:
    """What a number or a duration is worth as an operand."""
    return number(token) if token.kind == "number" else seconds(token)
