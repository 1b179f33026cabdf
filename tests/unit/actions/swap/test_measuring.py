"""What of a log belongs to this run, which canaries a folder has, what an answer is held against."""

import os

import pytest

from supervisor.actions.swap import golden, measuring
from supervisor.facts import Canary, SlotModel, WeightsLook
from tests.support.swap_lab import GIB, SimModel

OLD = [f"line {number}" for number in range(30)]


def tail(lines):
    return len(lines), lines[-measuring.TAIL :]


@pytest.mark.parametrize(("files", "known"), [(300, 300 * GIB), (5, 8 * GIB), (0, 0)])
def test_mapped_weights_are_learned_by_the_size_of_their_files(lab, files, known):
    """The kernel counts them for nobody: a model of 300 GiB would be taken for one of 8."""
    paths = ("/models/b.gguf",) if files else ()
    box = lab(models=(SlotModel("a", "a"), SlotModel("b", "b", files=paths)))
    box.world.declare("b", SimModel(load=3.0, rate=40.0, memory=8 * GIB))
    box.weights.files["b"] = WeightsLook("gguf", "llama", 1, int(files * GIB))
    assert box.do(box.plan()).data["measured"]["memory"] == pytest.approx(known, rel=0.01)


def test_lines_behind_those_that_were_there():
    assert measuring.fresh([*OLD, "new"], *tail(OLD)) == ["new"]
    assert measuring.fresh(OLD, *tail(OLD)) == []
    assert measuring.fresh(["new"], 0, []) == ["new"]


def test_a_start_that_says_the_same_again_is_new():
    assert measuring.fresh([*OLD, *OLD], *tail(OLD)) == OLD


def test_a_log_that_is_longer_than_we_look_is_searched():
    long = [f"line {number}" for number in range(measuring.LOG_LINES)]
    assert measuring.fresh([*long[3:], "a", "b", "c"], *tail(long)) == ["a", "b", "c"]


def test_a_log_that_was_rotated_is_all_new():
    assert measuring.fresh(["x", "y"], *tail(OLD)) == ["x", "y"]


@pytest.mark.parametrize(
    ("canary", "answer", "right"),
    [
        (Canary("?", matches="Paris"), "It is Paris.", True),
        (Canary("?", matches="^Paris"), "It is Paris.", False),
        (Canary("?", equals="Paris."), " Paris.\n", True),
        (Canary("?", equals="Paris."), "paris.", False),
        (Canary("?", matches="a.c"), "a\nc", True),
    ],
)
def test_an_answer_is_right(canary, answer, right):
    assert measuring.right(canary, answer) is right


def test_a_folder_that_is_not_there_is_said(tmp_path):
    found, wrong = golden.read(str(tmp_path / "nowhere"))
    assert found == ()
    assert "cannot be read" in wrong[0]
    assert "no *.prompt" in golden.read(str(tmp_path))[1][0]


def test_files_that_cannot_be_used_never_count_as_right(tmp_path):
    (tmp_path / "big.prompt").write_bytes(b"x" * (golden.LARGEST + 1))
    (tmp_path / "raw.prompt").write_bytes(b"\xff\xfe")
    (tmp_path / "bad.prompt").write_text("Say it")
    (tmp_path / "bad.expect").write_text("(")
    (tmp_path / "empty.prompt").write_text(" \n")
    (tmp_path / "good.prompt").write_text("Say it")
    (tmp_path / "good.answer").write_text("it\n")
    found, wrong = golden.read(str(tmp_path))
    assert [(one.name, one.equals) for one in found] == [("good", "it")]
    assert len(wrong) == 4
    assert all("cannot be used" in one for one in wrong)


def test_what_is_no_plain_file_is_not_waited_for(tmp_path):
    """A pipe would hold up the whole daemon until somebody writes into it."""
    os.mkfifo(tmp_path / "pipe.prompt")
    (tmp_path / "odd.prompt").write_text("Say it")
    os.mkfifo(tmp_path / "odd.expect")
    found, wrong = golden.read(str(tmp_path))
    assert found == ()
    assert len(wrong) == 2
