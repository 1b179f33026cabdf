"""What goes wrong in the seeded worlds: bad images, crashes, an engine and a broker in trouble, people's hands.

From: tests/sim/worlds.py, whose Play is made of these and calls them by name. To: the simulated box.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.config import Settings
from supervisor.config.yaml import Document, validate
from supervisor.core.reading import read_rules
from supervisor.core.standing import Loaded
from supervisor.errors import EngineError, JournalError
from supervisor.facts import Reloaded
from supervisor.lab.engine import Behaviour, Fault, SimImage
from supervisor.lab.house import SimWorld
from supervisor.services import is_temp
from tests.sim.invariants import Watcher

BAD: tuple[Behaviour, ...] = (
    Behaviour(exit_after=0.2, exit_code=139),
    Behaviour(exit_after=20.0, exit_code=1),
    Behaviour(healthy_after=float("inf")),
    Behaviour(healthy_after=2.0, unhealthy_at=60.0),
    Behaviour(start_error="could not select device driver"),
    Behaviour(exit_after=60.0, exit_code=1, stop_takes=None),
)
HANDS = ("stop", "remove", "rename", "take_name", "up", "pause", "ask_stop", "restart_engine", "kill", "sigterm")
"""what may happen while a plan is at work"""
WATCHING = ("probation", "verify", "commit", "spare", "clear", "back_verify")
"""steps in which we stop nothing: a `docker stop` then is a person's"""
OWNED = {"resurgam.enable": "true"}
FOLDER = "/srv/state"
MORE: Mapping[str, Any] = {
    "services": {
        "box.s2": {"before": {"exec": ["/backup"], "within": "60s"}},
        "box.s3": {"probe": "completion://:8000", "benchmark": {"at-least": 12}},
        "box.s4": {"probe-exec": ["/probe"]},
    },
    "requests": [{"folder": FOLDER, "project": "box", "grace": "10s"}],
}
"""settings of the worlds of richer.py"""

_LOADED: dict[tuple[bool | str, ...], Loaded] = {}


def loaded(
    without_rules: bool = False,
    more: bool = False,
    commands: Mapping[str, Any] | None = None,
    services: Mapping[str, Mapping[str, Any]] | None = None,
    gpu: Mapping[str, bool] | None = None,
) -> Loaded:
    """The shipped rules with quick proof, or no rules at all; read once. `more`: with settings for some services;
    `commands`: who may command over the bus; `services`: further settings of services; `gpu`: what is switched on."""
    key = (without_rules, more, commands is not None, *(services or {}), "", *(gpu or {}))
    if key not in _LOADED:
        said = {"proof": "60s", "rules": [] if without_rules else ["shipped"], **(MORE if more else {})}
        entries = said.get("services", {})
        added = {name: {**entries.get(name, {}), **more_of_it} for name, more_of_it in (services or {}).items()}
        said["services"] = {**entries, **added}
        said |= {"commands": commands} if commands is not None else {}
        said |= {"gpu": gpu} if gpu is not None else {}
        made = validate(Settings, Document("resurgam.yaml", {**said, "state_dir": "/nonexistent"}))
        _LOADED[key] = read_rules(made, None)
    return _LOADED[key]


@dataclass(frozen=True)
class Service:
    name: str
    owned: bool
    policy: str
    checked: bool
    stubborn: bool = False
    """it ignores SIGTERM"""
    more: tuple[tuple[str, str], ...] = ()
    """labels beside the usual ones"""
    depends: tuple[str, ...] = ()
    """compose services it depends on"""
    parent: str = ""
    """the container whose network it shares"""
    port: int = 0
    """the host port it publishes; 0 for none"""

    @property
    def word(self) -> str:
        """Its compose service."""
        return self.name.removeprefix("box-").removesuffix("-1")

    @property
    def labels(self) -> dict[str, str]:
        compose = {
            "com.docker.compose.project": "box",
            "com.docker.compose.service": self.word,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
        }
        depends = ",".join(f"{word}:service_started:false" for word in self.depends)
        known = {"com.docker.compose.depends_on": depends} if depends else {}
        return compose | known | dict(self.more) | (OWNED if self.owned else {})


class Troubles:
    """Everything that may happen, each a method of its own."""

    world: SimWorld
    watcher: Watcher
    chance: random.Random
    services: tuple[Service, ...]
    down: set[str]
    """what a person stopped, and nobody started or touched since"""
    read: Callable[..., Loaded]
    """the settings and rules of this world; `without_rules`"""

    def _run_good(self, service: Service, number: int) -> None:
        engine = self.world.engine
        run = Behaviour(healthy_after=2.0) if service.checked else Behaviour()
        if service.stubborn:
            run = run.changed(stop_takes=None)
        engine.add_image(SimImage(tags=(f"local/{service.name}:1",), config={"Env": [f"N={number}"]}, run=run))
        self._run(service)

    def _run(self, service: Service, *networks: str) -> None:
        """`docker run`, as compose would."""
        given: dict[str, Any] = {"networks": networks or ("box",)}
        if service.parent:
            given = {"host": {"NetworkMode": f"container:{service.parent}"}}
        if service.port:
            given["ports"] = {"8000/tcp": str(service.port)}
        engine, image = self.world.engine, f"local/{service.name}:1"
        engine.human_run(service.name, image, service.labels, service.policy, **given)

    def _service(self, name: str) -> Service:
        return next(service for service in self.services if service.name == name)

    def _try(self, act: Callable[[], Any]) -> bool:
        """People's hands fail too, and then they shrug."""
        try:
            act()
        except EngineError:
            return False
        return True

    async def _bad_image(self, name: str, which: int) -> None:
        """The tag moves to a bad image, and compose recreates the container from it."""
        engine, service = self.world.engine, self._service(name)
        engine.add_image(SimImage(tags=(f"local/{name}:1",), config={"Env": [f"BAD={which}"]}, run=BAD[which]))

        def again() -> None:
            self.down.discard(name)
            if engine.container(name) is not None:
                engine.human_remove(name, force=True)
            self._run(service)

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
        self.down.clear()  # an engine starts what has the policy `always`, whoever stopped it
        self.world.engine.restart_engine(seconds, orderly=seconds > 10)

    async def _broker_down(self, seconds: float) -> None:
        self.world.broker.kill()
        await self.world.run(seconds)
        self.world.broker.start()

    async def _human_stop(self, name: str) -> None:
        box = self.world.engine.container(name)
        stopped = self._try(lambda: self.world.engine.human_stop(name))
        if stopped and box is not None and box.running and self._heard(name) and self._ours_to_stop(box.id):
            self.down.add(name)

    def _heard(self, name: str) -> bool:
        """Whether the daemon lives and is told by the engine: what happens unheard cannot be known. Who ignores SIGTERM
        ends 10 s later: a daemon that is to be killed may not hear of that."""
        if self._service(name).stubborn and any(point > self.world.points for point in self.world.kill_at):
            return False
        return self.world.life is not None and not self.world.engine.away and self.world.engine.fault is None

    def _ours_to_stop(self, ident: str) -> bool:
        """Whether no plan may be stopping this container itself."""
        plans = [plan for plan in self.watcher.plans() if plan.verb != "protect"]
        mine = [plan for plan in plans if ident in (plan.container_id, plan.data().get("new_id"))]
        return all(plan.begun and plan.begun[-1] in WATCHING for plan in mine)

    async def _human_start(self, name: str) -> None:
        self.down.discard(name)
        self._try(lambda: self.world.engine.human_start(name))

    async def _human_rename(self, name: str) -> None:
        self.down.discard(name)
        self._try(lambda: self.world.engine.human_rename(name, f"{name}-mine"))

    async def _human_remove(self, name: str) -> None:
        self.down.discard(name)
        self._try(lambda: self.world.engine.human_remove(name, force=True))

    async def _frozen(self, name: str, seconds: float) -> None:
        """`docker pause`: it runs and says nothing."""
        if self._try(lambda: self.world.engine.human_pause(name)):
            await self.world.run(seconds)
            self._try(lambda: self.world.engine.human_pause(name, paused=False))

    async def _mid_plan(self, how: str, later: float, name: str) -> None:
        """A hand in it, while a plan is at work: on whichever service one is, or soon is by a person's wish."""
        self.down.discard(name)
        life = self.world.life
        wish = asyncio.ensure_future(life.ask("phoenix", name)) if life is not None else None
        plans = []
        for _ in range(100):
            plans = [plan for plan in self.watcher.plans() if plan.verb != "protect" and plan.begun]
            if plans:
                break
            await self.world.run(0.005)
        await self.world.run(later)
        if wish is not None:
            wish.cancel()
        if plans:
            await getattr(self, f"_hand_{how}")(plans[0].name)

    async def _hand_stop(self, name: str) -> None:
        await self._human_stop(name)

    async def _hand_remove(self, name: str) -> None:
        """Any of the containers that are there for it, the temporary ones too."""
        mine = [box.name for box in self.world.engine.containers() if box.name == name or is_temp(box.name)]
        await self._human_remove(self.chance.choice(mine) if mine else name)

    async def _hand_rename(self, name: str) -> None:
        await self._human_rename(name)

    async def _hand_take_name(self, name: str) -> None:
        service = self._service(name)
        self.down.discard(name)
        self._try(lambda: self._run(service, "bridge"))

    async def _hand_up(self, name: str) -> None:
        """`compose up --force-recreate`."""
        await self._human_remove(name)
        await self._hand_take_name(name)

    async def _hand_pause(self, _name: str) -> None:
        await self._paused("*", 60.0)

    async def _hand_ask_stop(self, name: str) -> None:
        await self._command("stop", name)

    async def _hand_restart_engine(self, _name: str) -> None:
        await self._engine_restart(self.chance.uniform(0.5, 20))

    async def _hand_kill(self, _name: str) -> None:
        if self.world.life is not None:
            self.world.life.fence.closed = True
            self.world.killed.set()
        await self.world.run(1.0)

    async def _hand_sigterm(self, _name: str) -> None:
        await self._sigterm(self.chance.uniform(0.5, 20))

    async def _sigterm(self, seconds: float) -> None:
        """An orderly end, a while without anybody, a start. (Kill points have their own turn.)"""
        world = self.world
        await world.run(0.001)
        points, world.kill_at = world.kill_at, frozenset()
        await world.finish()
        await asyncio.sleep(seconds)
        await world.begin()
        world.kill_at = points

    async def _disk_full(self, seconds: float) -> None:
        disk = self.world.disk

        def full(_batch: object) -> None:
            raise JournalError("The journal cannot be written (database or disk is full)", full=True)

        disk.commit = full  # type: ignore[method-assign]
        await self.world.run(seconds)
        del disk.commit

    async def _paused(self, subject: str, seconds: float) -> None:
        await self._command("pause", subject)
        await self.world.run(seconds)
        await self._command("resume", subject)

    async def _broker_deaf(self, seconds: float) -> None:
        """It takes everything and acknowledges nothing."""
        self.world.broker.freeze()
        await self.world.run(seconds)
        self.world.broker.thaw()

    async def _reload(self, seconds: float) -> None:
        """The rule files are gone for a while."""
        for rules in (self.read(without_rules=True), self.read()):
            self.world.loaded = rules
            if self.world.life is not None:
                clock = self.world.clock
                self.world.life.core.submit(Reloaded(clock.wall(), clock.mono(), rules, "Read again."))
            await self.world.run(seconds)

    async def _command(self, verb: str, name: str) -> None:
        life = self.world.life
        if life is None:
            return
        if verb in ("phoenix", "restart", "start"):
            self.down.discard(name)
        question = asyncio.ensure_future(life.ask(verb, name))
        await self.world.run(1.0)
        if verb == "stop" and question.done() and not question.exception() and question.result().verdict.ok:
            self.down.add(name)
        if not question.done():
            question.cancel()
        await asyncio.gather(question, return_exceptions=True)

    async def _memory(self, used: float) -> None:
        memory = self.world.host.memory
        memory["MemAvailable"] = memory["MemTotal"] * (1 - used)

    async def _clock(self, seconds: float) -> None:
        self.world.clock.jump(seconds)
