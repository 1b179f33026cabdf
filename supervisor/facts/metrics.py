"""What is known of a metric before its first sample: its kind, its labels, how often it comes.

Each maker of samples exports a table of these beside its code (`METRICS` in signals/memory/series.py,
memory/series.py, signals/docker_stats.py, services/series.py and core/ourselves.py); the linter of rules reads them.
"""

from dataclasses import dataclass
from typing import Literal


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
