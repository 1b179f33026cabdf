"""The core's hand on gpu/: takes each reading of the cards, keeps what must be remembered of them, and says how they
stand.

From: Readings of the collector `gpu`, XidSeen (handed on to faults.py), and the registry's services. To: samples, in
the very transaction of the reading they were made from; GpuState for the snapshot; GpuBudget for the guard; and the
journal's space `gpu` (`card:<uuid>`, `held:<service>`, `released`; faults.py keeps its own there). Between two readings
the sums follow the services: who was stopped counts no more at once.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from supervisor.config.watching import GpuSettings
from supervisor.core.faults import Faults
from supervisor.facts import Container, GpuReading, GpuState, Json, MemorySource, Readings, Sample, Service, XidSeen
from supervisor.gpu import state as standing
from supervisor.gpu.budget import GpuBudget, sums
from supervisor.gpu.cards import WORD, asks, uses
from supervisor.gpu.expected import Expected, answered
from supervisor.gpu.intruders import intruders
from supervisor.gpu.losses import Losses
from supervisor.gpu.measured import Held, measured
from supervisor.gpu.series import About, Series
from supervisor.incidents.holding import unloaded
from supervisor.incidents.world import Find, Spend
from supervisor.services.names import series_labels
from supervisor.services.ours import carried_by

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

GPU = "gpu"
"""the collector that reads the cards, and the journal's space"""
OLD = 120.0
"""seconds after which what was measured says nothing about now"""
_RELEASED = "released"


class GpuDesk:
    """How the cards stand. One for the life of a process; what is expected, and what was let go of, outlives it."""

    def __init__(self, settings: GpuSettings, kept: Mapping[str, Json], machine: str = "") -> None:
        """`kept`: the journal's space `gpu`. `machine`: what tells one boot of this machine from the next."""
        self._settings = settings
        self.faults = Faults(kept, machine)
        self._expected, self._losses, self._series = Expected(kept), Losses(kept), Series()
        until = kept.get(_RELEASED, {}).get("until", 0.0)
        self._released = float(until) if isinstance(until, int | float) else 0.0
        self._reading: GpuReading | None = None
        self.sources: tuple[MemorySource, ...] = ()
        """how faults are heard"""
        self._held: tuple[Held, ...] = ()
        self._held_at = float("-inf")
        """when they were measured (monotonic)"""
        self._success = 0.0
        """when the driver answered last, unix seconds"""
        self._budget: GpuBudget | None = None
        self._of: tuple[object, ...] = ()
        """what the budget was made of"""
        self._asking: tuple[Sequence[Service], tuple[Service, ...]] = ((), ())
        """the services that were looked through, and those of them that are to use a GPU"""
        self._started: frozenset[str] = frozenset()
        """ids of containers that a plan of ours was at work on while they ran"""
        self._looked: tuple[Sequence[Service] | None, tuple[Held, ...]] = (None, ())
        """what was last looked through for intruders"""

    # ------------------------------------------------------------ what comes in

    def read(self, core: "Decider", fact: Readings, at: float) -> tuple[Sample, ...]:
        """Take one reading of the cards; the samples that follow from it, for the same transaction. `at`: its unix
        seconds, as stamped. What must be kept goes into the turn's batch."""
        reading = fact.gpu
        if reading is None:
            return ()
        core.stale_snapshot = True
        self.sources = fact.sources
        before = self._stand(core)
        self._reading = reading
        self._expected.saw(reading)
        services = core.registry.services()
        if answered(reading):
            self._success = at
            uuids = {card.index: self._expected.match(card) for card in reading.cards}
            self._held = measured(reading, uuids, _carriers(core, services))
            self._held_at = fact.mono
            if core.standing.swept and not reading.namespaced:
                spent = core.admission.spent(core.now)
                away = [one.id for one in services if _away(core, one, spent)]
                self._losses.saw(services, self._held, core.mono, away)
        self._budget = None
        self._keep(core)
        found = self.faults.read(core, reading)
        if self._stand(core) != before:
            core.reviewed_later()  # what was refused for want of room, or by a veto, is looked at again
        state = self.state(core)
        if state is None:
            return found
        return (*found, *self._series.samples(state, reading, self._abouts(core, reading, services), self._success))

    def heard(self, core: "Decider", fact: XidSeen) -> None:
        """A fault was told."""
        self.faults.take(core, fact)

    def tick(self, core: "Decider") -> None:
        """What time alone brings about."""
        if self._released and self._released <= core.now:
            self.resume(core, only_released=True)
        self.faults.tick(core)

    def due(self) -> float | None:
        """Unix seconds of the next tick that is needed."""
        found = self.faults.due()
        return min(self._released, found or self._released) if self._released else found

    def news(self, core: "Decider", full: bool) -> tuple[Sample, ...]:
        """What comes with events: intruders, in the very turn of their start. All with `full`, else what changed."""
        if not self._expected.deck.cards:
            return ()
        services = core.registry.services()
        if not full and services is self._looked[0] and self._held is self._looked[1]:
            return ()
        self._looked = services, self._held
        asking = self._of_gpu(services)
        boxes = {one.container.id: one.plan for one in asking if one.container is not None}
        self._started = frozenset(box for box, plan in boxes.items() if plan or box in self._started)
        budget = self.budget(core) or GpuBudget(self._expected.deck)
        found = intruders(services, budget, core.now, self._started)
        about = {one.id: _labels(one.container) for one in services if one.container is not None} if found else {}
        return self._series.intruders(found, about, self._indices(), full=full)

    # ------------------------------------------------------------ what is known

    def state(self, core: "Decider") -> GpuState | None:
        """How the cards stand now; None on a machine without any, where nothing asks for one."""
        reading, quiet, open_ = self._reading, self.faults.quiet, self.faults.open()
        known = self._expected.deck.cards
        there = bool(known or quiet or open_ or self._released or self.faults.drill)
        there = there or (reading is not None and bool(reading.cards or reading.boards))
        if not there and not self._of_gpu(core.registry.services()):
            return None
        budget = self.budget(core) or GpuBudget(self._expected.deck)
        return GpuState(
            cards=standing.cards_of(reading, self._expected, budget, self._verdicts()),
            expected=standing.expected_count(self._expected, self._settings.expected),
            trouble=reading.trouble if reading is not None else "",
            text=reading.text if reading is not None else "",
            quiet=quiet,
            released=self._released,
            driver=reading.driver if reading is not None else "",
            episodes=open_,
            drill=self.faults.drill,
        )

    def budget(self, core: "Decider") -> GpuBudget | None:
        """The budget of the cards' memory, with the services as they are now; which cards there are is known also
        without any reading that counts. None on a machine that never had one."""
        deck = self._expected.deck
        if not deck.cards:
            return None
        services, fresh = core.registry.services(), core.mono - self._held_at <= OLD
        made_of = (services, self._held, deck, fresh)
        if self._budget is None or any(one is not two for one, two in zip(made_of, self._of, strict=True)):
            self._of = made_of
            self._budget = sums(services, self._held if fresh else (), self._settings.reserve, deck)
        return self._budget

    def cards_of(self, core: "Decider", service: Service) -> tuple[str, ...]:
        """UUIDs of the cards that a service uses, as far as that can be told (gpu/cards.py)."""
        deck, budget = self._expected.deck, self.budget(core)
        places = budget.places.get(service.id, ()) if budget is not None else ()
        return tuple(card.uuid for card in deck.cards if uses(service, card.uuid, deck, places))

    def finder(self, find: Find) -> Find:
        """The same `find`, which also knows cards: `gpu:0` and a UUID's beginning stand for `gpu:<uuid>`."""

        def found(word: str | Mapping[str, str]) -> tuple[str, ...]:
            if not isinstance(word, str) or not word.startswith(WORD):
                return find(word)
            uuid = self._expected.deck.uuid_of(word)
            return (f"{WORD}{uuid}",) if uuid else ()

        return found

    def spelt(self, services: Sequence[Service]) -> Sequence[Service]:
        """The services, each with the UUIDs behind its exclusive words: who writes `gpu:0` and who writes its UUID
        share one."""
        return self._expected.deck.spelt(services)

    # ------------------------------------------------------------ a person's word (core/gpu_words.py)

    def release(self, core: "Decider", until: float) -> None:
        """Let go of the driver until then (unix seconds): the watch obeys the snapshot."""
        self._released = until
        core.batch.put(GPU, _RELEASED, {"until": until})
        core.stale_snapshot = True

    def resume(self, core: "Decider", *, only_released: bool = False) -> None:
        """Ask the driver again, whatever it was let go of for. `only_released`: the time is over; a fault after which
        asking hangs is another matter."""
        if self._released:
            self._released = 0.0
            core.batch.put(GPU, _RELEASED, None)
        if not only_released:
            self.faults.resume(core)
        core.reviewed_later()

    def forget(self, core: "Decider", word: str) -> str:
        """A card that is gone is expected no more. The sentence for whoever asked; ValueError says why not."""
        deck = self._expected.deck
        uuid = deck.uuid_of(word)
        known = deck.find(uuid)
        if known is None:
            names = ", ".join(f"{card.index} ({card.uuid})" for card in deck.cards) or "none"
            raise ValueError(f"no card {word[:100]!r} is expected here; expected are: {names}")
        reading = self._reading
        if reading is not None and any(self._expected.match(card) == uuid for card in reading.cards):
            raise ValueError(f"GPU {known.index} ({uuid}) is in this machine, so it would be expected again at once")
        self._expected.forget(uuid)
        self._keep(core)
        self._budget = None
        core.reviewed_later()
        return f"GPU {known.index} ({uuid}) is not expected any more."

    # ------------------------------------------------------------ inside

    def _keep(self, core: "Decider") -> None:
        for key, value in (self._expected.take_puts() | self._losses.take_puts()).items():
            core.batch.put(GPU, key, value)

    def _of_gpu(self, services: Sequence[Service]) -> tuple[Service, ...]:
        """Those that are to use a GPU."""
        if self._asking[0] is not services:
            self._asking = services, tuple(one for one in services if asks(one))
        return self._asking[1]

    def _indices(self) -> dict[str, int]:
        """UUID -> the card's index, as the driver has it now."""
        there = {self._expected.match(card): card.index for card in (self._reading.cards if self._reading else ())}
        return {card.uuid: there.get(card.uuid, card.index) for card in self._expected.deck.cards}

    def _verdicts(self) -> dict[str, str]:
        """UUID -> the driver's own verdict: what it answers now, else what its messages told."""
        there = {
            self._expected.match(card): card for card in (self._reading.cards if self._reading is not None else ())
        }
        return {
            card.uuid: standing.verdict_of(there.get(card.uuid), self.faults.recovery(card.uuid))
            for card in self._expected.deck.cards
        }

    def _stand(self, core: "Decider") -> tuple[object, ...]:
        """What of the cards may change an answer of the guard."""
        budget = self.budget(core)
        room = (
            [(card.held.uuid, 50 * card.free() // max(1, card.held.total)) for card in budget.cards] if budget else []
        )
        reading = self._reading
        broken = [card.error for card in reading.cards] if reading is not None else []
        return room, broken, reading.trouble if reading is not None else "", self._expected.gone, self._verdicts()

    def _abouts(self, core: "Decider", reading: GpuReading, services: Sequence[Service]) -> list[About]:
        """What is told of each service that has to do with a card."""
        told = answered(reading) and not reading.namespaced
        on = {service for card in self._held for service in card.services} if told else set()
        asking = {one.id: one for one in self._of_gpu(services)}
        asleep = {one.service for one in core.probing.shown(core) if one.asleep} if told else set()
        found = []
        for service in services:
            box = service.container
            if box is None or (service.id not in asking and service.id not in on):
                continue
            held = {card.uuid: card.services[service.id] for card in self._held if service.id in card.services}
            lost = told and not reading.trouble and self._lost(core, service, box, reading, service.id in asleep)
            found.append(
                About(
                    _labels(box),
                    held if told and box.living else {},
                    service.id in asking,
                    (service.id in on and box.alive) if told or not box.alive else None,
                    box.id in reading.denied,
                    lost,
                    frozenset(card.uuid for card in self._held if card.blind),
                )
            )
        return found

    def _lost(self, core: "Decider", service: Service, box: Container, reading: GpuReading, asleep: bool) -> bool:
        if self.faults.quiet or not core.standing.swept:
            return False
        away = asleep or _away(core, service, core.admission.spent(core.now))
        deck, now = self._expected.deck, core.now
        return self._losses.lost(service, self._held, deck, now, denied=reading.denied, away=away)


def _carriers(core: "Decider", services: Sequence[Service]) -> dict[str, str]:
    """Container id -> the service it is, or that a plan is making it into."""
    found: dict[str, str] = {}
    for plan in core.admission.plans():
        made = [plan.container_id, *(value for value in plan.data().values() if isinstance(value, str))]
        found.update(dict.fromkeys((one for one in made if len(one) == 64), carried_by(plan)))
    found.update({one.container.id: one.id for one in services if one.container is not None})
    return found


def _away(core: "Decider", service: Service, spent: Sequence[Spend]) -> bool:
    """Whether its model is out of the cards' memory on purpose."""
    box = service.container
    return box is not None and (unloaded(service.id, box, spent) or core.slots.away(service.id))


def _labels(container: Container | None) -> dict[str, str]:
    return series_labels(container.name, container.labels) if container is not None else {}
