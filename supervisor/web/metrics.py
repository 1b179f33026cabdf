"""/metrics: the newest value of every series of the sample store, in Prometheus' text or OpenMetrics form.

In: (labels, value) pairs from the store the rules read, so a rule moved to Prometheus gives the same answer. Out: the
exposition. The registry is our own; nothing of this process' Python runtime is shown.
"""

import asyncio
import re
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisor.facts import Labels

Series = Callable[[], Iterable[tuple[Labels, float]]]

FRESH = 1.0
"""seconds for which a page is shown again"""

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
    "resurgam_service_trouble": "1 for what the engine says is a service's trouble; 0 just after it is over.",
    "resurgam_service_healthy": "1 while the service is healthy by its best known check.",
    "resurgam_service_wanted": "1 for the state the service is wanted in.",
    "container_oom_events": "Times the kernel killed a process of the container for memory.",
    "resurgam_oom_events": "Kills for want of memory that each source told of.",
    "kube_pod_container_status_restarts": "Restarts, under the name kube-state-metrics gives them.",
}


def family(name: str) -> tuple[str, str]:
    """What a metric is (counter | gauge) and what it says, by its name."""
    counter = name.endswith("_total")
    text = HELP.get(name.removesuffix("_total") if counter else name, "Kept by Resurgam.")
    return "counter" if counter else "gauge", text


class _Store(Collector):
    """The series as they were taken last."""

    def __init__(self) -> None:
        self.rows: list[tuple[Labels, float]] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not collect."""
        return []

    def collect(self) -> Iterable[Metric]:
        """One family per metric name, in name order."""
        families: dict[str, Metric] = {}
        for labels, value in self.rows:
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
    """The rendered page. With 20,000 series that is a fifth of a second's work: it is done on a thread, one page at a
    time, and scrapers that come within a second share it, so that a crowd of them keeps no alert waiting."""

    def __init__(self, series: Series) -> None:
        self._series, self._store = series, _Store()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._store)
        self._alone = asyncio.Lock()
        self._pages: dict[str, tuple[float, bytes]] = {}
        """content type -> when (monotonic seconds) it was made, the page"""

    async def page(self, accept: str, mono: Callable[[], float]) -> tuple[bytes, str]:
        """The page and its content type for an Accept header, not older than FRESH. `mono`: the monotonic clock."""
        encode, content_type = choose_encoder(accept)
        async with self._alone:
            made, body = self._pages.get(content_type, (-FRESH, b""))
            now = mono()
            if now - made >= FRESH:
                self._store.rows = list(self._series())  # here: the store changes on the loop alone
                body = await asyncio.get_running_loop().run_in_executor(None, encode, self._registry)
                self._pages[content_type] = now, body
        return body, content_type
