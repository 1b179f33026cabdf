"""Rules evaluated on arrival: which rules a sample concerns, when each must be looked at again, and what changed.

The core tells it what arrived, asks when it is due, and takes the changes; `running.py` holds what one rule carries.
No clock is read here: every `now` is an argument, wall time in unix seconds, and inside it is integer milliseconds.

The result equals that of a Prometheus with the same samples and an arbitrarily short interval, plus the settle time of
rules that several collectors feed. A rule is first looked at once what it needs has been delivered, or after a minute.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.facts import Alert, AlertChange, Json, Labels, RuleHealth
from supervisor.rules import alerts, query
from supervisor.rules.model import AlertRule, RuleSet
from supervisor.rules.promql.evaluate import PURSE, EvaluationError, evaluate
from supervisor.rules.promql.nodes import Vector
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.rules.promql.schedule import NEVER, next_change
from supervisor.rules.promql.show import show
from supervisor.rules.running import Running
from supervisor.samples import Series, Store, exact_name, to_ms
from supervisor.units import Matcher

SETTLE = 250
"""ms that a rule fed by several collectors waits, so that readings that belong together are seen together."""

PATIENCE = 60.0
"""Seconds after a start in which rules wait for their first readings, and restored alerts for fresh ones."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one evaluation brought: the transitions in rule order, and files whose health changed ('' = recovered)."""

    changes: tuple[AlertChange, ...] = ()
    health: tuple[RuleHealth, ...] = ()
    evaluated: int = 0


class RuleEngine:
    """All rules over one store."""

    def __init__(self, store: Store, purse: int = PURSE) -> None:
        self._store, self._purse = store, purse
        self._rules = RuleSet()
        self._running: list[Running] = []
        self._by_name: dict[str, list[tuple[Running, tuple[Matcher, ...]]]] = {}
        self._watchers: dict[Series, list[Running]] = {}
        self._started: int | None = None
        self._delivered: set[str] = set()
        self._heard = False
        self._told: dict[str, str] = {}
        self.broken = 0
        """evaluations that failed in a way nobody foresaw: ours to mend"""

    # ------------------------------------------------------------ what is evaluated

    def load(self, rules: RuleSet, now: float) -> tuple[AlertChange, ...]:
        """Take this rule set. A rule that was there before (same origin, name and labels as written; the n-th of its
        like) keeps its alerts; those of rules that vanished are dropped, which is answered."""
        if self._started is None:
            self._started = to_ms(now)
        old = dict(_keyed(self._running))
        self._rules = rules
        self._running = [Running(rule) for rule in rules.alerts]
        for key, running in _keyed(self._running):
            before = old.pop(key, None)
            if before is not None:
                running.inherit(before)
        self._index()
        for running in self._running:
            running.wake(to_ms(now))
        files = [health.file for health in rules.health]
        self._told = {file: text for file, text in self._told.items() if file in files}
        self._store.keep(rules.retention())
        gone = [alert for running in old.values() for alert in running.open()]
        return tuple(_dropped(alert, now) for alert in gone)

    def restore(self, kept: Iterable[Alert], now: float, away: float) -> tuple[AlertChange, ...]:
        """Take back the alerts of an earlier life, after `load` and before the first evaluation. `away`: the seconds
        in which nobody looked; they count towards no `for`. Each alert is held until its rule has fresh input.
        Answers those whose rule is no more, as dropped."""
        lost: list[AlertChange] = []
        for alert in kept:
            if alert.state not in (alerts.PENDING, alerts.FIRING):
                continue
            home = next((running for running in self._running if running.owns(alert)), None)
            if home is None:
                lost.append(_dropped(alert, now))
                continue
            home.adopt(alert)
            home.hold(now - away, to_ms(now + PATIENCE))
        return tuple(lost)

    def gap(self, seconds: float, now: float) -> None:
        """Wall time jumped by `seconds` (a suspend, a clock set). Call it before what arrives after the jump. Forward:
        as after a restart, alerts are held until their input is fresh. Back: everything kept moves along."""
        if seconds < 0:
            self._store.shift(seconds)
            for running in self._running:
                running.shift(seconds)
        else:
            for running in self._running:
                running.hold(now - seconds, to_ms(now + PATIENCE))
                running.ready = False
            self._delivered.clear()
            self._heard = False
        self._started = to_ms(now)
        for running in self._running:
            running.wake(to_ms(now))

    # ------------------------------------------------------------ when

    def arrived(self, collector: str, touched: Iterable[Series], now: float) -> None:
        """A collector delivered (even nothing): the rules that select these series must be looked at."""
        ms = to_ms(now)
        self._heard = True
        for series in touched:
            self._delivered.add(series.name)
            for running in self._watching(series):
                if collector not in running.collectors:
                    running.collectors.append(collector)
                if running.held:
                    running.freshen(series.labels, now)
                running.stir(ms, SETTLE if len(running.collectors) > 1 else 0)

    def due(self) -> float | None:
        """The next instant (wall) at which `evaluate` has something to do; None while only arrivals can change that."""
        first = NEVER
        for running in self._running:
            first = min(first, running.when() if self._ready(running) else self._patience(), running.held_until)
        return None if first >= NEVER else first / 1000

    def evaluate(self, now: float) -> Outcome:
        """Look at every rule that is due, each once, in order."""
        ms = to_ms(now)
        at = max(ms, self._store.newest)
        changes: list[AlertChange] = []
        count = 0
        for running in self._running:
            if running.held_until <= ms:
                running.release_all(now)
            if not self._ready(running) and ms >= self._patience():
                running.ready = True
            if self._ready(running) and running.when() <= ms:
                changes += self._step(running, at)
                count += 1
        return Outcome(tuple(changes), self._news(), count)

    def _ready(self, running: Running) -> bool:
        """Whether what the rule needs has been delivered since the start (or it has waited long enough)."""
        if running.ready:
            return True
        for name in running.names:
            if name not in self._delivered and not (name == "" and self._heard):
                return False
        running.ready = True
        return True

    def _patience(self) -> int:
        return (self._started or 0) + to_ms(PATIENCE)

    # ------------------------------------------------------------ one rule

    def _step(self, running: Running, at: int) -> Sequence[AlertChange]:
        rule = running.rule
        running.settle = 0
        try:
            value = evaluate(rule.expr.node, self._store, at, self._purse)
            vector: Vector = value if isinstance(value, list) else [((), float(value))]
            stepped = alerts.step(rule, running.free(), vector, at / 1000)
        except (EvaluationError, alerts.RuleError) as err:
            return self._failed(running, at, str(err))
        except Exception as err:  # noqa: BLE001 - one bad rule must not spoil the others; counted and shown
            self.broken += 1
            return self._failed(running, at, f"the evaluation failed: {type(err).__name__}: {err}")
        running.error = stepped.error
        fresh = any(not change.before for change in stepped.changes)
        changes = running.take(stepped, self._taken(running) if fresh else set())
        first = next_change(rule.expr.selectors, self._store, at)
        deadline = alerts.next_deadline(rule, running.free())
        if deadline is not None:
            first = min(first, to_ms(deadline))
        if running.flows or stepped.error:
            first = min(first, at + to_ms(rule.interval))
        running.due = max(first, at + 1)
        return changes

    def _failed(self, running: Running, at: int, text: str) -> Sequence[AlertChange]:
        """The alerts stay as they are; it is tried again at the next tick or arrival."""
        running.error = text
        running.due = at + to_ms(running.rule.interval)
        return ()

    def _taken(self, running: Running) -> set[str]:
        """Fingerprints in use by other rules (looked up only, never walked)."""
        return {alert.fingerprint for other in self._running if other is not running for alert in other.active.values()}

    # ------------------------------------------------------------ what there is

    def active(self) -> tuple[Alert, ...]:
        """Every pending and firing alert, in the order of their rules."""
        return tuple(alert for running in self._running for alert in running.open())

    def health(self) -> tuple[RuleHealth, ...]:
        """How every file is: what kept it out, or which of its rules err now."""
        errors: dict[str, list[str]] = {}
        for running in self._running:
            if running.error:
                file = self._rules.files[running.rule.order[0]].path
                errors.setdefault(file, []).append(f"{running.rule.name}: {running.error}")
        return tuple(
            replace(health, text="\n".join(errors[health.file])) if health.file in errors else health
            for health in self._rules.health
        )

    def rules(self) -> tuple[AlertRule, ...]:
        """The rules as loaded, in order."""
        return tuple(running.rule for running in self._running)

    def holds(self, expr: CompiledExpr, labels: Mapping[str, str], now: float) -> bool:
        """Whether an expression gives anything for the service of an alert with these labels (see `query.holds`).
        One that errs does not hold."""
        try:
            return query.holds(expr, labels, self._store, max(now, self._store.newest / 1000))
        except EvaluationError:
            return False

    def action(self, alert: Alert) -> str:
        """The annotation `action` as it stands in the alert's rule file, templates and all, so that it can be split
        into words before any label's value is filled in; as the alert carries it where the rule is no more."""
        home = next(
            (one.rule for one in self._running if one.rule.id == alert.rule and one.rule.name == alert.name), None
        )
        templates = home.annotation_templates if home is not None else ()
        written = next((template.text for name, template in templates if name == "action"), None)
        return alert.annotations.get("action", "") if written is None else written

    def explain(self, rule: str, now: float) -> tuple[Json, ...]:
        """Why a rule (by id, or by alert name: all of that name) gives what it gives now, as plain JSON: its
        expression, its error if any, and `parts`: every sub-expression with its rows (labels, value)."""
        at = max(now, self._store.newest / 1000)
        return tuple(
            {
                "alert": running.rule.name,
                "rule": running.rule.id,
                "expr": show(running.rule.expr.node),
                "error": running.error,
                "waits": "" if running.ready else "not looked at yet: it waits for its first readings",
                "parts": [part.json() for part in query.parts(running.rule.expr, self._store, at)],
            }
            for running in self._running
            if rule in (running.rule.id, running.rule.name)
        )

    def _news(self) -> tuple[RuleHealth, ...]:
        """Files whose health is not what was told last."""
        news = []
        for health in self.health():
            if self._told.get(health.file, "" if health.rules else health.text) != health.text:
                news.append(health)
            self._told[health.file] = health.text
        return tuple(news)

    # ------------------------------------------------------------ which rules a series concerns

    def _index(self) -> None:
        self._by_name, self._watchers = {}, {}
        for running in self._running:
            for selector, _span in running.rule.expr.selectors:
                name = exact_name(selector.matchers) or ""
                self._by_name.setdefault(name, []).append((running, selector.matchers))

    def _watching(self, series: Series) -> list[Running]:
        found = self._watchers.get(series)
        if found is None:
            labels = dict(series.labels)
            found = []
            for running, matchers in (*self._by_name.get(series.name, ()), *self._by_name.get("", ())):
                if running not in found and all(matcher.matches(labels) for matcher in matchers):
                    found.append(running)
            if len(self._watchers) > 2 * self._store.max_series:
                self._watchers.clear()
            self._watchers[series] = found
        return found


def _keyed(running: Iterable[Running]) -> list[tuple[tuple[str, str, Labels, int], Running]]:
    """Each rule with what names it over reloads."""
    counts: dict[tuple[str, str, Labels], int] = {}
    found = []
    for one in running:
        key = (one.rule.origin, one.rule.name, one.rule.labels)
        counts[key] = counts.get(key, 0) + 1
        found.append(((*key, counts[key]), one))
    return found


def _dropped(alert: Alert, now: float) -> AlertChange:
    return AlertChange(replace(alert, state=alerts.DROPPED, held=False), alert.state, now)
