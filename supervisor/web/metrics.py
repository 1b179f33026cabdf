"""/metrics: the newest value of every series of the sample store, in Prometheus' text or OpenMetrics form.

In: (labels, value) pairs from the store the rules read, so a rule moved to Prometheus gives the same answer. Out: the
exposition. The registry is our own; nothing of this process' Python runtime is shown.
"""

import re
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisor.facts import Labels

Series = Callable[[], Iterable[tuple[Labels, float]]]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

HELP = {
    "resurgam_container_deaths": "Deaths of a service's containers, counted over recreations.",
    "resurgam_container_restarts": "Starts that followed a death.",
    "resurgam_container_death_streak": "Deaths chained by gaps short enough to belong together.",
    "resurgam_container_last_exit_code": "Exit code of the last death.",
    "resurgam_container_last_exit_signal": "Signal that ended it last; 0 if none did.",
    "resurgam_container_last_death_timestamp_seconds": "When it last died.",
    "resurgam_container_running": "1 while the container runs.",
    "resurgam_container_unhealthy": "1 while the engine's own health check fails.",
    "resurgam_container_image_drift": "1 while the running image is not the one expected, by kind.",
    "resurgam_service_healthy": "1 while the service is healthy by its best known check.",
    "resurgam_service_wanted": "1 for the state the service is wanted in.",
    "container_oom_events": "Times the kernel killed a process of the container for memory.",
    "kube_pod_container_status_restarts": "Restarts, under the name kube-state-metrics gives them.",
}


def family(name: str) -> tuple[str, str]:
    """What a metric is (counter | gauge) and what it says, by its name."""
    counter = name.endswith("_total")
    text = HELP.get(name.removesuffix("_total") if counter else name, "Kept by Resurgam.")
    return "counter" if counter else "gauge", text


class _Store(Collector):
    """Reads the series anew at every scrape."""

    def __init__(self, series: Series) -> None:
        self._series = series

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """One family per metric name, in name order."""
        families: dict[str, Metric] = {}
        for labels, value in self._series():
            pairs = dict(labels)
            name = pairs.pop("__name__", "")
            if not _NAME.fullmatch(name) or not all(_LABEL.fullmatch(key) for key in pairs):
                continue
            kind, text = family(name)
            bare = name.removesuffix("_total") if kind == "counter" else name
            known = families.setdefault(name, Metric(bare, text, kind))
            known.add_sample(name, pairs, value)
        return [families[name] for name in sorted(families)]


class Exposition:
    """The rendered page."""

    def __init__(self, series: Series) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Store(series))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type for an Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
