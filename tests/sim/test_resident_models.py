"""Models inside one server, and models that sleep: loaded, put away, woken and kept by word; and put away unasked."""

from typing import Any

import pytest

from supervisor.core.standing import Loaded
from supervisor.lab.gpu import GIB
from supervisor.lab.minds import SimModel
from supervisor.ports import ModelAt
from tests.sim.slots import WELL, A, B, Slots, loaded, told
from tests.sim.stage import read

NAMES = ("small", "large", "huge")
SIZES = {"small": 100.0, "large": 100.0, "huge": 150.0}
"""GiB of the machine's 382"""


def inside(**slot: Any) -> Loaded:
    """Three models in one server."""
    models = {
        name: {"service": "box.server", "inside": True, "model": f"{name}:7b", "memory": f"{size:.0f}GiB"}
        for name, size in SIZES.items()
    }
    said = {"models": models, "criteria": {"runs": 1, "tokens": 20}, "probation": "0", "residency": "1m", **slot}
    services = {"box.server": {"startup": "60s", "probe": "http://:11434/health"}}
    return read(services=services, slots={"chat": {"listen": "127.0.0.1:8000", **said}}, proof="10s")


def having(**more: Any) -> dict[str, Any]:
    """The three models, with these words more."""
    plain = {"service": "box.server", "inside": True, "memory": "100GiB"}
    return {name: {**plain, "model": f"{name}:7b", **more.get(name, {})} for name in NAMES}


async def serving(stage: Slots) -> None:
    """The server runs; nothing is in it but the first choice, which holds the slot."""
    stage.exclusive = False
    for name, size in SIZES.items():
        stage.world.models.declare("box.server", SimModel(load=5.0, rate=50.0, memory=size * GIB), inside=f"{name}:7b")
    stage.image("local/server:1", WELL)
    await stage.up("server")
    await stage.begin()
    await stage.until(lambda: stage.space("proved") and not stage.space("plan"), 120, "proof", step=5)
    await done(stage, "load", model="small")
    await stage.until(lambda: stage.slot("chat").holder == "small", 120, "holder", step=5)


async def done(stage: Slots, verb: str, **params: str) -> str:
    """A person asks; how the plan ended."""
    count = len(stage.ended(verb))
    decision = await stage.ask(verb, "chat", "a test of endurance", **params)
    assert decision.verdict.ok, decision.verdict.text
    await stage.until(lambda: len(stage.ended(verb)) > count, 600, f"end of {verb}", step=1)
    row = stage.ended(verb)[-1]
    assert row.kind == "action.verified", row.body["text"]
    return str(row.body["text"])


def in_memory(stage: Slots) -> set[str]:
    """The models that are, really."""
    box = stage.box("box-server-1")
    assert box is not None
    slot = stage.life.core.decider.slots.slots[0]
    found = set()
    for model in slot.models:
        state = stage.world.models.state(ModelAt(model, container=box))
        if state == "loaded":
            found.add(model.name)
    return found


def test_a_swap_inside_a_server_unloads_the_one_and_loads_the_other() -> None:
    async def story(stage: Slots) -> None:
        await serving(stage)
        starts = len(stage.starts())
        await done(stage, "swap", to="large")
        assert in_memory(stage) == {"large"}
        assert stage.slot("chat").holder == "large"
        assert len(stage.starts()) == starts, "the server runs on"
        await done(stage, "unload", model="large")
        assert in_memory(stage) == set()

    told(story, inside())


def test_one_that_is_loaded_already_is_done_already() -> None:
    async def story(stage: Slots) -> None:
        await serving(stage)
        assert (await stage.ask("load", "chat", model="small")).verdict.reason == "already_done"
        assert (await stage.ask("swap", "chat", to="small")).verdict.reason == "already_done"

    told(story, inside())


@pytest.mark.parametrize("kept", [False, True])
def test_the_one_that_was_not_used_for_the_longest_goes_first_and_what_is_kept_stays(kept: bool) -> None:
    async def story(stage: Slots) -> None:
        await serving(stage)
        await done(stage, "load", model="large")
        assert in_memory(stage) == {"small", "large"}
        if kept:
            assert (await stage.ask("keep", "chat", model="small")).verdict.ok
        await stage.world.run(120)
        decision = await stage.ask("load", "chat", "a test of endurance", model="huge")
        if decision.verdict.ok:
            await stage.until(lambda: stage.ended("load") and not stage.plans(), 600, "end", step=1)
        await stage.world.run(60)
        assert "small" in in_memory(stage), "the holder, or what a person keeps, is not put away"
        free = stage.world.room.now().memory
        assert free > 0.05 * 384 * GIB

    told(story, inside(together=3))


def test_one_that_nobody_asks_for_its_time_is_put_away() -> None:
    async def story(stage: Slots) -> None:
        await serving(stage)
        await done(stage, "load", model="large")
        await stage.until(lambda: in_memory(stage) == {"small"}, 1200, "end of its time", step=15)

    told(story, inside(together=3, models=having(large={"ttl": "3m"})))


def test_where_the_holder_is_the_idle_one_another_one_that_is_loaded_serves_on() -> None:
    async def story(stage: Slots) -> None:
        await serving(stage)
        await done(stage, "load", model="large")
        await stage.until(lambda: in_memory(stage) == {"large"}, 1200, "end of its time", step=15)
        await stage.until(lambda: stage.slot("chat").holder == "large" and not stage.plans(), 60, "heir", step=1)
        assert stage.gate("chat").open
        await stage.world.run(120)
        assert stage.slot("chat").holder == "large"
        texts = [row.body["text"] for row in stage.rows("model.adopted")]
        assert texts[-1] == "large holds chat now: small was put away, and large was loaded last."
        assert len(texts) <= 2, texts

    told(story, inside(together=3, models=having(small={"ttl": "3m"})))


def test_sleep_and_wake_by_word() -> None:
    async def story(stage: Slots) -> None:
        stage.exclusive = False
        await stage.prepared()
        for verb, state in (("sleep", "asleep"), ("wake", "loaded")):
            decision = await stage.ask(verb, "oracle", model=A)
            assert decision.verdict.ok, decision.verdict.text
            await stage.until(lambda verb=verb: stage.ended(verb), 300, verb, step=1)  # type: ignore[misc]
            assert stage.ended(verb)[-1].kind == "action.verified", stage.tail()
            assert stage.world.models.state(stage.at(A)) == state
        assert stage.gate().open
        assert stage.world.models.proved(stage.at(A)) > 0

    sleepers = {name: {"service": f"box.{name}", "model": name, "sleep": 2} for name in (A, B)}
    told(story, loaded({"models": sleepers}, services={A: {"exclusive": []}, B: {"exclusive": []}}))


def test_one_that_works_is_not_put_away_and_goes_when_it_has_nothing_to_do() -> None:
    async def story(stage: Slots) -> None:
        await serving(stage)
        await done(stage, "load", model="large")
        assert (await stage.ask("keep", "chat", model="small")).verdict.ok
        stage.world.models.busy["large"] = 1
        await stage.world.run(300)
        assert in_memory(stage) == {"small", "large"}, "it works on something"
        assert not stage.ended("unload"), "nobody is asked to leave who works"
        stage.world.models.busy.clear()
        await stage.until(lambda: in_memory(stage) == {"small"}, 300, "room", step=15)

    told(story, inside(together=2, **{"evict-above": 0.4}))


def test_one_that_sleeps_is_not_woken_beside_the_one_that_holds_the_slot() -> None:
    async def story(stage: Slots) -> None:
        stage.exclusive = False
        await stage.prepared(callers=False)
        assert (await stage.swap(B)).kind == "action.verified"
        decision = await stage.ask("wake", "oracle", model=A)
        assert decision.verdict.reason == "no_room", decision.verdict
        assert "resurgam swap oracle --to" in decision.verdict.text
        await stage.world.run(150)
        assert stage.world.models.state(stage.at(A)) == "asleep"

    sleepers = {name: {"service": f"box.{name}", "sleep": 2} for name in (A, B)}
    told(story, loaded({"models": sleepers}, services={A: {"exclusive": []}, B: {"exclusive": []}}))
