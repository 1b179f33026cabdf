"""The cards that belong to this box: learned, missed, forgotten."""

from typing import Any

from supervisor.facts import GpuReading, Json
from supervisor.gpu.expected import PREFIX, Expected
from tests.support.cards import BUS, PRO, SMALL, card, reading


def known(*cards: Any) -> tuple[Expected, dict[str, Json]]:
    found = Expected({})
    found.saw(reading(*cards))
    return found, {key: value for key, value in found.take_puts().items() if value is not None}


def test_a_card_that_was_seen_is_expected_after_a_restart() -> None:
    found, kept = known(card(PRO), card(SMALL))
    assert set(kept) == {PREFIX + PRO, PREFIX + SMALL}
    assert found.gone == frozenset()
    again = Expected({**kept, "released": {"until": 5.0}})
    assert again.gone is None, "before the first reading nobody can say"
    assert again.saw(reading(card(PRO)))
    assert again.gone == {SMALL}
    assert again.deck == found.deck
    assert again.take_puts() == {}


def test_what_is_kept_is_kept_once() -> None:
    found, _kept = known(card(PRO))
    assert not found.saw(reading(card(PRO)))
    assert found.take_puts() == {}


def test_an_index_means_the_card_that_had_it_when_the_box_was_whole() -> None:
    found, kept = known(card(PRO), card(SMALL))
    found.saw(reading(card(SMALL, index=0)))
    assert found.deck.uuid_of("0") == PRO
    assert found.deck.uuid_of("1") == SMALL
    again = Expected(kept)
    again.saw(reading(card(SMALL, index=0)))
    assert again.deck.uuid_of("0") == PRO
    again.saw(reading(card(SMALL, index=0), card(PRO, index=1)))
    assert again.deck.uuid_of("0") == SMALL, "the box is whole again, and they changed places"


def test_what_cannot_be_asked_is_not_gone() -> None:
    found, _kept = known(card(PRO))
    for trouble in ("hung", "mismatch", "stopped", "no_driver", "asleep", "error"):
        found.saw(GpuReading(trouble=trouble, boards={BUS[PRO]: "x"}))
        assert found.gone is None, trouble
    found.saw(reading(card(PRO), trouble="mismatch"))
    assert found.gone == frozenset(), "who is answered by the old library knows the cards"
    found.saw(GpuReading(trouble="no_gpu"))
    assert found.gone == {PRO}


def test_a_card_that_is_too_broken_to_tell_its_name_is_known_by_its_place() -> None:
    found, _kept = known(card(PRO), card(SMALL))
    broken = card("", index=1, bus_id=BUS[SMALL], total=0, free=0, error="GPU is lost", code=15)
    found.saw(reading(card(PRO), broken))
    assert found.match(broken) == SMALL
    assert found.gone == frozenset(), "it is still in the machine"
    found.saw(reading(card(PRO), broken, boards={BUS[PRO]: "x"}))
    assert found.gone == {SMALL}, "the machine's own list has it no more"


def test_a_stranger_without_a_name_is_nobody() -> None:
    found, _kept = known(card(PRO))
    assert found.match(card("", bus_id="00000000:99:00.0")) == ""
    assert found.match(card("", bus_id="")) == ""


def test_a_forgotten_card_is_not_missed() -> None:
    found, _kept = known(card(PRO), card(SMALL))
    found.saw(reading(card(PRO)))
    found.forget(SMALL)
    assert found.gone == frozenset()
    assert found.take_puts() == {PREFIX + SMALL: None}
    found.forget("GPU-never")
    assert found.take_puts() == {}


def test_no_reading_makes_it_remember_without_end() -> None:
    found = Expected({})
    found.saw(reading(*(card(f"GPU-{n:08d}", index=n, bus_id=f"b{n}") for n in range(200)), card("x" * 500)))
    assert len(found.deck.cards) == 64


def test_what_was_kept_by_someone_else_does_not_stop_it() -> None:
    found = Expected({PREFIX + PRO: {"index": "zero", "bus_id": 5}})
    assert found.deck.cards[0].index == 0
