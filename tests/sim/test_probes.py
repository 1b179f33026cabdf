"""Permanent probes in the whole house: a hang is seen, cured and told; a sleeping model is left alone."""

import pytest

from supervisor.ports import ProbeResult
from tests.sim.stage import Stage, play, read

NAME, SERVICE = "box-oracle-1", "box.oracle"
HTTP = {"probe": "http://:8000/health", "startup": "1m"}
OUTSIDE = ({"name": "away", "probe": "https://example.org/health"},)


def asked(**more: object):  # type: ignore[no-untyped-def]
    return read(services={SERVICE: {**HTTP, **more}}, probes=OUTSIDE)


def hang(stage: Stage) -> None:
    """From now on it takes the connection and never answers, until it is started again."""
    stage.life.prober.takes = 1e6


def heal(stage: Stage) -> None:
    stage.life.prober.takes = 0.0


@pytest.mark.parametrize("killed", [False, True])
def test_a_service_that_hangs_is_restarted_once_and_well(killed: bool) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        box = stage.box()
        assert box is not None
        assert stage.service().healthy
        hang(stage)
        await stage.until(lambda: not stage.service().healthy, 300, "end of its health")
        (row,) = stage.rows("container.unhealthy")
        assert row.body["text"] == f"{SERVICE} does not answer its probe: no answer."
        await stage.until(lambda: stage.alert("ServiceNotAnswering"), 5, "alert")
        if killed:
            await stage.kill()
            await stage.begin()
            hang(stage)
        await stage.until(stage.plans, 300, "restart")
        heal(stage)
        await stage.until(lambda: stage.ended("restart"), 120, "end of the restart")
        assert stage.outcome("restart").kind == "action.verified"
        assert stage.service().healthy, "the plan's own questions told so"
        await stage.world.run(600)
        assert stage.alert("ServiceNotAnswering") is None
        assert len(stage.ended("restart")) == 1
        assert {state.name: state.ok for state in stage.snapshot.probes} == {SERVICE: True, "away": False}
        stage.holds({NAME: box.id})

    play(story, asked())


def test_a_heavy_service_that_hangs_is_loaded_again_once_and_not_made_anew_on_a_guess() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        hang(stage)
        await stage.until(stage.plans, 300, "restart")
        heal(stage)
        await stage.until(lambda: stage.ended("restart"), 120, "end of the restart")
        hang(stage)
        await stage.until(lambda: stage.refusals("heavy"), 1200, "refusal", step=5)
        await stage.world.run(600)
        assert (len(stage.ended("restart")), stage.ended("phoenix")) == (1, [])

    play(story, asked(memory="281GiB"))


def test_while_a_plan_works_on_it_nobody_else_asks() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        before = len(stage.life.prober.gently)
        await stage.ask("restart")
        while stage.plans():
            await stage.world.run(0.25)
            assert len([url for url, _id in stage.life.prober.gently[before:] if url.startswith("http://")]) <= 1
        assert stage.life.prober.asked

    play(story, asked())


def test_a_model_that_sleeps_is_no_trouble_and_its_service_is_well() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.life.prober.asleep = "its model sleeps"
        await stage.world.run(600)
        (state, _away) = stage.snapshot.probes
        assert (state.asleep, state.failing) == (True, False)
        assert stage.service().healthy
        assert stage.rows("container.unhealthy", "alert.firing") == []

    play(story, asked(probe="completion://:8000"))


def test_a_long_load_is_no_failure_and_the_service_is_well_when_it_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        hang(stage)
        stage.engine.human_stop(NAME)
        await stage.world.run(5)
        stage.engine.human_start(NAME)
        await stage.world.run(900)
        assert not stage.service().healthy
        assert stage.alert("ServiceNotAnswering") is None
        heal(stage)
        await stage.world.run(20)
        assert stage.service().healthy
        assert stage.plans() == []

    play(story, asked(startup="25m"))


def test_an_endpoint_outside_that_is_away_is_an_alert_and_nothing_is_done() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.life.prober.outside[OUTSIDE[0]["probe"]] = ""
        await stage.world.run(300)
        assert stage.alert("ProbeDown") is None
        stage.life.prober.outside.clear()
        await stage.until(lambda: stage.alert("ProbeDown"), 240, "alert")
        assert stage.plans() == []
        assert ProbeResult(False, "connection refused").text in stage.snapshot.probes[1].text

    play(story, asked())
