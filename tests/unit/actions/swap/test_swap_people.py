"""A person's hand, or the engine's end, in the midst of a swap: the safest end that can be reached."""

import asyncio

import pytest

from supervisor.verdicts import Reason
from tests.support.swap_lab import SimModel

TRIAL = ["start", "ready", "warmup", "bench", "canary"]


def later(box, step, act, seconds=0.3):
    box.at_step(step, lambda: box.loop.call_later(seconds, act))


@pytest.mark.parametrize("step", TRIAL[1:])
def test_whoever_stops_the_new_one_gets_the_old_one_back_and_no_no_go(lab, step):
    box = lab()
    later(box, step, lambda: box.engine.human_stop("b"))
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "b did not take over oracle: b was stopped by somebody" in ended.outcome.text
    assert ended.data["no_go"] is None
    assert ended.data["verdict"] == ""
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}
    assert box.both_ran == []


@pytest.mark.parametrize("step", TRIAL[1:])
def test_whoever_starts_the_old_one_gets_it(lab, step):
    box = lab()
    later(box, step, lambda: box.engine.human_start("a"))
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "somebody started a meanwhile" in ended.outcome.text
    assert ended.data["no_go"] is None
    status = box.status()
    assert status["a"][0]
    assert status["b"] == (False, "no")


def test_a_new_one_that_is_removed_goes_back(lab):
    box = lab()
    later(box, "ready", lambda: box.engine.human_remove("b", force=True))
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.status() == {"a": (True, "unless-stopped")}


def test_where_the_old_one_was_removed_the_new_one_stays_if_it_answers(lab):
    box = lab()
    box.world.declare("b", SimModel(load=3.0, rate=9.0))
    later(box, "bench", lambda: box.engine.human_remove("a"))
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.DEGRADED
    assert "nothing to go back to" in ended.outcome.text
    assert box.status() == {"b": (True, "unless-stopped")}
    assert ended.data["holder"] == "b"
    assert box.callers.unanswered == ()


def test_a_container_that_compose_made_anew_is_left_alone(lab):
    box = lab()

    def up():
        box.engine.human_remove("b", force=True)
        box.engine.human_run("b", "llama:1")

    later(box, "ready", up)
    ended = box.do(box.plan())
    assert ended.data["why"] == "interfered"
    assert box.status() == {"a": (False, "no"), "b": (True, "no")}
    assert box.both_ran == []


@pytest.mark.parametrize("step", ["stop", "freed", *TRIAL])
def test_an_engine_that_starts_anew_ends_on_the_old_one_and_blames_nobody(lab, step):
    box = lab()
    later(box, step, lambda: box.engine.restart_engine(3.0))
    ended = box.do(box.plan())
    box.run(asyncio.sleep(60.0))
    running = [name for name, (up, _policy) in box.status().items() if up]
    assert running == [ended.data["holder"]], ended
    assert ended.data["no_go"] is None
    assert box.both_ran == []


def test_a_container_that_is_another_one_by_now_is_not_touched(lab):
    box = lab()
    plan = box.plan()
    box.engine.human_rename("b", "mine")
    ended = box.do(plan)
    assert ended.outcome.reason is Reason.FAILED
    assert "renamed to mine" in ended.outcome.text
    assert box.ops() == []
    assert box.gate.state("oracle").open


def test_whoever_had_the_new_one_up_for_a_moment_while_we_drained_spoils_nothing(lab):
    box = lab()
    box.world.busy["a"] = 1
    box.loop.call_later(5.0, lambda: box.engine.human_start("b"))
    box.loop.call_later(9.0, lambda: box.engine.human_stop("b"))
    box.loop.call_later(15.0, lambda: box.world.busy.update(a=0))
    ended = box.do(box.plan())
    assert ended.outcome.ok, ended
    assert box.status() == {"a": (False, "no"), "b": (True, "unless-stopped")}


def test_where_nobody_knows_the_address_of_the_new_one_it_goes_back(lab):
    box = lab()
    box.engine.human_remove("b", force=True)
    box.engine.human_run("b", "llama:1", policy="unless-stopped", host={"NetworkMode": "none"})
    box.run(box.engine.stop("b", 1.0))
    ended = box.do(box.plan())
    assert "nobody knows where its callers are to be sent; give b a url" in ended.outcome.text
    assert ended.data["no_go"] is None
    assert ended.data["holder"] == "a"
