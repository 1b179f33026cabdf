"""An engine that ends in order stops every container, with the very events of a person's `docker stop`."""

import pytest

from supervisor.lab.engine import Behaviour
from tests.sim.stage import Stage, play

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
