"""`resurgam test` against promtool: generated unit-test files, some expectations right and some wrong, and the same
verdict on every one of them.

The samples lie on a grid of 17 s and windows have odd lengths, so that no sample lies on the edge of a window or of
the lookback, where promtool 2.42 differs from Prometheus 3. RESURGAM_ORACLE_SEEDS=first:count asks other seeds.
"""

import os
import random
import re
from pathlib import Path

import pytest
import yaml

from supervisor.lab.grid import Grid, ordered
from supervisor.lab.promtest import run_file
from supervisor.lab.testfile import PromFile, read
from supervisor.rules.promql.evaluate import Options
from supervisor.samples import to_ms
from tests.support.promtool import promtool

_FIRST, _, _COUNT = os.environ.get("RESURGAM_ORACLE_SEEDS", "0:6").partition(":")
SEEDS = range(int(_FIRST), int(_FIRST) + int(_COUNT or 1))
TESTS = 10
RULES = """\
groups:
- name: first
  rules:
  - {record: 'rec:x', expr: sum by (a) (x)}
  - alert: High
    expr: rec:x > 3
    for: 1m
    labels: {severity: '{{ if gt $value 6.0 }}page{{ else }}ticket{{ end }}'}
    annotations: {summary: '{{ $labels.a }} is {{ $value }} in {{ $externalLabels.dc }}'}
  - {alert: Any, expr: 'x{b="1"} > 0'}
- name: second
  rules:
  - {alert: Kept, expr: x > 5, keep_firing_for: 90s, annotations: {value: '{{ humanize $value }}'}}
  - {record: 'rec:firing', expr: 'count by (alertname) (ALERTS{alertstate="firing"})'}
  - {record: 'rec:range', expr: 'max_over_time(x[77s])', labels: {kind: max, none: ''}}
- name: third
  rules:
  - {alert: Gone, expr: 'absent(x{a="p"})', for: 30s}
  - {alert: Meta, expr: 'rec:firing > 1', labels: {about: '{{ $labels.alertname }}'}}
"""
SERIES = ('x{a="p",b="1"}', 'x{a="p",b="2"}', 'x{a="q",b="1"}')
ALERTS = ("High", "Any", "Kept", "Gone", "Meta", "Nobody")
EXPRS = (
    "x",
    "rec:x",
    "rec:x * 2",
    'x{a="p"} > 2',
    "sum(x)",
    "count(ALERTS)",
    'ALERTS{alertname="High"}',
    "ALERTS_FOR_STATE",
    "timestamp(rec:x)",
    "rec:firing",
    "rec:range",
    "max_over_time(rec:x[2m13s500ms])",
    "x offset 41s",
    "scalar(sum(x))",
    "absent(rec:x)",
    "count_over_time(ALERTS[2m13s500ms:])",
)


def values(rng: random.Random) -> str:
    """A series that comes, goes, ends and comes again. The first value is none: see above."""
    words = ["_"]
    while len(words) < 26:
        word = rng.choice(["_", "stale", str(rng.randint(0, 9)), str(rng.randint(0, 9)), f"{rng.randint(0, 9)}.5"])
        words += [word] * rng.randint(1, 6)
    return " ".join(words[:26])


def blank(rng: random.Random) -> dict:
    """A test file without expectations."""
    tests = []
    for number in range(TESTS):
        chosen = [name for name in SERIES if rng.random() < 0.8]
        tests.append(
            {
                "name": f"t{number}",
                "interval": "17s",
                "external_labels": {"dc": "eu"},
                "input_series": [{"series": name, "values": values(rng)} for name in chosen],
            }
        )
    order = rng.sample(["first", "second", "third"], 3)
    return {
        "rule_files": ["r.yaml"],
        "evaluation_interval": rng.choice(["30s", "1m"]),
        "group_eval_order": order,
        "tests": tests,
    }


def expectations(file: PromFile, number: int, rng: random.Random) -> dict:
    """Expectations of one test: what our own rules give, some of it spoilt."""
    test = file.tests[number]
    grid = Grid(
        ordered(file.groups, file.order),
        test.given.rows(),
        Options(step=to_ms(file.every)),
        test.external_labels,
    )
    times = sorted(rng.sample(range(5, 420), 6))
    alerts: list[dict] = []
    exprs: list[dict] = []
    asked = [(at, rng.choice(ALERTS)) for at in times for _ in range(2)]
    for round_at in range(0, times[-1] + 1, round(file.every)):
        assert grid.step(round_at * 1000) == []
        for at, name in dict.fromkeys(asked):
            if round_at <= at < round_at + file.every:
                fired = [(dict(alert.labels), dict(alert.annotations)) for alert in grid.firing(name)]
                alerts.append({"eval_time": f"{at}s", "alertname": name, "exp_alerts": _alerts(fired, rng)})
    for count, at in enumerate(times * 2):
        expr = rng.choice(EXPRS)
        found = [(dict(labels), value) for labels, value in grid.ask(expr, at * 1000)]
        text = f"{expr} # {number}.{count}"
        exprs.append({"expr": text, "eval_time": f"{at}s", "exp_samples": _samples(found, rng)})
    return {"alert_rule_test": alerts, "promql_expr_test": exprs}


def _alerts(fired: list, rng: random.Random) -> list[dict]:
    found = [{"exp_labels": labels, "exp_annotations": notes} for labels, notes in fired]
    spoil = rng.random()
    if spoil < 0.15 and found:
        found.pop(rng.randrange(len(found)))
    elif spoil < 0.3 and found:
        rng.choice(found)["exp_labels"][rng.choice(["severity", "a", "new"])] = rng.choice(["page", "p", ""])
    elif spoil < 0.4 and found:
        rng.choice(found)["exp_annotations"] = {"summary": "p is 4 in eu"}
    elif spoil < 0.5:
        found.append({"exp_labels": {"a": "p"}})
    rng.shuffle(found)
    return found


def _samples(found: list, rng: random.Random) -> list[dict]:
    spoil = rng.random()
    if spoil < 0.15 and found:
        found.pop(rng.randrange(len(found)))
    elif spoil < 0.3 and found:
        found[0] = (found[0][0], found[0][1] + rng.choice([1.0, 1e-15]))
    elif spoil < 0.4 and found:
        found[0][0][rng.choice(["a", "new"])] = rng.choice(["p", "q", ""])
    elif spoil < 0.5:
        found.append(({"__name__": "x"}, 1.0))
    rng.shuffle(found)
    return [{"labels": _braces(labels), "value": float(value)} for labels, value in found]


def _braces(labels: dict) -> str:
    return "{" + ",".join(f'{name}="{text}"' for name, text in sorted(labels.items())) + "}"


def generated(folder: Path, seed: int) -> tuple[Path, int]:
    """A test file, and how many expectations it has."""
    rng = random.Random(seed)
    (folder / "r.yaml").write_text(RULES)
    path = folder / "t.yaml"
    document = blank(rng)
    path.write_text(yaml.safe_dump(document))
    file = read(path)
    for number, test in enumerate(document["tests"]):
        test |= expectations(file, number, rng)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    tests = document["tests"]
    return path, sum(len(test["alert_rule_test"]) + len(test["promql_expr_test"]) for test in tests)


_ALERT = re.compile(r"^    name: (\S+),\n    alertname: (\S+), time: (\S+),", re.MULTILINE)
_EXPR = re.compile(r'^    expr: ".* # (\S+)", time: (\S+),', re.MULTILINE)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_expectation_is_judged_as_by_promtool(tmp_path: Path, seed: int) -> None:
    path, count = generated(tmp_path, seed)
    said = promtool("test", "rules", path.name, cwd=tmp_path)
    theirs = [f"{test} {name} {time}" for test, name, time in _ALERT.findall(said)]
    theirs += [f"{mark} {time}" for mark, time in _EXPR.findall(said)]
    ours = []
    for test in run_file(path).tests:
        for failure in test.failures:
            kind, _, rest = failure.text.partition(" ")
            what, _, time = rest.rpartition(" at ")
            ours.append(f"{test.name} {what} {time}" if kind == "alert" else f"{what.rpartition('# ')[2]} {time}")
    assert sorted(ours) == sorted(theirs)
    assert 0.2 * count < len(ours) < 0.6 * count, "some are right and some are wrong"
