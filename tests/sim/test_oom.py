"""Kills for want of memory, whole: the daemon on a virtual clock, an engine and a kernel that both tell of them.

Each story asserts what a person would find: one message per kill, the alert at once, and the right name for it.
"""

import json

import pytest

from tests.sim.ooms import facts, kill
from tests.sim.stage import Stage, play

NAME = "box-oracle-1"
POINTS = range(1, 9)
"""places at which the daemon may die after the engine told of a kill: commits, before and after"""


def rows(stage: Stage) -> list[dict[str, object]]:
    return [row.body for row in stage.rows("container.oom") + stage.rows("daemon.oom")]


def read_log(stage: Stage, lines: list[str], ago: float = 0.0) -> None:
    """The kernel's log is read, so many seconds after the kill."""
    for fact in facts(lines, stage.clock.wall() - ago, stage.clock.mono()):
        stage.life.core.submit(fact)


def test_a_killed_child_of_a_living_service_is_told_at_once_and_once() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
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
        await stage.proved()
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
        await stage.proved()
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
        await stage.proved()
        stage.world.kill_at = frozenset({stage.world.points + point})
        lines = kill(stage.world, NAME, child=True)
        await stage.world.run(10)
        stage.world.kill_at = frozenset()
        await stage.world.run(1)
        read_log(stage, lines, ago=11)
        await stage.world.run(60)
        assert len(rows(stage)) == 1

    play(story)
