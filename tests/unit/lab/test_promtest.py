"""promtool's unit-test files: same verdicts, places, and differences that a person can read."""

import json
from pathlib import Path

import pytest

from supervisor.lab.outcomes import FileRun
from supervisor.lab.promtest import run_file

RULES = """\
groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    for: 1m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.job }} is down'}
  - {record: 'job:up:sum', expr: sum by (job) (up)}
"""
TEST = """\
rule_files: [r.yaml]
tests:
- name: one
  input_series:
  - {series: 'up{job="a"}', values: '1 0 0 0'}
"""


def run(folder: Path, checks: str, head: str = TEST, rules: str = RULES, **options: object) -> FileRun:
    """What becomes of a test file with these lines after its head."""
    (folder / "r.yaml").write_text(rules)
    (folder / "t.test.yaml").write_text(head + checks)
    return run_file(folder / "t.test.yaml", **options)  # type: ignore[arg-type]


def texts(found: FileRun) -> list[str]:
    """What failed, in order."""
    assert not found.mistakes, found.mistakes
    return [failure.text for test in found.tests for failure in test.failures]


def expects(expr: str, *samples: str, at: str = "1m") -> str:
    return f"  promql_expr_test:\n  - {{expr: '{expr}', eval_time: {at}, exp_samples: [{', '.join(samples)}]}}\n"


ALERT = """\
  alert_rule_test:
  - eval_time: {at}
    alertname: Down
    exp_alerts:
    - exp_labels: {{severity: page, job: a}}
      exp_annotations: {{summary: {summary}}}
"""


def test_an_alert_that_fires_as_expected(tmp_path: Path) -> None:
    found = run(tmp_path, ALERT.format(at="2m", summary="a is down"))
    assert found.ok
    assert [(test.name, test.checks) for test in found.tests] == [("one", 1)]


def test_an_alert_is_looked_at_as_of_the_last_round_before_its_time(tmp_path: Path) -> None:
    assert run(tmp_path, ALERT.format(at="2m59s999ms", summary="a is down")).ok
    assert texts(run(tmp_path, ALERT.format(at="1m59s999ms", summary="a is down"))) == ["alert Down at 1m59s999ms"]


def test_a_difference_names_the_place_and_the_part_that_differs(tmp_path: Path) -> None:
    (failure,) = run(tmp_path, ALERT.format(at="2m", summary="b is down")).tests[0].failures
    assert (failure.line, failure.column, failure.text) == (7, 5, "alert Down at 2m")
    assert failure.lines == (
        'differs: {alertname="Down", job="a", severity="page"}',
        "    annotation summary",
        '        expected: "b is down"',
        '        got:      "a is down"',
    )


def test_alerts_that_should_not_fire_and_those_that_do_not(tmp_path: Path) -> None:
    found = run(tmp_path, "  alert_rule_test:\n  - {eval_time: 2m, alertname: Down}\n")
    assert found.tests[0].failures[0].lines[0] == 'not expected: {alertname="Down", job="a", severity="page"}'
    found = run(tmp_path, ALERT.format(at="1m", summary="x"))
    assert found.tests[0].failures[0].lines == (
        'missing: {alertname="Down", job="a", severity="page"}',
        '    annotation summary: "x"',
    ), "pending is not firing"


def test_an_empty_label_is_no_label_of_a_firing_alert(tmp_path: Path) -> None:
    checks = ALERT.format(at="2m", summary="a is down").replace("job: a}", 'job: a, team: ""}')
    assert texts(run(tmp_path, checks)) == ["alert Down at 2m"]


@pytest.mark.parametrize(
    ("checks", "holds"),
    [
        (expects("job:up:sum", "{labels: 'job:up:sum{job=\"a\"}', value: 0}"), True),
        (expects("job:up:sum", "{labels: 'job:up:sum{job=\"a\"}', value: 1}"), False),
        (expects("job:up:sum"), False),
        (expects("nothing"), True),
        (expects("1", "{value: 1}"), True),
        (expects("vector(16)", "{labels: '{}', value: 0x10}"), True),
        (expects("vector(8)", "{labels: '{}', value: 010}"), True),
        (expects("vector(Inf)", "{labels: '{}', value: .Inf}"), True),
        (expects("vector(NaN)", "{labels: '{}', value: .nan}"), False),
        (expects("vector(1) == 2 or vector(0)", "{labels: '{}', value: -0}"), True),
        (expects("up", '{labels: \'up{job="a", x=""}\', value: 0}'), False),
    ],
)
def test_samples_must_be_the_same_and_no_others(tmp_path: Path, checks: str, holds: bool) -> None:
    assert run(tmp_path, checks).ok is holds


def test_an_expression_is_asked_at_its_own_time_over_what_is_known_then(tmp_path: Path) -> None:
    assert run(tmp_path, expects("timestamp(up)", "{labels: '{job=\"a\"}', value: 60}", at="1m30s")).ok
    head = TEST + "  interval: 15s\n"
    checks = expects("up", "{labels: 'up{job=\"a\"}', value: 1}", at="59s")
    assert run(tmp_path, checks, head).ok, "the sample at 15 s comes after the only round, so it is never loaded"


def test_what_cannot_be_asked_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    for expr, said in (("up +", "end of input"), ("up[1m]", "range"), ('"a"', "text"), ("nofun(up)", "nofun")):
        (failure,) = run(tmp_path, expects(expr)).tests[0].failures
        assert said in failure.lines[0], failure.lines
    (failure,) = run(tmp_path, expects("up", "{labels: 'up{', value: 1}")).tests[0].failures
    assert failure.lines[0].startswith("exp_samples: ")


def test_fuzzy_compare_forgives_one_step_of_the_last_digit(tmp_path: Path) -> None:
    near, far = "2.9999999999999996", "2.9999999999999987"
    for fuzzy, values in (("true", [near]), ("false", [])):
        head = f"fuzzy_compare: {fuzzy}\n" + TEST
        for number in (near, far):
            found = run(tmp_path, expects(f"vector({number})", "{labels: '{}', value: 3}"), head)
            assert found.ok is (number in values)


def test_a_rule_that_errs_ends_its_test_and_is_named(tmp_path: Path) -> None:
    rules = "groups:\n- name: g\n  rules:\n  - {record: r, expr: up + on() up}\n"
    head = TEST + "  - {series: 'up{job=\"b\"}', values: 1}\n"
    found = run(tmp_path, expects("vector(1)"), head, rules)
    assert texts(found) == ["the rule r at 0s"]
    assert found.tests[0].failures[0].lines[0].startswith("error: found duplicate series")


def test_a_start_timestamp_moves_everything(tmp_path: Path) -> None:
    for start in ("2021-01-01T00:00:00Z", "1609459200"):
        head = TEST + f"  start_timestamp: {start}\n"
        assert run(tmp_path, expects("timestamp(up)", "{labels: '{job=\"a\"}', value: 1609459260}"), head).ok
        checks = "  alert_rule_test:\n  - {eval_time: 2m, alertname: Down, exp_alerts: [{}]}\n"
        assert texts(run(tmp_path, checks, head)) == ["alert Down at 2m"], "the alert fires, with labels"


def test_only_tests_with_a_wanted_name_run(tmp_path: Path) -> None:
    assert run(tmp_path, expects("up"), wanted=lambda name: name == "two").tests == ()
    assert texts(run(tmp_path, expects("up"), wanted=lambda name: name == "one")) == ["expression up at 1m"]


def test_names_are_dropped_late_where_that_is_switched_on(tmp_path: Path) -> None:
    checks = expects('label_replace(up + 0, "n", "$1", "__name__", "(.*)")', '{labels: "{job=\\"a\\"}", value: 0}')
    assert run(tmp_path, checks).ok
    assert not run(tmp_path, checks, delayed_names=True).ok


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("rule_fils: []\n", "t.test.yaml:1:1: unknown key 'rule_fils'"),
        ("groups: []\n", "t.test.yaml:1:1: this is a rule file; `resurgam check` reads it"),
        ("tests:\n- nam: x\n", "2:3: tests[0]: unknown key 'nam'"),
        ("tests:\n- input_series:\n  - {series: 'x{', values: 1}\n", "3:14: "),
        ("tests:\n- input_series:\n  - {series: x, values: '{{sum:1}}'}\n", "native histograms"),
        ("tests:\n- promql_expr_test:\n  - {expr: x, exp_samples: [{histogram: '{{}}'}]}\n", "native histograms"),
        ("tests:\n- alert_rule_test:\n  - {eval_time: 1m}\n", "3:5: an entry of alert_rule_test needs an `alertname`"),
        ("tests:\n- alert_rule_test:\n  - {eval_time: 1, alertname: A}\n", "'1' is not a duration"),
        ("group_eval_order: [a, b, a]\n", "1:26: the group 'a' stands here twice"),
        ("tests:\n- start_timestamp: yesterday\n", "'yesterday' is no time"),
        ("tests:\n- promql_expr_test:\n  - {expr: x, exp_samples: [{value: one}]}\n", "'one' is not a number"),
        ("rule_files: [bad.yaml]\n", "bad.yaml:2:3: "),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(tmp_path: Path, head: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text("groups:\n- nome: g\n")
    found = run(tmp_path, "", head)
    assert not found.ok
    assert found.tests == ()
    assert any(said in str(mistake) for mistake in found.mistakes), found.mistakes


def test_rule_files_are_patterns_and_one_that_means_nothing_is_only_a_warning(tmp_path: Path) -> None:
    found = run(tmp_path, "", TEST.replace("[r.yaml]", "['r*.yaml', './r.yaml', none.yaml]"))
    assert found.ok
    assert [warning.partition(": ")[2] for warning in found.warnings] == [
        "no file is called 'none.yaml' there (rule_files)"
    ]


def test_a_result_is_plain_json(tmp_path: Path) -> None:
    document = json.loads(json.dumps(run(tmp_path, expects("up")).json()))
    assert document["ok"] is False
    assert document["tests"][0]["failures"][0]["text"] == "expression up at 1m"
