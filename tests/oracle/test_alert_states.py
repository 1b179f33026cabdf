"""Our alert states against Prometheus' own: pending, firing, kept firing and gone, rule by rule over generated series.

Both sides evaluate at the same instants, off the sample grid. promtool shows pending alerts only through the series
ALERTS, so that is what is asked for.
"""

import random
from pathlib import Path

import pytest

from supervisor.rules import alerts
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import to_ms
from tests.support.promtool import answers, ask_lines, promtool
from tests.support.rules import filled, ruleset

EVERY = 7.001
STEP = 20
UNTIL = 1200.0


def make_rules(rng: random.Random) -> str:
    exprs = (
        "x > 5", "x > 5 and y > 2", "x / y > 2", "increase(c[2m]) > 15", "changes(x[90s]) >= 3", "absent(y)",
        "max_over_time(x[1m]) > 8", "sum by (name) (x) > 7", "x unless on (name) y > 5", "avg_over_time(x[1m]) > 6",
    )  # fmt: skip
    text = "groups:\n- name: g\n  rules:\n"
    for index in range(8):
        text += f"  - alert: R{index}\n    expr: {rng.choice(exprs)}\n"
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


def ours(text: str, data: dict[str, str], times: list[float]) -> list[dict]:
    """The open alerts (labels with alertstate -> 1) as they stood at each of `times`, evaluated every EVERY seconds."""
    store = filled(data, STEP)
    states = [(rule, {}) for rule in ruleset(text).rules]
    shown, at = [], 0.0
    for time in sorted(times):
        while at <= time:
            for index, (rule, active) in enumerate(states):
                vector = evaluate(rule.expr.node, store, to_ms(at))
                states[index] = (rule, alerts.step(rule, active, vector, at).active)
            at = round(at + EVERY, 3)
        shown.append({
            tuple(sorted({**alert.labels, "alertstate": alert.state, "__name__": "ALERTS"}.items())): 1.0
            for _rule, active in states
            for alert in active.values()
            if alert.state != "resolved"
        })  # fmt: skip
    return shown


@pytest.mark.parametrize("seed", range(12))
def test_states_are_those_of_prometheus(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    text, data = make_rules(rng), make_series(rng)
    times = sorted(round(rng.uniform(0, UNTIL), 3) for _ in range(40))
    (tmp_path / "r.yaml").write_text(text)
    lines = ["rule_files: [r.yaml]", "evaluation_interval: 7001ms", "tests:", f"- interval: {STEP}s"]
    lines += ask_lines(data, [("ALERTS", f"{to_ms(time)}ms") for time in times])
    (tmp_path / "t.yaml").write_text("\n".join(lines))
    theirs = answers(promtool("test", "rules", "t.yaml", cwd=tmp_path))
    seen = set()
    for time, mine, (want, error) in zip(times, ours(text, data, times), theirs, strict=True):
        assert not error
        assert set(mine) == set(want), f"at {time} (seed {seed})"
        seen |= {dict(labels)["alertstate"] for labels in mine}
    assert seen == {"pending", "firing"}
