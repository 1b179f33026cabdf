"""Our alert states against Prometheus' own: pending, firing, kept firing and gone, rule by rule over generated series.

Groups of alerting and recording rules that read each other's series and ALERTS, on both sides evaluated at the same
instants, off the sample grid. promtool shows pending alerts only through the series ALERTS, so that is what is asked
for, and what was recorded.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from supervisor import rules
from supervisor.facts import Labels
from supervisor.lab.grid import Grid, Group
from supervisor.lab.series import Given, Listed, parse_metric, parse_values
from supervisor.rules.promql.evaluate import Options
from supervisor.samples import to_ms
from tests.support.brute import seeds
from tests.support.promtool import answers, ask_lines, promtool

EVERY = 7.001
STEP = 20
UNTIL = 1200.0
ASKED = ("ALERTS", "ALERTS_FOR_STATE", '{__name__=~"rec.*"}')

EXPRS = (
    "x > 5", "x > 5 and y > 2", "x / y > 2", "increase(c[2m]) > 15", "changes(x[90s]) >= 3", "absent(y)",
    "max_over_time(x[1m]) > 8", "sum by (name) (x) > 7", "x unless on (name) y > 5", "avg_over_time(x[1m]) > 6",
)  # fmt: skip
RECORDS = ("sum by (name) (x)", "x > 4", "max_over_time(y[1m])", "rate(c[2m])", "avg(x) or sum(y)", "count(x > 5)")
OVER_RECORDS = ("rec{n} > 6", "absent(rec{n})", "rec{n} offset 14s > 5", "changes(rec{n}[1m]) > 2", "sum(rec{n}) > 9")
OVER_ALERTS = (
    'sum by (name) (ALERTS{{alertname="R{n}", alertstate="firing"}})',
    'count(ALERTS{{alertname="R{n}"}}) > 1',
    'time() - ALERTS_FOR_STATE{{alertname="R{n}"}} > 60',
    'absent(ALERTS{{alertname="R{n}"}})',
    'sum by (name) (max_over_time(ALERTS{{alertname="R{n}", alertstate="firing"}}[1m]))',
    'count by (name) (ALERTS{{alertstate="pending"}}) > 2',
)


def make_group(rng: random.Random, number: int, count: int) -> str:
    """One group; a rule reads what rules wrote before it, and now and then after it: at the evaluation before."""
    text = f"- name: g{number}\n  rules:\n"
    for index in range(number * count, number * count + count):
        kind = rng.random()
        other = rng.randrange(number * count + count)
        if kind < 0.25:
            text += f"  - record: rec{index}\n    expr: {rng.choice(RECORDS)}\n"
            text += "    labels: {made: here}\n" if rng.random() < 0.3 else ""
            continue
        pool = EXPRS if kind < 0.6 or not index else OVER_RECORDS if kind < 0.8 else OVER_ALERTS
        text += f"  - alert: R{index}\n    expr: '{rng.choice(pool).format(n=other)}'\n"
        if rng.random() < 0.7:
            text += f"    for: {rng.choice(['10s', '30s', '1m', '2m'])}\n"
        if rng.random() < 0.5:
            text += f"    keep_firing_for: {rng.choice(['15s', '45s', '2m'])}\n"
        if rng.random() < 0.3:
            text += '    labels: {severity: critical, about: "{{ $labels.name }}!"}\n'
    return text


def make_series(rng: random.Random) -> dict[str, str]:
    found = {}
    for name in ("oracle", "letta"):
        for metric in ("x", "y"):
            level, words = rng.randrange(10), []
            for _ in range(int(UNTIL / STEP)):
                level = rng.randrange(10) if rng.random() < 0.3 else level
                words.append(rng.choice(["_", "stale"]) if rng.random() < 0.08 else str(level))
            found[f'{metric}{{name="{name}"}}'] = " ".join(words)
        value, words = 90_000, []
        for _ in range(int(UNTIL / STEP)):
            value += rng.choice([0, 0, 0, 4, 9])
            words.append(str(value))
        found[f'c{{name="{name}"}}'] = " ".join(words)
    return found


def ours(groups: Sequence[Group], data: dict[str, str], questions: list[tuple[str, int]]) -> list[dict[Labels, float]]:
    """What each (expression, ms) gives, with the rules evaluated every EVERY seconds."""
    listed = tuple(Listed.of(parse_metric(name), parse_values(values)) for name, values in data.items())
    grid = Grid(groups, Given(STEP, listed).rows(), Options())
    found, ms = [], 0
    for expr, time in questions:
        while ms <= time:
            assert grid.step(ms) == []
            ms += to_ms(EVERY)
        grid.load(time)
        found.append(dict(grid.ask(expr, time)))
    return found


@pytest.mark.parametrize("seed", seeds(12))
def test_states_are_those_of_prometheus(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    texts = ["groups:\n" + make_group(rng, number, 8) for number in range(2)]
    data = make_series(rng)
    times = sorted(to_ms(rng.uniform(0, UNTIL)) for _ in range(25))
    questions = [(expr, time) for time in times for expr in ASKED]
    for number, text in enumerate(texts):
        (tmp_path / f"r{number}.yaml").write_text(text)
    lines = ["rule_files: [r0.yaml, r1.yaml]", "evaluation_interval: 7001ms", "group_eval_order: [g0, g1]"]
    lines += ["tests:", f"- interval: {STEP}s", *ask_lines(data, [(expr, f"{time}ms") for expr, time in questions])]
    (tmp_path / "t.yaml").write_text("\n".join(lines))
    theirs = answers(promtool("test", "rules", "t.yaml", cwd=tmp_path))
    groups = [Group(f"g{number}", rules.parse_rules(text, "r.yaml").rules) for number, text in enumerate(texts)]
    seen: dict[str, None] = {}
    for (expr, time), mine, (want, error) in zip(questions, ours(groups, data, questions), theirs, strict=True):
        assert not error
        assert set(mine) == set(want), f"{expr} at {time} ms (seed {seed})"
        assert mine == pytest.approx(want, rel=1e-12), f"{expr} at {time} ms (seed {seed})"
        seen.update(dict.fromkeys(dict(labels).get("alertstate", "") for labels in mine))
    assert {"pending", "firing"} & set(seen)  # else it proves nothing
