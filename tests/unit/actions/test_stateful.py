"""The way back of a service that keeps state: nobody hands its data back to the old version without a person's word."""

import asyncio
from dataclasses import replace

import pytest

from supervisor.facts import Needs
from supervisor.incidents.permit import HANDS_BACK, may_step, needs_word
from supervisor.lab.engine import Behaviour, Fault, SimImage
from supervisor.verdicts import Reason, no, yes
from tests.support.runner import Killed, sim_box

GOOD = SimImage(tags=("db:1",), run=Behaviour(healthy_after=1.0))
BAD = SimImage(tags=("db:2",), run=Behaviour(exit_after=1.0, exit_code=3))
NEVER_STARTS = SimImage(tags=("db:3",), run=Behaviour(start_error="exec format error"))
NEEDS = Needs(startup=30.0, stateful=True)


@pytest.fixture
def box():
    with sim_box() as made:
        made.good, made.bad, made.broken = (made.engine.add_image(each) for each in (GOOD, BAD, NEVER_STARTS))
        made.engine.human_run("db", "db:1", policy="always")
        made.let(3.0)
        made.answer = None
        made.asked = []
        made.core.refuse = lambda plan, step, seen: guarded(made, plan, step, seen)
        yield made


def guarded(box, plan, name, seen):
    """What the core would say: the person's word if there is one, else the guard."""
    step = next(each for each in plan.steps if each.name == name)
    verdict = may_step(plan, step, None, seen) if step.back else yes()
    if verdict.reason is Reason.NEEDS_APPROVAL:
        box.asked.append(verdict.text)
        verdict = verdict if box.answer is None else box.answer  # a no is falsy
    return None if verdict.ok else verdict


def plan(box, image, **needs):
    service = replace(box.service("db", proved_image=box.good), needs=replace(NEEDS, **needs))
    return box.plan("phoenix", service, image)


def begin(box, made):
    async def run():
        box.core.journal[made.id] = made
        box.core.runner.start(made)
        await asyncio.sleep(60)

    box.run(run())


def states(box):
    return {each.name: (each.status, each.image_id) for each in box.engine.containers()}


def test_it_stops_the_new_one_keeps_both_and_asks_until_the_word_comes(box):
    made = plan(box, box.bad)
    begin(box, made)
    assert 1 in box.core.journal, "the plan stays open"
    parked = next(name for name in states(box) if ".resurgam-parked-" in name)
    assert states(box) == {"db": ("exited", box.bad), parked: ("exited", box.good)}
    assert [box.engine.container(name).restart_policy for name in ("db", parked)] == ["no", "no"]
    assert "the new container died" in box.asked[0]
    assert "keeps state" in box.asked[0]
    assert HANDS_BACK not in box.core.journal[1].begun
    box.answer = yes("uid:0 approved it.")
    ended = box.run(box.core.wait(1))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert states(box)["db"] == ("running", box.good)
    assert box.engine.container("db").restart_policy == "always"


def test_a_no_ends_it_degraded_with_both_kept_and_said(box):
    begin(box, plan(box, box.bad))
    box.answer = no(Reason.DENIED, "uid:0 denied it (ap-1).")
    ended = box.run(box.core.wait(1))
    assert ended.outcome.reason is Reason.DEGRADED
    assert ended.data["why"] == "denied"
    parked = next(name for name in states(box) if ".resurgam-parked-" in name)
    assert states(box) == {"db": ("exited", box.bad), parked: ("exited", box.good)}
    assert ended.left == (parked,)
    for word in ("uid:0 denied it", parked, "docker update --restart always"):
        assert word in ended.outcome.text
    assert "remove" not in {op for op, _key, _at in box.engine.writes}


@pytest.mark.parametrize(
    ("image", "needs"),
    [("broken", {}), ("bad", {"stateful": False}), ("good", {})],
    ids=["never started", "keeps no state", "same image"],
)
def test_no_word_is_needed_where_nothing_can_have_changed_the_data(box, image, needs):
    if image == "good":
        box.engine.fault = lambda op, key: Fault.refuse() if op == "start" and key != made.container_id else None
    made = plan(box, getattr(box, image), **needs)
    ended = box.run(box.core.run(made))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.asked == []
    assert states(box)["db"] == ("running", box.good)


@pytest.mark.parametrize("answer", [yes("approved"), no(Reason.DENIED, "denied")])
def test_a_process_that_takes_over_waits_on_and_touches_nothing(box, answer):
    begin(box, plan(box, box.bad))
    wrote = len(box.engine.writes)
    box.run(box.core.runner.close())

    async def again():
        box.core.unsaved.clear()
        box.core.runner = box.core.fresh()
        box.core.runner.start(replace(box.core.journal[1], recovered=1))
        await asyncio.sleep(60)

    box.run(again())
    assert 1 in box.core.journal
    assert box.engine.writes[wrote:] == []
    box.answer = answer
    ended = box.run(box.core.wait(1))
    assert ended.outcome.reason is (Reason.ROLLED_BACK if answer.ok else Reason.DEGRADED)


def test_a_word_that_was_given_holds_over_a_kill(box):
    made = plan(box, box.bad)
    box.answer = yes("approved")

    def die(step):
        if step == "back_verify":
            raise Killed(step)

    box.core.at_step = die
    with pytest.raises(Killed):
        box.run(box.core.run(made))
    box.core.at_step = lambda step: None
    box.answer, box.asked = None, []
    (ended,) = box.run(box.core.recover())
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.asked == []
    assert states(box)["db"] == ("running", box.good)


@pytest.mark.parametrize("which", ["new", "old"])
def test_somebody_who_starts_one_of_them_meanwhile_has_decided(box, which):
    made = plan(box, box.bad)
    begin(box, made)
    key = made.container_id if which == "old" else "db"
    box.engine.break_container(key)
    box.engine.world.get(key).override = Behaviour()
    box.engine.human_start(key)
    ended = box.run(box.core.wait(1))
    assert ended.outcome.reason is Reason.DEGRADED
    assert ended.data["why"] == "interfered"
    assert box.engine.container(key).running
    assert len(states(box)) == 2


def test_the_guard_asks_for_a_container_that_ran_whatever_the_marks_say(box):
    made = replace(plan(box, box.bad), marks=(("look", True, {"old_image": "a", "new_image": "b", "new_id": "n"}),))
    ran = replace(box.engine.container("db"), id="n")
    assert needs_word(made, (ran,))
    assert not needs_word(made, (replace(ran, started_at=0.0),))
    assert not needs_word(made, ())
    steps = {step.name: step for step in made.steps}
    for name in ("back_aside", "back_name", "back_policy", "back_start", "back_verify", "back_clear"):
        assert may_step(made, steps[name], None, (ran,)).reason is Reason.NEEDS_APPROVAL
        assert may_step(replace(made, begun=(HANDS_BACK,)), steps[name], None, (ran,)).ok
    assert may_step(made, steps["back_stop"], None, (ran,)).ok


COMPOSE = {"com.docker.compose.project": "ai", "com.docker.compose.service": "db"}


def denied(box):
    """How a plan ended whose way back a person denied; it left the old container, which compose had made, parked."""
    box.engine.human_remove("db", force=True)
    box.engine.human_run("db", "db:1", labels=COMPOSE, policy="always")
    box.let(3.0)
    begin(box, plan(box, box.bad))
    box.answer = no(Reason.DENIED, "uid:0 denied it (ap-1).")
    ended = box.run(box.core.wait(1))
    assert ended.outcome.reason is Reason.DEGRADED
    return ended


def again(box):
    """Another Phoenix, to the image that does well."""
    service = replace(box.service("db", proved_image=box.good), needs=NEEDS)
    return box.run(box.core.run(box.plan("phoenix", service, box.good, plan_id=2)))


def test_a_no_hands_the_policy_to_the_core_and_says_how_it_comes_back(box):
    ended = denied(box)
    assert ended.data["held_down"] == "always"
    assert "`resurgam start db` starts db and gives it back `always`" in ended.outcome.text


def test_where_somebody_started_it_no_start_is_promised(box):
    begin(box, plan(box, box.bad))
    box.engine.world.get("db").override = Behaviour()
    box.engine.human_start("db")
    ended = box.run(box.core.wait(1))
    assert ended.data["held_down"] == "always"
    assert "resurgam start" not in ended.outcome.text
    assert "docker update --restart always" in ended.outcome.text


def test_what_a_no_left_parked_gets_a_spare_when_a_later_phoenix_did_well(box):
    (parked,) = denied(box).left
    old = box.engine.container(parked)
    ended = again(box)
    assert ended.outcome.ok
    assert f"{parked}, left by an earlier Phoenix, was removed" in ended.outcome.text
    assert parked not in states(box)
    spares = [each for each in box.engine.containers() if ".resurgam-spare-" in each.name]
    assert old.image_id in [each.image_id for each in spares]
    assert not [each for each in spares if any(label.startswith("com.docker.compose.") for label in each.labels)]
    assert {each.restart_policy for each in spares} == {"no"}
    assert set(ended.left) == {each.name for each in spares}


def test_one_with_much_of_its_own_stays_and_is_told(box, monkeypatch):
    (parked,) = denied(box).left
    monkeypatch.setattr("supervisor.actions.prepare.LARGE_LAYER", -1)
    ended = again(box)
    assert ended.outcome.ok
    assert parked in ended.left
    assert f"{parked}, of an earlier Phoenix, is kept: much was written" in ended.outcome.text


def test_one_that_somebody_starts_before_it_is_removed_is_theirs(box):
    (parked,) = denied(box).left
    box.core.at_step = lambda step: box.engine.human_start(parked) if step == "spare" else None
    ended = again(box)
    assert ended.outcome.ok
    assert box.engine.container(parked).running


def test_an_engine_that_makes_no_spare_of_it_has_it_kept_and_told(box):
    (parked,) = denied(box).left
    spare = parked.replace("parked", "spare")
    box.engine.fault = lambda op, key: Fault.refuse() if (op, key) == ("create", spare) else None
    ended = again(box)
    assert ended.outcome.ok
    assert parked in states(box)
    assert f"{parked}, of an earlier Phoenix, is kept" in ended.outcome.text
