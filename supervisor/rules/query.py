"""Asked questions: an expression's value as rows for people, and what each part of it gives.

Used by `RuleEngine`, for `resurgam explain` and for playbooks' `unless` and `verify`. Reads the store, changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.facts import Json
from supervisor.rules.promql.evaluate import PURSE, EvaluationError, Frame
from supervisor.rules.promql.nodes import Kind, Node, Number, Selector, Text, Window, walk
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.rules.promql.show import show
from supervisor.samples import Store, to_ms


@dataclass(frozen=True, slots=True)
class Row:
    """One element of an expression's value; no labels for a scalar."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Part:
    """One sub-expression: its text, what it gives, and why it gives nothing where it errs."""

    text: str
    rows: tuple[Row, ...]
    error: str = ""

    def json(self) -> Json:
        """As plain JSON data (values may be NaN or infinite)."""
        rows = [{"labels": dict(row.labels), "value": row.value} for row in self.rows]
        return {"expr": self.text, "rows": rows} | ({"error": self.error} if self.error else {})


def query(expr: CompiledExpr, store: Store, at: float, purse: int = PURSE) -> tuple[Row, ...]:
    """The value of an expression at `at` (unix seconds), in the evaluator's order. A range vector gives its newest
    samples. EvaluationError where it has no value."""
    return _rows(expr.node, Frame(store, to_ms(at), purse))


def parts(expr: CompiledExpr, store: Store, at: float) -> tuple[Part, ...]:
    """Every sub-expression with its value, the whole one first; plain numbers are left out."""
    found: list[Part] = []
    skip: list[int] = []
    for node in walk(expr.node):
        if isinstance(node, Window):
            skip.append(id(node.selector))
        if isinstance(node, Number | Text) or id(node) in skip:
            continue
        text = show(node)
        try:
            found.append(Part(text, _rows(node, Frame(store, to_ms(at)))))
        except EvaluationError as err:
            found.append(Part(text, (), str(err)))
    return tuple(found)


def holds(expr: CompiledExpr, labels: Mapping[str, str], store: Store, at: float) -> bool:
    """Whether the expression gives anything for this service: elements that carry a `name` count only for the alert
    with that `name`; a scalar holds when it is not zero. EvaluationError where it has no value."""
    rows = query(expr, store, at)
    if expr.node.kind is Kind.SCALAR:
        return any(row.value and row.value == row.value for row in rows)
    name = labels.get("name", "")
    return any(row.labels.get("name", name) == name for row in rows)


def _rows(node: Node, frame: Frame) -> tuple[Row, ...]:
    if isinstance(node, Window):
        return tuple(Row(dict(series.labels), values[-1]) for series, _times, values in frame.spans(node))
    if isinstance(node, Selector):
        return tuple(Row(dict(series.labels), value) for series, _time, value in frame.points(node))
    value = frame.value(node)
    if isinstance(value, list):
        return tuple(Row(dict(labels), number) for labels, number in value)
    return () if isinstance(value, str) else (Row({}, float(value)),)
