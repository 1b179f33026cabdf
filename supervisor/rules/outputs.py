"""The series that rules themselves write: recorded ones, and `ALERTS` and `ALERTS_FOR_STATE`.

`recorded` and `about` are pure: a rule and what it gave, to (labels, value) pairs. `engine.py` and the test runner in
`lab/` put them into the store, and end with a stale marker those that a rule does not give any more. `Written` is the
engine's: it writes what changed at once, and everything again before it is forgotten.
"""

from collections.abc import Collection, Iterable
from copy import copy

from supervisor.facts import Alert, Labels, Sample
from supervisor.rules.alerts import same
from supervisor.rules.model import RecordRule
from supervisor.rules.promql.nodes import Vector
from supervisor.rules.promql.schedule import NEVER

ALERTS, ALERTS_FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"

REPEAT = 60_000
"""ms: what a rule gives is written again so often at the latest, well within the lookback"""

_SPARE = 64
"""label sets that are remembered though nothing has them now"""


class RecordError(Exception):
    """A recording rule's result cannot be kept; nothing of it is written."""


def recorded(rule: RecordRule, vector: Vector, known: dict[Labels, Labels] | None = None) -> Vector:
    """The series a recording rule gives. RecordError where two results are one series, or more than the limit.
    `known`: the label sets it gave before, by those of the results; it only saves making them anew."""
    known = {} if known is None else known
    if len(known) > 2 * len(vector) + _SPARE:
        known.clear()
    found: dict[Labels, float] = {}
    for labels, value in vector:
        key = known.get(labels)
        if key is None:
            given = {**dict(labels), "__name__": rule.name, **dict(rule.labels)}
            key = known[labels] = tuple(sorted((name, text) for name, text in given.items() if text))
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


def about_alerts(labels: Labels) -> bool:
    """Whether this series is one of those that alerting rules write."""
    return dict(labels).get("__name__") in (ALERTS, ALERTS_FOR_STATE)


def unkept(count: int, most: int) -> str:
    """What to say where the store did not take so many of the series that a rule gives."""
    return (
        f"{count} of the series it gives are not kept: all rules together may have {most}, and a label set 4 kB; "
        "let it give fewer, or set a `limit` on its group"
    )


class Written:
    """The series that one rule has in the store, with the values they have there. `every`: ms between repetitions;
    `beat`: when (ms) everything is to be written again, NEVER while there is nothing."""

    __slots__ = ("beat", "every", "values")

    def __init__(self, every: int) -> None:
        self.every = min(every, REPEAT)
        self.values: dict[Labels, float] = {}
        self.beat = NEVER

    def twin(self) -> "Written":
        """A copy of its own."""
        one = copy(self)
        one.values = dict(self.values)
        return one

    def adopt(self, vector: Vector) -> None:
        """These series stand in the store already, from an earlier life: they are repeated at the first occasion."""
        self.values.update(vector)
        if self.values:
            self.beat = 0

    def update(self, vector: Vector, at: int) -> tuple[list[Sample], list[Labels]]:
        """What brings the store to what the rule gives at `at` (ms): samples for what is new or changed, or for all of
        it where the time has come; and the series that the rule gives no more."""
        beat = self.beat <= at
        after = dict(vector)
        before, self.values = self.values, after
        samples = [
            Sample(labels, value)
            for labels, value in vector
            if beat or labels not in before or not same(before[labels], value)
        ]
        if beat or not before:
            self.beat = at + self.every
        if not after:
            self.beat = NEVER
        return samples, [labels for labels in before if labels not in after]

    def lose(self, samples: Iterable[Sample], taken: Collection[Labels]) -> list[Labels]:
        """The store took only some of these samples; the series of the others, which count as not written."""
        lost = [sample.labels for sample in samples if sample.labels not in taken]
        for labels in lost:
            self.values.pop(labels, None)
        return lost

    def shift(self, ms: int) -> None:
        """The wall clock was set by `ms`, and the store's samples with it."""
        if 0 < self.beat < NEVER:
            self.beat += ms
