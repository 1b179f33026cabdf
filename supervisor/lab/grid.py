"""Rules on a grid: every group, every rule, in order, each `evaluation_interval`, as promtool's unit tests run them.

In: groups of rules, samples in time order, the grid. Out: the store with what the rules wrote, and each rule's alerts.
States, templates and the written series are the engine's own (`rules.alerts`, `rules.outputs`); only the timing is not.
A group's own `interval` counts for nothing here; its `query_offset` and `limit` do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.errors import ResurgamError
from supervisor.facts import Alert, Labels
from supervisor.lab.series import MOST_VALUES
from supervisor.rules import alerts, outputs
from supervisor.rules.model import AlertRule, Rule
from supervisor.rules.promql.evaluate import PURSE, EvaluationError, Options, evaluate
from supervisor.rules.promql.nodes import Node, Vector
from supervisor.rules.promql.parse import compile_expr
from supervisor.rules.templates import Around
from supervisor.samples import STALE, Store, to_ms

Row = tuple[Labels, int, float]
"""(labels, ms, value)"""


@dataclass(frozen=True, slots=True)
class Group:
    """One group of rules, in the order in which they are evaluated."""

    name: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A rule that could not be evaluated, or whose result could not be kept, at `ms`."""

    rule: str
    ms: int
    text: str


@dataclass(slots=True)
class _Held:
    """What one rule carries from one evaluation to the next."""

    rule: Rule
    active: alerts.Active = field(default_factory=dict)
    known: alerts.Known = field(default_factory=dict)
    written: dict[Labels, None] = field(default_factory=dict)


class Grid:
    """One run over one set of data. Times are integer milliseconds of unix time."""

    def __init__(
        self,
        groups: Sequence[Group],
        rows: Iterable[Row],
        options: Options,
        external_labels: Mapping[str, str] | None = None,
        external_url: str = "",
        purse: int = PURSE,
    ) -> None:
        self._held = [_Held(rule) for group in groups for rule in group.rules]
        # Of two samples at one instant the first one stays, so the order of the series is kept within it.
        self._rows = sorted(rows, key=lambda row: row[1])
        self._next = 0
        self._options, self._purse = options, purse
        self._external_labels, self._external_url = dict(external_labels or {}), external_url
        self.store = Store(max_series=10_000_000, max_points=2 * MOST_VALUES)
        self.store.keep(1e12)
        self._newest: dict[Labels, tuple[int, float]] = {}

    def load(self, until: int) -> None:
        """Let the samples up to `until` be known. Those after it are not, whatever an expression looks at."""
        first = self._next
        while self._next < len(self._rows) and self._rows[self._next][1] <= until:
            self._next += 1
        self._put(self._rows[first : self._next])

    def step(self, ms: int) -> list[Trouble]:
        """Evaluate every rule at `ms`; what went wrong, in the order of the rules."""
        self.load(ms)
        found: list[Trouble] = []
        for held in self._held:
            stamp = ms - to_ms(held.rule.query_offset)
            try:
                vector = self._written(held, ms, stamp)
            except (EvaluationError, alerts.RuleError, outputs.RecordError) as err:
                found.append(Trouble(held.rule.name, ms, str(err)))
                continue
            found += [Trouble(held.rule.name, ms, text) for text in self._keep(held, vector, stamp)]
        return found

    def firing(self, name: str) -> list[Alert]:
        """The firing alerts of this name, rule after rule."""
        return [
            alert
            for held in self._held
            if isinstance(held.rule, AlertRule) and held.rule.name == name
            for alert in held.active.values()
            if alert.state == alerts.FIRING
        ]

    def ask(self, text: str, ms: int) -> Vector:
        """An expression's value at `ms` over what is known now; a scalar has no labels. BadExpression where it cannot
        be read, EvaluationError where it has no value that could be compared."""
        return self._value(compile_expr(text).node, ms)

    # ------------------------------------------------------------ one rule

    def _written(self, held: _Held, ms: int, stamp: int) -> Vector:
        """What the rule writes at `ms`, from what its expression gives at `stamp`."""
        rule = held.rule
        vector = self._value(rule.expr.node, stamp)
        if not isinstance(rule, AlertRule):
            return outputs.recorded(rule, vector)
        around = Around(
            query=lambda text: [(dict(labels), value) for labels, value in self.ask(text, ms)],
            external_labels=self._external_labels,
            external_url=self._external_url,
            at=ms / 1000,
            name=rule.name,
        )
        stepped = alerts.step(rule, held.active, vector, ms / 1000, around, held.known)
        held.active, held.known = stepped.active, stepped.known
        if stepped.error:
            raise EvaluationError(stepped.error)
        return outputs.about(held.active.values())

    def _value(self, node: Node, ms: int) -> Vector:
        value = evaluate(node, self.store, ms, self._purse, self._options)
        if isinstance(value, str):
            raise EvaluationError("the expression gives a text; a vector or a scalar is wanted")
        return value if isinstance(value, list) else [((), float(value))]

    def _keep(self, held: _Held, vector: Vector, stamp: int) -> list[str]:
        """Write a rule's result, and end the series that it gives no longer; what could not be written."""
        rows: list[Row] = []
        troubles: dict[str, None] = {}
        written: dict[Labels, None] = {}
        for labels, value in vector:
            why = self._refused(labels, stamp, value)
            if why:
                troubles[why] = None
                continue
            rows.append((labels, stamp, value))
            written[labels] = None
        gone = [labels for labels in held.written if labels not in written]
        rows += [(labels, stamp, STALE) for labels in gone if self._newest[labels][0] < stamp]
        held.written = written
        self._put([row for row in rows if self._newest.get(row[0], (row[1] - 1, 0.0))[0] < row[1]])
        return list(troubles)

    def _refused(self, labels: Labels, ms: int, value: float) -> str:
        """Why a series does not take this sample; '' where it does."""
        newest = self._newest.get(labels)
        if newest is None or newest[0] < ms:
            return ""
        if newest[0] > ms:
            return "out of order sample"
        same = newest[1] == value or (newest[1] != newest[1] and value != value)
        return "" if same else "duplicate sample for timestamp"

    def _put(self, rows: Sequence[Row]) -> None:
        for labels, ms, value in rows:
            self._newest[labels] = (ms, value)
        if self.store.restore(rows) != len(rows):
            raise ResurgamError("these series cannot be kept: a label set may have 4 kB, and every sample its own time")


def ordered(groups: Sequence[Group], wanted: Sequence[str]) -> list[Group]:
    """The groups as `group_eval_order` wants them. One that it does not name ranks with the first that it names, as in
    promtool; there the two come in any order, here the named one goes first."""
    rank = {name: index for index, name in enumerate(wanted)}
    return sorted(groups, key=lambda group: (rank.get(group.name, 0), group.name not in rank))
