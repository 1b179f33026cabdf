"""Looks at the models of all slots, for ever: which is in memory, which sleeps, what each works on.

From: the declared slots, the snapshot (what carries each model, which plans are at work), and the looks of
ports.ModelServer, which wake, load and disturb nothing. To: the core, as Readings of the collector `models`: one
transaction per round, with the series below. Nobody is asked whose container does not run.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import (
    Container,
    Metric,
    ModelReading,
    Needs,
    Readings,
    Sample,
    ServerLook,
    Service,
    Slot,
    SlotModel,
    Snapshot,
    labels,
)
from supervisor.facts.slots import ASLEEP, LOADED, UNKNOWN, UNLOADED
from supervisor.ports import ModelAt, ModelServer, Submit
from supervisor.services.names import canonical

COLLECTOR = "models"
EVERY = 15.0
"""seconds between two rounds"""
QUIET = 30.0
"""seconds while nothing changes, and nobody works"""
SOON = 2.0
"""seconds between two rounds at least, however much happens"""
WITHIN, CHEAP = 5.0, 1.5
"""seconds for a look; and while a plan works on its slot, whose own looks count for more"""
LATE = 5.0
"""seconds beyond that after which a look is given up: it hangs, not the server"""
AT_ONCE = 8

_LABELS = ("slot", "model", "name")
LOADED_NAME, ASLEEP_NAME, UP = "resurgam_model_loaded", "resurgam_model_asleep", "resurgam_model_up"
IN_FLIGHT = "resurgam_model_in_flight"
MEMORY, VRAM = "resurgam_model_memory_bytes", "resurgam_model_vram_bytes"
METRICS = tuple(
    Metric(name, "gauge", _LABELS, QUIET) for name in (LOADED_NAME, ASLEEP_NAME, IN_FLIGHT, MEMORY, VRAM, UP)
)
"""what is made here"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One model of one slot, and what is known of its place without asking."""

    slot: str
    model: SlotModel
    at: ModelAt
    idle: str = ""
    """why nobody is asked, the end of a sentence; '' where somebody is"""
    state: str = UNLOADED
    """what it counts as then"""
    starting: bool = False
    """it may still be loading: no answer says nothing yet"""
    busy: bool = False
    """a plan works on its slot, or on what carries it"""

    @property
    def key(self) -> tuple[object, ...]:
        """The same for two models of two slots that one look answers."""
        box = self.at.container
        return (box.id if box is not None else "", self.model.url, self.model.server, self.model.model, self.model.name)


class ModelWatch:
    """The watch of models."""

    def __init__(
        self,
        server: ModelServer,
        submit: Submit,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        slots: Callable[[], Sequence[Slot]],
        every: float | None = None,
    ) -> None:
        """`slots`: the declared ones, as they are now. `every`: seconds between two rounds, always the same, as the lab
        wants it."""
        self._server, self._submit, self._clock = server, submit, clock
        self._snapshot, self._slots, self._every = snapshot, slots, every
        self._bell = asyncio.Event()
        self._seen: tuple[object, ...] = ()
        self._services: Sequence[Service] | None = None
        self._plans: Sequence[object] | None = None
        self._last: tuple[ModelReading, ...] | None = None
        self.faults = 0
        """looks that broke, or had to be given up"""

    def changed(self) -> None:
        """There is a new snapshot: what runs, or works, may have changed."""
        snapshot = self._snapshot()
        if snapshot.services is self._services and snapshot.plans is self._plans:
            return
        self._services, self._plans = snapshot.services, snapshot.plans
        if self._shape() != self._seen:
            self._bell.set()

    async def run(self) -> None:
        """Look, wait, look."""
        loop = asyncio.get_running_loop()
        while True:
            self._bell.clear()
            began = self._clock.mono()
            pause = await self.round()
            due = began + (self._every if self._every is not None else pause)
            alarm = loop.call_later(max(0.0, due - self._clock.mono()), self._bell.set)
            try:
                await self._bell.wait()
            finally:
                alarm.cancel()
            if self._every is None:
                await asyncio.sleep(max(0.0, began + SOON - self._clock.mono()))

    async def round(self) -> float:
        """Look at every model once, and tell the core. Seconds until the next round."""
        slots = tuple(self._slots())
        if not slots and not self._last:
            return QUIET
        self._seen = self._shape()
        found = subjects(slots, self._snapshot(), self._clock.wall())
        looks = await self._look(found)
        readings = tuple(ModelReading(one.slot, one.model.name, look) for one, look in zip(found, looks, strict=True))
        at, mono = self._clock.wall(), self._clock.mono()
        series = tuple(sample for one, look in zip(found, looks, strict=True) for sample in samples(one, look))
        self._submit(Readings(at, mono, COLLECTOR, series, whole=True, models=readings))
        quiet = self._last is not None and _words(self._last) == _words(readings) and not _at_work(found, looks)
        self._last = readings
        return QUIET if quiet else EVERY

    def _shape(self) -> tuple[object, ...]:
        """What a round depends on beside time."""
        return tuple(
            (one.slot, one.key, one.idle, one.busy, one.at.container.started_at if one.at.container else 0.0)
            for one in subjects(tuple(self._slots()), self._snapshot(), self._clock.wall())
        )

    async def _look(self, found: Sequence[Subject]) -> list[ServerLook]:
        """Each once, at most so many at once; in the order in which they are declared."""
        room = asyncio.Semaphore(AT_ONCE)
        asked: dict[tuple[object, ...], asyncio.Task[ServerLook]] = {}
        loop = asyncio.get_running_loop()
        try:
            for one in found:
                if not one.idle and one.key not in asked:
                    asked[one.key] = loop.create_task(self._ask(one, room), name=f"look {one.slot} {one.model.name}")
            for task in asked.values():
                await task
        finally:
            for task in asked.values():
                task.cancel()
        return [ServerLook(one.state, one.idle) if one.idle else asked[one.key].result() for one in found]

    async def _ask(self, one: Subject, room: asyncio.Semaphore) -> ServerLook:
        within = CHEAP if one.busy else WITHIN
        async with room:
            try:
                async with asyncio.timeout(within + LATE):
                    return await self._server.look(one.at, within)
            except TimeoutError:
                self.faults += 1
                return ServerLook(UNKNOWN, "the look itself hangs")
            except Exception as err:  # noqa: BLE001 - the edge to the servers: counted, said, and held against no model
                self.faults += 1
                return ServerLook(UNKNOWN, units.plain(f"the look itself failed: {type(err).__name__}: {err}", 300))


# ------------------------------------------------------------ pure


def subjects(slots: Iterable[Slot], snapshot: Snapshot, now: float) -> tuple[Subject, ...]:
    """Every model of every slot, in their order, with what carries it. Before any engine has listed its containers
    only those on servers elsewhere: nobody knows whether the others have one. `now`: wall time."""
    listed = bool(snapshot.engines) and snapshot.status != "recovering"
    services = {one.id: one for one in snapshot.services}
    away = {state.engine for state in snapshot.engines if not state.up}
    at_work = {service for plan in snapshot.plans for service in plan.services}
    return tuple(
        _subject(slot.name, model, services.get(model.service), away, now, bool({slot.id, model.service} & at_work))
        for slot in slots
        for model in slot.models
        if listed or not model.service
    )


def _subject(slot: str, model: SlotModel, service: Service | None, away: set[str], now: float, busy: bool) -> Subject:
    if not model.service:
        return Subject(slot, model, ModelAt(model, _alone(model)), busy=busy)
    if service is None:
        return Subject(slot, model, ModelAt(model), f"there is no service {model.service}", busy=busy)
    at = ModelAt(model, service.needs, service.container)
    if service.engine in away:
        return Subject(slot, model, at, f"the engine {service.engine} does not answer", UNKNOWN, busy=busy)
    why, state = _idle(service.container)
    box = service.container
    starting = box is not None and now - box.started_at < (model.startup or service.needs.startup)
    return Subject(slot, model, at, why, state, starting, busy)


def _idle(box: Container | None) -> tuple[str, str]:
    """Why a container is not asked, and what its model counts as then; ('', …) where it is."""
    if box is None:
        return "it has no container", UNLOADED
    if box.running:
        return "", UNLOADED
    if box.status == "paused":
        return "its container stands still, with its memory", UNKNOWN
    if box.status == "restarting":
        return "its container has ended, and the engine is about to start it again", UNLOADED
    return "its container does not run", UNLOADED


def _alone(model: SlotModel) -> Needs:
    """What a model on a server elsewhere needs, in a service's words."""
    return Needs(memory=model.memory, vram=model.vram, startup=model.startup or Needs().startup)


def samples(one: Subject, look: ServerLook) -> tuple[Sample, ...]:
    """What is known of a model, as series. What nobody knows has no sample: an unknown state is neither 0 nor 1. `up`
    says 0 only where a server that has had its time to start gives no answer that any adapter understands; one that
    keeps to itself which of its models is in memory is up."""
    box = one.at.container
    name = units.plain(canonical(box.name, box.labels), 255) if box is not None else ""
    values: dict[str, float] = {}
    if look.state != UNKNOWN:
        values |= {LOADED_NAME: look.state == LOADED, ASLEEP_NAME: look.state == ASLEEP}
    answers = look.state != UNKNOWN or bool(look.server)
    if not one.idle and (answers or not one.starting):
        values[UP] = answers
    if look.in_flight is not None:
        values[IN_FLIGHT] = look.in_flight
    for metric, amount in ((MEMORY, look.memory), (VRAM, look.vram)):
        if amount > 0:
            values[metric] = amount
    said: Mapping[str, str] = {"slot": one.slot, "model": one.model.name, "name": name}
    return tuple(Sample(labels(metric, **said), float(value)) for metric, value in values.items())


def _words(readings: Iterable[ModelReading]) -> list[tuple[str, str, str, float]]:
    """What must stay the same for things to be quiet."""
    return [(one.slot, one.model, one.look.state, one.look.used) for one in readings]


def _at_work(found: Iterable[Subject], looks: Iterable[ServerLook]) -> bool:
    """Somebody works: on a request, or on a slot."""
    return any(one.busy or bool(look.in_flight) for one, look in zip(found, looks, strict=True))
