"""`resurgam gpu`, as a person reads it."""

import json
from dataclasses import replace

import pytest

from supervisor.cli import gpu
from supervisor.cli.main import main
from supervisor.facts import GpuState
from supervisor.verdicts import Reason, no, yes
from supervisor.views.gpu import gpus_document
from tests.support.boxes import NOW
from tests.support.cards import GIB, PRO
from tests.support.gpu_shown import big, cards, fault, gone, shown, small
from tests.support.house import served


def said(state: GpuState | None) -> list[str]:
    return [text for text, _colour in gpu.lines(gpus_document(shown(state)))]


def rows(state: GpuState) -> list[list[str]]:
    document = gpus_document(shown(state))
    assert document is not None
    return [[str(cell) for cell in row] for row in gpu.rows(document)]


def test_without_a_gpu_it_says_so_and_all_is_well() -> None:
    assert said(None) == ["No GPU is in this machine, and no service asks for one."]
    assert gpu.troubled(None) == []


def test_where_all_is_well_it_is_one_line() -> None:
    assert said(cards()) == ["2 GPUs, driver 580.95: nothing is wrong."]
    assert said(cards(big(), expected=1)) == ["1 GPU, driver 580.95: nothing is wrong."]
    assert gpu.troubled(gpus_document(shown(cards()))) == []


def test_a_card_that_is_gone_is_told_once_and_needs_a_person() -> None:
    state = cards(big(), gone(small(), "GPU 1 is gone: restart the machine."))
    assert said(state) == ["GPU 1 is gone: restart the machine."], "its index does not stand there twice"
    assert rows(state)[1][2] == "gone"
    assert gpu.troubled(gpus_document(shown(state))) == ["GPU 1"]


def test_a_card_that_needs_something_says_its_index_first() -> None:
    sick = big(recovery="drain_reset", text="Its driver says that it needs a reset.")
    assert said(cards(sick)) == ["GPU 0: Its driver says that it needs a reset."]
    assert rows(cards(sick))[0][-1] == "drain and reset"


def test_faults_are_red_and_a_drill_is_not() -> None:
    lines = gpu.lines(gpus_document(shown(cards(episodes=(fault(),)))))
    assert lines == [("GPU 0 fell off the bus (XID 79).", "red")]
    drill = cards(episodes=(fault(drill=True),), drill=NOW + 60)
    document = gpus_document(shown(drill))
    assert [colour for _text, colour in gpu.lines(document)] == ["yellow", "yellow"]
    assert "nothing that follows is done" in gpu.lines(document)[0][0]
    assert gpu.troubled(document) == [], "practice is no trouble"
    assert gpu.troubled(gpus_document(shown(cards(episodes=(fault(),))))) == ["gpu-3"]


def test_a_driver_that_is_not_asked_says_why_and_how_it_is_asked_again() -> None:
    quiet = cards(quiet="NVIDIA's driver is not asked any more since XID 119.", trouble="stopped")
    assert said(quiet) == ["NVIDIA's driver is not asked any more since XID 119."]
    assert gpu.troubled(gpus_document(shown(quiet))) == ["the GPUs' driver"]
    let_go = cards(replace(big(), up=False, total=0), released=NOW + 600, trouble="stopped", text="A person wants it.")
    assert said(let_go)[0].endswith(": resurgam gpu resume")
    assert gpu.troubled(gpus_document(shown(let_go))) == [], "they know"
    assert rows(let_go)[0][2] == "not asked", "nobody may think that it is broken"
    deaf = cards(replace(big(), up=False, total=0), trouble="hung", text="It hangs.")
    assert rows(deaf)[0][2] == "does not answer"
    assert gpu.troubled(gpus_document(shown(deaf))) == ["the GPUs' driver"]


def test_memory_that_nobody_answers_for_is_told_and_not_planned_with() -> None:
    loose = big(planned=30 * GIB, orphaned=20 * GIB, unattributed=3 * GIB)
    assert said(cards(loose)) == [
        "GPU 0: 20 GiB are held by what is left of containers that are gone",
        "GPU 0: 3 GiB are in use, and by nobody",
    ]
    assert rows(cards(loose))[0][4] == "42 GiB", "96 less 1, 30, 20 and 3"
    assert rows(cards(big(planned=100 * GIB)))[0][4] == "5 GiB too much"
    assert said(cards(big(orphaned=GIB // 2, unattributed=GIB)))[0].endswith("nothing is wrong.")


def test_what_a_card_does_not_tell_is_a_dash() -> None:
    assert rows(cards(small(), expected=1))[0][5:7] == ["-", "-"]


def test_who_uses_what_stands_below(capsys: pytest.CaptureFixture[str]) -> None:
    loose = big(unattributed=GIB, users=(("stack.oracle", 60 * GIB), ("Xorg (pid 812)", 0)))
    with served(shown(cards(loose))) as daemon:
        assert main(["gpu", "--socket", str(daemon.socket)]) == 0
    out = capsys.readouterr().out
    assert "stack.oracle" in out
    assert "nobody that the driver names" in out
    assert [line.split()[-1] for line in out.splitlines() if "Xorg" in line] == ["-"], "the driver does not say"


def test_trouble_is_exit_1_and_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with served(shown(cards(episodes=(fault(),)))) as daemon:
        assert main(["gpu", "status", "--socket", str(daemon.socket), "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["xid"] == 79
    with served(shown()) as daemon:
        assert main(["gpu", "--socket", str(daemon.socket), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


@pytest.mark.parametrize(
    ("words", "verb", "target", "params"),
    [
        (["release", "--for", "30m"], "gpu-release", "", {"for": "30m"}),
        (["release"], "gpu-release", "", {}),
        (["resume"], "gpu-resume", "", {}),
        (["forget", PRO], "gpu-forget", PRO, {}),
        (["drill", "79"], "gpu-drill", "", {"xid": "79"}),
        (
            ["drill", "31", "--gpu", "1", "--service", "oracle", "--for", "5m"],
            *("gpu-drill", "1", {"xid": "31", "service": "oracle", "for": "5m"}),
        ),
    ],
)
def test_a_word_becomes_a_command(
    words: list[str], verb: str, target: str, params: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with served(shown(cards())) as daemon:
        daemon.house.verdicts[verb] = yes("So it is.")
        assert main(["gpu", *words, "--socket", str(daemon.socket)]) == 0, "options stand behind every word"
        (asked,) = daemon.house.asked
    assert (asked.verb, asked.target.replace("*", ""), dict(asked.params)) == (verb, target, params)
    assert capsys.readouterr().out == "So it is.\n"


def test_a_no_is_exit_3_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with served(shown(cards())) as daemon:
        daemon.house.verdicts["gpu-forget"] = no(Reason.BAD_PARAMETER, "GPU 0 is in this machine.")
        assert main(["gpu", "forget", "0", "--socket", str(daemon.socket)]) == 3
    assert "GPU 0 is in this machine." in capsys.readouterr().err
