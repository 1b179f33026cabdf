"""What a slot must not forget: the value of the journal's space `slot`, one for each slot.

From: the ends of plans (core/slot_ends.py). To: the journal, and every decision about a slot. Times are unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from supervisor.facts import Json, Probation

SETTLES = 10.0
"""seconds for which nobody is taken for the holder of a slot that was emptied"""
FOR_EVER = -1.0
"""`until` of what a person keeps without an end"""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Another model holds the slot because the first choice cannot be brought back."""

    model: str
    since: float
    why: str = ""
    tried: float = 0.0
    """when the first choice was last tried again; 0 for never"""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model took in its last good run, at its peak. Bytes."""

    memory: float = 0.0
    vram: Mapping[str, float] = field(default_factory=dict)
    image_id: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """One slot."""

    holder: str = ""
    """the model that holds it, whether or not it runs just now; '' for nobody"""
    since: float = 0.0
    probation: Probation | None = None
    errors: int = 0
    """answers of 500 and above that callers got in this probation"""
    log: Json = field(default_factory=dict)
    """where the log of the one on probation ended before its start, as actions/swap/measuring.py marks it"""
    stand_in: StandIn | None = None
    kept: Mapping[str, float] = field(default_factory=dict)
    """model -> until when a person keeps it loaded"""
    loaded_at: Mapping[str, float] = field(default_factory=dict)
    """model -> when it was loaded last"""
    loads: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """model inside a server -> seconds of its latest loads, newest last"""
    measured: Mapping[str, Measured] = field(default_factory=dict)
    report: Json = field(default_factory=dict)
    """the latest swap's, as facts.SlotState has it"""

    def adopted(self, holder: str, now: float) -> "Kept":
        """The same once another model was found to hold the slot: what was begun is over, what was learned stays."""
        return replace(self, holder=holder, since=now, probation=None, errors=0, log={}, stand_in=None, report={})


def settles(kept: Kept, now: float) -> bool:
    """Whether the slot was emptied just now: a look that began before may still say that somebody is there."""
    return not kept.holder and 0.0 <= now - kept.since < SETTLES


def keeps(kept: Kept, model: str, now: float) -> float:
    """Until when a person keeps a model; FOR_EVER for no end, 0 where nobody does."""
    until = kept.kept.get(model, 0.0)
    return until if until == FOR_EVER or until > now else 0.0


def moved(kept: Kept, seconds: float) -> Kept:
    """The same after the wall clock jumped by so much: what lasts for a time lasts as long as it was to last."""
    trial, stand_in = kept.probation, kept.stand_in
    if trial is not None:
        later = trial.next_bench + seconds if trial.next_bench else 0.0
        trial = replace(trial, until=trial.until + seconds, began=trial.began + seconds, next_bench=later)
    if stand_in is not None:
        tried = stand_in.tried + seconds if stand_in.tried else 0.0
        stand_in = replace(stand_in, since=stand_in.since + seconds, tried=tried)
    until = {name: at if at == FOR_EVER else at + seconds for name, at in kept.kept.items()}
    loaded = {name: at + seconds for name, at in kept.loaded_at.items()}
    return replace(kept, probation=trial, stand_in=stand_in, kept=until, loaded_at=loaded)
