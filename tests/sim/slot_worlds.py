"""Seeded worlds around one slot: swaps in an hour in which things go wrong, and a quiet time afterwards.

`Script.of(seed)` says everything that will happen, around a slot of one of the kinds of slot_kinds.py; `play` lets it
happen and returns what was found wrong. At every start of a container, by whomever, and at every load no two models are
in memory that exclude each other, nothing takes more than there is, and nobody is put away who works on requests; when
all is calm nothing is open, whoever served serves, callers are sent to whoever holds the slot, models are shown as they
are, and it is told where nobody serves. The same seed is the same run.
"""

import asyncio
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from supervisor.clock import ManualClock
from supervisor.core.standing import Loaded
from supervisor.facts.slots import LOADED
from supervisor.lab.house import SimWorld
from supervisor.lab.loop import SimLoop
from supervisor.lab.minds import FOR_EVER
from tests.sim import slot_kinds as kinds
from tests.sim.invariants import at_rest
from tests.sim.slot_kinds import INSIDE, KINDS, NAMED, SERVER, SLEEPERS, C
from tests.sim.slots import A, B, Slots
from tests.sim.stage import Stage
from tests.sim.troubles import Service, Troubles
from tests.support.contract import breaches, ours

HOUR, QUIET, GRID = 1500.0, 1800.0, 15.0
CHANGES: tuple[dict[str, Any], ...] = (
    {"rate": 5.0},
    {"senseless": True},
    {"load": FOR_EVER},
    {"dies_in": 2},
    {"breaks_in": 2, "sticky": True},
    {"says": "gpt-2"},
    {"late": 20.0},
    {"counts": False},
    {"refuses": {"load": "no", "wake": "no"}},
    {"ignores": ("unload", "sleep")},
    {},
)
"""how a model may be from some instant on"""
HANDS = ("stop", "remove", "rename", "pause", "ask_stop", "restart_engine", "kill", "sigterm")
SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"fallback": [B], "fallback-after": "60s", "hand-back": "10m"},
    {"fallback": [C], "fallback-after": "60s", "hand-back": "10m"},
    {"probation": "20m", "probation-every": "4m"},
    {"on-fail": "stop"},
)
RESIDENT: tuple[dict[str, Any], ...] = (
    *SHAPES[:2],
    {"together": 2},
    {"together": 3, "evict-above": 0.8},
    {"together": 3},
)
"""of a slot whose models are inside one server"""
Event = tuple[float, str, tuple[Any, ...]]


@dataclass
class Script:
    """What will happen: (monotonic second, what, arguments) in order, and the numbered points of sudden death."""

    seed: int
    kind: str
    slot: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    kills: frozenset[int] = frozenset()

    @classmethod
    def of(cls, seed: int) -> "Script":
        chance = random.Random(f"{seed} slots")
        kind = chance.choice(KINDS)
        script = cls(seed, kind, dict(chance.choice(RESIDENT if kind == INSIDE else SHAPES)))
        for _ in range(chance.randint(2, 4)):
            script.events.append((_instant(chance), "swap", (chance.choice((A, B, B, C)), chance.random() < 0.3)))
        for _ in range(chance.randint(2, 6)):
            script.events.append((_instant(chance), *_trouble(chance, kind)))
        if chance.random() < 0.6:
            script.kills = frozenset(chance.randint(1, 400) for _ in range(chance.randint(1, 3)))
        script.events.sort(key=lambda event: event[0])
        return script


def _instant(chance: random.Random) -> float:
    return 120.0 + GRID * chance.randint(0, int((HOUR - 120) / GRID)) + chance.random()


def _trouble(chance: random.Random, kind: str) -> tuple[str, tuple[Any, ...]]:
    model = chance.choice((A, B))
    name = f"box-{SERVER if kind == INSIDE else model}-1"
    kinds: list[tuple[str, tuple[Any, ...]]] = [
        ("mind", (model, chance.randrange(len(CHANGES)))),
        ("mind", (B, chance.randrange(len(CHANGES)))),
        ("breaks", (model, chance.uniform(1, 30))),
        ("busy", (model, chance.uniform(10, 300))),
        ("crash", (name, chance.choice((1, 137, 139)))),
        ("engine_faults", (chance.choice((0.05, 0.15)), chance.uniform(20, 200), chance.random())),
        ("engine_away", (chance.uniform(1, 60),)),
        ("engine_restart", (chance.uniform(1, 20),)),
        ("human_stop", (name,)),
        ("human_start", (name,)),
        ("human_remove", (name,)),
        ("command", (chance.choice(("restart", "stop", "start", "phoenix")), name)),
        ("clock", (chance.choice((-3600.0, 3600.0)),)),
        ("sigterm", (chance.uniform(0.5, 60),)),
        ("paused", ("*", chance.uniform(30, 300))),
        ("disk_full", (chance.uniform(1, 60),)),
        ("mid_swap", (chance.choice(HANDS), chance.choice((A, B)), chance.uniform(0, 60))),
        ("mid_swap", (chance.choice(HANDS), chance.choice((A, B)), chance.uniform(0, 5))),
    ]
    verbs = {INSIDE: ("load", "unload", "keep", "bench"), SLEEPERS: ("sleep", "wake", "bench")}.get(kind, ("bench",))
    kinds += [("model", (chance.choice(verbs), chance.choice((A, B, C)))) for _ in verbs]
    return chance.choice(kinds)


class Play(Troubles):
    """One script being played."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.loop = SimLoop(ManualClock(seed=script.seed))
        self.chance = random.Random(script.seed + 1)
        self.down = set()
        self.services = tuple(Service(f"box-{name}-1", True, "always", True) for name in (A, B, C, SERVER))
        self.read = partial(_settings, script)
        self.inside = script.kind == INSIDE
        self.stage: Slots

    def run(self) -> list[str]:
        """Play it; what was found wrong."""
        asyncio.set_event_loop(self.loop)
        try:
            return self.loop.run_until_complete(self._play())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _play(self) -> list[str]:
        self.world = world = SimWorld(self.loop, self.read())
        self.stage = stage = Slots(Stage(world))
        self.watcher = stage.watcher
        world.kill_at, world.every = self.script.kills, 30.0
        await kinds.built(self.script.kind, stage)
        await world.begin()
        if self.inside:
            await self._model("load", A)
        for at, kind, arguments in self.script.events:
            await world.run(max(0.0, at - world.clock.mono()))
            await getattr(self, f"_{kind}")(*arguments)
        await world.run(max(0.0, HOUR - world.clock.mono()))
        self._calm()
        await world.run(300)
        before, since = self._serving(), world.disk.last_seq
        await world.run(QUIET)
        found = self._found(before, since)
        await world.finish()
        return found

    def _calm(self) -> None:
        """Faults stop; what people did, and what models are like, stays."""
        world = self.world
        world.kill_at = frozenset()
        world.engine.fault = None
        if world.engine.away:
            world.engine.come_back()
        world.models.busy.clear()

    def _serving(self) -> dict[str, str]:
        boxes = self.world.engine.containers()
        return {box.name: box.id for box in boxes if box.running and box.health in ("none", "healthy")}

    # ------------------------------------------------------------ what happens

    async def _swap(self, to: str, again: bool) -> None:
        if self.world.life is None:
            return
        self.down.clear()
        more = {"again": "true"} if again else {}
        question = asyncio.ensure_future(self.world.life.ask("swap", "oracle", to=to, **more))
        await self.world.run(1.0)
        if not question.done():
            question.cancel()
        await asyncio.gather(question, return_exceptions=True)

    async def _model(self, verb: str, model: str) -> None:
        """A person's word about one model."""
        if self.world.life is None:
            return
        more = {"for": "5m"} if verb == "keep" else {}
        question = asyncio.ensure_future(self.world.life.ask(verb, "oracle", model=model, **more))
        await self.world.run(1.0)
        if not question.done():
            question.cancel()
        await asyncio.gather(question, return_exceptions=True)

    async def _mind(self, model: str, which: int) -> None:
        mind = kinds.minds(self.script.kind)[model].changed(**CHANGES[which])
        kinds.changed(self.script.kind, self.stage, model, mind)

    async def _breaks(self, model: str, after: float) -> None:
        """From now on every start of its container ends so soon."""
        name = self._box(model)
        if self.world.engine.container(name) is not None:
            self.world.engine.break_container(name, exit_after=after, exit_code=139)

    async def _busy(self, model: str, seconds: float) -> None:
        """Somebody asks it something long, past the gate."""
        self.world.models.busy[model] = 1
        self.loop.call_later(seconds, lambda: self.world.models.busy.pop(model, None))

    async def _mid_swap(self, how: str, model: str, later: float) -> None:
        """A hand in it, while a swap is at work."""
        await self._swap(B if self._holder() != B else A, True)
        await self.world.run(later)
        self.down.discard(self._box(model))
        await getattr(self, f"_hand_{how}")(self._box(model))

    def _box(self, model: str) -> str:
        return f"box-{SERVER if self.inside else model}-1"

    def _holder(self) -> str:
        return self.stage.slot().holder if self.world.life is not None and self.stage.snapshot.slots else ""

    async def _human_start(self, name: str) -> None:
        self._by_hand(name)
        await super()._human_start(name)

    async def _human_remove(self, name: str) -> None:
        """`docker rm -f`; some time later `compose up --no-start` makes it anew."""
        await super()._human_remove(name)
        word = name.removeprefix("box-").removesuffix("-1")
        if word in self.stage.minds and self.world.engine.container(name) is None:
            self._try(lambda: self.stage.created(word))
        elif self.inside and self.world.engine.container(name) is None:
            await Stage.up(self.stage, SERVER)

    async def _crash(self, name: str, code: int) -> None:
        """One that slept and is started anew by the engine is awake: that is not ours."""
        self.stage.slot_watcher.blind = self.stage.slot_watcher.blind or self.script.kind == SLEEPERS
        await super()._crash(name, code)

    async def _engine_restart(self, seconds: float) -> None:
        """The engine starts what has a policy that says so, whoever stopped it: that is not ours."""
        for box in self.world.engine.containers():
            if box.restart_policy == "always" and not box.running:
                self._by_hand(box.name)
        # it wakes whoever slept: that is not ours, and there is no telling how it goes on
        self.stage.slot_watcher.blind = self.stage.slot_watcher.blind or self.script.kind == SLEEPERS
        await super()._engine_restart(seconds)

    def _by_hand(self, name: str) -> None:
        box = self.world.engine.container(name)
        if box is not None:
            self.stage.slot_watcher.by_hand.add(box.id)

    # ------------------------------------------------------------ what must hold

    def _found(self, before: dict[str, str], since: int) -> list[str]:
        world, stage = self.world, self.stage
        found = [*stage.slot_watcher.found, *self.watcher.found, *at_rest(world, {}), *self._worse(before, since)]
        if world.life is None:
            return [*found, "no daemon runs"]
        if world.life.trouble:
            found.append(f"an edge broke: {world.life.trouble[0]!r}")
        got = world.broker.subscribers["everybody"].got
        found += [f"contract: {text}" for text in breaches(ours((one.topic, one.payload) for one in got))]
        return [*found, *self._slot(), *self._disobeyed()]

    def _worse(self, before: dict[str, str], since: int) -> list[str]:
        """I2: something served, and now nothing does, and nobody was told."""
        rows = [row for row in self.world.disk.rows(limit=1_000_000) if row.seq > since]
        told = [row for row in rows if row.public and row.kind.partition(".")[0] in ("action", "model", "container")]
        if not before or self._serving() or told:
            return []
        return [f"I2 never worse: {', '.join(before)} served, and nothing does, and nobody was told"]

    def _slot(self) -> list[str]:
        """What is shown of the slot is so, and its callers are sent there."""
        stage, shown, found = self.stage, self.stage.slot(), []
        if shown.phase or shown.plan:
            found.append(f"I11 liveness: the slot is shown in phase {shown.phase!r} of plan {shown.plan}")
        states = {one.name: stage.world.models.state(stage.at(one.name)) for one in shown.models}
        found += [f"shown: {one} is shown {two}" for one, two in self._otherwise(states)]
        if not shown.holder or states[shown.holder] != LOADED:
            # one that keeps dying, or could not be brought back, is told as that
            last = self.world.disk.rows(limit=50, newest_first=True)
            told = any(row.kind in ("container.died", "action.degraded") for row in last)
            telling = shown.problem or told
            if not telling:
                found.append(f"no silence: {shown.holder or 'nobody'} holds the slot of {states}, and nothing is said")
            return found
        box = stage.at(shown.holder).container
        assert box is not None
        if self.script.kind == NAMED:
            return found
        gate = stage.gate()
        if not gate.open or box.address not in gate.upstream:
            found.append(f"callers: {shown.holder} holds the slot at {box.address}, and the gate is {gate}")
        return found

    def _otherwise(self, states: dict[str, str]) -> list[tuple[str, str]]:
        """(how a model stands, how it is shown) of those that are in memory and are not shown so, and the other way."""
        found = []
        for one in self.stage.slot().models:
            mind = self.stage.mind(one.name)
            if (one.state == LOADED) is not (states[one.name] == LOADED) and not mind.sticky and not mind.hides_sleep:
                found.append((f"{one.name}, which is {states[one.name]},", one.state))
        return found

    def _disobeyed(self) -> list[str]:
        """What a person stopped last stays down."""
        boxes = {box.name: box for box in self.world.engine.containers()}
        running = [name for name in sorted(self.down) if name in boxes and boxes[name].running]
        return [f"a person's word: {name} was stopped by hand and runs" for name in running]


def _settings(script: Script, without_rules: bool = False) -> Loaded:
    return kinds.settings(script.kind, script.slot, **({"rules": []} if without_rules else {}))
