"""A box with one card and one slot, two models that cannot run together, and callers; and what must hold of every swap.

`Slots` tells a story as `Stage` does, with what slots need besides. `SlotWatcher` looks at every engine event and at
every verb of a model server: which models are in memory at that instant, and whether there is room for them.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor.config.slots import slots_of
from supervisor.core.standing import Loaded
from supervisor.facts import Container, EngineEvent, Json, SlotState
from supervisor.facts.slots import ASLEEP, LOADED, LOADING
from supervisor.journal import Row
from supervisor.lab.boxes import SimContainer
from supervisor.lab.engine import Behaviour
from supervisor.lab.gate import Called, SimCallers
from supervisor.lab.gpu import GIB
from supervisor.lab.minds import SimModel
from supervisor.ports import ModelAt
from supervisor.services import is_temp
from tests.sim.stage import OWNED, Stage, play, read

A, B = "v32", "mxfp4"
"""the first choice, which holds the slot, and the candidate"""
WELL = Behaviour(healthy_after=1.0, memory=0)
GATE = "127.0.0.1:8000"
CANARY = {"prompt": "What is 2+3?", "matches": "5"}
GOOD = SimModel(load=20.0, rate=20.0, memory=100 * GIB, vram={0: 80 * GIB}, answers={"2+3": "It is 5."})
CARDS = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}
SLOT: Mapping[str, Any] = {
    "listen": GATE,
    "models": {A: {"service": f"box.{A}", "model": A}, B: {"service": f"box.{B}", "model": B}},
    "criteria": {"at-least": 12, "runs": 2, "tokens": 40, "canaries": [CANARY]},
    "drain": "30s",
    "probation": "2m",
}
NEEDS: Mapping[str, Any] = {
    "memory": "100GiB",
    "vram": "0:80GiB",
    "exclusive": ["gpu:0"],
    "startup": "60s",
    "probe": "http://:8000/health",
}


def loaded(
    slot: Mapping[str, Any] | None = None,
    services: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    **more: Any,
) -> Loaded:
    """The drag race of story 8, with what is changed of the slot and of both services, by name."""
    both = {f"box.{name}": {**NEEDS, **(services or {}).get(name, {})} for name in (A, B)}
    both |= {f"box.{name}": said for name, said in (services or {}).items() if name not in (A, B)}
    # a probe that would be asked all day tells nothing here
    return read(files, services=both, slots={"oracle": {**SLOT, **(slot or {})}}, proof="10s", **more)


@dataclass
class SlotWatcher:
    """Sees every start, by whomever, and every verb: I1 and I10 of the models of slots."""

    stage: "Slots"
    found: list[str] = field(default_factory=list)
    by_hand: set[str] = field(default_factory=set)
    """ids of containers that a person started: what comes of it is theirs"""
    blind: bool = False
    """from now on nothing is told: others have a hand in it that nobody can tell from ours"""

    def __post_init__(self) -> None:
        self.stage.engine.world.listeners.append(self.on_event)
        self.stage.world.models.listeners.append(self.on_verb)

    def on_event(self, event: EngineEvent) -> None:
        box = self.stage.engine.world.containers.get(event.object_id)
        if event.kind == "die" and (box is None or box.status != "restarting"):  # its own restarts are theirs, too
            self.by_hand.discard(event.object_id)
        if event.kind != "start":
            return
        ours = [box for box in self._running() if box.id not in self.by_hand]
        if len(ours) > 1 and self.stage.exclusive:
            self.say(f"I1 one model: {' and '.join(box.name for box in ours)} run at the same time")
        if any(box.id == event.object_id for box in ours):
            self._room()

    def on_verb(self, verb: str, model: str) -> None:
        """A model server did as it was told."""
        if verb in ("load", "wake"):
            states = self._states()
            for slot in slots_of(self.stage.world.loaded.settings):
                there = [name for name, state in states if state in (LOADED, LOADING) and slot.model(name) is not None]
                if len(there) > slot.together:
                    self.say(f"I1 one model: {' and '.join(there)} are in memory at the same time")
            self._room()
        elif self.stage.world.models.busy.get(model) and self._by_us():
            self.say(f"in use: {model} works on requests, and {verb} was done to it unasked")

    def _by_us(self) -> bool:
        """Whether the plan at work on a slot was nobody's wish, and was not interrupted since its drain."""
        plans = [plan for plan in self.stage.watcher.plans() if plan.service.startswith("slot:") and plan.begun]
        return any(plan.by == "resurgam" and plan.verb in ("unload", "sleep") and not plan.recovered for plan in plans)

    def _states(self) -> list[tuple[str, str]]:
        """(model, how it really stands) of every one, but for those in containers that a person started."""
        found = []
        for slot in slots_of(self.stage.world.loaded.settings):
            for model in slot.models:
                at = self.stage.at(model.name)
                if at.container is not None and at.container.id not in self.by_hand:
                    found.append((model.name, self.stage.world.models.state(at)))
        return found

    def _room(self) -> None:
        """I10: what is in memory, what comes, with all it will take, and what nobody gave back is never too much."""
        world = self.stage.world
        memory, cards = 0.0, [float(card.reserved + card.hidden) for card in world.cards.cards]
        for name, state in self._states():
            mind, level = self.stage.mind(name), self.stage.at(name).model.sleep
            if state in (LOADED, LOADING):
                memory += mind.memory
                cards = [size + mind.vram.get(index, 0) for index, size in enumerate(cards)]
            elif state == ASLEEP and level == 1:
                memory += mind.memory + math.fsum(mind.vram.values())
        for _box, index, size in world.cards.orphans.values():
            cards[index] += size
        for card, wanted in zip(world.cards.cards, cards, strict=True):
            if wanted > card.total:
                self.say(f"I10 budget: {wanted / GIB:.0f} GiB of card {card.index}, which has {card.total / GIB:.0f}")
        for path, group in world.kernel.machine.groups.items():
            memory += group.charge if "/docker-late-" in path else 0.0
        if memory > world.kernel.machine.room:
            self.say(f"I10 budget: {memory / GIB:.0f} GiB of memory, of {world.kernel.machine.room / GIB:.0f}")

    def _running(self) -> list[SimContainer]:
        names = set(self.stage.boxes.values())
        boxes = sorted(self.stage.engine.world.containers.items())
        return [box for _id, box in boxes if box.alive and (box.name in names or box.id in self.stage.ids)]

    def say(self, text: str) -> None:
        line = f"{text} (at {self.stage.clock.mono():.3f} s, point {self.stage.world.points})"
        if len(self.found) < 20 and not self.blind:
            self.found.append(line)


class Slots(Stage):
    """A stage with a slot on it."""

    exclusive = True
    """no two models of it may run together"""

    def __init__(self, stage: Stage) -> None:
        self.__dict__.update(stage.__dict__)
        self.minds: dict[str, SimModel] = {}
        self.boxes: dict[str, str] = {}
        """model -> name of its container"""
        self.ids: dict[str, str] = {}
        """container id -> model, whatever it is called by now"""
        self.since = 0.0
        """unix seconds: what was not started since then need not be proved"""
        self.callers: SimCallers | None = None
        self.coming: asyncio.Future[None] | None = None
        self.slot_watcher = SlotWatcher(self)

    # ------------------------------------------------------------ the box

    async def model(self, name: str, mind: SimModel = GOOD, run: Behaviour = WELL, *, start: bool = False) -> str:
        """A model in a container of its own, `box-NAME-1`, which `start` starts; the container's id."""
        self.minds[name] = mind
        self.world.models.declare(f"box.{name}", mind)
        self.image(f"local/{name}:1", run)
        return self.created(name, start=start)

    def created(self, name: str, *, start: bool = False) -> str:
        """`docker compose --profile … create`, or `up`; the container's id."""
        labels = {
            "com.docker.compose.project": "box",
            "com.docker.compose.service": name,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
            **OWNED,
        }
        made = self.engine.human_run(
            f"box-{name}-1", f"local/{name}:1", labels, "always", start=start, networks=("box",), host=dict(CARDS)
        )
        return self._known(name, made)

    def _known(self, name: str, ident: str) -> str:
        self.boxes[name], self.ids[ident] = f"box-{name}-1", name
        return ident

    def mind(self, name: str) -> SimModel:
        """How a model behaves."""
        return self.minds.get(name, SimModel())

    def changes(self, name: str, **changes: Any) -> None:
        """From now on a model behaves otherwise."""
        self.minds[name] = self.minds[name].changed(**changes)
        self.world.models.declare(f"box.{name}", self.minds[name])

    async def prepared(
        self, *, a: SimModel = GOOD, b: SimModel = GOOD, run: Behaviour = WELL, callers: bool = True
    ) -> "Slots":
        """A holds the slot and is proved, B is there and stands still; the daemon knows it."""
        self.world.cards.add()
        await self.model(A, a, start=True)
        await self.model(B, b, run)
        await self.begin()
        await self.until(lambda: self.slot().holder == A and not self.space("plan"), 120, f"holder {A}", step=5)
        door = self.life.models.gate.state("oracle")
        await self.until(lambda: door is None or self.gate().open, 60, "open gate", step=1)
        await self.until(lambda: self.world.models.state(self.at(A)) == "loaded", 60, "load", step=1)
        await self.until(lambda: self.space("proved") and not self.space("plan"), 100, "proof", step=5)
        await self.world.run(20)  # everything is read once more
        self.since = self.clock.wall()
        if callers and door is not None:
            self.come()
        return self

    def come(self, every: float = 2.0) -> None:
        """Callers come to the slot's door from now on, one every so many seconds."""
        self.callers = SimCallers(
            "oracle", lambda: self.world.life.gates if self.world.life else None, self.clock, every
        )
        self.coming = asyncio.ensure_future(self.callers.run())

    async def leave(self) -> None:
        """No more of them come; those that wait are answered first."""
        if self.coming is not None:
            self.coming.cancel()
            await asyncio.gather(self.coming, return_exceptions=True)

    # ------------------------------------------------------------ the slot

    def slot(self, name: str = "oracle") -> SlotState:
        """How it is shown."""
        found = [slot for slot in self.snapshot.slots if slot.name == name]
        assert found, f"there is no slot {name}: {[slot.name for slot in self.snapshot.slots]}"
        return found[0]

    def gate(self, name: str = "oracle") -> Any:
        """How its gate really stands."""
        state = self.life.models.gate.state(name)
        assert state is not None, f"{name} has no gate"
        return state

    async def swap(self, to: str = B, override: str = "", **params: str) -> Row:
        """A person swaps; how the plan ended."""
        count = len(self.ended("swap"))
        decision = await self.ask("swap", "oracle", override, to=to, **params)
        assert decision.verdict.ok, decision.verdict.text
        await self.until(lambda: len(self.ended("swap")) > count, 900, "end of the swap", step=1)
        return self.ended("swap")[-1]

    def lost(self) -> list[Called]:
        """Requests that got no whole answer."""
        assert self.callers is not None, "nobody came"
        return list(self.callers.unanswered)

    def report(self, name: str = "oracle") -> Json:
        """The latest swap's report."""
        return self.slot(name).report

    def at(self, name: str) -> ModelAt:
        """One of its models, as the lab's servers know it."""
        model = next(found for one in slots_of(self.world.loaded.settings) if (found := one.model(name)) is not None)
        if model.inside:
            return ModelAt(model, container=self.engine.container(f"box-{model.service.partition('.')[2]}-1"))
        return ModelAt(model, container=self._box_of(name))

    def _box_of(self, name: str) -> Container | None:
        """Its container, whatever it is called by now, and whoever made it: of several the one that runs."""
        made = [box for box in map(self.engine.container, self.ids) if box is not None and self.ids[box.id] == name]
        service, boxes = "com.docker.compose.service", self.engine.containers()
        made += [box for box in boxes if box.labels.get(service) == name and not is_temp(box.name)]
        return next((box for box in made if box.running), made[0] if made else None)

    def disturbed(self, name: str) -> bool:
        """Whether it was started, or put to sleep, since the story began."""
        box = self.at(name).container
        slept = any((verb, one) == ("sleep", name) for verb, one, _at in self.world.models.verbs)
        return slept or (box is not None and box.started_at > self.since)

    def holds_it(self, name: str) -> list[str]:
        """What is wrong with: this model alone holds the slot, verified, with its policy, and people are shown so."""
        found = list(self.slot_watcher.found)
        for one in self.boxes:
            state, box = self.world.models.state(self.at(one)), self.at(one).container
            if box is None:
                found.append(f"{one} has no container any more")
            elif one != name and state == "asleep":
                continue
            elif one == name:
                if state != "loaded":
                    found.append(f"{one} is {state}")
                if self.disturbed(one) and not self.world.models.proved(self.at(one)):
                    found.append(f"{one} was not asked a question since it serves again")
                if (box.status, box.restart_policy) != ("running", "always"):
                    found.append(f"{one} is {box.status} with policy {box.restart_policy}")
            elif box.status in ("running", "restarting", "paused") or (box.started_at and box.restart_policy != "no"):
                found.append(f"{one} is {box.status} with policy {box.restart_policy}")
            wanted = self.service(f"box.{one}").wanted.state
            if wanted == ("stopped" if one == name else "running") or (
                one != name and wanted != "stopped" and self.disturbed(one)
            ):
                found.append(f"{one} is wanted {wanted}")
        shown = self.slot()
        if (shown.holder, shown.phase, shown.plan) != (name, "", 0):
            found.append(f"shown: {shown.holder} holds it, phase {shown.phase!r}, plan {shown.plan}")
        if self.plans() or self.space("plan"):
            found.append(f"open plans: {[plan.verb for plan in self.plans()]}")
        gate, box = self.life.models.gate.state("oracle"), self.at(name).container
        if gate is not None and (not gate.open or box is None or box.address not in gate.upstream or gate.held):
            found.append(f"the gate is {gate}")
        return found


def told(
    story: Callable[[Slots], Awaitable[None]], setting: Loaded | None = None, seed: int = 0, *, invariants: bool = True
) -> Slots:
    """Tell a story about slots; every invariant holds at its end."""
    made: list[Slots] = []

    async def whole(stage: Stage) -> None:
        slots = Slots(stage)
        made.append(slots)
        try:
            await story(slots)
        finally:
            await slots.leave()
        await slots.world.run(40)  # what is to be told is on its way
        assert not slots.slot_watcher.found, "\n".join([*slots.slot_watcher.found, slots.tail()])
        if invariants:
            slots.holds()

    play(whole, setting or loaded(), seed)
    return made[0]
