"""What one loaded rule carries from evaluation to evaluation: its alerts, when it is due, what feeds it.

Owned and driven by `engine.py`; nothing else touches it.
"""

from collections.abc import Sequence
from dataclasses import replace

from supervisor.facts import Alert, AlertChange, Labels
from supervisor.rules import alerts
from supervisor.rules.model import AlertRule
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import exact_name


class Running:
    """One rule at work. Times called `due`, `held_until` are ms, those inside alerts are seconds."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self.flows = rule.expr.flows
        self.names: tuple[str, ...] = tuple(
            dict.fromkeys(exact_name(selector.matchers) or "" for selector, _span in rule.expr.selectors)
        )
        """the metrics it needs; '' for a selector that names none"""
        self.active: alerts.Active = {}
        self.held: dict[Labels, float] = {}
        """alerts whose input is not fresh, and since when nobody looked"""
        self.held_until = NEVER
        self.collectors: list[str] = []
        self.ready = False
        self.due = NEVER
        self.settle = 0
        """until when (ms) readings that belong to the last arrival may still come; 0: none do"""
        self.error = ""

    def open(self) -> list[Alert]:
        """Pending and firing."""
        return [alert for alert in self.active.values() if alert.state != alerts.RESOLVED]

    def free(self) -> alerts.Active:
        """The alerts that may change: all but the held ones."""
        return {key: alert for key, alert in self.active.items() if key not in self.held}

    def wake(self, ms: int) -> None:
        """Be due at `ms` at the latest."""
        self.due = min(self.due, ms)

    def stir(self, ms: int, settle: int) -> None:
        """A sample arrived at `ms`: be due at once, or `settle` ms after the first of those that belong together."""
        if settle and not self.settle:
            self.settle = ms + settle
        self.wake(ms)

    def when(self) -> int:
        """The instant (ms) at which it is to be looked at; no timer looks into readings that are still settling."""
        return max(self.due, self.settle)

    # ------------------------------------------------------------ over reloads, restarts and gaps

    def inherit(self, before: "Running") -> None:
        """Go on from the same rule as it was before a reload."""
        for key, alert in before.active.items():
            self.active[key] = replace(alert, rule=self.rule.id, origin=self.rule.origin, order=self.rule.order)
        self.held, self.held_until = before.held, before.held_until
        if self.names == before.names:
            self.collectors, self.ready = before.collectors, before.ready

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

    def hold(self, since: float, until: int) -> None:
        """Freeze every open alert: nobody has looked since `since` (seconds). At `until` (ms) waiting ends."""
        for key, alert in self.active.items():
            if alert.state != alerts.RESOLVED and key not in self.held:
                self.held[key] = since
                self.active[key] = replace(alert, held=True)
        if self.held:
            self.held_until = until

    def freshen(self, labels: Labels, now: float) -> None:
        """A series of ours arrived: release the alerts that it can be about."""
        given = [pair for pair in labels if pair[0] != "__name__"]
        for key in list(self.held):
            have = self.active[key].labels
            if all(have.get(name, text) == text for name, text in given):
                self._release(key, now)

    def release_all(self, now: float) -> None:
        """Waiting has ended."""
        for key in list(self.held):
            self._release(key, now)
        self.held_until = NEVER
        self.wake(round(now * 1000))

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
        self.held = {key: since + seconds for key, since in self.held.items()}
        if self.held_until < NEVER:
            self.held_until += round(seconds * 1000)

    # ------------------------------------------------------------ after an evaluation

    def take(self, stepped: alerts.Stepped, taken: set[str]) -> Sequence[AlertChange]:
        """Take what an evaluation brought; held alerts stay as they are. `taken`: fingerprints of other rules."""
        active: alerts.Active = {key: self.active[key] for key in self.active if key in self.held}
        renamed: dict[str, Alert] = {}
        for key, alert in stepped.active.items():
            if key in self.held:
                continue
            if key not in self.active and alert.fingerprint in taken:
                renamed[alert.fingerprint] = alert = replace(
                    alert, fingerprint=alerts.fingerprint(key, salt=self.rule.id)
                )
            active[key] = alert
        self.active = active
        changes = []
        for change in stepped.changes:
            if tuple(sorted(change.alert.labels.items())) in self.held:
                continue
            other = renamed.get(change.alert.fingerprint) if not change.before else None
            changes.append(change if other is None else replace(change, alert=other))
        return changes
