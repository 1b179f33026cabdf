"""Rules: plain Prometheus rule files in, alerts out, evaluated the moment a sample arrives.

`files.py` reads them, `parse.py` and `evaluate.py` are the language, `alerts.py` the states, `engine.py` the timing.
"""

from supervisor.rules.engine import Outcome, RuleEngine
from supervisor.rules.files import load, parse_rules, shipped_folder
from supervisor.rules.model import AlertRule, RecordRule, Rule, RuleFile, RuleSet
from supervisor.rules.promql.evaluate import EvaluationError
from supervisor.rules.promql.parse import BadExpression, CompiledExpr, compile_expr
from supervisor.rules.query import Asking, Row, query

__all__ = [
    "AlertRule",
    "Asking",
    "BadExpression",
    "CompiledExpr",
    "EvaluationError",
    "Outcome",
    "RecordRule",
    "Row",
    "Rule",
    "RuleEngine",
    "RuleFile",
    "RuleSet",
    "compile_expr",
    "load",
    "parse_rules",
    "query",
    "shipped_folder",
]
