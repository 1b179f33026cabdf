"""Probes as series: what blackbox_exporter taught people, and what only we know of them.

From: core/probing.py, one answer at a time. To: the sample store. What an answer does not tell has no sample: while a
probe cannot work, or a model sleeps, nobody knows whether the service is well.
"""

from collections.abc import Mapping

from supervisor.facts import Metric, ProbeState, Sample, labels
from supervisor.services.names import SERIES_LABELS

EVERY = 60.0
"""seconds: each is told again so often at least"""
SUCCESS, DURATION, RATE = "probe_success", "probe_duration_seconds", "resurgam_probe_tokens_per_second"
FAILING, BROKEN, ASLEEP = "resurgam_probe_failing", "resurgam_probe_broken", "resurgam_probe_asleep"
NAMES = (SUCCESS, DURATION, RATE, FAILING, BROKEN, ASLEEP)

METRICS = tuple(Metric(name, "gauge", (*SERIES_LABELS, "probe", "kind"), EVERY) for name in NAMES)
"""what is made here"""


def about(name: str, kind: str, service: Mapping[str, str]) -> dict[str, str]:
    """The labels of one probe's series. `service`: those of its container (names.series_labels), none for outside."""
    return {**service, "probe": name, "kind": kind}


def samples(state: ProbeState, said: Mapping[str, str]) -> dict[str, Sample]:
    """What is known of it, by metric."""
    values: dict[str, float] = {FAILING: state.failing, BROKEN: state.broken, ASLEEP: state.asleep}
    if not (state.broken or state.asleep):
        values |= {SUCCESS: state.ok, DURATION: state.seconds}
        if state.rate > 0:
            values[RATE] = state.rate
    return {name: Sample(labels(name, **said), float(value)) for name, value in values.items()}
