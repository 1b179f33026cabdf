"""Side by side: nobody is held, and the old one stops only when nobody is at it any more."""

import pytest

from supervisor.verdicts import Reason
from tests.support.swap_lab import BESIDE, SimModel


def beside(box, **more):
    return box.plan(shape=BESIDE, **more)


def test_callers_move_and_nobody_is_held(lab):
    box = lab()
    ended = box.do(beside(box))
    assert ended.outcome.ok
    assert ended.data["holder"] == "b"
    assert box.status() == {"a": (False, "no"), "b": (True, "unless-stopped")}
    assert box.ops() == [("start", "b"), ("stop", "a"), ("set_policy", "a")]
    assert box.callers.unanswered == ()
    assert box.gate.state("oracle").longest_hold == 0.0
    assert ended.data["report"]["outage"] == 0.0
    assert ended.data["policies"] == {"a": "unless-stopped"}


@pytest.mark.parametrize(
    "mind",
    [SimModel(load=3.0, rate=9.0), SimModel(load=3.0, dies_in=2), SimModel(load=1e9)],
    ids=["slow", "dies", "never"],
)
def test_one_that_does_not_do_is_stopped_and_the_old_one_never_noticed(lab, mind):
    box = lab()
    box.world.declare("b", mind)
    ended = box.do(beside(box))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert ended.data["holder"] == "a"
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}
    assert not [key for op, key in box.ops() if key == "a"]
    assert box.callers.unanswered == ()
    assert box.callers.models == ("a",)


def test_on_fail_stop_takes_nobody_from_the_old_one_that_never_left(lab):
    box = lab(on_fail="stop")
    box.world.declare("b", SimModel(load=3.0, rate=9.0))
    ended = box.do(beside(box))
    assert (ended.data["holder"], ended.data["stopped"]) == ("a", ["b"])
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}
    assert box.callers.unanswered == ()
    assert box.gate.state("oracle").open


def test_where_the_old_one_works_on_the_callers_go_back(lab):
    box = lab()
    box.at_step("move", lambda: box.world.busy.update(a=1))
    ended = box.do(beside(box))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "a still works: 1 request in flight" in ended.outcome.text
    assert ended.data["no_go"] is None
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}
    assert box.callers.unanswered == ()
    assert box.callers.models[-1] == "a"


def test_the_name_that_callers_use_goes_with_them(lab):
    box = lab(gate=False, rename="llm")
    box.engine.human_rename("a", "llm")
    plan = box.plan(shape=BESIDE, found={"parts": {"a": box.part("llm"), "b": box.part("b")}})
    ended = box.do(plan)
    assert ended.outcome.ok
    assert box.status() == {"llm-a": (False, "no"), "llm": (True, "unless-stopped")}
