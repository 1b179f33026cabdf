"""What is known of a metric before its first sample: its kind, its labels, how often it comes; and how a series ends.

Each maker of samples exports a table of these beside its code (`METRICS`); core/made.py gathers them, and the linter
of rules reads them.
"""

import struct
from dataclasses import dataclass
from typing import Literal

STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The stale marker, as the value of a Sample that ends its series: one particular NaN, the one Prometheus uses. Compare
with samples.is_stale, never with `==`."""

ABOUT_CONTAINER = (
    "name",
    "container_label_com_docker_compose_project",
    "container_label_com_docker_compose_service",
)
"""the labels that series about a container can carry, as cAdvisor writes them; services/names.py makes them"""
ABOUT_CARD = ("UUID", "gpu")
"""the labels of our own series about a GPU"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric that is made here."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    """the labels that its series can carry"""
    every: float
    """the longest time between two samples of a series that lives, in seconds"""
    events: bool = False
    """a sample also comes the moment the value changes, so that samples do not stand for equal spans of time"""
    free: bool = False
    """its series can carry further labels, as the configuration says"""
