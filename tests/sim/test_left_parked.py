"""What a way back that was denied leaves: it is warned of, the policy is kept, the next success clears it up.

A parked container with compose's labels is what docker-compose 1.29 takes for the service at its next `up`: it removes
the one that serves and starts the parked one.
"""

import asyncio

import pytest

from supervisor.lab.engine import Behaviour
from supervisor.services import temp_name
from tests.sim.stage import OWNED, Stage, play

NAME = "box-oracle-1"
DATA = {**OWNED, "resurgam.stateful": "true"}
FAILS = Behaviour(exit_after=2.0, exit_code=1)


async def denied(stage: Stage) -> str:
    """A service that keeps state fails on another image, and a person says no to the way back. What stays parked."""
    await stage.proved(labels=DATA)
    return await _denied(stage, stage.image("local/oracle:2", FAILS))


async def _denied(stage: Stage, image: str) -> str:
    before, there = len(stage.ended()), stage.names()
    await stage.ask("phoenix", image=image)
    await stage.until(lambda: stage.snapshot.approvals, 60, "question")
    assert [text for text in warnings(stage) if not text.startswith(tuple(there))] == [], (
        "its plan is open: it is at work"
    )
    await stage.ask("deny", stage.snapshot.approvals[0].id)
    await stage.until(lambda: len(stage.ended()) > before, 60, "end of the plan")
    assert stage.outcome().kind == "action.degraded"
    (parked,) = [name for name in stage.outcome().body["left"] if name not in there]
    return parked


def warnings(stage: Stage) -> list[str]:
    return [text for text in stage.snapshot.problems if "compose up" in text]


def mended(stage: Stage) -> None:
    """What a person does to it so that it runs again."""
    stage.engine.world.get(NAME).override = Behaviour(healthy_after=1.0)


def policy(stage: Stage) -> str:
    box = stage.box()
    assert box is not None
    assert box.running
    return box.restart_policy


async def risen(stage: Stage) -> None:
    """A Phoenix to a third image that does well."""
    before = len(stage.ended())
    await stage.ask("phoenix", image=stage.image("local/oracle:3", Behaviour(healthy_after=1.0)))
    await stage.until(lambda: len(stage.ended()) > before, 120, "end of the Phoenix")
    assert stage.outcome().kind == "action.verified", stage.outcome().body["text"]


def test_it_is_warned_of_until_the_next_success_clears_it_up() -> None:
    async def story(stage: Stage) -> None:
        parked = await denied(stage)
        old = stage.engine.container(parked)
        assert old is not None
        assert len(warnings(stage)) == 1, "one is warned of"
        (text,) = warnings(stage)
        for word in (parked, "denied or failed", "docker compose up", f"docker rm {parked}"):
            assert word in text
        assert stage.snapshot.status == "degraded"
        stage.holds()
        await risen(stage)
        assert warnings(stage) == [], f"still there: {warnings(stage)}"
        assert parked not in stage.names()
        spares = [box for box in stage.engine.containers() if ".resurgam-spare-" in box.name]
        assert old.image_id in {box.image_id for box in spares}, "its spare holds what it was"
        assert sorted(stage.outcome().body["left"]) == sorted(box.name for box in spares)
        assert stage.names() == sorted([NAME, *(box.name for box in spares)])
        assert parked in stage.outcome().body["text"]
        assert "older" not in stage.outcome().body
        stage.holds()

    play(story)


def test_a_start_puts_the_service_right_and_the_warning_stays() -> None:
    async def story(stage: Stage) -> None:
        parked = await denied(stage)
        mended(stage)
        await stage.ask("start")
        await stage.until(lambda: stage.ended("start"), 60, "end of the start")
        assert stage.outcome("start").kind == "action.verified"
        await stage.world.run(5)
        assert len(warnings(stage)) == 1
        stage.engine.human_remove(parked)
        await stage.until(lambda: not warnings(stage), 5, "end of the warning")

    play(story)


@pytest.mark.parametrize("how", ["start", "phoenix", "kill and start", "docker start and phoenix"])
def test_the_restart_policy_comes_back_with_the_next_success(how: str) -> None:
    async def story(stage: Stage) -> None:
        await denied(stage)
        box = stage.box()
        assert box is not None
        assert box.restart_policy == "no"
        assert "`always`" in stage.outcome().body["text"]
        if "kill" in how:
            await stage.kill()
            await stage.begin()
            await stage.world.run(5)
        if how.endswith("start"):
            mended(stage)
            await stage.ask("start")
            await stage.until(lambda: stage.ended("start"), 60, "end of the start")
            assert policy(stage) == "always"
        elif "docker" in how:
            mended(stage)
            stage.engine.human_start(NAME)
            await stage.world.run(5)
        await risen(stage)
        assert policy(stage) == "always"
        assert stage.service().wanted.policy == "", "the container has it again"

    play(story)


def test_of_two_that_stay_the_newest_gets_the_spare() -> None:
    async def story(stage: Stage) -> None:
        first = await denied(stage)
        mended(stage)
        await stage.ask("start")
        await stage.until(lambda: stage.ended("start"), 60, "end of the start")
        await stage.world.run(100)
        second = await _denied(stage, stage.image("local/oracle:4", FAILS))
        newest = stage.engine.container(second)
        assert newest is not None
        assert len(warnings(stage)) == 2
        await stage.world.run(3600)  # the hour's budget is spent
        await risen(stage)
        assert not {first, second} & set(stage.names())
        kept = stage.engine.container(temp_name(NAME, "spare", second.rpartition("-")[2]))
        assert kept is not None
        assert kept.image_id == newest.image_id
        assert stage.engine.container(temp_name(NAME, "spare", first.rpartition("-")[2])) is None
        stage.holds()

    play(story)


@pytest.mark.parametrize("how", ["runs", "other service", "has a policy", "other name"])
def test_what_is_not_as_we_left_it_stays(how: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved(labels=DATA)
        name = f"box-{'other' if how == 'other name' else 'oracle'}-1.resurgam-parked-abc123"
        service = "other" if how == "other service" else "oracle"
        said = {"com.docker.compose.project": "box", "com.docker.compose.service": service}
        stage.engine.human_run(name, "local/oracle:1", said, "always" if how == "has a policy" else "no")
        if how != "runs":
            stage.engine.human_stop(name)
        await stage.world.run(2)
        await risen(stage)
        assert name in stage.names()
        assert [text for text in warnings(stage) if text.startswith(name)]

    play(story)


async def _cleared_with_a_kill(stage: Stage, later: int) -> None:
    """A Phoenix clears up; the daemon is killed so many points after it was asked for (0: never)."""
    await denied(stage)
    good = stage.image("local/oracle:3", Behaviour(healthy_after=1.0))
    stage.world.kill_at = frozenset([stage.world.points + later] if later else [])
    for _attempt in range(5):
        question = asyncio.ensure_future(stage.life.ask("phoenix", "box.oracle", image=good))
        await stage.world.run(40)
        question.cancel()
        if stage.ended()[-1].kind == "action.verified":
            break
    await stage.world.run(10)


def _roles(stage: Stage) -> list[tuple[str, str, str]]:
    cut = [(box.name.removeprefix(NAME).rpartition("-")[0], box) for box in stage.engine.containers()]
    return sorted((role, box.image_id, box.restart_policy) for role, box in cut)


@pytest.mark.parametrize("part", range(4))
def test_a_kill_anywhere_in_it_changes_nothing_about_the_end(part: int) -> None:
    ends: list[object] = []

    def tell(later: int) -> None:
        async def story(stage: Stage) -> None:
            await _cleared_with_a_kill(stage, later)
            assert warnings(stage) == [], stage.tail()
            stage.holds()
            ends.append(_roles(stage))

        play(story)

    tell(0)
    assert [role for role, _image, _policy in ends[0]] == ["", ".resurgam-spare", ".resurgam-spare"]  # type: ignore[index]
    for later in range(30 + part, 66, 4):  # from the watch of the new one to the end
        tell(later)
        assert ends[-1] == ends[0], f"killed at point {later}"
