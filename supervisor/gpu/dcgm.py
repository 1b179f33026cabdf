"""A card as dcgm-exporter names it, and its gauge of the last XID.

From: signals/gpu/series.py, for what a reading says, and core/faults.py, for the XIDs. To: labels of series. The gauge
is for rules and dashboards that people have: it says nothing of how often, nor of what came before the last.
"""

from collections.abc import Iterable, Mapping

from supervisor.facts import STALE, Labels, Metric, Sample, labels

LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION")
XID_ERRORS = "DCGM_FI_DEV_XID_ERRORS"
METRICS = (Metric(XID_ERRORS, "gauge", LABELS, 60.0, events=True),)
"""what is made here"""


def about(index: int, uuid: str, bus_id: str, name: str, host: str, driver: str) -> dict[str, str]:
    """The labels of a card's series."""
    return {
        "UUID": uuid,
        "gpu": str(index),
        "pci_bus_id": bus_id.upper(),
        "device": f"nvidia{index}",
        "modelName": name,
        "Hostname": host,
        "DCGM_FI_DRIVER_VERSION": driver,
    }


class LastXid:
    """The gauge of each card. It knows under which labels it told, so that a series ends when they change."""

    def __init__(self) -> None:
        self._told: dict[str, Labels] = {}

    def samples(self, cards: Iterable[tuple[str, Mapping[str, str], int]]) -> tuple[Sample, ...]:
        """`cards`: (bus id, its labels, its last XID; 0 for none)."""
        found: list[Sample] = []
        for bus, named, xid in cards:
            under = labels(XID_ERRORS, **named)
            before = self._told.get(bus, under)
            found += [Sample(before, STALE)] if before != under else []
            found.append(Sample(under, float(xid)))
            self._told[bus] = under
        return tuple(found)
