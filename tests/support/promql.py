"""Values of expressions, written so that a test can compare them at a glance."""

from supervisor.facts import Labels
from supervisor.rules import compile_expr
from supervisor.rules.promql.evaluate import PLAIN, PURSE, Options, evaluate
from supervisor.rules.promql.nodes import Vector
from supervisor.samples import Store

Shown = dict[str, float]


def shown(labels: Labels) -> str:
    """`x a=1 b=2`: a label set, the metric's name first."""
    return " ".join(text if name == "__name__" else f"{name}={text}" for name, text in labels)


def elements(vector: Vector) -> Shown:
    """A vector by its shown labels; two elements with the same ones are a failure."""
    found = {shown(labels): number for labels, number in vector}
    assert len(found) == len(vector), vector
    return found


def answer(expr: str, store: Store, at: float, options: Options = PLAIN, purse: int = PURSE) -> Shown | float | str:
    """The value of an expression at `at` (seconds)."""
    value = evaluate(compile_expr(expr).node, store, round(at * 1000), purse, options)
    return elements(value) if isinstance(value, list) else value
