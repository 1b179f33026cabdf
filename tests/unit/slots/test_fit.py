"""Whether a model has room: the best figure counts, what comes back counts, what nobody knows refuses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.facts import Free, Needs, SlotModel, WeightsLook
from supervisor.slots import fit
from supervisor.slots.fit import Need, Words

GB, GIB = 10**9, 1 << 30
DEEPSEEK = SlotModel("deepseek-mxfp4", "box.mxfp4")
NEEDS = Needs(memory=341 * GB, vram=(("0", 90 * GIB), ("1", 30 * GIB)))
CARDS = {"0": "GPU-a", "1": "GPU-b"}


def said(found: fit.Fit, needs: tuple[Need, ...]) -> list[str]:
    words = Words(fit.speaking(needs), {"GPU-a": "gpu:0", "GPU-b": "gpu:1"})
    return [f"{words.name(place.need.where)}: {fit.sentence(place, words)}" for place in found.places]


def test_the_drag_race_fits_once_the_oracle_has_left() -> None:
    needs = fit.declared(DEEPSEEK, NEEDS, lambda word: CARDS.get(word, ""))
    free = Free(62 * GB, {"GPU-a": 2 * GIB, "GPU-b": 1 * GIB})
    back = Free(298 * GB, {"GPU-a": 90 * GIB, "GPU-b": 30 * GIB})
    found = fit.fits(needs, free, back)
    assert found.ok is True
    assert said(found, needs)[0] == "memory: 341 GB needed, 298 GB come back, 62 GB free: fits, 19 GB to spare"
    beside = fit.fits(needs, free, careful=True)
    assert beside.ok is False
    assert said(beside, needs)[0] == "memory: 341 GB needed, 62 GB free: 279 GB are missing"


def test_one_card_that_is_too_small_refuses_it_all() -> None:
    needs = fit.declared(DEEPSEEK, NEEDS, lambda word: CARDS.get(word, ""))
    found = fit.fits(needs, Free(400 * GB, {"GPU-a": 95 * GIB, "GPU-b": 29 * GIB}))
    assert found.ok is False
    assert [place.ok for place in found.places] == [True, True, False]


@pytest.mark.parametrize(
    ("source", "free", "ok"),
    [
        (fit.DECLARED, 100.0, True),
        (fit.DECLARED, 99.9, False),
        (fit.MEASURED, 105.9, False),
        (fit.MEASURED, 106.0, True),
        (fit.DRY_RUN, 105.9, False),
        (fit.DRY_RUN, 106.1, True),
        (fit.ESTIMATE, 100.0, True),
        (fit.ESTIMATE, 50.0, None),
    ],
)
def test_what_was_seen_needs_a_margin_what_is_declared_is_the_most(source: str, free: float, ok: bool | None) -> None:
    needs = (Need(fit.MEMORY, 100.0 * GIB, source),)
    assert fit.fits(needs, Free(free * GIB)).ok is ok


@pytest.mark.parametrize("source", fit.SOURCES)
def test_beside_another_model_every_figure_needs_a_margin(source: str) -> None:
    needs = (Need(fit.MEMORY, 100.0 * GIB, source),)
    assert fit.fits(needs, Free(100.0 * GIB), careful=True).ok is False
    assert fit.fits(needs, Free(127.0 * GIB), careful=True).ok is True


def test_a_margin_is_never_more_than_a_gib() -> None:
    (place,) = fit.fits((Need(fit.MEMORY, 1000.0 * GIB, fit.MEASURED),), Free(2000.0 * GIB)).places
    assert place.asked == pytest.approx(1051 * GIB)
    tight = fit.fits((Need(fit.MEMORY, 100.0 * GIB, fit.MEASURED),), Free(103.0 * GIB))
    assert fit.sentence(tight.places[0], Words()) == (
        "100 GiB needed (measured), 103 GiB free: too tight, 3 GiB more must be free to be safe"
    )


def test_the_most_trusted_source_counts_for_memory_and_for_the_cards_apart() -> None:
    measured = fit.measured(300.0, {})
    dry = fit.measured(310.0, {"GPU-a": 80.0}, fit.DRY_RUN)
    declared = fit.declared(DEEPSEEK, Needs(memory=341, vram=(("0", 90),)), lambda word: CARDS.get(word, ""))
    guessed = fit.estimated(WeightsLook("gguf", bytes=999, cache=1.0), 10)
    assert fit.trusted(guessed, declared, dry, measured) == (
        Need("memory", 300.0, "measured"),
        Need("GPU-a", 80.0, "dry run"),
    )
    assert fit.trusted(declared, guessed) == declared, "a guess counts only where nothing else is known"
    assert fit.trusted(guessed) == (Need("anywhere", 1009.0, "estimate"),)
    assert fit.trusted() == ()


def test_a_guess_counts_memory_and_cards_together() -> None:
    needs = fit.estimated(WeightsLook("gguf", bytes=100 * GIB, cache=1.0 * GIB, context=4), 0)
    found = fit.fits(needs, Free(60.0 * GIB, {"GPU-a": 20.0 * GIB}), Free(10.0 * GIB, {"GPU-a": 5.0 * GIB}))
    assert found.ok is None, "a guess refuses nothing"
    assert fit.sentence(found.places[0], Words()) == (
        "104 GiB needed (an estimate), 15 GiB come back, 80 GiB free of memory and cards: 9 GiB may be missing"
    )
    assert fit.fits(needs, Free(60.0 * GIB, {"GPU-a": 45.0 * GIB})).ok is True
    assert fit.estimated(WeightsLook(), 4096) == ()


def test_what_may_choose_its_card_takes_the_one_with_most_room() -> None:
    needs = (Need(fit.ANY_CARD, 40.0 * GIB, fit.DECLARED),)
    free = Free(1.0, {"GPU-a": 10.0 * GIB, "GPU-b": 30.0 * GIB})
    assert fit.fits(needs, free, Free(0.0, {"GPU-a": 35.0 * GIB})).ok is True
    assert fit.fits(needs, free).ok is True, "larger than any of them, and together there is room"
    assert fit.fits((Need(fit.ANY_CARD, 41.0 * GIB, fit.DECLARED),), free).ok is False


def test_what_nobody_knows_is_said_and_refuses_nothing() -> None:
    needs = (Need(fit.MEMORY, 10.0, fit.DECLARED), Need("GPU-x", 10.0, fit.DECLARED), Need("any", 1.0, fit.DECLARED))
    found = fit.fits(needs, Free(0.0))
    assert found.ok is None
    assert all(place.ok is None for place in found.places)
    assert fit.sentence(found.places[1], Words()) == "10 B needed: nobody knows how much is free"
    assert fit.fits((), Free(100.0)).ok is None, "a model that says nothing of itself"


def test_a_place_that_is_full_is_not_an_unknown_one() -> None:
    found = fit.fits((Need("GPU-a", 10.0, fit.DECLARED),), Free(5.0, {"GPU-a": 0.0}))
    assert found.ok is False


def test_declared_by_card_sums_up_and_keeps_a_word_that_means_no_card() -> None:
    found = fit.declared(DEEPSEEK, Needs(vram=(("0", 10), ("GPU-a", 5), ("7", 3), ("", 2))), lambda word: {
        "0": "GPU-a", "GPU-a": "GPU-a"}.get(word, ""))  # fmt: skip
    assert [(one.where, one.bytes) for one in found] == [("GPU-a", 15.0), ("7", 3.0), ("any", 2.0)]


def test_a_model_inside_a_server_declares_its_own() -> None:
    inside = SlotModel("q", "ollama", inside=True, memory=5, vram=(("", 7),))
    found = fit.declared(inside, Needs(memory=999), lambda word: word)
    assert [(one.where, one.bytes) for one in found] == [("memory", 5.0), ("any", 7.0)]


_BYTES = st.integers(0, 1 << 42).map(float)
_NEEDS = st.lists(
    st.builds(Need, st.sampled_from(["memory", "GPU-a", "any", "anywhere"]), _BYTES, st.sampled_from(fit.SOURCES)),
    max_size=4,
)


@given(_NEEDS, _BYTES, _BYTES, _BYTES, _BYTES, st.booleans())
def test_more_room_never_makes_it_worse_and_less_care_neither(
    needs: list[Need], memory: float, card: float, back: float, more: float, careful: bool
) -> None:
    worth = {False: 0, None: 1, True: 2}
    free, gives = Free(memory + 1, {"GPU-a": card}), Free(back, {"GPU-a": back})
    roomier = Free(memory + 1 + more, {"GPU-a": card + more})
    at_first = fit.fits(needs, free, gives, careful=careful)
    assert worth[fit.fits(needs, roomier, gives, careful=careful).ok] >= worth[at_first.ok]
    assert worth[fit.fits(needs, free, gives).ok] >= worth[fit.fits(needs, free, gives, careful=True).ok]
    for place in at_first.places:
        assert place.ok is not True or place.need.bytes <= place.free + place.back
        assert fit.sentence(place, Words())
