"""The time after a swap in which the one before is still armed: what sends the model back. Pure.

From: the criteria, what was seen since the commit. To: core/trials.py, which asks for the way back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor import units
from supervisor.facts import Criteria, Probation, Slot

LOOK = 600.0
"""seconds between two looks at the log of a model that is not measured in its probation"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened since the commit. Times are unix seconds, sizes bytes."""

    died_at: float = 0.0
    """when its container last died by itself; 0 for never"""
    unwell: str = ""
    """what its health check, or the service's own probe, says again and again"""
    faults: tuple[str, ...] = ()
    """faults of its cards: `XID 79 on GPU 0`"""
    errors: int = 0
    """answers of 500 and above"""
    memory: float = 0.0
    vram: Mapping[str, float] = field(default_factory=dict)
    """GPU, as the criteria name it -> bytes"""
    failed: str = ""
    """why a measurement was a NO-GO"""


def trouble(trial: Probation, criteria: Criteria, seen: Seen) -> str:
    """Why the one before has to come back, as the end of a sentence; '' while there is no reason."""
    if seen.failed:
        return seen.failed
    if seen.died_at > trial.began:
        return "it died"
    if seen.faults:
        return seen.faults[0]
    if seen.unwell:
        return seen.unwell
    if 0 <= criteria.errors < seen.errors:
        return f"callers got {seen.errors} errors, allowed are {criteria.errors}"
    say = units.speaker((criteria.memory,))
    if criteria.memory and seen.memory > criteria.memory:
        used = units.above(seen.memory, criteria.memory, say)
        return f"it uses {used} of memory, allowed are {say(criteria.memory)}"
    for gpu, most in criteria.vram:
        taken, say = seen.vram.get(gpu, 0.0), units.speaker((most,))
        if taken > most:
            where = f"GPU {gpu}" if gpu else "its GPU"
            return f"it uses {units.above(taken, most, say)} of VRAM on {where}, allowed are {say(most)}"
    return ""


def every(slot: Slot, name: str) -> float:
    """Seconds between two measurements, or looks at its log, of a model on probation; 0 for none."""
    model = slot.model(name)
    log = slot.criteria_of(name).log and model is not None and model.service
    return slot.probation_every or (LOOK if log else 0.0)


def due(trial: Probation) -> float:
    """Unix seconds of the next thing that time brings about: its end, or a measurement."""
    return min(trial.until, trial.next_bench) if trial.next_bench else trial.until
