"""Swaps of real model servers in real containers, by a real daemon, under a load of 20 requests a second at the gate.

The cases are those of the race of story 8: a good one, and every way in which a candidate has been seen to fail. Each
ends with exactly one model in memory, verified; no caller gets an error, and no stream is cut. What cannot be known
from a candidate's files is found out while the slot is held, and the one before comes back.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import hands
from tests.support.gguf_models import slow, tiny, truncated, unknown_architecture
from tests.support.model_image import command
from tests.support.openloop import Summary
from tests.support.swap_box import POLICY, SLOT, Entrant, SwapBox, gate_port

pytestmark = pytest.mark.real

BEFORE, AFTER = 12, 20
"""whole answers that callers have had before a swap, and get after it"""
QUESTION = "Who is there?"
STARTUP = "3s"
"""of the one that is never ready"""
HEADS = {"unknown": ("deepseek3_2",), "cut-off": ("300000", "cut", "bytes"), "absent": ("absent.gguf",)}
"""what is said of files that cannot be loaded: one of these words"""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a swap: its last row, the report of the slot, and how the callers fared."""

    row: dict[str, Any]
    report: dict[str, Any]
    steps: list[str]
    callers: Summary


class Stage:
    """The box, and what its first model says and does when it is asked."""

    def __init__(self, box: SwapBox) -> None:
        self.box = box

    def swap(self, to: str, before: str = "one") -> Trial:
        """From `before`, under load; returns once callers have had answers again after the end."""
        if self.box.slot()["holder"] != before:
            assert self.box.ended(self.box.ask(to=before))["kind"] == "action.verified"
        with self.box.load() as load:
            _until_ok(load, BEFORE)
            plan = self.box.ask(to=to)
            row = self.box.ended(plan)
            _until_ok(load, load.ok() + AFTER)
        steps = [one["body"]["step"] for one in self.box.daemon.rows("action.begin") if one["body"].get("plan") == plan]
        return Trial(row, self.box.slot()["report"] or {}, steps, load.summary())

    def stands(self, holder: str) -> None:
        """Exactly this model runs, serves, holds the slot and would come back at a boot; nothing is left over."""
        box = self.box
        assert box.running() == [holder], box.said()
        assert box.asked() == holder
        assert box.slot()["holder"] == holder
        assert box.policy(holder) == POLICY
        assert box.leftovers() == []
        assert (box.daemon.status() or {})["plans"] == []


def _until_ok(load: Any, count: int) -> None:
    end = time.monotonic() + 60
    while load.ok() < count:
        assert time.monotonic() < end, f"callers get no answers: {load.answers[-3:]}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("models")
    bad = {"unknown": unknown_architecture(folder / "unknown.gguf"), "cut-off": truncated(folder / "cut-off.gguf")}
    bad["absent"] = folder / "absent.gguf"
    pipe = folder / "pipe.gguf"
    os.mkfifo(pipe)
    large = slow(folder / "large.gguf")
    entrants = [_good(tiny(folder / "one.gguf"), "one"), _good(tiny(folder / "two.gguf", seed=1), "two")]
    entrants += [_good(file, name) for name, file in bad.items()]
    entrants[2].entry["dry-run"] = command(bad["unknown"], "unknown", check=1)  # its file is whole: its image says it
    entrants += [Entrant(f"{name}-untold", file) for name, file in bad.items()]
    with hands("sw") as person:
        box = SwapBox(person, gate_port(), entrants[:1], {})
        try:
            box.make()
            answer, rate = box.tells("one", QUESTION)
        finally:
            box.close()
        golden = folder / "golden"
        golden.mkdir()
        (golden / "who.prompt").write_text(QUESTION)
        (golden / "who.answer").write_text(answer)
        entrants += [
            Entrant("snail", large, entry={"criteria": {"tokens": 32, "at-least": round(rate / 3)}}),
            Entrant("babbler", tiny(folder / "three.gguf", seed=2), entry={"criteria": {"golden": str(golden)}}),
            Entrant("sleeper", pipe, service={"startup": STARTUP}),
            Entrant("breaker", large, {"dies": 60}, entry={"criteria": {"tokens": 400}}),
            Entrant("glutton", large, {"load": "none"}, memory=48 << 20),
        ]
        box = SwapBox(person, gate_port(), entrants, {"criteria": {"tokens": 64}, "probation": "0s"})
        try:
            box.make()
            box.start()
            yield Stage(box)
        finally:
            box.close()


def _good(file: Path, name: str) -> Entrant:
    return Entrant(name, file, entry={"files": [str(file)]})


def nobody_failed(trial: Trial) -> None:
    """Every caller got a whole answer."""
    assert trial.callers.wrong == ()
    assert (trial.callers.failed, trial.callers.cut) == (0, 0)


def test_a_good_swap_and_back(stage: Stage) -> None:
    for to, before in (("two", "one"), ("one", "two")):
        trial = stage.swap(to, before)
        assert trial.row["kind"] == "action.verified", stage.box.said()
        nobody_failed(trial)
        assert set(trial.callers.models) == {"one", "two"}
        assert trial.report["verdict"] == "GO"
        assert trial.report["from"] == before
        assert stage.box.policy(before) == "no"  # nothing but us starts it again
        assert stage.box.daemon.rows("model.swapped")[-1]["body"]["model"] == to
        stage.stands(to)


@pytest.mark.parametrize("name", HEADS)
def test_what_its_files_tell_is_told_before_anything_stops(stage: Stage, name: str) -> None:
    trial = stage.swap(name)
    assert trial.row["kind"] == "action.failed"
    assert any(word in trial.row["body"]["text"] for word in HEADS[name]), trial.row["body"]["text"]
    assert "stop" not in trial.steps
    assert "hold" not in trial.steps
    nobody_failed(trial)
    assert set(trial.callers.models) == {"one"}
    stage.stands("one")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown-untold", ("deepseek3_2",)),
        ("cut-off-untold", ("exit",)),
        ("absent-untold", ("exit",)),
        ("snail", ("tokens/s, wanted",)),
        ("babbler", ("canar", "who")),
        ("sleeper", ("not ready within 3s",)),
        ("breaker", ("exit",)),
        ("glutton", ("memory",)),
    ],
)
def test_what_shows_only_later_brings_the_one_before_back(stage: Stage, name: str, words: tuple[str, ...]) -> None:
    trial = stage.swap(name)
    assert trial.row["kind"] == "action.rolled_back", stage.box.said()
    text = trial.row["body"]["text"]
    assert all(word in text for word in words), text
    assert "back_ready" in trial.steps
    assert "commit" not in trial.steps
    nobody_failed(trial)
    assert set(trial.callers.models) == {"one"}  # no caller ever met the candidate
    assert trial.report["verdict"] == "NO-GO"
    assert stage.box.daemon.rows("model.no_go")[-1]["body"]["model"] == name
    stage.stands("one")


def test_a_no_go_is_remembered(stage: Stage) -> None:
    """Asked again it is not tried: its image is the one that failed."""
    known = {one["name"]: one["no_go"] for one in stage.box.slot()["models"]}
    if not known["snail"]:
        stage.swap("snail")
    done = stage.box.daemon.cli("swap", SLOT, "--to", "snail")
    assert done.returncode == 3, done
    assert "--again" in done.stdout + done.stderr
    stage.stands("one")


def test_what_is_there_already_is_no_swap(stage: Stage) -> None:
    done = stage.box.daemon.cli("swap", SLOT, "--to", "one")
    assert done.returncode == 0, done
    stage.stands("one")


def test_a_second_order_is_refused_while_the_first_is_carried_out(stage: Stage) -> None:
    box = stage.box
    with box.load() as load:
        _until_ok(load, BEFORE)
        plan = box.ask(to="two")
        second = box.daemon.command("swap", SLOT, to="absent-untold", again="true")
        assert box.ended(plan)["kind"] == "action.verified"
        _until_ok(load, load.ok() + AFTER)
    assert second["decision"]["reason"] == "locked"
    assert not second["plan"]
    assert str(plan) in second["decision"]["text"]
    assert load.summary().wrong == ()
    stage.stands("two")
