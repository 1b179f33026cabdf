"""How memory went: a history that stays small, and what its slopes say. Pure values: a sample makes a new history.

From: forecast.py, one `Mark` per reading. To: the same, which asks how fast it falls, and culprit.py, which asks who
grew. Three windows: the latest readings as they came (a ramp of seconds), half a minute (urgency), ten minutes of
lowest points (truth: a program that fills its heap and cleans it up again falls as fast as one that leaks, and only its
lowest points tell the two apart).

What is left depends on the plans (`Mark.level`), so it is computed anew for all marks when a plan changes: a service
that starts would look like a cliff otherwise. It is what is left for those that run now, so who is gone takes its own
past along: what it held counts as free, as far as it came back, and the rest still as planned. Else the load of one
that was stopped would be a fall from then on, since no plan accounts for it any more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

FRESH = 5
"""readings that are kept as they came"""
ENOUGH = 4
"""readings from which on a slope means something"""
NEAR, STEP = 30.0, 1.5
"""seconds of the short window, and between two of its marks"""
FAR, BLOCK = 600.0, 10.0
"""seconds of the long window, and of the blocks of which the lowest mark is kept"""
SEEN = 180.0
"""seconds from which on the long window says anything: three parts of a minute"""
GAP = 60.0
"""seconds without a reading after which nothing that was before counts"""
STILL = 30.0
"""seconds without a new low after which a fall is over, if its lows did not come farther apart before"""
NOISE = 3.0
"""a fall counts where it is so many times what the readings scatter by"""


@dataclass(frozen=True, slots=True)
class Mark:
    """One reading. `at` is monotonic; sizes in bytes."""

    at: float
    available: float
    swap_free: float
    used: Mapping[str, float]
    """service id -> what it uses; those that nobody knows of are left out"""
    foreign: float = 0.0
    level: float = 0.0
    """what is left once everything has taken what its plan says, and without the reserve; below 0 where that is more
    than there is"""
    unread: tuple[str, ...] = ()
    """services that ran, and whose use was not read"""
    swapped: Mapping[str, float] = field(default_factory=dict)
    """service id -> what of `used` is in swap; those that have something there"""
    unproved: float = 0.0
    """what of `used` is not in use any more: no control group said so, but the engine, a while ago"""

    def held(self, service: str) -> float:
        """What a service held in RAM."""
        return self.used.get(service, 0.0) - self.swapped.get(service, 0.0)


@dataclass(frozen=True, slots=True)
class Gone:
    """Services that went at about the same time, and run no more."""

    at: float
    plans: Mapping[str, tuple[float, float]]
    """service id -> (its plan, 0 where nobody knew; when it ran last)"""
    held: float
    """what they held in RAM when they were read last"""
    foreign: float
    """what was no service's then"""
    back: float = 0.0
    """part of it that came back so far: a large container's memory takes seconds, and shared memory may stay"""

    def then(self, mark: Mark) -> "Gone":
        """With one more reading."""
        owed = max(0.0, mark.foreign - self.foreign)
        back = max(self.back, 1 - owed / self.held) if self.held > 0 else 1.0
        return self if back == self.back else replace(self, back=back)


Pick = Callable[[Mark], float]
"""what of a mark is looked at"""


@dataclass(frozen=True, slots=True)
class History:
    """The three windows, each oldest first, under the plans that hold now."""

    fresh: tuple[Mark, ...] = ()
    near: tuple[Mark, ...] = ()
    far: tuple[Mark, ...] = ()
    plans: Mapping[str, float] | None = None
    reserve: float = 0.0
    gone: tuple[Gone, ...] = ()

    @property
    def newest(self) -> Mark | None:
        """The latest reading."""
        return self.fresh[-1] if self.fresh else None

    def under(self, plans: Mapping[str, float], reserve: float) -> "History":
        """The same readings under these plans (service id -> bytes, of what runs; 0 where nobody knows)."""
        if plans == self.plans and reserve == self.reserve:
            return self
        return replace(self, plans=dict(plans), reserve=reserve, gone=self._left(plans))._levelled()

    def then(self, mark: Mark) -> "History":
        """With one more reading; the same where its time is not later than the last one's."""
        last = self.newest
        if last is not None and mark.at <= last.at:
            return self
        if last is not None and mark.at - last.at > GAP:
            return History(plans=self.plans, reserve=self.reserve).then(mark)
        found = self
        gone = tuple(one.then(mark) for one in self.gone)
        if gone != self.gone:
            found = replace(self, gone=gone)._levelled()
        mark = found._level(mark)
        if any(one.unread for one in found._all()):
            found = found._filled(mark.used)
        return found._with(mark)

    def _level(self, mark: Mark) -> Mark:
        return _levelled(mark, self.plans or {}, self.reserve, self.gone)

    def _levelled(self) -> "History":
        return self._each(self._level)

    def _each(self, made: Callable[[Mark], Mark]) -> "History":
        return replace(
            self, fresh=tuple(map(made, self.fresh)), near=tuple(map(made, self.near)), far=tuple(map(made, self.far))
        )

    def _left(self, plans: Mapping[str, float]) -> tuple[Gone, ...]:
        """Who is gone under these plans."""
        newest, before = self.newest, self.plans or {}
        if newest is None or not (self.gone or any(name not in plans for name in before)):
            return ()
        last = {name: mark for mark in (*self.far, *self.near, *self.fresh) for name in mark.used}
        found = []
        for one in self.gone:
            still = {name: plan for name, plan in one.plans.items() if name in last and name not in plans}
            if still:
                found.append(one if len(still) == len(one.plans) else replace(one, plans=still))
        went = {name: (plan, newest.at) for name, plan in before.items() if name in last and name not in plans}
        if not went:
            return tuple(found)
        held = sum(last[name].held(name) for name in went)
        foreign = min(last[name].foreign for name in went)
        if found and found[-1].back < 1 and newest.at - found[-1].at <= NEAR:
            # what these give back cannot be told from what the ones before still have to
            one = found.pop()
            went, held, foreign = {**one.plans, **went}, one.held + held, min(one.foreign, foreign)
        return (*found, Gone(newest.at, went, held, foreign))

    def _all(self) -> tuple[Mark, ...]:
        return (*self.fresh, *self.near, *self.far)

    def _filled(self, used: Mapping[str, float]) -> "History":
        """With what was not read at the time taken as it is read now: not known is not nothing, and a reading that
        counted it so would be the deepest of all, beside which no fall is ever new."""

        def known(mark: Mark) -> Mark:
            now = {name: used[name] for name in mark.unread if name in used}
            if not now:
                return mark
            rest = tuple(name for name in mark.unread if name not in now)
            return self._level(replace(mark, used={**mark.used, **now}, unread=rest))

        return self._each(known)

    def _with(self, mark: Mark) -> "History":
        fresh = tuple(one for one in (*self.fresh, mark)[-FRESH:] if mark.at - one.at <= NEAR)
        near = tuple(one for one in self.near if mark.at - one.at <= NEAR)
        if not near or mark.at - near[-1].at >= STEP:
            near = (*near, mark)
        return replace(self, fresh=fresh, near=near, far=_lowest(self.far, mark))

    def line(self) -> tuple[Mark, ...]:
        """The short window with the newest reading at its end."""
        newest = self.newest
        return self.near if newest is None or self.near[-1].at == newest.at else (*self.near, newest)


def _levelled(mark: Mark, plans: Mapping[str, float], reserve: float, gone: Sequence[Gone] = ()) -> Mark:
    level = mark.available - reserve
    for service, plan in plans.items():
        used = mark.used.get(service, 0.0)
        if used < plan and service not in mark.unread:
            level -= plan - used
    back = 0.0
    for one in gone:
        for service, (plan, until) in one.plans.items():
            used = mark.used.get(service, 0.0)
            back += one.back * mark.held(service)
            if mark.at <= until and used < plan and service not in mark.unread:
                level -= (1 - one.back) * (plan - used)
    level += max(0.0, back - mark.unproved)
    return replace(mark, level=level)


def _lowest(far: tuple[Mark, ...], mark: Mark) -> tuple[Mark, ...]:
    """The long window with one more reading: the lowest of each block."""
    if far and far[-1].at // BLOCK == mark.at // BLOCK:
        return (*far[:-1], mark) if mark.level < far[-1].level else far
    return tuple(one for one in (*far, mark) if mark.at - one.at <= FAR)


# ------------------------------------------------------------ slopes


def slope(marks: Sequence[Mark], pick: Pick) -> float:
    """Bytes per second, by Theil and Sen: the median of the slopes between all pairs, which a wild reading, or a step
    at one end, does not move. 0 where too little is known."""
    if len(marks) < ENOUGH:
        return 0.0
    points = [(mark.at, pick(mark)) for mark in marks]
    slopes = sorted(
        (value - before) / (at - then)
        for place, (at, value) in enumerate(points)
        for then, before in points[:place]
        if at > then
    )
    return median(slopes)


def median(ordered: Sequence[float]) -> float:
    """The middle of sorted numbers; 0 of none."""
    if not ordered:
        return 0.0
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def fall(marks: Sequence[Mark], pick: Pick) -> float:
    """Bytes per second at which it falls, where that is plainly more than how the readings scatter; else 0."""
    rate = -slope(marks, pick)
    if rate <= 0:
        return 0.0
    first = marks[0]
    off = [pick(mark) + rate * (mark.at - first.at) for mark in marks]
    middle = median(sorted(off))
    scatter = median(sorted(abs(one - middle) for one in off))
    return rate if rate * (marks[-1].at - first.at) > NOISE * scatter else 0.0


def short_fall(history: History, pick: Pick) -> float:
    """How fast it falls at this moment: by the latest readings and by the half minute, the faster of both; 0 where the
    latest ones do not fall."""
    latest = -slope(history.fresh, pick)
    if latest <= 0:
        return 0.0
    return max(fall(history.fresh, pick), fall(history.line(), pick))


def new_low(history: History, pick: Pick) -> bool:
    """Whether it is lower than it ever was before the half minute that is looked at."""
    newest = history.newest
    if newest is None:
        return False
    return all(pick(newest) <= pick(mark) for mark in history.far if newest.at - mark.at > NEAR)


def long_fall(history: History, pick: Pick) -> tuple[float, float]:
    """(bytes per second, the lowest it came to) over the long window: its lowest points in three parts, each lower
    than the one before; the slower of both falls counts. (0, …) where it does not fall, too little is known, or no new
    low has come for longer than they use to take."""
    newest, far = history.newest, history.far
    if newest is None or not far or newest.at - far[0].at < SEEN:
        return 0.0, 0.0
    part = (newest.at - far[0].at) / 3
    lows: list[float] = []
    for number in range(3):
        begins = far[0].at + number * part
        inside = [pick(mark) for mark in far if begins <= mark.at <= begins + part]
        if not inside:
            return 0.0, 0.0
        lows.append(min(inside))
    rate = min(lows[0] - lows[1], lows[1] - lows[2]) / part
    if rate <= 0 or _is_still(far, newest, pick):
        return 0.0, lows[2]
    return rate, lows[2]


def _is_still(far: Sequence[Mark], newest: Mark, pick: Pick) -> bool:
    """Whether no new low came for longer than new lows took so far (the longest wait but the first)."""
    lowest, last, waits = pick(far[0]), far[0].at, [0.0]
    for mark in (*far[1:], newest):
        if pick(mark) < lowest:
            waits.append(mark.at - last)
            lowest, last = pick(mark), mark.at
    return newest.at - last > max(STILL, 1.5 * max(waits[2:], default=0.0))


# ------------------------------------------------------------ who grew


def growth(marks: Sequence[Mark], service: str) -> tuple[float, float, float]:
    """(bytes per second, from how much, in how many seconds) a service grew from one end of these marks to the other;
    each end is the middle of up to three readings. Zeroes where too little is known."""
    if len(marks) >= 6:
        found = _ends(marks, service)
        if found is not None:
            return found
    begins, ends = _end(marks, service), _end(marks[::-1], service)
    if not begins or not ends or begins[0][0] >= ends[0][0]:
        return 0.0, 0.0, 0.0
    first, last = begins[0], ends[0]
    if begins[-1][0] > ends[-1][0]:
        begins, ends = begins[:1], ends[:1]  # so few that both ends would be the same ones
    (since, low), (until, high) = _middle(begins), _middle(ends)
    return (high - low) / (until - since) if until > since else 0.0, first[1], last[0] - first[0]


def _ends(marks: Sequence[Mark], service: str) -> tuple[float, float, float] | None:
    """`growth` where the three readings at either end all know of it, which is nearly always; else None."""
    one, two, three = marks[0], marks[1], marks[2]
    four, five, six = marks[-3], marks[-2], marks[-1]
    try:
        first, low, other = one.used[service], two.used[service], three.used[service]
        then, high, last = four.used[service], five.used[service], six.used[service]
    except KeyError:
        return None
    if first == low == other == then == high == last:  # it stands still, as most do
        return 0.0, first, six.at - one.at
    rise = sorted((then, high, last))[1] - sorted((first, low, other))[1]
    return rise / (five.at - two.at), first, six.at - one.at


def _end(marks: Sequence[Mark], service: str) -> list[tuple[float, float]]:
    """The first three readings that know of it, with their times."""
    found: list[tuple[float, float]] = []
    for mark in marks:
        size = mark.used.get(service)
        if size is not None:
            found.append((mark.at, size))
            if len(found) == 3:
                break
    return found


def _middle(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    if len(points) == 1:
        return points[0]
    return points[len(points) // 2][0], median(sorted(size for _at, size in points))


def long_growth(history: History, service: str) -> tuple[float, float, float]:
    """The same over the long window, by the largest it came to in its first and in its last third: a heap that is
    filled and cleaned up does not grow."""
    newest = history.newest
    known = [mark for mark in history.far if service in mark.used]
    if newest is None or not known or newest.at - known[0].at < SEEN:
        return 0.0, 0.0, 0.0
    part = (newest.at - known[0].at) / 3
    first = [mark.used[service] for mark in known if mark.at - known[0].at <= part]
    last = [mark.used[service] for mark in known if newest.at - mark.at <= part]
    if not first or not last:
        return 0.0, 0.0, 0.0
    return (max(last) - max(first)) / (2 * part), max(first), 2 * part
