"""The cards as people are shown them."""

from typing import Any

import pytest

from supervisor.facts import RECOVERIES, Gpu, GpuReading
from supervisor.gpu import state
from supervisor.gpu.budget import GpuBudget, sums
from supervisor.gpu.expected import Expected
from supervisor.gpu.measured import measured
from tests.support.cards import BUS, DECK, GIB, PRO, SMALL, card, ident, process, reading, service, vram

ORACLE = service("oracle", "0", needs=vram("0:90"))


def shown(told: GpuReading | None, verdicts: dict[str, str] | None = None, *before: GpuReading) -> tuple[Gpu, ...]:
    known = Expected({})
    known.saw(reading(card(PRO), card(SMALL)))
    budget = GpuBudget(DECK)
    if told is not None:
        known.saw(told)
        uuids = {one.index: known.match(one) for one in told.cards}
        budget = sums((ORACLE,), measured(told, uuids, {ident("oracle"): "oracle"}), 0, DECK)
    return state.cards_of(told, known, budget, verdicts or {})


def test_who_uses_it_what_is_planned_what_is_left_over() -> None:
    told = reading(
        card(PRO, process("oracle", 80), process("Xorg", 1, "host", 812), process("vllm", 2, "orphan"), loose=1),
        card(SMALL),
    )
    big, small = shown(told)
    assert (big.up, big.present, big.planned, big.headroom) == (True, True, 90 * GIB, 6 * GIB)
    assert big.users == (
        ("oracle", 80 * GIB),
        ("vllm (pid 1004, left by a removed container)", 2 * GIB),
        ("Xorg (pid 812)", GIB),
    ), "a rule sends people here for the number of what they should end"
    assert (big.orphaned, big.unattributed, big.text) == (2 * GIB, GIB, "")
    assert (small.index, small.planned, small.free) == (1, 0, 32 * GIB)


def test_a_card_that_is_gone_comes_last_and_says_what_to_do() -> None:
    there, gone = shown(reading(card(SMALL)))
    assert there.uuid == SMALL
    assert (gone.uuid, gone.present, gone.up, gone.index) == (PRO, False, False, 0)
    assert "GPU 0 is gone" in gone.text
    assert f"resurgam gpu forget {PRO}" in gone.text


def test_a_broken_card_is_there_and_not_up() -> None:
    broken = card("", index=0, bus_id=BUS[PRO], total=0, free=0, error="GPU is lost", code=15)
    big, _small = shown(reading(broken, card(SMALL)), {PRO: "reboot"})
    assert (big.uuid, big.up, big.present) == (PRO, False, True)
    assert (
        big.text == "The driver cannot read it (GPU is lost). Its driver says that it needs a restart of the machine."
    )


def test_before_any_reading_the_cards_are_known_and_nothing_is_said_of_them() -> None:
    assert [(one.uuid, one.up, one.present, one.text) for one in shown(None)] == [
        (PRO, False, True, ""),
        (SMALL, False, True, ""),
    ]


def test_what_cannot_be_asked_keeps_the_verdict() -> None:
    big, _small = shown(GpuReading(trouble="stopped"), {PRO: "reset"})
    assert big.recovery == "reset"
    assert "gpu-reset gpu:0" in big.text


@pytest.mark.parametrize("verdict", RECOVERIES)
def test_each_verdict_says_what_is_needed(verdict: str) -> None:
    said = state.needs(3, verdict)
    assert bool(said) == (verdict != "none")
    assert "{" not in said


def test_what_the_driver_answers_now_goes_before_what_it_said() -> None:
    assert state.verdict_of(card(PRO, recovery="none"), "reset") == "none"
    assert state.verdict_of(card(PRO), "reset") == "reset"
    assert state.verdict_of(card(PRO, recovery="none", error="lost"), "reset") == "reset"
    assert state.verdict_of(None, "reboot") == "reboot"


def test_more_planned_than_there_is_is_said() -> None:
    one: Any = service("huge", "0", needs=vram("0:120"))
    known = Expected({})
    known.saw(reading(card(PRO), card(SMALL)))
    told = reading(card(PRO), card(SMALL))
    budget = sums((one,), measured(told, {0: PRO, 1: SMALL}, {}), 0, DECK)
    big, _small = state.cards_of(told, known, budget, {})
    assert big.headroom < 0
    assert "More is planned on it than it has (huge)" in big.text


def test_how_many_there_are_to_be() -> None:
    known = Expected({})
    known.saw(reading(card(PRO), card(SMALL)))
    assert state.expected_count(known, None) == 2
    assert state.expected_count(known, 4) == 4
