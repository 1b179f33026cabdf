"""What was understood of memory, as series that rules use.

From: facts.MemoryBudget, with the labels of each service's series. To: the core, which appends them in the transaction
of the reading they were made from.
"""

from collections.abc import Mapping

from supervisor.facts import Labels, MemoryBudget, Metric, Sample, ServiceMemory, labels

EVERY = 5.0
"""seconds between two readings while there is plenty; more often while there is not"""
FULL = 0.8 * EVERY
"""seconds after which all services are told of again: a round that comes a little early is a round"""
ABOUT = ("name", "container_label_com_docker_compose_project", "container_label_com_docker_compose_service")
"""labels that series about a service can carry (services/names.py)"""
SECONDS, AT_RISK = "resurgam_memory_seconds_to_exhaustion", "resurgam_memory_at_risk"
_OF_BOX = (
    "resurgam_memory_effective_available_bytes",
    "resurgam_memory_planned_bytes",
    "resurgam_memory_headroom_bytes",
    "resurgam_memory_reserve_bytes",
    "resurgam_swap_declared_bytes",
)
_PLAN = "resurgam_service_memory_plan_bytes"
_OF_SERVICE = (
    "resurgam_service_memory_used_bytes",
    "resurgam_service_memory_over_bytes",
    "resurgam_service_memory_swap_bytes",
    "resurgam_service_memory_growth_bytes_per_second",
    "resurgam_service_frozen",
    "resurgam_service_fuse_bytes",
)
CULPRIT = "resurgam_service_memory_culprit"

METRICS = (
    Metric(SECONDS, "gauge", ("resource",), EVERY),
    Metric(AT_RISK, "gauge", ("resource",), EVERY),
    *(Metric(name, "gauge", (), EVERY) for name in _OF_BOX),
    *(Metric(name, "gauge", ABOUT, EVERY) for name in (_PLAN, *_OF_SERVICE, CULPRIT)),
)
"""what is made here"""

_BOX = tuple(labels(name) for name in _OF_BOX)


class Series:
    """Makes the samples of each budget. It knows who was named last, whose series gets its 0 once, and keeps label sets
    that it made."""

    def __init__(self) -> None:
        self._named = ""
        self._whole = -EVERY
        self._made: dict[str, tuple[Mapping[str, str], tuple[Labels, ...]]] = {}

    def samples(self, budget: MemoryBudget, about: Mapping[str, Mapping[str, str]]) -> tuple[Sample, ...]:
        """The samples of one reading. `about`: service id -> the labels of its series; one without any is left out.
        Between two that are EVERY apart only those services come whose use matters at once."""
        whole = abs(budget.at - self._whole) >= FULL
        self._whole = budget.at if whole else self._whole
        found = [Sample(labels(SECONDS, resource=one.resource), one.seconds) for one in budget.exhaustion]
        found += [Sample(labels(AT_RISK, resource=one.resource), float(one.certain)) for one in budget.exhaustion]
        sizes = (budget.effective, budget.planned, budget.headroom, budget.reserve, budget.swap_declared)
        found += [Sample(under, float(size)) for under, size in zip(_BOX, sizes, strict=True)]
        self._made = {service: made for service, made in self._made.items() if service in about}
        once: dict[Labels, float] = {}  # two services can claim one name, which is no reason for two samples
        for part in budget.services:
            if part.service in about and (whole or self._urgent(part, budget.culprit)):
                self._of(part, self._under(part.service, about[part.service]), budget.culprit, once)
        self._named = budget.culprit
        return (*found, *(Sample(under, value) for under, value in once.items()))

    def _urgent(self, part: ServiceMemory, culprit: str) -> bool:
        return part.over > 0 or part.frozen or part.fuse > 0 or part.service in (culprit, self._named)

    def _under(self, service: str, about: Mapping[str, str]) -> tuple[Labels, ...]:
        known = self._made.get(service)
        if known is None or known[0] != about:
            known = about, tuple(labels(name, **about) for name in (_PLAN, CULPRIT, *_OF_SERVICE))
            self._made[service] = known
        return known[1]

    def _of(self, part: ServiceMemory, under: tuple[Labels, ...], culprit: str, found: dict[Labels, float]) -> None:
        if part.plan:
            found.setdefault(under[0], part.plan)
        if part.service in (culprit, self._named):
            found.setdefault(under[1], float(part.service == culprit))
        if part.unread:
            return
        values = (part.used, part.over, part.swap, part.growth, float(part.frozen), part.fuse)
        for name, value in zip(under[2:], values, strict=True):
            found.setdefault(name, value)
