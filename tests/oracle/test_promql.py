"""Our evaluator against Prometheus' own: generated expressions over generated series, off the sample grid.

promtool is given a test that expects nonsense, and says for every expression what it got instead. RESURGAM_PROMTOOL
names another promtool (from 3.0 on nothing is left out, and every second seed drops names late);
RESURGAM_ORACLE_SEEDS (`first:count`) names other seeds.
"""

import math
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from supervisor.facts import Labels
from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import Options, evaluate
from supervisor.rules.promql.nodes import Vector
from supervisor.samples import Store
from tests.support.expressions import POINTS, STEP, Maker, make_series
from tests.support.promtool import ask, modern
from tests.support.rules import filled

CASES = 80
_FIRST, _, _COUNT = os.environ.get("RESURGAM_ORACLE_SEEDS", "0:27").partition(":")
SEEDS = range(int(_FIRST), int(_FIRST) + int(_COUNT or "1"))
_EPOCH = 705_000
"""ms; no subquery looks back before 1970, where upstream's iterators lose instants"""
OPTIONS = Options(step=STEP * 1000)
"""promtool's default step of a subquery is the test's evaluation interval"""


def same(ours: float, theirs: float) -> bool:
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def outcome(expr: str, store: Store, at: int, late: bool) -> tuple[Vector, str]:
    """Our value, or our error."""
    try:
        value = evaluate(compile_expr(expr).node, store, at, options=replace(OPTIONS, delayed_names=late))
    except EvaluationError as err:
        return [], str(err)
    assert isinstance(value, list), expr
    return value, ""


def difference(value: Vector, failed: str, theirs: dict[Labels, float], error: str) -> str:
    """What the two say differently; '' if nothing."""
    if failed.startswith("multiple matches") and not error:
        return ""  # since 3.9 ambiguity is looked for before a comparison filters; before, only in what it left
    if "unknown function" in error:
        return ""  # it came after the promtool at hand
    if failed[:40] != error[:40]:
        return f"we say {failed or value}, Prometheus says {error or theirs}"
    ours = dict(value)
    if set(ours) != set(theirs):
        return f"{value} is not {theirs}"
    wrong = [labels for labels, number in ours.items() if not same(number, theirs[labels])]
    return ", ".join(f"{labels}: {ours[labels]} is not {theirs[labels]}" for labels in wrong)


@pytest.mark.parametrize("seed", SEEDS)
def test_generated_expressions_give_what_prometheus_gives(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = make_series(rng)
    maker = Maker(rng, modern())
    questions = []
    while len(questions) < CASES:
        ms = rng.randrange(1, POINTS + 10) * STEP * 1000 + rng.choice([137, 7001, 14863])
        expr = maker.vector(rng.choice([1, 2, 2, 3]))
        if ":" in expr and ms < _EPOCH:
            ms += _EPOCH
        questions.append((expr, f"{ms}ms"))
    store = filled(data, STEP)
    late = modern() and seed % 2 == 1  # names dropped at the end
    nonempty, wrong = 0, []
    for (expr, time), (theirs, error) in zip(questions, ask(tmp_path, data, questions, STEP, late), strict=True):
        value, failed = outcome(expr, store, int(time[:-2]), late)
        said = difference(value, failed, theirs, error)
        if said:
            wrong.append(f"{expr} at {time} (seed {seed}): {said}")
        nonempty += bool(value)
    assert not wrong, "\n".join(wrong)
    assert nonempty > 20  # else the generator proves nothing
