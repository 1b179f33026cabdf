"""The event engine against brute force: the same transitions at the same instants as a loop that looks at every rule
every few seconds, over random scripts of samples, gaps, vanishing series and reloads."""

import random

import pytest

from supervisor.rules import alerts
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import to_ms
from tests.support.rules import Box, entry, ruleset

GRID = 5
RULES = """
groups:
- name: g
  rules:
  - {alert: Level, expr: x > 5, for: 20s}
  - {alert: AtOnce, expr: x > 7}
  - {alert: Kept, expr: y > 5, for: 10s, keep_firing_for: 45s}
  - {alert: Window, expr: "changes(x[40s]) >= 2", for: 15s}
  - {alert: Highest, expr: "max_over_time(y[1m30s]) > 7", keep_firing_for: 5s}
  - {alert: Absent, expr: absent(y), for: 30s}
  - {alert: Joined, expr: x > on (name) y unless on (name) z == 1, for: 5s}
  - {alert: Past, expr: x > 5 and x offset 35s > 5}
  - {alert: Sum, expr: sum(x) > 12}
  - {alert: Fixed, expr: "count_over_time(z[20s] @ 1300) > 1"}
  - {alert: Valued, expr: x == 9, labels: {level: "{{ $value }}"}, for: 10s}
"""


class Brute:
    """Looks at every rule at every instant of the grid, over what a box's store holds."""

    def __init__(self, box: Box) -> None:
        self.box, self.at = box, box.now
        self.active: dict[str, alerts.Active] = {}
        self.log: list[tuple[float, str, str, str]] = []

    def upto(self, end: float) -> None:
        while self.at <= end:
            for rule in self.box.engine.rules():
                value = evaluate(rule.expr.node, self.box.store, to_ms(self.at))
                stepped = alerts.step(rule, self.active.get(rule.id, {}), value, self.at)
                self.active[rule.id] = stepped.active
                self.log += [entry(change) for change in stepped.changes]
            self.at += GRID


@pytest.mark.parametrize("seed", range(10))
def test_the_same_transitions_at_the_same_instants(seed: int) -> None:
    rng = random.Random(seed)
    box = Box(RULES)
    brute = Brute(box)
    box.put(x__a=1, x__b=2, y__a=1, z__a=0)
    brute.upto(box.now)
    for _ in range(60):
        quiet = rng.choice([1, 1, 1, 2, 3, 9, 70]) * GRID
        brute.upto(box.now + quiet - GRID)
        box.wait(quiet, closed=False)
        kind = rng.random()
        if kind < 0.1:
            box.gone(name=rng.choice(["a", "b"]))
        elif kind < 0.2:
            assert box.engine.load(ruleset(RULES), box.now) == ()
            box.settle()
        else:
            names = [f"{metric}__{name}" for metric in "xyz" for name in "ab" if rng.random() < 0.5]
            box.put(**{name: float(rng.randrange(10)) for name in names})
        brute.upto(box.now)
    assert sorted(box.log) == sorted(brute.log)
    assert {line[1].partition("/")[0] for line in brute.log} >= {"Level", "Window", "Joined", "Past"}
