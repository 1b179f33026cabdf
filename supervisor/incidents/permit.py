"""May this plan take this step? Asked by the runner, through the core, before every step.

In: the plan as it stands, the step, the World of this turn and what the runner has just seen. Out: a verdict. While
nothing irreversible was begun, any good reason ends the plan; from then on it goes on to commit or rollback, unless a
person's hand is in it.
"""

from supervisor import units
from supervisor.facts import Container, Plan, Step
from supervisor.incidents import guard, machine, room, slots
from supervisor.incidents.world import World
from supervisor.services import OP_LABEL
from supervisor.verbs import HOLDS, VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no, yes

WORDLESS = "back_stop"
"""the step of the way back that anybody may take: the new container stops and is held down"""
HANDS_BACK = "back_aside"
"""the step from which on the old container gets the service, and its data, back"""
RESOLVED_KEY = "|resolved"
"""the end of an intent's key where the end of its alert is what it acts on"""


def may_step(plan: Plan, step: Step, world: World, seen: tuple[Container, ...]) -> Verdict:
    """Whether the plan may take this step. `seen`: inspects not older than the step's start."""
    if lets_go(plan):
        return yes()  # whatever else is paused, vetoed or ending: nothing stays held
    if step.back:
        return _back(plan, step, seen)
    if plan.phase == "before":
        refused = reason_to_end(plan, world)
        if refused is None and slots.about(plan.service):
            refused = slots.interfered(plan, seen, OP_LABEL)
        elif refused is None and plan.verb not in machine.MACHINE:
            refused = _as_found(plan, step, seen)
    else:
        refused = slots.interfered(plan, seen, OP_LABEL) if slots.about(plan.service) else _interfered(plan, seen)
    return refused if refused is not None else yes()


def _beneath(plan: Plan, world: World) -> Verdict | None:
    """Why a card's reset or a restart of the machine should end before it was begun; None if it may go on."""
    held_up = guard.standing(plan.service, world)
    if held_up is not None:
        return held_up.verdict
    if not _cause_holds(plan, world):
        return no(Reason.RESOLVED, "The alert behind it has ended before anything was touched.")
    refused = machine.switched_off(plan.verb, plan.service, world)
    if refused is None:  # a refusal counts as no, so `or` would pass it over
        refused = machine.busy(plan.verb, plan.service, world, plan.id)
    if refused is None and not plan.override:
        refused = guard.vetoed(plan.verb, dict(plan.params), plan.service, world)
    return refused


def _slot(plan: Plan, world: World) -> Verdict | None:
    """Why a plan of a slot should end before anything was touched; None if it may go on."""
    if disturbance(plan.verb, dict(plan.params)) is Disturbance.HARMLESS:
        return None  # a measurement: it changes nothing
    for ident in plan.services:
        held_up = guard.standing(ident, world)
        if held_up is not None:
            return held_up.verdict
    refused = slots.changed(plan, world)
    if refused is None and not _cause_holds(plan, world):
        refused = no(Reason.RESOLVED, "The alert behind it has ended before anything was touched.")
    for ident in plan.services if refused is None and not plan.override else ():
        refused = guard.vetoed(plan.verb, dict(plan.params), ident, world)
        if refused is not None:
            break
    return refused


def lets_go(plan: Plan) -> bool:
    """Whether it is a plan of our own that ends what we hold (core/holds.py)."""
    return plan.by == "resurgam" and plan.verb in HOLDS.values()


def needs_word(plan: Plan, seen: tuple[Container, ...]) -> bool:
    """Whether handing the service back to its old container needs a person's word: it keeps state, and a container of
    another image was started and may have changed it. `seen`: the new container, as it stands now."""
    data = plan.data()
    if not plan.needs.stateful or data.get("old_image") == data.get("new_image"):
        return False
    ran = any(container.id == data.get("new_id") and container.started_at > 0 for container in seen)
    return ran or bool(data.get("launched_start"))


def _back(plan: Plan, step: Step, seen: tuple[Container, ...]) -> Verdict:
    """The way back is open, except to data that the new version may have changed. A word that was given holds: the
    first step that follows it was begun then."""
    if step.name in (WORDLESS, "undo") or HANDS_BACK in plan.begun or not needs_word(plan, seen):
        return yes()
    text = (
        f"{plan.service} keeps state, and its new container ran on image "
        f"{units.short_image(str(plan.data().get('new_image')))} and may have changed it: "
        f"{plan.data().get('trouble') or 'it did not prove healthy'}. It is stopped now, and so is the old one (image "
        f"{units.short_image(str(plan.data().get('old_image')))}). Approve to start the old one on this data; deny to "
        "leave both as they are."
    )
    return no(Reason.NEEDS_APPROVAL, text)


def reason_to_end(plan: Plan, world: World) -> Verdict | None:
    """Why a plan that has not touched anything should end; None if it may go on."""
    if lets_go(plan):
        return None
    if plan.verb in machine.MACHINE:
        return _beneath(plan, world)
    if slots.about(plan.service):
        return _slot(plan, world)
    held_up = guard.standing(plan.service, world)
    if held_up is not None:
        return held_up.verdict
    service = world.services.get(plan.service)
    if service is None:
        return no(Reason.VANISHED, f"{plan.service} is gone.")
    if not service.owned.ok:
        return no(service.owned.reason, f"Nothing is done to {plan.service}: {service.owned.text}")
    if VERBS[plan.verb].internal or disturbance(plan.verb, dict(plan.params)) is Disturbance.HARMLESS:
        return None
    wanted = service.wanted
    if wanted.state == "stopped" and wanted.at > plan.created_at and not guard.stops(plan.verb, dict(plan.params)):
        who = wanted.by or "a person"
        return no(Reason.WANTED_STOPPED, f"{plan.service} was stopped on purpose meanwhile by {who}.")
    spared = room.spared(plan.verb, dict(plan.params), guard.by_rule(plan.by), plan.service, world)
    if spared is not None:
        return spared
    if not _cause_holds(plan, world):
        return no(Reason.RESOLVED, "The alert behind it has ended before anything was touched.")
    return None if plan.override else guard.vetoed(plan.verb, dict(plan.params), plan.service, world)


def _cause_holds(plan: Plan, world: World) -> bool:
    """A plan of a rule needs its alert still firing; one of a person has no cause that could end."""
    if not plan.key or not guard.by_rule(plan.by) or plan.key.endswith(RESOLVED_KEY):
        return True
    fingerprint = plan.key.split("|", 1)[0]
    return any(alert.fingerprint == fingerprint and alert.state == "firing" for alert in world.alerts)


def _as_found(plan: Plan, step: Step, seen: tuple[Container, ...]) -> Verdict | None:
    """The container must still be the one the plan found. Before the irreversible part it must have been seen."""
    for container in seen:
        if container.id == plan.container_id and container.name != plan.name:
            return no(Reason.INTERFERED, f"{plan.name} was renamed to {container.name} by someone else.")
        if container.id != plan.container_id and container.name == plan.name:
            return no(Reason.INTERFERED, f"The name {plan.name} belongs to another container now; it is left alone.")
    found = any(container.id == plan.container_id for container in seen)
    if not found and (seen or step.phase == "inside"):
        return no(Reason.VANISHED, f"The container {plan.name} that the plan found is gone; nothing was touched.")
    return None


def _interfered(plan: Plan, seen: tuple[Container, ...]) -> Verdict | None:
    """In the midst of it: the canonical name may only be with the container found, or with one this plan made."""
    made = {value for value in plan.data().values() if isinstance(value, str)}
    for container in seen:
        ours = container.id == plan.container_id or container.id in made or container.labels.get(OP_LABEL) == plan.op
        if container.name == plan.name and not ours:
            text = f"Someone else made a container called {plan.name} meanwhile; it is left alone."
            return no(Reason.INTERFERED, text)
    return None
