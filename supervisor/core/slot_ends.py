"""What follows from the end of a slot's plan: who holds it, what is wanted of its services, what was learned.

From: PlanEnded, whose data the maneuvers of actions/swap write (by admission.py, in the transaction of that end). To:
the journal's spaces `slot`, `bench` and `nogo`, the registry's wanted states, the rows people read.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import slot_rows
from supervisor.core.standins import HAND_BACK, STAND_IN
from supervisor.errors import JournalError
from supervisor.facts import SLOT, Bench, Json, Plan, Probation, Slot, Wanted
from supervisor.incidents.slots import PIVOT, part
from supervisor.journal.codec import load
from supervisor.slots import probation
from supervisor.slots.kept import Kept, Measured
from supervisor.slots.nogo import NoGo
from supervisor.slots.residency import heir
from supervisor.verdicts import Reason, Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

LOADS = 20
"""loads of a model inside a server that are remembered"""


def ended(core: "Decider", plan: Plan, outcome: Verdict, data: Json) -> None:
    """Keep what a plan of a slot brought about. One that ended before it touched anything changes nothing."""
    slot = load(Slot, plan.found["slot"])
    name = slot.name
    _measured(core, plan, data)
    if plan.verb == "bench":
        core.slots.trials.measured(core, name, plan, outcome, data)
        return
    early = not outcome.ok and plan.phase == "before"
    data = data if early else _inherited(core, slot, plan, data)
    _no_go(core, name, data, plan)
    if not early:
        _wanted(core, slot, plan, outcome, data)
        _learned(core, plan, data)
    kept = before = core.slots.kept(name)
    report = data.get("report")
    if isinstance(report, dict) and plan.verb == "swap":
        kept = replace(kept, report=report)
    if not early and "holder" in data:
        kept = _holder(core, slot, plan, data, kept)
    core.slots.keep_record(core, name, kept)
    if data.get("verdict"):
        slot_rows.swapped(core, plan, data, outcome.text, kept.probation)
    core.slots.standins.ended(core, slot, plan, before, outcome, data)
    core.slots.residents.ended(core, slot, plan, outcome)


# ------------------------------------------------------------ who holds it


def _inherited(core: "Decider", slot: Slot, plan: Plan, data: Json) -> Json:
    """The end of a plan, with who holds the slot where its holder had to go and nobody came for it."""
    was, told, gone = core.slots.kept(slot.name).holder, data.get("holder"), _gone(plan)
    if was not in gone or told != "":
        return data
    state, loaded_at = core.slots.now(core, slot).state, core.slots.kept(slot.name).loaded_at
    found = heir(slot, state, loaded_at, (*gone, str(plan.found.get("to") or "")))
    if not found and plan.verb == "load":
        return {**data, "holder": was}  # nobody meant to empty the slot: whatever can brings it back
    if not found:
        return data
    text = f"{found} holds {slot.name} now: {was} was put away, and {found} was loaded last."
    core.row("model.adopted", slot.id, {"slot": slot.name, "model": found, "text": text}, False)
    return {**data, "holder": found}


def _gone(plan: Plan) -> tuple[str, ...]:
    """The models that a plan put away without another one that takes their place."""
    leaves = plan.found.get("from") if plan.verb in ("unload", "sleep") else ""
    evict = plan.found.get("evict") if plan.verb == "load" else ()
    return tuple(str(one) for one in (leaves, *(evict or ())) if one)


def _holder(core: "Decider", slot: Slot, plan: Plan, data: Json, kept: Kept) -> Kept:
    """The slot, with who holds it now."""
    holder, comes = str(data.get("holder") or ""), str(plan.found.get("to") or "")
    if not holder and plan.key.startswith(STAND_IN):
        return kept  # nobody could stand in: it is still the slot of the one that is down
    loaded = dict(kept.loaded_at)
    found = holder != kept.holder and kept.holder not in _gone(plan)  # an heir was there before
    if (holder and found) or (comes and comes == holder):
        loaded[holder] = core.now
    elif comes and plan.verb in ("load", "wake"):
        loaded[comes] = core.now
    kept = replace(kept, loaded_at={name: at for name, at in loaded.items() if slot.model(name) is not None})
    kept = _measure(core, plan, data, kept, comes)
    if holder == kept.holder:
        return kept
    trial = _probation(core, slot, plan, data, holder, kept.probation)
    # a first choice that came back is on trial: where it fails, the one before stands in for it again
    known = kept.stand_in
    stays = known is not None and (holder == known.model or (trial is not None and trial.before == known.model))
    stand_in = known if stays else None
    log = data.get("log")
    kept = replace(kept, log=log if trial is not None and isinstance(log, dict) else {})
    return replace(kept, holder=holder, since=core.now, probation=trial, errors=0, stand_in=stand_in)


def _probation(
    core: "Decider", slot: Slot, plan: Plan, data: Json, holder: str, trial: Probation | None
) -> Probation | None:
    """The time in which the one before is still armed: after a GO, where there is one to go back to. Whoever brings the
    armed one back in the midst of a `trial` has judged the other: one death must not bring that again."""
    leaves = str(plan.found.get("from") or "")
    given = plan.params.get("probation", "")
    if trial is not None and trial.before == holder and not given:
        return None
    lasts = units.duration(given) if given else slot.probation
    asked = not plan.key.startswith((STAND_IN, PIVOT))
    armed = asked and plan.verb == "swap" and data.get("verdict") == "GO"
    if not armed or not leaves or holder != plan.found.get("to") or lasts <= 0:
        return None
    if not part(plan, leaves).get("running"):
        return None  # it did not run before: there is nothing good to go back to
    before = _bench(data.get("before")) or _bench(plan.found.get("baseline"))
    every = probation.every(slot, holder)
    following = core.now + every if every else 0.0
    return Probation(holder, leaves, core.now + lasts, core.now, before, following)


# ------------------------------------------------------------ what is wanted


def _wanted(core: "Decider", slot: Slot, plan: Plan, outcome: Verdict, data: Json) -> None:
    """The holder's service is to run, those that were stopped stay so. What somebody else stopped on purpose, or while
    the plan was open, is left as they want it."""
    stopped, started = _ids(data.get("stopped")), _ids(data.get("started"))
    holder = slot.model(str(data.get("holder") or ""))
    serves = holder.service if holder is not None else ""
    runs = dict.fromkeys(one for one in (serves, *started) if one)
    down = dict.fromkeys(stopped)
    if plan.verb == "swap":
        for name in (str(plan.found.get("from") or ""), str(plan.found.get("to") or "")):
            model = slot.model(name)
            if model is not None and not model.inside and not model.sleep:
                down[model.service] = None
    given = data.get("policies")
    policies: Mapping[str, str] = given if isinstance(given, dict) else {}
    asked_down = slot.on_fail == "stop" and not plan.key.startswith(STAND_IN)
    if not serves and plan.verb == "swap" and (outcome.reason is Reason.DEGRADED or not asked_down):
        left = slot.model(str(plan.found.get("from") or ""))
        down.pop(left.service if left is not None else "", None)  # it is to run: whatever can brings it back
    for ident in (*runs, *down):
        _want(core, plan, ident, str(policies.get(ident, "")), runs=ident in runs)


def _want(core: "Decider", plan: Plan, ident: str, taken: str, *, runs: bool) -> None:
    service = core.registry.get(ident) if ident else None
    if service is None:
        return
    known = service.wanted
    policy = taken or known.policy
    meanwhile = known.at > plan.created_at and known.by != plan.service
    if runs:
        if meanwhile and known.state == "stopped":
            return  # somebody stopped it since then
        box = service.container
        policy = "" if box is not None and box.restart_policy == policy else policy
        core.registry.want(ident, Wanted("running", plan.service, core.now, plan.cause, policy))
        return
    if known.state == "stopped" and known.by != plan.service:
        if taken:
            core.registry.want(ident, replace(known, policy=taken))
        return
    core.registry.want(ident, Wanted("stopped", plan.service, core.now, plan.cause, policy))


def _ids(given: object) -> tuple[str, ...]:
    return tuple(str(one) for one in given) if isinstance(given, list | tuple) else ()


# ------------------------------------------------------------ what was learned


def _no_go(core: "Decider", slot: str, data: Json, plan: Plan) -> None:
    told = data.get("no_go")
    if isinstance(told, dict) and told.get("model"):
        if plan.key.startswith(HAND_BACK):
            return  # the first choice is tried again with the next window: that it failed once must not bar it
        one = NoGo(str(told.get("text") or ""), core.now, plan.id)
        core.slots.nogos.failed(slot, str(told["model"]), str(told.get("image_id") or ""), one)
    elif data.get("verdict") == "GO":
        comes = str(plan.found.get("to") or "")
        core.slots.nogos.worked(slot, comes, str(part(plan, comes).get("image_id") or ""))


def _measured(core: "Decider", plan: Plan, data: Json) -> None:
    """What was measured joins the history."""
    slot = plan.service.removeprefix(SLOT)
    for key in ("before", "bench"):
        one = _bench(data.get(key))
        if one is not None and one.plan == plan.id:  # an older one is known already
            core.slots.history.add(one)
            slot_rows.benchmark(core, slot, one)


def _bench(told: object) -> Bench | None:
    if not isinstance(told, dict):
        return None
    try:
        return load(Bench, told)
    except JournalError:
        return None


def _learned(core: "Decider", plan: Plan, data: Json) -> None:
    """How long loads took."""
    took = data.get("loads")
    for ident, seconds in took.items() if isinstance(took, dict) else ():
        service = core.registry.get(str(ident))
        if service is not None and service.container is not None and isinstance(seconds, int | float):
            core.registry.loaded(service.id, float(seconds), service.container.image_id)


def _measure(core: "Decider", plan: Plan, data: Json, kept: Kept, comes: str) -> Kept:
    """What the one that came took, and how long its load was where it is inside a server."""
    told, model = data.get("measured"), load(Slot, plan.found["slot"]).model(comes)
    if isinstance(told, dict) and comes:
        vram = told.get("vram")
        sizes = {str(uuid): float(size) for uuid, size in vram.items()} if isinstance(vram, dict) else {}
        image = str(part(plan, comes).get("image_id") or "")
        known = Measured(float(told.get("memory") or 0.0), sizes, image, core.now)
        kept = replace(kept, measured={**kept.measured, comes: known})
    took = data.get("loads")
    if model is not None and model.inside and isinstance(took, dict):
        seconds = took.get(comes) or took.get(model.service)
        if isinstance(seconds, int | float) and seconds > 0:
            loads = (*kept.loads.get(comes, ()), float(seconds))[-LOADS:]
            kept = replace(kept, loads={**kept.loads, comes: loads})
    return kept
