"""An expression as text again, for people: one line, as PromQL writes it.

Used by `explain`, messages and the parser's tests (what is shown reads back as the same tree).
"""

from supervisor.rules.promql.nodes import (
    Aggregate,
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
from supervisor.units import show_duration


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
        case Subquery():
            step = show_duration(node.step / 1000) if node.step else ""
            text = f"{show(node.expr, outer=False)}[{show_duration(node.span / 1000)}:{step}]"
            return text + _moved(node)
        case Negate():
            return f"-{show(node.expr, outer=False)}"
        case Call():
            return f"{node.function.name}({', '.join(show(arg) for arg in node.args)})"
        case Aggregate():
            word = " without " if node.without else " by " if node.labels else ""
            grouping = f"{word}({', '.join(node.labels)}) " if word else ""
            param = f"{show(node.param)}, " if node.param is not None else ""
            return f"{node.op}{grouping}({param}{show(node.expr)})"
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
    return name + (f"{{{', '.join(rest)}}}" if rest or not name else "") + span + _moved(node)


def _moved(node: Selector | Subquery) -> str:
    at = f" @ {node.at}()" if isinstance(node.at, str) else "" if node.at is None else f" @ {node.at / 1000:.3f}"
    return at + (f" offset {show_duration(node.offset / 1000)}" if node.offset else "")
