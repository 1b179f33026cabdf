"""Where a slot's callers are sent while no plan is at work on it."""

from dataclasses import replace

import pytest

from supervisor.facts import Container, Plan, Service, Slot, SlotModel, Wanted
from supervisor.slots.doors import HOLD, OPEN, REFUSE, Order, order
from supervisor.slots.kept import Kept
from supervisor.slots.state import Sight, state_of
from supervisor.verdicts import yes

SLOT = Slot("oracle", (SlotModel("a", "a", url="http://127.0.0.1:8001"),), listen="127.0.0.1:8000")


def sight(status: str = "running", holder: str = "a", **more: object) -> Sight:
    box = Container("c1", "a", image_id="i", image_ref="r", status=status, restart_policy="no")
    service = Service("a", "docker", box, yes())
    wanted = more.pop("wanted", None)
    if isinstance(wanted, Wanted):
        service = replace(service, wanted=wanted)
    return Sight(SLOT, Kept(holder), 100.0, 100.0, {"a": service}, **more)  # type: ignore[arg-type]


def told(seen: Sight, *, hopeless: bool = False) -> Order | None:
    return order(seen, state_of(seen), hopeless=hopeless)


def test_to_the_one_that_holds_it_while_that_runs() -> None:
    assert told(sight()) == Order("oracle", OPEN, "http://127.0.0.1:8001")


@pytest.mark.parametrize("status", ["exited", "created", "dead"])
def test_nobody_is_sent_to_one_that_does_not_run_though_its_address_is_known(status: str) -> None:
    found = told(sight(status))
    assert found is not None
    assert found.act == HOLD, "it may come back"


def test_they_are_sent_away_where_nobody_holds_it_or_nobody_comes_back() -> None:
    stopped = Wanted("stopped", "uid:0", 1.0, "enough")
    for found in (
        told(sight(holder="")),
        told(sight("exited"), hopeless=True),
        told(sight("exited", wanted=stopped)),
    ):
        assert found is not None
        assert found.act == REFUSE
        assert found.word, "they are told why"


def test_a_plan_at_work_sees_to_it_itself_but_not_one_that_waits_or_only_measures() -> None:
    plan = Plan(1, "swap", "slot:oracle", "docker", {}, "why", "uid:0", 1.0, "op", "", "")
    assert told(sight(plan=plan)) is not None
    assert told(sight(plan=replace(plan, begun=("preflight",)))) is None
    assert told(sight(plan=replace(plan, verb="bench", begun=("preflight",)))) is not None
