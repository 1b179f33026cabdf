"""A simulated engine on a simulated kernel: whoever lives has a group, whoever is killed dies as with a real engine,
and what stands frozen neither ends nor answers."""

import asyncio
from typing import Any

import pytest

from supervisor.facts import EngineEvent
from supervisor.lab.engine import SimEngine
from supervisor.lab.images import Behaviour, SimImage
from supervisor.lab.kernel.dockerd import KernelDockerd
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Version
from supervisor.lab.kernel.sim import SimKernel
from supervisor.lab.loop import SimLoop

MIB, GIB = 2.0**20, 2.0**30
LEAK = SimLoad(anon=GIB).growing(GIB)


class Stage:
    """An engine, a kernel and a virtual clock."""

    def __init__(self, version: Version = 2) -> None:
        self.loop = SimLoop()
        memory = {"MemTotal": 16 * GIB, "MemAvailable": 8 * GIB, "SwapTotal": 0.0, "SwapFree": 0.0}
        self.kernel = SimKernel(self.loop.clock, memory, version)
        self.engine = SimEngine(self.loop.clock, "sim", lambda clock, name: KernelDockerd(clock, name, self.kernel))
        self.events: list[EngineEvent] = []
        self.engine.world.listeners.append(self.events.append)
        self.engine.add_image(SimImage(tags=("plain:1",), run=Behaviour(stop_code=143, memory=70 * MIB)))
        self.engine.add_image(SimImage(tags=("checked:1",), run=Behaviour(healthy_after=1.0)))

    def run(self, name: str, image: str = "plain:1", **more: Any) -> str:
        return self.engine.human_run(name, image, **more)

    def wait(self, seconds: float) -> None:
        """Let the world go on, with its timers."""

        async def nap() -> None:
            self.engine.world.timers.arm()
            await asyncio.sleep(seconds)

        self.loop.run_until_complete(nap())

    def kinds(self, name: str) -> list[str]:
        box = self.engine.world.get(name)
        return [event.kind for event in self.events if event.object_id == box.id]

    def anon(self, name: str) -> float:
        return self.kernel.group(self.engine.world.get(name).id).pages["anon"]

    def freezer(self, name: str, frozen: bool) -> None:
        """As the hands do it: version 2's freezer where there is one."""
        group = self.kernel.group(self.engine.world.get(name).id)
        version = self.kernel.machine.version
        if version == 1:
            path, text = f"/sys/fs/cgroup/freezer{group.path}/freezer.state", "FROZEN" if frozen else "THAWED"
        else:
            root = "/sys/fs/cgroup" + ("/unified" if version == "hybrid" else "")
            path, text = f"{root}{group.path}/cgroup.freeze", str(int(frozen))
        self.kernel.write(path, text.encode())


# ---------------------------------------------------------------- groups come and go


def test_who_runs_has_a_group_and_who_ended_has_none() -> None:
    stage = Stage()
    first = stage.run("oracle")
    assert stage.anon("oracle") == 70 * MIB
    pid = stage.engine.world.get("oracle").pid
    assert first.encode() in stage.kernel.read(f"/proc/{pid}/cgroup")
    stage.engine.human_stop("oracle")
    stage.wait(1)
    assert not stage.kernel.exists(f"/proc/{pid}")
    assert stage.kernel.machine.find(first) is None
    stage.engine.human_start("oracle")
    assert stage.anon("oracle") == 70 * MIB


def test_a_load_belongs_to_a_name_and_begins_anew_with_each_start() -> None:
    stage = Stage()
    stage.kernel.declare("box.oracle", SimLoad.loading(10 * GIB, 10))
    labels = {"com.docker.compose.project": "box", "com.docker.compose.service": "oracle"}
    stage.run("box_oracle_1", labels=labels)
    stage.wait(20)
    assert stage.anon("box_oracle_1") == 10 * GIB
    stage.engine.human_remove("box_oracle_1", force=True)
    stage.run("box_oracle_1", labels=labels)
    stage.wait(2)
    assert stage.anon("box_oracle_1") == pytest.approx(2 * GIB)


def test_limits_are_those_of_the_container() -> None:
    for version in (1, 2):
        stage = Stage(version)  # type: ignore[arg-type]
        made = stage.run("a", host={"Memory": 2**30, "MemorySwap": 3 * 2**30, "OomScoreAdj": 300})
        group = stage.kernel.group(made)
        assert (group.limit, group.score) == (GIB, 300)
        assert (group.memsw if version == 1 else group.swap_limit) == (3 * GIB if version == 1 else 2 * GIB)
        below = stage.kernel.group(stage.run("b", host={"CgroupParent": "/box"}))
        assert below.parent is not None
        assert below.parent.path == "/box"


def test_a_new_life_of_the_engine_has_new_processes() -> None:
    stage = Stage()
    made = stage.run("a", policy="always")
    pid = stage.engine.world.get("a").pid
    stage.engine.restart_engine()
    stage.wait(5)
    group = stage.kernel.group(made)
    assert group.pid == stage.engine.world.get("a").pid != pid


# ---------------------------------------------------------------- kills


def test_a_container_that_meets_its_limit_dies_of_it_without_anybody_looking() -> None:
    for version in (1, 2, "hybrid"):
        stage = Stage(version)  # type: ignore[arg-type]
        stage.kernel.declare("leak", LEAK)
        stage.run("leak", host={"Memory": 4 * 2**30})
        stage.wait(10)
        box = stage.engine.world.get("leak")
        assert (box.exit_code, box.oom_killed) == (137, True)
        assert stage.kinds("leak")[-2:] == ["oom", "die"]
        died = next(event for event in stage.events if event.kind == "die")
        assert died.mono == pytest.approx(3.0, abs=0.01)


def test_for_the_machines_own_memory_only_version_2_tells() -> None:
    for version, told in ((1, ["die"]), ("hybrid", ["die"]), (2, ["oom", "die"])):
        stage = Stage(version)  # type: ignore[arg-type]
        stage.kernel.declare("model", SimLoad(anon=9 * GIB))
        stage.kernel.declare("leak", LEAK)
        for name in ("model", "leak"):
            stage.run(name)
        stage.wait(5)
        box = stage.engine.world.get("model")
        assert stage.kinds("model")[2:] == told
        assert (box.exit_code, box.oom_killed) == (137, version == 2)
        assert stage.engine.world.get("leak").alive


def test_below_a_limit_version_1_tells_the_innocent_as_well() -> None:
    """As tried with a real engine: their `oom` says nothing, and so does OOMKilled at their end."""
    for version, told in ((1, True), ("hybrid", True), (2, False)):
        stage = Stage(version)  # type: ignore[arg-type]
        stage.kernel.machine.parent("/box.slice").limit = 6 * GIB
        stage.kernel.declare("leak", LEAK)
        for name in ("model", "leak"):
            stage.run(name, host={"CgroupParent": "/box.slice"})
        stage.run("outside")
        stage.wait(10)
        assert stage.kinds("leak")[-2:] == ["oom", "die"]
        assert ("oom" in stage.kinds("model")) == told
        assert "oom" not in stage.kinds("outside")
        model = stage.engine.world.get("model")
        assert model.alive
        assert not model.oom_killed
        stage.engine.human_stop("model")
        stage.wait(1)
        assert (model.exit_code, model.oom_killed) == (143, told)


def test_of_a_killed_child_only_the_event_tells() -> None:
    stage = Stage()
    stage.kernel.declare("server", SimLoad(anon=GIB, child=True).growing(GIB))
    stage.run("server", host={"Memory": 4 * 2**30})
    stage.wait(10)
    box = stage.engine.world.get("server")
    assert stage.kinds("server") == ["create", "start", "oom"]
    assert box.alive
    assert not box.oom_killed
    stage.engine.human_stop("server")
    stage.wait(1)
    assert (box.exit_code, box.oom_killed) == (143, True)


# ---------------------------------------------------------------- frozen


def test_a_stop_waits_until_it_goes_on() -> None:
    for version, survives in ((1, True), ("hybrid", False), (2, False)):
        stage = Stage(version)  # type: ignore[arg-type]
        stage.run("a")
        stage.freezer("a", True)
        stage.engine.human_stop("a", grace=10.0)
        stage.wait(9)
        assert stage.engine.world.get("a").alive
        stage.wait(60)
        assert stage.engine.world.get("a").alive == survives, version
        if survives:
            stage.freezer("a", False)
            stage.wait(1)
            assert stage.engine.world.get("a").exit_code in (137, 143)


def test_what_stands_frozen_answers_nothing_and_becomes_unhealthy() -> None:
    stage = Stage()
    stage.run("a", "checked:1")
    stage.wait(5)
    assert stage.engine.well("a")
    stage.freezer("a", True)
    assert not stage.engine.well("a")
    stage.wait(20)
    assert stage.engine.world.get("a").health == "healthy"
    stage.wait(20)
    assert stage.engine.world.get("a").health == "unhealthy"
    stage.freezer("a", False)
    stage.wait(5)
    assert stage.engine.well("a")
    assert stage.engine.world.get("a").health == "healthy"


def test_a_pause_by_the_engine_is_a_freeze() -> None:
    for version in (1, 2, "hybrid"):
        stage = Stage(version)  # type: ignore[arg-type]
        stage.kernel.declare("leak", LEAK)
        stage.run("leak")
        stage.engine.human_pause("leak")
        stage.wait(5)
        assert stage.anon("leak") == GIB
        stage.engine.human_pause("leak", paused=False)
        stage.wait(5)
        assert stage.anon("leak") == pytest.approx(6 * GIB)
