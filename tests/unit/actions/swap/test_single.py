"""One model of a slot: load, unload, sleep, wake, bench; and a swap inside one server."""

from dataclasses import replace

import pytest

from supervisor.actions.swap import steps
from supervisor.facts import SlotModel
from supervisor.facts.slots import ASLEEP, LOADED, UNLOADED
from supervisor.ports import ModelAt
from supervisor.verdicts import Reason
from tests.support.swap_lab import CRITERIA, SLEEP, SimModel, measured

INSIDE = (SlotModel("a", "a", inside=True), SlotModel("b", "a", inside=True))
NAPS = (SlotModel("a", "a", sleep=1), SlotModel("b", "b", sleep=1))


def state(box, name):
    model = box.slot.model(name)
    return box.world.state(ModelAt(model, container=box.engine.container(model.service)))


def inside(lab, **minds):
    box = lab(models=INSIDE, together=2)
    for name in "ab":
        box.world.declare("a", minds.get(name, SimModel(load=1.0, rate=40.0)), inside=name)
    at = ModelAt(box.slot.models[0], container=box.engine.container("a"))
    box.run(box.world.verb("load", at, 60.0))
    return box


def parts(box):
    return {"parts": {"a": box.part("a"), "b": box.part("a")}}


def test_unload_of_a_container_stops_it_and_keeps_it_down(lab):
    box = lab()
    ended = box.do(box.plan("unload", "a", "", within="30s"))
    assert ended.outcome.ok, ended
    assert ended.data["holder"] == ""
    assert ended.data["stopped"] == ["a"]
    assert ended.data["policies"] == {"a": "unless-stopped"}
    assert box.status()["a"] == (False, "no")
    assert box.gate.told[-1][:2] == ("refuse", "oracle")


def test_unload_by_ourselves_never_cuts_anybody(lab):
    box = lab()
    box.world.busy["a"] = 1
    ended = box.do(box.plan("unload", "a", "", within="30s", by="resurgam"))
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert ended.data["why"] == "in_use"
    assert box.ops() == []
    assert box.gate.state("oracle").open


def test_unload_as_an_emergency_goes_on_when_its_time_is_up(lab):
    box = lab()
    box.world.busy["a"] = 1
    ended = box.do(box.plan("unload", "a", "", within="5s", by="rule:MemoryLow"))
    assert ended.outcome.ok
    assert not box.status()["a"][0]


def test_unload_inside_a_server_leaves_the_server_running(lab):
    box = inside(lab)
    ended = box.do(box.plan("unload", "a", "", found=parts(box), within="30s"))
    assert ended.outcome.ok, ended
    assert state(box, "a") == UNLOADED
    assert ended.data["stopped"] == []
    assert box.status()["a"] == (True, "unless-stopped")


def test_a_model_that_does_not_hold_the_slot_is_put_away_without_holding_anybody(lab):
    box = inside(lab)
    box.run(box.world.verb("load", ModelAt(box.slot.models[1], container=box.engine.container("a")), 60.0))
    ended = box.do(box.plan("unload", "b", "", found=parts(box), within="30s"))
    assert ended.outcome.ok
    assert (state(box, "a"), state(box, "b")) == (LOADED, UNLOADED)
    assert ended.data["holder"] == "a"
    assert box.callers.unanswered == ()
    assert box.gate.state("oracle").longest_hold == 0.0


def test_load_inside_a_server_beside_the_one_that_holds_the_slot(lab):
    box = inside(lab)
    ended = box.do(box.plan("load", "", "b", found=parts(box)))
    assert ended.outcome.ok, ended
    assert (state(box, "a"), state(box, "b")) == (LOADED, LOADED)
    assert ended.data["holder"] == "a"
    assert ended.data["loads"]["b"] >= 1.0


def test_load_puts_others_away_first(lab):
    box = inside(lab)
    ended = box.do(box.plan("load", "", "b", found={**parts(box), "evict": ["a"], "holder": "a"}))
    assert ended.outcome.ok, ended
    assert (state(box, "a"), state(box, "b")) == (UNLOADED, LOADED)


def test_callers_wait_for_the_heir_of_a_slot_and_are_not_sent_away(lab):
    box = inside(lab)
    ended = box.do(box.plan("unload", "a", "", within="30s", found={**parts(box), "heir": "b"}))
    assert ended.outcome.ok
    assert ended.data["holder"] == "", "the core looks who is there"
    assert [what for what, _slot, _more in box.gate.told if what == "refuse"] == []
    assert box.gate.told[-1][0] == "hold"


def test_where_the_holder_has_to_go_for_one_that_comes_that_one_holds_the_slot(lab):
    box = inside(lab)
    ended = box.do(box.plan("load", "", "b", found={**parts(box), "evict": ["a"], "holder": "a"}))
    assert ended.outcome.ok, ended
    assert (state(box, "a"), state(box, "b")) == (UNLOADED, LOADED)
    assert ended.data["holder"] == "b"
    told = [what for what, _slot, _more in box.gate.told]
    assert told[-2:] == ["hold", "open"], "nobody is sent to one that is put away"
    assert box.callers.unanswered == ()


def test_the_holder_is_not_put_away_for_another_one_while_it_works(lab):
    box = inside(lab)
    box.world.busy["a"] = 1
    box.slot = replace(box.slot, drain=5.0)
    ended = box.do(box.plan("load", "", "b", found={**parts(box), "evict": ["a"], "holder": "a"}))
    assert ended.outcome.text.startswith("b did not come: a would have to go, and works: ")
    assert (state(box, "a"), state(box, "b")) == (LOADED, UNLOADED)
    assert ended.data["holder"] == "a"


def test_a_load_that_fails_behind_the_holder_leaves_nobody(lab):
    box = inside(lab, b=SimModel(load=1.0, breaks_in=1, sticky=True))
    ended = box.do(box.plan("load", "", "b", found={**parts(box), "evict": ["a"], "holder": "a"}))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert ended.data["holder"] == "", "the core looks who is there"


def test_a_load_that_fails_is_undone(lab):
    box = inside(lab, b=SimModel(load=1.0, breaks_in=1, sticky=True))
    ended = box.do(box.plan("load", "", "b", found=parts(box)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert state(box, "b") == UNLOADED
    assert ended.data["holder"] == "a"
    assert ended.data["no_go"]["model"] == "b"


def test_a_swap_inside_one_server_has_one_of_them_at_a_time(lab):
    box = inside(lab)
    ended = box.do(box.plan("swap", "a", "b", found=parts(box), baseline=measured("a", 20.0)))
    assert ended.outcome.ok, ended
    assert (state(box, "a"), state(box, "b")) == (UNLOADED, LOADED)
    assert [verb for verb, _name, _at in box.world.verbs] == ["load", "unload", "load"]
    assert box.ops() == []
    assert ended.data["stopped"] == []


def test_a_swap_inside_one_server_goes_back_too(lab):
    box = inside(lab, b=SimModel(load=1.0, rate=9.0))
    ended = box.do(box.plan("swap", "a", "b", found=parts(box)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert (state(box, "a"), state(box, "b")) == (LOADED, UNLOADED)
    assert box.callers.unanswered == ()


def test_a_server_that_says_yes_and_does_nothing_is_not_believed(lab):
    box = inside(lab, a=SimModel(load=1.0, ignores=("unload",)))
    ended = box.do(box.plan("swap", "a", "b", found=parts(box)))
    assert not ended.outcome.ok
    assert ended.data["holder"] == "a"
    assert state(box, "a") == LOADED
    assert state(box, "b") == UNLOADED


def test_sleep_and_wake(lab):
    box = lab(models=NAPS)
    ended = box.do(box.plan("sleep", "a", "", shape=SLEEP, within="5m"))
    assert ended.outcome.ok, ended
    assert state(box, "a") == ASLEEP
    assert ended.data["holder"] == ""
    assert ended.data["stopped"] == []
    plan = box.plan("wake", "", "a", shape=SLEEP, found={"holder": ""}, within="5m")
    ended = box.do(plan)
    assert ended.outcome.ok, ended
    assert state(box, "a") == LOADED
    assert ended.data["holder"] == "a"
    assert box.gate.state("oracle").open


def test_what_wakes_out_of_its_senses_sleeps_again(lab):
    box = lab(models=NAPS)
    box.world.declare("a", SimModel(load=2.0, rate=20.0, wakes_senseless=True))
    box.do(box.plan("sleep", "a", "", shape=SLEEP, within="5m"))
    ended = box.do(box.plan("wake", "", "a", shape=SLEEP, found={"holder": ""}, within="5m"))
    assert ended.outcome.reason is Reason.ROLLED_BACK, ended
    assert "canaries: 0 of 1 right" in ended.outcome.text
    assert state(box, "a") == ASLEEP
    assert ended.data["holder"] == ""


def test_what_cannot_sleep_is_refused(lab):
    box = lab()
    ended = box.do(box.plan("sleep", "a", "", shape=SLEEP, within="5m"))
    assert not ended.outcome.ok
    assert "has no sleep" in ended.outcome.text
    assert state(box, "a") == LOADED


@pytest.mark.parametrize(("rate", "ok"), [(20.0, True), (9.0, False)])
def test_bench_changes_nothing_and_says_how_it_did(lab, rate, ok):
    box = lab()
    box.world.declare("a", SimModel(load=2.0, rate=rate))
    ended = box.do(box.plan("bench", "", "a", runs="5"))
    assert ended.outcome.ok is ok
    assert ended.data["bench"]["runs"] == 5
    assert ended.data["bench"]["reason"] == "asked"
    assert ended.data["verdict"] == ("GO" if ok else "NO-GO")
    assert ended.data["measured"] is None
    assert box.ops() == []
    assert box.callers.unanswered == ()


def test_bench_of_what_does_not_run_is_refused(lab):
    box = lab()
    ended = box.do(box.plan("bench", "", "b"))
    assert not ended.outcome.ok
    assert "b does not run" in ended.outcome.text
    assert box.ops() == []


@pytest.mark.parametrize("only_look", [False, True])
def test_in_probation_its_log_counts_from_its_start_on(lab, only_look):
    box = lab(criteria=replace(CRITERIA, log=("CUDA error",)))
    swap = box.do(box.plan())
    assert swap.outcome.ok
    box.engine.world.get("b").log.append("CUDA error: an illegal memory access")
    for found, ok in (({}, True), ({"log": swap.data["log"]}, False)):
        plan = box.plan("bench", "", "b", found=found)
        ended = box.do(replace(plan, steps=steps.bench(measured=False)) if only_look else plan)
        assert ended.outcome.ok is ok, ended.outcome
        assert (ended.data["bench"] is None) is only_look
    assert ended.data["verdict"] == "NO-GO"
    assert "CUDA error: an illegal memory access" in ended.outcome.text
