"""May this be done? One guard for rules, playbooks and people.

In: an intent and the World of this turn. Out: a verdict with the sentence people read, and the instant at which it is
worth asking again. Lasting reasons come before passing ones, so that the reason shown is the one to mend first. An
override lifts veto and budget (and cooldown, in `ladder`), never ownership, locks, or what the world does not allow.
"""

from collections.abc import Callable
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import Container, Intent, Service
from supervisor.incidents import brake, budget, chosen, holding, locks, machine, profile, remedies, room, slots, veto
from supervisor.incidents.heavy import too_heavy
from supervisor.incidents.locks import starts
from supervisor.incidents.target import HOST
from supervisor.incidents.words import until
from supervisor.incidents.world import World
from supervisor.verbs import VERBS, Disturbance, Verb, disturbance
from supervisor.verdicts import Reason, Verdict, no, yes


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and when (unix seconds) time alone may change it; None: only a change of the world can."""

    verdict: Verdict
    again: float | None = None

    waits: bool = False
    """it is waited for until the world changes: no reason to go up the ladder"""
    passes: bool = False
    """nothing is left to be done by it: the ladder goes on with the next rung"""

    @property
    def lasting(self) -> bool:
        """Whether this rung has no future while things stand as they do: the ladder goes on with the next one."""
        lasts = self.verdict.reason in LASTING and self.again is None and not self.waits
        return lasts or self.passes


LASTING = (
    Reason.NO_KNOWN_GOOD,
    Reason.QUARANTINED,
    Reason.IMAGE_GONE,
    Reason.NO_USE,
    Reason.HEAVY,
    Reason.UNSUPPORTED,
    Reason.DENIED,
    Reason.WIDENS,
    Reason.UNFAITHFUL,
    Reason.SWITCHED_OFF,
    Reason.NO_GO,
)
"""refusals that time does not change"""
OK = Judgement(yes())
_NOT_READY = no(Reason.NOT_READY, "The containers are not listed yet; it is looked at again once they are.")


def may_run(intent: Intent, world: World) -> Verdict:
    """Whether this intent may become a plan now. The same for a rule (`rule:…`, `playbook:…`) and a person."""
    return judge(intent, world).verdict


def judge(intent: Intent, world: World) -> Judgement:
    """`may_run`, with the instant to ask again."""
    refused = _meaning(intent, world)
    if refused is not None:
        return Judgement(refused)
    if slots.about(intent.target):
        return _slot(intent, world)
    if disturbance(intent.verb, dict(intent.params)) is Disturbance.HARMLESS and not VERBS[intent.verb].internal:
        return OK  # telling people is never refused: neither by a pause nor by observe mode
    if intent.target == HOST or machine.about(intent.target):
        return _beneath(intent, world)
    service = world.services[intent.target]
    container = service.container
    if not service.owned.ok:
        text = f"{intent.verb} is not done to {service.id}: {service.owned.text}"
        return Judgement(no(service.owned.reason, text))
    if container is None:
        if not world.ready:
            return Judgement(_NOT_READY)
        busy = next((plan for plan in world.plans if service.id in plan.services and plan.begun), None)
        if busy is not None:
            text = f"Plan {busy.id} ({busy.verb}) is changing {service.id}'s container; ask again in a moment."
            return Judgement(no(Reason.LOCKED, text))
        text = f"{service.id} has no container now; create it, for example with `docker compose up -d`."
        return Judgement(no(Reason.VANISHED, text))
    for check in _CHECKS:
        found = check(intent, service, container, world)
        if found is not None:
            return found
    return OK


def _beneath(intent: Intent, world: World) -> Judgement:
    """What is aimed at a card or at the machine. What stops the services of a card is decided for each of them."""
    verb, target, rule = intent.verb, intent.target, by_rule(intent.by)
    refused = machine.impossible(intent, world, by_rule=rule)
    if refused is not None:
        return Judgement(refused)
    if not world.ready:
        return Judgement(_NOT_READY)
    nothing = machine.nothing_to_stop(intent, world)
    if nothing is not None:
        return Judgement(nothing, passes=True)
    held_up = standing(target, world)
    if held_up is not None:
        return _would(intent, held_up)
    busy = machine.busy(verb, target, world)
    if busy is not None:
        return Judgement(busy, world.now + machine.LOOK_AGAIN)
    if intent.override:
        return OK
    forbidden = vetoed(verb, dict(intent.params), target, world)
    if forbidden is not None:
        return Judgement(forbidden)
    full = (brake.held(intent, world) if rule else None) or machine.spent(intent, world)
    return Judgement(*full) if full is not None else OK


def _slot(intent: Intent, world: World) -> Judgement:
    """What is aimed at a slot: its own checks, and for each service it works on a pause or a veto."""
    rule, there = by_rule(intent.by), world.slots.get(intent.target)
    if not world.ready and not (there is not None and there.slot.elsewhere):
        return Judgement(_NOT_READY)
    refused = slots.impossible(intent, world, by_rule=rule)
    if refused is not None:
        return Judgement(*refused)
    if disturbance(intent.verb, dict(intent.params)) is Disturbance.HARMLESS:
        return OK
    now = world.slots[intent.target]
    model = slots.meant(intent, now).model
    touched = (intent.target, *(slots.works_on(intent.verb, model, now) if model is not None else ()))
    for ident in touched:
        held_up = standing(ident, world)
        if held_up is not None:
            return _would(intent, held_up)
    busy = None if rule else slots.busy(intent, world)  # what becomes of a rule's is its playbook's `mode`
    if busy is not None:
        return Judgement(busy)
    if intent.override:
        return OK
    for ident in touched:
        forbidden = vetoed(intent.verb, dict(intent.params), ident, world)
        if forbidden is not None:
            return Judgement(forbidden)
    if slots.goes_back(intent):
        return OK  # a way back belongs to the swap that it undoes
    full = (brake.held(intent, world) if rule else None) or budget.full(intent, world)
    return Judgement(*full) if full is not None else OK


def by_rule(by: str) -> bool:
    """Whether a rule or a playbook wants it, rather than a person."""
    return by.startswith(("rule:", "playbook:"))


def stops(verb: str, params: dict[str, str]) -> bool:
    """Whether this call of a verb stops the service and keeps it stopped."""
    return verb in ("stop", machine.QUIESCE) or (verb == "scale" and params.get("replicas") == "0")


def standing(service: str, world: World) -> Judgement | None:
    """What holds everything up at the moment, for a plan to begin and for one that has not touched anything yet."""
    if world.stopping:
        return Judgement(no(Reason.STOPPING, "Resurgam is ending; the next start looks again."))
    if world.mode != "heal":
        text = "Resurgam only observes (mode: observe); set `mode: heal`, or run `resurgam resume` if `status` says so."
        return Judgement(no(Reason.OBSERVE_MODE, text))
    for key, what in (("*", "Everything"), (service, service)):
        if key in world.pauses:
            why, end = world.pauses[key]
            word = "" if key == "*" else f" {key}"
            ends = f"it ends {until(end, world.now)}" if end else f"end it with `resurgam resume{word}`"
            return Judgement(no(Reason.PAUSED, f"{what} is paused ({why}); {ends}."), end or None)
    return None


def vetoed(verb: str, params: dict[str, str], service: str, world: World) -> Verdict | None:
    """The refusal while an alert forbids it."""
    found = veto.against(verb, params, service, world)
    if found is None:
        return None
    alert, _veto = found
    text = f"{verb} of {service} is vetoed while {alert.name} fires; it is looked at again when that ends."
    return no(Reason.VETO, text)


def _meaning(intent: Intent, world: World) -> Verdict | None:
    """Whether the intent makes sense at all."""
    verb = VERBS.get(intent.verb)
    if verb is None:
        return no(Reason.UNKNOWN_VERB, f"There is no verb {intent.verb!r}; verbs are: {', '.join(VERBS)}.")
    try:
        # What is as the table has it needs no check, and an empty default would not pass one.
        verb.check({key: value for key, value in intent.params.items() if not _default(verb, key, value)})
    except ValueError as err:
        return no(Reason.BAD_PARAMETER, f"{err}.")
    if intent.verb == "scale" and intent.params.get("replicas") not in ("0", "1"):
        return no(Reason.BAD_PARAMETER, "A service is one container here, so scale knows replicas=0 and replicas=1.")
    if intent.target == HOST:
        if HOST not in verb.targets:
            text = f"{intent.verb} needs a service and got the host; name one: `{intent.verb} SERVICE`."
            return no(Reason.NO_TARGET, text)
    elif slots.about(intent.target):
        return slots.unclear(intent, world)
    elif machine.about(intent.target):
        return None  # whether there is such a card, and what may be done to it, is machine.py's
    elif intent.target not in world.services:
        return no(Reason.NO_TARGET, f"There is no service {intent.target!r}; `resurgam status` lists them.")
    elif "service" not in verb.targets and "slot" in verb.targets:
        text = f"{intent.verb} is done to a slot, and {intent.target} is a service; `resurgam status` lists the slots."
        return no(Reason.NO_TARGET, text)
    elif "service" not in verb.targets:
        return no(Reason.NO_TARGET, f"{intent.verb} is not done to a service, and {intent.target} is one.")
    return None


def _default(verb: Verb, key: str, value: str) -> bool:
    return key in verb.params and value == verb.params[key].default


def _held_up(intent: Intent, service: Service, _container: Container, world: World) -> Judgement | None:
    found = standing(service.id, world)
    return _would(intent, found) if found is not None else None


def _would(intent: Intent, held_up: Judgement) -> Judgement:
    """In observe mode it is told what would be done."""
    if held_up.verdict.reason is not Reason.OBSERVE_MODE:
        return held_up
    text = f"{intent.verb} {intent.target} would be done now. {held_up.verdict.text}"
    return Judgement(no(Reason.OBSERVE_MODE, text))


def _reachable(_intent: Intent, service: Service, _container: Container, world: World) -> Judgement | None:
    if service.engine in world.absent:
        text = f"The engine {service.engine!r} does not answer; {service.id} is looked at again when it does."
        return Judgement(no(Reason.ENGINE_ABSENT, text))
    if not world.ready:
        return Judgement(_NOT_READY)
    return None


def _wanted(intent: Intent, service: Service, container: Container, world: World) -> Judgement | None:
    wanted = service.wanted
    params = dict(intent.params)
    alive = container.status in ("running", "restarting", "paused")
    awaits = machine.stopped_for(wanted.by) is not None
    if stops(intent.verb, params):
        if wanted.state == "stopped" and not alive and not (awaits and intent.verb != machine.QUIESCE):
            why = f" ({wanted.why})" if wanted.why else ""
            return Judgement(no(Reason.ALREADY_DONE, f"{service.id} is stopped already, and stays so{why}."))
        return None
    if intent.verb in ("protect", "drop-cache"):
        return None
    if wanted.state == "stopped" and by_rule(intent.by) and awaits:
        text = f"{service.id} is stopped until its GPU is well; it is started again by itself then."
        return Judgement(no(Reason.WANTED_STOPPED, text))
    if wanted.state == "stopped" and by_rule(intent.by):
        who = f" by {wanted.by}" if wanted.by else ""
        swap = slots.rather(service.id, "", world.slots) if slots.about(wanted.by) else ""
        start = swap or f"`resurgam start {service.id}`"
        text = f"{service.id} was stopped on purpose{who}; rules leave it alone until {start}."
        return Judgement(no(Reason.WANTED_STOPPED, text))
    if intent.verb in ("start", "scale") and container.running and wanted.state == "running":
        return Judgement(no(Reason.ALREADY_DONE, f"{service.id} runs already."))
    return None


def _alone(intent: Intent, service: Service, container: Container, world: World) -> Judgement | None:
    """Services that share an exclusive word never run together."""
    if container.running or not starts(intent.verb, dict(intent.params)):
        return None
    for other_id in sorted(world.services):
        other = world.services[other_id]
        if other_id == service.id or other.container is None or not other.container.running:
            continue
        theirs = locks.words(other.needs.exclusive, world.vram)
        shared = [word for word in locks.words(service.needs.exclusive, world.vram) if word in theirs]
        if shared:
            swap = slots.rather(service.id, other_id, world.slots)
            fix = f"{swap} changes them over" if swap else f"stop {other_id} first"
            text = f"{other_id} runs and has {shared[0]}, which {service.id} needs for itself; {fix}."
            return Judgement(no(Reason.LOCKED, text))
    return None


def _room(intent: Intent, service: Service, container: Container, world: World) -> Judgement | None:
    """What is done for want of memory spares who keeps to its plan; what is started must fit."""
    refused = room.spared(intent.verb, dict(intent.params), by_rule(intent.by), service.id, world)
    if refused is not None:
        return Judgement(refused)
    image = chosen.goes_to(intent, service, container) if intent.verb in ("phoenix", "rollback") else container.image_id
    refused = room.no_room(intent, service, container, image, world)
    if refused is None:
        refused = room.no_vram(intent, service, world)
    return Judgement(refused, world.now + room.LOOK_AGAIN) if refused is not None else None


def _possible(intent: Intent, service: Service, container: Container, world: World) -> Judgement | None:
    refused = profile.refused(intent, service)
    if refused is None:
        refused = holding.impossible(intent, service, container, world)
    if refused is None:  # a refusal is false
        refused = machine.no_card(intent, service, world)
    return Judgement(refused) if refused is not None else None


def _image(intent: Intent, service: Service, container: Container, _world: World) -> Judgement | None:
    refused = chosen.unfit(intent, service, container)
    return Judgement(refused) if refused is not None else None


def _useful(intent: Intent, service: Service, container: Container, world: World) -> Judgement | None:
    """Rules do not do what is known not to help, nor load on suspicion what is heavy; a person may."""
    if not by_rule(intent.by):
        return None
    enough = holding.enough(intent, world)
    if enough is not None:
        return Judgement(enough)
    image = chosen.goes_to(intent, service, container)
    refused = remedies.useless(intent, service, container, image, world)
    if refused is not None and refused.waits:
        return Judgement(refused.verdict, refused.again, waits=True)
    if refused is not None:
        return Judgement(refused.verdict)
    heavy = too_heavy(intent, service, container, image, world)
    return Judgement(heavy) if heavy is not None else None


def _word(intent: Intent, service: Service, container: Container, _world: World) -> Judgement | None:
    """Last of all, so that nobody is asked for what would be refused all the same."""
    if intent.verb not in ("phoenix", "rollback") or intent.approved or not by_rule(intent.by):
        return None
    image = chosen.goes_to(intent, service, container)
    if not service.needs.stateful or image == container.image_id:
        return None
    text = (
        f"{service.id} keeps state that the newer image may have changed, so going to "
        f"{units.short_image(image)} needs a person's word."
    )
    return Judgement(no(Reason.NEEDS_APPROVAL, text))


def _in_rollout(intent: Intent, service: Service, _container: Container, world: World) -> Judgement | None:
    """A rule leaves alone what a rollout will come to: its turn mends the same thing. A person may queue, and whoever
    stops it may at once."""
    if intent.rollout or not by_rule(intent.by) or stops(intent.verb, dict(intent.params)):
        return None
    waiting = {plan.rollout for plan in world.plans if plan.found.get("lent")}
    for rollout in world.rollouts:
        if rollout.id in waiting:
            continue  # for a person's word, for a day perhaps: nobody else's trouble waits for that
        if any(stage.service == service.id and not stage.outcome for stage in rollout.stages):
            text = f"Rollout {rollout.id} ({rollout.verb} {rollout.target}) has {service.id} in hand; it is looked at "
            return Judgement(no(Reason.OWN_ACTION, f"{text}again when that ends."))
    return None


def _veto(intent: Intent, service: Service, _container: Container, world: World) -> Judgement | None:
    refused = None if intent.override else vetoed(intent.verb, dict(intent.params), service.id, world)
    return Judgement(refused) if refused is not None else None


def _brake(intent: Intent, _service: Service, _container: Container, world: World) -> Judgement | None:
    refused = brake.held(intent, world) if by_rule(intent.by) and not intent.override else None
    return Judgement(*refused) if refused is not None else None


def _budget(intent: Intent, _service: Service, _container: Container, world: World) -> Judgement | None:
    refused = None if intent.override else budget.full(intent, world)
    return Judgement(*refused) if refused is not None else None


_Check = Callable[[Intent, Service, Container, World], Judgement | None]
_CHECKS: tuple[_Check, ...] = (
    _wanted,
    _possible,
    _image,
    _useful,
    _reachable,
    _held_up,
    _in_rollout,
    _alone,
    _room,
    _veto,
    _brake,
    _budget,
    _word,
)
