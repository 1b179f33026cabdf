"""When another model takes a slot because its holder is gone, and when the first choice is tried again. Pure.

From: the slot as it is declared and as it stands, the holder's service, what is kept. To: core/standins.py.
"""

from collections.abc import Mapping

from supervisor.facts import SLOT, ServerLook, Service, Slot, SlotModel
from supervisor.facts.slots import FAILED, UNLOADED
from supervisor.slots.kept import StandIn

LOOPS = 3
"""deaths in a row from which on the engine's own restarts are no hope any more"""
_RULES = ("rule:", "playbook:", "quiesce:")


def stopped_by_rule(service: Service) -> bool:
    """Whether a rule, and no person, wants it down."""
    return service.wanted.state == "stopped" and service.wanted.by.startswith(_RULES)


def stays_down(service: Service) -> bool:
    """Whether somebody wants it down who is neither a rule nor the slot's own business: a person. Nobody stands in for
    what was stopped on purpose."""
    wanted = service.wanted
    ours = wanted.by.startswith(SLOT) or stopped_by_rule(service)
    return wanted.state == "stopped" and not ours


def down(model: SlotModel, service: Service | None, look: ServerLook | None, failing: bool, now: float) -> bool:
    """Whether a model does not serve. One that loads is not down, unless it keeps dying; nor is one of which nobody
    knows. `failing`: its probe fails again and again; `look`: the newest word of its server."""
    if service is None:
        return look is not None and look.state in (FAILED, UNLOADED)
    box = service.container
    if box is None or not box.alive:
        return box is None or box.status != "restarting" or service.streak >= LOOPS
    if service.streak >= LOOPS and not service.healthy:
        return True
    loads = now - box.started_at < service.needs.startup
    if failing or box.health == "unhealthy":
        return not loads
    return model.inside and look is not None and look.state == FAILED


def candidates(
    slot: Slot, holder: str, tried: Mapping[str, float], mono: float, no_go: Mapping[str, str]
) -> tuple[str, ...]:
    """The models that may stand in, in their order: not the holder itself, none that was a NO-GO here, none that was
    tried lately (`tried`: model -> monotonic instant from which on it may be again)."""
    return tuple(
        name for name in slot.fallback if name != holder and not no_go.get(name) and tried.get(name, 0.0) <= mono
    )


def hand_back_at(slot: Slot, stand_in: StandIn) -> float:
    """Unix seconds from which on the first choice is tried again."""
    return max(stand_in.since, stand_in.tried) + slot.hand_back
