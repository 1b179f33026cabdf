"""Tests of actions: what is expected is met, or the message says what happened instead."""

from pathlib import Path

import pytest

from supervisor.lab import actions_test, actionsfile
from supervisor.lab.outcomes import Failure, FileRun
from supervisor.rules import shipped_folder

SHIPPED = sorted(shipped_folder().glob("*.actions-test.yaml"))
RULES = """\
groups:
- name: g
  rules:
  - {alert: Stuck, expr: stuck == 1, annotations: {action: restart}}
  - {alert: Full, expr: full > 9, for: 1m}
"""
BOOKS = """\
playbooks:
- name: full
  match: ['alertname="Full"']
  steps: [{do: restart}]
  budget: 1 in 1h
  cooldown: 1m
"""
HEAD = """\
rule_files: [r.yaml]
settings: {proof: 20s}
services:
  web.oracle: {enable: true}
tests:
- name: one
"""
STUCK = "  input_series: [{series: 'stuck{name=\"web-oracle-1\"}', values: '0 0 1 1 0'}]\n"
FULL = "  input_series: [{series: 'full{name=\"web-oracle-1\"}', values: '10 10 10 10 10 10 0 0x10 10x20'}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.yaml").write_text(RULES)
    (tmp_path / "r.playbooks.yaml").write_text(BOOKS)
    return tmp_path


def run(folder: Path, checks: str, head: str = HEAD) -> FileRun:
    """What becomes of an actions test with these lines after its head."""
    path = folder / "t.actions-test.yaml"
    path.write_text(head + checks)
    return actions_test.run_file(path)


def failures(found: FileRun) -> tuple[Failure, ...]:
    assert not found.mistakes, found.mistakes
    return found.tests[0].failures


def cases() -> list[object]:
    """Every test of the shipped files, one by one."""
    found = []
    for path in SHIPPED:
        file = actionsfile.read(path)
        found += [pytest.param(file, test, id=f"{path.name}: {test.name}") for test in file.tests]
    return found


@pytest.mark.parametrize(("file", "test"), cases())
def test_the_shipped_playbooks_do_what_their_tests_expect(
    file: actionsfile.ActionsFile, test: actionsfile.ActionsTest
) -> None:
    assert actions_test.run_test(file, test).failures == ()


def test_every_shipped_playbook_is_seen_acting() -> None:
    tests = [expect for path in SHIPPED for test in actionsfile.read(path).tests for expect in test.expect]
    every = [book for path in SHIPPED for book in actionsfile.read(path).loaded.playbooks]
    # an actions-test has no cards; what is done to them is seen in tests/sim
    books = {book.name for book in every if book.target != "gpu"}
    assert books
    assert {book.name for book in every} <= {expect.by for expect in tests}
    assert books <= {expect.by for expect in tests if expect.outcome == "verified"}


def test_an_annotation_acts_when_its_sample_comes(folder: Path) -> None:
    checks = "  expect: [{at: 30s, verb: restart, target: web.oracle, outcome: verified, by: 'rule:Stuck'}]\n"
    assert failures(run(folder, STUCK + checks)) == ()


def test_a_deed_before_or_after_its_time_is_not_the_expected_one(folder: Path) -> None:
    for at in ("15s", "46s"):
        found = failures(run(folder, STUCK + f"  expect: [{{at: {at}, within: 10s, verb: restart}}]\n"))
        assert [failure.text.partition(" (")[0] for failure in found][-1] == "something was done that nobody expects"
        assert found[0].lines[0].startswith("nearest:  30s restart web.oracle: verified at 3")
    assert failures(run(folder, STUCK + "  expect: [{at: 15s, within: 20s, verb: restart}]\n")) == ()


def test_what_is_expected_and_what_came_instead_are_told_with_their_place(folder: Path) -> None:
    found = failures(run(folder, STUCK + "  expect:\n  - {at: 30s, verb: phoenix, target: web.oracle}\n"))
    assert (found[0].line, found[0].column) == (9, 5)
    assert found[0].text == "expected at 30s..45s: phoenix on web.oracle done"
    assert "    30s restart web.oracle: verified" in found[0].lines[2]


def test_where_nothing_happened_the_alerts_are_told(folder: Path) -> None:
    series = "  input_series: [{series: 'full{name=\"web-oracle-1\"}', values: '10 10 10 10 10 10'}]\n"
    head = HEAD.replace("rule_files: [r.yaml]", "rule_files: [r.yaml]\nplaybook_files: []")
    (failure,) = failures(run(folder, series + "  expect: [{at: 1m, verb: restart}]\n", head))
    assert failure.lines == (
        "nothing was done or refused in this test",
        "alert:    1m Full web.oracle",
    )
    (failure,) = failures(run(folder, "  expect: [{at: 1m, verb: restart}]\n"))
    assert failure.lines[1].startswith("no alert fired")


def test_a_budget_that_is_spent_is_a_refusal_with_its_reason(folder: Path) -> None:
    checks = """\
  expect:
  - {at: 1m, verb: restart, target: web.oracle, outcome: verified, by: full}
  - {at: 5m15s, target: web.oracle, reason: budget}
"""
    assert failures(run(folder, FULL + checks)) == ()
    (failure,) = failures(run(folder, FULL + checks.replace("reason: budget", "reason: veto")))[:1]
    assert "refused (budget_playbook)" in failure.lines[0]


def test_only_false_lets_other_deeds_pass(folder: Path) -> None:
    assert failures(run(folder, STUCK)) != ()
    assert failures(run(folder, STUCK + "  only: false\n")) == ()


def test_our_own_series_of_a_given_name_are_not_heard(folder: Path) -> None:
    (folder / "r.yaml").write_text(
        "groups:\n- name: g\n  rules:\n  - {alert: Died, expr: resurgam_container_deaths_total > 0}\n"
    )
    head = HEAD.replace("rule_files: [r.yaml]", "rule_files: [r.yaml]\nplaybook_files: [died.playbooks.yaml]")
    (folder / "died.playbooks.yaml").write_text(BOOKS.replace("Full", "Died").replace("full", "died"))
    event = "  events: [{at: 20s, die: web.oracle}]\n  until: 1m\n"
    given = "  input_series: [{series: 'resurgam_container_deaths_total{name=\"web-oracle-1\"}', values: '0x5'}]\n"
    assert failures(run(folder, given + event, head)) == (), "only the given one counts, and it says 0"
    seen = "  expect: [{at: 20s, within: 1s, verb: restart, target: web.oracle, by: died}]\n"
    assert failures(run(folder, event + seen, head)) == (), "without it, our own is heard"


def test_a_service_that_grows_takes_the_memory_of_the_simulated_machine(folder: Path) -> None:
    rules = """\
groups:
- name: g
  rules:
  - alert: Short
    expr: node_memory_MemAvailable_bytes < 300 * 1024 ^ 3
    annotations: {action: restart web.oracle}
  - {alert: Gone, expr: node_memory_MemAvailable_bytes < 200 * 1024 ^ 3, annotations: {action: stop web.oracle}}
"""
    (folder / "r.yaml").write_text(rules)
    grow = "  events: [{at: 10s, grow: web.oracle, rate: 4GiB, upto: 120GiB}]\n  until: 1m\n"
    # 384 GiB less the system's two: after 20 seconds less than 300 are left, and 262 in the end
    found = run(folder, grow + "  expect: [{at: 28s, within: 8s, verb: restart, target: web.oracle}]\n")
    assert failures(found) == ()


def test_a_rule_that_errs_fails_the_test(folder: Path) -> None:
    (folder / "r.yaml").write_text("groups:\n- name: g\n  rules:\n  - {alert: A, expr: stuck + on() full}\n")
    series = "  input_series:\n" + "".join(f"  - {{series: '{name}', values: 1x5}}\n" for name in ("stuck", "full"))
    both = series + "  - {series: 'full{a=\"b\"}', values: 1x5}\n"
    assert failures(run(folder, series)) == ()
    (failure,) = failures(run(folder, both))
    assert failure.text == "a rule erred"
    assert "duplicate series" in failure.lines[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests:\n- name: a\n  evnts: []\n", "3:3: tests[0]: unknown key 'evnts'"),
        ("tests:\n- expect: []\n", "the key 'name' is missing"),
        ("tests:\n- name: a\n  events: [{at: 1m, die: web.oracle}]\n", "there is no service 'web.oracle'"),
        ("tests:\n- name: a\n  events: [{at: 1m}]\n", "an event says one thing that happens"),
        ("tests:\n- name: a\n  events: [{at: 1m, stop: a, exit_code: 3}]\n", "`exit_code` says nothing about 'stop'"),
        ("tests:\n- name: a\n  events: [{at: 1m, grow: a}]\n", "`rate` is missing: so much each second, of 'grow'"),
        ("tests:\n- name: a\n  events: [{at: 1m, stop: a, rate: 1GiB}]\n", "`rate` says nothing about 'stop'"),
        ("tests:\n- name: a\n  events: [{at: 1m, stop: a, upto: 1GiB}]\n", "`upto` says nothing about 'stop'"),
        ("tests:\n- name: a\n  events: [{at: 1m, grow: a, rate: much}]\n", "'much' is not a size"),
        ("tests:\n- name: a\n  events: [{at: 1m, grow: a, rate: [5]}]\n", "a size is text like 512MiB"),
        ("tests:\n- name: a\n  expect: [{at: 1m, verb: restrat}]\n", "did you mean 'restart'?"),
        ("tests:\n- name: a\n  expect: [{at: 1m, verb: restart, reason: bugdet}]\n", "there is no reason 'bugdet'"),
        ("tests:\n- name: a\n  expect: [{at: 1m, outcome: well, verb: stop}]\n", "is not one of verified"),
        ("tests:\n- name: a\n  expect: [{at: 1m}]\n", "says at least a verb or a target"),
        ("services:\n  a: {enabel: true}\n", "2:7: services.a: unknown key 'enabel'"),
        ("settings:\n  mode: heel\n", "2:9: mode: 'heel' is not one of"),
        ("settings: {services: {}}\n", "`services` does not stand here"),
        ("rule_files: [none.yaml]\n", "1:14: no file is called 'none.yaml' here"),
        ("rule_files: [bad.yaml]\n", "bad.yaml:2:3: "),
        ("rule_files: [r.yaml]\nplaybook_files: [bad.playbooks.yaml]\n", "bad.playbooks.yaml:1:1: "),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(folder: Path, text: str, said: str) -> None:
    (folder / "bad.yaml").write_text("groups:\n- nome: g\n")
    (folder / "bad.playbooks.yaml").write_text("playbook: []\n")
    found = run(folder, "", text)
    assert found.tests == ()
    assert any(said in str(mistake) for mistake in found.mistakes), found.mistakes
