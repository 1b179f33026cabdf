"""What makes a swap go back, and where it goes then."""

from dataclasses import replace

import pytest

from supervisor.facts import Needs
from supervisor.journal.codec import dump
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.verdicts import Reason, no
from tests.support.swap_lab import CRITERIA, GIB, PARIS, SimModel, measured

SLOW = SimModel(load=3.0, rate=9.0)


def test_keep_leaves_it_there_and_says_so(lab):
    box = lab(on_fail="keep")
    box.world.declare("b", SLOW)
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.FAILED
    assert ended.outcome.text.startswith("NO-GO b: 9.0 tokens/s, wanted 12 at least")
    assert "It holds oracle all the same" in ended.outcome.text
    assert (ended.data["holder"], ended.data["verdict"]) == ("b", "NO-GO")
    assert ended.data["no_go"]["model"] == "b"
    assert box.status() == {"a": (False, "no"), "b": (True, "unless-stopped")}
    assert box.callers.unanswered == ()


def test_keep_is_no_reason_to_keep_what_does_not_answer(lab):
    box = lab(on_fail="keep")
    box.world.declare("b", SimModel(load=3.0, dies_in=1))
    ended = box.do(box.plan())
    assert ended.data["holder"] == "a"
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}


def test_stop_leaves_nobody_and_sends_callers_away_with_the_reason(lab):
    box = lab(on_fail="stop")
    box.world.declare("b", SLOW)
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data["holder"] == ""
    assert sorted(ended.data["stopped"]) == ["a", "b"]
    assert ended.data["policies"] == {"a": "unless-stopped", "b": "unless-stopped"}
    assert box.status() == {"a": (False, "no"), "b": (False, "no")}
    assert box.gate.told[-1][:2] == ("refuse", "oracle")


def test_an_xid_in_the_trial_goes_back_and_is_remembered(lab):
    box = lab()
    wish = no(Reason.FAILED, "GPU 0 told XID 48, a double bit error.")
    box.at_step("bench", lambda: box.loop.call_later(0.5, lambda: box.core.runner.end(7, wish)))
    ended = box.do(box.plan())
    assert ended.outcome.text.startswith("NO-GO b: GPU 0 told XID 48")
    assert ended.data["no_go"]["model"] == "b"
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "no")}


@pytest.mark.parametrize(("sizes", "holder"), [((100, 300), "a"), ((300, 100), "b"), ((0, 0), "b")])
def test_an_emergency_takes_the_exit_that_needs_less_memory(lab, sizes, holder):
    box = lab()
    wish = no(Reason.NO_ROOM, "Memory runs out.")
    box.at_step("bench", lambda: box.loop.call_later(0.5, lambda: box.core.runner.end(7, wish)))
    parts = {name: {"measured": {"memory": size * GIB / 10}} for name, size in zip("ab", sizes, strict=True)}
    ended = box.do(box.plan(parts=parts))
    assert ended.data["holder"] == holder
    assert ended.data["no_go"] is None


def test_a_pause_in_the_midst_of_it_changes_nothing(lab):
    box = lab()
    wish = no(Reason.PAUSED, "Somebody paused everything.")
    box.at_step("bench", lambda: box.core.runner.end(7, wish))
    assert box.do(box.plan()).data["holder"] == "b"


def test_a_line_of_its_log_goes_back_but_not_one_of_an_earlier_run(lab):
    criteria = replace(CRITERIA, log=("CUDA error",))
    box = lab(criteria=criteria)
    box.engine.human_remove("b", force=True)
    bad = Behaviour(log=("llama server starts", "CUDA error: an illegal memory access"))
    box.engine.add_image(SimImage(tags=("bad:1",), run=bad))
    box.engine.human_run("b", "bad:1")
    box.run(box.engine.stop("b", 1.0))
    box.engine.writes.clear()
    ended = box.do(box.plan())
    assert ended.outcome.text.startswith("NO-GO b: log: CUDA error: an illegal memory access")
    assert ended.data["holder"] == "a"


def test_what_the_log_said_before_its_start_counts_for_nothing(lab):
    box = lab(criteria=replace(CRITERIA, log=("CUDA error",)))
    box.engine.human_remove("b", force=True)
    bad = Behaviour(log=("CUDA error: of an earlier run",))
    box.engine.add_image(SimImage(tags=("bad:1",), run=bad))
    box.engine.human_run("b", "bad:1")
    box.run(box.engine.stop("b", 1.0))
    box.engine.break_container("b", log=("llama server starts",))
    assert box.do(box.plan()).data["verdict"] == "GO"


def test_a_model_that_is_another_one_than_was_meant(lab):
    box = lab()
    box.slot = replace(box.slot, models=(box.slot.models[0], replace(box.slot.models[1], model="deepseek-mxfp4")))
    box.world.declare("b", SimModel(load=3.0, rate=40.0, says="gpt-2"))
    ended = box.do(box.plan())
    assert "its server serves gpt-2, not deepseek-mxfp4" in ended.outcome.text
    assert ended.data["holder"] == "a"


@pytest.mark.parametrize(("size", "verdict"), [(104, "GO"), (106, "NO-GO")])
def test_what_is_only_declared_for_the_room_it_needs_is_no_budget_to_the_byte(lab, size, verdict):
    box = lab()
    box.world.declare("b", SimModel(load=3.0, rate=40.0, memory=size * GIB))
    needs = dump(Needs(startup=60.0, memory=int(100 * GIB), probe="http://:8000"))
    assert box.do(box.plan(parts={"b": {"needs": needs}})).data["verdict"] == verdict


def test_a_server_that_says_that_the_load_failed_is_not_waited_for(lab):
    box = lab()
    box.world.declare("b", SimModel(load=3.0, rate=40.0, breaks_in=1, sticky=True))
    ended = box.do(box.plan())
    assert "b failed to load: its server says failed" in ended.outcome.text
    assert (ended.data["holder"], ended.data["no_go"]["model"]) == ("a", "b")


def test_memory_above_its_budget(lab):
    box = lab(criteria=replace(CRITERIA, memory=int(100 * GIB)))
    box.world.declare("b", SimModel(load=3.0, rate=40.0, memory=120 * GIB))
    ended = box.do(box.plan())
    assert "NO-GO b: memory: 120 GiB, wanted 100 GiB at most" in ended.outcome.text


def test_it_must_be_so_many_times_as_fast_as_the_one_before(lab):
    box = lab(criteria=replace(CRITERIA, ratio=1.1))
    box.world.declare("b", SimModel(load=3.0, rate=20.0))
    ended = box.do(box.plan(baseline=measured("a", 20.0)))
    assert "NO-GO b: ratio: 1.00 times a (20.0), wanted 1.1 times at least" in ended.outcome.text


def test_what_a_model_says_is_told_without_what_looks_like_a_secret(lab):
    box = lab(criteria=replace(CRITERIA, canaries=(replace(PARIS, matches="Paris"),)))
    box.world.declare("b", SimModel(load=3.0, rate=40.0, answers={"capital": "password: hunter2hunter2"}))
    ended = box.do(box.plan())
    assert "canary" in ended.data["bench"]["failed"][0]
    assert "hunter2" not in str(ended)


def test_golden_files_are_asked_too(lab, tmp_path):
    (tmp_path / "capital.prompt").write_text("What is the capital of Italy?")
    (tmp_path / "capital.expect").write_text("Rome\n")
    (tmp_path / "same.prompt").write_text("Say it")
    (tmp_path / "same.answer").write_text("The capital of France is Paris.\n")
    (tmp_path / "orphan.prompt").write_text("Nobody says what is expected")
    box = lab()
    ended = box.do(box.plan(parts={"b": {"golden": str(tmp_path)}}))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    failed = ended.data["bench"]["failed"]
    assert len(failed) == 2
    assert "orphan.prompt" in failed[0]
    assert failed[1].startswith("canary capital answered")
    assert ended.data["bench"]["canaries"] == 4
    asked = [prompt for name, prompt in box.world.asked if name == "b"]
    assert {"What is the capital of Italy?", "Say it", PARIS.prompt} <= set(asked)


def test_a_way_back_from_probation_measures_nothing(lab):
    box = lab()
    box.world.declare("b", SLOW)
    ended = box.do(box.plan(found={"pivot": True}))
    assert ended.outcome.ok
    assert ended.data["holder"] == "b"
    assert not any(step in box.core.asked for step in ("warmup", "bench", "canary"))


def test_where_the_way_back_fails_too_nothing_is_deleted_and_the_old_one_is_left_running(lab):
    box = lab()
    box.world.declare("b", SLOW)
    box.at_step("back_start", lambda: box.world.declare("a", SimModel(load=1e9)))
    ended = box.do(box.plan(found={"limits": {"a": 10.0, "b": 60.0}}))
    assert ended.outcome.reason is Reason.DEGRADED
    assert "Going back failed too: a was not ready within 20s" in ended.outcome.text
    assert box.status()["a"][0]
    assert ended.data["holder"] == "a"


def test_what_did_not_run_before_is_not_started_by_the_way_back(lab):
    box = lab()
    box.run(box.engine.stop("a", 1.0))
    box.engine.writes.clear()
    box.world.declare("b", SLOW)
    ended = box.do(box.plan())
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data["holder"] == ""
    assert [name for name, (up, _policy) in box.status().items() if up] == []
    assert ("start", "a") not in box.ops()


def test_one_that_dies_is_told_with_the_line_of_its_log_that_says_why(lab):
    box = lab()
    said = ("llama server starts", "error loading model: unknown model architecture: 'deepseek3_2'", "exiting")
    box.engine.break_container("b", exit_after=0.4, exit_code=1, log=said)
    ended = box.do(box.plan())
    assert ended.outcome.text.startswith("NO-GO b: b ")
    assert "its log: \"error loading model: unknown model architecture: 'deepseek3_2'\"" in ended.outcome.text
    assert ended.data["holder"] == "a"
    assert ended.data["no_go"]["text"].endswith("'deepseek3_2'\"")


def test_a_cause_by_name_says_more_than_the_last_error(lab):
    box = lab()
    said = ("tensor 'x' data is not within the file bounds", "failed to load model", "RuntimeError: see above")
    box.engine.break_container("b", exit_after=0.4, exit_code=1, log=said)
    assert "its log: \"tensor 'x' data is not within the file bounds\"" in box.do(box.plan()).outcome.text


def test_one_that_the_memory_killer_ended_has_no_words_of_its_own_for_it(lab):
    box = lab()
    box.engine.break_container("b", log=("build_info: b0-unknown", "loading model"))
    box.at_step("ready", lambda: box.loop.call_later(0.5, lambda: box.engine.crash("b", 137, oom=True)))
    ended = box.do(box.plan())
    assert ended.outcome.text.startswith("NO-GO b: b lost a process to the out-of-memory killer. a holds oracle again")
    assert ended.data["holder"] == "a"
