"""What counts against the budgets: admitted plans that disturb something, whatever the clock or a restart does."""

from typing import Any

from supervisor.core.spending import SPENT_FOR, Spending
from supervisor.facts import Plan

NOW = 1_760_000_000.0


class Puts:
    """A turn's batch: the space `spent` as it would be kept."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def put(self, space: str, key: str, value: Any) -> None:
        assert space == "spent"
        if value is None:
            del self.kept[key]
        else:
            self.kept[key] = value


def plan(number: int, verb: str = "restart", **params: str) -> Plan:
    return Plan(number, verb, "oracle", "docker", params, "why", "uid:0", NOW, "op", "c1", "oracle", ())


def opened(*plans: Plan, at: float = NOW) -> tuple[Spending, Puts]:
    made, puts = Spending({}, NOW), Puts()
    for one in plans:
        made.opened(puts, one, at)
    return made, puts


def test_what_disturbs_counts_and_outlives_a_restart() -> None:
    made, puts = opened(plan(1), plan(2, "protect"), plan(3, "freeze"))
    assert [(one.plan, one.disruptive) for one in made.count(NOW)] == [(1, True), (3, False)]
    again = Spending(puts.kept, NOW + 60)
    assert again.count(NOW + 60) == made.count(NOW)
    assert again.last() == 3
    assert opened()[0].last() == 0


def test_what_touched_nothing_is_forgiven() -> None:
    made, puts = opened(plan(1), plan(2))
    made.forgive(puts, 1)
    made.forgive(puts, 1)
    assert [one.plan for one in made.count(NOW)] == [2]
    assert list(puts.kept) == ["2"]


def test_a_clock_that_was_put_back_holds_no_budget_for_ever() -> None:
    _made, puts = opened(plan(1), at=NOW + 9e6)
    (one,) = Spending(puts.kept, NOW).count(NOW)
    assert one.at == NOW


def test_time_in_which_nobody_could_act_refills_nothing() -> None:
    made, puts = opened(plan(1))
    made.gap(puts, 7200.0)
    assert [one.at for one in made.count(NOW + 7200)] == [NOW + 7200]
    assert Spending(puts.kept, NOW + 7200).count(NOW + 7200) == made.count(NOW + 7200)


def test_what_is_too_old_is_let_go_with_the_next_one() -> None:
    made, puts = opened(plan(1))
    later = NOW + SPENT_FOR + 1
    assert made.count(later) == ()
    made.opened(puts, plan(2), later)
    assert list(puts.kept) == ["2"]
