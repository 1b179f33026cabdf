"""Budgets: windows that slide, counted from what was spent; and the one try that an hour of rest earns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config import Settings
from supervisor.facts import Intent
from supervisor.incidents import Spend, may_run
from supervisor.incidents.budget import over
from supervisor.incidents.guard import judge
from supervisor.units import Budget
from supervisor.verdicts import Reason
from tests.support.incidents import NOW, ORACLE, Box, alert, oracle, service


def spends(*ages: float, of: str = ORACLE, disruptive: bool = True) -> tuple[Spend, ...]:
    return tuple(Spend(NOW - age, of, "restart", disruptive, 90 + n) for n, age in enumerate(ages))


def ask(box: Box, verb: str = "restart", **more: str) -> Reason:
    return may_run(Intent(verb, ORACLE, {}, "", "rule:X", **more), box.world()).reason


@pytest.mark.parametrize(
    ("ages", "want"),
    [
        ((), Reason.ALLOWED),
        ((60, 120), Reason.ALLOWED),
        ((60, 120, 180), Reason.BUDGET_SERVICE),
        ((60, 120, 3599.9), Reason.BUDGET_SERVICE),
        ((60, 120, 3600), Reason.ALLOWED),
        ((60, 4000, 5000, 6000, 7000, 8000), Reason.BUDGET_SERVICE),
        ((60, 4000, 5000, 6000, 7000), Reason.ALLOWED),
    ],
)
def test_three_an_hour_and_six_a_day(ages: tuple[float, ...], want: Reason) -> None:
    assert ask(oracle(spent=spends(*ages))) is want


def test_the_sentence_says_when() -> None:
    found = judge(Intent("restart", ORACLE, {}, "", "rule:X"), oracle(spent=spends(60, 120, 2100)).world())
    assert found.again == NOW + 1500
    assert found.verdict.text.startswith("3 disruptive plans of demo.oracle in 1h are spent; the next is possible at ")
    assert found.verdict.text.endswith("(in 25m).")


def test_only_disruptive_plans_of_this_service_count_for_it() -> None:
    assert ask(oracle(spent=spends(1, 2, 3, of="demo.web"))) is Reason.ALLOWED
    assert ask(oracle(spent=spends(1, 2, 3, disruptive=False))) is Reason.ALLOWED
    assert ask(oracle(spent=spends(1, 2, 3)), "stop") is Reason.ALLOWED  # an emergency is never short of budget
    assert ask(oracle(spent=spends(1, 2, 3)), "notify") is Reason.ALLOWED


def test_the_host_has_a_budget_of_its_own() -> None:
    others = tuple(Spend(NOW - 60 * n, f"demo.s{n}", "restart", True, n) for n in range(1, 11))
    assert ask(oracle(spent=others[:9])) is Reason.ALLOWED
    assert ask(oracle(spent=others)) is Reason.BUDGET_HOST


def test_an_hour_of_rest_before_the_trouble_earns_one_try() -> None:
    day = spends(3700, 5000, 6000, 7000, 8000, 9000)
    key = "fp-ContainerRestartLoop|1|0"
    began = alert(active_at=NOW - 60)
    assert ask(oracle(spent=day, alerts=(began,)), key=key) is Reason.ALLOWED
    tried = (*day, Spend(NOW - 30, ORACLE, "restart", True, 99))
    assert ask(oracle(spent=tried, alerts=(began,)), key=key) is Reason.BUDGET_SERVICE
    # the trouble goes on since shortly after the last plan: it never rested
    assert ask(oracle(spent=day, alerts=(alert(active_at=NOW - 3600),)), key=key) is Reason.BUDGET_SERVICE


def test_a_budget_of_zero_stays_zero() -> None:
    settings = Settings.model_validate({"budget": {"service": "0 in 1h"}})
    box = oracle(settings=settings, spent=spends(9000))
    found = judge(Intent("restart", ORACLE, {}, "", "uid:0"), box.world())
    assert (found.verdict.reason, found.again) == (Reason.BUDGET_SERVICE, None)
    assert may_run(Intent("restart", ORACLE, {}, "", "uid:0", override="once"), box.world()).ok


def test_a_clock_that_went_back_refills_nothing() -> None:
    assert ask(oracle(spent=spends(-60, -120, -3000))) is Reason.BUDGET_SERVICE


@settings(max_examples=60, deadline=None)
@given(
    ages=st.lists(st.floats(0, 100_000), max_size=12),
    budgets=st.lists(st.builds(Budget, st.integers(1, 4), st.sampled_from([600.0, 3600.0, 86400.0])), max_size=3),
)
def test_room_comes_exactly_when_it_is_promised(ages: list[float], budgets: list[Budget]) -> None:
    spent = [NOW - age for age in ages]
    full = over(spent, budgets, NOW)
    if full is None:
        assert all(len([age for age in ages if age < b.window]) < b.count for b in budgets)
        return
    room = full[1]
    assert room is not None
    assert room > NOW
    assert over(spent, budgets, room - 0.01) is not None
    assert over(spent, budgets, room + 0.01) is None


def test_another_service_is_not_held_up() -> None:
    box = oracle(spent=spends(1, 2, 3))
    box.put(service("demo.web"))
    assert may_run(Intent("restart", "demo.web", {}, "", "rule:X"), box.world()).ok


def test_for_the_host_a_rollout_counts_once() -> None:
    day = tuple(Spend(NOW - 60 * n, f"demo.s{n}", "restart", True, n, rollout=5) for n in range(1, 40))
    assert ask(oracle(spent=day)) is Reason.ALLOWED
    ten = tuple(Spend(NOW - 60, f"demo.s{n}", "restart", True, n, rollout=n) for n in range(1, 11))
    assert ask(oracle(spent=ten)) is Reason.BUDGET_HOST
    assert ask(oracle(spent=ten), rollout=3) is Reason.ALLOWED, "its rollout is paid for"
    assert ask(oracle(spent=ten), rollout=99) is Reason.BUDGET_HOST


def test_for_its_service_each_plan_of_a_rollout_counts() -> None:
    mine = tuple(Spend(NOW - 60 * n, ORACLE, "restart", True, n, rollout=n) for n in range(1, 4))
    assert ask(oracle(spent=mine), rollout=3) is Reason.BUDGET_SERVICE
