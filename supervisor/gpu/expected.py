"""The cards that belong to this box: every one that was ever seen here, until a person says that it was taken out.
Pure.

From: each GpuReading, and the journal's space `gpu` (`card:<uuid>`), so that a card that is lost at a restart of the
machine is missed all the same. To: cards.Deck, and the puts that keep it.
"""

from collections.abc import Mapping
from typing import Any

from supervisor import units
from supervisor.facts import GpuCard, GpuReading, Json
from supervisor.gpu.cards import Card, Deck

PREFIX = "card:"
MOST = 64
"""cards that are remembered"""


class Expected:
    """Which cards are expected here, and which of them are gone."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `gpu`."""
        known = [_known(key.removeprefix(PREFIX), value) for key, value in kept.items() if key.startswith(PREFIX)]
        self._known = {card.uuid: card for card in known}
        self._puts: dict[str, Json | None] = {}
        self._gone: frozenset[str] | None = None
        self._deck = self._made()

    @property
    def deck(self) -> Deck:
        """The cards, by index; the same value as long as nothing changed."""
        return self._deck

    @property
    def gone(self) -> frozenset[str] | None:
        """UUIDs of those that are gone; None where nobody can say now."""
        return self._gone

    def saw(self, reading: GpuReading) -> bool:
        """Take in a reading; whether the cards that belong to this box, or those that are gone, changed."""
        before = self._deck, self._gone
        there = self._there(reading)
        if there is not None:
            self._learn(reading.cards, whole=all(uuid in there for uuid in self._known))
        self._gone = None if there is None else frozenset(uuid for uuid in self._known if uuid not in there)
        return (self._deck, self._gone) != before

    def match(self, card: GpuCard) -> str:
        """The UUID of a card, also of one that is too broken to tell it; '' where it is a stranger."""
        if card.uuid:
            return card.uuid
        return next((known.uuid for known in self._deck.cards if card.bus_id and known.bus_id == card.bus_id), "")

    def forget(self, uuid: str) -> None:
        """It was taken out."""
        if self._known.pop(uuid, None) is not None:
            self._puts[f"{PREFIX}{uuid}"] = None
            self._gone = self._gone - {uuid} if self._gone is not None else None
            self._deck = self._made()

    def take_puts(self) -> dict[str, Json | None]:
        """What the journal must keep since the last call, by key."""
        puts, self._puts = self._puts, {}
        return puts

    # ------------------------------------------------------------ inside

    def _there(self, reading: GpuReading) -> set[str] | None:
        """UUIDs of the cards that are in this machine, as far as they are known; None where nobody can say. A card
        that the driver lost is still in the machine's own list of devices, or it is not: that one tells."""
        if not answered(reading):
            return None
        listed = {self.match(card) for card in reading.cards} - {""}
        lost = {uuid for uuid in listed if reading.boards and self._bus(uuid) and self._bus(uuid) not in reading.boards}
        return listed - lost

    def _bus(self, uuid: str) -> str:
        known = self._known.get(uuid)
        return known.bus_id if known is not None else ""

    def _learn(self, cards: tuple[GpuCard, ...], *, whole: bool) -> None:
        """Remember new cards. The index of an old one is taken over only while none is missing."""
        changed = False
        for card in cards:
            if not card.uuid or len(card.uuid) > 96 or (card.uuid not in self._known and len(self._known) >= MOST):
                continue
            old = self._known.get(card.uuid)
            index = card.index if whole or old is None else old.index
            made = Card(card.uuid, index, card.bus_id, units.plain(card.name, 128))
            if card.error and old is not None:
                made = Card(card.uuid, index, card.bus_id or old.bus_id, made.name or old.name)
            if made != old:
                self._known[card.uuid], changed = made, True
                self._puts[f"{PREFIX}{card.uuid}"] = {"index": made.index, "bus_id": made.bus_id, "name": made.name}
        if changed:
            self._deck = self._made()

    def _made(self) -> Deck:
        return Deck(tuple(sorted(self._known.values(), key=lambda card: (card.index, card.uuid))))


def answered(reading: GpuReading) -> bool:
    """Whether the driver told which cards there are: also that there is none, and also where what starts now would meet
    another library."""
    return bool(reading.cards) or reading.trouble in ("", "no_gpu")


def _known(uuid: str, value: Mapping[str, Any]) -> Card:
    index = value.get("index", 0)
    return Card(uuid, index if isinstance(index, int) else 0, str(value.get("bus_id", "")), str(value.get("name", "")))
