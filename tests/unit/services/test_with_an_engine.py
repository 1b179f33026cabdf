"""The registry at the end of a real watch on the simulated engine: what a box does is what it says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from supervisor.config import Settings
from supervisor.facts import Service
from supervisor.lab.engine import Behaviour, SimEngine, SimImage
from supervisor.lab.loop import SimLoop
from supervisor.services import Happening, Registry
from supervisor.signals.docker import Watch

GOOD, BAD = "local/oracle:1", "local/bad:1"


class Box:
    """An engine, its watch, and a registry that hears everything."""

    def __init__(self, loop: SimLoop) -> None:
        self.clock = loop.clock
        self.engine = SimEngine(self.clock)
        self.engine.add_image(SimImage(tags=(GOOD,)))
        self.engine.add_image(SimImage(tags=(BAD,), run=Behaviour(exit_after=0.2, exit_code=139, log=("boom",))))
        self.registry = Registry(Settings.model_validate({"proof": "60s"}), {})
        self.told: list[Happening] = []
        self.watch = Watch(self.engine, self.fold, self.clock, stats_every=0)

    def fold(self, fact: Any) -> None:
        self.told += self.registry.fold(fact, {})

    async def wait(self, seconds: float) -> None:
        """Let time pass; the core's timers are the registry's."""
        end = self.clock.mono() + seconds
        while self.clock.mono() < end - 1e-9:
            await asyncio.sleep(min(1.0, end - self.clock.mono()))
            self.told += self.registry.tick(self.clock.wall(), self.clock.mono())

    def service(self) -> Service:
        found = self.registry.get("oracle")
        assert found is not None
        return found

    def kinds(self) -> list[str]:
        return [one.kind for one in self.told]


def play(story: Callable[[Box], Awaitable[None]]) -> None:
    loop = SimLoop()

    async def whole() -> None:
        box = Box(loop)
        task = asyncio.ensure_future(box.watch.run())
        try:
            await box.wait(0.1)
            await story(box)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()


def test_a_loop_that_begins_with_the_container_is_counted_from_its_first_death() -> None:
    async def story(box: Box) -> None:
        box.engine.human_run("oracle", BAD, policy="always")
        await box.wait(3)
        box.engine.human_stop("oracle")
        await box.wait(1)
        deaths = box.kinds().count("container.died")
        assert deaths >= 3
        assert box.service().deaths == box.service().streak == deaths
        assert box.service().wanted.state == "stopped"
        logs = [one.data["log"] for one in box.told if one.kind == "container.evidence"]
        assert ["boom"] in logs

    play(story)


def test_deaths_behind_a_cut_stream_are_found_by_the_list_that_follows() -> None:
    async def story(box: Box) -> None:
        box.engine.human_run("oracle", GOOD, policy="unless-stopped")
        await box.wait(1)
        box.engine.go_away()
        for _ in range(3):
            box.engine.crash("oracle")
            await box.wait(2)
        box.engine.world.ring.clear()  # too long ago for the engine to remember
        box.engine.come_back()
        await box.wait(20)
        assert box.service().deaths == 3
        assert box.service().container is not None
        assert box.service().container.running

    play(story)


def test_events_the_engine_replays_after_a_cut_are_counted_once() -> None:
    async def story(box: Box) -> None:
        box.engine.human_run("oracle", GOOD, policy="unless-stopped")
        await box.wait(1)
        box.engine.crash("oracle")
        await box.wait(1)
        box.engine.go_away()
        box.engine.crash("oracle")
        await box.wait(2)
        box.engine.come_back()
        await box.wait(20)
        assert box.service().deaths == 2

    play(story)


def test_a_restarted_engine_ends_containers_but_nobody_died() -> None:
    async def story(box: Box) -> None:
        box.engine.human_run("oracle", GOOD, policy="always")
        await box.wait(1)
        box.engine.restart_engine()
        await box.wait(30)
        assert box.service().deaths == 0
        assert box.service().container is not None
        assert box.service().container.running
        assert box.service().wanted.state == "any"
        await box.wait(61)
        assert box.service().proved_image

    play(story)


def test_a_person_at_work_is_understood() -> None:
    async def story(box: Box) -> None:
        engine = box.engine
        engine.human_run("oracle", GOOD, policy="always", labels={"resurgam.enable": "true"})
        await box.wait(61)
        good = box.service().proved_image
        engine.human_stop("oracle")
        await box.wait(1)
        assert box.service().wanted.by == "person"
        engine.human_remove("oracle")
        engine.human_tag(BAD, GOOD)
        engine.human_run("oracle", GOOD, policy="always", labels={"resurgam.enable": "true"})
        await box.wait(2)
        found = box.service()
        assert found.wanted.state == "running"
        assert found.owned.ok
        assert found.drift == "unproved"
        assert found.proved_image == good
        assert found.deaths >= 2
        assert "drift.unproved" in box.kinds()
        engine.human_remove("oracle", force=True)
        await box.wait(100)
        assert box.registry.services() == ()

    play(story)
