"""The watch of models: whom it asks and when, and what it says; on a virtual clock, by servers that answer as told."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import (
    Container,
    EngineState,
    Needs,
    Plan,
    Readings,
    ServerLook,
    Service,
    Slot,
    SlotModel,
    Snapshot,
)
from supervisor.facts.slots import ASLEEP, LOADED, LOADING, UNKNOWN, UNLOADED
from supervisor.lab.loop import SimLoop
from supervisor.ports import ModelAt
from supervisor.signals.models import AT_ONCE, METRICS, ModelWatch, samples, subjects
from supervisor.verdicts import yes

START = 1_760_000_000.0
UP = ServerLook(LOADED, "it is loaded", in_flight=0, memory=2e9, vram=8e9, used=10.0)


def service(name: str, status: str = "running", started: float = START - 3600, **more: Any) -> Service:
    box = Container(f"id-{name}", f"{name}-1", "sha256:1", "img", status=status, started_at=started)
    return Service(name, "docker", box, yes("ours"), Needs(startup=300), **more)


def snapshot(*services: Service, up: bool = True, plans: tuple[Plan, ...] = ()) -> Snapshot:
    engines = (EngineState(0, 0, "docker", up, "", "", ""),)
    return Snapshot(0, 0, 1, "h", "1", "e", 1, 0, "heal", "ok", engines=engines, services=services, plans=plans)


def swap(slot: str, verb: str = "swap") -> Plan:
    return Plan(7, verb, slot, "docker", {}, "", "", 0, "op", "", "")


def model(name: str, **more: Any) -> SlotModel:
    return SlotModel(name, service=more.pop("service", name), **more)


class Servers:
    """Answers `UP`, or what a test puts for the model."""

    def __init__(self) -> None:
        self.says: dict[str, ServerLook | Exception] = {}
        self.asked: list[tuple[float, str, float]] = []
        self.takes: dict[str, float] = {}
        self.now = self.most = 0

    async def look(self, at: ModelAt, within: float = 5.0) -> ServerLook:
        self.asked.append((asyncio.get_running_loop().time(), at.model.name, within))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.takes.get(at.model.name, 0.0))
        finally:
            self.now -= 1
        said = self.says.get(at.model.name, UP)
        if isinstance(said, Exception):
            raise said
        return said


class Box:
    """A watch, and what it looks at."""

    def __init__(self, loop: SimLoop, slots: tuple[Slot, ...], *services: Service, every: float | None = None) -> None:
        self.servers, self.told, self.slots = Servers(), list[Readings](), slots
        self.snapshot = snapshot(*services)
        self.watch = ModelWatch(
            self.servers,  # type: ignore[arg-type]
            self.told.append,  # type: ignore[arg-type]
            loop.clock,
            lambda: self.snapshot,
            lambda: self.slots,
            every,
        )
        self.task = asyncio.ensure_future(self.watch.run())

    def show(self, found: Snapshot) -> None:
        self.snapshot = found
        self.watch.changed()

    def states(self) -> dict[str, str]:
        return {one.model: one.look.state for one in self.told[-1].models}

    def series(self) -> dict[tuple[str, str], float]:
        found = {}
        for sample in self.told[-1].samples:
            pairs = dict(sample.labels)
            found[pairs["__name__"].removeprefix("resurgam_model_"), pairs["model"]] = sample.value
        return found


def played(story: Callable[[SimLoop], Awaitable[None]]) -> None:
    loop = SimLoop(ManualClock(wall=START))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(story(loop))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
        asyncio.set_event_loop(None)


SLOT = Slot("oracle", (model("a"), model("b")))


def test_every_model_of_every_slot_is_in_one_reading_with_its_series() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b"))
        box.servers.says["b"] = ServerLook(ASLEEP, "it sleeps")
        await asyncio.sleep(1)
        (reading,) = box.told
        assert (reading.collector, reading.whole) == ("models", True)
        assert [(one.slot, one.model, one.look.state) for one in reading.models] == [
            ("oracle", "a", LOADED), ("oracle", "b", ASLEEP),
        ]  # fmt: skip
        assert box.series() == {
            ("loaded", "a"): 1, ("asleep", "a"): 0, ("up", "a"): 1, ("in_flight", "a"): 0,
            ("memory_bytes", "a"): 2e9, ("vram_bytes", "a"): 8e9,
            ("loaded", "b"): 0, ("asleep", "b"): 1, ("up", "b"): 1,
        }  # fmt: skip
        names = {dict(one.labels)["name"] for one in reading.samples}
        assert names == {"a-1", "b-1"}

    played(story)


def test_what_is_made_is_listed() -> None:
    known = {one.name: set(one.labels) | {"__name__"} for one in METRICS}
    found = subjects((SLOT,), snapshot(service("a"), service("b")), START)
    for sample in samples(found[0], UP):
        pairs = dict(sample.labels)
        assert set(pairs) <= known[pairs["__name__"]]


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ("exited", UNLOADED, "does not run"),
        ("created", UNLOADED, "does not run"),
        ("restarting", UNLOADED, "about to start it again"),
        ("paused", UNKNOWN, "stands still"),
    ],
)
def test_nobody_is_asked_whose_container_does_not_run(status: str, state: str, words: str) -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b", status))
        await asyncio.sleep(40)
        assert {name for _at, name, _within in box.servers.asked} == {"a"}
        look = box.told[-1].models[1].look
        assert look.state == state
        assert words in look.text
        assert ("up", "b") not in box.series()

    played(story)


def test_no_container_no_service_and_no_engine_are_told_apart() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(
            loop,
            (Slot("s", (model("a"), model("b"), model("c"))),),
            replace(service("a"), container=None),
            service("b"),
        )
        box.show(snapshot(replace(service("a"), container=None), service("b"), up=True))
        await asyncio.sleep(1)
        looks = {one.model: one.look for one in box.told[-1].models}
        assert looks["a"] == ServerLook(UNLOADED, "it has no container")
        assert looks["c"] == ServerLook(UNLOADED, "there is no service c")
        box.show(snapshot(replace(service("a"), container=None), service("b"), up=False))
        await asyncio.sleep(40)
        look = box.told[-1].models[1].look
        assert (look.state, look.text) == (UNKNOWN, "the engine docker does not answer")

    played(story)


@pytest.mark.parametrize("early", [{"engines": ()}, {"status": "recovering"}])
def test_before_any_engine_has_listed_its_containers_nobody_is_said_to_have_none(early: dict[str, Any]) -> None:
    far = SlotModel("far", inside=True, url="http://mac:1234", server="opta-lmx")
    slots = (Slot("s", (model("a"), far)),)
    assert [one.model.name for one in subjects(slots, replace(snapshot(), **early), START)] == ["far"]
    assert [one.model.name for one in subjects(slots, snapshot(), START)] == ["a", "far"]


def test_a_server_elsewhere_is_asked_without_any_container() -> None:
    async def story(loop: SimLoop) -> None:
        far = SlotModel("big", inside=True, url="http://mac:1234", server="opta-lmx", startup=900.0, memory=5)
        box = Box(loop, (Slot("mac", (far,)),))
        await asyncio.sleep(1)
        assert box.states() == {"big": LOADED}
        at = subjects(box.slots, box.snapshot, START)[0].at
        assert (at.container, at.needs.startup, at.needs.memory) == (None, 900.0, 5)
        assert {dict(one.labels).get("name", "") for one in box.told[-1].samples} == {""}

    played(story)


def test_two_slots_with_the_same_model_ask_once() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT, Slot("second", (model("a"),))), service("a"), service("b"))
        await asyncio.sleep(1)
        assert [name for _at, name, _within in box.servers.asked] == ["a", "b"]
        assert [(one.slot, one.model) for one in box.told[-1].models] == [
            ("oracle", "a"), ("oracle", "b"), ("second", "a"),
        ]  # fmt: skip

    played(story)


def test_every_15_seconds_while_it_works_and_every_30_while_it_is_quiet() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b"))
        await asyncio.sleep(200)
        at = [one.mono for one in box.told]
        assert at[1] - at[0] == pytest.approx(15)
        assert {round(later - before) for before, later in itertools.pairwise(at[1:])} == {30}
        box.servers.says["a"] = replace(UP, in_flight=2)
        await asyncio.sleep(200)
        at = [one.mono for one in box.told][-4:]
        assert {round(later - before) for before, later in itertools.pairwise(at)} == {15}

    played(story)


def test_work_that_only_a_counter_tells_is_work() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b"))
        used = iter(range(1000))

        async def look(at: ModelAt, within: float = 5.0) -> ServerLook:
            return ServerLook(LOADED, "", used=float(next(used)))

        box.servers.look = look  # type: ignore[method-assign]
        await asyncio.sleep(100)
        assert len(box.told) == 7

    played(story)


def test_a_start_or_a_stop_is_seen_at_once_and_other_news_are_not() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b", "exited"))
        await asyncio.sleep(100)
        before = len(box.told)
        box.show(snapshot(service("a"), service("b", "exited"), service("stranger")))
        await asyncio.sleep(5)
        assert len(box.told) == before
        box.show(snapshot(service("a"), service("b", started=START + 100)))
        await asyncio.sleep(1)
        assert len(box.told) == before + 1
        assert box.states()["b"] == LOADED

    played(story)


def test_however_much_happens_two_rounds_have_two_seconds_between_them() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b"))
        await asyncio.sleep(20)
        before = len(box.told)
        for count in range(100):
            box.show(snapshot(service("a", started=START + count), service("b")))
            await asyncio.sleep(0.1)
        assert len(box.told) - before <= 7

    played(story)


@pytest.mark.parametrize(("works_on", "verb"), [("slot:oracle", "swap"), ("a", "phoenix")])
def test_while_a_plan_works_on_it_looks_are_short_and_go_on(works_on: str, verb: str) -> None:
    async def story(loop: SimLoop) -> None:
        slots = (SLOT, Slot("second", (model("c"),)))
        box = Box(loop, slots, service("a"), service("b"), service("c"))
        box.show(snapshot(service("a"), service("b"), service("c"), plans=(swap(works_on, verb),)))
        await asyncio.sleep(100)
        within = {name: seconds for _at, name, seconds in box.servers.asked}
        assert within["a"] < within["c"]
        assert len(box.told) >= 6

    played(story)


def test_one_that_hangs_keeps_nobody_waiting_for_ever_and_no_more_than_some_are_asked_at_once() -> None:
    async def story(loop: SimLoop) -> None:
        names = [f"m{number}" for number in range(3 * AT_ONCE)]
        box = Box(loop, (Slot("s", tuple(model(name) for name in names)),), *(service(name) for name in names))
        box.servers.takes["m0"] = 1e6
        for name in names[1:]:
            box.servers.takes[name] = 1.0
        await asyncio.sleep(14)
        assert box.servers.most == AT_ONCE
        assert box.states() == {name: UNKNOWN if name == "m0" else LOADED for name in names}
        assert box.watch.faults == 1

    played(story)


def test_a_look_that_breaks_is_counted_and_says_nothing_of_the_model() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b"))
        box.servers.says["a"] = RuntimeError("a defect")
        await asyncio.sleep(1)
        assert box.states() == {"a": UNKNOWN, "b": LOADED}
        assert "a defect" in box.told[-1].models[0].look.text
        assert box.watch.faults == 1
        assert ("loaded", "a") not in box.series()

    played(story)


def test_up_is_zero_only_once_it_had_its_time_to_start() -> None:
    away = ServerLook(UNKNOWN, "nothing listens")
    (young, *_), (old, *_) = (
        subjects((SLOT,), snapshot(service("a", started=begun), service("b")), START)
        for begun in (START - 60, START - 400)
    )
    assert samples(young, away) == ()
    assert [(dict(one.labels)["__name__"], one.value) for one in samples(old, away)] == [("resurgam_model_up", 0.0)]
    silent = ServerLook(UNKNOWN, "it does not say which of its models is in memory", "mlx-lm")
    assert [(dict(one.labels)["__name__"], one.value) for one in samples(old, silent)] == [("resurgam_model_up", 1.0)]
    loading = {dict(one.labels)["__name__"]: one.value for one in samples(young, ServerLook(LOADING, "it loads"))}
    assert loading["resurgam_model_up"] == 1.0
    assert loading["resurgam_model_loaded"] == 0.0


def test_without_slots_nothing_is_told_and_what_was_told_ends() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (), service("a"), service("b"))
        await asyncio.sleep(100)
        assert not box.told
        box.slots = (SLOT,)
        await asyncio.sleep(40)
        assert box.told[-1].models
        box.slots = ()
        await asyncio.sleep(100)
        assert (box.told[-1].models, box.told[-1].samples, box.told[-1].whole) == ((), (), True)
        assert len([one for one in box.told if not one.models]) == 1, "told once"

    played(story)


def test_in_the_lab_all_rounds_come_at_their_instants() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, (SLOT,), service("a"), service("b"), every=60.0)
        await asyncio.sleep(301)
        began = box.told[0].mono
        assert [one.mono - began for one in box.told] == [0, 60, 120, 180, 240, 300]

    played(story)
