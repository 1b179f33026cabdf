"""`resurgam swap --dry-run` on a simulated box: what it says, and that nothing is touched."""

from dataclasses import replace

from supervisor.facts import Command, Json
from supervisor.lab.gpu import GIB
from supervisor.web.previewing import Foresight
from tests.sim.slots import GOOD, A, B, Slots, loaded, told


async def look(stage: Slots, verb: str, target: str = "oracle", **params: str) -> Json:
    world, life = stage.world, stage.world.life
    assert life is not None
    foresight = Foresight(life.core, {"docker": stage.engine}, world.room, None, life.models, life.driver)
    writes, seq = len(stage.engine.writes), life.journal.last_seq
    found = await foresight(Command(0.0, 0.0, verb, target, params, "uid:0", "socket"))
    assert len(stage.engine.writes) == writes, "nothing was touched"
    assert life.journal.last_seq == seq, "nothing was written down"
    return found


def test_a_dry_run_says_who_leaves_who_comes_what_it_needs_and_for_how_long() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        document = await look(stage, "swap", to=B)
        assert document["allowed"], document["text"]
        (stage_,) = document["stages"]
        slot = stage_["slot"]
        assert (slot["from"], slot["to"], slot["shape"]) == (A, B, "exclusive")
        assert slot["expected"] > 0
        whats = [line["what"] for line in slot["lines"]]
        assert "memory" in whats
        assert "callers" in whats
        assert stage_["steps"][0]["name"] == "preflight"
        assert [step for step in stage_["steps"] if step["back"]]
        done = await look(stage, "swap", to=A)
        assert (done["allowed"], done["reason"]) == (False, "already_done")

    told(story)


def test_what_comes_back_on_a_card_is_measured_by_whose_the_processes_are() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(a=replace(GOOD, vram={0: 50 * GIB}), callers=False)
        (slot,) = [one["slot"] for one in (await look(stage, "swap", to=B))["stages"]]
        lines = {line["what"]: line["text"] for line in slot["lines"]}
        assert "50 GiB come back" in lines["gpu:0"], lines

    told(story)


def test_what_does_not_fit_is_refused_beforehand() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        document = await look(stage, "swap", to=B)
        assert not document["allowed"]
        assert document["reason"] == "no_fit", document["text"]
        (stage_,) = document["stages"]
        bad = [line["what"] for line in stage_["slot"]["lines"] if line["ok"] is False]
        assert bad, stage_["slot"]["lines"]

    told(story, loaded(services={B: {"memory": "9000GiB"}}))


def test_a_bench_and_a_sleep_need_no_preflight() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        document = await look(stage, "bench")
        assert document["allowed"], document["text"]
        assert document["stages"][0]["slot"]["lines"] == []

    told(story)
