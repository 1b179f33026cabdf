"""What waits for a person's word, and what becomes of it when the word comes.

From: admission.py (an intent, or a step of an open plan, that needs a yes), commands.py (approve, deny). To: the
journal's space `approval`, so that a restart asks nothing twice, and the messages people read. A yes lets that one
intent, or that one step, go on; it lifts nothing else: the guard looks at everything again. A no, or none within a day,
counts as a try of that rung: the ladder goes on with its next one.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.core import second_word
from supervisor.core.commands import answer_command
from supervisor.core.consequences import image_for
from supervisor.core.documents import again, asked_as_a_whole
from supervisor.errors import JournalError
from supervisor.facts import SLOT, Approval, Command, Decision, Intent, Json, Plan
from supervisor.incidents import may_run
from supervisor.incidents.guard import by_rule
from supervisor.incidents.permit import RESOLVED_KEY
from supervisor.incidents.words import until
from supervisor.journal.codec import dump, load
from supervisor.units import iso, short_image
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

LASTS = 86400.0
"""seconds a question stays open; then it counts as denied"""
MOST = 100
"""open questions; beyond them it is only refused"""
APPROVED, DENIED = "approved", "denied"
_NUMBER = "#"


class Approvals:
    """The open questions, and the answers that open plans still need."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `approval` as it was at the start."""
        self._last = int(kept.get(_NUMBER, {}).get("last", 0))
        found: list[Approval] = []
        for key in sorted(kept):
            if key != _NUMBER:
                with suppress(JournalError):  # what cannot be read any more is asked again
                    found.append(load(Approval, kept[key]))
        self._entries = {one.id: one for one in sorted(found, key=lambda one: _number(one.id))}
        self._last = max([self._last, *(_number(name) for name in self._entries)])
        self._asked: dict[str, list[float]] = {}
        """somebody on the bus -> when they asked for a second word"""

    def open(self) -> tuple[Approval, ...]:
        """Those without an answer, oldest first."""
        return tuple(one for one in self._entries.values() if not one.answer)

    # ------------------------------------------------------------ asking

    def ask(self, core: "Decider", intent: Intent, text: str, plan: int = 0, step: str = "") -> str:
        """A word is needed; the id of the question, '' where too many are open. Asking again for the same (key and
        target, or plan and step) is the same question. `text`: one sentence, why a word is needed."""
        for one in self.open():
            if _same(one, intent, plan, step):
                if one.intent.document == intent.document:
                    return one.id
                self._end(core, one, "withdrawn", f"{one.id} is not asked any more: it was asked for anew.")
        second = second_word.over_bus(intent.by) and not plan
        if len(self.open()) >= MOST or (second and not self._room(intent.by, core.now)):
            return ""
        self._last += 1
        ident = f"ap-{self._last}"
        expires = core.now + (second_word.LASTS if second else LASTS)
        said = _question(ident, intent, text, plan, until(expires, core.now))
        made = Approval(ident, intent, said, core.now, expires, plan, step, image="" if plan else _image(core, intent))
        self._keep(core, made)
        core.batch.put("approval", _NUMBER, {"last": self._last})
        core.row("action.approval", intent.target, _body(made) | {"text": said})
        return ident

    def _room(self, by: str, now: float) -> bool:
        """Whether somebody on the bus may ask one more: each question is told to people, answered or not."""
        recent = [at for at in self._asked.get(by, ()) if abs(now - at) < second_word.LASTS]
        room = len(recent) < second_word.MOST
        self._asked[by] = [*recent, now] if room else recent
        return room

    def waits(self, plan: Plan, step: str) -> bool:
        """Whether a question about this step of an open plan is open."""
        return any((one.plan, one.step) == (plan.id, step) for one in self.open())

    def word(self, plan: Plan, step: str) -> Verdict | None:
        """What a person said about a step of an open plan; None where nobody has yet."""
        for one in self._entries.values():
            if (one.plan, one.step) == (plan.id, step) and one.answer:
                if one.answer == APPROVED:
                    return yes(f"{one.by} approved it ({one.id}).")
                who = f"{one.by} denied it" if one.by else "nobody approved it in time"
                return no(Reason.DENIED, f"{who} ({one.id}).")
        return None

    # ------------------------------------------------------------ answering

    def answer(self, core: "Decider", fact: Command) -> Decision:
        """`approve ID` or `deny ID` (or the service's name, where one question is open for it)."""
        bare = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        unknown = [name for name in fact.params if name != "reason"]
        if unknown:
            text = f"{fact.verb} has no parameter {unknown[0]!r}; it knows: reason."
            return core.admission.declined(core, bare, no(Reason.BAD_PARAMETER, text))
        found = self._find(core, fact.target)
        if isinstance(found, Verdict):
            return core.admission.declined(core, bare, found)
        if found.answer:
            text = f"{found.id} was {found.answer} already" + (f" by {found.by}." if found.by else ".")
            return Decision(core.now, bare, yes(text), found.plan)
        if second_word.own(fact, found):
            return core.admission.declined(core, bare, second_word.refusal(found))
        why = f": {fact.params['reason']}" if fact.params.get("reason") else ""
        if fact.verb == "deny":
            text = self._deny(core, found, fact.principal, f"{fact.principal} denied {found.id}{why}")
            return Decision(core.now, bare, yes(text), found.plan)
        if found.plan:
            text = f"{fact.principal} approved {found.id}{why}; plan {found.plan} goes on."
            self._keep(core, replace(found, answer=APPROVED, by=fact.principal))
            told = _body(found) | {"text": text, "answered_by": fact.principal}
            core.row("action.approved", found.intent.target, told)
            core.reviewed_later()
            return Decision(core.now, bare, yes(text), found.plan)
        return self._approve(core, found, fact.principal, why)

    def _find(self, core: "Decider", word: str) -> Approval | Verdict:
        if word in self._entries:
            return self._entries[word]
        services = core.registry.find(word)
        found = [one for one in self.open() if one.intent.target in (word, *services)]
        if len(found) == 1 and not found[0].intent.document:
            return found[0]
        if len(found) == 1 and found[0].intent.document:
            text = f"What {found[0].id} asks came in a file that may have changed since you read it; say {found[0].id}."
            return no(Reason.AMBIGUOUS_TARGET, text)
        if found:
            which = ", ".join(f"{one.id} ({one.intent.verb} {one.intent.target})" for one in found)
            return no(Reason.AMBIGUOUS_TARGET, f"Several wait for a word about {word!r}: {which}; say which.")
        if word.startswith("ap-") and 0 < _number(word) <= self._last:
            text = f"{word} does not wait any more; `resurgam show {word}` tells what became of it."
        else:
            text = f"Nothing waits for a word about {word!r}; `resurgam status` lists what does."
        return no(Reason.NO_TARGET, text)

    def _approve(self, core: "Decider", one: Approval, who: str, why: str) -> Decision:
        """Admit exactly what was asked, if nothing else stands in the way; else the question stays open."""
        intent = replace(one.intent, approved=who)
        if who.startswith("bus:"):
            intent = replace(intent, override="")  # what lifts a budget is said on the control socket alone
        if asked_as_a_whole(intent) or second_word.as_a_whole(intent, _one_thing(core, intent)):
            return self._whole(core, one, intent, why)
        if one.image and _image(core, intent) != one.image:
            return self._moved(core, one, intent)
        world = replace(core.world(), approved={(intent.by, intent.key): who})
        by_ladder = by_rule(intent.by) and not intent.key.endswith(RESOLVED_KEY)
        if by_ladder:
            if core.book.wants(intent, world) is None:
                return self._cause_ended(core, one, intent)
            said = core.book.would(intent, world)
            busy = no(Reason.LOCKED, f"Something else is being done to {intent.target} now.")
            verdict = busy if said is None else said.verdict
        else:
            verdict = may_run(intent, world)
        if not verdict.ok:
            text = f"{verdict.text} {one.id} stays open; say it again then."
            return core.admission.refuse(core, intent, no(verdict.reason, text))
        text = f"{who} approved {one.id}{why}: {_what(intent)}."
        self._end(core, one, APPROVED, text, who)
        if not by_ladder:
            return core.admission.decided(core, Decision(core.now, intent, verdict))
        core.apply(core.book.review(world, core.desk.take_changes()))
        for made in core.decisions:
            if (made.at, made.intent.by, made.intent.key) == (core.now, intent.by, intent.key) and made.intent.approved:
                return made
        return Decision(core.now, intent, yes(text))

    def _whole(self, core: "Decider", one: Approval, intent: Intent, why: str) -> Decision:
        """Answer the command that was asked about as a whole; if it is refused now, the question stays open."""
        who = intent.approved
        decision = answer_command(core, again(intent, who, core.now, core.mono, one.text))
        if decision.verdict.ok:
            self._end(core, one, APPROVED, f"{who} approved {one.id}{why}: {_what(one.intent)}.", who)
        return decision

    def _deny(self, core: "Decider", one: Approval, who: str, said: str) -> str:
        """Refuse what was asked; its ladder goes on. Returns what is told."""
        intent = one.intent
        text = f"{said}; plan {one.plan} goes on without it." if one.plan else f"{said}: {_what(intent)} is not done."
        if one.plan:
            self._keep(core, replace(one, answer=DENIED, by=who))
            core.row("action.denied", intent.target, _body(one) | {"text": text, "answered_by": who})
        else:
            self._end(core, one, DENIED, text, who)
            core.decisions.appendleft(Decision(core.now, intent, no(Reason.DENIED, text)))
            if by_rule(intent.by) and not intent.key.endswith(RESOLVED_KEY):
                core.apply(core.book.denied(intent, core.world()))
        core.reviewed_later()
        return text

    def _moved(self, core: "Decider", one: Approval, intent: Intent) -> Decision:
        """A yes is given to the image that was named: another one is another question."""
        text = f"{one.id} is not asked any more: it would go to another image now than when it was asked."
        self._end(core, one, "withdrawn", text)
        image = short_image(_image(core, intent)) or "none that is known"
        asked = self.ask(core, one.intent, f"The image it goes to is another one since {one.id} was asked: {image}.")
        return core.admission.refuse(core, intent, no(Reason.STALE, text + hint(asked)))

    def _cause_ended(self, core: "Decider", one: Approval, intent: Intent) -> Decision:
        text = f"{one.id} is not asked any more: its cause has ended, so there is nothing to do."
        self._end(core, one, "withdrawn", text)
        return core.admission.refuse(core, intent, no(Reason.RESOLVED, text))

    # ------------------------------------------------------------ what ends a question without an answer

    def ended(self, core: "Decider", plan: Plan) -> None:
        """A plan is over: what it asked is not asked any more."""
        for one in [one for one in self._entries.values() if one.plan == plan.id]:
            if one.answer:
                self._drop(core, one)
            else:
                self._end(core, one, "withdrawn", f"{one.id} is not asked any more: plan {plan.id} is over.")

    def settled(self, core: "Decider", intent: Intent) -> None:
        """A plan was opened for this intent: nothing is to be asked about it (its playbook was changed)."""
        for one in [one for one in self.open() if not one.plan and intent.key and _same(one, intent, 0, "")]:
            self._end(core, one, "withdrawn", f"{one.id} is not asked any more: it is done without a word.")

    def gap(self, core: "Decider", seconds: float) -> None:
        """The wall clock jumped: time in which nobody could answer does not count."""
        for one in self.open():
            self._keep(core, replace(one, asked_at=one.asked_at + seconds, expires_at=one.expires_at + seconds))

    def due(self) -> float | None:
        """Unix seconds at which the next question lapses."""
        return min((one.expires_at for one in self.open()), default=None)

    def tick(self, core: "Decider") -> None:
        """Let questions lapse that nobody answered in time, and take back those whose alert has ended."""
        if not self._entries:
            return
        firing = {alert.fingerprint: alert.fired_at for alert in core.alerts() if alert.state == "firing"}
        for one in self.open():
            if one.asked_at > core.now:  # the clock was put back while nobody ran
                one = replace(one, asked_at=core.now, expires_at=core.now + one.expires_at - one.asked_at)
                self._keep(core, one)
            if one.expires_at <= core.now:
                soon = "two minutes" if second_word.over_bus(one.intent.by) and not one.plan else "a day"
                self._deny(core, one, "", f"{one.id} lapsed, since nobody answered within {soon}")
            elif not one.plan and by_rule(one.intent.by) and not one.intent.key.endswith(RESOLVED_KEY):
                fingerprint, fired_at, *_rest = one.intent.key.split("|")
                if fingerprint not in firing or f"{firing[fingerprint]:.3f}" != fired_at:
                    self._end(core, one, "withdrawn", f"{one.id} is not asked any more: its cause has ended.")

    # ------------------------------------------------------------ keeping

    def _end(self, core: "Decider", one: Approval, how: str, text: str, who: str = "") -> None:
        self._drop(core, one)
        core.row(f"action.{how}", one.intent.target, _body(one) | {"text": text, "answered_by": who})

    def _keep(self, core: "Decider", one: Approval) -> None:
        self._entries[one.id] = one
        core.batch.put("approval", one.id, dump(one))
        core.stale_snapshot = True

    def _drop(self, core: "Decider", one: Approval) -> None:
        self._entries.pop(one.id, None)
        core.batch.put("approval", one.id, None)
        core.stale_snapshot = True


def hint(ident: str) -> str:
    """What a person is told after a refusal for which a question was made; '' for no question."""
    return f" {ident} waits for your word: `resurgam approve {ident}` or `resurgam deny {ident}`." if ident else ""


def _same(one: Approval, intent: Intent, plan: int, step: str) -> bool:
    if one.plan or plan:
        return (one.plan, one.step) == (plan, step)
    known, asked = one.intent, intent
    if (known.by, known.key, known.target) != (asked.by, asked.key, asked.target):
        return False
    return bool(asked.key) or (known.verb, dict(known.params)) == (asked.verb, dict(asked.params))


def _question(ident: str, intent: Intent, why: str, plan: int, end: str) -> str:
    """What is asked, why, what either answer does, and when it lapses."""
    asks = f"plan {plan} ({_what(intent)})" if plan else f"{intent.by} wants to {_what(intent)}"
    asks = "" if why.startswith(intent.by) else f"{asks}: "
    cause = intent.cause[:1].upper() + intent.cause[1:].rstrip(".")
    known = not cause or intent.cause in why or intent.cause == f"asked for by {intent.by}"
    reason = why if known else f"{why} {cause}.".lstrip()
    ladder = " and goes on with the ladder's next step" if by_rule(intent.by) and not plan else ""
    does = f"lets plan {plan} go on" if plan else "lets it be done, once"
    return (
        f"{ident}: {asks}{reason} `resurgam approve {ident}` {does}; `resurgam deny {ident}` refuses it"
        f"{ladder}. Without an answer it lapses {end} and counts as denied."
    )


def _one_thing(core: "Decider", intent: Intent) -> bool:
    """Whether it is about one service, or one slot."""
    return intent.target.startswith(SLOT) or core.registry.get(intent.target) is not None


def _image(core: "Decider", intent: Intent) -> str:
    service = core.registry.get(intent.target)
    return image_for(intent, service) if service is not None and intent.verb in ("phoenix", "rollback") else ""


def _what(intent: Intent) -> str:
    given = [f"{name}={value}" for name, value in sorted(intent.params.items()) if value]
    return " ".join([intent.verb, "everything" if intent.target == "*" else intent.target, *given])


def _body(one: Approval) -> Json:
    intent = one.intent
    found: Json = {"approval": one.id, "verb": intent.verb, "service": intent.target, "params": dict(intent.params)}
    found |= {"by": intent.by, "cause": intent.cause, "incident": intent.incident, "expires_at": iso(one.expires_at)}
    return found | ({"plan": one.plan, "step": one.step} if one.plan else {})


def _number(ident: str) -> int:
    word = ident.removeprefix("ap-")
    return int(word) if word.isascii() and word.isdigit() and len(word) < 12 else 0
