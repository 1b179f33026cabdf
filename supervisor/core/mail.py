"""Commands that came over the message bus: each is obeyed once, and each is told of, whatever became of it.

From: bus/commands/, as facts through the door `bus`; some carry the edge's own no (retained, too old, not allowed).
To: commands.py, which answers them as it answers everybody; the journal's space `command`, which keeps the first answer
to the last 1,000 ids of every principal, so that neither a repeat nor a restart does a thing twice.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.config.telling import BUS_VERBS
from supervisor.core.commands import decide
from supervisor.errors import JournalError
from supervisor.facts import Command, Decision, Intent, Json
from supervisor.journal.codec import dump, load
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

REMEMBERED = 1000
"""ids of one principal"""
EDGE_VERBS = ("refresh", "replay")
"""done by the edge, once this has let them pass: they say again what was said, and decide nothing"""
DAEMON = "daemon"
"""the subject of what is about no service: the `rev` of `state/daemon`"""


@dataclass(frozen=True, slots=True)
class _Answered:
    number: int
    principal: str
    id: str
    decision: Decision


class Mail:
    """The answers that were given over the bus."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `command` as it was at the start."""
        found: list[_Answered] = []
        for key in sorted(kept):
            with suppress(JournalError):
                found.append(load(_Answered, kept[key]))
        self._known: dict[str, dict[str, _Answered]] = {}
        """principal -> id -> what was answered, oldest first"""
        for one in sorted(found, key=lambda one: one.number):
            self._known.setdefault(one.principal, {})[one.id] = one
        self._last = max((one.number for one in found), default=0)

    def answer(self, core: "Decider", fact: Command) -> Decision:
        """Obey a command of the bus, or say why not, or what was said to it before."""
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        known = self._known.get(fact.principal, {}).get(fact.id)
        late = fact.refused is not None and fact.refused.reason is Reason.STALE
        if fact.refused is not None and not (late and known):
            return self._tell(core, fact, Decision(core.now, intent, fact.refused))
        if known is not None:  # also where it is late by now: whoever repeats it wants to hear what became of it
            return self._tell(core, fact, replace(known.decision, repeat=True))
        # What a person said is the row of its own; a refusal among these is not told twice.
        about = _about(core, fact) if fact.if_rev is not None else None
        rev = core.revisions.get(about, 0) if about else None
        if fact.verb not in BUS_VERBS:
            text = f"{fact.verb!r} is not obeyed over the bus; use the command line on this machine."
            decision = Decision(core.now, intent, no(Reason.NOT_ALLOWED, text))
        elif about == "":
            text = f"`if_rev` is for one service, or the whole box: {units.plain(fact.target, 100)!r} is neither."
            decision = Decision(core.now, intent, no(Reason.NO_TARGET, text))
        elif rev != fact.if_rev:
            text = f"Something happened since you looked at {about}: its rev is {rev} now, not {fact.if_rev}."
            decision = Decision(core.now, intent, no(Reason.STALE, text))
        elif fact.verb in EDGE_VERBS:
            decision = Decision(core.now, intent, yes(f"{fact.verb} goes ahead."))
        else:
            decision = decide(core, fact)
        decision = replace(decision, rev=rev)
        self._remember(core, fact, decision)
        return self._tell(core, fact, decision)

    def _remember(self, core: "Decider", fact: Command, decision: Decision) -> None:
        """Keep the answer with the command it belongs to; what it was about may be long and is not needed again."""
        self._last += 1
        short = replace(decision, intent=replace(decision.intent, document={}))
        made = _Answered(self._last, fact.principal, fact.id, short)
        answered = self._known.setdefault(fact.principal, {})
        answered[fact.id] = made
        core.batch.put("command", str(made.number), dump(made))
        while len(answered) > REMEMBERED:
            oldest = answered.pop(next(iter(answered)))
            core.batch.put("command", str(oldest.number), None)

    def _tell(self, core: "Decider", fact: Command, decision: Decision) -> Decision:
        verdict = decision.verdict
        did = "was obeyed" if verdict.ok else f"was refused ({verdict.reason.value})"
        again = ""
        if decision.repeat:
            again = "; its id was used before, so nothing is done anew and the first answer is given"
        what = units.plain(" ".join(part for part in (fact.verb, fact.target) if part), 200)
        body: Json = {"principal": fact.principal, "id": fact.id, "verb": fact.verb, "target": fact.target}
        body |= {"allowed": verdict.ok, "reason": verdict.reason.value, "repeat": decision.repeat}
        body |= {"signed": fact.signed, "if_rev": fact.if_rev, "plan": decision.plan, "approval": decision.asked}
        body["text"] = f"{what} by {fact.principal} {did}{again}: {verdict.text}"
        # Its subject is whoever spoke (strangers have one together): what is only said changes nobody's revision.
        named = fact.principal.partition(":")[2] in core.loaded.settings.commands.principals
        core.row("daemon.command", fact.principal if named else "bus:?", body)
        return decision


def _about(core: "Decider", fact: Command) -> str:
    """What the command is about, as a subject of rows; '' where that is no one thing (a project, a mistake)."""
    word = fact.target
    if fact.verb in ("approve", "deny", "ack"):
        asked = {one.id: one.intent.target for one in core.approvals.open()}
        asked |= {one.id: one.subject for one in core.book.incidents()}
        word = asked.get(word, word)
    if fact.verb in EDGE_VERBS or fact.verb == "silence" or word in ("", "*", "host"):
        return DAEMON
    slot = core.slots.aimed(core, VERBS[fact.verb], word) if fact.verb in VERBS else None
    if slot is not None:
        return slot[0]
    if core.registry.get(word) is not None:
        return word
    found = core.registry.find(word)
    return found[0] if len(found) == 1 else ""
