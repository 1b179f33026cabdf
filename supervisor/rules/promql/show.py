"""An expression as text again, for people: one line, as PromQL writes it, with no more parentheses than it needs.

Used by `explain`, messages and the parser's tests (what is shown reads back as the same tree).
"""

import math
import re

from supervisor.rules.promql.lexer import KEYWORDS, LEVELS, METRICS
from supervisor.rules.promql.nodes import (
    Aggregate,
    At,
    Binary,
    Call,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Window,
)

_SIGN = LEVELS["*"]
"""How tightly a sign binds what follows it."""
_POWER = LEVELS["^"]
_ATOM = _POWER + 1

_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_NO_METRIC = (KEYWORDS - METRICS) | {"inf", "nan"}
"""Words that are a metric's name only in quotes."""
_NO_LABEL = ("inf", "nan")


def show(node: Node) -> str:
    """The expression as text, for people."""
    match node:
        case Number():
            return show_number(node.value)
        case Text():
            return quote(node.value)
        case Selector():
            return ("+" if node.signed else "") + _selector(node, "")
        case Window():
            return _selector(node.selector, f"[{length(node.span)}]")
        case Subquery():
            step = length(node.step) if node.step else ""
            return f"{_within(node.expr, _ATOM)}[{length(node.span)}:{step}]{_moved(node.at, node.offset)}"
        case Negate():
            return f"-{_within(node.expr, _POWER)}"
        case Call():
            return f"{node.function.name}({', '.join(show(arg) for arg in node.args)})"
        case Aggregate():
            words = f" {'without' if node.without else 'by'} ({_labels(node.labels)}) "
            param = f"{show(node.param)}, " if node.param is not None else ""
            return f"{node.op}{words if node.without or node.labels else ''}({param}{show(node.expr)})"
        case Binary():
            level = LEVELS[node.op]
            rightward = node.op == "^"
            left = _within(node.left, level + 1 if rightward else level)
            right = _within(node.right, level if rightward else level + 1, sign=_ATOM)
            return f"{left} {_operator(node)} {right}"


def _within(node: Node, floor: int, sign: int = _SIGN) -> str:
    """As an operand of something that binds at level `floor`: in parentheses if it binds less tightly. `sign`: how
    tightly a sign binds here (behind an operator it cannot be misread)."""
    level = _ATOM
    match node:
        case Binary():
            level = LEVELS[node.op]
        case Negate() | Selector(signed=True):
            level = sign
        case Number() if math.copysign(1.0, node.value) < 0:
            level = sign
    return show(node) if level >= floor else f"({show(node)})"


def show_number(value: float) -> str:
    """A number as PromQL writes it."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and 0 < abs(value) < 1e15 else repr(value).removesuffix(".0")


def quote(text: str) -> str:
    """A string as PromQL writes it."""
    return '"' + "".join(_ESCAPES.get(char) or (char if char >= " " else f"\\x{ord(char):02x}") for char in text) + '"'


def length(ms: int) -> str:
    """A length of time as PromQL writes it, to the millisecond: `1h30m`, `250ms`; never with a sign of its own."""
    parts = []
    for unit, size in _UNITS:
        if ms >= size:
            parts.append(f"{ms // size}{unit}")
            ms %= size
    return "".join(parts) or "0s"


def _operator(node: Binary) -> str:
    words = [node.op, "bool"] if node.as_bool else [node.op]
    matching = node.matching
    if matching.on or matching.labels or matching.group:
        words.append(f"{'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})")
    if matching.group:
        words.append(f"group_{matching.group} ({_labels(matching.include)})")
    left, right = matching.fill_left, matching.fill_right
    if left is not None and right is not None and show_number(left) == show_number(right):
        words.append(f"fill ({show_number(left)})")
    else:
        words += [f"fill_left ({show_number(left)})"] if left is not None else []
        words += [f"fill_right ({show_number(right)})"] if right is not None else []
    return " ".join(words)


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(_label(name) for name in names)


def _label(name: str) -> str:
    """A label's name, in quotes where it needs them."""
    return name if _LABEL.fullmatch(name) and name.lower() not in _NO_LABEL else quote(name)


def _selector(node: Selector, span: str) -> str:
    name, words, rest = "", [], list(node.matchers)
    first = rest[0]
    named = [matcher for matcher in rest if matcher.name == "__name__"]
    if named == [first] and first.op == "=" and first.value:
        rest.pop(0)
        if _METRIC.fullmatch(first.value) and first.value.lower() not in _NO_METRIC:
            name = first.value
        else:
            words.append(quote(first.value))
    words += [f"{_label(matcher.name)}{matcher.op}{quote(matcher.value)}" for matcher in rest]
    return name + (f"{{{', '.join(words)}}}" if words else "") + span + _moved(node.at, node.offset)


def _moved(at: At | None, offset: int) -> str:
    text = ""
    if isinstance(at, str):
        text = f" @ {at}()"
    elif at is not None:
        text = f" @ {'-' if at < 0 else ''}{abs(at) // 1000}.{abs(at) % 1000:03d}"
    return text + (f" offset {'-' if offset < 0 else ''}{length(abs(offset))}" if offset else "")
