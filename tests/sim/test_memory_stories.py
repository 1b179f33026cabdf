"""A small service leaks beside a large one that keeps to its plan: the shipped rules and ladders, from the first alert
to the end. The large one is never touched, and the kernel never has to kill anybody."""

import pytest

from supervisor.lab.engine import Behaviour
from supervisor.lab.kernel.load import SimLoad
from tests.sim.memory import MemoryWatcher, held
from tests.sim.stage import Stage, play, read

MIB, GIB = 2.0**20, 2.0**30
SERVICES = {"box.oracle": {"memory": "10GiB"}, "box.leak": {"memory": "1GiB"}, "box.third": {"memory": "2GiB"}}
LOADED = read(services=SERVICES)


async def prepared(stage: Stage) -> MemoryWatcher:
    """A machine of 16 GiB without swap, a model that uses 9 GiB of its 10, and a small service with 0.5 of its 1."""
    watcher = MemoryWatcher(stage.world)
    stage.world.host.memory = {"MemTotal": 16 * GIB, "MemAvailable": 14 * GIB, "SwapTotal": 0.0, "SwapFree": 0.0}
    stage.world.least = 1.0
    kernel = stage.world.kernel
    kernel.declare("box.oracle", SimLoad(anon=9 * GIB))
    kernel.declare("box.leak", SimLoad(anon=GIB / 2))
    for name in ("oracle", "leak"):
        stage.image(f"local/{name}:1", Behaviour(healthy_after=1.0))
        await stage.up(name)
    await stage.begin()
    await stage.until(lambda: len(stage.space("proved")) == 2, 400, "proof", step=5)
    await stage.world.run(5)
    return watcher


def written(stage: Stage, name: str) -> list[str]:
    """What was written to the groups of a container."""
    box = stage.box(name)
    assert box is not None
    return [path for path, _text in stage.world.kernel.writes if box.id in path]


@pytest.mark.parametrize("groups", [1, 2])
def test_the_leaker_is_held_and_ended_and_the_large_one_never_touched(groups: int) -> None:
    async def story(stage: Stage) -> None:
        watcher = await prepared(stage)
        oracle = stage.box("box-oracle-1")
        stage.world.kernel.grow("box.leak", 50 * MIB)
        await stage.until(lambda: stage.ended("freeze"), 100, "freeze")
        leak = stage.box("box-leak-1")
        assert stage.heard("alert.firing"), "people heard of it before anything was done"
        assert stage.outcome("freeze").body["reason"] == "verified"
        before = stage.world.kernel.machine.find(leak.id).charge
        await stage.world.run(30)
        assert stage.world.kernel.machine.find(leak.id).charge == before, "it grows no more"
        assert stage.world.kernel.meminfo()["MemAvailable"] > GIB / 2
        await stage.until(lambda: stage.ended("thaw"), 200, "end of the freeze", step=5)
        # with version 2 it is slowed down by a fuse for ten minutes, and only then grows as before
        await stage.until(lambda: stage.box("box-leak-1").status == "exited", 1200, "stop", step=5)
        assert stage.service("box.leak").wanted.state == "stopped"
        await stage.world.run(120)
        now = stage.box("box-oracle-1")
        same = (now.id, now.started_at, now.status) == (oracle.id, oracle.started_at, "running")
        assert same, f"the large one was touched, or killed: {stage.world.kernel.machine.log}"
        assert written(stage, "box-oracle-1") == []
        assert stage.world.kernel.machine.log == [], "the kernel killed nobody"
        assert not [*watcher.found, *held(stage.world)], (watcher.found, held(stage.world))
        stage.holds()

    play(story, LOADED, groups=groups)


def test_the_end_of_ram_is_seen_before_the_first_page_goes_to_swap() -> None:
    async def story(stage: Stage) -> None:
        await prepared(stage)
        stage.world.host.memory |= {"SwapTotal": 8 * GIB, "SwapFree": 8 * GIB}
        await stage.world.run(60)
        stage.world.kernel.grow("box.leak", 50 * MIB)
        await stage.until(lambda: stage.ended("freeze"), 200, "freeze")
        memory = stage.world.kernel.meminfo()
        assert memory["MemAvailable"] > GIB / 2, "swap is not free memory: RAM was at its end already"
        assert memory["SwapFree"] == memory["SwapTotal"]

    play(story, LOADED)


def test_a_load_by_plan_and_a_swap_of_models_raise_no_alert() -> None:
    async def story(stage: Stage) -> None:
        watcher = await prepared(stage)
        kernel = stage.world.kernel
        kernel.declare("box.third", SimLoad.loading(GIB, 30.0))
        stage.image("local/third:1", Behaviour(healthy_after=1.0))
        await stage.up("third")
        await stage.world.run(100)
        kernel.declare("box.oracle", SimLoad.loading(9 * GIB, 60.0))
        await stage.ask("restart")
        await stage.world.run(200)
        assert stage.outcome("restart").body["reason"] == "verified"
        assert not [one for one in stage.heard("alert.firing") if "Memory" in one["data"]["labels"]["alertname"]]
        assert (watcher.found, watcher.writes) == ([], [])

    play(story, LOADED)
