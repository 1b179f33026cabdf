"""The preflight on a simulated box: every obstacle is found while the model that serves is untouched, and what nobody
knows is said and refuses nothing."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from supervisor.actions.gpu.absent import NoDriver
from supervisor.actions.swap.checks import driver as nvidia
from supervisor.actions.swap.preflight import Eyes, Report, case_of, preflight
from supervisor.facts import Free, GpuCard, GpuProcess, GpuReading, Needs, Plan, SlotModel, WeightsLook
from supervisor.journal.codec import dump
from supervisor.lab.images import Fault
from supervisor.lab.minds import SimModel
from supervisor.lab.room import SimRoom
from supervisor.slots.fit import Need
from supervisor.verdicts import Reason
from tests.support.swap_lab import BESIDE, GIB, SLEEP, SwapLab

MODELS = (SlotModel("a", "a", files=("/m/a.gguf",)), SlotModel("b", "b", files=("/m/b.gguf",)))
WHOLE = WeightsLook("gguf", "deepseek2", 18, 341 * 10**9, 163_840, 61, "Q3_K_M", parts=18)


class Fixed(SimRoom):
    """So much is free."""

    def __init__(self, free: Free) -> None:
        super().__init__()
        self._free = free

    async def free(self) -> Free:
        return self._free


class Driver(NoDriver):
    """A driver with cards, and who is on them."""

    def __init__(self, *cards: GpuCard, version: str = "570.1") -> None:
        self.reading = GpuReading(cards, driver=version)

    async def snapshot(self, depth: str) -> GpuReading:
        return self.reading


def card(index: int, *users: tuple[str, float], total: float = 96.0) -> GpuCard:
    """A card with containers on it."""
    found = tuple(GpuProcess(9, int(size * GIB), "container", box) for box, size in users)
    return GpuCard(index, f"GPU-{index}", total=int(total * GIB), users=found)


def look(
    lab: SwapLab, plan: Plan, *, driver: Any = None, free: Free | None = None, foretold: tuple[Need, ...] = ()
) -> Report:
    """The preflight of a plan."""
    models = lab.core.models
    assert models is not None
    assert lab.core.groups is not None
    room = Fixed(free) if free is not None else lab.core.room
    eyes = Eyes(lab.engine, room, models, lab.clock, lab.core.groups, driver or NoDriver())
    before = list(lab.engine.writes)
    found = lab.run(preflight(eyes, case_of(plan), foretold))
    assert lab.engine.writes == before, "nothing is written"
    return found


def line(found: Report, what: str) -> str:
    """The texts of the lines of this kind, each with how it counts."""
    sign = {True: "ok", False: "no", None: "?"}
    return " | ".join(f"{sign[one.ok]} {one.text}" for one in found.lines if one.what == what)


def needs(**more: Any) -> dict[str, Any]:
    return {"needs": dump(Needs(startup=600.0, probe="http://:8000", **more))}


def test_all_is_well(lab: Any) -> None:
    box = lab(models=MODELS)
    box.weights.files["b"] = WHOLE
    found = look(box, box.plan(parts={"b": needs(memory=200 * 10**9)}))
    assert found.verdict.ok, found.verdict.text
    assert [one.what for one in found.lines] == [
        *("files", "memory", "image", "ports", "dry run", "way back", "drain", "callers"),
    ]
    assert line(found, "files") == "ok 18 of 18 parts, 341 GB, deepseek2, Q3_K_M"
    assert line(found, "memory").startswith("ok 200 GB needed")
    assert line(found, "dry run") == "? not declared: whether its image knows deepseek2 shows when it loads"
    assert line(found, "way back") == "ok a can come back"
    assert found.document()[0] == {"what": "files", "text": "18 of 18 parts, 341 GB, deepseek2, Q3_K_M", "ok": True}


def test_a_missing_part_ends_it(lab: Any) -> None:
    box = lab(models=MODELS)
    box.weights.files["b"] = replace(WHOLE, files=17, troubles=("/m/b-00007-of-00018.gguf is not there",))
    found = look(box, box.plan())
    assert (found.verdict.ok, found.verdict.reason) == (False, Reason.NO_FIT)
    assert found.verdict.text == (
        "Nothing was touched. files: /m/b-00007-of-00018.gguf is not there; put it there, or correct `files`."
    )


def test_what_comes_back_is_measured_and_not_what_was_declared(lab: Any) -> None:
    box = lab()
    box.world.declare("a", SimModel(load=0.0, memory=298 * GIB))
    box.engine.human_remove("a", force=True)
    box.engine.human_run("a", "llama:1", ports={"8000/tcp": "18000"})
    box.run(asyncio.sleep(5.0))
    plan = box.plan(parts={"a": needs(memory=int(500 * GIB)), "b": needs(memory=int(341 * GIB))})
    found = look(box, plan, free=Free(62.0 * GIB))
    assert line(found, "memory") == "ok 341 GiB needed, 298 GiB come back, 62 GiB free: fits, 19 GiB to spare"
    tight = look(box, plan, free=Free(40.0 * GIB))
    assert line(tight, "memory") == "no 341 GiB needed, 298 GiB come back, 40 GiB free: 3 GiB are missing"
    assert tight.verdict.reason is Reason.NO_FIT
    beside = look(box, box.plan(shape=BESIDE, parts={"b": needs(memory=int(50 * GIB))}), free=Free(62.0 * GIB))
    assert line(beside, "memory") == "ok 50 GiB needed, 62 GiB free: fits, 12 GiB to spare", "nobody leaves before it"


def test_each_card_is_looked_at_by_itself(lab: Any) -> None:
    box = lab()
    a = box.engine.container("a").id
    driver = Driver(card(0, (a, 85.0)), card(1, (a, 20.0), total=32.0))
    plan = box.plan(parts={"b": needs(vram=(("0", int(90 * GIB)), ("GPU-1", int(30 * GIB))))})
    free = Free(100.0 * GIB, {"GPU-0": 10.0 * GIB, "GPU-1": 9.0 * GIB})
    found = look(box, plan, driver=driver, free=free)
    assert line(found, "gpu:0") == "ok 90 GiB needed, 85 GiB come back, 10 GiB free: fits, 5 GiB to spare"
    assert line(found, "gpu:1") == "no 30 GiB needed, 20 GiB come back, 9 GiB free: 1 GiB are missing"
    assert found.verdict.reason is Reason.NO_FIT


def test_a_measured_run_counts_more_than_what_is_declared_and_a_dry_run_between(lab: Any) -> None:
    box = lab()
    parts = {"b": needs(memory=int(300 * GIB)) | {"measured": {"memory": 100 * GIB, "vram": {}}}}
    assert line(look(box, box.plan(parts=parts)), "memory").startswith("ok 100 GiB needed (measured)")
    foretold = (Need("memory", 120.0 * GIB, "dry run"),)
    dry = look(box, box.plan(parts={"b": needs(memory=int(300 * GIB))}), foretold=foretold)
    assert line(dry, "memory").startswith("ok 120 GiB needed (dry run)")


def test_what_nobody_knows_is_said(lab: Any) -> None:
    box = lab()
    found = look(box, box.plan())
    assert found.verdict.ok
    assert line(found, "memory") == (
        "? nobody knows what it needs; declare `memory` and `vram` for b, or `files` for the model"
    )
    assert line(found, "files").startswith("? nobody said where they are")


def test_an_estimate_says_how_wrong_it_can_be(lab: Any) -> None:
    box = lab(models=MODELS)
    box.weights.files["b"] = replace(WHOLE, cache=70_272.0, cache_most=4_997_120.0)
    found = look(box, box.plan(), free=Free(62.0 * GIB))
    assert found.verdict.ok, "a guess refuses nothing"
    assert "where its server does not keep its cache compressed" in line(found, "memory")


def test_reading_more_than_is_free_makes_the_way_back_a_cold_one(lab: Any) -> None:
    box = lab(models=MODELS)
    box.weights.files["b"] = WHOLE
    found = look(box, box.plan(), free=Free(62.0 * GIB))
    assert "the way back reads them from the disk again" in line(found, "cache")
    assert not line(look(box, box.plan(), free=Free(600.0 * GIB)), "cache")


def test_a_way_back_that_cannot_run_is_found_before_the_swap(lab: Any) -> None:
    box = lab(models=MODELS)
    box.weights.files["a"] = WeightsLook(troubles=("/m/a.gguf is not there",))
    found = look(box, box.plan())
    assert line(found, "way back") == "no a could not come back: /m/a.gguf is not there"
    assert found.verdict.reason is Reason.UNFAITHFUL
    assert look(box, box.plan(shape=BESIDE)).verdict.ok, "beside, it stays until the other one is proved"
    box.slot = replace(box.slot, on_fail="keep")
    assert look(box, box.plan()).verdict.ok, "nobody wants it back"


def test_one_whose_stop_would_be_its_end_is_never_stopped(lab: Any) -> None:
    box = lab(on_fail="keep")
    box.engine.human_remove("a", force=True)
    box.engine.human_run("a", "llama:1", host={"AutoRemove": True})
    found = look(box, box.plan())
    assert found.verdict.reason is Reason.UNSUPPORTED
    assert "is removed by the engine when it stops (--rm)" in found.verdict.text


def test_a_limit_below_its_need_is_said(lab: Any) -> None:
    box = lab()
    box.engine.human_remove("b", force=True)
    box.engine.human_run("b", "llama:1", start=False, host={"Memory": 4 * int(GIB)})
    found = look(box, box.plan(parts={"b": needs(memory=int(5 * GIB))}))
    assert found.verdict.ok
    assert "? its container may use 4 GiB, and it needs 5 GiB" in line(found, "memory")


def test_containers_and_images_that_are_gone(lab: Any) -> None:
    box = lab()
    plan = box.plan()
    box.engine.human_remove("b", force=True)
    found = look(box, plan)
    assert found.verdict.reason is Reason.VANISHED
    assert "the container of b (b) is gone" in found.verdict.text
    box = lab()
    plan = box.plan()
    image_id = box.engine.container("a").image_id
    box.engine.world.shelf.images.pop(image_id)
    assert look(box, plan).verdict.reason is Reason.IMAGE_GONE


def test_its_port_is_free_once_the_other_one_stopped_and_not_a_strangers(lab: Any) -> None:
    box = lab()
    assert line(look(box, box.plan()), "ports").endswith("can be had")
    box.engine.human_run("stranger", "llama:1", ports={"8000/tcp": "18001"})
    found = look(box, box.plan())
    assert "stranger publishes" in line(found, "ports")
    assert not found.verdict.ok
    box.engine.human_remove("b", force=True)
    box.engine.human_remove("stranger", force=True)
    box.engine.human_run("b", "llama:1", ports={"8000/tcp": "18000"}, start=False)
    assert line(look(box, box.plan()), "ports").endswith("free once the other one stopped")
    box.slot = replace(box.slot, listen="127.0.0.1:18000")
    assert "which is the gate's own" in line(look(box, box.plan()), "ports")


@pytest.mark.parametrize(
    ("ports", "probe", "known"),
    [
        ({"8000/tcp": "18001"}, "", True),
        ({"8000/tcp": "18001", "9000/tcp": "18002"}, "", False),
        ({"8000/tcp": "18001", "9000/tcp": "18002"}, "http://:8000", True),
        ({}, "", False),
        ({}, "http://:8000", True),
    ],
)
def test_one_whose_address_nobody_will_know_is_found_before_anything_is_touched(
    lab: Any, ports: dict[str, str], probe: str, known: bool
) -> None:
    """It stands still, so it has no address yet: its ports decide."""
    for gate in (True, False):
        box = lab(gate=gate)
        box.engine.human_remove("b", force=True)
        box.engine.human_run("b", "llama:1", ports=ports, start=False)
        found = look(box, box.plan(parts={"b": {"needs": dump(Needs(startup=600.0, probe=probe))}}))
        assert found.verdict.ok is (known or not gate), found.verdict.text
        if known or not gate:
            continue
        assert found.verdict.reason is Reason.UNSUPPORTED
        assert found.verdict.text == (
            f"Nothing was touched. callers: nobody knows at which port b answers (it publishes "
            f"{'several' if ports else 'none'}), so no caller can be sent there; write `url: http://:PORT` for b in "
            f"resurgam.yaml."
        )


def test_one_that_runs_and_cannot_be_reached_is_found_too(lab: Any) -> None:
    box = lab()
    plan = box.plan("load", leaves="", comes="a", parts={"a": {"needs": dump(Needs(startup=600.0))}})
    assert look(box, plan).verdict.ok
    box.engine.human_remove("a", force=True)
    box.engine.human_run("a", "llama:1")
    plan = box.plan("load", leaves="", comes="a", parts={"a": {"needs": dump(Needs(startup=600.0))}})
    assert "nobody knows at which port a answers" in look(box, plan).verdict.text


def test_a_no_go_is_remembered_and_may_be_tried_again_by_name(lab: Any) -> None:
    box = lab()
    parts = {"b": {"no_go": "9.8 tokens/s, wanted 12 at least."}}
    found = look(box, box.plan(parts=parts))
    assert found.verdict.reason is Reason.NO_GO
    assert found.verdict.text.endswith(
        "b was tried on this image: 9.8 tokens/s, wanted 12 at least; `again` tries it all the same."
    )
    assert look(box, box.plan(parts=parts, again="true")).verdict.ok


def test_what_callers_will_notice(lab: Any) -> None:
    box = lab()
    found = look(box, box.plan(found={"expected": 700.0}))
    assert line(found, "callers") == "ok held at 127.0.0.1:8000 for about 11m40s; 256 at most, 15m each"
    long = look(box, box.plan(found={"expected": 2000.0}))
    assert "the first of them get 503 with Retry-After" in line(long, "callers")
    assert "60s at most" not in line(look(box, box.plan(found={"expected": 0.0})), "callers")
    assert "nobody knows how long it loads; 1m at most" in line(look(box, box.plan(found={"expected": 0.0})), "callers")
    assert line(look(box, box.plan(shape=BESIDE)), "callers") == "ok notice nothing: they are moved while both run"
    bare = lab(gate=False)
    assert "they come without a gate" in line(look(bare, bare.plan()), "callers")


def test_what_is_in_flight_has_to_end_first(lab: Any) -> None:
    box = lab(gate=False)
    assert line(look(box, box.plan()), "drain") == "ok no request is in flight"
    box.world.busy["a"] = 2
    assert line(look(box, box.plan()), "drain") == (
        "ok 2 requests are in flight, and have 30s to end; else the swap ends, and nothing was touched"
    )


def test_what_its_own_container_holds_already_is_no_need_on_top(lab: Any) -> None:
    box = lab(models=(SlotModel("a", "a", sleep=2), SlotModel("b", "b", sleep=1)))
    box.engine.human_remove("b", force=True)
    box.engine.human_run("b", "llama:1")
    b = box.engine.container("b").id
    plan = box.plan(shape=SLEEP, parts={"b": needs(vram=(("0", int(80 * GIB)),))})
    found = look(box, plan, driver=Driver(card(0, (b, 30.0))), free=Free(1.0, {"GPU-0": 60.0 * GIB}))
    assert line(found, "gpu:0") == "ok 80 GiB needed, 30 GiB come back, 60 GiB free: fits, 10 GiB to spare"


def test_a_model_inside_a_server_gives_back_what_it_takes_and_not_the_whole_server(lab: Any) -> None:
    models = tuple(SlotModel(name, "a", inside=True, memory=int(40 * GIB)) for name in ("a", "b"))
    box = lab(models=models)
    a = box.engine.container("a").id
    plan = box.plan(shape=SLEEP, found={"parts": {"a": box.part("a"), "b": box.part("a")}})
    found = look(box, plan, driver=Driver(card(0, (a, 90.0))), free=Free(1.0 * GIB, {"GPU-0": 1.0 * GIB}))
    assert line(found, "memory") == "ok 40 GiB needed, 40 GiB come back, 1 GiB free: fits, 1 GiB to spare"


def test_weights_that_go_to_sleep_in_memory_need_room_there(lab: Any) -> None:
    box = lab(models=(SlotModel("a", "a", sleep=1), SlotModel("b", "b")))
    a = box.engine.container("a").id
    driver = Driver(card(0, (a, 80.0)))
    plan = box.plan(shape=SLEEP, parts={"b": needs(memory=int(30 * GIB), vram=(("0", int(70 * GIB)),))})
    found = look(box, plan, driver=driver, free=Free(100.0 * GIB, {"GPU-0": 10.0 * GIB}))
    assert line(found, "gpu:0") == "ok 70 GiB needed, 80 GiB come back, 10 GiB free: fits, 20 GiB to spare"
    assert line(found, "memory") == "no 30 GiB needed, 20 GiB free: 10 GiB are missing", "80 GiB move into memory"


@pytest.mark.parametrize(
    ("wanted", "driver", "met"),
    [
        ("cuda>=12.8", "570.1", True),
        ("cuda>=12.8", "550.54.14", False),
        ("cuda>=12.8 brand=tesla,driver>=535,driver<536", "535.1", True),
        ("cuda>=12.8 brand=tesla,driver>=535,driver<536", "550.1", False),
        ("cuda>=12.7", "450.1", True),
        ("cuda>=99.0", "", True),
        ("", "450.1", True),
        ("\x1b[31m", "450.1", True),
    ],
)
def test_what_an_image_asks_of_the_driver(wanted: str, driver: str, met: bool) -> None:
    raw = {"Config": {"Env": ["A=b", f"NVIDIA_REQUIRE_CUDA={wanted}"]}}
    assert (nvidia.unmet(raw, GpuReading(driver=driver)) == "") is met
    waived = {"Config": {"Env": ["NVIDIA_DISABLE_REQUIRE=1", f"NVIDIA_REQUIRE_CUDA={wanted}"]}}
    assert nvidia.unmet(waived, GpuReading(driver=driver)) == ""


@pytest.mark.parametrize(
    ("wanted", "asked", "met"),
    [
        ("arch>=8.0", ("all",), False),
        ("arch>=8.0", ("0",), True),
        ("arch>=8.0", ("GPU-1-and",), False),
        ("arch>=8.0", (), True),
        ("arch>=13", (), False),
        ("arch>=7.5", ("all",), True),
        ("arch>7.5", ("0", "1"), False),
        ("arch<9", ("0",), False),
        ("arch<=12.0", ("0",), True),
        ("arch=12", ("0",), True),
        ("arch!=12.0", ("0",), False),
        ("arch>=13 cuda>=12.8", ("0",), True),
        ("arch>=13 cuda>=12.9", ("0",), False),
        ("arch>=13", ("2",), True),
        ("arch>=new", ("0",), True),
    ],
)
def test_what_an_image_asks_of_the_cards(wanted: str, asked: tuple[str, ...], met: bool) -> None:
    """It holds for each card that the container names; of one that asks for some card, for one of them at least. A
    card that does not say what it computes by is no obstacle."""
    cards = (
        replace(card(0), compute="12.0"),
        replace(card(1), uuid="GPU-1-and-more", compute="7.5"),
        replace(card(2), compute=""),
    )
    cards = cards if "2" in asked else cards[:2]
    raw = {"Config": {"Env": [f"NVIDIA_REQUIRE_ARCH={wanted}"]}}
    assert (nvidia.unmet(raw, GpuReading(cards, driver="570.1"), asked) == "") is met


def test_the_card_that_is_too_old_is_named() -> None:
    reading = GpuReading((replace(card(0), name="NVIDIA T4", compute="7.5"),), driver="570.1")
    raw = {"Config": {"Env": ["NVIDIA_REQUIRE_CUDA=arch>=8.0"]}}
    said = "its image asks for arch>=8.0, and gpu:0 (NVIDIA T4) has compute capability 7.5"
    assert nvidia.unmet(raw, reading) == said


def test_an_engine_that_does_not_answer_refuses_nothing_by_itself(lab: Any) -> None:
    box = lab()
    plan = box.plan()
    box.engine.fault = lambda op, _key: Fault("refuse") if op in ("image", "list") else None
    found = look(box, plan)
    assert found.verdict.ok
    assert "? the engine does not say" in line(found, "image")
