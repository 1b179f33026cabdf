"""Stories 8 and 9: another model on the same card, proved better, or the old one back; callers see a pause at most."""

import pytest

from supervisor.facts import WeightsLook
from supervisor.lab.engine import Behaviour
from supervisor.lab.gpu import GIB
from supervisor.lab.minds import FOR_EVER, SimModel
from tests.sim.slots import GOOD, WELL, A, B, Slots, loaded, told

RULE = """
groups:
- name: own
  rules:
  - alert: TrivialWork
    expr: node_memory_MemTotal_bytes > 0 and on() (hour() >= 0)
    for: 2m
    annotations:
      action: "swap oracle to=mxfp4"
"""


def nothing(holder: str, stage: Slots) -> None:
    assert stage.holds_it(holder) == [], stage.tail()


def test_a_good_candidate_holds_the_slot_and_nobody_lost_a_request() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        ended = await stage.swap()
        assert ended.kind == "action.verified", ended.body["text"]
        nothing(B, stage)
        report = stage.report()
        assert (report["verdict"], report["from"], report["to"]) == ("GO", A, B)
        assert stage.heard("model.swapped")
        began, swapped = stage.heard("model.swap_began"), stage.heard("model.swapped")
        assert len(began) == len(swapped) == 1
        bench = stage.space("bench")[f"oracle|{B}"]
        assert bench
        await stage.world.run(180)
        assert stage.slot().probation is None
        nothing(B, stage)
        assert stage.lost() == []
        assert stage.callers is not None
        assert stage.callers.models == (f"box-{A}-1", f"box-{B}-1")

    told(story)


def test_the_way_there_and_back_again_leaves_everything_as_it_was() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        for to in (B, A):
            ended = await stage.swap(to, override="a test of endurance")
            assert ended.kind == "action.verified", ended.body["text"]
            nothing(to, stage)
            await stage.world.run(200)

    told(story)


BAD = {
    "too slow": (GOOD.changed(rate=5.0), WELL, "12"),
    "senseless": (GOOD.changed(senseless=True), WELL, ""),
    "another model": (GOOD.changed(says="gpt-2"), WELL, "gpt-2"),
    "never ready": (GOOD.changed(load=FOR_EVER), WELL, ""),
    "dies in an answer": (GOOD.changed(dies_in=2), WELL, ""),
    "breaks off": (GOOD.changed(breaks_in=3, sticky=True), WELL, ""),
    "unknown architecture": (
        GOOD,
        Behaviour(exit_after=0.3, exit_code=1, log=("unknown model architecture: 'deepseek3_2'",)),
        "",
    ),
    "out of memory": (GOOD, Behaviour(exit_after=10.0, oom=True), ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_candidate_ends_on_the_old_model_verified_and_is_remembered(kind: str) -> None:
    mind, run, word = BAD[kind]

    async def story(stage: Slots) -> None:
        await stage.prepared(b=mind, run=run)
        ended = await stage.swap()
        assert ended.kind == "action.rolled_back", (ended.kind, ended.body["text"])
        nothing(A, stage)
        report = stage.report()
        assert report["verdict"] == "NO-GO"
        assert word in report["text"]
        assert stage.heard("model.no_go")
        again = await stage.ask("swap", "oracle", to=B)
        assert again.verdict.reason == "no_go", again.verdict
        await stage.world.run(300)
        nothing(A, stage)
        assert stage.lost() == []

    # only a name that is declared is held against a server: without one it calls its model what it likes
    named = {A: {"service": f"box.{A}"}, B: {"service": f"box.{B}", "model": B}}
    told(story, loaded({"models": named}))


def test_a_no_go_counts_for_the_image_it_was_said_of_and_a_person_may_ask_again() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(b=GOOD.changed(rate=5.0))
        await stage.swap()
        ended = await stage.swap(again="true")
        assert ended.kind == "action.rolled_back"
        stage.changes(B, rate=25.0)
        stage.image(f"local/{B}:1", WELL.changed(memory=1.0))
        stage.engine.human_remove(f"box-{B}-1")
        await stage.model(B, stage.minds[B], WELL.changed(memory=1.0))
        await stage.world.run(30)
        assert (await stage.swap()).kind == "action.verified"
        nothing(B, stage)

    told(story)


def test_a_line_in_its_log_sends_it_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(
            run=WELL.changed(
                log=(
                    "loading",
                    "CUDA error: an illegal memory access",
                )
            )
        )
        ended = await stage.swap()
        assert ended.kind == "action.rolled_back"
        assert "CUDA error" in stage.report()["text"]
        nothing(A, stage)

    told(story, loaded({"criteria": {"at-least": 12, "runs": 2, "tokens": 40, "log": ["CUDA error"]}}))


def test_one_that_takes_more_of_a_card_than_it_may_goes_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(b=GOOD.changed(vram={0: 90 * GIB}))
        ended = await stage.swap()
        assert ended.kind == "action.rolled_back"
        nothing(A, stage)

    told(story, loaded({"criteria": {"at-least": 12, "runs": 2, "tokens": 40, "vram": "0:85GiB"}}))


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (WeightsLook("gguf", "deepseek2", 18, troubles=("part 7 of 18 is not there",)), "part 7 of 18"),
        (WeightsLook("gguf", "deepseek2", 18, troubles=("m.gguf is cut: tensor data is not within the file",)), "cut"),
    ],
)
def test_what_the_preflight_finds_ends_it_before_anything_was_touched(files: WeightsLook, word: str) -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        stage.world.weights.files[B] = files
        writes = len(stage.engine.writes)
        ended = await stage.swap()
        assert (ended.kind, ended.body["why"]) == ("action.failed", "no_fit")
        assert word in ended.body["text"]
        assert len(stage.engine.writes) == writes
        nothing(A, stage)

    told(story, loaded({"models": {A: {"service": f"box.{A}"}, B: {"service": f"box.{B}", "files": "/models/b.gguf"}}}))


@pytest.mark.parametrize("says", [True, False])
def test_its_own_dry_run_may_say_no(says: bool) -> None:
    bad = Behaviour(exit_after=0.1, exit_code=139, log=("unknown model architecture: 'deepseek3_2'",))
    good = Behaviour(exit_after=0.1, exit_code=0, log=("fits",))

    async def story(stage: Slots) -> None:
        await stage.prepared(run=WELL.changed(commands=(("fit", good if says else bad),)))
        names = stage.names()
        ended = await stage.swap()
        assert ended.kind == ("action.verified" if says else "action.failed"), ended.body["text"]
        if not says:
            assert "deepseek3_2" in ended.body["text"]
        assert stage.names() == names, "what was made for the dry run is gone"
        nothing(B if says else A, stage)

    models = {A: {"service": f"box.{A}"}, B: {"service": f"box.{B}", "dry-run": ["fit", "--print"]}}
    told(story, loaded({"models": models}))


@pytest.mark.parametrize("counts", [True, False])
def test_requests_that_do_not_end_end_the_swap_before_anything_was_touched(counts: bool) -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        if counts:
            stage.world.models.busy[A] = 2
        else:
            stage.changes(A, counts=False)
        writes = len(stage.engine.writes)
        ended = await stage.swap()
        assert (ended.kind, ended.body.get("why", ended.body["reason"])) == ("action.ended_early", "in_use")
        assert len(stage.engine.writes) == writes
        nothing(A, stage)
        ended = await stage.swap(cut="true")
        assert ended.kind == "action.verified", ended.body["text"]
        nothing(B, stage)

    told(story)


def test_memory_that_comes_back_late_is_waited_for() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        stage.changes(A, late=40.0)
        ended = await stage.swap()
        assert ended.kind == "action.verified", ended.body["text"]
        nothing(B, stage)

    told(story)


def test_memory_that_never_comes_back_is_told_and_the_candidate_never_started() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        stage.changes(A, late=FOR_EVER, memory=0.0, vram={0: 80 * GIB})
        ended = await stage.swap()
        assert ended.kind != "action.verified"
        boxes = {key for operation, key, _at in stage.engine.writes if operation == "start"}
        assert stage.at(B).container.id not in boxes  # type: ignore[union-attr]
        assert not stage.plans()
        assert "held by server" in ended.body["text"]
        assert stage.slot().holder == A, "the old one comes back all the same: nothing else would serve"
        stage.slot_watcher.found.clear()

    told(story, invariants=False)


def test_one_that_holds_the_slot_already_is_done_already() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        decision = await stage.ask("swap", "oracle", to=A)
        assert decision.verdict.reason == "already_done"
        assert not stage.ended("swap")
        nothing(A, stage)

    told(story)


def test_two_at_once_are_one_and_a_refusal_that_names_it() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        first = await stage.ask("swap", "oracle", to=B)
        second = await stage.ask("swap", "oracle", to=B)
        assert (first.verdict.ok, second.verdict.reason) == (True, "locked")
        assert str(first.plan) in second.verdict.text
        await stage.until(lambda: stage.ended("swap"), 600, "end", step=1)
        nothing(B, stage)
        assert len(stage.ended("swap")) == 1

    told(story)


def test_a_rule_swaps_by_the_name_of_the_slot() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        await stage.until(lambda: stage.ended("swap"), 900, "swap by the rule", step=5)
        assert stage.ended("swap")[0].kind == "action.verified"
        assert stage.ended("swap")[0].body["by"].startswith("rule:")
        nothing(B, stage)
        await stage.world.run(600)
        assert len(stage.ended("swap")) == 1
        nothing(B, stage)

    told(story, loaded(files={"own.yaml": RULE}))


def test_a_model_that_breaks_its_word_in_probation_goes_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        assert (await stage.swap()).kind == "action.verified"
        probation = stage.slot().probation
        assert probation is not None
        assert (probation.model, probation.before) == (B, A)
        stage.changes(B, rate=5.0)
        await stage.until(lambda: stage.slot().holder == A and not stage.plans(), 900, "the way back", step=5)
        nothing(A, stage)
        assert stage.slot().probation is None

    told(story, loaded({"probation": "20m", "probation-every": "2m"}))


def test_one_that_dies_for_good_in_probation_goes_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        assert (await stage.swap()).kind == "action.verified"
        stage.engine.break_container(f"box-{B}-1", exit_after=1.0, exit_code=139)
        stage.engine.crash(f"box-{B}-1", 139)
        await stage.until(lambda: stage.slot().holder == A and not stage.plans(), 1800, "the way back", step=5)
        nothing(A, stage)

    told(story, loaded({"probation": "1h"}))


def test_side_by_side_moves_the_callers_without_a_pause() -> None:
    async def story(stage: Slots) -> None:
        stage.exclusive = False
        small = SimModel(load=20.0, rate=20.0, memory=10 * GIB, vram={0: 10 * GIB}, answers={"2+3": "It is 5."})
        await stage.prepared(a=small, b=small)
        ended = await stage.swap()
        assert ended.kind == "action.verified", ended.body["text"]
        nothing(B, stage)
        assert stage.gate().longest_hold < 1.0
        assert stage.lost() == []

    little = {"memory": "10GiB", "vram": "0:10GiB", "exclusive": []}
    told(story, loaded(services={A: little, B: little}))


def test_one_sleeps_and_the_other_wakes() -> None:
    async def story(stage: Slots) -> None:
        stage.exclusive = False
        await stage.prepared()
        ended = await stage.swap()
        assert ended.kind == "action.verified", ended.body["text"]
        states = {name: stage.world.models.state(stage.at(name)) for name in (A, B)}
        assert states == {A: "asleep", B: "loaded"}
        ended = await stage.swap(A)
        assert ended.kind == "action.verified", ended.body["text"]
        states = {name: stage.world.models.state(stage.at(name)) for name in (A, B)}
        assert states == {A: "loaded", B: "asleep"}
        starts = len(stage.starts())
        assert (await stage.swap(B)).kind == "action.verified"
        assert len(stage.starts()) == starts, "who sleeps is woken, not started"

    sleepers = {name: {"service": f"box.{name}", "sleep": 2} for name in (A, B)}
    told(story, loaded({"models": sleepers}, services={A: {"exclusive": []}, B: {"exclusive": []}}))


def test_a_bench_measures_and_changes_nothing() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        writes = len(stage.engine.writes)
        decision = await stage.ask("bench", "oracle")
        assert decision.verdict.ok, decision.verdict.text
        await stage.until(lambda: stage.ended("bench"), 120, "bench", step=1)
        assert stage.ended("bench")[-1].kind == "action.verified"
        assert len(stage.engine.writes) == writes
        assert stage.space("bench")[f"oracle|{A}"]
        nothing(A, stage)

    told(story)


@pytest.mark.parametrize("kind", ["never ready", "senseless", "dies in an answer", "dies again and again"])
def test_a_bad_candidate_that_may_sleep_is_out_of_the_way_before_the_other_one_wakes(kind: str) -> None:
    again = (GOOD, WELL.changed(exit_after=8.5, exit_code=139), "")
    mind, run, _word = again if kind == "dies again and again" else BAD[kind]

    async def story(stage: Slots) -> None:
        stage.exclusive = False
        await stage.prepared(b=mind, run=run, callers=False)
        ended = await stage.swap()
        assert ended.kind == "action.rolled_back", ended.body["text"]
        await stage.world.run(60)
        states = {name: stage.world.models.state(stage.at(name)) for name in (A, B)}
        assert states[A] == "loaded"
        assert states[B] in ("asleep", "unloaded")
        assert stage.slot().holder == A
        assert stage.gate().open

    sleepers = {name: {"service": f"box.{name}", "sleep": 2} for name in (A, B)}
    told(story, loaded({"models": sleepers}, services={A: {"exclusive": []}, B: {"exclusive": []}}))
