"""The event-sourced series of a service: which there are, what they are called, what they say now.

The registry gives a Service and its tally; samples go to the core, which puts them into the sample store that rules
and `/metrics` read. Names are those that cAdvisor and kube-state-metrics taught people; ours start with `resurgam_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from supervisor import units
from supervisor.facts import Labels, Metric, Sample, Service
from supervisor.services import causes, names
from supervisor.services.tally import Tally, exit_signal

STATES = ("running", "stopped", "any")
DRIFTS = ("tag_moved", "unproved")
EVERY = 60.0
"""seconds: the core asks for all of them so often, well within the lookback"""

_PLAIN: dict[str, Literal["counter", "gauge"]] = {
    "resurgam_container_deaths_total": "counter",
    "resurgam_container_restarts_total": "counter",
    "resurgam_container_death_streak": "gauge",
    "resurgam_container_last_exit_code": "gauge",
    "resurgam_container_last_exit_signal": "gauge",
    "resurgam_container_last_death_timestamp_seconds": "gauge",
    "container_oom_events_total": "counter",
    "resurgam_container_running": "gauge",
    "resurgam_container_unhealthy": "gauge",
    "resurgam_service_healthy": "gauge",
    "resurgam_container_cut_off": "gauge",
    "resurgam_service_ordered_down": "gauge",
    "container_start_time_seconds": "gauge",
}
_DRIFT, _WANTED = "resurgam_container_image_drift", "resurgam_service_wanted"
_TROUBLE = "resurgam_service_trouble"
_HEARD = "resurgam_oom_events_total"
_HEARERS = (
    ("container", "engine"),
    ("container", "events"),
    ("container", "kernel-log"),
    ("host", "kernel-log"),
    ("host", "vmstat"),
)
"""(scope, source): who can tell of a kill for want of memory, and whether it says whose process it was"""
_KUBE: dict[str, Literal["counter", "gauge"]] = {
    "kube_pod_container_status_restarts_total": "counter",
    "kube_pod_container_status_ready": "gauge",
}

METRICS = (
    *(Metric(name, kind, names.SERIES_LABELS, EVERY, events=True) for name, kind in _PLAIN.items()),
    Metric(_DRIFT, "gauge", (*names.SERIES_LABELS, "kind"), EVERY, events=True),
    Metric(_WANTED, "gauge", (*names.SERIES_LABELS, "state"), EVERY, events=True),
    Metric(_TROUBLE, "gauge", (*names.SERIES_LABELS, "cause"), EVERY, events=True),
    *(Metric(name, kind, ("namespace", "pod", "container"), EVERY, events=True) for name, kind in _KUBE.items()),
    Metric(_HEARD, "counter", ("scope", "source"), EVERY, events=True),
)
"""what is made here"""

COUNTERS = frozenset(metric.name for metric in METRICS if metric.kind == "counter")


@dataclass(frozen=True, slots=True)
class Names:
    """The label sets of one service's series, made once and used until its names change."""

    series: tuple[tuple[str, Labels], ...]
    selectors: tuple[Mapping[str, str], ...]
    """what to mark stale once they end"""


class Heard:
    """The series that say which source told of how many kills since this process began: what all told of is counted
    once by container_oom_events_total, and here one sees who missed some."""

    def __init__(self) -> None:
        self._labels = {of: _labels(_HEARD, {"scope": of[0], "source": of[1]}) for of in _HEARERS}
        self._sent: dict[tuple[str, str], float] = {}

    def samples(self, heard: Mapping[tuple[str, str], int], *, full: bool) -> list[Sample]:
        """All of them with `full`, else those that changed; 0 where nothing was heard."""
        found: list[Sample] = []
        for of, label_set in self._labels.items():
            value = float(heard.get(of, 0))
            if not full and self._sent.get(of, 0.0) == value:
                continue
            self._sent[of] = value
            found.append(Sample(label_set, value))
        return found


def names_of(service: str, base: Mapping[str, str], kube: Mapping[str, str]) -> Names:
    """The label sets for a service with these container labels (names.series_labels) and Kubernetes names."""
    made = [(name, _labels(name, base)) for name in _PLAIN]
    made += [(f"{_DRIFT}/{kind}", _labels(_DRIFT, {**base, "kind": kind})) for kind in DRIFTS]
    made += [(f"{_WANTED}/{state}", _labels(_WANTED, {**base, "state": state})) for state in STATES]
    made += [(f"{_TROUBLE}/{cause}", _labels(_TROUBLE, {**base, "cause": cause})) for cause in causes.TOLD]
    pod = kube_labels(service, base, kube)
    made += [(name, _labels(name, pod)) for name in _KUBE]
    return Names(tuple(made), (dict(base), pod))


def kube_labels(service: str, base: Mapping[str, str], kube: Mapping[str, str]) -> dict[str, str]:
    """namespace, pod and container, as rules written for Kubernetes ask for them."""
    container = kube.get("container") or base.get(names.SERVICE_KEY) or base["name"]
    return {
        "namespace": units.plain(kube.get("namespace") or "default", names.LABEL_LIMIT),
        "pod": service,
        "container": units.plain(container, names.LABEL_LIMIT),
    }


def _labels(metric: str, pairs: Mapping[str, str]) -> Labels:
    return tuple(sorted({**pairs, "__name__": metric}.items()))


def values(service: Service, tally: Tally, started: float) -> dict[str, float]:
    """What each series says now; those that have nothing to say are left out. `started`: StartedAt of the last inspect.
    A start event says some milliseconds more; told as well, each start would be two changes to `changes()`."""
    container = service.container
    found: dict[str, float] = {
        "resurgam_container_deaths_total": tally.deaths,
        "resurgam_container_restarts_total": tally.restarts,
        "resurgam_container_death_streak": tally.streak,
        "resurgam_container_last_exit_signal": exit_signal(tally.last_exit),
        "container_oom_events_total": tally.ooms,
        "resurgam_container_running": container is not None and container.running,
        "resurgam_container_unhealthy": container is not None and container.running and container.health == "unhealthy",
        "resurgam_service_healthy": service.healthy,
        "resurgam_container_cut_off": bool(service.cut_off),
        "resurgam_service_ordered_down": ordered_down(service),
        "kube_pod_container_status_restarts_total": tally.restarts,
        "kube_pod_container_status_ready": service.healthy,
    }
    if tally.last_exit is not None:
        found["resurgam_container_last_exit_code"] = tally.last_exit
    if tally.last_death_at:
        found["resurgam_container_last_death_timestamp_seconds"] = tally.last_death_at
    if container is not None and started and container.started_at == started:
        found["container_start_time_seconds"] = started
    for kind in DRIFTS:
        found[f"{_DRIFT}/{kind}"] = service.drift == kind
    if service.trouble_told:  # the engine's word: rules are not to act on what a container writes into its log
        found[f"{_TROUBLE}/{service.trouble_told}"] = True
    for state in STATES:
        found[f"{_WANTED}/{state}"] = service.wanted.state == state
    return {name: float(value) for name, value in found.items()}


def ordered_down(service: Service) -> bool:
    """Whether it is ours to start after a boot (boot=ordered), is to run, and does not: nobody else starts it."""
    container = service.container
    if container is None or service.needs.boot != "ordered" or not service.expected:
        return False
    # one that was made and never started waits for whoever made it
    return container.status in ("exited", "dead") or (
        container.status == "created" and service.wanted.state == "running"
    )


def samples(
    known: Names, now: Mapping[str, float], sent: Mapping[str, float], *, full: bool, born: bool
) -> list[Sample]:
    """The samples to give out: all with `full`, else those whose value is not what was `sent` last.

    `born`: a counter that was never sent gets its 0 first, so that its first step can be seen by `increase()`.
    """
    found: list[Sample] = []
    for name, label_set in known.series:
        value = now.get(name)
        if value is None and name.startswith(_TROUBLE) and sent.get(name):
            value = 0.0  # that trouble is over; there is a series only for what there is or just was
        if value is None:
            continue
        if name not in sent:
            if born and value and name in COUNTERS:
                found.append(Sample(label_set, 0.0))
        elif not full and sent[name] == value:
            continue
        found.append(Sample(label_set, value))
    return found
