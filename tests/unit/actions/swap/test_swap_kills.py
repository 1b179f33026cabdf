"""SIGKILL at every permit, every engine call, every verb of a server and every word to the gate: the next process ends
on exactly one verified model, and a second one changes nothing."""

import asyncio
from contextlib import suppress

import pytest

from supervisor.facts import SlotModel
from supervisor.facts.slots import LOADED
from supervisor.ports import ModelAt
from supervisor.verdicts import Reason
from tests.support.runner import Killed, Point
from tests.support.swap_lab import BESIDE, SLEEP, SimModel, SwapLab

SLOW = SimModel(load=3.0, rate=9.0)
INSIDE = (SlotModel("a", "a", inside=True), SlotModel("b", "a", inside=True))
NAPS = (SlotModel("a", "a", sleep=1), SlotModel("b", "b", sleep=1))


def prepare(story, point):
    """The box in the state the story begins with, and its plan."""
    if "inside" in story:
        box = SwapLab(point=point, models=INSIDE)
        box.world.declare("a", SimModel(load=1.0, rate=20.0), inside="a")
        box.world.declare("a", SLOW if "slow" in story else SimModel(load=1.0, rate=40.0), inside="b")
        at = ModelAt(box.slot.models[0], container=box.engine.container("a"))
        box.run(box.world.verb("load", at, 60.0))
    else:
        box = SwapLab(point=point, models=NAPS if "sleep" in story else (SlotModel("a", "a"), SlotModel("b", "b")))
    if story.startswith("slow") and "inside" not in story:
        box.world.declare("b", SLOW)
    if "dies" in story:
        box.world.declare("b", SimModel(load=3.0, dies_in=2))
    shape = BESIDE if "beside" in story else SLEEP if "sleep" in story or "inside" in story else "exclusive"
    if "inside" in story:
        plan = box.plan(
            "swap", "a", "b", shape=shape, parts={}, found={"parts": {"a": box.part("a"), "b": box.part("a")}}
        )
    else:
        plan = box.plan("swap", "a", "b", shape=shape)
    arm(box, point)
    point.count, point.seen = 0, []
    return box, plan


def arm(box, point):
    box.engine.on_call = lambda op, key, when: point.pass_by(f"{op} {when}")
    box.gate._point = lambda: point.pass_by("gate")


def points(story):
    point = Point()
    box, plan = prepare(story, point)
    box.run(box.core.run(plan))
    box.close()
    return list(point.seen)


STORIES = [
    "good",
    "slow",
    "dies",
    "good-beside",
    "slow-beside",
    "good-sleep",
    "slow-sleep",
    "good-inside",
    "slow-inside",
]
MATRIX = [
    pytest.param(story, at, id=f"{story}-{at}-{name.replace(' ', '_')}")
    for story in STORIES
    for at, name in enumerate(points(story), start=1)
]


def serving(box):
    """The models that are really in memory."""
    found = []
    for model in box.slot.models:
        seen = box.engine.container(model.service)
        if seen is not None and box.world.state(ModelAt(model, container=seen)) == LOADED:
            found.append(model.name)
    return found


def check(box, ended):
    """What must hold whenever everything has come to rest."""
    box.run(asyncio.sleep(10.0))
    holder = ended.data.get("holder", "a")
    assert serving(box) == [holder], (serving(box), ended)
    if "beside" not in box.story:
        assert box.both_ran == [] or "sleep" in box.story
    upstream = box.gate.state("oracle").upstream
    answered = box.run(box.world.call(upstream))
    assert answered.text, ended
    assert box.gate.state("oracle").open, box.gate.state("oracle")


@pytest.mark.parametrize(("story", "at"), MATRIX)
def test_a_kill_anywhere_ends_on_one_verified_model(story, at):
    point = Point(at=at)
    box, plan = prepare(story, point)
    box.story = story
    try:
        with pytest.raises(Killed):
            box.run(box.core.run(plan))
        assert box.core.journal, "a killed plan is still open"
        before = box.core.journal[7].phase == "before"
        box.die()
        (ended,) = box.run(box.core.recover())
        assert ended.outcome.reason in (Reason.VERIFIED, Reason.ROLLED_BACK, Reason.ENDED_EARLY), ended
        assert (ended.outcome.reason is Reason.ENDED_EARLY) == before
        check(box, ended)
        wrote = len(box.engine.writes)
        box.core.journal.update(box.core.last)
        box.die()
        (again,) = box.run(box.core.recover())
        assert box.engine.writes[wrote:] == []
        assert again.outcome.reason is ended.outcome.reason
        check(box, again)
    finally:
        box.close()


AGAIN = ("good", "slow", "slow-beside", "slow-sleep")
TWICE = [each for each in MATRIX if each.values[0] in AGAIN and each.values[1] % 3 == 0]


@pytest.mark.parametrize(("story", "at"), TWICE)
def test_a_second_kill_during_the_recovery_is_made_good_too(story, at):
    for second in range(at % 29 + 1, 90, 29):
        point = Point(at=at)
        box, plan = prepare(story, point)
        box.story = story
        try:
            with suppress(Killed):
                box.run(box.core.run(plan))
            box.die()
            arm(box, point)
            point.count, point.at = 0, second
            with suppress(Killed):
                box.run(box.core.recover())
            done = not box.core.journal
            if not done:
                point.at = -1
                box.die()
                box.run(box.core.recover())
            check(box, box.core.ended[7])
            if done:
                return
        finally:
            box.close()
