"""From an intent that is aimed at a slot to its plan: the models, their services and containers, the shape, the locks.

From: core/slots.py, which asks with what it knows of the slot. To: the journal, and the maneuvers of actions/swap, for
which `Plan.found` has everything a fresh process needs. Whether a model fits is asked again by the preflight; here it
only chooses the shape.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.actions.swap import created, dry_run, steps
from supervisor.actions.swap.checks.case import Case, case_of
from supervisor.config.slots import golden_of
from supervisor.core.plan_words import intent_of
from supervisor.facts import Container, Free, Intent, Json, ModelState, Needs, Plan, Service, Slot, SlotModel, Step
from supervisor.facts.slots import BESIDE, EXCLUSIVE, LOADED, SLEEP
from supervisor.gpu.cards import Deck
from supervisor.incidents import locks, may_run
from supervisor.incidents.slots import goes_back, looks_on, meant, part
from supervisor.incidents.world import SlotNow
from supervisor.journal.codec import dump
from supervisor.services import loads
from supervisor.signals.room import clash
from supervisor.slots import fit, residency, shape
from supervisor.slots.kept import Kept
from supervisor.slots.residency import least_used, victims
from supervisor.verdicts import Reason, Verdict, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

MEASURING = 60.0
"""seconds that warm-up, benchmark and canaries are taken to last where nothing was measured yet"""
STOPPING = 15.0
"""seconds that a stop and the wait for its memory are taken to last"""
DEFAULT_LOAD = 300.0
"""seconds: the longest load of a model inside a server that declares none"""


def make(core: "Decider", intent: Intent, plan_id: int, op: str) -> Plan | Verdict:
    """The plan of `swap`, `load`, `unload`, `sleep`, `wake` or `bench`, or why there can be none."""
    now = core.slots.world(core)[intent.target]
    model = meant(intent, now).model
    if model is None:
        return meant(intent, now).verdict or no(Reason.NO_TARGET, f"No model of {now.slot.name} is meant.")
    leaves, comes = _sides(intent.verb, model.name, now)
    kept = core.slots.kept(now.slot.name)
    evict = _evict(core, intent.verb, comes, now) if comes else ()
    names = tuple(dict.fromkeys(one for one in (leaves, comes, *evict) if one))
    parts = {name: _part(core, now, kept, name) for name in names}
    chosen = _shape(core, intent.verb, now, leaves, comes)
    if isinstance(chosen, Verdict):
        return chosen
    pivot = goes_back(intent)
    limits = {name: _limit(core, intent, now.slot, kept, name) for name in names}
    baseline = core.slots.latest(now.slot.name, leaves) if leaves else None
    found: Json = {
        "slot": dump(now.slot),
        "from": leaves,
        "to": comes,
        "shape": chosen.shape,
        "why_shape": chosen.why,
        "parts": parts,
        "baseline": dump(baseline) if baseline is not None else None,
        "limits": limits,
        "expected": _expected(core, intent.verb, now, kept, limits, leaves, comes),
        "pivot": pivot,
        "evict": list(evict),
        "holder": kept.holder,
        "heir": _heir(intent.verb, now, kept, leaves, evict),
    }
    if intent.verb == "bench" and kept.log and kept.probation is not None and kept.probation.model == comes:
        found["log"] = kept.log
    touches = tuple(dict.fromkeys(str(one["service"]) for one in parts.values() if one["service"]))
    plan = Plan(
        id=plan_id,
        verb=intent.verb,
        service=intent.target,
        engine=_engine(parts, comes, leaves),
        params=dict(intent.params),
        cause=intent.cause,
        by=intent.by,
        created_at=core.now,
        op=op,
        container_id="",
        name="",
        locks=_locks(core, intent.verb, now.slot, touches),
        incident=intent.incident,
        key=intent.key,
        found=found,
        override=intent.override,
        approved=intent.approved,
        touches=touches,
    )
    return replace(plan, steps=_steps(plan, pivot=pivot))


def refit(core: "Decider", plan: Plan) -> Plan | Verdict:
    """A plan that waited, as things stand now that its turn has come; the verdict with which it ends where it is not to
    be done any more."""
    intent = intent_of(plan)
    judged = may_run(replace(intent, override=intent.override or "its turn"), core.world())
    if judged.reason is Reason.ALREADY_DONE:
        return no(Reason.ENDED_EARLY, judged.text)
    made = make(core, intent, plan.id, plan.op)
    if isinstance(made, Verdict):
        return no(Reason.ENDED_EARLY, made.text)
    return replace(made, locks=plan.locks, created_at=plan.created_at, approved=plan.approved)


def _engine(parts: Mapping[str, Json], *names: str) -> str:
    """The engine of their containers; '' where servers elsewhere carry them, so that no engine is waited for."""
    found = [str(parts[name]["engine"]) for name in names if name and parts[name]["engine"]]
    return next(iter(found), "")


def _sides(verb: str, model: str, now: SlotNow) -> tuple[str, str]:
    """(the model that leaves, the one that comes); '' for none."""
    if verb == "swap":
        return (now.before if now.before != model else ""), model
    return (model, "") if verb in ("unload", "sleep") else ("", model)


def _evict(core: "Decider", verb: str, comes: str, now: SlotNow) -> tuple[str, ...]:
    """The models that are put away to make room where a slot may have several."""
    if verb not in ("swap", "load") or now.slot.together == 1:
        return ()
    gone = victims(now.slot, now.state, now.loaded_at, core.now, comes)
    memory, cards = core.memory.budget(core), core.gpu.budget(core)
    each = cards.cards if cards is not None else ()
    free = Free(memory.available if memory is not None else 0.0, {one.held.uuid: float(one.held.free) for one in each})
    total = Free(memory.total if memory is not None else 0.0, {one.held.uuid: float(one.held.total) for one in each})
    gives = {one.name: _gives(core, now, one) for one in now.state.models if one.state == LOADED}
    leaves = _sides(verb, comes, now)[0]
    for name in dict.fromkeys((leaves, *gone)):
        free = residency.plus(free, gives.get(name, Free(0.0)))
    model = now.slot.model(comes)
    needs = _side(core, now, model).size if model is not None else ()
    able = least_used(now.slot, now.state, now.loaded_at, core.now, comes)
    rest = [name for name in able if name not in (leaves, *gone)]
    return (*gone, *residency.for_room(rest, needs, gives, free, total, now.slot.evict_above))


def _heir(verb: str, now: SlotNow, kept: Kept, leaves: str, evict: Sequence[str]) -> str:
    """Who is to hold the slot where its holder goes and nobody comes for it; '' for nobody, or where none is needed."""
    gone = (leaves, *evict) if verb in ("unload", "sleep") else ()
    return residency.heir(now.slot, now.state, kept.loaded_at, gone) if kept.holder in gone else ""


def _gives(core: "Decider", now: SlotNow, one: ModelState) -> Free:
    """What a model that is in memory gives back: by its server's word, else as it is declared, or was measured."""
    model = now.slot.model(one.name)
    size = _side(core, now, model).size if model is not None else ()
    vram = {need.where: need.bytes for need in size if need.where not in (fit.MEMORY, fit.ANY_CARD, fit.ANYWHERE)}
    known = [card.held.uuid for card in budget.cards] if (budget := core.gpu.budget(core)) is not None else []
    if len(known) == 1:
        on_it = one.vram or math.fsum(need.bytes for need in size if need.where in (known[0], fit.ANY_CARD))
        vram = {known[0]: on_it}
    return Free(one.memory or math.fsum(need.bytes for need in size if need.where == fit.MEMORY), vram)


def _part(core: "Decider", now: SlotNow, kept: Kept, name: str) -> Json:
    """What the plan must know of one of its models."""
    model = now.slot.model(name) or SlotModel(name)
    service = core.registry.get(model.service) if model.service else None
    box = service.container if service is not None else None
    state = next((one for one in now.state.models if one.name == name), None)
    measured = kept.measured.get(name)
    image = box.image_id if box is not None else ""
    known = measured is not None and (measured.image_id == image or not image)
    return {
        "service": model.service,
        "engine": service.engine if service is not None else "",
        "container_id": box.id if box is not None else "",
        "name": box.name if box is not None else "",
        "needs": dump(needs_of(core, service)),
        "policy": _policy(service, box),
        "image_id": image,
        "running": box is not None and box.living,
        "golden": golden_of(core.loaded.settings, now.slot.name, name),
        "measured": {"memory": measured.memory, "vram": dict(measured.vram)} if measured is not None and known else {},
        "no_go": state.no_go if state is not None else "",
    }


def needs_of(core: "Decider", service: Service | None) -> Needs:
    """What a service declares, its exclusive words with the cards that they mean."""
    if service is None:
        return Needs()
    words = locks.words(service.needs.exclusive, core.gpu.budget(core))
    return replace(service.needs, exclusive=words)


def _policy(service: Service | None, box: Container | None) -> str:
    """The restart policy that it is to have when it serves: what it has, or what we took from it."""
    if service is None or box is None:
        return ""
    return box.restart_policy if box.restart_policy != "no" else service.wanted.policy or "no"


def _shape(core: "Decider", verb: str, now: SlotNow, leaves: str, comes: str) -> shape.Chosen | Verdict:
    slot = now.slot
    if verb in ("sleep", "wake"):
        return shape.Chosen(SLEEP, "")
    if verb in ("load", "bench"):
        return shape.Chosen(BESIDE, "")
    if verb == "unload":
        return shape.Chosen(EXCLUSIVE, "")
    free = free_now(core)
    one, other = slot.model(leaves), slot.model(comes)
    before = _side(core, now, one) if one is not None else None
    if before is not None and not _living(core, one):
        before = None
    to = _side(core, now, other) if other is not None else None
    if to is None:
        return no(Reason.NO_TARGET, f"{slot.name} has no model {comes!r}.")
    found = shape.choose(slot, before, to, free, clash)
    if before is None and isinstance(found, shape.Chosen) and one is not None:
        return shape.Chosen(found.shape, f"{leaves} does not run")
    return found


def _living(core: "Decider", model: SlotModel | None) -> bool:
    """Whether there may be anything of a model in memory: a server elsewhere may always have."""
    if model is None or not model.service:
        return model is not None
    service = core.registry.get(model.service)
    return service is not None and service.container is not None and service.container.living


def _side(core: "Decider", now: SlotNow, model: SlotModel) -> shape.Side:
    service = core.registry.get(model.service) if model.service else None
    box = service.container if service is not None else None
    needs = needs_of(core, service)
    deck = _deck(core)
    known = core.slots.kept(now.slot.name).measured.get(model.name)
    sizes = [fit.declared(model, needs, deck.uuid_of)]
    if known is not None and (box is None or known.image_id == box.image_id):
        sizes.append(fit.measured(known.memory, known.vram))
    held = core.gpu.budget(core)
    vram = [card.held.services.get(model.service, 0) for card in held.cards] if held is not None else []
    return shape.Side(model, needs, box.ports if box is not None else (), fit.trusted(*sizes), math.fsum(vram))


def free_now(core: "Decider") -> Free:
    """What is free by the latest readings; the preflight measures anew."""
    memory, cards = core.memory.budget(core), core.gpu.budget(core)
    vram = {card.held.uuid: float(max(0, card.free())) for card in cards.cards} if cards is not None else {}
    return Free(memory.effective if memory is not None else 0.0, vram)


def _deck(core: "Decider") -> Deck:
    budget = core.gpu.budget(core)
    return budget.deck if budget is not None else Deck()


# ------------------------------------------------------------ how long


def _limit(core: "Decider", intent: Intent, slot: Slot, kept: Kept, name: str) -> float:
    """Seconds its load may take at most."""
    model = slot.model(name)
    within = intent.params.get("within", "") if name == meant_word(intent) else ""
    service = core.registry.get(model.service) if model is not None and model.service else None
    if model is not None and not model.inside and service is not None:
        return loads.limit(service.needs, service.loads, within).seconds
    if within:
        return units.duration(within)
    declared = model.startup if model is not None else 0.0
    needs = Needs(startup=declared or DEFAULT_LOAD, startup_declared=bool(declared))
    return loads.limit(needs, kept.loads.get(name, ())).seconds


def meant_word(intent: Intent) -> str:
    """The model that an intent names; '' for none."""
    return intent.params.get("to" if intent.verb == "swap" else "model", "")


def _expected(
    core: "Decider",
    verb: str,
    now: SlotNow,
    kept: Kept,
    limits: Mapping[str, float],
    leaves: str,
    comes: str,
) -> float:
    """Seconds in all, as far as can be told: what its loads took so far, else as long as they may take."""
    found = STOPPING if leaves else 0.0
    if comes and verb != "bench":
        found += _usual(core, now.slot, kept, comes) or limits.get(comes, 0.0)
    if verb in ("swap", "bench"):
        criteria = now.slot.criteria_of(comes)
        known = core.slots.latest(now.slot.name, comes) or core.slots.latest(now.slot.name, leaves)
        each = criteria.tokens / known.rate + known.first_token if known is not None and known.rate > 0 else 0.0
        answers = criteria.runs + criteria.warmup + len(criteria.canaries)
        found += answers * each if each else MEASURING
    return round(found, 1)


def _usual(core: "Decider", slot: Slot, kept: Kept, name: str) -> float:
    """Seconds a load of a model took in the middle, of the latest; 0 where none is known."""
    model = slot.model(name)
    service = core.registry.get(model.service) if model is not None and not model.inside else None
    took: Sequence[float] = service.loads if service is not None else kept.loads.get(name, ())
    return sorted(took)[len(took) // 2] if took else 0.0


# ------------------------------------------------------------ locks and steps


def _locks(core: "Decider", verb: str, slot: Slot, touches: Sequence[str]) -> tuple[str, ...]:
    """The slot, each service with its exclusive words, the turn at the GPUs and the right to start something."""
    found = [slot.id]
    for ident in touches:
        service = core.registry.get(ident)
        gpu = service is not None and service.container is not None and service.container.gpu
        needs = service.needs if service is not None else Needs()
        as_verb = "bench" if verb == "bench" else "stop" if verb in ("unload", "sleep") else "start"
        found += locks.names(ident, needs, as_verb, {}, gpu=gpu and verb != "bench")
    if verb == "bench":
        found = [one for one in found if one != locks.GPU_TURN]
    return locks.with_cards(dict.fromkeys(found), core.gpu.budget(core))


def _steps(plan: Plan, *, pivot: bool) -> tuple[Step, ...]:
    leaves, comes = str(plan.found["from"]), str(plan.found["to"])
    there, here = str(part(plan, leaves).get("name") or ""), str(part(plan, comes).get("name") or "")
    if plan.verb == "bench":
        return steps.bench(measured=not looks_on(plan.by, plan.key))
    if plan.verb in ("unload", "sleep"):
        return steps.away(there)
    if plan.verb == "wake":
        return steps.wake(here)
    case: Case = case_of(plan)
    check, create = dry_run.container_name(case, plan.op), created.container_name(case)
    if plan.verb == "load":
        evict = [str(part(plan, name).get("name") or "") for name in plan.found["evict"]]
        return steps.load(here, check=check, create=create, evict=evict)
    return steps.swap(there, here, str(plan.found["shape"]), check=check, create=create, pivot=pivot)
