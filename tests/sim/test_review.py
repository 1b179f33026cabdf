"""What a hostile reader of the deciding code asked: clocks that go back, people's hands in mid-plan, plans that wait.

Each story failed once. They are told on tests.sim.stage's box, as those of test_stories are.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supervisor.facts import Container
from supervisor.lab.engine import Behaviour
from supervisor.signals import pause_file
from supervisor.verdicts import Reason
from tests.sim.stage import Stage, play

SLOW = Behaviour(healthy_after=30.0)
"""takes its time to become healthy: there is a probation to walk into"""
FAILS = Behaviour(healthy_after=20.0, exit_after=25.0, exit_code=1)
"""dies in its probation: the way back is taken"""


_ASKED: list[asyncio.Future[Any]] = []


def begin(stage: Stage, verb: str, **params: str) -> None:
    """A person asks and does not wait for the answer."""
    _ASKED.append(asyncio.ensure_future(stage.life.ask(verb, "box.oracle", **params)))


def there(stage: Stage) -> Container:
    """The service's container."""
    box = stage.box()
    assert box is not None, stage.tail()
    return box


async def in_step(stage: Stage, step: str, verb: str = "phoenix", seconds: float = 60) -> None:
    """Let time go by until the plan has begun this step."""
    await stage.until(
        lambda: any(step in plan.begun for plan in stage.plans() if plan.verb == verb), seconds, f"step {step}", 0.002
    )


async def at_work(stage: Stage, step: str = "probation", run: Behaviour = SLOW) -> str:
    """A person's phoenix to another image that is in `step`; the other image's id."""
    other = stage.image("local/oracle:2", run)
    begin(stage, "phoenix", image="local/oracle:2")
    await in_step(stage, step)
    return other


# ---------------------------------------------------------------- clocks


def test_a_plan_left_open_is_taken_up_though_the_clock_was_set_back_meanwhile() -> None:
    """A board without a battery boots in the past: what was planned `later` must not stay open with its locks."""

    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.life.runner.start = lambda plan: None  # type: ignore[method-assign]  # dead before its first step
        begin(stage, "restart")
        await stage.until(lambda: stage.space("plan"), 10, "plan")
        await stage.kill()
        stage.clock.jump(-86400.0)
        await stage.begin()
        await stage.until(lambda: not stage.space("plan"), 300, "end of the plan")
        assert (await stage.ask("restart")).verdict.ok
        await stage.until(lambda: len(stage.ended("restart")) == 2, 300, "end of the second")
        stage.holds()

    play(story)


def test_a_clock_that_is_set_back_does_not_repeat_a_rung() -> None:
    """Restarting was tried and did not help. An hour that comes a second time must not try it a second time."""

    async def story(stage: Stage) -> None:
        good = stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
        await stage.up()
        await stage.begin()
        await stage.world.run(90)
        shelf = stage.engine.world.shelf  # from now on whatever runs from it turns unhealthy soon
        shelf.images[good] = replace(shelf.images[good], run=Behaviour(healthy_after=1.0, unhealthy_at=3.0))
        stage.engine.break_container("box-oracle-1", healthy_after=1.0, unhealthy_at=3.0)
        stage.engine.set_health("box-oracle-1", "unhealthy")
        await stage.until(lambda: stage.ended("restart"), 1800, "end of the restart", 1)
        stage.clock.jump(-3600)
        await stage.until(lambda: stage.ended("phoenix"), 1800, "end of the phoenix", 1)
        await stage.world.run(1800)
        assert len(stage.ended("restart")) == 1, stage.tail()
        assert len(stage.ended("phoenix")) == 1, stage.tail()
        assert stage.refusals("ladder_spent")

    play(story)


@pytest.mark.parametrize("seconds", [3600, -3600, 0])
def test_a_clock_that_jumps_does_not_end_a_cooldown(seconds: float) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await stage.moved()
        await stage.until(lambda: stage.ended(), 300, "end of the phoenix", 1)
        assert stage.outcome().kind == "action.verified"
        stage.engine.break_container("box-oracle-1", exit_after=5.0, exit_code=1)
        stage.engine.crash("box-oracle-1", 1)
        await stage.world.run(20)
        if seconds:
            stage.clock.jump(seconds)
        assert await stage.until(lambda: stage.ended("stop"), 1800, "stop", 1) > 480, stage.tail()
        stage.holds()

    play(story)


# ---------------------------------------------------------------- a stop that has to wait


@pytest.mark.parametrize("run", [FAILS, SLOW], ids=["back", "on"])
def test_a_stop_asked_for_in_mid_plan_stops_whatever_serves_when_the_plan_is_over(run: Behaviour) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await at_work(stage, run=run)
        answer = await stage.ask("stop")
        assert answer.verdict.ok
        assert "waits" in answer.verdict.text
        await stage.until(lambda: stage.ended("stop"), 300, "end of the stop")
        assert stage.outcome("stop").kind == "action.verified", stage.tail()
        await stage.world.run(1200)
        assert not there(stage).running
        assert there(stage).restart_policy == "no"
        assert stage.service().wanted.state == "stopped"
        stage.holds()

    play(story)


@pytest.mark.parametrize("at", ["park", "adopt"])
def test_while_a_plan_holds_the_container_a_stop_is_told_to_wait_and_not_that_there_is_none(at: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.engine.latency["rename"] = 1.0  # as a rule it is gone before anybody could ask
        await at_work(stage, at)
        registry = stage.life.core.decider.registry
        between = lambda: registry.get("box.oracle").container is None  # noqa: E731
        await stage.until(between, 5, "container between two names", 0.001)
        answer = await stage.ask("stop")
        assert answer.verdict.ok or answer.verdict.reason is Reason.LOCKED, answer.verdict.text

    play(story)


# ---------------------------------------------------------------- docker stop in mid-plan


def test_a_person_who_stops_it_in_probation_is_obeyed_and_blames_no_image() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await at_work(stage)
        await stage.world.run(5)
        stage.engine.human_stop("box-oracle-1")
        await stage.until(lambda: stage.ended(), 300, "end of the phoenix")
        await stage.world.run(900)
        assert stage.service().quarantined == (), "an image was quarantined"
        assert not there(stage).running, stage.tail()
        assert stage.service().wanted.state == "stopped"
        assert stage.service().wanted.by == "person"
        assert stage.outcome().kind == "action.rolled_back"
        stage.holds()

    play(story)


@pytest.mark.parametrize("verb", ["restart", "start"])
def test_a_person_who_stops_what_was_just_started_is_obeyed(verb: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.engine.break_container("box-oracle-1", healthy_after=30.0)
        if verb == "start":
            assert (await stage.ask("stop")).verdict.ok
            await stage.until(lambda: stage.ended("stop"), 60, "end of the stop")
        begin(stage, verb)
        await in_step(stage, "verify", verb)
        await stage.world.run(3)
        stage.engine.human_stop("box-oracle-1")
        await stage.until(lambda: stage.ended(verb), 300, f"end of the {verb}")
        await stage.world.run(900)
        assert stage.service().wanted.state == "stopped"
        assert not there(stage).running, stage.tail()
        stage.holds()

    play(story)


def test_our_own_stops_are_not_taken_for_a_persons() -> None:
    """The engine tells of our stop while the next steps are under way; what failed by itself is put back running."""

    async def story(stage: Stage) -> None:
        good = await stage.proved()
        bad = await at_work(stage, run=Behaviour(healthy_after=float("inf")))
        stage.engine.latency["event"] = 3.0
        await stage.until(lambda: stage.ended(), 900, "end of the phoenix")
        await stage.world.run(60)
        assert there(stage).running
        assert there(stage).image_id == good
        assert stage.service().wanted.state != "stopped"
        assert bad in stage.service().quarantined
        stage.holds()

    play(story)


@pytest.mark.parametrize("policy", ["no", "always"])
def test_an_engine_that_restarts_in_probation_is_not_the_images_fault(policy: str) -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1")
        await stage.up(policy=policy)
        await stage.begin()
        await stage.world.run(80)
        await at_work(stage)
        await stage.world.run(5)
        stage.engine.restart_engine(3.0)
        await stage.until(lambda: stage.ended(), 300, "end of the phoenix")
        await stage.world.run(60)
        assert stage.service().quarantined == ()
        assert there(stage).running
        stage.holds()

    play(story)


# ---------------------------------------------------------------- restart policies


def test_a_policy_that_was_taken_from_one_container_is_not_given_to_the_next() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        for verb in ("stop", "start"):
            assert (await stage.ask(verb)).verdict.ok
            await stage.until(lambda v=verb: stage.ended(v), 200, f"end of the {verb}")  # type: ignore[misc]
        assert there(stage).restart_policy == "always"
        await stage.world.run(60)
        await stage.up(policy="no")
        await stage.world.run(60)
        stage.image("local/oracle:2")
        assert (await stage.ask("phoenix", image="local/oracle:2")).verdict.ok
        await stage.until(lambda: stage.ended("phoenix"), 300, "end of the phoenix")
        assert there(stage).restart_policy == "no"

    play(story)


def test_a_policy_that_a_person_took_away_stays_away() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        for verb in ("stop", "start"):
            assert (await stage.ask(verb)).verdict.ok
            await stage.until(lambda v=verb: stage.ended(v), 200, f"end of the {verb}")  # type: ignore[misc]
        stage.engine.world.get("box-oracle-1").host["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
        stage.life.watch.resweep()
        await stage.world.run(10)
        for verb in ("stop", "start"):
            assert (await stage.ask(verb)).verdict.ok
            await stage.until(lambda v=verb: len(stage.ended(v)) == 2, 200, f"end of the {verb}")  # type: ignore[misc]
        assert there(stage).restart_policy == "no"

    play(story)


# ---------------------------------------------------------------- pauses


def test_the_file_pause_and_the_pause_never_part(tmp_path: Path) -> None:
    """Not over a restart in which the file went away, and not when a person resumes while it is there."""
    file = tmp_path / "PAUSE"

    async def watched(stage: Stage) -> None:
        life = stage.life
        _ASKED.append(
            asyncio.ensure_future(pause_file.watch(file, lambda: life.core.snapshot.pauses, life.core.ask, life.clock))
        )
        await stage.world.run(3)

    async def story(stage: Stage) -> None:
        await stage.proved()
        file.touch()
        await watched(stage)
        assert "*" in stage.snapshot.pauses
        await stage.ask("resume", "*")
        await stage.world.run(3)
        assert "*" in stage.snapshot.pauses
        _ASKED[-1].cancel()
        await stage.kill()
        file.unlink()
        await stage.begin()
        await watched(stage)
        assert stage.snapshot.pauses == {}
        await stage.ask("pause", "*", reason="mine")
        file.touch()
        await stage.world.run(3)
        file.unlink()
        await stage.world.run(3)
        assert stage.snapshot.pauses == {"*": ("mine", 0.0)}
        _ASKED[-1].cancel()

    play(story)


def test_only_a_persons_word_ends_the_caution_after_a_lost_journal() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        core = stage.life.core.decider
        core.standing.confirm = "The journal was set aside."
        await stage.ask("pause", "*", **{"for": "30s"})
        await stage.world.run(60)
        assert stage.snapshot.pauses == {}
        assert core.standing.confirm, "a pause that ran out is nobody's word"
        assert core.mode == "observe"
        await stage.ask("resume", "*")
        assert not core.standing.confirm

    play(story)


# ---------------------------------------------------------------- what nobody saw


def test_what_an_engine_did_not_start_again_after_its_restart_is_said() -> None:
    """Without a restart policy it stays down, and no event tells of it: the sweep must."""

    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1")
        await stage.up(policy="no")
        await stage.begin()
        await stage.world.run(80)
        stage.engine.restart_engine(2.0)
        await stage.world.run(60)
        assert not there(stage).running
        heard = [event["data"]["text"] for event in stage.heard("container.stopped")]
        assert len(heard) == 1
        assert "nobody saw" in heard[0]
        await stage.world.run(900)
        assert len(stage.heard("container.stopped")) == 1
        assert stage.service().deaths == 0

    play(story)
