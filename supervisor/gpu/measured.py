"""Who holds how much of each card, by a reading: services, processes that are none's, what is left over. Pure.

From: facts.GpuReading (whose newest list of processes is in every reading), and whose container is whose. To: the
budget, the intruders, the losses and GpuState.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.facts import GpuCard, GpuReading
from supervisor.units import plain

NAMED = 16
"""holders that are no service's and are named; the rest are one"""


@dataclass(frozen=True, slots=True)
class Held:
    """One card's memory, as it was read. Bytes."""

    uuid: str
    index: int
    name: str = ""
    total: int = 0
    free: int = 0
    reserved: int = 0
    services: Mapping[str, int] = field(default_factory=dict)
    """service id -> what its processes hold; 0 for one that is there and of which the driver does not say how much"""
    others: tuple[tuple[str, int], ...] = ()
    """(name, bytes) of processes that are no service's, largest first"""
    orphaned: int = 0
    """held by processes of containers that are gone, or by processes that are"""
    orphans: tuple[tuple[str, int], ...] = ()
    """(name, bytes) of those, largest first"""
    unattributed: int = 0
    """in use, and the driver names nobody"""
    blind: bool = False
    """the driver does not say who holds how much, so nothing is said about what is left over"""

    @property
    def used(self) -> int:
        """What is in use, beside what the driver keeps for itself."""
        return max(0, self.total - self.reserved - self.free)


def measured(reading: GpuReading, uuids: Mapping[int, str], service_of: Mapping[str, str]) -> tuple[Held, ...]:
    """The cards whose memory could be read. `uuids`: index -> UUID; `service_of`: container id -> service id."""
    return tuple(
        _held(card, uuids[card.index], service_of, blind=reading.namespaced)
        for card in reading.cards
        if card.total > 0 and uuids.get(card.index)
    )


def _held(card: GpuCard, uuid: str, service_of: Mapping[str, str], *, blind: bool) -> Held:
    services: dict[str, int] = {}
    others: dict[str, int] = {}
    orphans: dict[str, int] = {}
    orphaned = known = 0
    for user in card.users:
        known += user.used
        service = service_of.get(user.container_id, "") if user.kind == "container" else ""
        if service:
            services[service] = services.get(service, 0) + user.used
        elif user.kind in ("orphan", "gone"):
            orphaned += user.used
            named = plain(user.name, 64) or "a process"
            left = f"{named} (pid {user.pid}, left by a removed container)"
            orphans[left if user.kind == "orphan" else f"a process that is gone (pid {user.pid})"] = user.used
        else:
            name = f"{plain(user.name, 64) or 'a process'} (pid {user.pid})"
            others[name] = others.get(name, 0) + user.used
    blind = blind or any(user.used == 0 and user.kind != "gone" for user in card.users)
    held = max(0, card.most - card.free)
    return Held(
        uuid,
        card.index,
        plain(card.name, 128),
        card.total,
        card.free,
        card.reserved,
        services,
        _largest(others),
        orphaned,
        _largest(orphans),
        0 if blind else max(0, held - known),
        blind,
    )


def _largest(found: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found.items(), key=lambda one: (-one[1], one[0]))[:NAMED])
