"""The shipped rules: promtool accepts them, their unit tests pass there, and the same tests pass on our own engine."""

from pathlib import Path

import pytest
import yaml

from supervisor.rules import alerts, load, shipped_folder
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import to_ms
from supervisor.units import duration
from tests.support.promtool import promtool
from tests.support.rules import filled

FOLDER = shipped_folder()
TESTS = sorted(FOLDER.glob("*.test.yaml"))
FILES = sorted(path for path in FOLDER.glob("*.yaml") if len(path.suffixes) == 1)


def test_every_shipped_file_has_its_test() -> None:
    assert [path.name.replace(".yaml", ".test.yaml") for path in FILES] == [path.name for path in TESTS]
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_promtool_accepts_the_file(path: Path) -> None:
    assert "SUCCESS" in promtool("check", "rules", path.name, cwd=FOLDER)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_its_unit_tests_pass_in_promtool(path: Path) -> None:
    said = promtool("test", "rules", path.name, cwd=FOLDER)
    assert "SUCCESS" in said, said
    assert "FAILED" not in said, said


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_its_unit_tests_pass_on_our_engine(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    rules = load([(FOLDER / name, "shipped") for name in document["rule_files"]], trust_uid=None).rules
    every = duration(document["evaluation_interval"])
    tested = set()
    for test in document["tests"]:
        data = {entry["series"]: entry["values"] for entry in test["input_series"]}
        store = filled(data, duration(test["interval"]))
        active = {rule.id: {} for rule in rules}
        step = 0
        for check in sorted(test["alert_rule_test"], key=lambda check: duration(check["eval_time"])):
            while step * every <= duration(check["eval_time"]):
                for rule in rules:
                    vector = evaluate(rule.expr.node, store, to_ms(step * every))
                    active[rule.id] = alerts.step(rule, active[rule.id], vector, step * every).active
                step += 1
            found = [
                (dict(alert.labels), dict(alert.annotations))
                for rule in rules
                if rule.name == check["alertname"]
                for alert in active[rule.id].values()
                if alert.state == "firing"
            ]
            wanted = [
                ({**alert["exp_labels"], "alertname": check["alertname"]}, alert.get("exp_annotations", {}))
                for alert in check.get("exp_alerts", [])
            ]
            assert found == wanted, f"{test['name']} at {check['eval_time']}"
            tested |= {check["alertname"]} if wanted else set()
    assert tested == {rule.name for rule in rules}, "every rule is seen firing in its test"
