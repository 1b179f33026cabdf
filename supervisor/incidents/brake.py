"""The brake: where maneuver after maneuver fails on this host, something larger is wrong, and rules stop trying.

In: how the latest maneuvers ended (the book's memory keeps them, so a restart forgets nothing) and `brake:` of the
settings, `3 in 1h`. Out: whether it is on, and the refusal. It comes on with so many failures in the window; it goes
off when nothing failed for as long and the one try that is allowed then went well. Emergencies and people pass. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from supervisor import units
from supervisor.facts import Intent, Plan
from supervisor.incidents.words import until
from supervisor.incidents.world import Maneuver, World
from supervisor.verbs import VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no

FAILURES = (Reason.FAILED, Reason.ROLLED_BACK, Reason.DEGRADED)
KEPT = 128
"""maneuvers that are remembered; those that went well only where one that failed is"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the brake stands. `last`: the failure it counts from; `failed`: those that made it come on."""

    on: bool = False
    last: float = 0.0
    failed: tuple[Maneuver, ...] = ()


def after(known: Sequence[Maneuver], plan: Plan, outcome: Verdict, now: float) -> tuple[Maneuver, ...]:
    """The memory with one more plan that ended. One that touched nothing tells nothing."""
    if plan.phase == "before" or VERBS[plan.verb].internal:
        return tuple(known)
    if outcome.reason in FAILURES:
        return (*known, Maneuver(now, plan.id, plan.verb, plan.service, True))[-KEPT:]
    if not known or outcome.reason is not Reason.VERIFIED or not _disrupts(plan.verb, dict(plan.params)):
        return tuple(known)
    kept = known[:-1] if not known[-1].failed else known
    return (*kept, Maneuver(now, plan.id, plan.verb, plan.service, False))[-KEPT:]


def shifted(known: Sequence[Maneuver], seconds: float) -> tuple[Maneuver, ...]:
    """The wall clock jumped: what failed keeps its distance to now."""
    return tuple(replace(one, at=one.at + seconds) for one in known)


def standing(known: Sequence[Maneuver], limit: units.Budget) -> Standing:
    """How it stands after these, oldest first."""
    now = Standing()
    for one in sorted(known, key=lambda found: (found.at, found.plan)):
        if one.failed:
            recent = tuple(each for each in now.failed if one.at - each.at < limit.window)
            found = (*(now.failed if now.on else recent), one)
            now = Standing(now.on or (0 < limit.count <= len(found)), one.at, found)
        elif now.on and one.at - now.last >= limit.window:
            now = Standing()
    return now


def held(intent: Intent, world: World) -> tuple[Verdict, float | None] | None:
    """The refusal while the brake is on, with the instant at which one try is allowed."""
    if not _disrupts(intent.verb, dict(intent.params)):
        return None
    limit = world.settings.brake
    now = standing(world.maneuvers, limit)
    if not now.on:
        return None
    names = ", ".join(dict.fromkeys(f"{one.verb} {one.service}" for one in now.failed[-3:]))
    what = f"{len(now.failed)} maneuvers failed on this host (last: {names}), so something larger may be wrong"
    ready = now.last + limit.window
    if world.now < ready:
        text = f"{what}; rules start nothing more, but one try {until(ready, world.now)}. People's commands pass."
        return no(Reason.BRAKE, text), ready
    trying = next((plan for plan in world.plans if _disrupts(plan.verb, dict(plan.params))), None)
    if trying is None and not world.trying:
        return None  # half-open: this one shows whether it is over
    text = f"{what}; one try at a time now, and {trying.verb + ' ' + trying.service if trying else 'it'} is under way."
    return no(Reason.BRAKE, text), None


def _disrupts(verb: str, params: dict[str, str]) -> bool:
    return disturbance(verb, params) is Disturbance.DISRUPTIVE
