"""The memory budget as a document: of the whole machine, and of one service.

In: facts.Snapshot (its budget and what is held). Out: plain JSON, as part of the documents of host and container. Sizes
are bytes, durations seconds. What moves all the time is rounded, so that a document does not change with every page
that somebody takes; a plan, and what is declared, is told to the byte.
"""

import math

from supervisor.facts import Json, MemoryBudget, ServiceMemory, Snapshot
from supervisor.units import iso
from supervisor.views.words import json_number

STEPS = 512
"""a size that moves is told in steps of a 512th to a 1024th of itself"""
RATES = 32
"""the same of a rate"""
_DIGITS = 2
"""leading digits of a duration"""


def budget_document(snapshot: Snapshot) -> Json | None:
    """What there is, what is planned and used, and until when it lasts; None until memory was read once. `lasts`:
    seconds, None while it does not run out."""
    budget = snapshot.budget
    if budget is None:
        return None
    plans = math.fsum(part.plan for part in budget.services if part.running)
    planned = plans + _whole(budget.planned - plans)  # to the byte, but for what has no plan
    return {
        "total": json_number(budget.total),
        "reserve": json_number(budget.reserve),
        "planned": json_number(planned),
        "headroom": json_number(budget.total - budget.reserve - planned),
        "available": coarse(budget.available),
        "effective": coarse(budget.effective),
        "lasts": {kind: _lasts(budget, kind) for kind in ("ram", "swap")},
        "at_risk": [one.resource for one in budget.exhaustion if one.certain],
        "culprit": budget.culprit,
        "text": budget.text,
        "swap": {
            "declared": json_number(budget.swap_declared),
            "total": json_number(budget.swap_total),
            "free": coarse(budget.swap_free),
        },
        "nodes": [
            {"node": node, "total": json_number(total), "free": coarse(free)}
            for node, (total, free) in sorted(budget.nodes.items())
        ],
    }


def part_document(service: str, snapshot: Snapshot) -> Json | None:
    """One service's part of it; None where nobody knows. `plan` is None where there is none, `used` and `resident`
    where they cannot be read; `left`: what it may still take by its plan. `fuse`: from where on it is slowed down, 0
    for nowhere."""
    part = snapshot.budget.of(service) if snapshot.budget is not None else None
    if part is None:
        return None
    used = _whole(part.used)
    held = any((hold.service, hold.kind) == (service, "freeze") for hold in snapshot.holds)
    return {
        "plan": json_number(part.plan) if part.plan else None,
        "source": part.source,
        "used": None if part.unread else used,
        "resident": None if part.unread else coarse(part.resident),
        "swap": coarse(part.swap),
        "limit": json_number(part.limit),
        "over": json_number(max(0.0, used - part.plan) if part.plan else 0.0),
        "left": json_number(max(0.0, part.plan - used)),
        "growth": coarse(part.growth, RATES),
        "loading": part.loading,
        "culprit": bool(snapshot.budget and snapshot.budget.culprit == service),
        "frozen": part.frozen or held,
        "frozen_until": _until(part, "freeze", snapshot),
        "fuse": json_number(part.fuse),
        "fuse_until": _until(part, "fuse", snapshot),
        "nodes": {str(node): coarse(size) for node, size in sorted(part.nodes.items())},
    }


def sources_document(snapshot: Snapshot) -> list[Json]:
    """How we hear about memory: what works here, and what could be done about the rest."""
    return [{"name": one.name, "live": one.live, "text": one.text, "cure": one.cure} for one in snapshot.sources]


def _lasts(budget: MemoryBudget, resource: str) -> float | int | str | None:
    found = next((one.seconds for one in budget.exhaustion if one.resource == resource), math.inf)
    return leading(found) if math.isfinite(found) else None


def _until(part: ServiceMemory, kind: str, snapshot: Snapshot) -> str:
    """When a hold ends by itself at the latest; the time that has not come for none of ours."""
    return iso(next((hold.until for hold in snapshot.holds if (hold.service, hold.kind) == (part.service, kind)), 0.0))


def coarse(size: float, steps: int = STEPS) -> float | int | str:
    """A size in steps of itself divided by `steps` (to twice as many), whole bytes."""
    if not math.isfinite(size) or not size:
        return json_number(size)
    step = max(1.0, 2.0 ** (math.frexp(size)[1] - 1) / steps)
    return json_number(float(round(size / step)) * step)


def _whole(size: float) -> float:
    """The same as a number: what is reckoned from it comes out as a reader would reckon it."""
    found = coarse(size)
    return found if isinstance(found, int | float) else 0.0


def leading(value: float) -> float | int | str:
    """A number with its first two digits only."""
    if not math.isfinite(value) or not value:
        return json_number(value)
    return json_number(round(value, _DIGITS - 1 - math.floor(math.log10(abs(value)))))
