"""Slots as targets: which model a verb is about, and why it may not be done to it now. Pure.

In: an intent aimed at `slot:NAME`, the World with the slots as they are declared and as they stand. Out: refusals for
guard.py (may it begin?) and permit.py (may it go on?). Whether a model fits is the preflight's business, inside the
plan; whether anybody waits for its answer is the drain's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import SLOT, Container, Intent, ModelState, Plan, Service, SlotModel
from supervisor.facts.slots import ASLEEP, BESIDE, LOADED, LOADING, UNLOADED
from supervisor.incidents import locks
from supervisor.incidents.words import listed, until
from supervisor.incidents.world import SlotNow, World
from supervisor.slots.state import misnamed
from supervisor.verbs import OF_SLOTS, VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no

TAKES_PLACE = ("swap", "load", "wake")
"""verbs after which a model is in memory that was not"""
PUTS_AWAY = ("unload", "sleep")
_EACH = {"swap": "to"}
"""verb -> the parameter that names the model, where it is not `model`"""
PIVOT, LOOK = "pivot|", "look|"
"""what the key of an intent of ours begins with that goes back from probation | that only looks at its log"""


@dataclass(frozen=True, slots=True)
class Meant:
    """What an intent is about: the model it puts in place, or puts away; why it is not clear which, else None."""

    model: SlotModel | None
    verdict: Verdict | None = None


def about(target: str) -> bool:
    """Whether a target is a slot."""
    return target.startswith(SLOT)


def looks_on(by: str, key: str) -> bool:
    """Whether it is our own look at the log of a model on probation: no measurement, and no news."""
    return by == "resurgam" and key.startswith(LOOK)


def rather(service: str, other: str, slots: Mapping[str, SlotNow]) -> str:
    """The swap that brings the model of a service instead of that of another one (or of any, for ''): a bare start
    would put two onto one card. '' where no slot has both."""
    for now in slots.values():
        carried = {one.service: one.name for one in now.slot.models if one.service}
        if service in carried and (not other or other in carried):
            return f"`resurgam swap {now.slot.name} --to {carried[service]}`"
    return ""


def goes_back(intent: Intent) -> bool:
    """Whether it is the way back from probation."""
    return intent.by == "resurgam" and intent.key.startswith(PIVOT)


# ------------------------------------------------------------ which model


def meant(intent: Intent, now: SlotNow) -> Meant:
    """Which model of the slot it is about."""
    slot, verb = now.slot, intent.verb
    key = _EACH.get(verb, "model")
    word = intent.params.get(key, "")
    if word:
        found = slot.model(word)
        if found is not None:
            return Meant(found)
        names = listed(tuple(one.name for one in slot.models), 12)
        text = f"{slot.name} has no model {units.plain(word, 100)!r}; there are: {names}."
        return Meant(None, no(Reason.BAD_PARAMETER, text))
    names_left = _left_out(verb, now)
    if len(names_left) == 1:
        return Meant(slot.model(names_left[0]))
    if not names_left and verb != "swap":
        what = "sleeps" if verb == "wake" else f"holds {slot.name}"
        return Meant(None, no(Reason.NO_USE, f"No model {what} now{_why(now)}."))
    there = listed(tuple(one.name for one in slot.models if one.name != now.before), 12)
    return Meant(None, no(Reason.BAD_PARAMETER, f"Say which model of {slot.name} is meant (`{key}`): {there}."))


def _left_out(verb: str, now: SlotNow) -> tuple[str, ...]:
    """The models that may be meant where none is named."""
    if verb == "swap":
        return tuple(one.name for one in now.slot.models if one.name != now.before)
    if verb == "load":
        return (now.slot.models[0].name,)
    if verb == "wake":
        return tuple(one.name for one in now.state.models if one.state == ASLEEP)
    return (now.state.holder,) if now.state.holder else ()


def _why(now: SlotNow) -> str:
    return f" ({now.state.problem.rstrip('.')})" if now.state.problem else ""


def state_of(model: str, now: SlotNow) -> ModelState:
    """How a model of the slot stands."""
    return next((one for one in now.state.models if one.name == model), ModelState(model))


def works_on(verb: str, model: SlotModel, now: SlotNow) -> tuple[str, ...]:
    """Ids of the services that a plan of this verb works on: what leaves first."""
    leaves = now.slot.model(now.before) if verb == "swap" else None
    both = (leaves.service if leaves is not None else "", model.service)
    return tuple(dict.fromkeys(one for one in both if one))


# ------------------------------------------------------------ may it be done?


def unclear(intent: Intent, world: World) -> Verdict | None:
    """The refusal of what makes no sense: no such slot, no such verb for one, no such model."""
    now = world.slots.get(intent.target)
    if now is None:
        word = units.plain(intent.target.removeprefix(SLOT), 100)
        there = listed(tuple(one.slot.name for one in world.slots.values()))
        known = f"; there are: {there}" if there else "; slots are declared in resurgam.yaml under slots:"
        return no(Reason.NO_TARGET, f"There is no slot {word!r}{known}.")
    if intent.verb not in OF_SLOTS:
        return no(Reason.NO_TARGET, f"{intent.verb} is done to a service, and {now.slot.name} is a slot.")
    return meant(intent, now).verdict


def impossible(intent: Intent, world: World, *, by_rule: bool) -> tuple[Verdict, float | None] | None:
    """A refusal that comes from how the slot and its services stand, with the instant at which time alone may change
    it; None where it may be done."""
    now = world.slots[intent.target]
    model = meant(intent, now).model
    if model is None:
        return None
    done = _already(intent, model, now)
    if done is not None:
        return done, None
    for ident in works_on(intent.verb, model, now):
        refused = _service(intent, ident, model, now, world, by_rule=by_rule)
        if refused is not None:
            return refused, None
    if intent.verb in TAKES_PLACE:
        barred = _barred(intent, model, now, by_rule=by_rule)
        return (barred, None) if barred is not None else None
    return _stays(intent, model, now, world, by_rule=by_rule)


def _already(intent: Intent, model: SlotModel, now: SlotNow) -> Verdict | None:
    """It is so already: that is success, and nothing is done."""
    name, state = now.slot.name, state_of(model.name, now).state
    verb = intent.verb
    if verb == "swap" and now.state.holder == model.name:
        return no(Reason.ALREADY_DONE, f"{model.name} holds {name} already.")
    if verb in ("load", "wake") and state == LOADED:
        return no(Reason.ALREADY_DONE, f"{model.name} is loaded already.")
    if verb == "sleep" and state == ASLEEP:
        return no(Reason.ALREADY_DONE, f"{model.name} sleeps already.")
    if verb == "unload" and state == UNLOADED:
        return no(Reason.ALREADY_DONE, f"{model.name} is not loaded.")
    if verb == "bench" and state not in (LOADED, LOADING):
        alone = now.state.holder and now.slot.together == 1
        load = f"`resurgam swap {name} --to {model.name}`" if alone else f"`resurgam load {name} --model {model.name}`"
        return no(Reason.NO_USE, f"{model.name} is not loaded, so it cannot be measured; first: {load}.")
    if verb in ("sleep", "wake") and not model.sleep:
        text = f"{model.name} is not declared to sleep; say `sleep: 1` (or 2) for it in slots:, or unload it."
        return no(Reason.UNSUPPORTED, text)
    held = now.state.holder
    there = [one.name for one in now.state.models if one.name != model.name and one.state in (LOADED, LOADING)]
    if verb == "wake" and len(there) >= now.slot.together:
        text = f"{listed(tuple(there))} is in memory, and {name} has room for {now.slot.together}"
        return no(Reason.NO_ROOM, f"{text}; `resurgam swap {name} --to {model.name}`.")
    if verb == "load" and held and now.slot.together == 1:
        text = f"{held} holds {name}, which has room for one model; `resurgam swap {name} --to {model.name}`."
        return no(Reason.NO_ROOM, text)
    return None


def _service(
    intent: Intent, ident: str, model: SlotModel, now: SlotNow, world: World, *, by_rule: bool
) -> Verdict | None:
    """What a service it works on says against it."""
    service, target = world.services.get(ident), ident == model.service
    call = f"{intent.verb} {now.slot.name}"
    if service is None or service.container is None:
        if intent.verb == "keep" or not target or model.compose:
            return None
        if other := state_of(model.name, now).other:
            return no(Reason.VANISHED, f"{model.name} has no container: {misnamed(model, other)}")
        text = f"{model.name} has no container ({ident}), and no compose file is declared that it could be made from;"
        return no(Reason.VANISHED, f"{text} create it once, for example with `docker compose create`.")
    if intent.verb == "keep":
        return None
    if not service.owned.ok:
        return no(service.owned.reason, f"{call} is not done, since it works on {ident}: {service.owned.text}")
    if service.engine in world.absent:
        return no(Reason.ENGINE_ABSENT, f"The engine {service.engine!r} does not answer; {call} is looked at again.")
    wanted = service.wanted
    ours = wanted.by in ("", "resurgam") or wanted.by.startswith(SLOT)
    if by_rule and target and wanted.state == "stopped" and not ours and intent.verb in TAKES_PLACE:
        text = f"{ident} was stopped on purpose by {wanted.by}; rules leave it alone until a person starts it."
        return no(Reason.WANTED_STOPPED, text)
    return _alone(service, service.container, model, now, world) if target and intent.verb in TAKES_PLACE else None


def _alone(service: Service, box: Container, model: SlotModel, now: SlotNow, world: World) -> Verdict | None:
    """Who else has an exclusive word that it needs: what leaves the slot makes place, nobody else does."""
    if box.running:
        return None
    mine = locks.words(service.needs.exclusive, world.vram)
    for other_id in sorted(world.services):
        other = world.services[other_id]
        if other_id in works_on("swap", model, now) or other.container is None or not other.container.running:
            continue
        theirs = locks.words(other.needs.exclusive, world.vram)
        shared = [word for word in mine if word in theirs]
        if shared:
            text = f"{other_id} runs and has {shared[0]}, which {service.id} needs; stop {other_id} first."
            return no(Reason.LOCKED, text)
    return None


def _barred(intent: Intent, model: SlotModel, now: SlotNow, *, by_rule: bool) -> Verdict | None:
    """It was tried on this server image and failed. A person may ask for it again."""
    why = state_of(model.name, now).no_go
    if not why or (intent.params.get("again") == "true" and not by_rule):
        return None
    text = f"{model.name} was a NO-GO on this server image: {why.rstrip('.')}."
    again = f"resurgam {intent.verb} {now.slot.name} --to {model.name} --again"
    return no(Reason.NO_GO, f"{text} It is asked again by itself when the image changes, or by `{again}`.")


def _stays(
    intent: Intent, model: SlotModel, now: SlotNow, world: World, *, by_rule: bool
) -> tuple[Verdict, float | None] | None:
    """What is kept, or was loaded just now, is not put away by a rule; a person may."""
    if intent.verb not in PUTS_AWAY or not by_rule:
        return None
    kept = state_of(model.name, now).kept_until
    if model.keep or kept:
        why = "resurgam.yaml keeps it loaded" if model.keep else "a person keeps it loaded"
        ends = f" until {until(kept, world.now)}" if kept > 0 else ""
        return no(Reason.RESIDENT, f"{model.name} stays: {why}{ends}."), kept if kept > 0 else None
    ready = now.loaded_at.get(model.name, 0.0) + now.slot.residency
    if ready > world.now:
        text = f"{model.name} was loaded only just now; rules may put it away {until(ready, world.now)}."
        return no(Reason.RESIDENT, text), ready
    return None


def busy(intent: Intent, world: World, but: int = 0) -> Verdict | None:
    """The refusal of a person's or our own swap while another plan is at work on the slot."""
    if disturbance(intent.verb, dict(intent.params)) is not Disturbance.DISRUPTIVE:
        return None
    for plan in world.plans:
        costs = disturbance(plan.verb, dict(plan.params)) is not Disturbance.HARMLESS
        if plan.service == intent.target and plan.id != but and costs and not VERBS[plan.verb].internal:
            name = intent.target.removeprefix(SLOT)
            text = f"Plan {plan.id} ({plan.verb} {name}) is at work on it; ask again when that has ended."
            return no(Reason.LOCKED, text)
    return None


# ------------------------------------------------------------ may it go on?


def part(plan: Plan, model: str) -> Mapping[str, object]:
    """What the plan knows of one of its models: {service, container_id, name …}; empty where it knows nothing."""
    parts = plan.found.get("parts")
    found = parts.get(model) if isinstance(parts, dict) else None
    return found if isinstance(found, dict) else {}


def containers(plan: Plan) -> tuple[str, ...]:
    """Ids and names of the containers that carry the models of a slot's plan."""
    if not plan.touches:
        return ()
    parts = plan.found.get("parts")
    known = [one for one in parts.values() if isinstance(one, dict)] if isinstance(parts, dict) else []
    return tuple(str(one[key]) for one in known for key in ("container_id", "name") if one.get(key))


def coming(plan: Plan, world: World) -> str:
    """The service that a plan of a slot starts beside what runs by now; '' where it starts none, or the one that leaves
    is still there."""
    comes, leaves = (str(part(plan, str(plan.found.get(key) or "")).get("service") or "") for key in ("to", "from"))
    before = world.services.get(leaves)
    there = before is not None and before.container is not None and before.container.living
    beside = plan.found.get("shape") == BESIDE
    return comes if plan.verb in TAKES_PLACE and (beside or not there) else ""


def changed(plan: Plan, world: World) -> Verdict | None:
    """Why a plan of a slot that has not touched anything should end: a service of it is not what it was."""
    for ident in plan.touches:
        service = world.services.get(ident)
        if service is None:
            continue  # it may have none yet: a container of a compose file is made by the plan itself
        if not service.owned.ok:
            return no(service.owned.reason, f"Nothing is done to {ident}: {service.owned.text}")
        wanted = service.wanted
        coming = part(plan, str(plan.found.get("to") or "")).get("service") == ident
        if coming and wanted.state == "stopped" and wanted.at > plan.created_at:
            who = wanted.by or "a person"
            return no(Reason.WANTED_STOPPED, f"{ident} was stopped on purpose meanwhile by {who}.")
    return None


def interfered(plan: Plan, seen: tuple[Container, ...], ours: str) -> Verdict | None:
    """Somebody else's container bears the name of one that the plan works on. `ours`: the label of what plans make."""
    parts = plan.found.get("parts")
    known = [one for one in parts.values() if isinstance(one, dict)] if isinstance(parts, dict) else []
    ids = {str(one.get("container_id")) for one in known}
    names = {str(one.get("name")) for one in known}
    made = {value for value in plan.data().values() if isinstance(value, str)}
    for container in seen:
        mine = container.id in ids or container.id in made or container.labels.get(ours) == plan.op
        if container.name in names and not mine:
            text = f"The name {container.name} belongs to another container now; it is left alone."
            return no(Reason.INTERFERED, text)
    return None
