"""`resurgam test`: one line a file, places and differences, exit codes, JSON and JUnit."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from supervisor.cli.main import main

GOOD = """\
tests:
- name: counts
  input_series: [{series: x, values: 1 2}]
  promql_expr_test: [{expr: x, eval_time: 1m, exp_samples: [{labels: x, value: 2}]}]
- name: adds
  promql_expr_test: [{expr: 1 + 1, exp_samples: [{value: WANTED}]}]
"""
ACTIONS = """\
rule_files: [r.yaml]
settings: {proof: 10s}
services: {web.oracle: {enable: true}}
tests:
- name: acts
  input_series: [{series: 'x{name="web-oracle-1"}', values: 0 1}]
  expect: [{at: 15s, verb: VERB, target: web.oracle, outcome: verified}]
"""
RULES = "groups: [{name: g, rules: [{alert: A, expr: x > 0, annotations: {action: restart}}]}]\n"

Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.test.yaml").write_text(GOOD.replace("WANTED", "2"))
    Path("wrong.test.yaml").write_text(GOOD.replace("WANTED", "3"))
    Path("bad.test.yaml").write_text("tests:\n- nam: x\n")
    Path("r.yaml").write_text(RULES)
    return tmp_path


def test_what_holds_is_one_line(folder: Path, capsys: Output) -> None:
    assert main(["test", "good.test.yaml"]) == 0
    assert capsys.readouterr().out == "ok      good.test.yaml: 2 tests\n"


def test_what_does_not_hold_is_shown_with_its_place(folder: Path, capsys: Output) -> None:
    assert main(["test", "wrong.test.yaml", "good.test.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAILED  wrong.test.yaml: 1 of 2 tests",
        "  wrong.test.yaml:6:22: expression 1 + 1 at 0s  (adds)",
        "      differs: {}",
        "          value",
        "              expected: 3",
        "              got:      2",
        "ok      good.test.yaml: 2 tests",
    ]


def test_a_bad_file_is_worse_than_a_wrong_expectation(folder: Path, capsys: Output) -> None:
    assert main(["test", "wrong.test.yaml", "bad.test.yaml"]) == 2
    assert "  bad.test.yaml:2:3: tests[0]: unknown key 'nam'" in capsys.readouterr().out


def test_a_folder_stands_for_the_tests_in_it(folder: Path, capsys: Output) -> None:
    Path("t.actions-test.yaml").write_text(ACTIONS.replace("VERB", "restart"))
    assert main(["test", str(folder)]) == 2
    said = capsys.readouterr().out
    assert said.index("bad.test.yaml") < said.index("good.test.yaml") < said.index("t.actions-test.yaml: 1 test")
    (folder / "empty").mkdir()
    assert main(["test", "empty"]) == 2
    assert "no test lies in empty" in capsys.readouterr().err
    assert main(["test", "none.test.yaml"]) == 2
    assert "none.test.yaml does not exist" in capsys.readouterr().err


def test_actions_are_judged_by_the_same_command(folder: Path, capsys: Output) -> None:
    Path("t.actions-test.yaml").write_text(ACTIONS.replace("VERB", "phoenix"))
    assert main(["test", "t.actions-test.yaml"]) == 1
    said = capsys.readouterr().out
    assert "t.actions-test.yaml:7:12: expected at 15s..30s: phoenix on web.oracle verified  (acts)" in said
    assert "nearest:  15s restart web.oracle: verified at " in said


def test_a_part_of_a_name_chooses_tests(folder: Path, capsys: Output) -> None:
    assert main(["test", "wrong.test.yaml", "--run", "^cou"]) == 0
    assert "1 test" in capsys.readouterr().out
    assert main(["test", "wrong.test.yaml", "--run", "nothing", "--run", "dds"]) == 1
    assert main(["test", "wrong.test.yaml", "--run", "nothing"]) == 0
    assert "no test was run" in capsys.readouterr().out
    assert main(["test", "wrong.test.yaml", "--run", "("]) == 2
    assert "--run: bad regular expression" in capsys.readouterr().err


def test_json_has_every_test_and_difference(folder: Path, capsys: Output) -> None:
    assert main(["test", "wrong.test.yaml", "bad.test.yaml", "-o", "json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    wrong, bad = document["files"]
    assert [test["ok"] for test in wrong["tests"]] == [True, False]
    assert wrong["tests"][1]["failures"][0]["line"] == 6
    assert bad["mistakes"][0]["line"] == 2


def test_junit_is_written_beside_what_is_said(folder: Path, capsys: Output) -> None:
    assert main(["test", "wrong.test.yaml", "--junit", "out.xml"]) == 1
    assert "FAILED" in capsys.readouterr().out
    (suite,) = ElementTree.parse("out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert main(["test", "good.test.yaml", "--junit", "none/out.xml"]) == 1
    assert "none/out.xml cannot be written" in capsys.readouterr().err


def test_a_feature_is_switched_on_as_upstream_names_it(folder: Path, capsys: Output) -> None:
    text = GOOD.replace("expr: x,", 'expr: \'label_replace(x + 0, "n", "$1", "__name__", "(.+)")\',')
    Path("late.test.yaml").write_text(text.replace("labels: x,", "labels: '{n=\"x\"}',").replace("WANTED", "2"))
    assert main(["test", "late.test.yaml"]) == 1
    assert main(["test", "late.test.yaml", "--enable-feature=promql-delayed-name-removal"]) == 0
    assert main(["test", "late.test.yaml", "--enable-feature=promql-delayed"]) == 2
    assert "there is: promql-delayed-name-removal" in capsys.readouterr().err
