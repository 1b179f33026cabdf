"""Answers people: a command goes through the same guard and the same budget as a rule.

Commands come from the control socket (later also from the bus); the answer is a Decision, with the plan's id where one
was opened.
"""

from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import ourselves
from supervisor.facts import Command, Decision, Intent
from supervisor.incidents import may_run
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def answer_command(core: "Decider", fact: Command) -> Decision:
    """Do what is asked, or say why not."""
    if fact.verb in ("pause", "resume"):
        return _pause_or_resume(core, fact)
    bare = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
    verb = VERBS.get(fact.verb)
    if verb is None or verb.internal:
        known = ", ".join(sorted(name for name, verb in VERBS.items() if not verb.internal))
        return core.admission.refuse(
            core, bare, no(Reason.UNKNOWN_VERB, f"There is no verb {fact.verb!r}; there are: {known}.")
        )
    try:
        params = verb.check(dict(fact.params))
    except ValueError as err:
        return core.admission.refuse(core, bare, no(Reason.BAD_PARAMETER, f"{err}."))
    target, trouble = _target(core, fact.target)
    if trouble is not None:
        return core.admission.refuse(core, bare, trouble)
    override = fact.override if fact.door == "socket" else ""
    cause = f"asked for by {fact.principal}" + (f", overriding: {override}" if override else "")
    intent = Intent(verb.name, target, params, cause, fact.principal, override=override)
    verdict = may_run(intent, core.world())
    if not verdict.ok:
        return core.admission.refuse(core, intent, verdict)
    return core.admission.decided(core, Decision(core.now, intent, verdict))


def _target(core: "Decider", word: str) -> tuple[str, Verdict | None]:
    found = core.registry.find(word)
    if len(found) == 1:
        return found[0], None
    if not found:
        return "", no(Reason.NO_TARGET, f"There is no service {word!r}; `resurgam status` lists them.")
    return "", no(Reason.AMBIGUOUS_TARGET, f"{word!r} could be {', '.join(found)}; say which.")


def _pause_or_resume(core: "Decider", fact: Command) -> Decision:
    subject = fact.target or "*"
    intent = Intent(fact.verb, subject, fact.params, "", fact.principal)
    if subject != "*":
        subject, trouble = _target(core, subject)
        if trouble is not None:
            return core.admission.refuse(core, intent, trouble)
    why = fact.params.get("reason") or f"by {fact.principal}"
    if fact.verb == "resume":
        ourselves.resume(core, subject, why)
        text = "Resumed." if subject == "*" else f"{subject} is resumed."
    else:
        try:
            until = core.now + units.duration(fact.params["for"]) if fact.params.get("for") else 0.0
        except ValueError as err:
            return core.admission.refuse(core, intent, no(Reason.BAD_PARAMETER, f"{err}."))
        ourselves.pause(core, subject, why, until)
        text = (
            "Paused; no new plan starts until `resurgam resume`." if not until else f"Paused for {fact.params['for']}."
        )
    return Decision(core.now, intent, yes(text))
