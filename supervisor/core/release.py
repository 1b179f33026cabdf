"""`release`: gives restart policies back that we took, and says what of ours stays. For the day Resurgam is removed.

From: commands.py. To: one plan for each container that stands still and had another policy (`release`, actions/); the
answer is a text with one line for each thing that is left for a person to do, as a command to copy. Nothing is removed.
"""

from typing import TYPE_CHECKING

from supervisor.actions.steps import lkg_ref
from supervisor.facts import Command, Container, Decision, Intent, Service
from supervisor.incidents import may_run
from supervisor.verdicts import Reason, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def answer(core: "Decider", fact: Command) -> Decision:
    """`release SERVICE`, or `release *` for all."""
    bare = Intent(fact.verb, fact.target, {}, f"asked for by {fact.principal}", fact.principal)
    found = [service.id for service in core.registry.services()] if fact.target == "*" else ()
    names = found or core.registry.find(fact.target)
    if fact.target != "*" and len(names) != 1:
        text = f"{fact.target!r} could be {', '.join(names)}; say which." if names else ""
        text = text or f"There is no service {fact.target!r}; `resurgam status` lists them."
        reason = Reason.AMBIGUOUS_TARGET if names else Reason.NO_TARGET
        return core.admission.refuse(core, bare, no(reason, text))
    services = [service for name in names if (service := core.registry.get(name)) is not None]
    given: list[str] = []
    lines: list[str] = []
    for service in services:
        container, policy = service.container, service.wanted.policy
        if not policy or container is None:
            continue
        if _give(core, bare, service):
            given.append(f"{service.id} ({policy})")
        elif container.restart_policy != policy:
            lines.append(_line(service, container))
    text = f"Given back: {', '.join(given)}." if given else "There was no restart policy to give back."
    if lines and not given:
        text = "Nothing was given back yet."
    if lines:
        text += "\nRun these yourself; where a container runs and has a GPU only after a stop, or it can lose the GPU:"
        text += "".join(f"\n  {line}" for line in lines)
    stays = _stays(core, services, everything=fact.target == "*")
    if stays:
        text += "\nThis of Resurgam stays until you remove it:" + "".join(f"\n  {line}" for line in stays)
    return Decision(core.now, bare, yes(text))


def _give(core: "Decider", bare: Intent, service: Service) -> bool:
    """Whether a plan was opened that gives it back."""
    container = service.container
    if container is None or container.living:
        return False
    intent = Intent("release", service.id, {"policy": service.wanted.policy}, bare.cause, bare.by)
    return may_run(intent, core.world()).ok and core.admission.admit(core, intent).verdict.ok


def _line(service: Service, container: Container) -> str:
    gpu = "    # it has a GPU" if container.gpu else ""
    return f"docker update --restart {service.wanted.policy} {container.name}{gpu}"


def _stays(core: "Decider", services: list[Service], *, everything: bool) -> list[str]:
    """What we made and leave: containers put aside, and the tags that protect images."""
    names = {service.container.name for service in services if service.container is not None}
    aside = [name for of, name in core.registry.aside() if everything or of in names]
    tags = [lkg_ref(service.id) for service in services if service.owned.ok and service.proved_image]
    return [f"docker rm {name}" for name in aside] + [f"docker rmi {tag}" for tag in tags]
