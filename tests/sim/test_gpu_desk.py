"""A service that lost its card without a word, one started on another one's card, and a start that does not fit."""

import pytest

from supervisor.lab.engine import Behaviour
from supervisor.lab.gpu import GIB, SimCard, SimVram
from tests.sim.stage import Stage, play, read

SERVICES = {
    "box.oracle": {"vram": "0:80GiB", "exclusive": ["gpu:0"], "startup": "30s"},
    "box.mxfp4": {"vram": "0:80GiB"},
}


async def serving(stage: Stage, *names: str) -> SimCard:
    """The oracle holds its memory of the one card, and the daemon has read it."""
    card = stage.world.cards.add()
    stage.world.cards.vram |= {name: SimVram({0: 80 * GIB}) for name in ("oracle", "mxfp4")}
    for name in ("oracle", *names):
        stage.image(f"local/{name}:1", Behaviour(healthy_after=1.0))
        await stage.up(name)
        if name != "oracle":
            stage.engine.human_stop(f"box-{name}-1")
    await stage.begin()
    await stage.until(lambda: held(stage) == {"box.oracle": 80 * GIB}, 60, "reading of the card", step=5)
    return card


def held(stage: Stage) -> dict[str, int]:
    """Who holds how much of the card, as it is shown."""
    state = stage.snapshot.gpus
    return dict(state.cards[0].users) if state is not None and state.cards else {}


def test_a_service_that_lost_its_card_is_recreated_and_has_it_again() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage)
        await stage.until(lambda: stage.service().proved_image and not stage.space("plan"), 60, "proof", step=5)
        before = stage.box()
        assert before is not None
        stage.world.cards.strip("oracle")
        await stage.until(lambda: stage.alert("GpuContainerLostDevice"), 60, "alert", step=1)
        await stage.until(lambda: stage.ended(), 600, "phoenix", step=5)
        after = stage.box()
        assert stage.outcome().body["reason"] == "verified"
        assert after is not None
        assert (after.image_id, after.id == before.id) == (before.image_id, False)
        await stage.until(lambda: held(stage) == {"box.oracle": 80 * GIB}, 60, "memory of the card", step=5)
        await stage.until(lambda: stage.alert("GpuContainerLostDevice") is None, 60, "end of the alert", step=5)
        stage.holds()

    play(story, read(services=SERVICES, proof="10s"))


def test_who_is_started_by_hand_on_anothers_card_is_told_of_at_once() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage, "mxfp4")
        assert stage.alert("GpuIntruder") is None
        stage.engine.human_start("box-mxfp4-1")
        took = await stage.until(lambda: stage.alert("GpuIntruder"), 5, "alert", step=0.1)
        assert took <= 0.5, "before any reading could have told of it"
        fired = stage.alert("GpuIntruder")
        assert fired is not None
        assert (fired.labels["name"], fired.labels["beside"]) == ("box-mxfp4-1", "box.oracle")
        await stage.kill()
        await stage.begin()
        await stage.world.run(60)
        assert stage.alert("GpuIntruder") is not None, "a restart of ours does not end it"
        stage.engine.human_stop("box-mxfp4-1")
        await stage.until(lambda: stage.alert("GpuIntruder") is None, 20, "end of the alert")
        assert stage.plans() == []
        stage.holds()

    play(story, read(services=SERVICES))


def test_a_start_that_does_not_fit_is_refused_until_there_is_room() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage, "mxfp4")
        refused = await stage.ask("start", "box.mxfp4")
        assert refused.verdict.reason == "no_room"
        assert "are planned (box.oracle 80 GiB)" in refused.verdict.text
        assert [key for key, _at in stage.starts()] == []
        assert (await stage.ask("stop")).verdict.ok
        await stage.until(lambda: stage.ended("stop"), 60, "stop", step=1)
        assert (await stage.ask("start", "box.mxfp4")).verdict.ok, "the sum follows the services, not the readings"
        await stage.until(lambda: held(stage) == {"box.mxfp4": 80 * GIB}, 120, "memory of the card", step=5)
        stage.holds()

    play(story, read(services=SERVICES))


@pytest.mark.parametrize("how", ["gone", "broken"])
def test_a_card_that_goes_is_missed_also_by_the_next_life(how: str) -> None:
    async def story(stage: Stage) -> None:
        card = await serving(stage)
        card.listed = how != "gone"
        if how == "broken":
            card.lose()
        await stage.until(lambda: stage.alert("GpuLost"), 60, "alert", step=1)
        await stage.kill()
        await stage.begin()
        await stage.until(lambda: stage.alert("GpuLost"), 120, "alert", step=5)
        assert stage.plans() == []
        assert [row for row in stage.rows("action.planned") if row.body["verb"] != "protect"] == []
        card.heal()
        await stage.until(lambda: not stage.alert("GpuLost"), 120, "end of the alert", step=5)
        stage.holds()

    play(story, read(services=SERVICES))
