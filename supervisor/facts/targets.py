"""One target that Prometheus text is read from, as its last scrape left it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TargetState:
    """How one target of a scrape is."""

    job: str
    instance: str
    up: bool = False
    at: float = 0.0
    """unix seconds of the last scrape"""
    seconds: float = 0.0
    samples: int = 0
    left_out: int = 0
    """samples that were not taken: names that are made here, or beyond the limit"""
    service: str = ""
    text: str = ""
    """what is wrong, as a sentence; '' for nothing"""
