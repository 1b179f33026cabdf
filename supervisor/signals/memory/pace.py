"""How long until memory is looked at again: seldom while there is plenty, more often as less is left. Pure.

From: signals/memory/watch.py, with what each limit has left. To: the same, which sleeps so long.
"""

from collections.abc import Iterable
from dataclasses import dataclass

LEAST = 0.25
"""seconds: nothing that ends faster can be met by looking; the kernel's own word comes first then"""
MET = 10.0
"""so many readings are to fall into the time that is left (eight even where the first came late)"""
AMPLE, SCANT = 0.25, 0.05
"""shares that are left: from how much on it is calm, and below how much it is as near as it gets"""
FASTEST = 6 * 2.0**30
"""bytes per second: no program was seen to take memory faster (earlyoom reckons with the same figure). Nothing tells of
such a leap but looking: without swap the kernel stalls nobody before it kills"""
STILL = 1.0
"""seconds: no shorter for a container's limit that nobody comes nearer to; many live close to theirs"""
SHARE = 50.0
"""a reading may take one part in so many of the time"""
SLOWING = 1.5
"""by so much the interval grows at most from one reading to the next: an alarm is not over with one calm reading"""


@dataclass(frozen=True, slots=True)
class Margin:
    """What one limit has left: `left` of `whole` bytes, going at `rate` bytes per second (0 or less: it does not)."""

    left: float
    whole: float
    rate: float = 0.0
    machine: bool = False
    """it is the machine's own memory, not one container's limit"""


def interval(margins: Iterable[Margin], before: float, cost: float, calm: float) -> float:
    """Seconds until the next reading. `before`: the interval before this reading; `cost`: the seconds that a reading
    takes; `calm`: the longest interval."""
    soonest = calm
    for margin in margins:
        soonest = min(soonest, _near(margin, calm), _ends(margin))
    slowly = max(before, LEAST) * SLOWING
    return min(calm, max(LEAST, min(soonest, slowly), cost * SHARE))


def _near(margin: Margin, calm: float) -> float:
    """By the share that is left alone: what is near its end may go faster than it was ever seen to."""
    if margin.whole <= 0:
        return calm
    least = LEAST if margin.machine or margin.rate > 0 else STILL
    part = (margin.left / margin.whole - SCANT) / (AMPLE - SCANT)
    leap = margin.left / FASTEST if margin.machine else calm
    return max(least, min(calm, least + part * (calm - least), leap))


def _ends(margin: Margin) -> float:
    """By the rate at which it goes."""
    return margin.left / margin.rate / MET if margin.rate > 0 else float("inf")
