"""The states of one rule's alerts: a pure function of what was, what the expression gives now, and the time.

Prometheus' own state machine (rules/alerting.go): pending until `for` is over, firing, kept firing for
`keep_firing_for`, resolved and remembered for a while. Called by `engine.py` and by the grid of `lab/`; the alerts go
into the snapshot and the journal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from supervisor.facts import Alert, AlertChange, Labels
from supervisor.rules.model import AlertRule
from supervisor.rules.promql.nodes import Vector
from supervisor.rules.templates import Around, Steps

RESOLVED_RETENTION = 900.0
"""Seconds for which a resolved alert is remembered."""
MOST_RESOLVED = 1000
"""resolved alerts of one rule that are remembered: one whose labels change at each look makes new ones for ever"""

PENDING, FIRING, RESOLVED, DROPPED = "pending", "firing", "resolved", "dropped"
"""`dropped` is only ever seen in a change: a pending alert that went away, or a rule that is no more."""

Active = dict[Labels, Alert]
"""The alerts of one rule by their label set, in the order in which they came up."""


class RuleError(Exception):
    """The rule's result cannot be turned into alerts; its alerts stay as they are."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result of the expression, and what the rule's templates made of it. `key`: the alert's label set."""

    key: Labels
    value: float
    annotations: Mapping[str, str]


Known = Mapping[Labels, Found]
"""What the last evaluation found, by the labels of the result."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """One evaluation of one rule: its alerts afterwards, and those that changed state. `error` where the rule has
    more alerts than its group allows: then all of them are dropped. `known` is for the next step of the same rule."""

    active: Active
    changes: tuple[AlertChange, ...]
    error: str = ""
    known: Known = field(default_factory=dict)


def step(
    rule: AlertRule,
    active: Mapping[Labels, Alert],
    vector: Vector,
    at: float,
    around: Around | None = None,
    known: Known | None = None,
) -> Stepped:
    """Advance a rule's alerts to `at` (unix seconds). RuleError, with nothing changed, where two results are one.
    `around`: what templates see besides the alert. `known`: the last step's; it only saves expanding anew what cannot
    read differently."""
    found, known = _named(rule, vector, around or Around(at=at, steps=Steps()), known or {})
    after: Active = {}
    changes: list[AlertChange] = []
    for key, alert in active.items():
        if key in found and alert.state != RESOLVED:
            current: Alert | None = _present(rule, alert, found.pop(key), at)
        elif key in found:
            continue  # it comes back after it was resolved: a new alert, made below
        else:
            current = _missing(rule, alert, at)
        if current is not None:
            after[key] = current
        state = current.state if current is not None else DROPPED
        if state != alert.state and alert.state != RESOLVED:
            changes.append(AlertChange(current or replace(alert, state=DROPPED, held=False), alert.state, at))
    for key, result in found.items():
        fresh = _new(rule, result, at)
        after[key] = fresh
        changes.append(AlertChange(fresh, "", at))
    if len(after) > MOST_RESOLVED:
        forgotten = [key for key, alert in after.items() if alert.state == RESOLVED][:-MOST_RESOLVED]
        for key in forgotten:
            del after[key]
    count = len([alert for alert in after.values() if alert.state != RESOLVED]) if rule.limit else 0
    if count > rule.limit:
        gone = [alert for alert in active.values() if alert.state != RESOLVED]
        changes = [AlertChange(replace(alert, state=DROPPED, held=False), alert.state, at) for alert in gone]
        return Stepped({}, tuple(changes), f"exceeded limit of {rule.limit} with {count} alerts", known)
    return Stepped(after, tuple(changes), "", known)


def _named(rule: AlertRule, vector: Vector, around: Around, known: Known) -> tuple[dict[Labels, Found], Known]:
    """The results by the label set that their alert has, and by their own."""
    fixed = not any("{{" in text for _name, text in rule.labels)
    pure = all(template.pure for _name, template in (*rule.label_templates, *rule.annotation_templates))
    by_alert: dict[Labels, Found] = {}
    by_result: dict[Labels, Found] = {}
    for labels, value in vector:
        before = known.get(labels)
        if before is not None and pure and same(before.value, value):
            item = before
        else:
            result = dict(labels)
            key = before.key if before is not None and fixed else _key(rule, result, value, around)
            annotations = {name: template.expand(result, value, around) for name, template in rule.annotation_templates}
            item = Found(key, value, annotations)
        if item.key in by_alert:
            raise RuleError("vector contains metrics with the same labelset after applying alert labels")
        by_alert[item.key] = by_result[labels] = item
    return by_alert, by_result


def _key(rule: AlertRule, result: dict[str, str], value: float, around: Around) -> Labels:
    final = {name: text for name, text in result.items() if name != "__name__"}
    for name, template in rule.label_templates:
        final[name] = template.expand(result, value, around)
        if around.steps is not None and around.steps.left <= 0 and template.parsed is not None:
            # an error's text in a label would be another alert: this one would resolve
            raise RuleError("the templates of its labels take too many steps together; ask less in them")
    final["alertname"] = rule.name
    return tuple(sorted((name, text) for name, text in final.items() if text))


def same(one: float, other: float) -> bool:
    """Whether two values are the same; NaN is NaN."""
    return one == other or (one != one and other != other)


def _new(rule: AlertRule, result: Found, at: float) -> Alert:
    alert = Alert(
        fingerprint=fingerprint(result.key),
        name=rule.name,
        state=PENDING,
        labels=dict(result.key),
        annotations=result.annotations,
        value=result.value,
        active_at=at,
        rule=rule.id,
        origin=rule.origin,
        order=rule.order,
    )
    return _aged(rule, alert, at)


def _present(rule: AlertRule, alert: Alert, result: Found, at: float) -> Alert:
    """Labels are its identity and stay; value and annotations are refreshed."""
    if same(alert.value, result.value) and alert.annotations == result.annotations and not alert.keep_since:
        return _aged(rule, alert, at)
    alert = replace(alert, value=result.value, annotations=result.annotations, keep_since=0.0)
    return _aged(rule, alert, at)


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
