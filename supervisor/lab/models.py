"""Simulated model servers: the models in simulated containers, and those that are loaded into a server elsewhere.

From: tests, which declare how each model behaves (minds.py); the simulated engine, whose containers carry them; whoever
calls a server, the daemon and its callers alike. To: ports.ModelServer, as the real servers would answer; the cards and
the kernel, which hold what a model takes. `SimModels` outlives the daemon; serving.py is one daemon's hands on it.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from supervisor.errors import ServerError
from supervisor.facts import Completion, EngineEvent, Identity, ServerLook, SlotModel
from supervisor.facts.slots import ASLEEP, FAILED, LOADED, LOADING, UNKNOWN, UNLOADED
from supervisor.lab.boxes import SimContainer
from supervisor.lab.engine import SimEngine
from supervisor.lab.gpu import SimCards, SimVram
from supervisor.lab.kernel.dockerd import words_of
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.sim import PLAIN, SimKernel
from supervisor.lab.minds import SimModel
from supervisor.ports import ModelAt

LATENCY = 0.002
"""seconds a question takes"""
_NEAR = 1e-6
PLAIN_MODEL = SimModel()


@dataclass(slots=True)
class Served:
    """One model in one life of its server."""

    ready: float = math.inf
    """the monotonic instant at which it is loaded"""
    begun: bool = False
    """its load was begun"""
    level: int = 0
    """it sleeps so deep; 0: it is awake"""
    woken: bool = False
    broken: bool = False
    answered: int = 0
    used: float = 0.0
    working: int = 0
    """requests it works on"""
    proved: int = 0
    """whole answers to questions of ours"""


@dataclass(slots=True)
class SimHost:
    """One life of one model server. `box` None: it is no container of ours."""

    key: str
    life: int
    box: SimContainer | None
    models: dict[str, Served] = field(default_factory=dict)
    """the name its server knows a model by ('' for a server with one) -> how it stands"""


class SimModels:
    """The model servers of a simulated box."""

    def __init__(self, engine: SimEngine, cards: SimCards, kernel: SimKernel) -> None:
        self.engine, self.cards, self.kernel, self.clock = engine, cards, kernel, engine.clock
        self.minds: dict[tuple[str, str], SimModel] = {}
        """(word of a container or `host:port`, name inside its server, '' for the only one) -> how it behaves"""
        self.away: set[str] = set()
        """servers elsewhere, as `host:port`, that do not answer"""
        self.verbs: list[tuple[str, str, float]] = []
        """every verb that had its effect: (verb, the model's name, unix time)"""
        self.listeners: list[Callable[[str, str], None]] = []
        """told of each (verb, the model's name), right after its effect"""
        self.asked: list[tuple[str, str]] = []
        """every answer that was begun: (the model's name, prompt)"""
        self.busy: dict[str, int] = {}
        """by the model's name: requests of others that it works on, beside those that the lab makes"""
        self._hosts: dict[str, SimHost] = {}
        self._after = 0
        engine.world.listeners.append(self._heard)

    # ------------------------------------------------------------ what tests say

    def declare(self, word: str, mind: SimModel, inside: str = "") -> None:
        """The model in containers of this word (id, name, compose service, image) behaves so from now on; `inside`: the
        one its server knows by that name. A server elsewhere is its `host:port`."""
        self.minds[word, inside] = mind
        self.kernel.machine.declared = self.kernel.machine.declared or mind.memory > 0
        if inside:
            return
        if mind.vram:
            self.cards.vram[word] = SimVram(mind.vram, mind.load if math.isfinite(mind.load) else 0.0)
        if mind.memory:
            slow = mind.load if mind.load > 0 and math.isfinite(mind.load) else 0.0
            self.kernel.declare(word, SimLoad.loading(mind.memory, slow) if slow else SimLoad(anon=mind.memory))

    def state(self, at: ModelAt) -> str:
        """How it really stands, whatever its server says: one of facts.slots.STATES."""
        host = self._host(at)
        served = self._served(host, at.model) if host is not None else None
        return UNLOADED if served is None else self._state(served)

    def proved(self, at: ModelAt) -> int:
        """How many whole answers it gave to questions of ours since it was loaded or woken."""
        host = self._host(at)
        return self._served(host, at.model).proved if host is not None else 0

    def sleeps(self, container_id: str) -> bool:
        """Whether a model in this container sleeps."""
        host = self._hosts.get(container_id)
        return host is not None and any(one.level for one in host.models.values())

    # ------------------------------------------------------------ what a server says, and does

    def look(self, at: ModelAt) -> ServerLook:
        """What it says of a model."""
        host = self._host(at)
        if host is None:
            if at.container is None:
                return ServerLook(UNKNOWN, "its server does not answer")
            return ServerLook(UNLOADED, "its container does not run", "sim")
        if host.box is not None and not self._answers(host.box):
            return ServerLook(UNKNOWN, "its server does not answer")
        served, mind = self._served(host, at.model), self._mind(host, at.model)
        state = self._state(served)
        if served.broken and mind.sticky:
            state = FAILED
        elif state == ASLEEP and mind.hides_sleep:
            state = LOADED
        loaded = tuple(sorted(name for name, one in host.models.items() if name and self._state(one) == LOADED))
        working = served.working + self.busy.get(at.model.name, 0)
        return ServerLook(
            state,
            f"its server says {state}",
            "sim",
            self._identity(at.model, mind) if state == LOADED else Identity(),
            loaded,
            self._progress(served, mind) if state == LOADING else -1.0,
            (working if mind.counts else None) if state in (LOADED, LOADING) else 0,
            mind.memory if state == LOADED else 0.0,
            math.fsum(mind.vram.values()) if state == LOADED else 0.0,
            served.used,
        )

    async def verb(self, verb: str, at: ModelAt, within: float) -> str:
        """load | unload | sleep | wake. What was sent has its effect, whoever waits for it."""
        await asyncio.sleep(LATENCY)
        host = self._host(at)
        if host is None or (host.box is not None and not self._answers(host.box)):
            raise ServerError(f"{at.model.name}: its server does not answer; see whether it runs")
        served, mind = self._served(host, at.model), self._mind(host, at.model)
        if verb in mind.refuses:
            raise ServerError(f"{at.model.name}: its server says: {mind.refuses[verb]}")
        if verb not in mind.ignores:
            self.verbs.append((verb, at.model.name, self.clock.wall()))
            getattr(self, f"_{verb}")(host, served, mind, at.model)
            for tell in self.listeners:
                tell(verb, at.model.name)
        left = served.ready - self.clock.mono()
        if verb in ("load", "wake") and left > 0:
            await asyncio.sleep(min(left, within))
        if not self._lives(host):
            raise ServerError(f"{at.model.name}: its server went away")
        if verb in ("load", "wake") and served.ready > self.clock.mono() + _NEAR:
            raise ServerError(f"{at.model.name} was not loaded within {within:.0f} s")
        if verb == "sleep" and not served.level:
            raise ServerError(f"{at.model.name}: its server said yes, and does not sleep")
        return f"its server says {self._state(served)}"

    async def answer(self, host: SimHost, model: str, prompt: str, tokens: int, within: float) -> Completion:
        """One answer of a model, by the name its server knows it by."""
        served, mind = host.models[model], self._mind_of(host, model)
        if served.broken and mind.sticky:
            raise ServerError("its server answers 503")
        if self._state(served) != LOADED:
            if served.level and mind.hides_sleep:
                await asyncio.sleep(within)
            raise ServerError(f"its server answers 503: it is {self._state(served)}")
        served.answered += 1
        served.working += 1
        number, seconds = served.answered, mind.first_token + tokens / mind.rate
        ends = seconds / 2 if number in (mind.dies_in, mind.breaks_in) else seconds
        if number == mind.dies_in and host.box is not None:  # whether or not somebody still waits for the answer
            box, life, timers = host.box, host.life, self.engine.world.timers
            timers.after(ends, lambda: self.engine.world.end(box, 139, life=life))
        try:
            await asyncio.sleep(min(ends, within))
        finally:
            served.working -= 1
        served.used += tokens
        if number == mind.breaks_in:
            served.broken = True
        if not self._lives(host) or number in (mind.dies_in, mind.breaks_in) or self._state(served) != LOADED:
            raise ServerError("its server cut the answer half-way")
        if seconds > within:
            raise ServerError(f"no whole answer within {within:.0f} s")
        text, name = mind.answer(prompt, served.woken), mind.says or model
        asked = max(1, len(prompt) // 4)
        return Completion(text, seconds, mind.first_token, tokens, asked, mind.rate, mind.prompt_rate, name)

    async def complete(self, at: ModelAt, prompt: str, tokens: int, within: float) -> Completion:
        """One answer of a model of a slot."""
        self.asked.append((at.model.name, prompt))
        await asyncio.sleep(LATENCY)
        host = self._host(at)
        if host is None or (host.box is not None and not self._answers(host.box)):
            raise ServerError(f"{at.model.name}: its server does not answer; see whether it runs")
        served = self._served(host, at.model)
        found = await self.answer(host, self._inner(at.model), prompt, tokens, within)
        served.proved += 1
        return found if found.model else replace(found, model=self._name(at.model))

    async def call(self, url: str, tokens: int = 16, within: float = 600.0) -> Completion:
        """One request of a caller to `http://host:port`, as the gate passes it on. ConnectionRefusedError where nothing
        listens: nothing was sent; ServerError for any other answer than a whole one."""
        host = self._listening(url)
        if host is None:
            raise ConnectionRefusedError(url)
        if not host.models:
            host.models[""] = Served(self._ready(host), True)
        model = next((name for name, one in host.models.items() if self._state(one) == LOADED), next(iter(host.models)))
        found = await self.answer(host, model, "Hello", tokens, within)
        return found if found.model or host.box is None else replace(found, model=host.box.name)

    # ------------------------------------------------------------ the verbs

    def _load(self, host: SimHost, served: Served, mind: SimModel, model: SlotModel) -> None:
        if served.level:
            self._wake(host, served, mind, model)
        elif self._state(served) == UNLOADED:
            served.ready, served.begun = self.clock.mono() + mind.load, True
            self._hold(host)

    def _unload(self, host: SimHost, served: Served, mind: SimModel, model: SlotModel) -> None:
        if self._state(served) != UNLOADED:
            served.ready, served.begun, served.level, served.woken, served.proved = math.inf, False, 0, False, 0
            self._keep_for(host, mind)
            self._hold(host)

    def _sleep(self, host: SimHost, served: Served, mind: SimModel, model: SlotModel) -> None:
        if not served.level and self._state(served) == LOADED:
            served.level = model.sleep or 1
            self._keep_for(host, mind)
            self._hold(host)

    def _wake(self, host: SimHost, served: Served, mind: SimModel, _model: SlotModel) -> None:
        if served.level:
            served.level, served.woken, served.proved = 0, True, 0
            served.ready = self.clock.mono() + mind.wake
            self._hold(host)

    # ------------------------------------------------------------ which server, which model

    def _host(self, at: ModelAt) -> SimHost | None:
        """The present life of its server; None where there is none."""
        self.engine.world.timers.run_due()
        if at.container is None:
            key = urlsplit(at.model.url).netloc
            there = any(word == key for word, _inside in self.minds) and key not in self.away
            return self._life(key, 0, None) if there else None
        box = self.engine.world.find(at.container.id)
        return self._life(box.id, box.life, box) if box is not None and box.alive else None

    def _life(self, key: str, life: int, box: SimContainer | None) -> SimHost:
        host = self._hosts.get(key)
        if host is None or host.life != life:
            host = self._hosts[key] = SimHost(key, life, box)
        return host

    def _lives(self, host: SimHost) -> bool:
        if host.box is None:
            return host.key not in self.away
        return host.box.alive and host.box.life == host.life

    def _answers(self, box: SimContainer) -> bool:
        return box.status == "running"

    def _listening(self, url: str) -> SimHost | None:
        """Who listens at an address: a container by its own, or by a port it publishes; or a server elsewhere."""
        self.engine.world.timers.run_due()
        parts = urlsplit(url)
        if any(word == parts.netloc for word, _inside in self.minds):
            return self._life(parts.netloc, 0, None) if parts.netloc not in self.away else None
        for _id, box in sorted(self.engine.world.containers.items()):
            published = box.host.get("PortBindings") or {}
            outside = {str(one.get("HostPort")) for bound in published.values() for one in bound or ()}
            mine = parts.hostname in box.addresses.values() or str(parts.port) in outside
            if mine and box.alive and self._answers(box):
                return self._life(box.id, box.life, box)
        return None

    def _words(self, host: SimHost) -> tuple[str, ...]:
        return words_of(host.box) if host.box is not None else (host.key,)

    def _mind_of(self, host: SimHost, inner: str) -> SimModel:
        return next((self.minds[one, inner] for one in self._words(host) if (one, inner) in self.minds), PLAIN_MODEL)

    def _mind(self, host: SimHost, model: SlotModel) -> SimModel:
        return self._mind_of(host, self._inner(model))

    def _inner(self, model: SlotModel) -> str:
        return self._name(model) if model.inside else ""

    def _name(self, model: SlotModel) -> str:
        return model.model or model.name

    def _identity(self, model: SlotModel, mind: SimModel) -> Identity:
        return Identity(mind.says or self._name(model), (), mind.context, mind.build)

    def _served(self, host: SimHost, model: SlotModel) -> Served:
        inner = self._inner(model)
        if inner not in host.models:
            host.models[inner] = Served() if inner else Served(self._ready(host), True)
        return host.models[inner]

    def _ready(self, host: SimHost) -> float:
        """When the only model of a container is loaded: it loads as its container starts."""
        assert host.box is not None
        return host.box.began_mono + self._mind_of(host, "").load

    def _state(self, served: Served) -> str:
        if served.level:
            return ASLEEP
        if served.ready <= self.clock.mono() + _NEAR:
            return LOADED
        return LOADING if served.begun else UNLOADED

    def _progress(self, served: Served, mind: SimModel) -> float:
        if not math.isfinite(served.ready) or mind.load <= 0:
            return -1.0
        return min(1.0, max(0.0, 1.0 - (served.ready - self.clock.mono()) / mind.load))

    # ------------------------------------------------------------ what it holds

    def _hold(self, host: SimHost) -> None:
        """Let the cards and the kernel hold what the models of this server take now."""
        if host.box is None:
            return
        memory, held = 0.0, dict.fromkeys((card.index for card in self.cards.cards), 0)
        for name, served in host.models.items():
            mind, state = self._mind_of(host, name), self._state(served)
            if state in (LOADED, LOADING):
                memory += mind.memory
                for index, size in mind.vram.items():
                    held[index] = held.get(index, 0) + size
            elif served.level == 1:  # the weights wait in the machine's memory
                memory += mind.memory + math.fsum(mind.vram.values())
        self.cards.vram[host.box.id] = SimVram(held)
        group = self.kernel.machine.find(host.box.id)
        if group is not None:
            group.carry(SimLoad(anon=memory or PLAIN.anon))
            self.kernel.changed()

    def _heard(self, event: EngineEvent) -> None:
        """A container ended: what was said of this life of it is over; its memory may be free only later."""
        if event.kind in ("start", "die"):
            self.cards.vram.pop(event.object_id, None)
        if event.kind != "die":
            return
        host = self._hosts.pop(event.object_id, None)
        box = self.engine.world.containers.get(event.object_id)
        if box is None:
            return
        host = host or SimHost(box.id, box.life, box)
        for name, served in host.models.items() or (("", None),):
            if served is None or (self._state(served) in (LOADED, LOADING) and not served.level):
                self._keep_for(host, self._mind_of(host, name))

    def _keep_for(self, host: SimHost, mind: SimModel) -> None:
        """What it took is held by nobody's process for a while."""
        if host.box is None or mind.late <= 0:
            return
        timers, word = self.engine.world.timers, host.box.id
        pids = [self.cards.leave_behind(word, index, size) for index, size in mind.vram.items()]
        self._after += 1
        group = f"late-{self._after}"

        def stays() -> None:
            self.kernel.add(group, 0, SimLoad(anon=mind.memory))

        def gone() -> None:
            for pid in pids:
                self.cards.orphans.pop(pid, None)
            self.kernel.remove(group)

        if mind.memory:
            timers.after(0.0, stays)
        timers.after(mind.late, gone)
