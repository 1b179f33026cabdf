"""Seeded worlds: a box with a few services, an hour in which things go wrong, and a quiet time afterwards.

`Script.of(seed)` says everything that will happen; `play` lets it happen and returns what was found wrong. The same
seed is the same run, to the last journal row: `digest` shows it.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.clock import ManualClock
from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.daemon import read_rules
from supervisor.lab.engine import Behaviour, Fault, SimImage
from supervisor.lab.house import SimWorld
from supervisor.lab.loop import SimLoop
from tests.sim.invariants import Watcher, at_rest, budget

HOUR = 3600.0
QUIET = 2 * HOUR
GRID = 15.0
BAD: tuple[Behaviour, ...] = (
    Behaviour(exit_after=0.2, exit_code=139),
    Behaviour(exit_after=20.0, exit_code=1),
    Behaviour(healthy_after=float("inf")),
    Behaviour(healthy_after=2.0, unhealthy_at=60.0),
    Behaviour(start_error="could not select device driver"),
)
OWNED = {"resurgam.enable": "true"}
_LOADED: list[Loaded] = []


def loaded() -> Loaded:
    """The shipped rules with quick proof, read once."""
    if not _LOADED:
        settings = Settings(proof="60s", state_dir=Path("/nonexistent"))
        _LOADED.append(read_rules(settings, None))
    return _LOADED[0]


@dataclass(frozen=True)
class Service:
    name: str
    owned: bool
    policy: str
    checked: bool

    @property
    def labels(self) -> dict[str, str]:
        compose = {
            "com.docker.compose.project": "box",
            "com.docker.compose.service": self.name.removeprefix("box-").removesuffix("-1"),
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
        }
        return compose | (OWNED if self.owned else {})


@dataclass
class Script:
    """What will happen: (monotonic second, what, arguments) in order, and the numbered points of sudden death."""

    seed: int
    services: tuple[Service, ...] = ()
    events: list[tuple[float, str, tuple[Any, ...]]] = field(default_factory=list)
    kills: frozenset[int] = frozenset()

    @classmethod
    def of(cls, seed: int) -> "Script":
        chance = random.Random(seed)
        services = tuple(
            Service(
                f"box-s{number}-1",
                chance.random() < 0.75,
                chance.choice(("unless-stopped", "always", "no")),
                chance.random() < 0.5,
            )
            for number in range(chance.randint(1, 6))
        )
        script = cls(seed, services)
        for _ in range(chance.randint(2, 8)):
            script.events.append(script._trouble(chance))
        script.events.sort(key=lambda event: event[0])
        if chance.random() < 0.6:
            script.kills = frozenset(chance.randint(1, 160) for _ in range(chance.randint(1, 3)))
        return script

    def _trouble(self, chance: random.Random) -> tuple[float, str, tuple[Any, ...]]:
        at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
        name = chance.choice(self.services).name
        kinds: list[tuple[str, tuple[Any, ...]]] = [
            ("bad_image", (name, chance.randrange(len(BAD)))),
            ("bad_image", (name, 0)),
            ("crash", (name, chance.choice((1, 137, 139)))),
            ("crash", (name, 139)),
            ("sick", (name,)),
            ("engine_faults", (chance.choice((0.05, 0.15, 0.3)), chance.uniform(20, 300), chance.random())),
            ("engine_away", (chance.uniform(1, 120),)),
            ("engine_restart", (chance.uniform(1, 20),)),
            ("broker_down", (chance.uniform(5, 600),)),
            ("human_stop", (name,)),
            ("human_start", (name,)),
            ("human_rename", (name,)),
            ("human_remove", (name,)),
            ("command", (chance.choice(("phoenix", "restart", "stop", "start")), name)),
            ("memory", (chance.choice((0.97, 0.3)),)),
            ("clock", (chance.choice((-3600.0, 3600.0, 28800.0)),)),
        ]
        kind, arguments = chance.choice(kinds)
        return at, kind, arguments


class Play:
    """One script being played."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.loop = SimLoop(ManualClock(seed=script.seed))
        self.chance = random.Random(script.seed + 1)
        self.world: SimWorld
        self.watcher: Watcher

    def run(self) -> list[str]:
        """Play it; what was found wrong."""
        asyncio.set_event_loop(self.loop)
        try:
            return self.loop.run_until_complete(self._play())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _play(self) -> list[str]:
        self.world = world = SimWorld(self.loop, loaded())
        world.broker.subscribe("everybody")
        self.watcher = Watcher(world)
        for number, service in enumerate(self.script.services):
            self._run_good(service, number)
        world.kill_at = self.script.kills
        await world.begin()
        for at, kind, arguments in self.script.events:
            await world.run(max(0.0, at - world.clock.mono()))
            await getattr(self, f"_{kind}")(*arguments)
        await world.run(max(0.0, HOUR - world.clock.mono()))
        self._calm()
        before = self._healthy()
        await world.run(QUIET)
        if world.life is not None and world.life.trouble:
            self.watcher.say("edges", f"an edge broke: {world.life.trouble[0]!r}")
        found = [*self.watcher.found, *budget(world), *at_rest(world, before)]
        await world.finish()
        return found

    def _calm(self) -> None:
        """Faults stop; what people did stays."""
        world = self.world
        world.kill_at = frozenset()
        world.engine.fault = None
        if world.engine.away:
            world.engine.come_back()
        world.broker.start()
        world.host.memory["MemAvailable"] = 100 * 2.0**30

    def _healthy(self) -> dict[str, str]:
        return {
            box.name: box.id
            for box in self.world.engine.containers()
            if box.running and box.health in ("none", "healthy") and box.name in {s.name for s in self.script.services}
        }

    # ------------------------------------------------------------ what happens

    def _run_good(self, service: Service, number: int) -> None:
        engine = self.world.engine
        run = Behaviour(healthy_after=2.0) if service.checked else Behaviour()
        engine.add_image(SimImage(tags=(f"local/{service.name}:1",), config={"Env": [f"N={number}"]}, run=run))
        engine.human_run(service.name, f"local/{service.name}:1", service.labels, service.policy, networks=("box",))

    def _service(self, name: str) -> Service:
        return next(service for service in self.script.services if service.name == name)

    def _try(self, act: Callable[[], Any]) -> None:
        """People's hands fail too, and then they shrug."""
        from supervisor.errors import EngineError

        try:
            act()
        except EngineError:
            return

    async def _bad_image(self, name: str, which: int) -> None:
        """The tag moves to a bad image, and compose recreates the container from it."""
        engine, service = self.world.engine, self._service(name)
        engine.add_image(SimImage(tags=(f"local/{name}:1",), config={"Env": [f"BAD={which}"]}, run=BAD[which]))

        def again() -> None:
            if engine.container(name) is not None:
                engine.human_remove(name, force=True)
            engine.human_run(name, f"local/{name}:1", service.labels, service.policy, networks=("box",))

        self._try(again)

    async def _crash(self, name: str, code: int) -> None:
        for _ in range(self.chance.randint(1, 5)):
            box = self.world.engine.container(name)
            if box is not None and box.running:
                self.world.engine.crash(name, code)
            await self.world.run(self.chance.uniform(0.5, 30))

    async def _sick(self, name: str) -> None:
        box = self.world.engine.container(name)
        if box is not None and box.running and box.health != "none":
            self.world.engine.set_health(name, "unhealthy")

    async def _engine_faults(self, share: float, seconds: float, seed: float) -> None:
        chance = random.Random(seed)
        until = self.world.clock.mono() + seconds

        def fault(_op: str, _key: str) -> Fault | None:
            if self.world.clock.mono() > until or chance.random() > share:
                return None
            kinds = (
                Fault.refuse(),
                Fault.timeout_before_effect(),
                Fault.effect_then_timeout(),
                Fault.delay(chance.uniform(0, 60)),
                Fault.cut(),
                Fault.effect_then_cut(),
            )
            return chance.choice(kinds)

        self.world.engine.fault = fault

    async def _engine_away(self, seconds: float) -> None:
        self.world.engine.go_away()
        await self.world.run(seconds)
        self.world.engine.come_back()

    async def _engine_restart(self, seconds: float) -> None:
        self.world.engine.restart_engine(seconds)

    async def _broker_down(self, seconds: float) -> None:
        self.world.broker.kill()
        await self.world.run(seconds)
        self.world.broker.start()

    async def _human_stop(self, name: str) -> None:
        self._try(lambda: self.world.engine.human_stop(name))

    async def _human_start(self, name: str) -> None:
        self._try(lambda: self.world.engine.human_start(name))

    async def _human_rename(self, name: str) -> None:
        self._try(lambda: self.world.engine.human_rename(name, f"{name}-mine"))

    async def _human_remove(self, name: str) -> None:
        self._try(lambda: self.world.engine.human_remove(name, force=True))

    async def _command(self, verb: str, name: str) -> None:
        life = self.world.life
        if life is None:
            return
        question = asyncio.ensure_future(life.ask(verb, name))
        await self.world.run(1.0)
        if not question.done():
            question.cancel()
        await asyncio.gather(question, return_exceptions=True)

    async def _memory(self, used: float) -> None:
        memory = self.world.host.memory
        memory["MemAvailable"] = memory["MemTotal"] * (1 - used)

    async def _clock(self, seconds: float) -> None:
        self.world.clock.jump(seconds)


def digest(world: SimWorld) -> str:
    """What happened, in a form that must be the same on every Python: (seq, kind, reason, subject, plan)."""
    total = hashlib.sha256()
    for row in world.disk.rows(limit=1_000_000):
        total.update(repr((row.seq, row.kind, row.subject, row.body.get("reason"), row.body.get("plan"))).encode())
    return total.hexdigest()


if __name__ == "__main__":
    import sys

    for word in sys.argv[1:]:
        played = Play(Script.of(int(word)))
        played.run()
        print(digest(played.world))
