"""More kinds of life for the seeded worlds: dependencies, shared networks, state, weight, rollouts, people on call.

`drawn` says, from a seed of its own, what a world has beside what worlds.Script draws: two worlds of three have some of
it, and what the others mean stays as it was. To: worlds.py, whose Play is made of `MoreTroubles` too.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass, replace
from typing import Any

from supervisor.errors import ResurgamError
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.ports import ExecResult
from tests.sim.troubles import BAD, FOLDER, Service, Troubles

HOUR, GRID = 3600.0, 15.0
PEOPLE = ("approves", "denies", "sleeps", "wavers")
"""who is on call: says yes, says no, never says anything, says now this and now that"""
HANDS = ("compose_up", "pause_one", "stop_parent", "hold_port", "machine", "deny", "restart_engine", "kill", "request")
"""what may happen in the middle of a rollout, or of a plan"""
THEMES = ("state", "family", "boot", "project", "back")
"""what most of a world's further events are about"""
SLOW = Behaviour(healthy_after=2.0, speed=3.0)
TOOLLESS = Behaviour(check_missing="curl")
Event = tuple[float, str, tuple[Any, ...]]


@dataclass(frozen=True)
class More:
    """What a world has beside the plain ones."""

    services: tuple[Service, ...]
    events: tuple[Event, ...] = ()
    person: str = ""
    """one of PEOPLE; '' in a plain world"""


def drawn(seed: int, services: tuple[Service, ...]) -> More:
    """What this seed adds."""
    if seed % 3 == 0:
        return More(services)
    chance = random.Random(f"{seed} has more")
    theme = chance.choice(THEMES)
    richer = tuple(_richer(chance, theme, number, services) for number in range(len(services)))
    events = [_event(chance, theme, richer) for _ in range(chance.randint(3, 7))]
    return More(richer, tuple(sorted(events, key=lambda event: event[0])), chance.choice(PEOPLE))


def _richer(chance: random.Random, theme: str, number: int, services: tuple[Service, ...]) -> Service:
    """One service with needs of its own. The first one is whom others share a network with."""
    service, labels = services[number], {}
    if chance.random() < (0.8 if theme == "state" else 0.15):
        labels["resurgam.stateful"] = "true"
    if chance.random() < 0.12:
        labels["resurgam.memory"] = "281GiB"
    if chance.random() < 0.2:
        labels["resurgam.startup"] = chance.choice(("45s", "10m"))
    if chance.random() < 0.3:
        labels["resurgam.probe"] = "http://:8000/"
    if chance.random() < 0.06:
        labels[chance.choice(("io.kubernetes.pod.name", "com.docker.swarm.task.id"))] = "x"
    if chance.random() < (0.7 if theme == "boot" else 0.15):
        labels["resurgam.boot"] = "ordered"
        service = replace(service, policy="no")
    earlier = [one.word for one in services[:number]]
    depends = tuple(word for word in earlier if chance.random() < 0.3)
    parent = services[0].name if number and chance.random() < (0.7 if theme == "family" else 0.1) else ""
    port = 8000 + number if not parent and chance.random() < 0.3 else 0
    return replace(service, more=tuple(sorted(labels.items())), depends=depends, parent=parent, port=port)


def _event(chance: random.Random, theme: str, services: tuple[Service, ...]) -> Event:
    at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
    owned = [service.name for service in services if service.owned]
    name = chance.choice(owned if owned and chance.random() < 0.9 else [service.name for service in services])
    number = chance.randrange(len(services))
    later = chance.choice((chance.uniform(0, 0.6), chance.uniform(0, 12), chance.uniform(0, 60)))
    hand = chance.choice(HANDS)
    kinds: dict[str, list[tuple[str, tuple[Any, ...]]]] = {
        "state": [
            ("new_image", (name, "bad")),
            ("new_image", (name, "slow")),
            ("there_and_back", (name, chance.random() < 0.5, chance.uniform(5, 200))),
            ("mid_image", (name, "bad", hand, later)),
            ("bad_image", (name, chance.randrange(len(BAD)))),
        ],
        "family": [
            ("command", (chance.choice(("phoenix", "restart")), services[0].name)),
            ("restarted", (services[0].name,)),
            ("crash", (services[0].name, 1)),
            ("bad_image", (services[0].name, chance.randrange(len(BAD)))),
            ("mid_image", (services[0].name, chance.choice(("good", "bad")), hand, later)),
        ],
        "boot": [
            ("machine", (chance.uniform(1, 30),)),
            ("engine_restart", (chance.uniform(0.5, 20),)),
            ("mid_rollout", ("start", "machine", later, name)),
        ],
        "project": [
            ("project", (chance.choice(("phoenix", "restart", "stop", "start")),)),
            ("request", ()),
            ("mid_rollout", (chance.choice(("phoenix", "restart", "request")), hand, later, name)),
            ("new_image", (name, "bad")),
            ("compose_up", ()),
        ],
        "back": [
            ("there_and_back", (name, chance.random() < 0.5, chance.uniform(80, 200))),
            ("new_image", (name, chance.choice(("good", "toolless", "slow")))),
            ("rolled_back", (name, chance.random() < 0.5)),
            ("mid_image", (name, "good", hand, later)),
        ],
        "rest": [
            ("silence", (chance.uniform(60, 1800),)),
            ("ack", ()),
            ("hold_port", (number, chance.uniform(10, 300))),
            ("no_room", (chance.uniform(5, 120),)),
            ("command_fails", (name, "/backup", chance.uniform(60, 1200))),
            ("command_fails", (name, "/probe", chance.uniform(60, 1200))),
            ("pause_one", (name, chance.uniform(10, 300))),
            ("mid_plan", (hand, later, name)),
        ],
    }
    pool = chance.choice((theme, theme, "rest", chance.choice(THEMES)))
    kind, arguments = chance.choice(kinds[pool])
    return at, kind, arguments


class MoreTroubles(Troubles):
    """Everything else that may happen."""

    requested: int
    """request files written so far"""

    async def on_call(self, kind: str) -> None:
        """A person looks every 40 seconds what waits for their word, and answers as they are."""
        answers = {"approves": ("approve",), "denies": ("deny",), "wavers": ("approve", "deny"), "sleeps": ()}[kind]
        while True:
            await asyncio.sleep(40)
            life = self.world.life
            for one in life.core.snapshot.approvals if life is not None and answers else ():
                if life is not self.world.life or life is None or life.fence.closed:
                    break
                with contextlib.suppress(TimeoutError, ResurgamError):
                    await asyncio.wait_for(life.ask(answers[one.asked_at % 10 > 5 and len(answers) > 1], one.id), 5)

    async def _told_to(self, verb: str, target: str, override: str = "", **params: str) -> None:
        """A person asks, and does not wait for long."""
        life = self.world.life
        if life is None:
            return
        question = asyncio.ensure_future(life.ask(verb, target, override, **params))
        await self.world.run(1.0)
        if not question.done():
            question.cancel()
        await asyncio.gather(question, return_exceptions=True)

    async def _rolled_back(self, name: str, retag: bool) -> None:
        self.down.discard(name)
        await self._told_to("rollback", name, **({"retag": "true"} if retag else {}))

    async def _project(self, verb: str) -> None:
        """What a person says of the whole project. A stop of it is its rollout's business, and may be cut short."""
        if verb == "start":
            self.down.clear()
        await self._told_to(verb, "box", "", **({"image": "current"} if verb == "phoenix" else {}))

    async def _request(self) -> None:
        self.requested += 1
        self.world.folders[FOLDER].request(self.world.clock.wall())

    async def _compose_up(self) -> None:
        """`compose up -d`: what is missing is made, what is of another image is made anew, the rest is started."""
        self.down.clear()
        for service in self.services:
            self._try(lambda one=service: self._up(one))  # type: ignore[misc]
            await self.world.run(0.3)

    def _up(self, service: Service) -> None:
        engine, there = self.world.engine, self.world.engine.container(service.name)
        if there is not None and there.image_id != engine.world.shelf.tags.get(f"local/{service.name}:1"):
            engine.human_remove(service.name, force=True)
            there = None
        if there is None:
            self._run(service)
        elif not there.running:
            engine.human_start(service.name)

    async def _silence(self, seconds: float) -> None:
        await self._told_to("silence", 'alertname=~".+"', **{"for": f"{seconds:.0f}s", "reason": "night"})

    async def _ack(self) -> None:
        life = self.world.life
        for incident in life.core.snapshot.incidents[:1] if life is not None else ():
            await self._told_to("ack", incident.id)

    async def _hold_port(self, number: int, seconds: float) -> None:
        """A process outside the engine takes the port, as soon as nobody has it."""
        held = self.world.engine.world.place.held
        held.add(f"{8000 + number}/tcp")
        await self.world.run(seconds)
        held.discard(f"{8000 + number}/tcp")

    async def _no_room(self, seconds: float) -> None:
        self.world.room.wanting = "it needs 90 GiB of memory, 12 GiB are free"
        await self.world.run(seconds)
        self.world.room.wanting = ""

    async def _new_image(self, name: str, what: str) -> None:
        """The tag moves, and a person asks for what it stands for now."""
        number = self.chance.randrange(1000)
        run = {"good": Behaviour(healthy_after=1.0), "slow": SLOW, "toolless": TOOLLESS}.get(what)
        run = run or Behaviour(exit_after=self.chance.choice((0.5, 8.0)), exit_code=1)
        image = SimImage(tags=(f"local/{name}:1",), config={"Env": [f"{what}={number}"]}, run=run)
        self.world.engine.add_image(image)
        await self.world.run(1.0)
        self.down.discard(name)
        await self._told_to("phoenix", name, image="current")

    async def _there_and_back(self, name: str, retag: bool, seconds: float) -> None:
        """A newer image, which may have time to prove itself, and back again."""
        await self._new_image(name, "good")
        await self.world.run(seconds)
        await self._rolled_back(name, retag)

    async def _mid_image(self, name: str, what: str, how: str, later: float) -> None:
        """A hand in it while a service goes to another image."""
        await self._new_image(name, what)
        await self.world.run(later)
        await getattr(self, f"_hand_{how}")(name)

    async def _restarted(self, name: str) -> None:
        """`docker restart`, by a person."""
        self.down.discard(name)
        if self._try(lambda: self.world.engine.human_stop(name)):
            await self.world.run(0.2)
            self._try(lambda: self.world.engine.human_start(name))

    async def _command_fails(self, name: str, command: str, seconds: float) -> None:
        """A backup that fails; a probe that cannot run at all."""
        broken = "" if command == "/backup" else "executable file not found"
        self.world.engine.set_exec(name, ExecResult(1, "no", broken), command)
        await self.world.run(seconds)
        self.world.engine.set_exec(name, ExecResult(0, "fine"), command)

    async def _pause_one(self, name: str, seconds: float) -> None:
        """`resurgam pause SERVICE`: of whatever service has this container."""
        await self._paused(name.removesuffix("-1").replace("-", ".", 1), seconds)

    async def _machine(self, seconds: float) -> None:
        """The whole machine: daemon and engine die together and come up together."""
        world = self.world
        await world.run(0.001)
        self.down.clear()
        points, world.kill_at = world.kill_at, frozenset()
        if world.life is not None:
            world.life.fence.closed = True
            await world.bury()
        world.engine.fault = None
        world.engine.restart_engine(seconds)
        await asyncio.sleep(self.chance.uniform(0.2, seconds + 2))
        world.machine = f"boot-{self.chance.randrange(10**6)}"
        await world.begin()
        world.kill_at = points

    async def _mid_rollout(self, verb: str, how: str, later: float, name: str) -> None:
        """A hand in it while a whole project is at work."""
        await (self._request() if verb == "request" else self._project(verb))
        for _ in range(60):
            if self.world.disk.space("rollout"):
                break
            await self.world.run(0.5)
        await self.world.run(later)
        await getattr(self, f"_hand_{how}")(name)

    async def _hand_compose_up(self, _name: str) -> None:
        await self._compose_up()

    async def _hand_pause_one(self, name: str) -> None:
        await self._pause_one(name, 90.0)

    async def _hand_stop_parent(self, _name: str) -> None:
        await self._human_stop(self.services[0].name)

    async def _hand_hold_port(self, name: str) -> None:
        await self._hold_port(int(name.removesuffix("-1")[-1]), self.chance.uniform(1, 90))

    async def _hand_machine(self, _name: str) -> None:
        await self._machine(self.chance.uniform(1, 20))

    async def _hand_request(self, _name: str) -> None:
        await self._request()

    async def _hand_deny(self, _name: str) -> None:
        """Whatever waits for a word gets a no at once."""
        life = self.world.life
        for one in life.core.snapshot.approvals if life is not None else ():
            await self._told_to("deny", one.id)
