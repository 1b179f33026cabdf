"""The shipped rules: promtool accepts them, their unit tests pass there, and the same tests pass on our own engine."""

from pathlib import Path

import pytest

from supervisor.lab import promtest, testfile
from supervisor.rules import AlertRule, shipped_folder
from tests.support.promtool import promtool

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
def test_its_unit_tests_pass_here_too_and_see_every_alert_firing_and_quiet(path: Path) -> None:
    found = promtest.run_file(path)
    assert found.ok, found.json()
    file = testfile.read(path)
    asked = [one for test in file.tests for one, _place in test.alerts]
    shipped = {rule.name for group in file.groups for rule in group.rules if isinstance(rule, AlertRule)}
    assert {one.alertname for one in asked if one.exp_alerts} == shipped, "each fires once"
    assert {one.alertname for one in asked if not one.exp_alerts} == shipped, "and is quiet once"
