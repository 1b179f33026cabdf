"""What a person says about the GPUs themselves: kept, told, and never over the bus."""

import pytest

from supervisor.core import gpu_words
from supervisor.facts import Command, Decision
from supervisor.verdicts import Reason
from supervisor.web.commands import OTHER
from tests.support.cards import BUS, PRO, SMALL, card
from tests.support.gpu_desk import Desk, loaded, omni


def said(desk: Desk, verb: str, target: str = "*", door: str = "socket", **params: str) -> Decision:
    found: list[Decision] = []
    fact = Command(desk.wall, desk.mono, verb, target, params, "uid:0", door)
    desk.word(lambda core: found.append(gpu_words.answer(core, fact)))
    return found[0]


def watched() -> Desk:
    desk = omni()
    desk.read(*loaded())
    return desk


def test_the_driver_is_let_go_of_for_so_long_and_no_longer() -> None:
    desk = watched()
    decision = said(desk, "gpu-release", **{"for": "20s"})
    assert decision.verdict.ok
    assert decision.verdict.text == (
        "NVIDIA's driver is let go of for 20s; nothing is known of the GPUs meanwhile. "
        "It is asked again at once with: resurgam gpu resume"
    )
    assert desk.state.released == desk.wall + 20
    desk.turn(seconds=25)
    assert desk.state.released == 0.0, "it ends by itself"


def test_it_outlives_a_restart() -> None:
    desk = watched()
    said(desk, "gpu-release")
    again = desk.again(oracle={}, mxfp4={}, tts={})
    assert again.state.released == desk.wall + gpu_words.RELEASED


@pytest.mark.parametrize("length", ["0s", "25h"])
def test_for_no_time_or_for_days_is_refused(length: str) -> None:
    desk = watched()
    verdict = said(desk, "gpu-release", **{"for": length}).verdict
    assert (verdict.reason, verdict.text) == (Reason.BAD_PARAMETER, "It is let go of for 1s to 1d.")
    assert desk.state.released == 0.0


def test_asked_again_at_a_word_and_said_where_nothing_was_to_be_done() -> None:
    desk = watched()
    assert said(desk, "gpu-resume").verdict.text == "Nothing keeps NVIDIA's driver from being asked."
    said(desk, "gpu-release")
    assert said(desk, "gpu-resume").verdict.text == "NVIDIA's driver is asked again."
    assert desk.state.released == 0.0


def test_a_card_is_forgotten_only_once_it_is_gone() -> None:
    desk = watched()
    refused = said(desk, "gpu-forget", "1").verdict
    assert refused.reason is Reason.BAD_PARAMETER
    assert "is in this machine" in refused.text
    desk.read(card(PRO), boards={BUS[PRO]: "NVIDIA"})
    assert desk.state.expected == 2
    assert said(desk, "gpu-forget", SMALL).verdict.text == f"GPU 1 ({SMALL}) is not expected any more."
    assert desk.state.expected == 1
    unknown = said(desk, "gpu-forget", "9").verdict
    assert unknown.text == f"No card '9' is expected here; expected are: 0 ({PRO})."


def test_a_drill_names_a_card_a_number_and_a_service_that_are_there() -> None:
    desk = watched()
    for target, params, words in (
        ("*", {"xid": "abc"}, "'abc' is no XID"),
        ("*", {"xid": "٣"}, "is no XID"),
        ("7", {"xid": "79"}, "There is no card '7'"),
        ("0", {"xid": "79", "for": "99h"}, "lasts from 1s to 1h"),
        ("0", {"xid": "79", "service": "nobody"}, "is not known, or stands for several"),
    ):
        verdict = said(desk, "gpu-drill", target, **params).verdict
        assert not verdict.ok
        assert words in verdict.text, verdict.text
    assert desk.state.drill == 0.0


def test_a_drill_is_on_for_two_minutes() -> None:
    desk = watched()
    decision = said(desk, "gpu-drill", "0", xid="79")
    assert decision.verdict.ok, decision.verdict.text
    assert "decided and told, and nothing is done" in decision.verdict.text
    assert desk.state.drill == desk.wall + 120
    desk.turn(seconds=121)
    assert desk.state.drill == 0.0


@pytest.mark.parametrize("verb", gpu_words.WORDS)
def test_none_of_it_comes_over_the_bus(verb: str) -> None:
    desk = watched()
    verdict = said(desk, verb, "0", door="bus", xid="79").verdict
    assert verdict.reason is Reason.NOT_ALLOWED
    assert (desk.state.released, desk.state.drill, desk.state.expected) == (0.0, 0.0, 2)


def test_each_is_a_command_of_the_control_socket() -> None:
    assert set(gpu_words.WORDS) <= set(OTHER)


def test_what_was_done_stands_in_the_journal() -> None:
    desk = watched()
    said(desk, "gpu-release")
    said(desk, "gpu-resume")
    kinds = [row.kind for row in desk.journal.rows()]
    assert kinds.index("gpu.released") < kinds.index("gpu.resumed")
