"""The core's hand on memory/: takes each reading of the machine, keeps its history, and says how memory stands.

From: Readings of the collector `host`, and the registry's services. To: samples, in the very transaction of the reading
they were made from; MemoryBudget, for the snapshot and the guard; and the journal's space `footprint`. Between two
readings the sums follow the services: one that was stopped counts no more at once. What is foreseen waits for readings.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.config.settings import MemorySettings
from supervisor.facts import (
    GroupMemory,
    HostReading,
    Json,
    MemoryBudget,
    MemorySource,
    Readings,
    Sample,
    Service,
    ServiceMemory,
)
from supervisor.memory import budget as sums
from supervisor.memory.foresight import Foresight, foresee
from supervisor.memory.learned import Learned
from supervisor.memory.series import Series
from supervisor.samples import LOOKBACK, is_stale, to_ms
from supervisor.services.names import series_labels
from supervisor.services.oom.kill import Counters
from supervisor.signals import docker_stats
from supervisor.units import Matcher

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

HOST = "host"
"""the collector that reads the machine"""
HOST_SERIES = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
"""the machine's sizes, for what shows them"""
_ENGINE_SAYS = (Matcher("__name__", "=", docker_stats.MEMORY),)


class MemoryDesk:
    """How memory stands. One for the life of a process; only what was learned outlives it."""

    def __init__(self, settings: MemorySettings, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `footprint`."""
        self._settings = settings
        self._learned = Learned(kept)
        self._series = Series()
        self._before = Foresight()
        self._reading: HostReading | None = None
        self._at = self._mono = 0.0
        self._budget: MemoryBudget | None = None
        self._seen: Sequence[Service] = ()
        """the services that the budget was made of"""
        self._named: tuple[Sequence[Service], Mapping[str, Mapping[str, str]]] = ((), {})
        self.sources: tuple[MemorySource, ...] = ()

    # ------------------------------------------------------------ one reading

    def read(self, core: "Decider", fact: Readings, at: float) -> tuple[Sample, ...]:
        """Take one reading of the machine; the samples that follow from it. `at`: its unix seconds, as stamped. What
        was learned goes into the turn's batch."""
        core.stale_snapshot = True
        if fact.sources:
            self.sources = fact.sources
        reading = sane(fact.host)
        if reading is None:
            return ()
        core.standing.host_memory |= {name: reading.memory[name] for name in HOST_SERIES if name in reading.memory}
        before = self._budget
        self._reading, self._at, self._mono = reading, at, fact.mono
        services = core.registry.services()
        parts = self._parts(core, services)
        if self._learn(core, services, parts):
            parts = self._parts(core, services)
        for service, value in self._learned.take_puts().items():
            core.batch.put("footprint", service, value)
        self._before, self._budget = foresee(self._before, self._sums(core, parts), fact.mono, self._settings.horizon)
        self._seen = services
        if _stand(before) != _stand(self._budget):
            core.reviewed_later()  # what was refused for want of room, or spared by its plan, is looked at again
        if self._named[0] is not services:
            self._named = services, _names(services)
        return self._series.samples(self._budget, self._named[1])

    def begin(self) -> None:
        """The services of an engine are known from now on. What was read before knew of none of them: as history it
        would say that less was never left."""
        self._before = Foresight()

    def budget(self, core: "Decider") -> MemoryBudget | None:
        """How memory stands now: the last reading, with the services as they are. None until it was read once."""
        services = core.registry.services()
        if self._reading is None or self._budget is None or self._seen is services:
            return self._budget
        self._seen, before = services, self._budget
        made = self._sums(core, self._parts(core, services))
        known = {part.service: part for part in before.services}
        parts = tuple(_grown(part, known.get(part.service)) for part in made.services)
        named = next((part for part in parts if part.service == before.culprit and part.running), None)
        kept = (before.culprit, before.text) if named is not None or not before.culprit else ("", "")
        self._budget = replace(
            made, services=parts, exhaustion=before.exhaustion, culprit=kept[0], text=kept[1], foreign=before.foreign
        )
        return self._budget

    def counters(self) -> Counters:
        """What the groups of containers counted, as last read."""
        live = any(one.name == "groups" and one.live for one in self.sources)
        return Counters(live, self._at, self._mono, self._reading.groups if self._reading is not None else {})

    # ------------------------------------------------------------ inside

    def _parts(self, core: "Decider", services: Sequence[Service]) -> tuple[ServiceMemory, ...]:
        """Each service that has a container, by id."""
        assert self._reading is not None
        told: Mapping[str, float] | None = None
        found = []
        for service in services:
            box = service.container
            if box is None:
                continue
            group = self._reading.groups.get(box.id) if box.living else None
            if group is None and box.alive and told is None:
                told = engine_says(core, services)
            otherwise = told.get(service.id) if told is not None and group is None else None
            if box.started_at > self._at:
                otherwise = 0.0  # it was started after the reading
            learned = self._learned.plans(service.id)
            well = self._learned.was_well(service.id)
            found.append(sums.part_of(service, group, learned, core.now, otherwise, well))
        return tuple(found)

    def _learn(self, core: "Decider", services: Sequence[Service], parts: Sequence[ServiceMemory]) -> bool:
        """Whether something was learned from this reading."""
        known, found = {part.service: part for part in parts}, False
        for service in services:
            part = known.get(service.id)
            if part is not None and not part.unread:
                proof = core.loaded.settings.proof
                found = self._learned.saw(service, part.used, self._at, self._mono, proof) or found
        self._learned.forget_lives(known)
        return found

    def _sums(self, core: "Decider", parts: Sequence[ServiceMemory]) -> MemoryBudget:
        assert self._reading is not None
        reserve = sums.reserve_of(self._reading.memory["MemTotal"], self._settings.reserve)
        return sums.budget_of(self._reading, parts, reserve, float(self._settings.swap), self._at)


def used_of(core: "Decider", services: Sequence[Service], budget: MemoryBudget | None) -> dict[str, float]:
    """Service id -> bytes it uses, of those that run: by its control group, else as the engine tells it."""
    if budget is None:
        return engine_says(core, services)
    return {part.service: part.used for part in budget.services if part.running and not part.unread}


def engine_says(core: "Decider", services: Sequence[Service]) -> dict[str, float]:
    """Service id -> bytes, of those that run and whose use the engine told within the lookback."""
    oldest = to_ms(core.now - LOOKBACK)
    used = {
        dict(series.labels).get("name", ""): series.values[-1]
        for series in core.store.select(_ENGINE_SAYS)
        if series.times and series.times[-1] >= oldest and not is_stale(series.values[-1])
    }
    found: dict[str, float] = {}
    for service in services if used else ():
        box = service.container
        if box is not None and box.running:
            name = series_labels(box.name, box.labels)["name"]
            found |= {service.id: used[name]} if name in used else {}
    return found


def sane(reading: HostReading | None) -> HostReading | None:
    """The reading, without containers whose figures are none; None where the machine's own are missing or none."""
    if reading is None:
        return None
    memory = {name: size for name, size in reading.memory.items() if math.isfinite(size)}
    if not memory.get("MemTotal") or "MemAvailable" not in memory:
        return None
    groups = reading.groups
    if not all(map(_finite, groups.values())):
        groups = {one: group for one, group in groups.items() if _finite(group)}
    return replace(reading, memory=memory, groups=groups)


def _finite(group: GroupMemory) -> bool:
    return math.isfinite(group.used) and math.isfinite(group.limit) and math.isfinite(group.high)


def _names(services: Sequence[Service]) -> dict[str, dict[str, str]]:
    return {
        service.id: series_labels(service.container.name, service.container.labels)
        for service in services
        if service.container is not None
    }


def _grown(part: ServiceMemory, before: ServiceMemory | None) -> ServiceMemory:
    if before is None or not part.running:
        return part
    return replace(part, growth=before.growth, grew_from=before.grew_from, grew_for=before.grew_for)


def _stand(budget: MemoryBudget | None) -> tuple[object, ...]:
    """What of a budget may change an answer of the guard."""
    if budget is None:
        return ()
    room = int(100 * (budget.headroom - max(0.0, budget.foreign - budget.reserve)) / budget.total)
    over = tuple(part.service for part in budget.services if part.over > 0)
    loading = tuple(part.service for part in budget.services if part.loading)
    return room, over, loading, budget.culprit, tuple(one.certain for one in budget.exhaustion)
