"""Rules evaluated on arrival: which rules a sample concerns, when each must be looked at again, and what changed.

The core tells it what arrived, asks when it is due, and takes the changes; `running.py` holds what one rule carries.
No clock is read here: every `now` is an argument, wall time in unix seconds, and inside it is integer milliseconds.

The result equals that of a Prometheus with the same samples and an arbitrarily short interval, plus the settle time of
rules that several collectors feed. A rule is first looked at once what it needs has been delivered, or after a minute.
Rules are looked at in the order of `RuleSet.arranged`, each at most once: what one writes the next ones see at once.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.facts import Alert, AlertChange, Labels, RuleHealth, Sample
from supervisor.rules import alerts, query, restoring
from supervisor.rules.around import Place
from supervisor.rules.explaining.case import Case, blind
from supervisor.rules.model import AlertRule, Rule, RuleSet
from supervisor.rules.outputs import RecordError, recorded, unkept
from supervisor.rules.promql.evaluate import PURSE, EvaluationError, Options, evaluate_until
from supervisor.rules.promql.nodes import Vector
from supervisor.rules.promql.schedule import NEVER
from supervisor.rules.roll import Roll
from supervisor.rules.running import SETTLE, Running
from supervisor.rules.timers import Timers
from supervisor.rules.watch import Watch
from supervisor.samples import STALE, Series, Store, to_ms

__all__ = ["PATIENCE", "SETTLE", "Outcome", "RuleEngine", "RuleState"]

PATIENCE = 60.0
"""Seconds after a start in which rules wait for their first readings, and restored alerts for fresh ones."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one evaluation brought: the transitions as they came, and files whose health changed ('' = recovered)."""

    changes: tuple[AlertChange, ...] = ()
    health: tuple[RuleHealth, ...] = ()
    evaluated: int = 0


@dataclass(frozen=True, slots=True)
class RuleState:
    """How one rule stands. `looked_at`: unix seconds, 0 while it waits for its first readings."""

    rule: Rule
    alerts: tuple[Alert, ...]
    error: str
    looked_at: float


class RuleEngine:
    """All rules over one store."""

    def __init__(self, store: Store, purse: int = PURSE, options: Options = Options()) -> None:
        self._store, self._purse, self.options = store, purse, options
        """`options`: how expressions are evaluated here"""
        self._place = Place(store, purse, options)
        self._rules = RuleSet()
        self._running: list[Running] = []
        """in the order in which they are looked at"""
        self._by_id: dict[str, Running] = {}
        self._watch = Watch(())
        self._timers = Timers(self._next)
        self._woken: dict[Running, None] = {}
        self._woken_at = NEVER
        self._todo: list[int] = []
        self._started: int | None = None
        self._owners: dict[Labels, Running] = {}
        """the rule that last wrote a series"""
        self._roll = Roll(RuleSet(), (), {})
        self.broken = 0
        """evaluations that failed in a way nobody foresaw: ours to mend"""

    # ------------------------------------------------------------ what is evaluated

    def load(
        self, rules: RuleSet, now: float, external_labels: Mapping[str, str] | None = None, external_url: str = ""
    ) -> tuple[AlertChange, ...]:
        """Take this rule set. A rule that was there before (same origin, name and labels as written; the n-th of its
        like) keeps its alerts; those of rules that vanished are dropped, which is answered."""
        ms = to_ms(now)
        if self._started is None:
            self._started = ms
        self._place.external_labels, self._place.external_url = dict(external_labels or {}), external_url
        old = dict(restoring.keyed(self._running))
        self._rules = rules
        self._running = [Running(rule, place) for place, rule in enumerate(rules.arranged or rules.rules)]
        for key, running in restoring.keyed(self._running):
            before = old.pop(key, None)
            if before is not None:
                running.inherit(before)
        watch, self._watch = self._watch, Watch(self._running)
        self._watch.go_on(watch)
        self._rebuild()
        gone = [labels for one in old.values() for labels in one.written.values if labels not in self._owners]
        self._end(gone, ms)
        for running in self._running:
            running.wake(ms)
            self._notice(running, ms)
        self._store.keep(rules.retention())
        return tuple(_dropped(alert, now) for one in old.values() for alert in one.open())

    def restore(self, kept: Iterable[Alert], now: float, away: float) -> tuple[AlertChange, ...]:
        """Take back the alerts of an earlier life, after `load` and the store's windows and before the first
        evaluation. `away`: the seconds in which nobody looked; they count towards no `for`. Each alert is held until
        its rule has fresh input. Answers those whose rule is no more, as dropped."""
        open_ones = [alert for alert in kept if alert.state in (alerts.PENDING, alerts.FIRING)]
        lost = restoring.adopt_alerts(self._running, open_ones)
        for running in self._running:
            running.hold(now - away, now, PATIENCE)
        restoring.adopt_series(self._running, self._store)
        self._rebuild()
        self._end([labels for labels in restoring.orphans(self._store) if labels not in self._owners], to_ms(now))
        return tuple(_dropped(alert, now) for alert in lost)

    def gap(self, seconds: float, now: float) -> None:
        """Wall time jumped by `seconds` (a suspend, a clock set). Call it before what arrives after the jump. Forward:
        as after a restart, alerts are held until their input is fresh. Back: everything kept moves along."""
        if seconds < 0:
            self._store.shift(seconds)
            for running in self._running:
                running.shift(seconds)
        else:
            for running in self._running:
                running.hold(now - seconds, now, PATIENCE)
            self._watch.restart()
        self._started = to_ms(now)
        self._rebuild()
        for running in self._running:
            running.wake(to_ms(now))
            self._notice(running, to_ms(now))

    def _rebuild(self) -> None:
        """Everything that is kept about all rules together, from what each of them carries."""
        self._timers, self._woken, self._woken_at = Timers(self._next), {}, NEVER
        self._by_id = {running.rule.id: running for running in self._running}
        self._roll = Roll(self._rules, self._running, self._roll.told)
        self._owners = {}
        for running in self._running:
            running.queued, running.enlisted = NEVER, False
            self._owners.update(dict.fromkeys(running.written.values, running))
            self._timers.set(running)

    def _end(self, gone: Sequence[Labels], ms: int) -> None:
        """No rule gives these series any more."""
        self._store.append(max(ms, self._store.newest) / 1000, [Sample(labels, STALE) for labels in gone], made=True)

    # ------------------------------------------------------------ when

    def arrived(self, collector: str, touched: Iterable[Series], now: float) -> None:
        """A collector delivered (even nothing): the rules that select these series must be looked at."""
        ms = to_ms(now)
        watch, name = self._watch, ""
        self._ready(watch.deliver(name), ms)
        for series in touched:
            if series.name != name:  # those of one metric come together
                name = series.name
                if found := watch.deliver(name):
                    self._ready(found, ms)
            for running in watch.of(series):
                if collector not in running.collectors:
                    running.collectors.append(collector)
                if running.held and running.freshen(series.labels, now):
                    self._roll.moved(running)
                if (running.due > ms or not running.arrival) and running.concerned(series):
                    running.stir(ms, series.times[-1], ms)
                    self._notice(running, ms)

    def due(self) -> float | None:
        """The next instant (wall) at which `evaluate` has something to do; None while only arrivals can change that."""
        first = min(self._woken_at, self._timers.first())
        return None if first >= NEVER else first / 1000

    def evaluate(self, now: float) -> Outcome:
        """Look at every rule that is due, each once, in order."""
        ms = to_ms(now)
        woken, self._woken, self._woken_at = self._woken, {}, NEVER
        for running in (*woken, *self._timers.take(ms)):
            self._enlist(running, ms)
        changes: list[AlertChange] = []
        count = 0
        while self._todo:
            running = self._running[heapq.heappop(self._todo)]
            running.enlisted = False
            changes += self._look(running, ms)
            self._timers.set(running)
            count += 1
        return Outcome(tuple(changes), self._roll.news(), count)

    def _next(self, running: Running) -> int:
        """When (ms) there is something to do about a rule."""
        first = running.when() if running.ready else max(running.due, self._patience())
        return min(first, running.held_until)

    def _patience(self) -> int:
        return (self._started or 0) + to_ms(PATIENCE)

    def _notice(self, running: Running, ms: int) -> None:
        """A rule's instant moved nearer: have it looked at now, or when that comes."""
        if running.ready and running.when() <= ms:
            self._woken[running] = None
            self._woken_at = min(self._woken_at, ms)
        else:
            self._timers.set(running)

    def _ready(self, found: Sequence[Running], ms: int) -> None:
        """These rules have all that they waited for; only what comes from now on is waited for in order to settle."""
        for running in found:
            running.arrival = 0
            self._notice(running, ms)

    def _enlist(self, running: Running, ms: int) -> None:
        """Look at a rule in this very evaluation, if its time has come."""
        if running.held_until <= ms:
            running.release_all(ms / 1000)
            self._roll.moved(running)
        running.ready = running.ready or ms >= self._patience()
        if running.enlisted:
            return
        if running.ready and running.when() <= ms:
            running.enlisted = True
            heapq.heappush(self._todo, running.place)
        else:
            self._timers.set(running)

    # ------------------------------------------------------------ one rule

    def _look(self, running: Running, ms: int) -> Sequence[AlertChange]:
        """Evaluate one rule, write what it gives, and wake those that read it. A rule that errs keeps its alerts and
        says so about them; what a recording rule wrote stays until it is forgotten. It is tried again at the next tick
        or arrival."""
        rule, at = running.rule, max(ms, self._store.newest)
        running.at = at
        arrival, running.arrival = running.arrival, 0
        changes: Sequence[AlertChange] = ()
        given: Vector | None = None
        change, error = NEVER, ""
        try:
            value, change = evaluate_until(rule.expr.node, self._store, at - running.offset, self._purse, self.options)
            vector: Vector = value if isinstance(value, list) else [((), float(value))]
            if isinstance(rule, AlertRule):
                around = self._place.around(rule.name, at)
                stepped = alerts.step(rule, running.free(), vector, at / 1000, around, running.known)
                running.restless(stepped, at)
                changes, error = self._roll.take(running, stepped), stepped.error
            else:
                given = recorded(rule, vector, running.keys)
        except (EvaluationError, alerts.RuleError, RecordError) as err:
            error = str(err)
        except Exception as err:  # noqa: BLE001 - one bad rule must not spoil the others; counted and shown
            self.broken += 1
            error = f"the evaluation failed: {type(err).__name__}: {err}"
        if isinstance(rule, AlertRule):
            given = running.about()
        if not error:
            self._looked(running, ms)
        if given is not None:
            error = self._write(running, given, at, arrival) or error
        self._roll.say(running, error)
        running.plan(at, change, bool(error))
        return changes

    def _looked(self, running: Running, ms: int) -> None:
        """A rule was evaluated, and well: what waited for it alone is looked at now, and believed."""
        for reader in self._watch.look(running):
            reader.arrival = 0
            if reader.derived and reader.held:
                reader.release_all(ms / 1000)
                self._roll.moved(reader)
            self._enlist(reader, ms)

    def _write(self, running: Running, given: Vector, at: int, arrival: int) -> str:
        """Bring the store to what a rule gives; what of it cannot be kept, in words. Who reads it is looked at in the
        same evaluation; a rule that comes before it (which a loaded rule set does not have) sees it an interval later,
        as in Prometheus."""
        samples, gone = running.written.update(given, at)
        self._owners.update((sample.labels, running) for sample in samples)
        for labels in gone:
            if self._owners.get(labels) is running:
                del self._owners[labels]
                samples.append(Sample(labels, STALE))
        if not samples:
            return ""
        stamp = at - running.offset
        taken = self._store.append(stamp / 1000, samples, made=True)
        for series in taken:
            self._ready(self._watch.deliver(series.name), at)
            for reader in self._watch.of(series):
                reader.collectors += [each for each in running.collectors if each not in reader.collectors]
                if reader.held and reader.freshen(series.labels, at / 1000):
                    self._roll.moved(reader)
                if reader.place > running.place:
                    reader.stir(at, stamp, arrival)
                    self._enlist(reader, at)
                else:
                    reader.wake(at + reader.interval)
                    self._timers.set(reader)
        return "" if len(taken) == len(samples) else self._refused(running, samples, taken)

    def _refused(self, running: Running, samples: Sequence[Sample], taken: Sequence[Series]) -> str:
        """Some of a rule's samples could not be kept: they are tried again at the next look."""
        lost = running.written.lose(samples, {series.labels for series in taken})
        for labels in lost:
            if self._owners.get(labels) is running:
                del self._owners[labels]
        return unkept(len(lost), self._store.max_made)

    # ------------------------------------------------------------ what there is

    def active(self) -> tuple[Alert, ...]:
        """Every pending and firing alert, in the order of their rules in the files. The same tuple as before where
        nothing moved."""
        return self._roll.active()

    def health(self) -> tuple[RuleHealth, ...]:
        """How every file is: what kept it out, or which of its rules err now."""
        return self._roll.health()

    def rules(self) -> tuple[Rule, ...]:
        """The rules as loaded, in the order of their files."""
        return self._rules.rules

    def states(self) -> tuple[RuleState, ...]:
        """How every rule stands, in the order of their files."""
        running = [self._by_id[rule.id] for rule in self._rules.rules]
        return tuple(RuleState(one.rule, tuple(one.open()), one.error, one.at / 1000) for one in running)

    def asking(self, now: float) -> query.Asking:
        """Who answers what playbooks ask in this turn."""
        return query.Asking(self._store, max(now, self._store.newest / 1000), self._purse)

    def action(self, alert: Alert) -> str:
        """The annotation `action` as it stands in the alert's rule file, templates and all, so that it can be split
        into words before any label's value is filled in; as the alert carries it where the rule is no more."""
        home = self._by_id.get(alert.rule)
        templates = home.rule.annotation_templates if home and isinstance(home.rule, AlertRule) else ()
        written = next((template.text for name, template in templates if name == "action"), None)
        known = written is not None and home is not None and home.rule.name == alert.name
        return str(written) if known else alert.annotations.get("action", "")

    def explain(self, word: str, now: float) -> tuple[Case, ...]:
        """What it takes to explain a rule (by id, by the fingerprint of an alert of its, or by name: all of that
        name): how it stands, copied. `reasons.py` tells the rest, elsewhere and on a copy of the samples."""
        at = max(to_ms(now), self._store.newest)
        horizon = max(at - to_ms(self._store.kept), 0)
        found = []
        for one in self._running:
            if word in (one.rule.id, one.rule.name) or any(word == alert.fingerprint for alert in one.open()):
                feeders = self._watch.feeders(one)
                why = blind([*feeders, one])
                twins = () if why else tuple(each.twin() for each in feeders)
                outside = self._place.external_labels, self._place.external_url
                known = (at, horizon, self._started or 0, one.twin(), twins, why)
                found.append(Case(*known, self._rules, self.options, outside))
        return tuple(found)

    @classmethod
    def onward(cls, case: Case, store: Store) -> "RuleEngine":
        """An engine that goes on from there on its own, with that rule and those that feed it alone, over `store`."""
        engine = cls(store, PURSE, case.options)
        engine._running = [one.twin() for one in (*case.feeders, case.running)]
        ids = {one.rule.id for one in engine._running}
        files = [replace(file, rules=tuple(rule for rule in file.rules if rule.id in ids)) for file in case.rules.files]
        engine._rules = replace(case.rules, files=tuple(files))
        engine._place.external_labels, engine._place.external_url = case.outside
        engine._started, engine._watch = case.started, Watch(engine._running)
        for place, one in enumerate(engine._running):
            one.place = place
        engine._rebuild()
        return engine


def _dropped(alert: Alert, now: float) -> AlertChange:
    return AlertChange(replace(alert, state=alerts.DROPPED, held=False), alert.state, now)
