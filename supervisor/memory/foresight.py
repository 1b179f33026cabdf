"""One reading after another: the sums of a reading, with what its history says of the end of memory. Pure values.

From: budget.budget_of, one per reading, with its monotonic time. To: the same budget with exhaustion, growth, culprit
and sentence; and the Foresight that the next reading goes on from.
"""

from dataclasses import dataclass, field, replace

from supervisor.facts import Exhaustion, MemoryBudget, ServiceMemory
from supervisor.memory import culprit, forecast
from supervisor.memory.budget import total
from supervisor.memory.trend import History, Mark, growth


@dataclass(frozen=True, slots=True)
class Foresight:
    """What is remembered from reading to reading. Empty at the start: then nothing is foreseen until enough came."""

    history: History = field(default_factory=History)
    ram: forecast.Standing = field(default_factory=forecast.Standing)
    swap: forecast.Standing = field(default_factory=forecast.Standing)
    total: float = 0.0
    named: str = ""
    """the culprit of the last reading"""


def foresee(before: Foresight, sums: MemoryBudget, mono: float, horizon: float) -> tuple[Foresight, MemoryBudget]:
    """One more reading. `sums`: its budget without any forecast. `horizon`: seconds within which an end counts."""
    parts = sums.services
    plans = {part.service: 0.0 if part.unread else part.plan for part in parts if part.running}
    history = before.history if before.total == sums.total else History()  # its limit was moved: another machine
    history = history.under(plans, sums.reserve).then(_mark(sums, mono))
    ram = forecast.ram(before.ram, history, horizon)
    swap = forecast.swap(before.swap, history, horizon) if sums.swap_total else forecast.Standing()
    line = history.line()
    made = replace(
        sums,
        services=tuple(_growing(part, growth(line, part.service)) for part in parts),
        # the memory of a large container is given back for seconds after its group is gone: that is no program's use
        foreign=min(one.foreign for one in line),
        exhaustion=(_shown("ram", ram, sums.at, mono), _shown("swap", swap, sums.at, mono)),
    )
    grown = _blamed(before, made, history, ram if ram.certain else swap, mono)
    made = replace(
        made,
        culprit=grown.service if grown is not None else "",
        text=culprit.sentence(made, ram, swap, grown, history),
    )
    return Foresight(history, ram, swap, sums.total, made.culprit), made


def _mark(sums: MemoryBudget, mono: float) -> Mark:
    parts = [part for part in sums.services if not part.unread]
    used = {part.service: part.used for part in parts}
    swapped = {part.service: part.swap for part in parts if part.swap}
    unread = tuple(part.service for part in sums.services if part.unread and part.running)
    # the groups' own sum is what is in use less what is foreign: the rest has only the engine's word, which may be old
    told = total(used.values()) - total(swapped.values())
    unproved = max(0.0, told - max(0.0, sums.total - sums.available - sums.foreign))
    return Mark(mono, sums.available, sums.swap_free, used, sums.foreign, 0.0, unread, swapped, unproved)


def _blamed(
    before: Foresight, made: MemoryBudget, history: History, standing: forecast.Standing, mono: float
) -> culprit.Growth | None:
    """Who is to blame; while it only lingers, or stands frozen, whoever was."""
    if not standing.certain:
        return None
    named = made.of(before.named) if before.named else None
    if named is not None and culprit.suspect(named) and (named.frozen or standing.last < mono):
        return culprit.Growth(named.service, named.growth, named.grew_from, named.grew_for)
    return culprit.blamed(made.services, history, standing.outlook, made.total)


def _growing(part: ServiceMemory, grown: tuple[float, float, float]) -> ServiceMemory:
    """The part with its growth. Written out, since this is done for each service at each reading."""
    rate, begun, seconds = grown
    if seconds <= 0:
        return part
    return ServiceMemory(
        part.service,
        part.plan,
        part.source,
        part.used,
        part.resident,
        part.swap,
        part.limit,
        rate,
        begun,
        seconds,
        part.loading,
        part.running,
        part.frozen,
        part.fuse,
        part.nodes,
        part.priority,
        part.unread,
        part.plans,
    )


def _shown(resource: str, standing: forecast.Standing, at: float, mono: float) -> Exhaustion:
    since = at - (mono - standing.since) if standing.since is not None else 0.0
    found = standing.outlook
    return Exhaustion(resource, found.seconds, found.free, found.rate, since, standing.certain)
