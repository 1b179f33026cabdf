"""What a command would come to now, decided by the same guard, and then not done.

From: web/previewing.py (`resurgam plan`). To: the verdict, and the plans that would be opened, in order. Reads the core
between two turns; nothing is kept, no row is written, no id is used up.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from supervisor.actions.plans import build
from supervisor.actions.preview import OP
from supervisor.core import consequences, documents, quiesced, staging
from supervisor.facts import Command, Intent, Plan, Service, Stage
from supervisor.incidents import machine, may_run
from supervisor.services import safe_id
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


@dataclass(frozen=True, slots=True)
class Ahead:
    """One plan that would be opened; `plan` is None where there can be none, and `verdict` says why."""

    intent: Intent
    verdict: Verdict
    service: Service | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Wished:
    """A command, and what it would come to."""

    intent: Intent
    verdict: Verdict
    ahead: tuple[Ahead, ...] = ()
    left: tuple[str, ...] = ()
    """services of a project that would be left alone, each with why"""
    notes: tuple[str, ...] = field(default_factory=tuple)


def wished(core: "Decider", fact: Command) -> Wished:
    """Walk the way of a command (commands.py) without a step beyond the verdict."""
    bare = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
    verb = VERBS.get(fact.verb)
    if verb is None or verb.internal:
        return Wished(bare, no(Reason.UNKNOWN_VERB, f"There is no verb {fact.verb!r}."))
    try:
        params = verb.check(dict(fact.params))
    except ValueError as err:
        return Wished(bare, no(Reason.BAD_PARAMETER, f"{err}."))
    known = core.registry.find(fact.target)
    services = core.registry.services()
    cause = f"asked for by {fact.principal}"
    slot = core.slots.aimed(core, verb, fact.target)
    if slot is not None:
        bare = Intent(verb.name, slot[0], params, cause, fact.principal, override=fact.override)
        return Wished(bare, slot[1]) if slot[1] is not None else _slot(core, bare)
    beneath = quiesced.aimed(core, verb, fact.target)
    if beneath is not None:
        bare = Intent(verb.name, beneath[0], params, cause, fact.principal, override=fact.override)
        return Wished(bare, beneath[1]) if beneath[1] is not None else _beneath(core, bare)
    project = staging.project_named(services, fact.target, bool(known))
    if project:
        bare = Intent(fact.verb, safe_id(project), fact.params, cause, fact.principal, override=fact.override)
        return _staged(core, bare, staging.project(fact, project, core.gpu.spelt(services), core.standing.pauses))
    if len(known) != 1:
        return Wished(bare, _nobody(fact.target, known))
    bare = Intent(verb.name, known[0], params, cause, fact.principal, override=fact.override)
    service = core.registry.get(known[0])
    intent = documents.with_document(fact, bare, service)
    if isinstance(intent, Verdict):
        return Wished(bare, intent)
    return _one(core, intent, service, services)


def _slot(core: "Decider", intent: Intent) -> Wished:
    """A slot: the plan that its desk would build."""
    verdict = may_run(intent, core.world())
    plan = core.slots.plan(core, intent, 0, OP)
    if isinstance(plan, Verdict):
        verdict = plan if verdict.ok else verdict
        return Wished(intent, verdict, (Ahead(intent, verdict),))
    return Wished(intent, verdict, (Ahead(intent, verdict, None, plan),))


def _beneath(core: "Decider", intent: Intent) -> Wished:
    """A card, or the machine: the plan no container carries, or the services that use the card."""
    world = core.world()
    verdict = may_run(intent, world)
    if intent.verb in machine.MACHINE:
        plan = quiesced.beneath(core, intent, 0, OP)
        return Wished(intent, verdict, (Ahead(intent, verdict, None, plan),))
    uuid = machine.uuid_of(intent.target)
    found = _staged(core, intent, staging.quiesce(uuid, machine.on_card(uuid, world)))
    return found if verdict.ok else replace(found, verdict=verdict)


def _nobody(word: str, known: tuple[str, ...]) -> Verdict:
    if known:
        return no(Reason.AMBIGUOUS_TARGET, f"{word!r} could be {', '.join(known)}; say which.")
    return no(Reason.NO_TARGET, f"There is no service {word!r}; `resurgam status` lists them.")


def _one(core: "Decider", intent: Intent, service: Service | None, services: tuple[Service, ...]) -> Wished:
    """One service, and those that share its namespaces."""
    notes: list[str] = []
    container = service.container if service is not None else None
    if service is None or container is None:
        return Wished(intent, may_run(intent, core.world()))
    if intent.verb in ("restart", "start") and service.reattach:
        made = staging.recreation(intent, service)
        if isinstance(made, Verdict):
            return Wished(intent, made)
        intent, why = made
        notes.append(why)
    if intent.verb in ("restart", "phoenix", "rollback", "start"):
        staged = staging.dependents(intent, service, services)
        if isinstance(staged, Verdict):
            return Wished(intent, staged, (_ahead(core, intent),), notes=tuple(notes))
        if staged is not None:
            found = _staged(core, intent, staged)
            return replace(found, notes=(*notes, *found.notes))
    only = _ahead(core, intent)
    return Wished(intent, only.verdict, (only,), notes=tuple(notes))


def _staged(core: "Decider", bare: Intent, staged: "staging.Staged | Verdict") -> Wished:
    if isinstance(staged, Verdict):
        return Wished(bare, staged)
    ahead = tuple(_ahead(core, _intent(stage, bare)) for stage in staged.stages)
    refused = next((each.verdict for each in ahead if not each.verdict.ok), None)
    if not ahead:
        refused = no(Reason.ALREADY_DONE, f"There is nothing to {bare.verb}.")
    return Wished(bare, refused or yes(), ahead, staged.left, staged.problems)


def _intent(stage: Stage, bare: Intent) -> Intent:
    return replace(bare, verb=stage.verb, target=stage.service, params=dict(stage.params), document=stage.document)


def _ahead(core: "Decider", intent: Intent) -> Ahead:
    """The verdict, and the plan as it would be built; also where it would be refused, so that a person sees it all."""
    service = core.registry.get(intent.target)
    verdict = may_run(intent, core.world())
    if service is None or service.container is None:
        return Ahead(intent, verdict, service)
    image_id = consequences.image_for(intent, service)
    plan = build(intent, service, plan_id=0, op=OP, now=core.now, image_id=image_id)
    if isinstance(plan, Verdict):
        return Ahead(intent, plan if verdict.ok else verdict, service)
    found = {**plan.found, **consequences.known(core, plan, service)}  # as admission.py does
    return Ahead(intent, verdict, service, replace(plan, found=found))
