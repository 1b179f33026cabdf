"""Our evaluator against Prometheus' own: generated expressions over generated series, off the sample grid.

promtool is given a test that expects nonsense, and says for every expression what it got instead.
"""

import math
import random
from pathlib import Path

import pytest

from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import Store
from tests.support.promtool import ask
from tests.support.rules import filled

STEP = 15
POINTS = 60


def make_series(rng: random.Random) -> dict[str, str]:
    """Counters with resets (from a high base, so that the zero cap, which changed in Prometheus 3, is not met), gauges
    with gaps, stale markers, NaN and infinities, and series that end."""
    found: dict[str, str] = {}
    for name in ("oracle", "letta", "qdrant"):
        for job in ("a", "b"):
            if rng.random() < 0.15:
                continue
            value, words = rng.randrange(50_000, 90_000), []
            for _ in range(POINTS):
                value = value + rng.choice([0, 0, 1, 7, 250]) if rng.random() > 0.03 else 20_000
                words.append(str(value))
            found[f'c{{name="{name}",job="{job}"}}'] = " ".join(words)
            level, words = rng.uniform(-50, 50), []
            for _ in range(rng.choice([POINTS, POINTS, 30])):
                level += rng.choice([0, 0, rng.uniform(-9, 9)])
                odd = rng.random()
                word = "_" if odd < 0.08 else "stale" if odd < 0.12 else "NaN" if odd < 0.13 else repr(round(level, 3))
                words.append("+Inf" if 0.13 < odd < 0.135 else word)
            found[f'g{{name="{name}",job="{job}"}}'] = " ".join(words)
        found[f'limit{{name="{name}"}}'] = " ".join([repr(rng.uniform(1, 99))] * POINTS)
        found[f'other{{name="{name}",kind="k"}}'] = " ".join(str(rng.randrange(-3, 3)) for _ in range(POINTS))
    return found


class Maker:
    """Expressions of the subset, by size."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def pick(self, *words: str) -> str:
        return self.rng.choice(words)

    def selector(self, metric: str = "") -> str:
        metric = metric or self.pick("c", "g", "limit", "other", "none")
        matcher = self.pick(
            "", "", "", '{name="oracle"}', '{name!="oracle"}', '{name=~"o.*|l.+"}', '{job!~"a"}', '{job=""}'
        )
        return metric + matcher

    def moved(self) -> str:
        return self.pick("", "", "", "", " offset 1m", " offset 47s", " offset -30s", " @ 400.5", " @ end()")

    def window(self, counter: bool) -> str:
        span = self.pick("[1m]", "[2m30s]", "[5m]", "[40s]", "[7m]")
        return f"{self.selector('c' if counter else self.pick('g', 'other', 'c'))}{span}{self.moved()}"

    def ranged(self) -> str:
        if self.rng.random() < 0.4:
            return f"{self.pick('rate', 'increase', 'irate', 'resets')}({self.window(True)})"
        if self.rng.random() < 0.15:
            return f"predict_linear({self.window(False)}, {self.pick('600', '-30')})"
        name = self.pick(
            "delta", "idelta", "deriv", "changes", "min_over_time", "max_over_time", "avg_over_time", "sum_over_time",
            "count_over_time", "last_over_time", "absent_over_time", "present_over_time",
        )  # fmt: skip
        return f"{name}({self.window(False)})"

    def vector(self, size: int) -> str:
        kind = self.rng.random()
        if size <= 0 or kind < 0.15:
            return self.selector() + self.moved()
        if kind < 0.35:
            return self.ranged()
        inner = self.vector(size - 1)
        if kind < 0.5:
            grouping = self.pick("", " by (name)", " by (job)", " without (job)", " by (name, nothing)", " without ()")
            return f"{self.pick('sum', 'min', 'max', 'avg', 'count', 'group')}{grouping} ({inner})"
        if kind < 0.6:
            call = self.pick(
                "abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10", "absent", "timestamp"
            )
            return f"{call}({inner})"
        if kind < 0.64:
            return self.pick(
                f"clamp({inner}, -3, 20)", f"clamp_min({inner}, 5)", f"clamp_max({inner}, 5)", f"round({inner}, 0.5)"
            )
        if kind < 0.67:
            return f"-({inner})"
        if kind < 0.8:
            op = self.pick(
                "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "> bool", "<= bool", "== bool"
            )
            scalar = self.scalar()
            return self.pick(f"({inner}) {op} {scalar}", f"{scalar} {op} ({inner})")
        other = self.vector(size - 1)
        matching = self.pick("", "", " on (name)", " ignoring (job)", " on (name, job)", " ignoring (kind, job)")
        if kind < 0.9:
            return f"({inner}) {self.pick('and', 'or', 'unless')}{matching} ({other})"
        # filters can differ in 2.42 where one side matches twice (there the filter came first): plain arithmetic
        op = self.pick("+", "-", "*", "/", "%", "^")
        group = self.pick("", "", " group_left ()", " group_left (kind)", " group_right ()") if matching else ""
        return f"({inner}) {op}{matching}{group} ({other})"

    def scalar(self) -> str:
        return self.pick(
            "0", "1.5", "-2", "20", "time()", 'scalar(limit{name="oracle"})', "(1 / 0)", "1e300", "(3 % 2)"
        )


def same(ours: float, theirs: float) -> bool:
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def outcome(expr: str, store: Store, at: int) -> tuple[object, str]:
    """Our value, or our error."""
    try:
        return evaluate(compile_expr(expr).node, store, at), ""
    except EvaluationError as err:
        return None, str(err)


@pytest.mark.parametrize("seed", range(16))
def test_generated_expressions_give_what_prometheus_gives(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = make_series(rng)
    maker = Maker(rng)
    questions = []
    while len(questions) < 80:
        ms = rng.randrange(1, POINTS + 10) * STEP * 1000 + rng.choice([137, 7001, 14863])
        questions.append((maker.vector(rng.choice([1, 2, 2, 3])), f"{ms}ms"))
    store = filled(data, STEP)
    nonempty = 0
    for (expr, time), (theirs, error) in zip(questions, ask(tmp_path, data, questions, STEP), strict=True):
        where = f"{expr} at {time} (seed {seed})"
        value, failed = outcome(expr, store, int(time[:-2]))
        assert failed[:40] == error[:40], f"{where}: we say {failed or value}, Prometheus says {error or theirs}"
        if failed:
            continue
        assert isinstance(value, list), where
        ours = dict(value)
        assert set(ours) == set(theirs), where
        for labels, number in ours.items():
            assert same(number, theirs[labels]), f"{where}: {labels}: {number} is not {theirs[labels]}"
        nonempty += bool(ours)
    assert nonempty > 25  # else the generator proves nothing
