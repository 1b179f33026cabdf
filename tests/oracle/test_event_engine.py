"""The event engine against brute force, over random scripts of readings, vanishing series, reloads, restarts and holes.

Brute force (`tests/support/brute.py`) looks at every rule at every instant at which anything could differ. Recording
rules, rules about alerts, offsets and `query_offset` are among the rules. Seeds are fixed;
`RESURGAM_ORACLE_SEEDS=first:count` tries others.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from supervisor.facts import Labels, Sample, labels
from supervisor.rules import RuleEngine
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import to_ms
from tests.support.brute import Brute, differences, seeds, timelines
from tests.support.rules import Box, ruleset

RULES = """
groups:
- name: plain
  rules:
  - {alert: Level, expr: x > 5, for: 22s}
  - {alert: AtOnce, expr: x > 7}
  - {alert: Kept, expr: y > 5, for: 11s, keep_firing_for: 47s}
  - {alert: Window, expr: "changes(x[42s]) >= 2", for: 13s}
  - {alert: Highest, expr: "max_over_time(y[1m31s]) > 7", keep_firing_for: 6s}
  - {alert: Absent, expr: absent(y), for: 33s}
  - {alert: Joined, expr: x > on (name) y unless on (name) z == 1, for: 6s}
  - {alert: Past, expr: x > 5 and x offset 36s > 5}
  - {alert: Sum, expr: sum(x) > 12}
  - {alert: Fixed, expr: "count_over_time(z[20s] @ 1030) > 1"}
  - {alert: Valued, expr: x == 9, labels: {level: "{{ $value }}"}, for: 12s}
- name: chain
  interval: 20s
  rules:
  - {alert: Chained, expr: hot_sum > 9, for: 12s}
  - {record: hot_sum, expr: sum by (kind) (hot), labels: {made: here}}
  - {record: hot, expr: x > 4, labels: {kind: x}}
  - {alert: NoneHot, expr: absent(hot), for: 8s}
- name: about
  rules:
  - {record: firing, expr: 'count by (alertname) (ALERTS{alertstate="firing", alertname=~"AtOnce|Kept|Sum"})'}
  - {alert: Storm, expr: count(firing) >= 2, for: 7s}
  - {alert: LongPending, expr: 'ALERTS{alertstate="pending", alertname="Level"} == 1', for: 9s}
  - {alert: Since, expr: 'ALERTS_FOR_STATE{alertname="Kept"} > 1060'}
- name: late
  query_offset: 7s
  rules:
  - {alert: Late, expr: x > 6, for: 5s}
  - {record: late_y, expr: y > 3}
  - {alert: LateChain, expr: "late_y > 5 and changes(late_y[32s]) >= 0"}
"""
OVER_RECORDED = """
- name: windows over recorded series
  rules:
  - {alert: WasHot, expr: "max_over_time(hot_sum[44s]) > 12"}
  - {alert: Flaps, expr: 'changes(ALERTS_FOR_STATE{alertname="AtOnce"}[2m1s]) >= 1'}
"""
SEEDS = seeds(6)
QUIETS = (1, 2, 3, 5, 5, 8, 13, 21, 47, 330)
NAMES = [(metric, name) for metric in "xyz" for name in "ab"]


@dataclass(frozen=True)
class Step:
    """After `quiet` seconds: `gone` ends a name's series, else readings (series -> value)."""

    quiet: int
    readings: tuple[tuple[str, str, float], ...] = ()
    gone: str = ""
    reload: bool = False

    @property
    def samples(self) -> list[Sample]:
        return [Sample(labels(metric, name=name), value) for metric, name, value in self.readings]


def script(seed: int, length: int, vanish: bool = True, quiets: tuple[int, ...] = QUIETS) -> Iterator[Step]:
    rng = random.Random(seed)
    for _ in range(length):
        quiet = rng.choice(quiets)
        kind = rng.random()
        if kind < 0.08 and vanish:
            yield Step(quiet, gone=rng.choice("ab"))
        elif kind < 0.16:
            yield Step(quiet, reload=True)
        else:
            chosen = [pair for pair in NAMES if rng.random() < 0.5]
            yield Step(quiet, tuple((*pair, float(rng.randrange(11))) for pair in chosen))


def full(seed: int) -> list[Sample]:
    rng = random.Random(seed)
    return [Sample(labels(metric, name=name), float(rng.randrange(11))) for metric, name in NAMES]


class Pair:
    """The engine and brute force on one script."""

    def __init__(self, text: str, seed: int) -> None:
        assert not any(health.text for health in ruleset(text).health)
        self.text = text
        self.remembered: list[tuple[Labels, int, float]] = []
        self.box = Box(text)
        self.box.store.keep(1e6)  # what `@` looks at
        self.brute = Brute(ruleset(text), self.box.now)
        self.deliver(full(seed))

    def deliver(self, samples: list[Sample]) -> None:
        box = self.box
        self.brute.put(box.now, samples)
        box.engine.arrived("c", box.store.append(box.now, samples), box.now)
        box.settle()
        self.brute.upto(box.now)

    def play(self, step: Step) -> None:
        box, brute = self.box, self.brute
        brute.upto(box.now + step.quiet, closed=False)
        box.wait(step.quiet, closed=False)
        if step.gone:
            brute.gone(box.now, {"name": step.gone})
            box.gone(name=step.gone)
        elif step.reload:
            assert box.engine.load(ruleset(self.text), box.now) == ()
            box.store.keep(1e6)
            box.settle()
        if not step.gone:
            self.deliver(step.samples)
        brute.upto(box.now)

    def rebirth(self, away: float) -> None:
        """The process dies; `away` seconds later another one begins."""
        old = self.box
        self.old: RuleEngine = old.engine
        self.box = Box(self.text, start=old.now + away)
        self.box.store.keep(1e6)
        self.remembered += old.store.drain()
        self.box.store.restore(self.remembered)
        self.box.changes = old.changes
        self.box.note(self.box.engine.restore(old.engine.active(), self.box.now, away))

    def differences(self) -> list[str]:
        return differences(timelines(self.box.changes), self.brute.timelines())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_transitions_at_the_same_instants(seed: int) -> None:
    pair = Pair(RULES + OVER_RECORDED, seed)
    for step in script(seed, 25):
        pair.play(step)
    assert pair.differences() == []


def test_the_scripts_reach_every_kind_of_rule() -> None:
    pair = Pair(RULES, 3)
    for step in script(3, 60):
        pair.box.wait(step.quiet)
        pair.box.put(**{f"{metric}__{name}": value for metric, name, value in step.readings})
    seen = {change.alert.name for change in pair.box.changes if change.alert.state == "firing"}
    assert seen >= {"Level", "Kept", "Window", "Joined", "Past", "Chained", "NoneHot", "Storm", "Late", "LateChain"}


@pytest.mark.parametrize("seed", SEEDS[:4])
@pytest.mark.parametrize("away", [0.0, 4.0, 77.0, 4000.0])
def test_a_restart_is_no_restart_and_a_hole_is_a_hole(seed: int, away: float) -> None:
    """Without a gap nothing later differs; with one the result is that of a Prometheus that did not look in it, and
    in which that time did not count."""
    pair = Pair(RULES, seed)
    for index, step in enumerate(script(seed, 12, vanish=False)):
        if index in (5, 8):
            pair.brute.upto(pair.box.now + step.quiet, closed=False)
            pair.box.wait(step.quiet, closed=False)
            if away:
                pair.brute.upto(pair.box.now)
                pair.box.wait(0)
            pair.rebirth(away)
            if away:
                pair.brute.sleep(pair.box.now)
            assert [alert.state for alert in pair.box.engine.active()] == [alert.state for alert in pair.old.active()]
            pair.deliver(full(seed + index))
        else:
            pair.play(step)
    assert pair.differences() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_transaction_in_two_parts_differs_only_while_it_settles(seed: int) -> None:
    # Readings come at multiples of 11 s, and every duration leaves 3 (so does the lookback): no deadline, window or
    # lookback ends while readings come in. There a dip is a dip. And no rule asks at which absolute instant one came.
    text = re.sub(r"\b(\d+)s\b", lambda found: f"{int(found[1]) + (3 - int(found[1])) % 11}s", RULES)
    text = "".join(line for line in text.splitlines(keepends=True) if "Fixed" not in line and "Since" not in line)
    whole, parts = Box(text), Box(text)
    rng, at = random.Random(seed), whole.now
    quiets = (11, 11, 22, 33, 66, 341)
    for step in [Step(0, tuple((*pair, 9.0) for pair in NAMES)), *script(seed, 25, vanish=False, quiets=quiets)]:
        late = rng.choice([0.05, 0.1, 0.2])
        at += step.quiet
        for box in (whole, parts):
            box.wait(at - box.now, closed=False)
        assert whole.states() == parts.states()
        for box, wait in ((whole, 0.0), (parts, late)):
            give(box, "one", [sample for sample in step.samples if dict(sample.labels)["__name__"] == "x"])
            box.wait(wait)
            give(box, "two", [sample for sample in step.samples if dict(sample.labels)["__name__"] != "x"])
    whole.wait(1)
    parts.wait(1)
    assert whole.states() == parts.states()
    assert len(whole.changes) > 20
    assert sorted(line[1:] for line in whole.log) == sorted(line[1:] for line in parts.log)


def give(box: Box, collector: str, samples: list[Sample]) -> None:
    if samples:
        box.engine.arrived(collector, box.store.append(box.now, samples), box.now)
        box.settle()


FLOWING = {
    "time() - seen > 60": "seen 1000",
    "increase(n[1m]) > 3.9": "n 0 1 2 9 9 9",
    "rate(n[1m]) < 0.02": "n 0 3 6 9 9 9 9 9 9",
    "predict_linear(free[2m], 120) < 0": "free 100 90 80 70 60 50 40 30 20",
    "time() - timestamp(v) > 45": "v 100 90 80 70",
    "hour() > 0": "seen 1000",
}


@pytest.mark.parametrize("expr", FLOWING)
@pytest.mark.parametrize("interval", [10, 15])
def test_no_evaluation_is_later_than_that_of_a_prometheus(expr: str, interval: int) -> None:
    """Wherever a Prometheus with the group's interval puts its grid: what is true throughout an interval is seen in it,
    and so is what is false throughout."""
    name, *values = FLOWING[expr].split()
    text = f"groups:\n- {{name: g, interval: {interval}s, rules: [{{alert: A, expr: {expr!r}}}]}}\n"
    box = Box(text, start=3000.0)
    node = box.engine.rules()[0].expr.node
    truth: list[bool] = []
    firing: list[bool] = []
    for second in range(900):
        if second % 20 == 0 and second // 20 < len(values):
            box.put(**{name: float(values[second // 20])})
        box.wait(1, closed=False)
        truth.append(bool(evaluate(node, box.store, to_ms(box.now))))
        firing.append(bool(box.states()))
    assert True in truth
    assert False in truth
    for second in range(interval + 1, 900):
        seen = truth[second - interval - 1 : second + 1]
        if all(seen) or not any(seen):
            assert firing[second] == seen[0], f"at second {second}"
