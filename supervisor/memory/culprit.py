"""Who is to blame while memory runs out, and the one sentence about it. Pure.

From: a History (trend.py), the budget's services and the standings of RAM and swap (forecast.py). To:
MemoryBudget.culprit and MemoryBudget.text. It is never the largest that is named, but the one that grew most of those
above their plan; whoever keeps to its plan, or is not past its first load, is never it. Where none of our services
grows beyond its plan nobody is named, and the sentence says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import MemoryBudget, ServiceMemory
from supervisor.memory.budget import beyond
from supervisor.memory.forecast import Outlook, Standing
from supervisor.memory.trend import History, growth, long_growth
from supervisor.memory.words import speaking
from supervisor.units import Say
from supervisor.units import listed_sizes as listed

WORTH = 0.05
"""part of the fall from which on somebody's growth may be behind it"""
MATTERS = 0.0005
"""part of the machine's memory that somebody must have grown by"""


@dataclass(frozen=True, slots=True)
class Growth:
    """How one service grew: bytes per second, from how much, in how many seconds."""

    service: str
    rate: float
    begun: float
    seconds: float


def suspect(part: ServiceMemory) -> bool:
    """Whether a service may be to blame at all: it is plainly above its plan; or it has none and is past its load."""
    if not part.running or part.unread:
        return False
    return beyond(part) if part.plan else not part.loading


def blamed(parts: Sequence[ServiceMemory], history: History, outlook: Outlook, total: float) -> Growth | None:
    """The suspect that grew most; None where none of them grew by a good part of the fall, and by something that
    matters on a machine of `total` bytes: where nothing is left and all holds still, scatter is nobody's fault. Where
    the long window tells of the fall, that is where to look first: a heap that is being filled grows faster than any
    leak, for a minute; else with the latest readings. Equal ones: the lowest priority, then the id."""
    suspects = [part for part in parts if suspect(part)]
    least, lasting = WORTH * outlook.rate, outlook.lasting
    windows = (long_growth, _near, _fresh) if lasting else (_fresh, _near, long_growth)
    for window in windows:
        found = [
            (-made.rate, part.priority, part.service, made)
            for part in suspects
            for made in (Growth(part.service, *window(history, part.service)),)
            if made.rate > least and made.rate * made.seconds > MATTERS * total
        ]
        if found:
            return min(found, key=lambda one: one[:3])[3]
    return None


def _fresh(history: History, service: str) -> tuple[float, float, float]:
    return growth(history.fresh, service)


def _near(history: History, service: str) -> tuple[float, float, float]:
    return growth(history.line(), service)


def sentence(budget: MemoryBudget, ram: Standing, swap: Standing, grown: Growth | None, history: History) -> str:
    """What happens and because of whom, in one sentence or two; '' while the end of nothing is certain."""
    if not (ram.certain or swap.certain):
        return ""
    say = speaking(budget)
    what, first = (_ends("Memory", ram, say), ram) if ram.certain else (_ends("Swap", swap, say), swap)
    over = grown is None and not math.isfinite(first.outlook.seconds)
    found = [f"{what}." if over else f"{what}: {_who(budget, grown, history, say)}."]
    if ram.certain and swap.certain:
        found.append(f"{_ends('Swap', swap, say)}.")
    inside = swapped(budget.services, say)
    if inside:
        found.append(f"In swap: {inside}.")
    return " ".join(found)


def swapped(parts: Sequence[ServiceMemory], say: Say) -> str:
    """Who is in swap, the most first: `oracle 12 GiB, qdrant 1 GiB`; '' for nobody."""
    return listed([(part.service, part.swap) for part in parts if part.running], say, most=5)


def _ends(what: str, standing: Standing, say: Say) -> str:
    seconds = standing.outlook.seconds
    if not math.isfinite(seconds):
        return f"{what} was about to run out, and does not fall any more"
    if standing.outlook.free <= 0 and seconds < 1:
        return "All memory is taken or planned" if what == "Memory" else f"{what} is used up"
    rate = f" at {say(standing.outlook.rate)} a second" if standing.outlook.rate > 0 else ""
    return f"{what} runs out in {units.show_duration(max(1, round(seconds)))}{rate}"


def _who(budget: MemoryBudget, grown: Growth | None, history: History, say: Say) -> str:
    if grown is not None:
        part = budget.of(grown.service)
        assert part is not None
        plan = "it has no plan: declare `memory` for it"
        if part.plan:
            plan = f"{say(part.over)} over its plan of {say(part.plan)}"
        return f"{_grew(grown.service, grown.begun, part.used, grown.seconds, say)}, {plan}"
    loading = [part for part in budget.services if part.running and part.loading]
    takes = [part for part in loading if part.remaining > budget.available - budget.reserve]
    if takes:
        one = takes[0]
        return (
            f"{one.service} loads and still needs {say(one.remaining)} by its plan, but only "
            f"{say(max(0.0, budget.available - budget.reserve))} are there; stop it, or something else"
        )
    grew = _nearly(loading, history)
    if grew is not None:
        part = budget.of(grew.service)
        assert part is not None
        return (
            f"{_grew(grew.service, grew.begun, part.used, grew.seconds, say)}, but it still loads and nobody knows how "
            "much it needs: declare `memory` for it"
        )
    marks = history.far if history.far and history.far[-1].at - history.far[0].at > 60 else history.line()
    if len(marks) >= 2 and marks[-1].foreign > marks[0].foreign:
        seconds = marks[-1].at - marks[0].at
        return (
            "no service of ours grows beyond its plan; "
            f"{_grew('what is no service', marks[0].foreign, marks[-1].foreign, seconds, say)}: "
            "look with `ps aux --sort=-rss`"
        )
    return "no service of ours grows beyond its plan; look with `resurgam status` and `ps aux --sort=-rss`"


def _nearly(loading: Sequence[ServiceMemory], history: History) -> Growth | None:
    """The one of those that load without a plan that grew most."""
    found = [Growth(part.service, *growth(history.line(), part.service)) for part in loading if not part.plan]
    grew = [one for one in found if one.rate > 0]
    return min(grew, key=lambda one: (-one.rate, one.service), default=None)


def _grew(name: str, begun: float, now: float, seconds: float, say: Say) -> str:
    return f"{name} grew from {say(begun)} to {say(now)} in {units.show_duration(round(seconds))}"
