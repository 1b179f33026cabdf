"""The series of slots that the core makes: who holds them, which phase runs, what was measured. Event-sourced.

From: SlotState and the history, at the end of each turn (core/slots.py). To: the store, where rules and /metrics read
them. What is seen of servers and gates is sampled beside them (signals/models.py, gate/series.py).
"""

from collections.abc import Mapping, Sequence

from supervisor.facts import Labels, Metric, Sample, SlotState, labels
from supervisor.facts.slots import ASLEEP
from supervisor.slots.history import History, drift
from supervisor.slots.kept import Kept

EVERY = 60.0
"""seconds between two samples of a series that lives"""
PHASES = (*("preflight", "drain", "stop", "freed", "start", "ready", "warmup", "bench", "canary", "commit", "pivot"),)
_OF_SLOT, _OF_MODEL = ("slot",), ("slot", "model")


def _gauge(name: str, keys: tuple[str, ...]) -> Metric:
    return Metric(f"resurgam_{name}", "gauge", keys, EVERY, events=True)


METRICS = (
    _gauge("slot_empty", _OF_SLOT),
    _gauge("slot_stand_in", _OF_SLOT),
    _gauge("slot_probation", _OF_SLOT),
    _gauge("slot_holder", _OF_MODEL),
    _gauge("slot_swap_phase", ("slot", "phase")),
    _gauge("slot_no_go", _OF_MODEL),
    _gauge("bench_tokens_per_second", _OF_MODEL),
    _gauge("bench_prompt_tokens_per_second", _OF_MODEL),
    _gauge("bench_first_token_seconds", _OF_MODEL),
    _gauge("bench_drift_ratio", _OF_MODEL),
    _gauge("bench_canary_failures", _OF_MODEL),
    _gauge("bench_timestamp_seconds", _OF_MODEL),
)


class Series:
    """What was told, so that only what changed is told again."""

    def __init__(self) -> None:
        self._sent: dict[Labels, float] = {}

    def again(self) -> None:
        """Tell everything with the next call."""
        self._sent = {}

    def samples(self, states: Sequence[SlotState], history: History, kept: Mapping[str, Kept]) -> tuple[Sample, ...]:
        """What is new of these slots."""
        now: dict[Labels, float] = {}
        for state in states:
            now |= _of_slot(state, kept.get(state.name, Kept()))
            for model in state.models:
                now |= _of_bench(state.name, model.name, history)
        found = tuple(Sample(name, value) for name, value in now.items() if self._sent.get(name) != value)
        self._sent = now
        return found


def _of_slot(state: SlotState, kept: Kept) -> dict[Labels, float]:
    slot = state.name
    asleep = any(one.name == kept.holder and one.state == ASLEEP for one in state.models)
    busy = bool(state.phase)
    found = {
        labels("resurgam_slot_empty", slot=slot): float(not state.holder and not busy and not asleep),
        labels("resurgam_slot_stand_in", slot=slot): float(state.stand_in),
        labels("resurgam_slot_probation", slot=slot): float(state.probation is not None),
    }
    for one in state.models:
        found[labels("resurgam_slot_holder", slot=slot, model=one.name)] = float(one.name == state.holder)
        found[labels("resurgam_slot_no_go", slot=slot, model=one.name)] = float(bool(one.no_go))
    for phase in PHASES:
        found[labels("resurgam_slot_swap_phase", slot=slot, phase=phase)] = float(state.phase == phase)
    return found


def _of_bench(slot: str, model: str, history: History) -> dict[Labels, float]:
    one = history.latest(slot, model)
    if one is None:
        return {}
    of = {"slot": slot, "model": model}
    found = {
        labels("resurgam_bench_tokens_per_second", **of): one.rate,
        labels("resurgam_bench_prompt_tokens_per_second", **of): one.prompt_rate,
        labels("resurgam_bench_first_token_seconds", **of): one.first_token,
        labels("resurgam_bench_canary_failures", **of): float(len(one.failed)),
        labels("resurgam_bench_timestamp_seconds", **of): one.at,
    }
    share = drift(history.of(slot, model))
    if share is not None:
        found[labels("resurgam_bench_drift_ratio", **of)] = share
    return found
