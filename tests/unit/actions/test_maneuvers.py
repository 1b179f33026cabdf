"""Stop, start, restart, protect and notify on a simulated engine."""

import pytest

from supervisor.facts import Needs, Wanted
from supervisor.lab.engine import NEVER, Behaviour, Fault, SimImage
from supervisor.verdicts import Reason, no
from tests.support.runner import sim_box


@pytest.fixture
def box():
    with sim_box() as made:
        made.image = made.engine.add_image(SimImage(tags=("qwen:1",), run=Behaviour(healthy_after=1.0)))
        yield made


def running(box, policy="always", **more):
    box.engine.human_run("qwen", "qwen:1", policy=policy, **more)
    box.let(3.0)
    return box.service("qwen")


def stopped(box, policy="always"):
    service = running(box, policy)
    box.run(box.core.run(box.plan("stop", service, plan_id=90)))
    return box.service("qwen", wanted=Wanted("stopped", policy=policy))


def ops(box):
    return [op for op, _key, _at in box.engine.writes]


def test_stop_stops_before_it_touches_the_policy_and_hands_the_policy_over(box):
    ended = box.run(box.core.run(box.plan("stop", running(box))))
    assert ended.outcome.reason is Reason.VERIFIED
    assert ops(box) == ["stop", "set_policy"]
    assert box.core_data()["policy"] == "always"
    seen = box.engine.container("qwen")
    assert (seen.status, seen.restart_policy) == ("exited", "no")
    box.engine.restart_engine()
    box.let(30.0)
    assert box.engine.container("qwen").status == "exited"


def test_a_second_stop_does_not_forget_the_policy(box):
    service = stopped(box)
    box.core.notes.clear()
    ended = box.run(box.core.run(box.plan("stop", service)))
    assert ended.outcome.ok
    assert "policy" not in box.core_data()


def test_a_stop_ends_a_crash_loop(box):
    box.engine.add_image(SimImage(tags=("bad:1",), run=Behaviour(exit_after=0.1, exit_code=1)))
    box.engine.human_run("qwen", "bad:1", policy="always")
    box.let(5.0)
    assert box.engine.container("qwen").status == "restarting"
    assert box.run(box.core.run(box.plan("stop", box.service("qwen")))).outcome.ok
    box.let(100.0)
    assert box.engine.container("qwen").status == "exited"


def test_a_container_that_has_to_be_killed_is_stopped_all_the_same_and_it_is_said(box):
    box.engine.add_image(SimImage(tags=("deaf:1",), run=Behaviour(stop_takes=None)))
    box.engine.human_run("qwen", "deaf:1")
    box.let(1.0)
    ended = box.run(box.core.run(box.plan("stop", box.service("qwen", needs=Needs(stop_grace=2.0)))))
    assert ended.outcome.ok
    assert "stop-grace" in ended.outcome.text


def test_scale_to_nothing_and_back(box):
    service = running(box)
    assert box.run(box.core.run(box.plan("scale", service, replicas="0"))).outcome.ok
    assert box.engine.container("qwen").status == "exited"
    service = box.service("qwen", wanted=Wanted("stopped", policy="always"))
    assert box.run(box.core.run(box.plan("scale", service, plan_id=2, replicas="1"))).outcome.ok
    seen = box.engine.container("qwen")
    assert (seen.health, seen.restart_policy) == ("healthy", "always")


def test_start_gives_the_policy_back_before_it_starts(box):
    service = stopped(box, "unless-stopped")
    box.engine.writes.clear()
    ended = box.run(box.core.run(box.plan("start", service)))
    assert ended.outcome.ok
    assert ops(box) == ["set_policy", "start"]
    assert box.engine.container("qwen").restart_policy == "unless-stopped"


def test_starting_what_runs_already_writes_nothing(box):
    ended = box.run(box.core.run(box.plan("start", running(box))))
    assert ended.outcome.ok
    assert ops(box) == []


def test_a_start_that_dies_is_left_as_it_was_found(box):
    service = stopped(box)
    box.engine.break_container("qwen", exit_after=0.5, exit_code=139)
    ended = box.run(box.core.run_heard(box.plan("start", service)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "139" in ended.outcome.text
    box.let(100.0)
    seen = box.engine.container("qwen")
    assert (seen.status, seen.restart_policy) == ("exited", "no")


def test_a_start_that_only_takes_too_long_is_left_running(box):
    service = stopped(box)
    box.engine.break_container("qwen", healthy_after=NEVER)
    ended = box.run(box.core.run(box.plan("start", service, within="20s")))
    assert ended.outcome.reason is Reason.FAILED
    assert box.engine.container("qwen").running


def test_a_restart_keeps_container_and_policy_and_proves_it(box):
    service = running(box)
    ended = box.run(box.core.run(box.plan("restart", service)))
    assert ended.outcome.ok
    assert "proof" in ended.data
    assert ops(box) == ["stop", "start"]
    seen = box.engine.container("qwen")
    assert (seen.id, seen.health, seen.restart_policy) == (service.container.id, "healthy", "always")


def test_the_death_of_its_own_stop_is_not_held_against_a_restart(box):
    plan = box.plan("restart", running(box))
    box.engine.latency["event"] = 0.4  # the news of the stop's death comes after the start
    assert box.run(box.core.run_heard(plan)).outcome.ok


@pytest.mark.parametrize("behaviour", [{"exit_after": 0.5, "exit_code": 1}, {"healthy_after": NEVER}])
def test_a_restart_that_does_not_help_has_failed(box, behaviour):
    service = running(box)
    box.engine.break_container("qwen", **behaviour)
    ended = box.run(box.core.run(box.plan("restart", service, within="20s")))
    assert ended.outcome.reason is Reason.FAILED


def test_a_restart_that_leaves_it_down_is_degraded(box):
    plan = box.plan("restart", running(box))
    box.engine.fault = lambda op, key: Fault.refuse() if op == "start" else None
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.DEGRADED
    assert "down" in ended.outcome.text


def test_a_restart_into_a_dead_network_is_refused_before_anything_is_touched(box):
    box.engine.human_run("vpn", "qwen:1")
    service = running(box, host={"NetworkMode": "container:vpn"})
    plan = box.plan("restart", service)
    box.engine.human_remove("vpn", force=True)
    ended = box.run(box.core.run(plan))
    assert ended.data["why"] == Reason.UNSUPPORTED.value
    assert ops(box) == []


@pytest.mark.parametrize("verb", ["stop", "start", "restart"])
@pytest.mark.parametrize("hand", ["human_remove", "human_rename"])
def test_what_somebody_took_away_is_left_alone(box, verb, hand):
    plan = box.plan(verb, running(box))
    if hand == "human_remove":
        box.engine.human_remove("qwen", force=True)
    else:
        box.engine.human_rename("qwen", "mine")
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data["why"] in (Reason.VANISHED.value, Reason.INTERFERED.value)
    assert ops(box) == []


@pytest.mark.parametrize("verb", ["stop", "start", "restart", "phoenix"])
def test_a_plan_that_may_not_begin_has_touched_nothing(box, verb):
    service = running(box)
    box.core.refuse = lambda plan, step, seen: no(Reason.PAUSED, "Paused.")
    ended = box.run(box.core.run(box.plan(verb, service, box.image)))
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert ended.data["why"] == "paused"
    assert ops(box) == []


@pytest.mark.parametrize("verb", ["stop", "restart", "start"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.refuse(),
        Fault.timeout_before_effect(),
        Fault.effect_then_timeout(),
        Fault.cut(),
        Fault.effect_then_cut(),
        Fault.delay(35.0),
    ],
    ids=lambda fault: fault.kind,
)
@pytest.mark.parametrize("op", ["inspect", "stop", "start", "set_policy"])
def test_one_fault_does_not_keep_it_from_being_done(box, verb, fault, op):
    service = stopped(box) if verb == "start" else running(box)
    left = [1]

    def once(asked, _key):
        if asked == op and left:
            left.pop()
            return fault
        return None

    box.engine.fault = once
    ended = box.run(box.core.run(box.plan(verb, service)))
    assert ended.outcome.ok, ended
    box.let(60.0)
    assert box.engine.container("qwen").running == (verb != "stop")


def test_protect_tags_the_image_once(box):
    plan = box.plan("protect", running(box), box.image, image=box.image)
    assert box.run(box.core.run(plan)).outcome.ok
    assert box.engine.world.shelf.tags["resurgam/lkg:qwen"] == box.image
    again = box.plan("protect", box.service("qwen"), box.image, plan_id=2, image=box.image)
    assert box.run(box.core.run(again)).outcome.ok
    assert ops(box) == ["tag"]


def test_an_image_that_is_gone_cannot_be_protected(box):
    ended = box.run(box.core.run(box.plan("protect", running(box), "sha256:" + "0" * 64)))
    assert ended.outcome.reason is Reason.FAILED
