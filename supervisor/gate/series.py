"""The gates of slots as series.

From: what lobby.py counts. To: the sample store, as Readings of the collector `gate`, and from there rules and
/metrics. Counters begin at 0 with the process.
"""

import bisect

from supervisor.facts import GateState, Metric, Sample, labels

COLLECTOR = "gate"
EVERY = 30.0
"""seconds between two readings at most"""
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""seconds: the upper ends of a histogram's buckets"""

HELD, IN_FLIGHT, IS_OPEN = "resurgam_slot_held", "resurgam_slot_in_flight", "resurgam_slot_open"
REQUESTS, ERRORS = "resurgam_slot_requests_total", "resurgam_slot_errors_total"
REFUSED, CUT = "resurgam_slot_refused_total", "resurgam_slot_cut_total"
DURATION = "resurgam_slot_request_duration_seconds"
FIRST_BYTE = "resurgam_slot_first_byte_seconds"
HOLD = "resurgam_slot_hold_seconds"
_GAUGES, _COUNTERS = (HELD, IN_FLIGHT, IS_OPEN), (REQUESTS, ERRORS, REFUSED, CUT)
_ENDS = ("sum", "count")

METRICS = (
    *(Metric(name, "gauge", ("slot",), EVERY) for name in _GAUGES),
    *(Metric(name, "counter", ("slot",), EVERY) for name in _COUNTERS),
    *(Metric(f"{name}_bucket", "counter", ("slot", "le"), EVERY) for name in (DURATION, FIRST_BYTE, HOLD)),
    *(Metric(f"{name}_{end}", "counter", ("slot",), EVERY) for name in (DURATION, FIRST_BYTE, HOLD) for end in _ENDS),
)
"""what is made here"""


class Histogram:
    """How many took how long, in seconds."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.count = 0

    def add(self, seconds: float) -> None:
        """One more."""
        self.buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
        self.count += 1

    def samples(self, name: str, slot: str) -> list[Sample]:
        """As Prometheus has them: each bucket holds those before it."""
        found, below = [], 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.buckets, strict=True):
            below += count
            found.append(Sample(labels(f"{name}_bucket", slot=slot, le=bound), float(below)))
        found.append(Sample(labels(f"{name}_sum", slot=slot), self.total))
        found.append(Sample(labels(f"{name}_count", slot=slot), float(self.count)))
        return found


def samples(state: GateState, duration: Histogram, first_byte: Histogram, hold: Histogram) -> list[Sample]:
    """All of one gate."""
    values: dict[str, float] = {
        HELD: state.held,
        IN_FLIGHT: state.in_flight,
        IS_OPEN: state.open and state.listening,
        REQUESTS: state.requests,
        ERRORS: state.errors,
        REFUSED: state.refused,
        CUT: state.cut,
    }
    found = [Sample(labels(name, slot=state.slot), float(value)) for name, value in values.items()]
    for name, histogram in ((DURATION, duration), (FIRST_BYTE, first_byte), (HOLD, hold)):
        found += histogram.samples(name, state.slot)
    return found
