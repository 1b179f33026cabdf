"""From an intent that may run to a plan: every step it may take, the objects it writes to, the locks it needs. Pure.

From: the core, which puts the plan into the journal before anything is done. To: runner.py, in this process or a
later one: everything a fresh process needs to finish or undo the work stands in the plan.
"""

from supervisor import units
from supervisor.actions import steps
from supervisor.engines.docker import shape
from supervisor.facts import Container, Intent, Json, Plan, Service, Step
from supervisor.incidents.locks import names as lock_names
from supervisor.services import loads
from supervisor.verbs import GENTLE
from supervisor.verdicts import Reason, Verdict, no


def build(intent: Intent, service: Service, *, plan_id: int, op: str, now: float, image_id: str = "") -> Plan | Verdict:
    """The plan for an intent, or why there can be none.

    `op`: a short random word of hex digits. `now`: unix seconds. `image_id`: the image a phoenix, a rollback or a
    protect goes to; empty where `intent.params["image"]` is a reference that the plan's first look resolves.
    """
    container = service.container
    if container is None:
        return no(Reason.VANISHED, f"{service.id} has no container now; start it once by hand.")
    verb = plain_verb(intent)
    trouble = _trouble(verb, intent, service, container, image_id)
    if trouble is not None:
        return trouble
    locks = (
        ()
        if verb in ("protect", "notify")
        else lock_names(service.id, service.needs, intent.verb, dict(intent.params), gpu=container.gpu)
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
        steps=_steps(verb, intent, service, container, op, image_id),
        needs=service.needs,
        incident=intent.incident,
        key=intent.key,
        found={**_found(service, container), **_limit(verb, intent, service)},
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
    """Seconds a container may take to become healthy, as it was settled when the plan was built (services/loads.py)."""
    settled = plan.found.get("limit")
    return float(settled) if settled else loads.limit(plan.needs, (), plan.params.get("within", "")).seconds


def retags(intent: "Intent | Plan") -> bool:
    """Whether a rollback is to move the tag, too."""
    return intent.verb == "rollback" and intent.params.get("retag") == "true"


def reference_of(container: Container) -> str:
    """The `repository:tag` that a container is made from; '' where there is none that could be moved."""
    ref = container.image_ref
    return "" if not ref or "@" in ref or shape.is_id(ref) else ref


def _trouble(verb: str, intent: Intent, service: Service, container: Container, image_id: str) -> Verdict | None:
    image = intent.params.get("image", "")
    if verb == "rollback" and not image_id:
        return no(
            Reason.NO_KNOWN_GOOD,
            f"Nothing is known that {service.id} could go back to: no other image of it has proved healthy, and it has "
            f"no spare; name one: resurgam phoenix {service.id} --image REF.",
        )
    if retags(intent) and not reference_of(container):
        return no(
            Reason.UNSUPPORTED,
            f"{service.id} is not made from a tag ({container.image_ref[:80]}), so there is none to move; leave out "
            "--retag.",
        )
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


def _steps(
    verb: str, intent: Intent, service: Service, container: Container, op: str, image_id: str
) -> tuple[Step, ...]:
    if verb in ("phoenix", "rollback"):
        proved = bool(image_id) and image_id == service.proved_image
        return steps.phoenix(
            service.id,
            container.name,
            op,
            proved=proved,
            before=service.needs.before is not None and image_id != container.image_id,
            retag=reference_of(container) if retags(intent) else "",
        )
    if verb == "protect":
        return steps.protect(service.id)
    if verb in GENTLE:
        return steps.gentle(container.name, verb)
    table = {"stop": steps.stop, "start": steps.start, "restart": steps.restart, "release": steps.release}
    table |= {"quiesce": steps.stop}
    return table[verb](container.name) if verb in table else ()


def _limit(verb: str, intent: Intent, service: Service) -> Json:
    """How long it may take to become healthy, settled once: a later process has learned other things."""
    if verb not in ("phoenix", "rollback", "restart", "start"):
        return {}
    found = loads.limit(service.needs, service.loads, intent.params.get("within", ""))
    text = f"It may take {units.show_duration(found.seconds)} to become healthy: {found.why}."
    return {"limit": found.seconds, "limit_why": text}


def _found(service: Service, container: Container) -> Json:
    """What a later step, or a later process, must know and could not ask for any more."""
    return {
        "healthy": service.healthy,
        "sick": service.streak > 0 or container.health == "unhealthy" or container.status == "restarting",
        "policy": service.wanted.policy,
        "proved": service.proved_image,
        "quarantined": list(service.quarantined),
        "namespaces": dict(service.reattach),
    }
