"""What is known of the cards of this boot without asking the driver: where they are, what it wants of them, and whether
it may be asked at all. Pure.

From: core/faults.py, which feeds it faults and readings. To: the same, and the journal's space `gpu` (key `faults`), so
that a restart of ours forgets neither a fault nor that asking would hang. Cards are known by their bus id here: that is
what the kernel's log names them by.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from supervisor import units
from supervisor.facts import GpuCard, XidSeen
from supervisor.gpu.episodes import message_words
from supervisor.gpu.xids import Table

NOWHERE = "00000000:00:00.0"
"""the bus id of a drill on a machine whose cards nobody knows"""
_MOST = 64
"""cards that are remembered"""


@dataclass(frozen=True, slots=True)
class Place:
    """The card at a bus id, as it was read last."""

    uuid: str
    index: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Why the driver is not asked any more."""

    xid: int
    kind: str
    at: float


@dataclass(frozen=True, slots=True)
class Known:
    """All of it. Only the places and the number outlive the boot."""

    boot: str = ""
    sequence: int = -1
    """the last message of the kernel's log that was decided on"""
    number: int = 0
    """of the last episode"""
    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    """bus id ('' where it is not known) -> why"""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """bus id -> what the driver wanted last, one of facts.RECOVERIES"""
    places: Mapping[str, Place] = field(default_factory=dict)
    last: Mapping[str, int] = field(default_factory=dict)
    """bus id -> its last XID"""

    def booted(self, boot: str) -> "Known":
        """What is left of it in another boot."""
        return self if boot == self.boot else Known(boot, number=self.number, places=self.places)

    def read(self, cards: Iterable[GpuCard]) -> "Known":
        """After a reading."""
        now = {card.bus_id: Place(card.uuid, card.index, card.name) for card in cards if card.bus_id and card.uuid}
        if all(self.places.get(bus) == place for bus, place in now.items()):
            return self
        moved = {place.uuid for place in now.values()}
        kept = {bus: place for bus, place in self.places.items() if place.uuid not in moved}
        return replace(self, places=dict([*kept.items(), *now.items()][-_MOST:]))

    def obeyed(self, fact: XidSeen, table: Table) -> "Known":
        """After a fault that is no drill: what the driver wants from now on, and whether it may be asked."""
        quiet, verdicts = dict(self.quiet), dict(self.verdicts)
        if table.quiets(fact.xid, fact.kind):
            quiet.setdefault(fact.bus_id, Quiet(fact.xid, fact.kind, fact.at))
        if fact.recovery:
            verdicts[fact.bus_id] = fact.recovery
        if fact.recovery == "none":
            quiet.pop(fact.bus_id, None)
            quiet.pop("", None)
        last = {**self.last, **({fact.bus_id: fact.xid} if fact.xid else {})}
        verdicts, last = dict(list(verdicts.items())[-_MOST:]), dict(list(last.items())[-_MOST:])
        return replace(self, quiet=quiet, verdicts=verdicts, last=last)

    # ------------------------------------------------------------ answers

    def placed(self, fact: XidSeen) -> XidSeen:
        """The fault with its card, as far as that can be told: with one card it is that."""
        bus = fact.bus_id or next((bus for bus, at in self.places.items() if fact.uuid and at.uuid == fact.uuid), "")
        if not bus and not fact.uuid and len(self.places) == 1:
            bus = next(iter(self.places))
        return replace(fact, bus_id=bus, uuid=fact.uuid or self.uuid(bus))

    def uuid(self, bus: str) -> str:
        """'' where it is not known."""
        return self.places[bus].uuid if bus in self.places else ""

    def recovery(self, uuid: str) -> str:
        """What the driver wanted of a card last, one of facts.RECOVERIES; '' where it never said."""
        bus = next((bus for bus, at in self.places.items() if uuid and at.uuid == uuid), "")
        return self.verdicts.get(bus, "") if bus else ""

    def labels(self, bus: str, uuid: str) -> dict[str, str]:
        """UUID and gpu of series about a card, as far as they are known."""
        place = self.places.get(bus)
        made = {"UUID": uuid or self.uuid(bus)}
        return made | ({"gpu": str(place.index)} if place is not None else {})

    def card(self, bus: str, uuid: str = "") -> str:
        """What people call a card."""
        place = self.places.get(bus)
        if place is not None:
            return f"GPU {place.index}" + (f" ({units.plain(place.name, 60)})" if place.name else "")
        named = bus if bus != NOWHERE else ""
        return f"The GPU {units.plain(uuid or named, 60)}" if uuid or named else "A GPU"

    def that(self, bus: str, uuid: str = "") -> str:
        """The same, within a sentence."""
        name = self.card(bus, uuid)
        return name if name.startswith("GPU ") else name[:1].lower() + name[1:]

    def find(self, word: str) -> str:
        """The bus id of the card that a person means: an index, a bus id, a UUID or its beginning; '' for the first.
        NOWHERE where none is known and none was named; '' where there is no such card."""
        if not word:
            return min(self.places, key=lambda bus: self.places[bus].index, default=NOWHERE)
        if word.isdecimal():
            found = [bus for bus, at in self.places.items() if at.index == int(word)]
        else:
            lower = word.lower()
            found = [bus for bus, at in self.places.items() if bus == lower or at.uuid.lower().startswith(lower)]
        return found[0] if len(found) == 1 else ""

    def cards(self) -> str:
        """All of them, for people; '' for none."""
        return ", ".join(f"{at.index} ({at.uuid})" for at in sorted(self.places.values(), key=lambda at: at.index))

    def why_quiet(self) -> str:
        """Why the driver is not asked any more, one sentence with what to do; '' while it may be."""
        for bus, why in self.quiet.items():
            what = f"XID {why.xid}" if why.xid else message_words(why.kind)
            of = f" of {self.that(bus)}" if bus else ""
            return (
                f"NVIDIA's driver is not asked any more since {what}{of}, because asking could hang. It is asked again "
                "after the next start of the machine, once it says that the card has recovered, or by "
                "`resurgam gpu resume`."
            )
        return ""
