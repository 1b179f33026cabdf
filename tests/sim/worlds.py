"""Seeded worlds: a box with a few services, an hour in which things go wrong, and a quiet time afterwards.

`Script.of(seed)` says everything that will happen; `play` lets it happen and returns what was found wrong. The same
seed is the same run, to the last journal row: `digest` shows it.
"""

import asyncio
import hashlib
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from supervisor.clock import ManualClock
from supervisor.lab.house import SimWorld
from supervisor.lab.loop import SimLoop
from tests.sim import gpu_worlds
from tests.sim.invariants import Watcher, at_rest
from tests.sim.leaks import SERVICES, Leaks, has, planned
from tests.sim.leaks import drawn as drawn_leaks
from tests.sim.ooms import OomTroubles
from tests.sim.ooms import drawn as drawn_ooms
from tests.sim.over_bus import BusTroubles, bound, commands, drawn_bus, obeyed
from tests.sim.richer import MoreTroubles, drawn
from tests.sim.troubles import BAD, HANDS, Service, loaded
from tests.support.contract import breaches, ours

HOUR = 3600.0
QUIET = 2 * HOUR
GRID = 15.0


@dataclass
class Script:
    """What will happen: (monotonic second, what, arguments) in order, and the numbered points of sudden death."""

    seed: int
    services: tuple[Service, ...] = ()
    events: list[tuple[float, str, tuple[Any, ...]]] = field(default_factory=list)
    kills: frozenset[int] = frozenset()
    person: str = ""
    """who is on call, in the worlds that have more (richer.py)"""
    bus: bool = False
    """something comes over the bus (over_bus.py)"""
    leaks: bool = False
    """services have plans, and some leak (leaks.py)"""

    @classmethod
    def of(cls, seed: int) -> "Script":
        chance = random.Random(seed)
        services = tuple(
            Service(
                f"box-s{number}-1",
                chance.random() < 0.75,
                chance.choice(("unless-stopped", "always", "no")),
                chance.random() < 0.5,
                chance.random() < 0.1,
            )
            for number in range(chance.randint(1, 6))
        )
        script = cls(seed, services)
        for _ in range(chance.randint(2, 8)):
            script.events.append(script._trouble(chance))
        if chance.random() < 0.6:
            script.kills = frozenset(chance.randint(1, 160) for _ in range(chance.randint(1, 3)))
        more = drawn(seed, services)
        script.services, script.person = more.services, more.person
        bus = drawn_bus(seed, script.services)
        script.bus = bool(bus)
        ooms = drawn_ooms(seed, script.services)
        script.leaks = has(seed)
        script.services = planned(script.services) if script.leaks else script.services
        leaks = drawn_leaks(seed, script.services)
        cards = gpu_worlds.drawn(seed, script.services)
        events = [*script.events, *more.events, *bus, *ooms, *leaks, *cards]
        script.events = sorted(events, key=lambda event: event[0])
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
            ("mid_plan", (chance.choice(HANDS), chance.uniform(0, 12), name)),
            ("mid_plan", (chance.choice(HANDS), chance.uniform(0, 0.6), name)),
            ("disk_full", (chance.uniform(1, 120),)),
            ("sigterm", (chance.uniform(0.5, 90),)),
            ("frozen", (name, chance.uniform(5, 400))),
            ("paused", (chance.choice(("*", name)), chance.uniform(30, 600))),
            ("broker_deaf", (chance.uniform(5, 300),)),
            ("reload", (chance.uniform(10, 600),)),
        ]
        kind, arguments = chance.choice(kinds)
        return at, kind, arguments


class Play(MoreTroubles, BusTroubles, OomTroubles, Leaks, gpu_worlds.CardTroubles):
    """One script being played."""

    def __init__(self, script: Script) -> None:
        self.script, self.services = script, script.services
        self.loop = SimLoop(ManualClock(seed=script.seed))
        self.chance = random.Random(script.seed + 1)
        self.down = set()
        self.requested = self.said = 0
        self.phoned = set()
        services = SERVICES if script.leaks else gpu_worlds.SERVICES if gpu_worlds.has(script.seed) else None
        self.read = partial(
            loaded,
            more=bool(script.person),
            commands=commands() if script.bus else None,
            services=services,
            gpu=gpu_worlds.SWITCHED_ON if gpu_worlds.switched_on(script.seed) else None,
        )
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
        more = bool(self.script.person)
        self.world = world = SimWorld(self.loop, self.read())
        world.broker.subscribe("everybody")
        self.watcher = Watcher(world)
        if any(what == "oom" for _at, what, _arguments in self.script.events):
            world.every = GRID  # what is killed is counted by each reading
        if self.script.leaks:
            self.plan_memory()
        if gpu_worlds.has(self.script.seed):
            self.plug_in(on=gpu_worlds.switched_on(self.script.seed))
        self.count_kills()
        for number, service in enumerate(self.script.services):
            self._run_good(service, number)
        world.kill_at = self.script.kills
        await world.begin()
        person = asyncio.ensure_future(self.on_call(self.script.person)) if more else None
        for at, kind, arguments in self.script.events:
            await world.run(max(0.0, at - world.clock.mono()))
            await getattr(self, f"_{kind}")(*arguments)
        await world.run(max(0.0, HOUR - world.clock.mono()))
        self._calm()
        await self.settle_cards()
        before, since = self._healthy(), world.disk.last_seq
        await world.run(QUIET)
        if world.life is not None and world.life.trouble:
            self.watcher.say("edges", f"an edge broke: {world.life.trouble[0]!r}")
        found = [*self.watcher.found, *self.watcher.over_budget(), *at_rest(world, before, since), *self._disobeyed()]
        found += [*obeyed(world), *bound(world), *self.miscounted(), *self.held_too_long(), *self.wronged()]
        got = world.broker.subscribers["everybody"].got
        found += [f"contract: {text}" for text in breaches(ours((one.topic, one.payload) for one in got))]
        asked = [row for row in world.disk.rows(kinds=("action.rollout",)) if row.body["by"].startswith("request:")]
        begun = len([row for row in asked if row.body["state"] == "planned"])
        if begun > self.requested:
            found.append(f"I14 once: {self.requested} request files led to {begun} rollouts")
        if person is not None:
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
        await world.finish()
        return found

    def _calm(self) -> None:
        """Faults stop; what people did stays."""
        world = self.world
        world.kill_at = frozenset()
        world.engine.fault = None
        world.engine.world.place.held.clear()
        world.room.wanting = ""
        if world.broker.frozen:
            world.broker.thaw()
        if world.engine.away:
            world.engine.come_back()
        world.broker.start()
        world.host.memory["MemAvailable"] = 376 * 2.0**30
        if self.script.leaks:
            self.settle_memory()

    def _disobeyed(self) -> list[str]:
        """What a person stopped last stays down, and is known to be meant so."""
        boxes = {box.name: box for box in self.world.engine.containers()}
        self.down -= self.phoned
        running = [name for name in sorted(self.down) if name in boxes and boxes[name].running]
        found = [f"a person's word: {name} was stopped by hand and runs" for name in running]
        for service in self.world.life.core.snapshot.services if self.world.life is not None else ():
            name = service.container.name if service.container is not None else ""
            if name in self.down and service.wanted.state != "stopped":
                found.append(f"a person's word: {name} was stopped by hand and is wanted {service.wanted.state}")
        return found

    def _healthy(self) -> dict[str, str]:
        return {
            box.name: box.id
            for box in self.world.engine.containers()
            if box.running and box.health in ("none", "healthy") and box.name in {s.name for s in self.script.services}
        }


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
