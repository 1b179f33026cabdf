"""Which cards a word means, and who uses which."""

import pytest

from supervisor.gpu.cards import Card, Deck, asked, asks, declared, own, uses
from tests.support.cards import BUS, DECK, PRO, SMALL, service, vram


@pytest.mark.parametrize(
    ("word", "want"),
    [
        ("0", PRO),
        ("gpu:1", SMALL),
        (PRO, PRO),
        (f"gpu:{PRO}", PRO),
        (PRO.lower(), PRO),
        ("GPU-aaaa", PRO),
        ("gpu:GPU-bbbbbbbb", SMALL),
        (BUS[SMALL], SMALL),
        ("nvidia.com/gpu=1", SMALL),
        (f"nvidia.com/gpu={PRO}", PRO),
        ("/dev/nvidia0", PRO),
        ("nvidia.com/gpu=0:1", PRO),
        ("0:2", PRO),
        ("all", ""),
        ("2", ""),
        ("GPU-", ""),
        ("G", ""),
        ("", ""),
        ("gpu:", ""),
        ("/dev/nvidiactl", ""),
        ("²", ""),
        ("MIG-aaaaaaaa", ""),
    ],
)
def test_a_word_means_one_card_or_none(word: str, want: str) -> None:
    assert DECK.uuid_of(word) == want


def test_the_beginning_of_two_is_none() -> None:
    deck = Deck((Card("GPU-aaaa-1", 0), Card("GPU-aaaa-2", 1)))
    assert deck.uuid_of("GPU-aaaa") == ""
    assert deck.uuid_of("GPU-aaaa-2") == "GPU-aaaa-2"


def test_all_means_all_and_each_once() -> None:
    assert DECK.named(("1", "all", PRO)) == (SMALL, PRO)
    assert DECK.named(("nvidia.com/gpu=all",)) == (PRO, SMALL)


def test_exclusive_words_of_one_card_meet() -> None:
    zero, uuid = DECK.words(("gpu:0", "disk")), DECK.words((f"gpu:{PRO}",))
    assert zero == ("gpu:0", f"gpu:{PRO}", "disk")
    assert set(zero) & set(uuid) == {f"gpu:{PRO}"}
    assert DECK.words(("gpu:7", "0")) == ("gpu:7", "0"), "a word is a card only with gpu: before it"


def test_services_are_spelt_with_their_cards() -> None:
    plain, named = service("a"), service("b", needs=vram("", "gpu:1"))
    spelt = DECK.spelt((plain, named))
    assert spelt[0] is plain
    assert spelt[1].needs.exclusive == ("gpu:1", f"gpu:{SMALL}")
    only = (plain,)
    assert DECK.spelt(only) is only


def test_what_a_service_names_asks_for_and_has_for_itself() -> None:
    one = service("oracle", "all", needs=vram("0:90,:1", "gpu:1", "loud"))
    assert declared(one, DECK) == (PRO, SMALL)
    assert own(one, DECK) == (SMALL,)
    assert asked(one, DECK) == (PRO, SMALL)


def test_who_asks_for_a_gpu() -> None:
    assert asks(service("x"))
    assert asks(service("x", gpu=False, needs=vram(":1")))
    assert asks(service("x", gpu=False, needs=vram("", "gpu:0")))
    assert not asks(service("x", gpu=False, needs=vram("", "disk")))


def test_who_uses_a_card() -> None:
    assert uses(service("x", "0"), PRO, DECK)
    assert not uses(service("x", "0"), SMALL, DECK)
    assert uses(service("x", "0"), SMALL, DECK, (SMALL,)), "it has a process there"
    assert uses(service("x"), SMALL, DECK), "nobody knows which one it uses"
    assert not uses(service("x"), SMALL, DECK, (PRO,)), "it was seen on the other one"
    assert not uses(service("x", gpu=False), PRO, DECK)
