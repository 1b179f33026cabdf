"""What was understood of memory, as series that rules use.

From: facts.MemoryBudget, with the labels of each service's series. To: the core, which appends them in the transaction
of the reading they were made from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from supervisor.facts import Labels, MemoryBudget, Metric, Sample, ServiceMemory, labels
from supervisor.facts.metrics import ABOUT_CONTAINER

EVERY = 5.0
"""seconds between two readings while there is plenty; more often while there is not"""
FULL = 0.8 * EVERY
"""seconds after which all services are told of again: a round that comes a little early is a round"""
SECONDS, AT_RISK = "resurgam_memory_seconds_to_exhaustion", "resurgam_memory_at_risk"
_OF_BOX = (
    "resurgam_memory_effective_available_bytes",
    "resurgam_memory_planned_bytes",
    "resurgam_memory_headroom_bytes",
    "resurgam_memory_reserve_bytes",
    "resurgam_swap_declared_bytes",
)
REPEAT = 60.0
"""seconds after which what has not changed is told again, well within the lookback"""
_FLUID = ("resurgam_service_memory_used_bytes", "resurgam_service_memory_growth_bytes_per_second")
_STEADY = (
    "resurgam_service_memory_plan_bytes",
    "resurgam_service_memory_over_bytes",
    "resurgam_service_memory_swap_bytes",
    "resurgam_service_frozen",
    "resurgam_service_fuse_bytes",
)
"""told where they change, and by REPEAT: of fifty services they change for one or two"""
CULPRIT = "resurgam_service_memory_culprit"

METRICS = (
    Metric(SECONDS, "gauge", ("resource",), EVERY),
    Metric(AT_RISK, "gauge", ("resource",), EVERY),
    *(Metric(name, "gauge", (), EVERY) for name in _OF_BOX),
    *(Metric(name, "gauge", ABOUT_CONTAINER, EVERY) for name in (*_FLUID, CULPRIT)),
    *(Metric(name, "gauge", ABOUT_CONTAINER, REPEAT, events=True) for name in _STEADY),
)
"""what is made here"""

_BOX = tuple(labels(name) for name in _OF_BOX)
_NOTHING = (None,) * len(_STEADY)


@dataclass(slots=True)
class _Told:
    """What was told last of one service: under which labels, and the values of _STEADY (None: not told)."""

    about: Mapping[str, str]
    culprit: Labels
    fluid: tuple[Labels, ...]
    steady: tuple[Labels, ...]
    values: tuple[float | None, ...] = ()


class Series:
    """Makes the samples of each budget. It knows who was named last, whose series gets its 0 once, and what it told."""

    def __init__(self) -> None:
        self._named = ""
        self._round = self._whole = -REPEAT
        self._about: Mapping[str, Mapping[str, str]] = {}
        self._told: dict[str, _Told] = {}

    def samples(self, budget: MemoryBudget, about: Mapping[str, Mapping[str, str]]) -> tuple[Sample, ...]:
        """The samples of one reading. `about`: service id -> the labels of its series; one without any is left out. A
        new one means that services came, went or changed: their series may have ended, so all is told again. Between
        two readings that are EVERY apart only those services come whose use matters at once."""
        every = abs(budget.at - self._round) >= FULL
        self._round = budget.at if every else self._round
        whole = about is not self._about or abs(budget.at - self._whole) >= REPEAT
        if whole:
            self._about, self._whole = about, budget.at
            self._told = {service: self._known(service, under) for service, under in about.items()}
        found = [Sample(labels(SECONDS, resource=one.resource), one.seconds) for one in budget.exhaustion]
        found += [Sample(labels(AT_RISK, resource=one.resource), float(one.certain)) for one in budget.exhaustion]
        sizes = (budget.effective, budget.planned, budget.headroom, budget.reserve, budget.swap_declared)
        found += [Sample(under, float(size)) for under, size in zip(_BOX, sizes, strict=True)]
        once: dict[Labels, float] = {}  # two services can claim one name, which is no reason for two samples
        for part in budget.services:
            told = self._told.get(part.service)
            if told is not None and (every or whole or self._urgent(part, budget.culprit)):
                self._of(part, told, budget.culprit, once)
        self._named = budget.culprit
        return (*found, *[Sample(under, value) for under, value in once.items()])

    def _urgent(self, part: ServiceMemory, culprit: str) -> bool:
        return part.over > 0 or part.frozen or part.fuse > 0 or part.service in (culprit, self._named)

    def _known(self, service: str, about: Mapping[str, str]) -> _Told:
        """A service of which nothing was told yet. Its label sets are made once."""
        told = self._told.get(service)
        if told is not None and told.about == about:
            return replace(told, values=())
        fluid, steady = (tuple(labels(name, **about) for name in names) for names in (_FLUID, _STEADY))
        return _Told(about, labels(CULPRIT, **about), fluid, steady)

    def _of(self, part: ServiceMemory, told: _Told, culprit: str, found: dict[Labels, float]) -> None:
        plan = part.plan or None
        if part.unread:
            values: tuple[float | None, ...] = (plan, None, None, None, None)
        else:
            found.setdefault(told.fluid[0], part.used)
            found.setdefault(told.fluid[1], part.growth)
            values = (plan, part.over, part.swap, float(part.frozen), part.fuse)
        if part.service in (culprit, self._named):
            found.setdefault(told.culprit, float(part.service == culprit))
        if values == told.values:
            return
        before, told.values = told.values or _NOTHING, values
        for name, value, last in zip(told.steady, values, before, strict=True):
            if value is not None and value != last:
                found.setdefault(name, value)
