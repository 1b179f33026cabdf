"""Answers people: a command goes through the same guard and the same budget as a rule.

Commands come from the control socket, from the file PAUSE and, through mail.py, over the bus; the answer is a Decision,
with the plan's id where one was opened.
"""

from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import acks, documents, gpu_words, ourselves, quiesced, release, requests, second_word
from supervisor.facts import Command, Decision, Intent
from supervisor.incidents import may_run
from supervisor.signals import pause_file
from supervisor.verbs import VERBS, Verb
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def answer_command(core: "Decider", fact: Command) -> Decision:
    """Do what is asked, or say why not."""
    if fact.door == "bus":
        return core.mail.answer(core, fact)
    if fact.door == "file" and fact.id:
        return requests.answer(core, fact, answer_command)
    return decide(core, fact)


def decide(core: "Decider", fact: Command) -> Decision:
    """The same, whatever door it came through."""
    if fact.verb in ("pause", "resume"):
        return _pause_or_resume(core, fact)
    if fact.verb in ("approve", "deny"):
        return core.approvals.answer(core, fact)
    if fact.verb == "release":
        return release.answer(core, fact)
    if fact.verb == "ack":
        return acks.answer(core, fact)
    if fact.verb == "silence":
        return core.silences.answer(core, fact)
    if fact.verb in gpu_words.WORDS:
        return gpu_words.answer(core, fact)
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
    if fact.widens and not fact.approved:
        return core.admission.refuse(core, *documents.widening(fact, params))
    begun = core.rollouts.project(core, fact)
    if begun is not None:
        return begun
    target, trouble = _aimed(core, verb, fact.target)
    if trouble is not None:
        return core.admission.refuse(core, bare, trouble)
    override = fact.override if fact.door == "socket" else ""
    cause = f"asked for by {fact.principal}" + (f", overriding: {override}" if override else "")
    bare = Intent(verb.name, target, params, cause, fact.principal, override=override, approved=fact.approved)
    intent = documents.with_document(fact, bare, core.registry.get(target))
    if isinstance(intent, Verdict):
        return core.admission.refuse(core, bare, intent)
    verdict = may_run(intent, core.world())
    unsigned = second_word.needed(fact, intent)
    if verdict.ok and unsigned is not None:
        verdict = unsigned
    if not verdict.ok:
        return core.admission.refuse(core, intent, verdict)
    return core.admission.decided(core, Decision(core.now, intent, verdict))


def _aimed(core: "Decider", verb: Verb, word: str) -> tuple[str, Verdict | None]:
    beneath = quiesced.aimed(core, verb, word)
    return beneath or core.slots.aimed(core, verb, word) or _target(core, word)


def _target(core: "Decider", word: str) -> tuple[str, Verdict | None]:
    found = core.slots.finder(core.registry.find)(word)
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
    name = "Everything" if subject == "*" else subject
    if fact.verb == "resume":
        if subject not in core.standing.pauses and not (subject == "*" and core.standing.confirm):
            return Decision(core.now, intent, yes(_not_paused(core, subject)))
        file = core.loaded.settings.state_dir / pause_file.NAME
        if fact.door != "file" and core.standing.pauses.get(subject, ("", 0.0))[0] == pause_file.because(file):
            text = f"Everything stays paused as long as the file {file} is there; remove it to go on."
            return core.admission.refuse(core, intent, no(Reason.PAUSED, text))
        unsigned = second_word.needed(fact, intent)
        if unsigned is not None:
            return core.admission.refuse(core, intent, unsigned)
        ourselves.resume(core, subject, why, word=fact.door != "file")
        text = f"{name} is resumed."
    else:
        try:
            until = core.now + units.duration(fact.params["for"]) if fact.params.get("for") else 0.0
        except ValueError as err:
            return core.admission.refuse(core, intent, no(Reason.BAD_PARAMETER, f"{err}."))
        held = core.standing.pauses.get(subject)
        if fact.door == "bus" and held is not None and (not held[1] or 0 < until <= held[1]):
            # a shorter one in its place would be a `resume`, which needs a second word
            return Decision(core.now, intent, yes(f"{name} is paused already, for longer: {held[0]}."))
        ourselves.pause(core, subject, why, until)
        back = "resurgam resume" + ("" if subject == "*" else f" {subject}")
        text = f"{name} is paused " + (
            f"for {fact.params['for']}." if until else f"until `{back}`; no new plan starts."
        )
    return Decision(core.now, intent, yes(text))


def _not_paused(core: "Decider", subject: str) -> str:
    if subject != "*":
        return f"{subject} is not paused."
    others = ", ".join(f"`resurgam resume {key}`" for key in sorted(core.standing.pauses))
    return f"Only single services are paused; resume them by {others}." if others else "Nothing is paused."
