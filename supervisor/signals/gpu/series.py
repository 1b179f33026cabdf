"""GPUs as series, under the names, units and labels of dcgm-exporter; and two of ours that it has none for.

From: signals/gpu/watch.py, one reading at a time. To: the core, as the samples of a Readings fact. What needs to know
of services, of expected cards or of faults is made in gpu/series.py. What the driver does not tell is left out, never
0; and what it tells no more ends at once, not five minutes later.
"""

from collections.abc import Collection, Mapping

from supervisor.facts import STALE, GpuCard, GpuReading, Labels, Metric, Sample, labels
from supervisor.facts.metrics import ABOUT_CARD
from supervisor.gpu import dcgm
from supervisor.gpu.dcgm import LABELS as DCGM_LABELS

FAST, SLOW = 5.0, 60.0
"""seconds between two samples of what changes quickly, and slowly"""
_DEV = "DCGM_FI_DEV_"
PERSISTENCE, MARGIN = "resurgam_gpu_persistence_mode", "resurgam_gpu_thermal_margin_celsius"
RECOVERY = f"{_DEV}GPU_RECOVERY_ACTION"
_QUICK = (
    *("FB_USED", "FB_FREE", "FB_RESERVED", "FB_TOTAL", "GPU_UTIL", "MEM_COPY_UTIL", "GPU_TEMP", "MEMORY_TEMP"),
    *("POWER_USAGE", "SM_CLOCK", "MEM_CLOCK", "CLOCKS_EVENT_REASONS", "PSTATE", "GPU_RECOVERY_ACTION"),
)
_COUNTED = (
    *("THERMAL_VIOLATION", "POWER_VIOLATION", "ECC_SBE_VOL_TOTAL", "ECC_DBE_VOL_TOTAL", "PCIE_REPLAY_COUNTER"),
    *("CORRECTABLE_REMAPPED_ROWS", "UNCORRECTABLE_REMAPPED_ROWS"),
)
_STEADY = (
    *("ROW_REMAP_FAILURE", "ROW_REMAP_PENDING"),
    *("PCIE_LINK_GEN", "PCIE_LINK_WIDTH", "PCIE_MAX_LINK_GEN", "PCIE_MAX_LINK_WIDTH"),
)
METRICS = (
    *(Metric(_DEV + name, "gauge", DCGM_LABELS, FAST) for name in _QUICK),
    *(Metric(_DEV + name, "counter", DCGM_LABELS, SLOW) for name in _COUNTED),
    *(Metric(_DEV + name, "gauge", DCGM_LABELS, SLOW) for name in _STEADY),
    Metric(PERSISTENCE, "gauge", ABOUT_CARD, SLOW),
    Metric(MARGIN, "gauge", ABOUT_CARD, FAST),
)
"""what is made here: of GpuCard.values, what stands in this table"""

_KNOWN = {metric.name: metric for metric in METRICS}
_MISSED = 2.5
"""times its rhythm: then a value that was told is told no more"""


class Series:
    """The cards' series: which there are now, so that each ends when nobody tells of it any more."""

    def __init__(self, host: str, rhythm: float = FAST) -> None:
        """`host`: the label Hostname; `rhythm`: seconds between two readings at least."""
        self._host, self._rhythm = host, rhythm
        self._live: dict[Labels, float] = {}
        """series -> when it is overdue (monotonic)"""
        self._names: dict[tuple[object, ...], Mapping[str, Labels]] = {}

    def samples(self, reading: GpuReading, told: Mapping[str, Collection[str]], now: float) -> tuple[Sample, ...]:
        """One reading's samples, and the ends of series. `told`: UUID -> the values that this reading brought anew;
        `now`: monotonic."""
        found: dict[Labels, float] = {}
        used: dict[tuple[object, ...], Mapping[str, Labels]] = {}
        for card in reading.cards:
            if not card.uuid or card.error:
                continue
            key = (card.index, card.uuid, card.bus_id, card.name, reading.driver)
            used[key] = names = self._names.get(key) or _names(card, self._host, reading.driver)
            for metric in told.get(card.uuid, ()):
                if metric in names and metric in card.values:
                    found[names[metric]] = card.values[metric]
        self._names = used
        return tuple(Sample(name, value) for name, value in found.items()) + self._ended(found, now)

    def _ended(self, found: Mapping[Labels, float], now: float) -> tuple[Sample, ...]:
        """Markers for series that have ended: of cards that were not read, and of values that do not come any more."""
        here = {name for names in self._names.values() for name in names.values()}
        over = [name for name, due in self._live.items() if name not in found and (name not in here or now > due)]
        for name in over:
            del self._live[name]
        for name in found:
            self._live[name] = now + _MISSED * max(_KNOWN[dict(name)["__name__"]].every, self._rhythm)
        return tuple(Sample(name, STALE) for name in over)


def _names(card: GpuCard, host: str, driver: str) -> Mapping[str, Labels]:
    """Under which labels one card's values go."""
    ours = {"UUID": card.uuid, "gpu": str(card.index)}
    about = dcgm.about(card.index, card.uuid, card.bus_id, card.name, host, driver)
    shown = {metric.name: about if metric.name.startswith(_DEV) else ours for metric in METRICS}
    return {name: labels(name, **of) for name, of in shown.items()}
