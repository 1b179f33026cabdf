"""What the child process makes of a driver, seen from inside it."""

import importlib.util
import io
import json
import os
import sys
from pathlib import Path

import pytest

from supervisor.signals.gpu import child

FAKE = Path(__file__).parents[3] / "support" / "nvml" / "pynvml.py"
GIB = 2**30


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """The text file that is the GPUs, and a pynvml that reads it."""
    spec = importlib.util.spec_from_file_location("pynvml", FAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(child, "_MODULE", str(tmp_path / "version"))  # no kernel module is loaded
    file = tmp_path / "gpus"
    monkeypatch.setenv("RESURGAM_FAKE_GPU", str(file))
    return file


def usage():
    driver, wrong = child.start()
    return wrong if driver is None else driver.usage()


def test_every_gpu_with_what_is_free_and_who_uses_it(gpus):
    gpus.write_text("gpu 0 GPU-aa 80 12 4711:60 12:8\ngpu 1 GPU-bb 80 80\n")
    first, second = usage()["gpus"]
    assert first == {
        "index": 0,
        "uuid": "GPU-aa",
        "total": 80 * GIB,
        "free": 12 * GIB,
        "reserved": 0,
        "users": [(12, 8 * GIB), (4711, 60 * GIB)],  # 4711 is in both lists, and counted once
        "error": "",
    }
    assert (second["free"], second["users"]) == (80 * GIB, [])


def test_a_process_whose_memory_the_driver_does_not_say_is_there_all_the_same(gpus):
    gpus.write_text("gpu 0 GPU-aa 80 12 4711:?\n")
    assert usage()["gpus"][0]["users"] == [(4711, 0)]


def test_one_lost_card_does_not_hide_the_others(gpus):
    gpus.write_text("gpu 0 GPU-aa lost\ngpu 1 GPU-bb 80 7\n")
    first, second = usage()["gpus"]
    assert (first["index"], first["error"]) == (0, "GPU is lost")
    assert (second["free"], second["error"]) == (7 * GIB, "")


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("init 9", "no_driver"),
        ("init 12", "no_driver"),
        ("init 18", "mismatch"),
        ("init 4", "refused"),
        ("init 999", "error"),
    ],
)
def test_a_driver_that_cannot_be_opened_is_a_trouble(gpus, line, trouble):
    gpus.write_text(f"{line}\n")
    assert usage()["trouble"] == trouble


def test_what_the_driver_keeps_is_told_where_the_library_knows(gpus):
    gpus.write_text("kept 2\ngpu 0 GPU-aa 80 78\n")
    assert usage()["gpus"][0]["reserved"] == 2 * GIB
    gpus.write_text("old\nkept 2\ngpu 0 GPU-aa 80 78\n")
    assert (usage()["gpus"][0]["reserved"], usage()["gpus"][0]["free"]) == (0, 78 * GIB)


def test_a_driver_without_a_gpu_is_a_trouble_that_the_process_ends_with(gpus, monkeypatch, tmp_path):
    gpus.write_text("\n")
    said = _main("1 usage\n2 usage\n", monkeypatch, tmp_path)
    assert [each["trouble"] for each in said] == ["no_gpu"], "it would never see one that comes"


def test_a_driver_that_went_away_is_a_trouble(gpus):
    gpus.write_text("count 1\ngpu 0 GPU-aa 80 7\n")
    assert usage() == {"trouble": "error", "text": "Unknown Error 1"}


def test_without_the_library_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as where it is not installed
    assert usage()["trouble"] == "no_library"


def test_answers_carry_the_number_of_their_question_and_the_driver_is_let_go_of(gpus, monkeypatch, tmp_path):
    gpus.write_text("gpu 0 GPU-aa 80 7\n")
    said = _main("3 usage\n4 usage\n", monkeypatch, tmp_path)
    assert [each["n"] for each in said] == [3, 4]
    assert gpus.read_text().endswith("closed\n")


def test_after_a_trouble_of_the_whole_driver_it_ends(gpus, monkeypatch, tmp_path):
    gpus.write_text("init 18\n")
    said = _main("1 usage\n2 usage\n", monkeypatch, tmp_path)
    assert [each["n"] for each in said] == [1], "a process with an old library cannot heal"


def _main(questions, monkeypatch, tmp_path):
    """What main prints; the two descriptors it moves are ours here."""
    answers = (tmp_path / "answers").open("w+b")
    monkeypatch.setattr(os, "dup", lambda _fd: os.open(answers.name, os.O_WRONLY))
    monkeypatch.setattr(os, "dup2", lambda *_fds: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(questions))
    assert child.main() == 0
    with answers:
        return [json.loads(line) for line in answers.read().splitlines()]
