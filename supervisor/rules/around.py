"""What a rule's templates can see besides their alert: the store through `query`, and what is known of this place.

Made by `engine.py` for each evaluation of a rule; all the questions of one evaluation together have one purse.
"""

from collections.abc import Mapping

from supervisor.rules.promql.evaluate import EvaluationError, Frame, Options
from supervisor.rules.promql.parse import CompiledExpr, compile_expr
from supervisor.rules.templates import Around, Steps
from supervisor.samples import Store

_MOST = 256
"""texts of questions that are remembered as read"""
_RESULT = 8
"""what it costs to hand one result of a question to a template, in sample visits"""


class Place:
    """Where the rules run: the store they ask, and the labels and address that the outside knows this daemon by."""

    def __init__(self, store: Store, purse: int, options: Options) -> None:
        self._store, self._purse, self._options = store, purse, options
        self._read: dict[str, CompiledExpr] = {}
        self.external_labels: Mapping[str, str] = {}
        self.external_url = ""

    def around(self, name: str, at: int) -> Around:
        """What templates see in an evaluation of the rule `name` at `at` (ms)."""
        purse, steps = self._purse, Steps()

        def query(text: str) -> list[tuple[Mapping[str, str], float]]:
            """BadExpression or EvaluationError where there is no answer."""
            nonlocal purse
            frame = Frame(self._store, at, purse, self._options)
            try:
                value = frame.result(self._compiled(text).node)
                if isinstance(value, list):
                    frame.spend(_RESULT * len(value))
            finally:
                if frame.purse < 0:
                    steps.left = 0
                purse = max(frame.purse, 0)
            if isinstance(value, str):
                raise EvaluationError("the expression gives a text; a vector or a scalar is wanted")
            vector = value if isinstance(value, list) else [((), float(value))]
            return [(dict(labels), number) for labels, number in vector]

        return Around(query, self.external_labels, self.external_url, at / 1000, name, steps)

    def _compiled(self, text: str) -> CompiledExpr:
        found = self._read.get(text)
        if found is None:
            if len(self._read) >= _MOST:
                self._read.clear()
            found = self._read[text] = compile_expr(text, "query")
        return found
