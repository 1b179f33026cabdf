"""What one loaded rule carries from evaluation to evaluation: its alerts, what it wrote, when it is due, what feeds it.

Owned and driven by `engine.py`; nothing else touches it.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace

from supervisor.facts import Alert, AlertChange, Labels
from supervisor.rules import alerts
from supervisor.rules.model import AlertRule, Rule
from supervisor.rules.outputs import Written, about
from supervisor.rules.promql.nodes import Vector
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import LOOKBACK, Series, exact_name, to_ms

_LOOKBACK = to_ms(LOOKBACK)
SETTLE = 250
"""ms that a rule fed by several collectors waits, so that readings that belong together are seen together."""


RESTLESS, CALM = 1000, 6_000
"""So many alerts of a rule may be replaced by others of its own, and one more every so many ms: with a value in a label
that is each of them at each look, and within minutes nothing else would be left in the journal."""


class Running:
    """One rule at work. Its own times are ms, those inside alerts and of `held` are seconds."""

    def __init__(self, rule: Rule, place: int) -> None:
        self.rule, self.place = rule, place
        """`place`: its number in the order in which rules are looked at"""
        self.interval, self.offset = to_ms(rule.interval), to_ms(rule.query_offset)
        self.flows, self.clocked = rule.expr.flows, rule.expr.clocked
        self.names: tuple[str, ...] = tuple(
            dict.fromkeys(exact_name(selector.matchers) or "" for selector, _span in rule.expr.selectors)
        )
        """the metrics it needs; '' for a selector that names none"""
        self.ahead = any(selector.offset < 0 or selector.at is not None for selector, _span in rule.expr.selectors)
        """whether it can see samples sooner than its `query_offset` says"""
        self._plain = rule.expr.plain and not self.offset
        self.active: alerts.Active = {}
        self.known: alerts.Known = {}
        self.held: dict[Labels, float] = {}
        """alerts whose input is not fresh, and since when nobody looked"""
        self.held_until = NEVER
        self.written = Written(self.interval)
        self.keys: dict[Labels, Labels] = {}
        """of a recording rule: the label sets that it gave"""
        self._told: tuple[tuple[Labels, str, float], ...] = ()
        self._about: Vector = []
        self.collectors: list[str] = []
        self.awaits = 0
        """how many metrics and earlier rules have not delivered yet since the start"""
        self.derived = False
        """whether all that it reads is written by rules"""
        self.readers: list[Running] = []
        """the rules that await this one"""
        self.ready = False
        self._debt, self._counted = 0, 0
        """ms of calm that it owed at that instant for the alerts that others of its own replaced"""
        self.looked = False
        """whether it has been evaluated, and well, since the start"""
        self.due = NEVER
        self.arrival = 0
        """when the first reading came that was not looked at yet; 0: none did"""
        self.queued = NEVER
        """the instant that the timers know"""
        self.enlisted = False
        """whether it is among those that are being looked at now"""
        self.error = ""
        self.at = 0
        """when it was looked at last"""

    def open(self) -> list[Alert]:
        """Pending and firing."""
        return [alert for alert in self.active.values() if alert.state != alerts.RESOLVED]

    def free(self) -> alerts.Active:
        """The alerts that may change: all but the held ones."""
        if not self.held:
            return self.active
        return {key: alert for key, alert in self.active.items() if key not in self.held}

    def about(self) -> Vector:
        """What is written about its alerts; made anew only where a state changed."""
        told = tuple((key, alert.state, alert.active_at) for key, alert in self.active.items())
        if told != self._told:
            self._told, self._about = told, about(self.active.values())
        return self._about

    # ------------------------------------------------------------ when it is due

    def concerned(self, series: Series) -> bool:
        """Whether the newest sample of a series can mean anything to it. With the value of the one before it does not,
        where that one still spoke and nothing else of the samples counts; what it gives is written again by its beat,
        and looked at again when the older sample would have expired. One with alerts looks at each: annotations may
        ask for more than the expression does."""
        if not self._plain or self.active or self.error or not (self.ready and self.looked):
            return True
        times, values = series.times, series.values
        if len(times) < 2 or values[-1] != values[-2]:
            return True
        return not 1 < times[-1] - times[-2] < _LOOKBACK  # 1: of a burst, whose first may have been news

    def settle(self) -> int:
        """How long (ms) it waits for readings that belong to one that came."""
        if self.rule.settle is not None:
            return to_ms(self.rule.settle)
        return SETTLE if len(self.collectors) > 1 else 0

    def wake(self, ms: int) -> None:
        """Be due at `ms` at the latest."""
        self.due = min(self.due, ms)

    def stir(self, ms: int, stamp: int, arrival: int) -> None:
        """A sample stamped `stamp` came at `ms`. `arrival`: when the first of those came that belong to it; 0: none
        belong to it, it was made by a timer."""
        if self.offset and not self.ahead:
            self.wake(max(ms, stamp + self.offset + self.settle()))
            return
        if arrival and not self.arrival:
            self.arrival = arrival
        self.wake(ms)

    def when(self) -> int:
        """The instant at which it is to be looked at; no timer looks into readings that are still settling."""
        return max(self.due, self.arrival + self.settle()) if self.arrival else self.due

    def plan(self, at: int, change: int, failed: bool) -> None:
        """It was looked at. `change`: when (in the time that its expression sees) its value can differ again."""
        first = change
        if self.offset and change < NEVER:
            first += self.offset + self.settle()
        if isinstance(self.rule, AlertRule):
            deadline = alerts.next_deadline(self.rule, self.free())
            first = first if deadline is None else min(first, to_ms(deadline))
        # what nothing in sight can move needs no tick: most of a large pack concerns machines that are not here
        if failed or self.clocked or (self.flows and change < NEVER):
            first = min(first, at + self.interval)
        self.due = max(min(first, self.written.beat), at + 1)

    def twin(self) -> "Running":
        """As it stands now, to go on elsewhere: what becomes of the one is nothing to the other."""
        one = copy(self)
        one.active, one.held, one.collectors = dict(self.active), dict(self.held), list(self.collectors)
        one.written = self.written.twin()
        one.readers, one.queued, one.enlisted = [], NEVER, False
        return one

    # ------------------------------------------------------------ over reloads, restarts and gaps

    def inherit(self, before: "Running") -> None:
        """Go on from the same rule as it was before a reload."""
        for key, alert in before.active.items():
            self.active[key] = replace(alert, rule=self.rule.id, origin=self.rule.origin, order=self.rule.order)
        self.held, self.held_until = before.held, before.held_until
        self.written.values, self.written.beat = before.written.values, before.written.beat
        self._debt, self._counted = before._debt, before._counted
        if self.names == before.names:
            self.collectors, self.ready, self.looked = before.collectors, before.ready, before.looked

    def owns(self, alert: Alert) -> bool:
        """Whether this alert of an earlier life is one of ours."""
        if alert.name != self.rule.name or alert.origin != self.rule.origin:
            return False
        plain = [(name, text) for name, text in self.rule.labels if "{{" not in text and name != "alertname"]
        return all(alert.labels.get(name, "") == text for name, text in plain)

    def adopt(self, alert: Alert) -> None:
        """Take an alert of an earlier life."""
        key = tuple(sorted(alert.labels.items()))
        self.active[key] = replace(alert, rule=self.rule.id, order=self.rule.order)

    def hold(self, since: float, now: float, patience: float) -> None:
        """Freeze every open alert: nobody has looked since `since`. After so much patience waiting ends; a rule that
        reads no samples has none to wait for."""
        for key, alert in self.active.items():
            if alert.state != alerts.RESOLVED and key not in self.held:
                self.held[key] = since
                self.active[key] = replace(alert, held=True)
        if self.held:
            self.held_until = to_ms(now + patience) if self.names else to_ms(now)

    def freshen(self, labels: Labels, now: float) -> bool:
        """A series of ours arrived: release the alerts that it can be about. Labels that the rule sets itself say
        nothing. True if any was released."""
        own = [name for name, _text in self.rule.labels]
        given = [pair for pair in labels if pair[0] not in ("__name__", "alertname", "alertstate", *own)]
        found = [
            key for key in self.held if all(self.active[key].labels.get(name, text) == text for name, text in given)
        ]
        for key in found:
            self._release(key, now)
        return bool(found)

    def release_all(self, now: float) -> None:
        """Waiting has ended."""
        for key in list(self.held):
            self._release(key, now)
        self.held_until = NEVER
        self.wake(to_ms(now))

    def _release(self, key: Labels, now: float) -> None:
        """Let it change again; the time in which nobody looked is taken out of its `for` and its keep_firing_for."""
        away = round(now - self.held.pop(key), 3)
        alert = self.active[key]
        self.active[key] = replace(
            alert,
            held=False,
            active_at=round(alert.active_at + away, 3) if alert.state == alerts.PENDING else alert.active_at,
            keep_since=round(alert.keep_since + away, 3) if alert.keep_since else 0.0,
        )
        if not self.held:
            self.held_until = NEVER

    def shift(self, seconds: float) -> None:
        """The wall clock was set back: ages stay true. `fired_at` stays too: it names what was acted on."""
        for key, alert in self.active.items():
            self.active[key] = replace(
                alert,
                active_at=alert.active_at + seconds,
                resolved_at=alert.resolved_at + seconds if alert.resolved_at else 0.0,
                keep_since=alert.keep_since + seconds if alert.keep_since else 0.0,
            )
        ms = to_ms(seconds)
        self.held = {key: since + seconds for key, since in self.held.items()}
        self.held_until += ms if self.held_until < NEVER else 0
        self.arrival += ms if self.arrival else 0
        self.written.shift(ms)

    # ------------------------------------------------------------ after an evaluation

    def restless(self, stepped: alerts.Stepped, at: int) -> None:
        """RuleError if its alerts are replaced by others again and again: then nothing of this step is taken."""
        come = len([change for change in stepped.changes if not change.before])
        replaced = min(come, len(stepped.changes) - come)
        if not replaced:
            return
        debt = max(self._debt - max(at - self._counted, 0), 0)
        if debt and debt + replaced * CALM > RESTLESS * CALM:
            raise alerts.RuleError(
                "its alerts have other labels at each look, so each look would make new ones; take what changes "
                "(a value, a time) out of `labels`, into `annotations`"
            )
        self._debt, self._counted = min(debt + replaced * CALM, RESTLESS * CALM), at

    def take(self, stepped: alerts.Stepped, taken: Callable[[str], bool]) -> Sequence[AlertChange]:
        """Take what an evaluation brought; held alerts stay as they are. `taken`: whether another rule has an alert
        with this fingerprint."""
        active: alerts.Active = {key: self.active[key] for key in self.active if key in self.held} if self.held else {}
        renamed: dict[str, Alert] = {}
        for key, alert in stepped.active.items():
            if key in self.held:
                continue
            if key not in self.active and taken(alert.fingerprint):
                renamed[alert.fingerprint] = alert = replace(
                    alert, fingerprint=alerts.fingerprint(key, salt=self.rule.id)
                )
            active[key] = alert
        self.active, self.known = active, stepped.known
        changes = []
        for change in stepped.changes:
            if self.held and tuple(sorted(change.alert.labels.items())) in self.held:
                continue
            other = renamed.get(change.alert.fingerprint) if not change.before else None
            changes.append(change if other is None else replace(change, alert=other))
        return changes
