"""What rule files hold, once read: alerting and recording rules, in files, in a set.

Made by `files.py`; `engine.py` runs it, `lab/` tests and replays it, `lint.py` looks at it. Durations are seconds.
"""

from dataclasses import dataclass

from supervisor.facts import RuleHealth
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.rules.promql.schedule import needed
from supervisor.rules.templates import Template

TICK = 15.0
"""Seconds between the evaluations of a group that names no `interval`."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alerting rule, ready to be evaluated."""

    id: str
    """file:group:index"""
    name: str
    expr: CompiledExpr
    hold: float
    """`for`"""
    keep: float
    """`keep_firing_for`"""
    labels: tuple[tuple[str, str], ...]
    """as written, the group's among them: part of the rule's identity over reloads"""
    label_templates: tuple[tuple[str, Template], ...]
    annotation_templates: tuple[tuple[str, Template], ...]
    interval: float
    """the group's `interval`, or TICK: how often it is evaluated where its value moves with time alone"""
    limit: int
    origin: str
    order: tuple[int, int, int]
    """file, group, rule: its place among all"""
    group: str = ""
    query_offset: float = 0.0
    settle: float | None = None
    """how long an evaluation waits for readings that belong together; None: 250 ms where several collectors feed it"""
    place: tuple[int, int] = (0, 0)
    """line and column of the rule in its file, from 1"""


@dataclass(frozen=True, slots=True)
class RecordRule:
    """One recording rule: its result is kept as series called `name`."""

    id: str
    name: str
    """`record`"""
    expr: CompiledExpr
    labels: tuple[tuple[str, str], ...]
    """set on every series, the group's among them; "" removes a label"""
    interval: float
    limit: int
    origin: str
    order: tuple[int, int, int]
    group: str = ""
    query_offset: float = 0.0
    settle: float | None = None
    place: tuple[int, int] = (0, 0)


Rule = AlertRule | RecordRule


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One good rule file. `path` is as people know it."""

    path: str
    origin: str
    rules: tuple[Rule, ...]
    """group after group, as written"""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All good files in order, and how every file is, the bad ones among them."""

    files: tuple[RuleFile, ...] = ()
    health: tuple[RuleHealth, ...] = ()
    arranged: tuple[Rule, ...] = ()
    """every rule, each after those whose series it reads, else as written (`order.py`)"""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in the order of the files."""
        return tuple(rule for file in self.files for rule in file.rules)

    @property
    def alerts(self) -> tuple[AlertRule, ...]:
        """The alerting rules, in the order of the files."""
        return tuple(rule for rule in self.rules if isinstance(rule, AlertRule))

    def retention(self) -> float:
        """Seconds of samples that the rules look back to; at least the lookback."""
        offsets = [needed(rule.expr.selectors) + rule.query_offset for rule in self.rules]
        return max([needed(()), *offsets])
