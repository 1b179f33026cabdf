"""Kills for want of memory, whole: the daemon on a virtual clock, an engine and a kernel that both tell of them.

Each story asserts what a person would find: one message per kill, the alert at once, and the right name for it.
"""

import json

import pytest

from supervisor.lab.kernel.load import SimLoad
from tests.sim.ooms import facts, kill
from tests.sim.stage import OWNED, Stage, compose, play

GIB = 2.0**30
NAME = "box-oracle-1"
POINTS = range(1, 9)
"""places at which the daemon may die after the engine told of a kill: commits, before and after"""


def rows(stage: Stage) -> list[dict[str, object]]:
    return [row.body for row in stage.rows("container.oom") + stage.rows("daemon.oom")]


async def proved(stage: Stage) -> None:
    """A service that runs well; memory is read often, since what is killed is counted by each reading."""
    stage.world.every = 15.0
    await stage.proved()


def read_log(stage: Stage, lines: list[str], ago: float = 0.0) -> None:
    """The kernel's log is read, so many seconds after the kill."""
    for fact in facts(lines, stage.clock.wall() - ago, stage.clock.mono()):
        stage.life.core.submit(fact)


def test_a_killed_child_of_a_living_service_is_told_at_once_and_once() -> None:
    async def story(stage: Stage) -> None:
        await proved(stage)
        lines = kill(stage.world, NAME, child=True)
        await stage.world.run(0.1)
        alert = stage.alert("ContainerOOMKilled")
        assert alert is not None, "the alert waits for nobody"
        read_log(stage, lines)
        await stage.world.run(0.1)
        (body,) = rows(stage)
        assert body["oom_verdict"]["process"] == "worker"  # type: ignore[index]
        assert "which runs on without it: its own limit of memory was met" in str(body["text"])
        await stage.world.run(300)
        assert len(rows(stage)) == 1
        got = [json.loads(one) for one in stage.world.broker.subscribers["everybody"].payloads("resurgam/sim/event/")]
        said = [event for event in got if event["type"] == "resurgam.container.oom"]
        assert [event["severity"] for event in said] == ["critical"]

    play(story)


def test_a_first_process_that_is_killed_is_a_death_with_its_cause() -> None:
    async def story(stage: Stage) -> None:
        await proved(stage)
        read_log(stage, kill(stage.world, NAME))
        await stage.world.run(60)
        (body,) = rows(stage)
        assert "its main process" in str(body["text"])
        (died,) = [row.body for row in stage.rows("container.died")]
        assert (died["exit_code"], died["oom"], died["cause"]) == (137, True, "oom")

    play(story)


@pytest.mark.parametrize("version", [1, 2])
def test_the_machine_runs_out_of_memory_and_the_biggest_is_named_as_that(version: int) -> None:
    async def story(stage: Stage) -> None:
        await proved(stage)
        lines = kill(stage.world, NAME, whole=True)
        await stage.world.run(1)
        read_log(stage, lines, ago=1)
        await stage.world.run(60)
        (body,) = rows(stage)
        assert body["oom_verdict"]["constraint"] == "machine"  # type: ignore[index]
        assert "the kernel takes the biggest, which need not be the cause" in str(body["text"])
        assert "the machine ran out of memory" in stage.service().trouble_text

    play(story, groups=1 if version == 1 else 2)


@pytest.mark.parametrize("point", POINTS)
def test_a_daemon_that_dies_in_between_tells_of_it_once(point: int) -> None:
    async def story(stage: Stage) -> None:
        await proved(stage)
        stage.world.kill_at = frozenset({stage.world.points + point})
        lines = kill(stage.world, NAME, child=True)
        await stage.world.run(10)
        stage.world.kill_at = frozenset()
        await stage.world.run(1)
        read_log(stage, lines, ago=11)
        await stage.world.run(60)
        assert len(rows(stage)) == 1

    play(story)


def test_who_stands_beside_a_leak_below_one_limit_is_left_alone() -> None:
    """With version 1 the engine tells of every container below the group whose limit was met."""

    async def story(stage: Stage) -> None:
        stage.world.least = stage.world.every = 5.0
        stage.world.host.memory |= {"SwapTotal": 0.0, "SwapFree": 0.0}
        kernel = stage.world.kernel
        kernel.machine.parent("/box.slice").limit = 2 * GIB
        kernel.declare("box.oracle", SimLoad(anon=GIB))
        kernel.declare("box.leak", SimLoad(anon=GIB / 8, child=True))
        for name in ("oracle", "leak"):
            stage.image(f"local/{name}:1")
            labels = {**compose("box", name), **OWNED}
            host = {"CgroupParent": "/box.slice"}
            stage.engine.human_run(f"box-{name}-1", f"local/{name}:1", labels, "always", networks=("box",), host=host)
        await stage.begin()
        await stage.world.run(60)
        before = stage.box()
        kernel.grow("box.leak", GIB)
        await stage.until(lambda: kernel.machine.log, 30, "kill", step=0.1)
        await stage.world.run(0.2)
        assert stage.service("box.leak").trouble == "oom", "the counter tells at once"
        await stage.world.run(200)
        assert {row.subject for row in stage.rows("container.oom")} == {"box.leak"}
        assert {row.subject for row in stage.rows("action.planned") if row.body["verb"] != "protect"} == {"box.leak"}
        now = stage.box()
        assert (now.id, now.started_at, now.status) == (before.id, before.started_at, "running")
        assert stage.service().trouble == ""
        firing = [one["data"]["labels"] for one in stage.heard("alert.firing")]
        assert {one["name"] for one in firing if one["alertname"] == "ContainerOOMKilled"} == {"box-leak-1"}
        stage.engine.human_stop(NAME)
        stage.engine.human_start(NAME)
        await stage.world.run(60)
        assert stage.service().trouble == "", "the engine's flag at its end says no more than its event did"

    play(story, groups=1)
