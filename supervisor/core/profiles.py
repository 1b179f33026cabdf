"""Who runs by its safe profile, since when without a fault, and what it had before: for the way back.

From: plans that ended (consequences.py), the faults of cards (faults.py), deaths. To: the journal's space `profile`,
the series by which rules take a service back, and a plan's knowledge of what stood before. Values of variables stay
here and in the plan: no message, row or series carries them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from supervisor.facts import Container, Json, Metric, Plan, Sample, Service, labels
from supervisor.incidents.profile import SAFE
from supervisor.services.names import SERIES_LABELS, series_labels

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

SPACE = "profile"
EVERY = 60.0
"""seconds between two samples of a series that lives"""
_ACTIVE, _QUIET = "resurgam_service_safe_profile", "resurgam_service_safe_profile_quiet"
_PATIENCE = 21600.0
"""seconds without a fault, for a service that declares no safe profile any more"""

METRICS = (
    Metric(_ACTIVE, "gauge", SERIES_LABELS, EVERY, events=True),
    Metric(_QUIET, "gauge", SERIES_LABELS, EVERY, events=True),
)


class Profiles:
    """What the journal keeps of safe profiles."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `profile`: service -> {before, since, was}."""
        self._kept = {service: dict(body) for service, body in kept.items()}
        self._sent: dict[str, tuple[float, float]] = {}
        self._looked: Sequence[Service] | None = None
        """the services as they were when they were last looked through"""

    def before(self, service: Service) -> Json | None:
        """What it had before; None where it runs without the profile, or nobody knows any more."""
        if service.profile != SAFE or service.id not in self._kept:
            return None
        found = self._kept[service.id].get("before")
        return found if isinstance(found, dict) else None

    def ended(self, core: "Decider", plan: Plan) -> None:
        """A plan is over: where it was committed, what it made of the profile counts."""
        told = plan.data().get("profile")
        committed = "commit" in plan.begun  # from there on it is brought to its end, whoever is killed
        if not isinstance(told, dict) or not committed:
            return
        if plan.params.get("profile") == SAFE:
            self._keep(core, plan.service, {"before": told, "since": core.now, "was": plan.container_id})
        else:
            self._keep(core, plan.service, None)

    def samples(self, core: "Decider", *, full: bool) -> list[Sample]:
        """Who runs with it, and who has for long enough without a fault. All with `full`, else what changed."""
        found: list[Sample] = []
        services = core.registry.services()
        if not full and services is self._looked:
            return found
        self._looked = services
        for service in services:
            box = service.container
            if box is None or not (service.profile == SAFE or service.id in self._sent or service.id in self._kept):
                continue
            if service.profile != SAFE:
                self._outdated(core, service, box)
                if service.id not in self._sent:
                    continue
            now = float(service.profile == SAFE), float(self._quiet(core, service))
            before = self._sent.get(service.id)
            if full or before != now:
                base = series_labels(box.name, box.labels)
                found += [Sample(labels(_ACTIVE, **base), now[0]), Sample(labels(_QUIET, **base), now[1])]
            if service.profile == SAFE:
                self._sent[service.id] = now
            else:
                self._sent.pop(service.id, None)
        return found

    def gap(self, core: "Decider", seconds: float) -> None:
        """The wall clock jumped: time in which nobody could see a fault is no time without one."""
        for service, kept in list(self._kept.items()):
            self._keep(core, service, {**kept, "since": min(core.now, _since(kept) + seconds)})

    # ------------------------------------------------------------ inside

    def _quiet(self, core: "Decider", service: Service) -> bool:
        if service.profile != SAFE:
            return False
        kept = self._kept.get(service.id)
        if kept is None:
            return False  # nobody knows what it had before: a person takes it back
        since = _since(kept)
        latest = max([since, service.last_death_at, *self._faults(core, service)])
        if latest > since:
            self._keep(core, service.id, {**kept, "since": latest})
        patience = service.needs.safe.quiet if service.needs.safe is not None else _PATIENCE
        return core.now - latest >= patience

    def _outdated(self, core: "Decider", service: Service, box: Container) -> None:
        """Somebody else made it anew (a `compose up`), without the profile: what stood before is of no use any more.
        While a plan is at work, or the engine's word of its end has not come yet, nobody can tell."""
        kept = self._kept.get(service.id)
        if kept is None or box.id == kept.get("was") or not box.running:
            return
        if not any(service.id in plan.services for plan in core.admission.plans()):
            self._keep(core, service.id, None)

    def _faults(self, core: "Decider", service: Service) -> list[float]:
        """When the faults were that count for it: its own, and those of a card of which nobody knows whose they are."""
        uses = core.gpu.cards_of(core, service)
        return [
            one.last_at
            for one in core.gpu.faults.open()
            if not one.drill and (one.service == service.id or (not one.service and one.uuid in uses))
        ]

    def _keep(self, core: "Decider", service: str, body: Json | None) -> None:
        if body is None:
            self._kept.pop(service, None)
        else:
            self._kept[service] = body
        core.batch.put(SPACE, service, body)


def _since(kept: Json) -> float:
    """Unix seconds since when it runs with it, or of the last fault since."""
    with suppress(TypeError, ValueError):
        return float(kept.get("since", 0.0))
    return 0.0
