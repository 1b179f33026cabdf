"""What rules cost: microseconds per evaluation, fifty rules over 600 series at 1 Hz, and 100 against 10,000 rules.

The rule engine and its store run on virtual instants, driven as the core drives them; what is counted is the processor
time of this process inside them (storing the samples included). No clock waits, so a busy machine hardly matters.

    python -m tests.bench.rules_cost
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterable

from supervisor.facts import Sample, labels
from supervisor.rules import RuleEngine
from supervisor.rules.promql.parse import compile_expr
from supervisor.samples import Store, exact_name
from tests.bench.rules_box import COLLECTORS, FIFTY, readings
from tests.support.rules import ruleset

START = 1_800_000_000.0
ONE_BY_ONE = (
    ("instant", "x > 99"),
    ("instant", "x / y > 8"),
    ("instant", "x > 99 unless on (n) y == 0"),
    ("range", "rate(c[5m]) > 9"),
    ("range", "increase(c[10m]) > 9000"),
    ("range", "changes(x[5m]) > 500"),
    ("range", "max_over_time(x[5m]) > 99"),
    ("range", "avg_over_time(x[5m]) > 90"),
    ("range", "predict_linear(x[5m], 3600) > 1e6"),
    ("range", "max_over_time(rate(c[1m])[5m:1m]) > 9"),
    ("aggregation", "sum(x) > 1e6"),
    ("aggregation", "sum by (group) (x) > 1e6"),
    ("aggregation", "sum by (group) (rate(c[5m])) > 1e6"),
    ("aggregation", "topk(3, x) > 1e6"),
    ("aggregation", "quantile by (group) (0.9, x) > 1e6"),
)
"""each over 600 series (`x`, `y` gauges, `c` a counter) in 30 groups"""

WIDE = (
    (16, "c > {}"),
    (5, "sum by (group) (c) > {}"),
    (4, "count(c > {}) > 500"),
    (3, "c > {} unless c < 100"),
    (1, "time() - c < {}"),
    (8, "rate(c[5m]) > {}"),
    (5, "sum by (group) (rate(c[1m])) > {}"),
    (4, "increase(c[10m]) > {}"),
    (1, "changes(c[5m]) > {}"),
    (1, "max_over_time(c[5m]) > {}"),
    (1, "delta(c[5m]) > {}"),
    (1, "predict_linear(c[5m], 3600) > {}"),
)
"""The kinds of the fifty, were each of them about all 600 series. How many, and which."""


class Driven:
    """A rule engine on virtual instants. `used`: seconds of processor time inside it and its store."""

    def __init__(self, *texts: str) -> None:
        self.store = Store()
        self.engine = RuleEngine(self.store)
        began = time.process_time()
        self.engine.load(ruleset(*texts), START)
        self.loading = time.process_time() - began
        self.used = 0.0
        self.stored = 0.0
        """the part of `used` that went into storing"""
        self.evaluated = 0
        self.samples = 0

    def remember(self, at: float, samples: Iterable[Sample]) -> None:
        """A past reading: nobody looks at it, nothing is counted."""
        self.store.append(at, samples)

    def deliver(self, collector: str, at: float, samples: list[Sample]) -> None:
        """A collector's readings come in and what they wake is looked at, as in the core's `take`."""
        began = time.process_time()
        touched = self.store.append(at, samples)
        self.stored += time.process_time() - began
        self.engine.arrived(collector, touched, at)
        self._look(at)
        self.used += time.process_time() - began
        self.samples += len(samples)

    def until(self, end: float) -> None:
        """Let time go by: what is due by itself is looked at in its instant."""
        began = time.process_time()
        due = self.engine.due()
        while due is not None and due < end:
            self._look(due)
            due = self.engine.due()
        self.used += time.process_time() - began

    def _look(self, at: float) -> None:
        due = self.engine.due()
        if due is not None and due <= at:
            self.evaluated += self.engine.evaluate(at).evaluated

    def second(self, at: float) -> None:
        """One second of the box: four collectors, 50 ms apart, then whatever its timers bring."""
        for place, (collector, samples) in enumerate(readings(at).items()):
            instant = at + place * 0.05
            self.until(instant)
            self.deliver(collector, instant, samples)
        self.until(at + 1)
        self.store.drain()

    def run(self, warm: int, seconds: int) -> float:
        """Processor seconds per second of the box, after `warm` of them."""
        for second in range(warm):
            self.second(START + second)
        before, self.evaluated, self.samples, self.stored = self.used, 0, 0, 0.0
        for second in range(warm, warm + seconds):
            self.second(START + second)
        return (self.used - before) / seconds


def one_by_one(rounds: int) -> None:
    """Microseconds per evaluation of one rule: every series has just got a sample, windows are full."""
    print("one rule over 600 series, windows full at 1 Hz, every series with a new sample: µs per evaluation")
    for kind, expr in ONE_BY_ONE:
        driven = Driven(f"groups: [{{name: g, rules: [{{alert: A, expr: {expr!r}}}]}}]")
        wanted = names(expr)
        for second in range(-600, 0):
            driven.remember(START + second, table(second, wanted))
        spent = []
        for second in range(rounds + 3):
            at = START + second
            touched = driven.store.append(at, table(second, wanted))
            began = time.process_time()
            driven.engine.arrived("box", touched, at)
            done = driven.engine.evaluate(at)
            spent.append(time.process_time() - began)
            assert done.evaluated == 1, done
            assert not driven.engine.health()[0].text, driven.engine.health()
        print(f"{kind:12} {expr:42} {statistics.median(spent[3:]) * 1e6:10,.0f}")


def names(expr: str) -> list[str]:
    """The metrics that it reads."""
    return list(dict.fromkeys(exact_name(selector.matchers) or "" for selector, _span in compile_expr(expr).selectors))


def table(second: int, wanted: list[str]) -> list[Sample]:
    """600 samples of each metric wanted."""
    found = []
    for name in wanted:
        for number in range(600):
            value = (
                float((second + 600) * (1 + number % 7))
                if name == "c"
                else number % 100 + math.sin(second / 9 + number)
            )
            found.append(Sample(labels(name, n=str(number), group=str(number % 30)), value))
    return found


def fifty(seconds: int) -> None:
    """The issue's goal: fifty mixed rules over 600 series at 1 Hz."""
    driven = Driven(FIFTY)
    for second in range(-3660, 0):
        for samples in readings(START + second).values():
            driven.remember(START + second, samples)
    share = driven.run(30, seconds)
    firing = len([alert for alert in driven.engine.active() if alert.state == "firing"])
    assert firing == 3, driven.engine.active()
    assert not any(health.text for health in driven.engine.health()), driven.engine.health()
    print(
        f"fifty mixed rules, 600 series at 1 Hz of {len(COLLECTORS)} collectors, windows full, {firing} alerts firing:"
    )
    print(f"  {share * 100:.2f} % of one core ({driven.evaluated / seconds:.0f} evaluations a second)")
    print(f"  {driven.stored / seconds * 100:.2f} % of it to store the samples")


def wide(seconds: int) -> None:
    """The same goal at its worst: one counter with 600 series, and fifty rules that each look at all of them."""
    exprs = [text.format(f"{number + 1}e9") for count, text in WIDE for number in range(count)]
    rules = "".join(f"  - {{alert: A{number}, expr: {expr!r}, for: 1m}}\n" for number, expr in enumerate(exprs))
    driven = Driven("groups:\n- name: wide\n  rules:\n" + rules)
    for second in range(-600, 0):
        driven.remember(START + second, table(second, ["c"]))
    for second in range(seconds + 3):
        if second == 3:
            driven.used, driven.evaluated = 0.0, 0
        driven.deliver("box", START + second, table(second, ["c"]))
        driven.until(START + second + 1)
    assert driven.evaluated == seconds * len(exprs), driven.evaluated
    print(f"{len(exprs)} rules of which each looks at all 600 series, at 1 Hz:")
    print(f"  {driven.used / seconds * 100:.2f} % of one core ({driven.evaluated / seconds:.0f} evaluations a second)")


def many(seconds: int) -> None:
    """What rules cost that concern nothing here: 100 rules, and the same 100 among 10,000."""
    mine = [FIFTY, FIFTY.replace("alert: ", "alert: Again")]
    cost = {}
    for count, others in ((100, 0), (10_000, 9_900)):
        driven = Driven(*mine, strangers(others))
        for second in range(-660, 0):
            for samples in readings(START + second).values():
                driven.remember(START + second, samples)
        cost[count] = driven.run(90, seconds) * seconds / driven.samples * 1e6
        print(
            f"{count:6,} rules loaded, 100 of them match: {cost[count]:.1f} µs per sample "
            f"({driven.evaluated / seconds:.0f} evaluations a second; loaded in {driven.loading:.2f} s)"
        )
    print(f"  ratio {cost[10_000] / cost[100]:.2f}")


def strangers(count: int) -> str:
    """Rules that match no series here: half ask for other metrics, half for the same ones of another host."""
    rules = []
    for number in range(count):
        name = "container_memory_working_set_bytes" if number % 2 else f"other_{number}_bytes"
        window = f'rate({name.replace("_bytes", "_total")}{{host="other-{number}"}}[5m]) > 1'
        expr = window if number % 100 < 42 else f'{name}{{host="other-{number}"}} > 1'
        rules.append(f"  - {{alert: Other{number}, expr: {expr!r}, for: 1m}}\n")
    return "groups:\n- name: others\n  rules:\n" + "".join(rules) if rules else "groups: []"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=120, help="of the box, for the fifty rules")
    parser.add_argument("--rounds", type=int, default=15, help="evaluations of each single rule")
    arguments = parser.parse_args()
    one_by_one(arguments.rounds)
    fifty(arguments.seconds)
    wide(max(15, arguments.seconds // 8))
    many(max(30, arguments.seconds // 4))


if __name__ == "__main__":
    main()
