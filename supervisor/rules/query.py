"""Asked questions: an expression's value as rows, and whether it holds for a service.

For playbooks' `unless` and `verify`, which ask through `RuleEngine.asking`. Reads the store, changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.rules.promql.evaluate import PURSE, EvaluationError, Frame
from supervisor.rules.promql.nodes import Kind, Node, Selector, Window
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.samples import Store, to_ms


@dataclass(frozen=True, slots=True)
class Row:
    """One element of an expression's value; no labels for a scalar."""

    labels: Mapping[str, str]
    value: float


def query(expr: CompiledExpr, store: Store, at: float, purse: int = PURSE) -> tuple[Row, ...]:
    """The value of an expression at `at` (unix seconds), in the evaluator's order. A range vector gives its newest
    samples. EvaluationError where it has no value."""
    return _rows(expr.node, Frame(store, to_ms(at), purse))


class Asking:
    """What playbooks ask within one turn, at one instant (`at`, unix seconds). An expression is evaluated once however
    many alerts ask it, and all together have one purse: no playbook that many services share holds up a turn."""

    def __init__(self, store: Store, at: float, purse: int = PURSE) -> None:
        self._store, self._at, self._purse = store, to_ms(at), purse
        self._known: dict[str, tuple[Row, ...] | None] = {}

    def holds(self, expr: CompiledExpr, labels: Mapping[str, str]) -> bool | None:
        """Whether the expression gives anything for the service of an alert with these labels: elements that carry a
        `name` count only for the alert with that `name`; a scalar holds when it is not zero. None where it errs."""
        if expr.text not in self._known:
            self._known[expr.text] = self._ask(expr.node)
        rows = self._known[expr.text]
        if rows is None:
            return None
        if expr.node.kind is Kind.SCALAR:
            return any(row.value and row.value == row.value for row in rows)
        name = labels.get("name", "")
        return any(row.labels.get("name", name) == name for row in rows)

    def _ask(self, node: Node) -> tuple[Row, ...] | None:
        frame = Frame(self._store, self._at, self._purse)
        try:
            return _rows(node, frame)
        except EvaluationError:
            return None
        finally:
            self._purse = max(frame.purse, 0)


def _rows(node: Node, frame: Frame) -> tuple[Row, ...]:
    if isinstance(node, Window):
        return tuple(Row(dict(series.labels), values[-1]) for series, _times, values in frame.spans(node))
    if isinstance(node, Selector):
        return tuple(Row(dict(series.labels), value) for series, _time, value in frame.points(node))
    value = frame.value(node)
    if isinstance(value, list):
        return tuple(Row(dict(labels), number) for labels, number in value)
    return () if isinstance(value, str) else (Row({}, float(value)),)
