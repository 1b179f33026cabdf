"""The budget: who is to need how much, what is planned in sum, and whether one more fits. Pure.

From: facts.Service with what its control groups say, and the machine's sizes. To: facts.MemoryBudget, and the verdict
on a start with the sum as a person would write it. What a service is to need is declared (`memory`) or was learned from
its last good loads (learned.py).
"""

from collections.abc import Iterable, Mapping, Sequence

from supervisor.facts import GroupMemory, HostReading, MemoryBudget, Needs, Service, ServiceMemory
from supervisor.memory.words import speaking
from supervisor.units import Say
from supervisor.units import listed_sizes as listed
from supervisor.verdicts import Reason, Verdict, no, yes

SHARE, LEAST, MOST = 0.02, float(512 << 20), float(8 << 30)
"""the reserve where none is declared: this share of the machine's memory, within these bytes"""
SLACK = 0.01
"""part of a plan by which it may be exceeded without a word"""


def reserve_of(total: float, declared: float | None) -> float:
    """Bytes that no service may plan with."""
    return float(declared) if declared is not None else min(max(SHARE * total, LEAST), MOST)


def plan_of(needs: Needs, image_id: str, learned: Mapping[str, float]) -> tuple[float, str]:
    """(bytes, declared | learned); (0, '') where nobody knows. `learned`: image id -> bytes."""
    if needs.memory:
        return float(needs.memory), "declared"
    found = learned.get(image_id, 0.0)
    return (found, "learned") if found else (0.0, "")


def loads(service: Service, now: float, well: bool = False) -> bool:
    """Whether a service that runs is not past its load: not healthy yet, or younger than its startup. `well`: it was
    healthy in this run, so that what is wrong now (it stands frozen, perhaps) is no load."""
    container = service.container
    if container is None or not (service.healthy or well):
        return True
    return container.started_at > 0 and now - container.started_at < service.needs.startup


def part_of(
    service: Service,
    group: GroupMemory | None,
    learned: Mapping[str, float],
    now: float,
    otherwise: float | None = None,
    well: bool = False,
) -> ServiceMemory:
    """One service's part. `group`: of its container, None where none could be read. `otherwise`: what the engine says
    it uses then. `now` in unix seconds. `well`: it was healthy in this run."""
    container = service.container
    plan, source = plan_of(service.needs, container.image_id if container is not None else "", learned)
    running = container is not None and container.living
    if group is not None:
        resident = group.resident
        known: float | None = resident + group.swap
        found = group
    else:
        # one that is about to be started again holds nothing until then
        known = otherwise if container is not None and container.alive else 0.0
        resident = known or 0.0
        found = GroupMemory(anon=resident)
    return ServiceMemory(
        service.id,
        plan,
        source,
        used=known or 0.0,
        resident=resident,
        swap=found.swap,
        limit=found.limit,
        loading=running and loads(service, now, well),
        running=running,
        frozen=found.frozen,
        fuse=found.high,
        nodes=found.nodes,
        priority=service.needs.priority,
        unread=known is None,
        plans={} if service.needs.memory else learned,
    )


def total(sizes: Iterable[float]) -> float:
    """The sum of sizes, in their order."""
    found = 0.0
    for size in sizes:
        found += size
    return found


def budget_of(
    reading: HostReading, parts: Sequence[ServiceMemory], reserve: float, swap_declared: float, at: float
) -> MemoryBudget:
    """The sums, without any forecast. `parts` by service id."""
    memory = reading.memory
    whole, available = memory["MemTotal"], memory["MemAvailable"]
    return MemoryBudget(
        at=at,
        total=whole,
        reserve=reserve,
        planned=total(planned(one) for one in parts),
        available=available,
        effective=max(0.0, available - total(one.remaining for one in parts) - reserve),
        swap_total=memory.get("SwapTotal", 0.0),
        swap_free=memory.get("SwapFree", 0.0),
        swap_declared=swap_declared,
        services=tuple(parts),
        nodes=dict(reading.nodes),
        foreign=max(0.0, whole - available - total(group.resident for group in reading.groups.values())),
    )


def beyond(part: ServiceMemory) -> bool:
    """Whether it is plainly above its plan: readings scatter, and no plan is meant to the byte."""
    return part.over > SLACK * part.plan


def planned(part: ServiceMemory) -> float:
    """What of the machine's memory is planned for it; where it has no plan, what it uses."""
    return (part.plan or part.used) if part.running else 0.0


def fits(service: str, need: float, budget: MemoryBudget, coming: Mapping[str, float] | None = None) -> Verdict:
    """Whether a service that is to need so much may be started beside everything that runs. `coming`: service id ->
    bytes of those that are being started. What runs counts with its plan, or with what it takes where that is more;
    its own part does not count, since it makes place for itself. 0 needs nothing that we know of: it fits."""
    runs = [one for one in budget.services if one.running and one.service != service]
    starting = {name: size for name, size in sorted((coming or {}).items()) if name != service}
    claims = {one.service: max(one.claim, starting.pop(one.service, 0.0)) for one in runs} | starting
    system = max(budget.reserve, budget.foreign)
    free = budget.total - system - total(claims.values())
    if need <= 0 or need <= free:
        return yes(f"{service} fits: {_sum(service, need, budget, claims, free)}.")
    say = speaking(budget, need)
    text = f"{_sum(service, need, budget, claims, free)}: {say(need - free)} are missing."
    return no(Reason.NO_ROOM, f"{text} {_advice(service, need, free, budget, claims, say)}")


def _sum(service: str, need: float, budget: MemoryBudget, claims: Mapping[str, float], free: float) -> str:
    """`oracle needs 341 GB; of 384 GB 7.7 GB are the system's and 20 GB are planned (…), so 356.3 GB are free`."""
    say = speaking(budget, need)
    system, whose = budget.reserve, "are the system's"
    if budget.foreign > budget.reserve:
        system, whose = budget.foreign, "are in use by what is no service"
    over = [(one.service, one.over) for one in budget.services if one.running and one.service in claims]
    plain = {name: size - dict(over).get(name, 0.0) for name, size in claims.items()}
    parts = f" ({listed(plain.items(), say)})" if plain else ""
    more = total(size for _name, size in over)
    beyond = f", {say(more)} are in use beyond that ({listed(over, say)})" if more else ""
    left = f"{say(free)} are free" if free > 0 else f"nothing is free, and {say(-free)} are missing already"
    return (
        f"{service} needs {say(need)}; of {say(budget.total)} {say(system)} {whose} and "
        f"{say(total(plain.values()))} are planned{parts}{beyond}, so {left}"
    )


def _advice(service: str, need: float, free: float, budget: MemoryBudget, claims: Mapping[str, float], say: Say) -> str:
    """What makes place, of those that matter least and can: one service whose end is enough, else the fewest."""
    most = budget.total - max(budget.reserve, budget.foreign)
    if need > most:
        return f"Even alone it has only {say(most)} here: let it need less, or declare less for it."
    priority = {one.service: one.priority for one in budget.services}
    ordered = sorted(claims, key=lambda name: (priority.get(name, 0), claims[name], name))
    able = ordered
    for level in sorted({priority.get(name, 0) for name in ordered}):  # who is to be spared longer is not asked yet
        able = [name for name in ordered if priority.get(name, 0) <= level]
        if total(claims[name] for name in able) >= need - free:
            break
    chosen = [name for name in able if claims[name] >= need - free][:1]
    if not chosen:
        for name in sorted(able, key=lambda name: (priority.get(name, 0), -claims[name], name)):
            chosen.append(name)
            free += claims[name]
            if need <= free:
                break
    return f"Stop {' and '.join(chosen)} first, or start it all the same with `--override REASON`."
