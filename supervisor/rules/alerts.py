"""The states of one rule's alerts: a pure function of what was, what the expression gives now, and the time.

Prometheus' own state machine (rules/alerting.go): pending until `for` is over, firing, kept firing for
`keep_firing_for`, resolved and remembered for a while. Called by `engine.py`; the alerts go into the snapshot and the
journal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from supervisor.facts import Alert, AlertChange, Labels
from supervisor.rules.model import AlertRule
from supervisor.rules.promql.nodes import Vector

RESOLVED_RETENTION = 900.0
"""Seconds for which a resolved alert is remembered."""

PENDING, FIRING, RESOLVED, DROPPED = "pending", "firing", "resolved", "dropped"
"""`dropped` is only ever seen in a change: a pending alert that went away, or a rule that is no more."""

Active = dict[Labels, Alert]
"""The alerts of one rule by their label set, in the order in which they came up."""


class RuleError(Exception):
    """The rule's result cannot be turned into alerts; its alerts stay as they are."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """One evaluation of one rule: its alerts afterwards, and those that changed state. `error` where the rule has
    more alerts than its group allows: then all of them are dropped."""

    active: Active
    changes: tuple[AlertChange, ...]
    error: str = ""


def step(rule: AlertRule, active: Mapping[Labels, Alert], vector: Vector, at: float) -> Stepped:
    """Advance a rule's alerts to `at` (unix seconds). RuleError, with nothing changed, where two results are one."""
    found = _named(rule, vector)
    after: Active = {}
    changes: list[AlertChange] = []
    for key, alert in active.items():
        if key in found and alert.state != RESOLVED:
            result, value = found.pop(key)
            current: Alert | None = _present(rule, alert, result, value, at)
        elif key in found:
            continue  # it comes back after it was resolved: a new alert, made below
        else:
            current = _missing(rule, alert, at)
        if current is not None:
            after[key] = current
        state = current.state if current is not None else DROPPED
        if state != alert.state and alert.state != RESOLVED:
            changes.append(AlertChange(current or replace(alert, state=DROPPED, held=False), alert.state, at))
    for key, (result, value) in found.items():
        fresh = _new(rule, key, result, value, at)
        after[key] = fresh
        changes.append(AlertChange(fresh, "", at))
    count = len([alert for alert in after.values() if alert.state != RESOLVED])
    if rule.limit and count > rule.limit:
        gone = [alert for alert in active.values() if alert.state != RESOLVED]
        changes = [AlertChange(replace(alert, state=DROPPED, held=False), alert.state, at) for alert in gone]
        return Stepped({}, tuple(changes), f"exceeded limit of {rule.limit} with {count} alerts")
    return Stepped(after, tuple(changes))


def _named(rule: AlertRule, vector: Vector) -> dict[Labels, tuple[dict[str, str], float]]:
    """The results by the label set that their alert has."""
    found: dict[Labels, tuple[dict[str, str], float]] = {}
    for labels, value in vector:
        result = dict(labels)
        final = {name: text for name, text in result.items() if name != "__name__"}
        for name, template in rule.label_templates:
            final[name] = template.expand(result, value)
        final["alertname"] = rule.name
        key = tuple(sorted((name, text) for name, text in final.items() if text))
        if key in found:
            raise RuleError("vector contains metrics with the same labelset after applying alert labels")
        found[key] = (result, value)
    return found


def _annotations(rule: AlertRule, result: dict[str, str], value: float) -> dict[str, str]:
    return {name: template.expand(result, value) for name, template in rule.annotation_templates}


def _new(rule: AlertRule, key: Labels, result: dict[str, str], value: float, at: float) -> Alert:
    alert = Alert(
        fingerprint=fingerprint(key),
        name=rule.name,
        state=PENDING,
        labels=dict(key),
        annotations=_annotations(rule, result, value),
        value=value,
        active_at=at,
        rule=rule.id,
        origin=rule.origin,
        order=rule.order,
    )
    return _aged(rule, alert, at)


def _present(rule: AlertRule, alert: Alert, result: dict[str, str], value: float, at: float) -> Alert:
    """Labels are its identity and stay; value and annotations are refreshed."""
    annotations = _annotations(rule, result, value)
    if alert.value == value and alert.annotations == annotations and not alert.keep_since:
        return _aged(rule, alert, at)
    return _aged(rule, replace(alert, value=value, annotations=annotations, keep_since=0.0), at)


def _aged(rule: AlertRule, alert: Alert, at: float) -> Alert:
    """Pending long enough is firing; firing too young (after a reload raised `for`) is pending again."""
    due = at - alert.active_at >= rule.hold - 1e-6
    if alert.state == PENDING and due:
        return replace(alert, state=FIRING, fired_at=at)
    if alert.state == FIRING and not due:
        return replace(alert, state=PENDING, fired_at=0.0)
    return alert


def _missing(rule: AlertRule, alert: Alert, at: float) -> Alert | None:
    """What becomes of an alert whose expression does not give it any more; None: it is forgotten."""
    if alert.state == PENDING:
        return None
    if alert.state == RESOLVED:
        return alert if at - alert.resolved_at <= RESOLVED_RETENTION else None
    if rule.keep:
        since = alert.keep_since or at
        if at - since < rule.keep - 1e-6:
            return alert if alert.keep_since else replace(alert, keep_since=since)
    return replace(alert, state=RESOLVED, resolved_at=at, held=False)


def next_deadline(rule: AlertRule, active: Mapping[Labels, Alert]) -> float | None:
    """The next instant at which time alone changes a state: a `for` or a `keep_firing_for` that runs out."""
    first: float | None = None
    for alert in active.values():
        when: float | None = None
        if alert.state == PENDING:
            when = alert.active_at + rule.hold
        elif alert.state == FIRING and alert.keep_since:
            when = alert.keep_since + rule.keep
        if when is not None and (first is None or when < first):
            first = when
    return first


def fingerprint(labels: Labels, salt: str = "") -> str:
    """Sixteen hex digits that name a label set, the same that Alertmanager computes (FNV-1a, 64 bit). `salt` sets
    apart two rules that give one and the same label set."""
    value = 0xCBF29CE484222325
    text = b"".join(
        name.encode("utf-8", "surrogatepass") + b"\xff" + content.encode("utf-8", "surrogatepass") + b"\xff"
        for name, content in labels
    )
    for byte in text + salt.encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
