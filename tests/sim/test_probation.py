"""Probation in the whole house: a model that is too slow is taken back, and what a load takes is learned for good."""

import pytest

from supervisor.lab.engine import Behaviour
from tests.sim.stage import Stage, play, read

NAME, SERVICE = "box-oracle-1", "box.oracle"
MODEL = {"probe": "completion://:8000", "startup": "2m", "benchmark": {"at-least": 12, "tokens": 64}}
LOADS = Behaviour(healthy_after=40.0)
AMPLE = {"service": ["50 in 1h"], "host": ["50 in 1h"]}


def model(**entry: object):  # type: ignore[no-untyped-def]
    return read(services={SERVICE: {**MODEL, **entry}}, budget=AMPLE)


def test_a_model_that_is_too_slow_is_taken_back_and_quarantined() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        before = stage.box()
        assert before is not None
        slow = stage.image("local/oracle:slow", Behaviour(speed=8.1))
        await stage.ask("phoenix", image="local/oracle:slow")
        await stage.until(stage.ended, 120, "end of the phoenix")
        end = stage.outcome()
        assert end.kind == "action.rolled_back"
        assert "answers 8.1 tokens/s, wanted 12" in end.body["text"]
        assert slow in stage.service().quarantined
        box = stage.box()
        assert box is not None
        assert (box.id, box.image_id, box.running) == (before.id, good, True)
        stage.holds({NAME: box.id})

    play(story, model())


def test_a_model_that_is_fast_enough_rises_with_its_speed_in_the_proof() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        fast = stage.image("local/oracle:fast", Behaviour(speed=41.2))
        await stage.ask("phoenix", image="local/oracle:fast")
        await stage.until(stage.ended, 120, "end of the phoenix")
        end = stage.outcome()
        assert end.kind == "action.verified", end.body["text"]
        assert end.body["new_image"] == fast
        assert "it answers 41.2 tokens/s, wanted 12" in end.body["text"]
        assert end.body["probes"]["rate"] == 41.2
        assert end.body["probes"]["probe"]["kind"] == "completion"

    play(story, model())


def test_a_health_check_without_its_tool_does_not_condemn_a_new_image() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        bare = stage.image("local/oracle:bare", Behaviour(check_missing="curl"))
        await stage.ask("phoenix", image="local/oracle:bare")
        await stage.until(stage.ended, 120, "end of the phoenix")
        end = stage.outcome()
        assert end.kind == "action.verified", end.body["text"]
        assert "its health check cannot run" in end.body["text"]
        assert bare not in stage.service().quarantined

    play(story, read(services={SERVICE: {"probe": "http://:8000/"}}, budget=AMPLE))


def test_what_a_load_takes_is_learned_and_outlives_a_kill() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1", LOADS)
        await stage.up()
        await stage.begin()
        await stage.world.run(60)
        assert stage.service().loads == (pytest.approx(40.0, abs=1.0),), "an ordinary start that was seen"
        for number in (1, 2):
            await stage.ask("restart")
            await stage.until(lambda n=number: len(stage.ended("restart")) == n, 90, "end of the restart")  # type: ignore[misc]
            assert stage.outcome("restart").kind == "action.verified"
        loads = stage.service().loads
        assert len(loads) == 3, "once each, though the plan and the engine both saw it"
        await stage.kill()
        await stage.begin()
        await stage.world.run(2)
        assert stage.service().loads == loads
        await stage.ask("restart")
        (plan,) = stage.plans()
        assert 80.0 <= plan.found["limit"] <= 84.0
        assert "its last 3 loads took" in plan.found["limit_why"]
        await stage.kill()
        await stage.begin()
        await stage.until(lambda: len(stage.ended("restart")) == 3, 120, "end of the restart")
        planned = stage.rows("action.planned")[-1]
        assert planned.body["limit"] == plan.found["limit_why"]

    play(story, read(services={SERVICE: {"enable": True}}, budget=AMPLE))


def test_a_load_much_longer_than_ever_is_not_waited_for() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1", LOADS)
        await stage.up()
        await stage.begin()
        await stage.world.run(60)
        for number in (1, 2):
            await stage.ask("restart")
            await stage.until(lambda n=number: len(stage.ended("restart")) == n, 90, "end of the restart")  # type: ignore[misc]
        stage.engine.break_container(NAME, healthy_after=3000.0)
        await stage.ask("restart")
        took = await stage.until(lambda: len(stage.ended("restart")) == 3, 400, "end of the restart")
        assert took < 100, "the default would have waited for 5 minutes"
        assert stage.outcome("restart").kind == "action.failed"

    play(story, read(services={SERVICE: {"enable": True}}, budget=AMPLE))
