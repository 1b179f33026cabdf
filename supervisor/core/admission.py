"""From a decision to a plan with its locks, and from a runner's questions to answers.

Intents come from the incident book and from people; admitted plans go into the journal and then to the runner, whose
steps come back as facts. What a restart must not forget stands in the journal's spaces `plan` and, by spending.py,
`spent`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import verbs
from supervisor.actions.plans import build
from supervisor.clock import Clock
from supervisor.core import documents, second_word
from supervisor.core.approvals import hint
from supervisor.core.consequences import before, image_for, known, learn, unwant, want
from supervisor.core.plan_words import about, body_of, intent_of, news
from supervisor.core.quiesced import beneath
from supervisor.core.slot_plans import refit
from supervisor.core.spending import Spending
from supervisor.facts import (
    SLOT,
    Decision,
    EngineEvent,
    Intent,
    Json,
    Plan,
    PlanEnded,
    Service,
    StepAsked,
    StepEnded,
)
from supervisor.incidents import Locks, Spend, may_step
from supervisor.incidents.machine import MACHINE
from supervisor.incidents.permit import HANDS_BACK
from supervisor.incidents.slots import containers
from supervisor.journal.codec import dump, load
from supervisor.verbs import Disturbance
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

QUIET = (
    Reason.ALREADY_DONE,
    Reason.COOLDOWN,
    Reason.HELD,
    Reason.NOT_READY,
    Reason.OUTRANKED,
    Reason.OWNER_FIRST,
    Reason.OWN_ACTION,
    Reason.UNLESS,
)
"""refusals that are kept and shown when asked for, but are no news for people: something else is being done"""
OUTCOMES = {
    Reason.VERIFIED: "action.verified",
    Reason.ROLLED_BACK: "action.rolled_back",
    Reason.DEGRADED: "action.degraded",
    Reason.ENDED_EARLY: "action.ended_early",
    Reason.NEEDS_APPROVAL: "action.ended_early",
}

PROOF = (
    *("old_image", "new_image", "old_ref", "new_ref", "old_digest", "new_digest", "proof", "seconds", "downtime"),
    *("load_seconds", "steps", "probes", "back_probes", "backup", "failed", "old_log", "why", "memory"),
)
"""what the last row of a plan tells beside its outcome: the proof"""


class Admission:
    """Open plans, their locks and the budget."""

    def __init__(self, clock: Clock, kept: Mapping[str, Mapping[str, Json]]) -> None:
        self._clock = clock
        self._locks = Locks()
        self._open: dict[int, Plan] = {}
        self._waiting: set[int] = set()
        self._spending = Spending(kept.get("spent", {}), clock.wall())
        for key in sorted(kept.get("plan", {}), key=int):
            plan = load(Plan, kept["plan"][key])
            self._open[plan.id] = plan
        self._inherited = frozenset(self._open)
        """plans that an earlier process left open: known by this, since its clock need not agree with ours"""
        self._waiting.update(self._locks.restore(self.plans()))
        last = int(kept.get("meta", {}).get("plan", {}).get("last", 0))
        self._next = max(0, *self._open, self._spending.last(), last) + 1

    # ------------------------------------------------------------ what others read

    def plans(self) -> tuple[Plan, ...]:
        """Open plans, those that wait among them, by id."""
        return tuple(self._open[key] for key in sorted(self._open))

    def waiting(self) -> tuple[tuple[int, str], ...]:
        """Plans that wait, with what for."""
        return self._locks.waiting()

    def locked(self) -> tuple[tuple[str, int], ...]:
        """(lock, plan) of every lock that is held."""
        return self._locks.holders()

    def touched(self) -> Mapping[str, Plan]:
        """Container ids and names that open plans work on: what happens to those is our own doing."""
        found: dict[str, Plan] = {}
        for plan in self.plans():
            if plan.id in self._waiting:
                continue
            data = plan.data()
            made = (data.get("new_id"), data.get("parked"), data.get("new_name"))
            for key in (plan.container_id, plan.name, *made, *containers(plan)):
                if key:
                    found[str(key)] = plan
        return found

    def concerns(self, event: EngineEvent) -> bool:
        """Whether an open plan wants to hear of it at once."""
        if not self._open:
            return False
        touched = self.touched()
        return event.object_id in touched or event.attributes.get("name", "") in touched

    def spent(self, now: float) -> tuple[Spend, ...]:
        """Disruptive plans that still count, oldest first."""
        return self._spending.count(now)

    # ------------------------------------------------------------ from intent to plan

    def decided(self, core: "Decider", decision: Decision) -> Decision:
        """Keep a decision of the incident book; admit it where it says yes."""
        if decision.verdict.ok:
            decision = core.rollouts.instead(core, decision.intent) or self.admit(core, decision.intent)
            if not decision.verdict.ok:
                core.apply(core.book.refused(decision.intent, decision.verdict, core.world()))
        return self._keep(core, decision)

    def refuse(self, core: "Decider", intent: Intent, verdict: Verdict) -> Decision:
        """Keep a refusal."""
        return self._keep(core, Decision(core.now, intent, verdict))

    def declined(self, core: "Decider", intent: Intent, verdict: Verdict) -> Decision:
        """Keep what a person said that means nothing here (a typo, an id that is gone): it is answered, and no news."""
        decision = Decision(core.now, intent, verdict)
        core.decisions.appendleft(decision)
        body = body_of(intent) | {"reason": verdict.reason.value, "text": verdict.text}
        core.row("action.refused", "daemon", body, False)
        return decision

    def _keep(self, core: "Decider", decision: Decision) -> Decision:
        intent, verdict, asked = decision.intent, decision.verdict, ""
        if verdict.reason is Reason.NEEDS_APPROVAL:
            asked = core.approvals.ask(core, intent, verdict.text)
            said = hint(asked) or " Too many questions wait for a word already; answer those first."
            verdict = replace(verdict, text=verdict.text + said)
            decision = replace(decision, verdict=verdict, asked=asked)
        core.decisions.appendleft(decision)
        if not verdict.ok:
            body = body_of(intent) | {"reason": verdict.reason.value, "text": verdict.text, "plan": decision.plan}
            told = asked or second_word.over_bus(intent.by)  # a command over the bus has a row of its own (mail.py)
            core.row("action.refused", intent.target or "host", body, verdict.reason not in QUIET and not told)
        return decision

    def admit(self, core: "Decider", intent: Intent) -> Decision:
        """Open a plan for an intent that the guard let pass, or say why there can be none."""
        if intent.verb == "notify":
            text = intent.params.get("message") or intent.cause
            core.row("action.verified", intent.target, body_of(intent) | {"reason": "verified", "text": text})
            return Decision(core.now, intent, yes(text))
        if intent.verb in MACHINE:
            return self._open_plan(core, intent, beneath(core, intent, self._next, self._clock.token(3)), None)
        if intent.target.startswith(SLOT):
            return self._of_slot(core, intent)
        service = core.registry.get(intent.target)
        if service is None or service.container is None:
            return Decision(core.now, intent, no(Reason.VANISHED, f"{intent.target} has no container now."))
        image_id = image_for(intent, service)
        plan = build(intent, service, plan_id=self._next, op=self._clock.token(3), now=core.now, image_id=image_id)
        if isinstance(plan, Verdict):
            return Decision(core.now, intent, plan)
        found = {**plan.found, **known(core, plan, service)}
        locks = core.rollouts.locks(core, plan)
        return self._open_plan(core, intent, replace(plan, override=intent.override, found=found, locks=locks), service)

    def _of_slot(self, core: "Decider", intent: Intent) -> Decision:
        if intent.verb == "keep":
            return core.slots.keep(core, intent)
        plan = core.slots.plan(core, intent, self._next, self._clock.token(3))
        return self._open_plan(core, intent, plan, None) if isinstance(plan, Plan) else Decision(core.now, intent, plan)

    def of_our_own(self, core: "Decider", intent: Intent, make: Callable[[int, str], Plan]) -> int:
        """Open a plan of ours that needs nobody's leave and waits for nobody; its id."""
        return self._open_plan(core, intent, make(self._next, self._clock.token(3)), None).plan

    def _open_plan(self, core: "Decider", intent: Intent, plan: Plan, service: Service | None) -> Decision:
        self._next += 1
        self._open[plan.id] = plan
        core.batch.put("plan", str(plan.id), dump(plan))
        core.batch.put("meta", "plan", {"last": plan.id})
        self._spending.opened(core.batch, plan, core.now)
        core.approvals.settled(core, intent)
        if service is not None:
            want(core, plan, service)
        core.registry.mark(self.touched())
        waits = self._locks.admit(plan)
        body = body_of(intent) | {"plan": plan.id, "steps": [step.name for step in plan.steps if not step.back]}
        body |= {"limit": plan.found["limit_why"]} if plan.found.get("limit_why") else {}
        public = news(plan)
        if waits.ok:
            core.row(
                "action.planned",
                plan.service,
                body | {"text": f"{plan.verb} {plan.service}: {plan.cause}"},
                public,
            )
            core.effects.append(lambda to: to.start(plan))
        else:
            self._waiting.add(plan.id)
            body |= {"reason": waits.reason.value, "text": waits.text}
            core.row("action.planned", plan.service, body, public)
            if verbs.disturbance(plan.verb, dict(plan.params)) is Disturbance.EMERGENCY:
                self._make_way(core, plan)
        core.reviewed_later()
        return Decision(core.now, intent, yes(waits.text or f"Plan {plan.id} was started."), plan.id)

    def _make_way(self, core: "Decider", plan: Plan) -> None:
        """An emergency does not queue behind a plan that has not touched anything yet; a swap in the midst of it goes
        back where that needs less memory."""
        for other in self.plans():
            ends = other.phase == "before" or (other.service.startswith(SLOT) and other.phase == "inside")
            if other.id != plan.id and ends and set(other.locks) & set(plan.locks):
                self.wish_end(core, other.id, no(Reason.ENDED_EARLY, f"Plan {plan.id} ({plan.verb}) is more urgent."))

    def protect(self, core: "Decider", service: str, image_id: str) -> None:
        """An image proved healthy: tag it, so that no clean-up takes it away. Only for services that opted in."""
        found = core.registry.get(service)
        if found is None or not found.owned.ok or core.world().mode != "heal":
            return
        intent = Intent("protect", service, {"image": image_id}, "It proved healthy.", "resurgam")
        self.admit(core, intent)

    # ------------------------------------------------------------ the runner's questions and news

    def step_asked(self, core: "Decider", fact: StepAsked) -> Verdict:
        """May this step be taken? A yes is durable before it is heard."""
        plan = self._open.get(fact.plan)
        if plan is None:
            return no(Reason.ENDED_EARLY, f"Plan {fact.plan} is not open any more.")
        step = next((step for step in plan.steps if step.name == fact.step), None)
        if step is None:
            return no(Reason.UNSUPPORTED, f"Plan {plan.id} has no step {fact.step!r}.")
        word = core.approvals.word(plan, step.name)
        verdict = word if word is not None else may_step(plan, step, core.world(), fact.seen)
        if verdict.reason is Reason.NEEDS_APPROVAL:
            waits = core.approvals.waits(plan, step.name)
            asked = core.approvals.ask(core, intent_of(plan), verdict.text, plan.id, step.name)
            verdict = replace(verdict, text=verdict.text + hint(asked))
            if waits:
                return verdict  # it was said when it was asked first
            plan, others = self._locks.lend(plan)
            self._update(core, plan)
            self._go_on(core, others)
        elif verdict.ok and step.name == HANDS_BACK:
            plan, free = self._locks.regain(plan)
            if not free.ok:
                return free  # the word has come, its turn has not
        body = about(plan) | {"step": step.name, "phase": step.phase}
        if verdict.ok:
            self._update(core, replace(plan, begun=(*plan.begun, step.name)))
            core.quiesced.begun(core, plan, step.name)
            core.slots.asked(core, self._open[plan.id], step.name)
        body |= {"reason": verdict.reason.value, "text": verdict.text, "writes": list(step.writes)}
        core.row("action.begin" if verdict.ok else "action.halt", plan.service, body, False)
        return verdict

    def step_ended(self, core: "Decider", fact: StepEnded) -> None:
        """A step ended: keep its mark."""
        plan = self._open.get(fact.plan)
        if plan is None:
            return
        self._update(core, replace(plan, marks=(*plan.marks, (fact.step, fact.ok, fact.data))))
        core.slots.stepped(core, self._open[plan.id], fact)
        body = about(plan) | {"step": fact.step, "ok": fact.ok, "text": fact.text}
        core.row("action.end", plan.service, body, False)

    def _update(self, core: "Decider", plan: Plan) -> None:
        self._open[plan.id] = plan
        core.batch.put("plan", str(plan.id), dump(plan))
        core.stale_snapshot = True

    def plan_ended(self, core: "Decider", fact: PlanEnded) -> None:
        """A plan is over: say how, learn from it, and let the next one go."""
        plan = self._open.pop(fact.plan, None)
        if plan is None:
            return
        self._waiting.discard(plan.id)
        core.batch.put("plan", str(plan.id), None)
        outcome, data = self._ask_after(core, plan, fact.outcome), plan.data() | fact.data
        kind = OUTCOMES.get(outcome.reason, "action.verified" if outcome.ok else "action.failed")
        body = about(plan) | {"by": plan.by, "cause": plan.cause, "incident": plan.incident}
        body |= {"reason": outcome.reason.value, "text": outcome.text, "left": list(fact.left)}
        body |= {key: data[key] for key in PROOF if key in data}
        core.row(kind, plan.service, body, news(plan))
        learn(core, plan, outcome, data)
        core.holds.ended(core, plan, outcome, data)
        core.slots.ended(core, plan, outcome, data)
        early = not outcome.ok and plan.phase == "before"
        if early or data.get("untouched"):
            self._spending.forgive(core.batch, plan.id)
        if early:
            unwant(core, plan)
        core.registry.mark(self.touched())
        core.apply(core.book.ended(plan, outcome, core.now))
        core.approvals.ended(core, plan)
        core.rollouts.ended(core, plan, outcome)
        self._go_on(core, self._locks.release(plan.id))
        core.reviewed_later()

    def _go_on(self, core: "Decider", plans: tuple[Plan, ...]) -> None:
        """Plans that waited have their locks now."""
        for waiting in plans:
            self._waiting.discard(waiting.id)
            done = self._fit(core, self._open[waiting.id])
            if done is not None:
                self.plan_ended(core, PlanEnded(core.now, core.mono, waiting.id, done))
                continue
            core.effects.append(lambda to, next_plan=waiting: to.start(self._open[next_plan.id]))  # type: ignore[misc]

    def _ask_after(self, core: "Decider", plan: Plan, outcome: Verdict) -> Verdict:
        """What was begun turned out to need a word (it would widen rights): the question, in the answer."""
        if outcome.reason is not Reason.NEEDS_APPROVAL or plan.approved or plan.phase != "before":
            return outcome
        asked = core.approvals.ask(
            core, documents.asking(replace(intent_of(plan), rollout=0), outcome.text), outcome.text
        )
        return replace(outcome, text=outcome.text + hint(asked))

    def _fit(self, core: "Decider", plan: Plan) -> Verdict | None:
        """A plan that waited goes to whatever carries its service now: the one before it may have changed that, or have
        done what it was to do; then the verdict with which it ends."""
        if plan.service.startswith(SLOT) and not plan.begun:
            again = refit(core, plan)
            if isinstance(again, Plan):
                self._update(core, again)
            return again if isinstance(again, Verdict) else None
        service = core.registry.get(plan.service)
        if plan.begun or service is None or service.container is None or service.container.id == plan.container_id:
            return None
        intent = intent_of(plan)
        image_id = image_for(intent, service)
        made = build(intent, service, plan_id=plan.id, op=plan.op, now=plan.created_at, image_id=image_id)
        if isinstance(made, Plan):  # else its first look says what is wrong
            found = {**made.found, **before(core, made, service), "wanted": plan.found.get("wanted")}
            self._update(core, replace(made, locks=plan.locks, override=plan.override, found=found))
        return None

    def gap(self, core: "Decider", seconds: float) -> None:
        """The wall clock jumped: time in which nobody could act does not refill a budget."""
        self._spending.gap(core.batch, seconds)

    def wish_end(self, core: "Decider", plan_id: int, why: Verdict) -> None:
        """End a plan that has not touched anything: one that waits at once, a running one at its next step."""
        plan = self._open.get(plan_id)
        if plan is None:
            return
        if plan_id in self._waiting:
            self.plan_ended(core, PlanEnded(core.now, core.mono, plan_id, Verdict(False, Reason.ENDED_EARLY, why.text)))
            return
        core.effects.append(lambda to: to.end(plan_id, why))

    def recover(self, core: "Decider", engine: str) -> None:
        """The engine was listed for the first time: go on with what an earlier process left open."""
        for plan in self.plans():
            if plan.engine != engine or plan.id in self._waiting or plan.id not in self._inherited:
                continue
            plan = replace(plan, recovered=plan.recovered + 1)
            self._update(core, plan)
            place = plan.begun[-1] if plan.begun else "its start"
            text = f"Plan {plan.id} ({plan.verb} {plan.service}) was left open at {place}; it is taken up again."
            core.row("action.recovered", plan.service, about(plan) | {"text": text})
            core.effects.append(lambda to, again=plan: to.start(again))  # type: ignore[misc]
