"""The series that rules themselves write: recorded ones, and `ALERTS` and `ALERTS_FOR_STATE`.

Pure: a rule and what it gave, to (labels, value) pairs. `engine.py` and the test runner in `lab/` put them into the
store, and end with a stale marker those that a rule does not give any more.
"""

from collections.abc import Iterable

from supervisor.facts import Alert, Labels
from supervisor.rules.model import RecordRule
from supervisor.rules.promql.nodes import Vector

ALERTS, ALERTS_FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"


class RecordError(Exception):
    """A recording rule's result cannot be kept; nothing of it is written."""


def recorded(rule: RecordRule, vector: Vector) -> Vector:
    """The series a recording rule gives. RecordError where two results are one series, or more than the limit."""
    found: dict[Labels, float] = {}
    for labels, value in vector:
        given = {**dict(labels), "__name__": rule.name, **dict(rule.labels)}
        key = tuple(sorted((name, text) for name, text in given.items() if text))
        if key in found:
            raise RecordError("vector contains metrics with the same labelset after applying rule labels")
        found[key] = value
    if rule.limit and len(found) > rule.limit:
        raise RecordError(f"exceeded limit of {rule.limit} with {len(found)} series")
    return list(found.items())


def about(alerts: Iterable[Alert]) -> Vector:
    """What Prometheus writes about pending and firing alerts: that they are, and since when they are active."""
    found: Vector = []
    for alert in alerts:
        if alert.state not in ("pending", "firing"):
            continue
        bare = {name: text for name, text in alert.labels.items() if text}
        found.append((tuple(sorted({**bare, "__name__": ALERTS, "alertstate": alert.state}.items())), 1.0))
        found.append((tuple(sorted({**bare, "__name__": ALERTS_FOR_STATE}.items())), float(int(alert.active_at))))
    return found
