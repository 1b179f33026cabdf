"""SIGKILL at every permit and every engine call: a fresh process finishes or undoes, and a second one changes nothing.

A kill drops the runner where it stands; what it had not made durable is lost. An engine call that was sent has its
effect whether or not anybody still waits for it.
"""

import asyncio
from contextlib import suppress

import pytest

from supervisor.facts import Wanted
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.services import is_temp
from supervisor.verdicts import Reason
from tests.support.runner import Killed, Point, sim_box

COMPOSE = {"com.docker.compose.project": "ai", "com.docker.compose.service": "oracle"}
GOOD = SimImage(tags=("oracle:1",), run=Behaviour(healthy_after=2.0))
BAD = SimImage(tags=("oracle:2",), run=Behaviour(exit_after=0.4, exit_code=139))


def prepare(box, story):
    """A box in the state the story begins with, and its plan."""
    good, bad = box.engine.add_image(GOOD), box.engine.add_image(BAD)
    labels = COMPOSE if "compose" in story else {}
    broken = story.startswith("heal")
    box.engine.human_run("oracle", "oracle:2" if broken else "oracle:1", labels=labels, policy="always")
    box.let(4.0)
    service = box.service("oracle", healthy=not broken, proved_image=good, streak=4 if broken else 0)
    box.good = good
    if story.startswith(("heal", "renew", "fail")):
        return box.plan("phoenix", service, bad if story.startswith("fail") else good)
    if story == "start":
        box.run(box.engine.stop("oracle", 1.0))
        box.run(box.engine.set_policy("oracle", "no"))
        service = box.service("oracle", wanted=Wanted("running", policy="always"))
    return box.plan(story, service)


def arm(box):
    """Kill points around every engine write, beside those at every permit."""
    box.engine.on_call = lambda op, key, when: box.core.point.pass_by(f"{op} {key[:12]} {when}")


def points(story):
    """How many places a kill can hit in this story."""
    point = Point()
    with sim_box(point) as box:
        plan = prepare(box, story)
        arm(box)
        box.run(box.core.run(plan))
    return point.seen


def check(box, story, ended):
    """What must hold whenever everything has come to rest."""
    box.let(30.0)
    shown = [(each.name, each.status, each.restart_policy) for each in box.engine.containers()]
    seen = box.engine.container("oracle")
    assert seen is not None, shown
    if story == "stop":
        assert (seen.status, seen.restart_policy) == ("exited", "no"), shown
        return
    assert [each.name for each in box.engine.containers() if not is_temp(each.name)] == ["oracle"]
    assert seen.restart_policy == "always", shown
    undone = ended.outcome.reason is Reason.ENDED_EARLY
    if not (story.startswith("heal") and undone):
        assert seen.running, (shown, ended)
        assert seen.health == "healthy", shown
        assert seen.image_id == box.good, shown
    stray = [name for name, _status, _policy in shown if is_temp(name) and name not in ended.left]
    assert stray == [], (stray, ended)
    assert not [name for name, status, policy in shown if is_temp(name) and (status == "running" or policy != "no")]
    if "compose" in story:
        doubles = [each.name for each in box.engine.containers() if "com.docker.compose.project" in each.labels]
        assert doubles == ["oracle"], shown


STORIES = ["heal-compose", "renew-compose", "renew", "fail-compose", "fail", "stop", "start", "restart"]
MATRIX = [
    pytest.param(story, at, id=f"{story}-{at}-{name.replace(' ', '_')}")
    for story in STORIES
    for at, name in enumerate(points(story), start=1)
]


@pytest.mark.parametrize(("story", "at"), MATRIX)
def test_a_kill_anywhere_is_made_good_by_the_next_start(story, at):
    point = Point(at=at)
    with sim_box(point) as box:
        plan = prepare(box, story)
        arm(box)
        with pytest.raises(Killed):
            box.run(box.core.run(plan))
        assert box.core.journal, "a killed plan is still open"
        phase = box.core.journal[1].phase
        (ended,) = box.run(box.core.recover())
        assert ended.outcome.reason in (Reason.VERIFIED, Reason.ROLLED_BACK, Reason.ENDED_EARLY), ended
        if plan.verb == "phoenix" and phase == "before":
            assert ended.outcome.reason is Reason.ENDED_EARLY
            assert box.engine.container("oracle").id == plan.container_id
        check(box, story, ended)
        # killed once more, just before the end was durable: the next process finds nothing to do
        wrote = len(box.engine.writes)
        box.core.journal.update(box.core.last)
        (again,) = box.run(box.core.recover())
        assert box.engine.writes[wrote:] == []
        assert again.outcome.reason is ended.outcome.reason
        assert again.left == ended.left
        check(box, story, again)


@pytest.mark.parametrize(("story", "at"), [each for each in MATRIX if each.values[0] in ("heal-compose", "fail")])
def test_a_second_kill_during_the_recovery_is_made_good_too(story, at):
    for second in range(at % 11 + 1, 60, 11):
        point = Point(at=at)
        with sim_box(point) as box:
            plan = prepare(box, story)
            arm(box)
            with suppress(Killed):
                box.run(box.core.run(plan))
            point.count, point.at = 0, second
            with suppress(Killed):
                box.run(box.core.recover())
            done = not box.core.journal
            if not done:
                point.at = -1
                box.run(box.core.recover())
            check(box, story, box.core.ended[1])
            if done:
                return


TICKS = [*(n * 0.009 for n in range(1, 90, 5)), 1.5, 2.5, 6.0]


@pytest.mark.parametrize("story", ["heal-compose", "fail", "restart", "start"])
@pytest.mark.parametrize("ticks", [TICKS[0::3], TICKS[1::3], TICKS[2::3]])
def test_a_process_that_ends_with_calls_under_way(story, ticks):
    for tick in ticks:
        with sim_box() as box:
            plan = prepare(box, story)

            async def begin(plan=plan, tick=tick, box=box):
                box.core.journal[1] = plan
                box.core.runner.start(plan)
                await asyncio.sleep(tick)
                await box.core.runner.close()

            box.run(begin())
            if 1 in box.core.journal:
                box.run(box.core.recover())
            check(box, story, box.core.ended[1])


def killed(box, plan, at_step):
    """Run it until that step is permitted, and drop it there."""

    def stop(step):
        if step == at_step:
            raise Killed(step)

    box.core.at_step = stop
    with pytest.raises(Killed):
        box.run(box.core.run(plan))
    box.core.at_step = lambda step: None


def killed_at_write(box, plan, operation, when):
    """Run it until that call of the engine, and drop it there."""

    def stop(op, _key, now):
        if (op, now) == (operation, when):
            raise Killed(op)

    box.engine.on_call = stop
    with pytest.raises(Killed):
        box.run(box.core.run(plan))
    box.engine.on_call = None


def test_what_was_committed_is_not_gone_back_on():
    with sim_box() as box:
        plan = prepare(box, "renew-compose")
        killed(box, plan, "commit")
        box.engine.break_container("oracle", exit_after=0.1, exit_code=1)
        box.engine.crash("oracle")
        box.let(20.0)
        (ended,) = box.run(box.core.recover())
        assert ended.outcome.reason is Reason.VERIFIED
        assert not [step for step in box.core.asked if step.startswith("back_")]
        assert box.engine.container("oracle").id == box.core_data()["new_id"]


def test_a_new_container_that_died_while_nobody_looked_is_not_started_again():
    with sim_box() as box:
        good = box.engine.add_image(GOOD)
        bad = box.engine.add_image(BAD)
        box.engine.human_run("oracle", "oracle:1", policy="no")
        box.let(4.0)
        plan = box.plan("phoenix", box.service("oracle", proved_image=good), bad)
        killed(box, plan, "probation")
        box.let(60.0)
        new_id = box.core_data()["new_id"]
        (ended,) = box.run(box.core.recover())
        assert ended.outcome.reason is Reason.ROLLED_BACK
        assert [key for op, key, _at in box.engine.writes if op == "start"] == [new_id, plan.container_id]
        assert box.engine.container("oracle").running


def test_a_create_that_was_under_way_at_the_kill_leaves_nothing_behind():
    with sim_box() as box:
        plan = prepare(box, "renew")
        box.engine.latency["create"] = 1.5

        async def begin():
            box.core.journal[1] = plan
            box.core.runner.start(plan)
            await asyncio.sleep(0.5)
            await box.core.runner.close()

        box.run(begin())
        (ended,) = box.run(box.core.recover())
        check(box, "renew", ended)
        assert [op for op, _key, _at in box.engine.writes if op != "tag"] == ["create", "remove"]


@pytest.mark.parametrize("at", ["park", "start", "probation"])
def test_an_old_container_that_somebody_started_meanwhile_is_theirs(at):
    with sim_box() as box:
        plan = prepare(box, "renew-compose")
        if at in ("park", "start"):  # permitted together with the stop
            killed_at_write(box, plan, "rename" if at == "park" else at, "before")
        else:
            killed(box, plan, at)
        if at == "probation":
            box.engine.human_stop("oracle")
            box.let(1.0)
        box.engine.human_start(plan.container_id)
        box.let(3.0)
        stops = [key for op, key, _at in box.engine.writes if op == "stop"]
        (ended,) = box.run(box.core.recover())
        assert ended.outcome.reason is Reason.ROLLED_BACK
        assert [key for op, key, _at in box.engine.writes if op == "stop"].count(plan.container_id) == len(stops)
        seen = box.engine.container("oracle")
        assert (seen.id, seen.running) == (plan.container_id, True)
        assert "docker update --restart always" in ended.outcome.text
