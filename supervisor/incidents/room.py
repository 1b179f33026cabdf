"""Memory, before anything is done: does it fit, and does it spare whoever keeps to its plan?

In: an intent, its service and the World with the budgets of this turn, of the machine's memory and of its GPUs'. Out:
the refusal with the sum, or with the figures. The guard asks here for rules and people, permit.py once more before a
plan touches anything. An override lifts the sum; nothing lifts what a plan protects: whoever keeps to it is not made to
pay for somebody else's leak.
"""

from collections.abc import Mapping

from supervisor.facts import Container, Intent, MemoryBudget, Service, ServiceMemory
from supervisor.gpu import budget as vram
from supervisor.incidents import slots
from supervisor.incidents.locks import starts
from supervisor.incidents.world import World
from supervisor.memory.budget import beyond, fits
from supervisor.memory.words import speaking
from supervisor.verbs import HOLDS
from supervisor.verdicts import Reason, Verdict, no

LOOK_AGAIN = 30.0
"""seconds until a start for which there is no room is looked at again, whatever else changes"""
SPARED = ("freeze", "fuse", "reclaim")
"""verbs that a rule may aim only at who uses more than planned"""


def no_room(intent: Intent, service: Service, container: Container, chosen: str, world: World) -> Verdict | None:
    """The refusal of a start that does not fit; None where it does, or nobody knows what it needs. `chosen`: the image
    it goes to. What runs counts already, so to start it anew needs room only for what its plan grows by."""
    budget = world.memory
    if budget is None or intent.override or not starts(intent.verb, dict(intent.params)):
        return None
    need = needed(service, chosen or container.image_id, budget)
    part = budget.of(service.id)
    if part is not None and part.running and need <= part.claim:
        return None
    verdict = fits(service.id, need, budget, _coming(service.id, world, budget))
    return None if verdict.ok else verdict


def no_vram(intent: Intent, service: Service, world: World) -> Verdict | None:
    """The refusal of a start for which a card has no room, with the card's sum; None where it fits, or nobody knows."""
    if world.vram is None or intent.override or not starts(intent.verb, dict(intent.params)):
        return None
    verdict = vram.fits(service, world.vram, _starting(service.id, world))
    return None if verdict.ok else verdict


def needed(service: Service, image_id: str, budget: MemoryBudget) -> float:
    """Bytes a service is to need of an image; 0 where nobody knows."""
    if service.needs.memory:
        return float(service.needs.memory)
    part = budget.of(service.id)
    return part.plans.get(image_id, 0.0) if part is not None else 0.0


def _coming(but: str, world: World, budget: MemoryBudget) -> dict[str, float]:
    """Service id -> bytes of those that an open plan is about to start."""
    found: dict[str, float] = {}
    for other in _starting(but, world):
        if other.container is not None:
            found[other.id] = needed(other, other.container.image_id, budget)
    return found


def _starting(but: str, world: World) -> tuple[Service, ...]:
    """Those that stand still and that an open plan is about to start. What a slot's model takes while the one before
    still runs is that one's room."""
    found: dict[str, Service] = {}
    for plan in world.plans:
        ident = slots.coming(plan, world) if slots.about(plan.service) else plan.service
        other = world.services.get(ident)
        starting = bool(plan.touches) or starts(plan.verb, dict(plan.params))
        if ident == but or other is None or not starting:
            continue
        if other.container is not None and not other.container.living:
            found[other.id] = other
    return tuple(found.values())


def spared(verb: str, params: Mapping[str, str], by_rule: bool, service: str, world: World) -> Verdict | None:
    """The refusal of what is done for want of memory to a service that keeps to its plan, with the figures.
    `over_plan=true` says the same for people; and what loads by its plan is neither frozen nor slowed down by anybody,
    since that frees nothing and spoils the load."""
    asked = verb == "stop" and params.get("over_plan") == "true"
    if not asked and verb not in SPARED:
        return None
    budget = world.memory
    part = budget.of(service) if budget is not None else None
    if budget is not None and part is not None and verb in HOLDS and _loads_by_plan(part):
        text = f"{service} loads, and keeps to its plan ({_figures(part, budget)}): {verb} would only spoil the load."
        return no(Reason.WITHIN_PLAN, text)
    if not asked and not by_rule:
        return None
    if budget is None or part is None or part.unread:
        text = (
            f"Nobody knows what {service} uses now, so {_call(verb, asked)} is not done to it for want of memory; "
            "`resurgam doctor` says what cannot be read."
        )
        return no(Reason.NOT_READY, text)
    if not part.running:
        return None
    return _within(verb, asked, part, budget)


def _within(verb: str, asked: bool, part: ServiceMemory, budget: MemoryBudget) -> Verdict | None:
    """The refusal for one that keeps to its plan, or has none by which it could be judged."""
    call = f"{_call(verb, asked)} is not done to it for want of memory"
    if not part.plan:
        if not part.loading and (not asked or budget.culprit == part.service):
            return None
        why = "has no memory plan and still loads" if part.loading else "has no memory plan"
        text = f"{part.service} {why}, so {call}; declare `memory` for it under `services:`."
        return no(Reason.WITHIN_PLAN, text)
    if beyond(part):
        return None
    text = f"{part.service} keeps to its plan ({_figures(part, budget)}), so {call}"
    return no(Reason.WITHIN_PLAN, f"{text}; `resurgam status` shows who uses more than planned.")


def _loads_by_plan(part: ServiceMemory) -> bool:
    return part.running and part.loading and part.plan > 0 and not part.unread and not beyond(part)


def _figures(part: ServiceMemory, budget: MemoryBudget) -> str:
    say = speaking(budget, part.plan if part.source == "declared" else 0.0)
    return f"{say(part.used)} of {say(part.plan)}"


def _call(verb: str, asked: bool) -> str:
    return f"{verb} over_plan=true" if asked else verb
