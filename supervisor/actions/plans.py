"""From an intent that may run to a plan: every step it may take, the objects it writes to, the locks it needs. Pure.

From: the core, which puts the plan into the journal before anything is done. To: runner.py, in this process or a
later one: everything a fresh process needs to finish or undo the work stands in the plan.
"""

from supervisor import units
from supervisor.actions import steps
from supervisor.facts import Container, Intent, Json, Plan, Service, Step
from supervisor.incidents.locks import names as lock_names
from supervisor.verdicts import Reason, Verdict, no


def build(intent: Intent, service: Service, *, plan_id: int, op: str, now: float, image_id: str = "") -> Plan | Verdict:
    """The plan for an intent, or why there can be none.

    `op`: a short random word of hex digits. `now`: unix seconds. `image_id`: the image a phoenix or a protect goes
    to; empty where `intent.params["image"]` is a reference that the plan's first look resolves.
    """
    container = service.container
    if container is None:
        return no(Reason.VANISHED, f"{service.id} has no container now; start it once by hand.")
    verb = plain_verb(intent)
    trouble = _trouble(verb, intent, service, image_id)
    if trouble is not None:
        return trouble
    locks = (
        () if verb in ("protect", "notify") else lock_names(service.id, service.needs, intent.verb, dict(intent.params))
    )
    return Plan(
        id=plan_id,
        verb=intent.verb,
        service=service.id,
        engine=service.engine,
        params=dict(intent.params),
        cause=intent.cause,
        by=intent.by,
        created_at=now,
        op=op,
        container_id=container.id,
        name=container.name,
        image_id=image_id,
        locks=locks,
        steps=_steps(verb, service, container, op, image_id),
        needs=service.needs,
        incident=intent.incident,
        key=intent.key,
        found=_found(service, container),
        override=intent.override,
        approved=intent.approved,
        rollout=intent.rollout,
        document=intent.document,
    )


def plain_verb(intent: "Intent | Plan") -> str:
    """The maneuver behind a verb: `scale` is a stop or a start."""
    if intent.verb == "scale":
        return "stop" if intent.params.get("replicas") == "0" else "start"
    return intent.verb


def limit(plan: Plan) -> float:
    """Seconds a container may take to become healthy: what was asked for, else the service's longest normal load."""
    within = plan.params.get("within", "")
    return units.duration(within) if within else plan.needs.startup


def _trouble(verb: str, intent: Intent, service: Service, image_id: str) -> Verdict | None:
    image = intent.params.get("image", "")
    if verb == "phoenix" and not image_id and image in ("", "last-known-good"):
        return no(
            Reason.NO_KNOWN_GOOD,
            f"No image of {service.id} has proved healthy yet; name one: resurgam phoenix {service.id} --image REF.",
        )
    if verb == "phoenix" and not image_id and image == "current":
        return no(Reason.IMAGE_GONE, f"The image that {service.id} is made from is gone; pull or build it again.")
    if verb == "protect" and not image_id:
        return no(Reason.IMAGE_GONE, f"There is no image of {service.id} to protect.")
    if verb == "scale" or (intent.verb == "scale" and intent.params.get("replicas") not in ("0", "1")):
        return no(Reason.UNSUPPORTED, "A container has 0 or 1 replicas; more is compose's business.")
    return None


def _steps(verb: str, service: Service, container: Container, op: str, image_id: str) -> tuple[Step, ...]:
    if verb == "phoenix":
        proved = bool(image_id) and image_id == service.proved_image
        return steps.phoenix(service.id, container.name, op, proved=proved)
    if verb == "protect":
        return steps.protect(service.id)
    table = {"stop": steps.stop, "start": steps.start, "restart": steps.restart}
    return table[verb](container.name) if verb in table else ()


def _found(service: Service, container: Container) -> Json:
    """What a later step, or a later process, must know and could not ask for any more."""
    return {
        "healthy": service.healthy,
        "sick": service.streak > 0 or container.health == "unhealthy" or container.status == "restarting",
        "policy": service.wanted.policy,
        "proved": service.proved_image,
        "quarantined": list(service.quarantined),
    }
