"""Which cards a word means, and which ones a service uses or could use. Pure.

From: the cards that belong to this box (expected.py), and what services declare. To: the budget, the intruders, locks,
vetoes and targets. A card is known by its UUID: its index changes when another one is lost. So `0` is the card that had
this index when the box was last seen whole.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from supervisor.facts import Gpu, GpuCard, Service

WORD = "gpu:"
"""what an exclusive word, a target and a subject about a card begin with"""
_CDI = re.compile(r"[^=/]+/gpu=(.+)")
_DEVICE = re.compile(r"/dev/nvidia(\d{1,4})")
_SHORTEST = 8
"""characters of a UUID's beginning that are enough, `GPU-` among them"""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that belongs to this box."""

    uuid: str
    index: int
    """as it was when the box was last seen whole"""
    bus_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Deck:
    """The cards that belong to this box, by index."""

    cards: tuple[Card, ...] = ()

    def uuid_of(self, word: str) -> str:
        """The UUID of the one card that a word means: `0`, `gpu:0`, a UUID or the beginning of one, a bus id, a device
        file, a CDI name. '' where it means none, or several."""
        found = self.named((word,))
        return found[0] if len(found) == 1 else ""

    def named(self, words: Iterable[str]) -> tuple[str, ...]:
        """The UUIDs of all cards that the words mean, each once, in the order of the words."""
        found: dict[str, None] = {}
        for word in words:
            found.update(dict.fromkeys(self._one(_bare(word))))
        return tuple(found)

    def words(self, exclusive: Iterable[str]) -> tuple[str, ...]:
        """Exclusive words, with the UUID behind each that means a card: who writes `gpu:0` and who writes its UUID mean
        the same."""
        found: dict[str, None] = {}
        for word in exclusive:
            found[word] = None
            uuid = self.uuid_of(word) if word.startswith(WORD) else ""
            if uuid:
                found[f"{WORD}{uuid}"] = None
        return tuple(found)

    def spelt(self, services: Sequence[Service]) -> Sequence[Service]:
        """The services, each with the UUIDs behind its exclusive words."""
        if not any(word.startswith(WORD) for one in services for word in one.needs.exclusive):
            return services
        return tuple(
            replace(one, needs=replace(one.needs, exclusive=self.words(one.needs.exclusive)))
            if one.needs.exclusive
            else one
            for one in services
        )

    def find(self, uuid: str) -> Card | None:
        """The card of exactly this UUID."""
        return next((card for card in self.cards if card.uuid == uuid), None)

    def _one(self, word: str) -> tuple[str, ...]:
        if word.lower() == "all":
            return tuple(card.uuid for card in self.cards)
        if word.isdecimal() and word.isascii():
            return tuple(card.uuid for card in self.cards if card.index == int(word))[:1]
        low = word.lower()
        exact = tuple(card.uuid for card in self.cards if low in (card.uuid.lower(), card.bus_id))
        if exact:
            return exact[:1]
        begins = tuple(card.uuid for card in self.cards if card.uuid.lower().startswith(low))
        return begins if len(begins) == 1 and len(low) >= _SHORTEST else ()


def _bare(word: str) -> str:
    """What is left of a word that means a card: an index, a UUID, a bus id, or `all`."""
    word = word.strip().removeprefix(WORD)
    found = _CDI.fullmatch(word) or _DEVICE.fullmatch(word)
    word = found[1] if found else word
    index, colon, slice_of = word.partition(":")  # 0:1 is a slice of card 0
    return index if colon and index.isdecimal() and slice_of.isdecimal() and len(slice_of) < 4 else word


def deck_of(shown: Iterable[Gpu | GpuCard]) -> Deck:
    """The cards that people are shown (facts.GpuState), or that the driver told of (facts.GpuReading): what a word of
    theirs can mean."""
    return Deck(tuple(Card(one.uuid, one.index, one.bus_id, one.name) for one in shown if one.uuid))


# ------------------------------------------------------------ what a service means


def asks(service: Service) -> bool:
    """Whether it is to use a GPU at all, whichever."""
    container = service.container
    by_word = any(word.startswith(WORD) for word in service.needs.exclusive)
    return bool(service.needs.vram) or by_word or (container is not None and container.gpu)


def believed(service: Service, places: Iterable[str]) -> bool:
    """Whether what it declares about cards counts: it is ours, its container asks for some, or it was seen on one
    (`places`). A label that anybody wrote onto a container without a card keeps nobody away."""
    container = service.container
    return service.owned.ok or (container is not None and container.gpu) or any(True for _card in places)


def declared(service: Service, deck: Deck) -> tuple[str, ...]:
    """The cards that its `vram` and `exclusive` name."""
    named = [gpu for gpu, _size in service.needs.vram if gpu]
    return deck.named((*named, *(word for word in service.needs.exclusive if word.startswith(WORD))))


def asked(service: Service, deck: Deck) -> tuple[str, ...]:
    """The cards that its container asks the engine for; empty where it asks for none, or does not say which."""
    container = service.container
    return deck.named(container.gpus) if container is not None else ()


def own(service: Service, deck: Deck) -> tuple[str, ...]:
    """The cards that it has for itself (`exclusive: gpu:0`)."""
    return deck.named(word for word in service.needs.exclusive if word.startswith(WORD))


def uses(service: Service, uuid: str, deck: Deck, measured: Iterable[str] = ()) -> bool:
    """Whether it uses this card, as far as that can be told: it names the card, its container asks for it, or has a
    process on it (`measured`: the cards it has). One that asks for some card, and nobody knows which, is taken to use
    each."""
    there = tuple(measured)
    named = (*declared(service, deck), *asked(service, deck))
    if uuid in named or uuid in there:
        return True
    return asks(service) and not named and not there
