"""An engine that ends in order stops every container, with the very events of a person's `docker stop`."""

import pytest

from supervisor.lab.engine import Behaviour, Fault
from tests.sim.stage import Stage, play, read

NAME = "box-oracle-1"
LONG = Behaviour(healthy_after=8.0)


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_what_the_engine_stopped_on_its_way_out_is_not_stopped_on_purpose(policy: str) -> None:
    async def story(stage: Stage) -> None:
        good = stage.image("local/oracle:1")
        await stage.up(policy=policy)
        await stage.begin()
        await stage.world.run(80)
        assert stage.service().proved_image == good
        stage.engine.restart_engine(5.0, orderly=True)
        await stage.until(lambda: stage.service().healthy and stage.box().running, 120, "the service back")  # type: ignore[union-attr]
        assert stage.service().wanted.state != "stopped"
        await stage.moved()
        await stage.until(stage.ended, 200, "healing: it is looked after as before")
        assert stage.outcome().kind == "action.verified"

    play(story)


def test_a_persons_stop_before_the_engine_ends_is_still_obeyed() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.engine.human_stop(NAME)
        await stage.world.run(120)
        stage.engine.restart_engine(5.0, orderly=True)
        await stage.world.run(120)
        assert stage.service().wanted.state == "stopped"
        assert stage.service().wanted.by == "person"

    play(story)


def test_an_engine_that_ends_in_probation_is_nobodys_wish_and_not_the_images_fault() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        fine = stage.image("local/oracle:2", LONG)
        answer = await stage.ask("phoenix", image="local/oracle:2")
        assert answer.verdict.ok
        await stage.until(lambda: any("probation" in plan.begun for plan in stage.plans()), 60, "probation")
        stage.engine.restart_engine(5.0, orderly=True)
        await stage.until(stage.ended, 400, "end of the phoenix")
        await stage.world.run(60)
        service, box = stage.service(), stage.box()
        assert service.wanted.state != "stopped"
        assert fine not in service.quarantined
        assert box is not None
        assert box.running, stage.tail()

    play(story)


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "deaf"])
@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_an_engine_that_is_back_within_a_second_is_nobodys_wish_at_any_moment_of_the_watch(
    answers: bool, policy: str
) -> None:
    """`deaf`: while it ends it answers nothing any more, so the look in which the stop would have been seen is the one
    that is cut; its events still come."""

    async def story(stage: Stage) -> None:
        engine = stage.engine
        stage.image("local/oracle:1")
        await stage.up(policy=policy)
        await stage.begin()
        await stage.world.run(80)
        for number, later in enumerate((0.0, 0.3, 1.1, 4.9, 8.05, 12.9)):
            fine = stage.image(f"local/oracle:n{number}", LONG.changed(speed=number + 1.0))
            assert (await stage.ask("phoenix", "box.oracle", "again", image=f"local/oracle:n{number}")).verdict.ok
            await stage.until(lambda: any("probation" in plan.begun for plan in stage.plans()), 60, "probation", 0.05)
            await stage.world.run(later)
            engine.fault = None if answers else (lambda *_call: Fault.cut())
            engine.restart_engine(0.7, orderly=True)
            await stage.world.run(0.5)
            engine.fault = None
            await stage.until(lambda known=number: len(stage.ended()) > known, 400, "end of the phoenix")  # type: ignore[misc]
            await stage.world.run(60)
            service, box = stage.service(), stage.box()
            assert service.wanted.state != "stopped", f"{later}: {stage.outcome().body['text']}"
            assert fine not in service.quarantined, f"{later}: {stage.outcome().body['text']}"
            assert box is not None
            assert box.running, f"{later}: {stage.outcome().body['text']}\n{stage.tail()}"
            assert box.restart_policy == policy

    play(story, read(budget={"service": ["50 in 1h"], "host": ["50 in 1h"]}))
