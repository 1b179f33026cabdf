"""Alert changes on their way into the journal and to the incident book.

Changes come from the rule engine; rows `alert.*` and the space `alert` (what is true now, for the next start) go into
the turn's batch. An alert that a silence matches is journalled all the same, but it is no message.
"""

from collections.abc import Callable
from dataclasses import replace

from supervisor.core.silences import Silences
from supervisor.facts import Alert, AlertChange, Json
from supervisor.incidents import target
from supervisor.incidents.world import Find
from supervisor.journal import Batch
from supervisor.journal.codec import dump
from supervisor.rules import RuleEngine
from supervisor.units import iso

WriteRow = Callable[[str, str, Json, bool], int]


def alert_object(alert: Alert) -> Json:
    """An alert as Alertmanager's webhook and API show it, with our value beside it."""
    return {
        "status": "resolved" if alert.state == "resolved" else "firing" if alert.state == "firing" else "pending",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": iso(alert.fired_at or alert.active_at),
        "endsAt": iso(alert.resolved_at),
        "fingerprint": alert.fingerprint,
        "value": alert.value,
    }


class AlertDesk:
    """Journals alert changes and hands them to the review."""

    def __init__(
        self, rules: RuleEngine, find: Find, silences: Silences, outside: Callable[[], tuple[Alert, ...]]
    ) -> None:
        """`outside`: the open alerts that are not of our rules; who has them keeps them."""
        self._rules, self._find, self._silences, self._outside = rules, find, silences, outside
        self._kept: dict[str, tuple[str, float, float, float]] = {}
        self._seen: tuple[Alert, ...] | None = None
        """the open alerts as they were last looked at: the engine answers the same tuple while nothing moves"""
        self._fired: dict[str, str] = {}
        """fingerprint of an alert that fires -> whom its message was about"""
        self._changes: list[AlertChange] = []
        self.unsaid: tuple[AlertChange, ...] = ()
        """changes that came about between two lives: told in the first turn"""

    def restored(self, alerts: tuple[Alert, ...], lost: tuple[AlertChange, ...] = ()) -> None:
        """These stand in the journal already; the rules of those that are `lost` are no more."""
        for alert in alerts:
            self._kept[alert.fingerprint] = _essence(alert)
        self.unsaid = lost

    def take_changes(self) -> tuple[AlertChange, ...]:
        """The changes since the last call."""
        changes, self._changes = tuple(self._changes), []
        return changes

    def subject(self, alert: Alert) -> str:
        """The service an alert speaks about by its labels, else `host`."""
        return target.subject(alert, self._find)

    def journal(self, changes: tuple[AlertChange, ...], row: WriteRow, batch: Batch) -> bool:
        """Write rows for the changes, and keep what the next start needs. True if anything changed."""
        for change in changes:
            self._changes.append(change)
            alert = change.alert
            text = alert.annotations.get("summary", alert.name)
            if alert.state == "dropped":
                # Its rule is no more. Who was told that it fires must hear that it is over.
                alert = replace(alert, state="resolved", resolved_at=alert.resolved_at or change.at)
                text = f"{text} (its rule is gone)"
            told = alert.state == "firing" or (alert.state == "resolved" and change.before == "firing")
            kind = "alert.dropped" if alert.state == "resolved" and not told else f"alert.{alert.state}"
            body = {"alert": alert_object(alert), "text": text, "rule": alert.rule}
            silenced = self._silences.hears(alert, change.at, batch) if told else ""
            if silenced:
                body["silenced"] = silenced
            row(kind, self._about(alert), body, told and not silenced)
        return self._keep(batch) or bool(changes)

    def _about(self, alert: Alert) -> str:
        """Its subject; at its end the one it had when it fired, though that service may be forgotten by now."""
        if alert.state != "firing":
            return self._fired.pop(alert.fingerprint, "") or self.subject(alert)
        self._fired[alert.fingerprint] = self.subject(alert)
        return self._fired[alert.fingerprint]

    def tell_unheard(self, row: WriteRow, batch: Batch, now: float) -> None:
        """A silence ended: what fires and was not told because of it is told now."""
        for alert, by in self._silences.unheard((*self._rules.active(), *self._outside()), now, batch):
            text = f"{alert.annotations.get('summary', alert.name)} (fires since {iso(alert.fired_at)}; {by} is over)"
            body = {"alert": alert_object(alert), "text": text, "rule": alert.rule, "was_silenced": by}
            row("alert.firing", self.subject(alert), body, True)

    def _keep(self, batch: Batch) -> bool:
        found = self._rules.active()
        if found is self._seen:
            return False
        self._seen = found
        active = {alert.fingerprint: alert for alert in found}
        changed = False
        for fingerprint, alert in active.items():
            essence = _essence(alert)
            if self._kept.get(fingerprint) != essence:
                self._kept[fingerprint] = essence
                batch.put("alert", fingerprint, dump(alert))
                changed = True
        for fingerprint in [known for known in self._kept if known not in active]:
            del self._kept[fingerprint]
            batch.put("alert", fingerprint, None)
            changed = True
        return changed


def _essence(alert: Alert) -> tuple[str, float, float, float]:
    """What of an alert must survive a restart; its value changes too often to be worth a commit."""
    return (alert.state, alert.active_at, alert.fired_at, alert.keep_since)
