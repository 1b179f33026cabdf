"""Lengths of time in PromQL: what stands in `[range:step]` and behind `offset`, as milliseconds.

Used by `parse.py`. A number counts seconds. Constants may be reckoned with (`[2*(1h-5m)]`, `offset (5m+30s)`,
`[min_of(5m, 1h)]`), as Prometheus does with `--enable-feature=promql-duration-expr`; the result is known at once.
"""

import math
from typing import NamedTuple

from supervisor.rules.promql.lexer import LEVELS, Cursor, Token, Unreadable
from supervisor.rules.promql.literals import LONGEST, number, seconds
from supervisor.rules.promql.operators import power

MAX_DEPTH = 64
_PAIRS = {"min_of": min, "max_of": max, "min": min, "max": max}
"""3.6 calls them min and max, later ones min_of and max_of."""
_QUERIES = ("step", "range")
_POWER = LEVELS["^"]
_SIGNS = ("+", "-", "*", "/", "%", "^")


class Length(NamedTuple):
    """A length of time in ms. `reckoned`: it took arithmetic, which Prometheus still calls experimental."""

    ms: int
    reckoned: bool


def span(cursor: Cursor, context: str) -> Length:
    """What stands between brackets: it must be a millisecond or longer."""
    start = cursor.token.at
    reader = _Reader(cursor, context)
    value = reader.sum(1)
    if value <= 0:
        raise Unreadable(start, "duration must be greater than 0")
    ms = _ms(value, start)
    if ms < 1:
        raise Unreadable(start, "duration must be at least 1ms; samples are no finer than that")
    return Length(ms, reader.reckoned)


def offset(cursor: Cursor) -> Length:
    """What stands behind `offset`: a duration with its sign; for more than that it needs parentheses."""
    start = cursor.token.at
    reader = _Reader(cursor, "offset")
    signed = cursor.token.kind in ("+", "-")
    literal = cursor.after if signed else cursor.token
    if literal.kind in ("number", "duration"):
        # `x offset 5m + y` adds y to x: only one number belongs to the offset
        negative = signed and cursor.take().kind == "-"
        value = reader.literal(cursor.take())
        return Length(_ms(-value if negative else value, start), False)
    value = reader.sum(1)
    return Length(_ms(value, start), reader.reckoned)


def _ms(value: float, at: int) -> int:
    if not -LONGEST <= value <= LONGEST:  # NaN is not
        raise Unreadable(at, "duration out of range")
    # to the nearest ns as Prometheus does, then down to ms
    whole = round(abs(value) * 1000)
    if whole / 1000 != abs(value):  # else it is so many ms exactly, though a long one has no exact count of ns
        whole = int(abs(value) * 1e9 + 0.5) // 1_000_000
    return whole if value >= 0 else -whole


class _Reader:
    """Reckons while it reads."""

    def __init__(self, cursor: Cursor, context: str) -> None:
        self.cursor, self.context = cursor, context
        self.reckoned = False
        self.depth = 0

    def sum(self, floor: int) -> float:
        """Operands joined by operators that bind at least as tightly as `floor`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(self.cursor.token.at, f"more than {MAX_DEPTH} parts inside each other; simplify it")
        value = self.operand()
        while True:
            kind = self.cursor.token.kind
            level = LEVELS[kind] if kind in _SIGNS else 0
            if level < floor:
                self.depth -= 1
                return value
            sign = self.cursor.take()
            self.reckoned = True
            value = _reckon(sign, value, self.sum(level if sign.kind == "^" else level + 1))

    def operand(self) -> float:
        token = self.cursor.token
        if token.kind in ("number", "duration"):
            return self.literal(self.cursor.take())
        if token.kind in ("+", "-"):
            self.cursor.take()
            value = self.sum(_POWER)
            return -value if token.kind == "-" else value
        if token.kind == "(":
            self.reckoned = True
            self.cursor.take()
            value = self.sum(1)
            self.cursor.need(")", self.context, '")"')
            return value
        if self.cursor.after.kind != "(":
            self.cursor.unexpected(self.context, "number or duration")
        return self.call()

    def call(self) -> float:
        """`min_of(a, b)` and `max_of(a, b)`."""
        name = self.cursor.token
        word = name.text.lower()
        if word in _QUERIES:
            why = f"{word}() is the {word} of the query that a graph asks with; write the duration itself here"
            raise Unreadable(name.at, why)
        if word not in _PAIRS:
            self.cursor.unexpected(self.context, "number or duration")
        self.cursor.take()
        self.reckoned = True
        self.cursor.take()
        left = self.sum(1)
        self.cursor.need(",", self.context, '","')
        right = self.sum(1)
        self.cursor.need(")", self.context, '")"')
        return _PAIRS[word](left, right)

    def literal(self, token: Token) -> float:
        value = number(token) if token.kind == "number" else seconds(token)
        if not -LONGEST <= value <= LONGEST:
            raise Unreadable(token.at, "duration out of range")
        return value


def _reckon(sign: Token, left: float, right: float) -> float:
    match sign.kind:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "^":
            return power(left, right)
    if not right:
        raise Unreadable(sign.at, "division by zero" if sign.kind == "/" else "modulo by zero")
    if sign.kind == "/":
        return left / right
    return math.fmod(left, right) if math.isfinite(left) else math.nan
