"""Until when memory lasts: the end of RAM and the end of swap, each by itself. Pure.

From: a History of readings (trend.py) under the present plans, and the standing of the reading before. To:
facts.Exhaustion. What is left of RAM is MemAvailable less what everything that runs still has to take by its plan, less
the reserve. Swap is a budget of its own: counted as free memory it would hide the end of RAM until all is slow.

A fall is believed (its outlook has an end) where one of these holds:
- it ends within half a minute, in depths where it was never before: urgent;
- it has gone on, never so deep before, for twice as long as it still has;
- the lowest points of three times three minutes (as far as they are known) fall: a leak, however it is toothed;
- what loads by its plan finds less than it still has to take;
- almost nothing is left, whatever it does.
It is certain once it was foreseen without a break for a quarter of the time that is left, at most for 30 s.
"""

import math
from dataclasses import dataclass, replace

from supervisor.memory.trend import History, Mark, Pick, long_fall, new_low, short_fall

HOLD, PART = 30.0, 4.0
"""seconds a fall must be foreseen at most, and the part of the time that is left"""
SPENT_HOLD = 10.0
"""seconds at most where more is planned than there is: no time is left then by that reckoning, and scatter alone would
do; so it is the quarter of the time until really nothing is left, which may be short"""
OUT_HOLD = 1.0
"""seconds where almost nothing is left"""
URGENT = 30.0
"""seconds: an end this near is believed without a long look"""
PROVED = 2.0
"""times the time that is left: a fall that went on for so long goes on"""
AHEAD = 2.0
"""times what was seen: three minutes say nothing of a quarter of an hour"""
LINGER = 30.0
"""seconds that it stays certain after it was foreseen last, at most; and at least:"""
LINGER_LEAST = 5.0
LEAVES = 1.5
"""times the horizon: what is certain ends there, or it would flap around it"""
ALMOST = 0.5
"""part of the reserve below which nothing is left worth speaking of"""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one reading says about one kind of memory. `seconds` is infinite while it does not run out."""

    seconds: float = math.inf
    free: float = 0.0
    rate: float = 0.0
    lasting: bool = False
    """it was the long window that told"""
    hold: float = HOLD
    """seconds that it must be foreseen"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one kind of memory stands after all readings so far. Instants are monotonic; None: it is not so."""

    outlook: Outlook = Outlook()
    falling: float | None = None
    """since when it falls, never so deep before"""
    since: float | None = None
    """since when its end is foreseen without a break"""
    last: float = -math.inf
    """when its end was foreseen last"""
    linger: float = LINGER_LEAST
    certain: bool = False


def _level(mark: Mark) -> float:
    return mark.level


def _swap(mark: Mark) -> float:
    return mark.swap_free


def _available(mark: Mark) -> float:
    return mark.available


def ram(before: Standing, history: History, horizon: float) -> Standing:
    """RAM after one more reading. `horizon`: seconds within which its end counts."""
    newest = history.newest
    if newest is None:
        return before
    falling, found = _outlook(before, history, _level, horizon)
    if newest.level <= 0 and not math.isfinite(found.seconds):
        found = _unfitting(history, newest)
    if newest.available <= ALMOST * history.reserve:
        found = Outlook(0.0, max(0.0, newest.level), found.rate, hold=OUT_HOLD)
    elif newest.level <= 0 and math.isfinite(found.seconds):
        found = replace(found, hold=max(found.hold, min(SPENT_HOLD, newest.available / found.rate / PART)))
    return _stand(before, falling, found, newest.at, horizon)


def swap(before: Standing, history: History, horizon: float) -> Standing:
    """Swap after one more reading; where there is none it does not run out."""
    newest = history.newest
    if newest is None:
        return before
    falling, found = _outlook(before, history, _swap, horizon)
    return _stand(before, falling, found, newest.at, horizon)


def _outlook(before: Standing, history: History, pick: Pick, horizon: float) -> tuple[float | None, Outlook]:
    """(since when it falls, what that means)."""
    newest = history.newest
    assert newest is not None
    left = max(0.0, pick(newest))
    rate = short_fall(history, pick) if new_low(history, pick) else 0.0
    falling = (before.falling if before.falling is not None else newest.at) if rate > 0 else None
    steady, lowest = long_fall(history, pick)
    if rate > 0:
        seconds = left / rate
        known = newest.at - falling if falling is not None else 0.0
        if seconds <= URGENT or (known >= PROVED * seconds and seconds < horizon):
            return falling, Outlook(seconds, left, rate, hold=min(HOLD, seconds / PART))
    if steady > 0:
        seconds = max(0.0, min(left, lowest)) / steady
        if not before.certain and seconds > AHEAD * (newest.at - history.far[0].at):
            return falling, Outlook(math.inf, left, 0.0)
        return falling, Outlook(seconds, left, steady, lasting=True, hold=min(HOLD, seconds / PART))
    return falling, Outlook(math.inf, left, 0.0)


def _unfitting(history: History, newest: Mark) -> Outlook:
    """More is planned than there is, and it is being taken: a load that does not fit."""
    rate = short_fall(history, _available) if new_low(history, _available) else 0.0
    if rate <= 0:
        return Outlook(math.inf, 0.0, 0.0)
    seconds = newest.available / rate
    return Outlook(seconds, 0.0, rate, hold=min(HOLD, seconds / PART))


def _stand(before: Standing, falling: float | None, found: Outlook, now: float, horizon: float) -> Standing:
    """Whether it is certain, with what keeps it from flapping."""
    within = horizon * LEAVES if before.certain else horizon
    if found.seconds < within:
        since = before.since if before.since is not None else now
        certain = before.certain or now - since >= found.hold
        linger = min(LINGER, max(LINGER_LEAST, found.hold))
        return Standing(found, falling, since, now, linger, certain)
    if before.certain and now - before.last <= before.linger:
        return replace(before, outlook=found, falling=falling)
    return Standing(found, falling)
