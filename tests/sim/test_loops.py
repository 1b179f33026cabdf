"""The loop breaker, whole: the daemon on a virtual clock, and services that will not stay up.

Each story asserts what a person would find: how often it was loaded, what runs at the end, what was said and why.
"""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.lab.engine import Behaviour
from tests.sim.stage import Stage, play, read

NAME = "box-oracle-1"
DIES = Behaviour(exit_after=3.0, exit_code=1, log=("Traceback: no", "exit 1"))
HEAVY = {"box.oracle": {"memory": "281GiB"}}
PORT = {"8000/tcp": "8000"}


async def begun(stage: Stage, run: Behaviour, **given: Any) -> str:
    """A container of an image that never proved itself runs from the first moment on; the image."""
    image = stage.image("local/oracle:1", run)
    await stage.begin()
    await stage.up(**given)
    return image


def loads(stage: Stage) -> int:
    """How often its main process was started, by anybody."""
    return len(stage.rows("container.started"))


def is_down(stage: Stage) -> bool:
    box = stage.box()
    return box is not None and box.status == "exited" and box.restart_policy == "no"


def refused(stage: Stage, reason: str) -> list[str]:
    return [row.body["verb"] for row in stage.refusals(reason)]


# ---------------------------------------------------------------- it is stopped in the end


def test_a_loop_with_policy_always_and_no_good_image_is_made_anew_once_and_stopped() -> None:
    async def story(stage: Stage) -> None:
        await begun(stage, DIES)
        took = await stage.until(lambda: stage.ended("stop"), 900, "stop")
        assert took < 60
        assert [row.kind for row in stage.ended("phoenix")] == ["action.rolled_back"], "it was made anew, in vain"
        assert refused(stage, "no_known_good") == ["phoenix"]
        assert is_down(stage)
        assert stage.service().wanted.state == "stopped"
        end = stage.outcome("stop")
        assert end.kind == "action.verified"
        assert "It stays down until a person starts it: `resurgam start box.oracle`." in end.body["cause"]
        assert "exit 1" in end.body["cause"]
        before = loads(stage)
        await stage.world.run(6 * 3600)
        await stage.kill()
        await stage.begin()
        stage.engine.restart_engine(5)
        await stage.world.run(6 * 3600)
        assert loads(stage) == before, "nothing but a person starts it"
        assert is_down(stage)
        stage.holds()

    play(story)


def test_a_person_starts_it_and_it_is_stopped_again_when_it_loops_again() -> None:
    async def story(stage: Stage) -> None:
        await begun(stage, DIES.changed(exit_after=40.0))
        await stage.until(lambda: stage.ended("stop"), 3600, "stop", 1)
        assert [row.kind for row in stage.ended("phoenix")] == ["action.verified"], "it lived long enough to verify"
        assert (await stage.ask("start")).verdict.ok
        await stage.until(lambda: stage.ended("start"), 60, "end of the start")
        box = stage.box()
        assert box is not None
        assert box.restart_policy == "always", "what the stop took away is given back"
        await stage.until(lambda: len(stage.ended("stop")) == 2, 3600, "second stop", 1)
        assert len(stage.ended("phoenix")) == 1, "what was tried an hour ago is not tried again"
        assert is_down(stage)

    play(story)


def test_a_slow_loop_is_seen_by_its_declared_load() -> None:
    """A death every 25 minutes after a load of 25 minutes: three of them are an hour and a quarter."""

    async def story(stage: Stage) -> None:
        await begun(stage, DIES.changed(exit_after=1490.0))
        await stage.until(lambda: stage.alert("ContainerRestartLoop"), 3 * 1500, "alert", 5)
        assert stage.service().streak == 3
        await stage.until(lambda: stage.ended("stop"), 4 * 3600, "stop", 5)
        assert loads(stage) <= 7

    play(story, read(services={"box.oracle": {"startup": "25m"}}))


@pytest.mark.parametrize("between", ["kill", "recreate"])
def test_deaths_are_counted_across_restarts_of_ours_and_recreations(between: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        for death in range(1, 4):
            stage.engine.crash(NAME, 1)
            await stage.world.run(20)
            assert stage.service().streak == death or stage.alert("ContainerRestartLoop")
            if death == 3:
                break
            if between == "kill":
                await stage.kill()
                await stage.begin()
                await stage.world.run(2)
            else:
                await stage.up()
                await stage.world.run(2)
        await stage.until(lambda: stage.ended("phoenix"), 60, "phoenix")
        stage.holds()

    play(story)


# ---------------------------------------------------------------- reasons lead to different rungs


def test_another_image_that_exits_at_once_goes_straight_back() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        await stage.moved(run=DIES)
        await stage.until(lambda: stage.ended("phoenix"), 120, "end of the phoenix")
        assert refused(stage, "no_use") == ["phoenix"], "made anew from the bad image: said, and not done"
        assert len(stage.ended("phoenix")) == 1
        assert stage.box().image_id == good  # type: ignore[union-attr]
        stage.holds()

    play(story)


def test_an_out_of_memory_loop_is_not_made_anew() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.engine.break_container(NAME, exit_after=3.0, oom=True)
        stage.engine.crash(NAME, 137, oom=True)
        await stage.until(lambda: stage.ended("stop"), 1800, "stop", 1)
        assert stage.ended("phoenix") == []
        assert len(stage.ended("restart")) <= 1, "restarted once at most"
        assert "phoenix" in refused(stage, "no_use")
        incident = [row for row in stage.rows("incident.opened") if row.subject == "box.oracle"][-1]
        assert "want of memory" in incident.body["text"]
        assert is_down(stage)

    play(story)


def test_a_held_port_is_waited_for_and_taken_when_it_is_free() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1")
        stage.image("local/web:1")
        await stage.begin()
        said = {"resurgam.enable": "true"}
        stage.engine.human_run("oracle", "local/oracle:1", said, "always", ports=PORT, networks=("box",))
        await stage.world.run(90)
        stage.engine.crash("oracle", 1)  # and while it is down, another one takes its port
        stage.engine.human_run("web", "local/web:1", {}, "no", ports=PORT, networks=("box",))
        await stage.until(lambda: stage.alert("ContainerCannotStart"), 400, "alert", 1)
        found = stage.service("oracle")
        assert (found.trouble, found.trouble_by) == ("port_held", "web")
        await stage.until(lambda: stage.refusals("no_use"), 60, "refusal", 1)
        assert "held by web" in stage.refusals("no_use")[0].body["text"]
        await stage.world.run(1800)
        assert stage.engine.writes == [one for one in stage.engine.writes if one[0] == "tag"], "nothing was touched"
        assert len(stage.refusals("no_use")) == 1, "said once"
        stage.engine.human_stop("web")
        await stage.until(lambda: stage.ended("restart"), 60, "end of the restart")
        assert stage.outcome("restart").kind == "action.verified"
        assert stage.box("oracle").running  # type: ignore[union-attr]
        await stage.until(lambda: not stage.snapshot.incidents, 600, "end of the incident", 1)

    play(story)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("write /var/lib/docker/x: no space left on device", "disk_full"),
        ('could not select device driver "" with capabilities: [[gpu]]', "gpu_runtime"),
        ("could not find bridge docker0: route ip+net: no such network interface", "engine_network"),
    ],
)
def test_what_is_the_machines_trouble_is_told_and_no_container_is_touched(error: str, cause: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.engine.break_container(NAME, start_error=error)
        stage.engine.crash(NAME, 1)
        await stage.until(lambda: stage.alert("ContainerCannotStart"), 400, "alert", 1)
        await stage.world.run(2 * 3600)
        assert stage.service().trouble == cause
        assert [one for one in stage.engine.writes if one[0] != "tag"] == []
        assert refused(stage, "no_use") == ["restart"], "said once, and the ladder does not climb past it"
        assert stage.service().wanted.state != "stopped"
        stage.engine.break_container(NAME)
        assert (await stage.ask("restart")).verdict.ok, "a person may, once it is mended"
        await stage.until(lambda: stage.ended("restart"), 60, "end of the restart")
        assert stage.outcome("restart").kind == "action.verified"
        assert stage.service().trouble == ""

    play(story)


def sickens(stage: Stage, name: str, after: float) -> None:
    """It is unhealthy now, and so long after every start of it or of what is made from its image."""
    run, shelf = Behaviour(healthy_after=1.0, unhealthy_at=after), stage.engine.world.shelf
    box = stage.box(name)
    assert box is not None
    shelf.images[box.image_id] = replace(shelf.images[box.image_id], run=run)
    stage.engine.break_container(name, healthy_after=1.0, unhealthy_at=after)
    stage.engine.set_health(name, "unhealthy")


def test_a_service_that_sickens_after_every_restart_climbs_and_is_left_to_a_person() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
        await stage.up()
        await stage.begin()
        await stage.world.run(90)
        sickens(stage, NAME, 900.0)
        await stage.until(lambda: stage.refusals("ladder_spent"), 4 * 3600, "end of the ladder", 5)
        tried = [row.body["verb"] for row in stage.rows("action.verified") if row.body["by"] == "playbook:unhealthy"]
        assert tried == ["restart", "phoenix"]
        assert stage.service().wanted.state != "stopped", "it still half works: it is not stopped for that"
        assert stage.snapshot.incidents[0].state == "degraded"

    play(story)


# ---------------------------------------------------------------- heavy


def test_a_heavy_model_in_a_loop_is_stopped_and_not_loaded_again_by_us() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        stage.engine.break_container(NAME, exit_after=3.0, exit_code=1)
        before = len(stage.starts())
        stage.engine.crash(NAME, 1)
        await stage.until(lambda: stage.ended("stop"), 60, "stop")
        assert refused(stage, "heavy") == ["phoenix", "phoenix"]
        assert "281 GiB of memory (heavy from 64 GiB)" in stage.refusals("heavy")[0].body["text"]
        await stage.world.run(3 * 3600)
        assert len(stage.starts()) == before, "we loaded it never"
        assert is_down(stage)

    play(story, read(services=HEAVY))


def test_a_heavy_model_whose_image_changed_goes_back_to_the_good_one() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        await stage.moved(run=DIES)
        await stage.until(lambda: stage.ended("phoenix"), 120, "end of the phoenix")
        assert stage.outcome().kind == "action.verified"
        assert stage.box().image_id == good  # type: ignore[union-attr]
        assert len(stage.starts()) == 1

    play(story, read(services=HEAVY))


# ---------------------------------------------------------------- the brake


def test_when_everything_fails_rules_stop_trying_and_try_one_when_it_was_quiet() -> None:
    names = ("a", "b", "c", "d")

    async def story(stage: Stage) -> None:
        for name in names:
            stage.image(f"local/{name}:1", Behaviour(healthy_after=1.0))
            await stage.up(name)
        await stage.begin()
        await stage.world.run(90)
        for name in names:  # a network goes, say: whatever is started does not stay well
            sickens(stage, f"box-{name}-1", 2.0)
        await stage.until(lambda: stage.refusals("brake"), 1200, "brake", 1)
        failed = [row for row in stage.rows("action.failed", "action.rolled_back") if row.body.get("plan")]
        assert len(failed) >= 3
        began = len(stage.rows("action.planned"))
        await stage.kill()
        await stage.begin()
        await stage.world.run(3000)
        assert len(stage.rows("action.planned")) == began, "nothing more is begun, also by the next process"
        assert (await stage.ask("restart", "box.a")).verdict.ok, "people pass"

    play(story)
