"""How long a service takes to load, learned from its latest loads, and how long the next may take. Pure.

From: maneuvers that ended well (how long until it was healthy), and ordinary starts that the engine's own check saw
become healthy. Kept in the journal's space `load`. To: Service.loads, and the deadline of a watch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import Needs

KEPT = 20
"""loads that are remembered, the latest"""
ENOUGH = 3
"""loads from which something can be learned"""
SHARE, FACTOR = 0.95, 2.0
FLOOR, CEILING = 60.0, 7200.0
"""seconds: what was learned gives no deadline beyond these"""
_LONGEST = 86_400.0
"""seconds: what seems to have loaded for longer is a clock's doing"""


@dataclass(frozen=True, slots=True)
class Load:
    """One load: `seconds` from its start to healthy, of which image, and when (unix seconds)."""

    seconds: float
    image: str
    at: float


@dataclass(frozen=True, slots=True)
class Loads:
    """The value of the journal's space `load` for one service, newest last."""

    loads: tuple[Load, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds a container may take to become healthy, and why so many."""

    seconds: float
    why: str


def with_one_more(loads: Sequence[Load], seconds: float, image: str, at: float) -> tuple[Load, ...]:
    """With the latest load; the same where it cannot be one."""
    if not math.isfinite(seconds) or not 0.0 < seconds <= _LONGEST:
        return tuple(loads)
    return (*loads, Load(round(seconds, 3), image, at))[-KEPT:]


def learned(loads: Sequence[float]) -> float:
    """Seconds that nearly all loads (95 in 100, by the nearest rank) took at most; 0 while too few are known."""
    if len(loads) < ENOUGH:
        return 0.0
    return sorted(loads)[math.ceil(SHARE * len(loads)) - 1]


def limit(needs: Needs, loads: Sequence[float], within: str = "") -> Limit:
    """How long a watch may take: `within` as it was asked for, else the declared `startup`, else twice what it took
    so far, else the default."""
    if within:
        return Limit(units.duration(within), "as it was asked for")
    if needs.startup_declared:
        return Limit(needs.startup, "its declared startup")
    took = learned(loads)
    if not took:
        return Limit(needs.startup, f"the default: {len(loads)} of its loads are known, {ENOUGH} are needed to learn")
    seconds = float(math.ceil(min(max(FACTOR * took, FLOOR), CEILING)))
    bound = ", but at least" if FACTOR * took < FLOOR else ", but at most" if FACTOR * took > CEILING else ""
    bound += f" {units.show_duration(FLOOR if FACTOR * took < FLOOR else CEILING)}" if bound else ""
    why = f"twice the {units.show_duration(math.ceil(took))} that its last {len(loads)} loads took{bound}"
    return Limit(seconds, why)
