"""Who was started on a card that another service has for itself (`exclusive: gpu:0`). Pure.

From: the services as they are now, what they declare and ask for, and on which cards they were seen. To: series, in the
very turn of the intruder's start: it has loaded nothing then, and what it will take is missing to the other one minutes
later. Once the processes of the cards were read for a while, only who holds memory there counts: a monitor that asks
for all cards and takes nothing is no intruder.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from supervisor.facts import Container, Service
from supervisor.gpu.budget import GpuBudget
from supervisor.gpu.cards import Deck, asked, asks, believed, declared, own

SETTLE = 120.0
"""seconds from a start in which asking for a card counts as taking it"""


@dataclass(frozen=True, slots=True, order=True)
class Intruder:
    """A service on a card that is another one's."""

    service: str
    uuid: str
    beside: str
    """whose card it is"""


def intruders(
    services: Sequence[Service], budget: GpuBudget, now: float, started: Collection[str] = ()
) -> tuple[Intruder, ...]:
    """All of them, by service and card. `now` in unix seconds; `started`: ids of containers that were started by a plan
    of ours, which nobody calls an intruder before it takes anything."""
    deck = budget.deck
    running = [(one, one.container) for one in services if one.container is not None and one.container.alive]
    owners = [(one, box, own(one, deck)) for one, box in running if _has_its_own(one, budget)]
    found: set[Intruder] = set()
    for owner, there, cards in owners:
        for uuid in cards:
            for other, box in running:
                if other.id != owner.id and _intrudes(other, box, owner, there, uuid, budget, now, started):
                    found.add(Intruder(other.id, uuid, owner.id))
    return tuple(sorted(found))


def _has_its_own(service: Service, budget: GpuBudget) -> bool:
    return bool(service.needs.exclusive) and believed(service, budget.places.get(service.id, ()))


def _intrudes(
    other: Service,
    box: Container,
    owner: Service,
    there: Container,
    uuid: str,
    budget: GpuBudget,
    now: float,
    started: Collection[str],
) -> bool:
    deck = budget.deck
    if uuid in own(other, deck):  # both have it for themselves: who came later is the intruder
        return (box.started_at, other.id) > (there.started_at, owner.id)
    sums = budget.of(uuid)
    if other.owned.ok and uuid in declared(other, deck) and (sums is None or sums.free() >= 0):
        return False  # whoever declared the one beside the other means it so, as long as both fit
    places = budget.places.get(other.id, ())
    if uuid in places:
        return True
    if other.plan or box.id in started or not -SETTLE < now - box.started_at < SETTLE:
        return False
    return not places and _may_take(other, uuid, deck)


def _may_take(service: Service, uuid: str, deck: Deck) -> bool:
    """Whether it asks for that card, or for some card and does not say which."""
    named = asked(service, deck) or declared(service, deck)
    return uuid in named if named else asks(service)
