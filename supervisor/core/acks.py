"""A person takes an incident on: who and when stands with it from then on, for everybody to see.

From: commands.py (`ack INCIDENT|SERVICE`). To: the incident book, and a message. Nothing else changes: actions go on,
and so do messages.
"""

from typing import TYPE_CHECKING

from supervisor import units
from supervisor.facts import Command, Decision, Incident, Intent
from supervisor.units import iso
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def answer(core: "Decider", fact: Command) -> Decision:
    """Acknowledge one open incident, by its id or by the service it is about."""
    intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
    unknown = [name for name in fact.params if name != "reason"]
    if unknown:
        text = f"ack has no parameter {unknown[0]!r}; it knows: reason."
        return core.admission.declined(core, intent, no(Reason.BAD_PARAMETER, text))
    found = _find(core, fact.target)
    if isinstance(found, Verdict):
        return core.admission.declined(core, intent, found)
    if found.acked:
        return Decision(core.now, intent, yes(f"{found.id} was taken on already: {found.acked}."))
    why = units.plain(fact.params.get("reason", ""), 200)
    acked = f"{fact.principal} at {iso(core.now)}" + (f": {why}" if why else "")
    core.apply(core.book.acked(found.id, acked))
    text = f"{fact.principal} took on {found.id} ({found.title})" + (f": {why}." if why else ".")
    body = {"incident": found.id, "service": found.subject, "by": fact.principal, "reason": why, "text": text}
    core.row("action.acked", found.subject, body)
    core.reviewed_later()
    return Decision(core.now, intent, yes(text))


def _find(core: "Decider", word: str) -> Incident | Verdict:
    incidents = core.book.incidents()
    names = (word, *core.registry.find(word))
    found = [one for one in incidents if one.id == word or one.subject in names]
    if len(found) == 1:
        return found[0]
    if found:
        return no(Reason.AMBIGUOUS_TARGET, f"{word!r} could be {', '.join(one.id for one in found)}; say which.")
    open_ones = ", ".join(f"{one.id} ({one.subject})" for one in incidents[:10]) or "none"
    return no(Reason.NO_TARGET, f"No incident {word!r} is open; open are: {open_ones}.")
