"""Commands that came over the message bus: each is obeyed once, and each is told of, whatever became of it.

From: bus/commands.py, as facts through the door `bus`; some carry the edge's own no (retained, too old, not allowed).
To: approvals, acks and silences, which know these verbs; the journal's space `command`, which keeps the first answer to
the last 1,000 ids of every principal, so that neither a repeat nor a restart does a thing twice.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import acks
from supervisor.errors import JournalError
from supervisor.facts import Command, Decision, Intent, Json
from supervisor.journal.codec import dump, load
from supervisor.verdicts import Reason, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

REMEMBERED = 1000
"""ids of one principal"""


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
        if fact.refused is not None:
            return self._tell(core, fact, Decision(core.now, intent, fact.refused))
        known = self._known.get(fact.principal, {}).get(fact.id)
        if known is not None:
            return self._tell(core, fact, known.decision, repeat=True)
        # What a person said is the row of its own; a refusal among these is not told twice.
        if fact.verb in ("approve", "deny"):
            decision = core.approvals.answer(core, fact)
        elif fact.verb == "ack":
            decision = acks.answer(core, fact)
        elif fact.verb == "silence":
            decision = core.silences.answer(core, fact)
        else:
            text = f"{fact.verb!r} is not obeyed over the bus; use the command line on this machine."
            decision = Decision(core.now, intent, no(Reason.NOT_ALLOWED, text))
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

    def _tell(self, core: "Decider", fact: Command, decision: Decision, *, repeat: bool = False) -> Decision:
        verdict = decision.verdict
        did = "was obeyed" if verdict.ok else f"was refused ({verdict.reason.value})"
        again = "; its id was used before, so nothing is done anew and the first answer is given" if repeat else ""
        what = units.plain(" ".join(part for part in (fact.verb, fact.target) if part), 200)
        body: Json = {"principal": fact.principal, "id": fact.id, "verb": fact.verb, "target": fact.target}
        body |= {"allowed": verdict.ok, "reason": verdict.reason.value, "repeat": repeat, "plan": decision.plan}
        body["text"] = f"{what} by {fact.principal} {did}{again}: {verdict.text}"
        core.row("daemon.command", "daemon", body)
        return decision
