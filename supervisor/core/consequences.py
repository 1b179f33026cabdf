"""What a plan means beyond itself: the image it goes to, what is wanted from now on, what is learned from its end.

From: admission.py, which opens and ends plans. To: the registry (wanted states, quarantine, proofs).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.facts import Intent, Json, Plan, Service, Wanted
from supervisor.incidents.holding import unloaded
from supervisor.journal.codec import dump, load
from supervisor.memory.words import like
from supervisor.services.events import PERSON
from supervisor.verdicts import Reason, Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def image_for(intent: Intent, service: Service) -> str:
    """The image id a plan goes to, where the core knows it; a reference is resolved by the plan's first look."""
    if intent.verb == "protect":
        return intent.params.get("image", "")
    if intent.verb == "rollback":
        return service.previous_image
    image = intent.params.get("image", "")
    container = service.container
    if image == "last-known-good":
        return service.proved_image
    if image == "current" and container is not None:
        return container.ref_image_id or container.image_id
    return ""


def known(core: "Decider", plan: Plan, service: Service) -> Json:
    """What a plan must know beyond its service: what was wanted before it, what is held, how much was planned."""
    found: Json = {"wanted": dump(service.wanted), **core.holds.known(plan.verb, service.id)}
    found |= before(core, plan, service)
    budget = core.memory.budget(core)
    part = budget.of(service.id) if budget is not None else None
    found["memory_plan"] = part.plan if part is not None else 0.0
    found["sizes_like"] = like(budget) if budget is not None else 0.0
    if plan.verb == "unload":
        found |= core.slots.unloading(service.id)
    if service.container is not None:
        found["unloaded"] = unloaded(service.id, service.container, core.admission.spent(core.now))
    return found


def before(core: "Decider", plan: Plan, service: Service) -> Json:
    """What a plan about its safe profile must know of it as it runs now."""
    return {"profile": core.profiles.before(service)} if plan.params.get("profile") else {}


def want(core: "Decider", plan: Plan, service: Service) -> None:
    """Our verbs set what is wanted: stop means stop and keep stopped."""
    if plan.verb == "quiesce":
        core.quiesced.want(core, plan, service)
        return
    stops = plan.verb == "stop" or (plan.verb == "scale" and plan.params.get("replicas") == "0")
    starts = plan.verb == "start" or (plan.verb == "scale" and not stops)
    if not stops and not starts:
        return
    policy = service.wanted.policy
    if stops and service.container is not None and service.container.restart_policy != "no":
        policy = service.container.restart_policy
    state = "stopped" if stops else "running"
    core.registry.want(plan.service, Wanted(state, plan.by, core.now, plan.cause, policy))


def unwant(core: "Decider", plan: Plan) -> None:
    """The plan touched nothing: what was wanted before it is wanted again."""
    service = core.registry.get(plan.service)
    if service is not None and plan.found.get("wanted") and service.wanted.at == plan.created_at:
        core.registry.want(plan.service, load(Wanted, plan.found["wanted"]))


def learn(core: "Decider", plan: Plan, outcome: Verdict, data: Json) -> None:
    """An image that a maneuver showed to be bad is quarantined for this service; a stop, and a Phoenix that ends with
    the container held down, keep the policy."""
    core.profiles.ended(core, plan)
    blamed = str(data.get("blame", ""))
    if blamed:
        core.registry.quarantine(plan.service, blamed, outcome.text or plan.cause, core.now)
        body = {"service": plan.service, "image_id": blamed, "text": f"{blamed[:19]} is quarantined: {plan.cause}"}
        core.row("drift.quarantined", plan.service, body)
    service = core.registry.get(plan.service)
    if service is None:
        return
    _stays_down(core, service, data)
    if outcome.ok and data.get("load_seconds"):
        image_id = service.container.image_id if service.container is not None else plan.image_id
        core.registry.loaded(plan.service, float(data["load_seconds"]), image_id)
    if "policy" in data and service.wanted.state == "stopped":
        core.registry.want(plan.service, replace(service.wanted, policy=str(data["policy"])))
    if plan.verb == "release" and outcome.ok:
        core.registry.want(plan.service, replace(service.wanted, policy=""))
        return
    if plan.needs.boot == "ordered":
        _keep_policy(core, plan, service, data)
        return
    if outcome.reason is Reason.DEGRADED and data.get("held_down"):
        # we took it for the way over and could not give it back: the next start or Phoenix does
        core.registry.want(plan.service, replace(service.wanted, policy=str(data["held_down"])))
        return
    given = plan.verb in ("phoenix", "rollback") or any(name == "policy" and ok for name, ok, _data in plan.marks)
    if outcome.ok and given and service.wanted.policy and service.wanted.state != "stopped":
        core.registry.want(plan.service, replace(service.wanted, policy=""))  # the container has it again


def _stays_down(core: "Decider", service: Service, data: Json) -> None:
    """A person stopped it while the plan watched it, and the plan obeyed: that is wanted, also where we were killed
    before the engine's word of it was kept."""
    there = service.container
    if data.get("stay_down") and service.wanted.state != "stopped" and there is not None and not there.running:
        why = "stopped by hand while a plan watched it"
        core.registry.want(service.id, replace(service.wanted, state="stopped", by=PERSON, at=core.now, why=why))


def _keep_policy(core: "Decider", plan: Plan, service: Service, data: Json) -> None:
    """With boot=ordered a container of ours has no restart policy. The one it had is kept, for the day it is given
    back (`release`, or boot=engine again)."""
    had = str(data.get("old_policy") or "no")
    made = service.container is not None and service.container.restart_policy == "no"
    if made and had != "no" and had != service.wanted.policy:
        core.registry.want(plan.service, replace(service.wanted, policy=had))
