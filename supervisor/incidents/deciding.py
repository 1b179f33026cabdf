"""What becomes of the candidates of one turn: one may act for each target, the others are told why not.

In: candidates in their order of precedence, the World, and what the book remembers (`Records`). Out: answers, each with
its verdict. Nothing is changed here; the book writes down what was answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from supervisor.facts import Intent, Plan
from supervisor.incidents import guard, holding, ladder, target
from supervisor.incidents.choose import Candidate, owner_first
from supervisor.incidents.ladder import Next, Run
from supervisor.incidents.target import HOST
from supervisor.incidents.words import until
from supervisor.incidents.world import SETTLE, World
from supervisor.verbs import VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no, yes

POLL = 5.0
"""seconds: how often an expression is asked that no alert will tell us about"""


@dataclass(frozen=True, slots=True)
class End:
    """How the last plan that touched a service ended, for the noise it made. Times in unix seconds."""

    at: float
    since: float
    reason: str
    plan: int


class Records(Protocol):
    """What the book remembers."""

    def runs(self, by: str, scope: str) -> Sequence[Run]: ...
    def end(self, service: str) -> End | None: ...
    def intent(self, candidate: Candidate, rung: int) -> Intent: ...
    def stuck(self, intent: Intent, world: World) -> str: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a candidate. `end`: plans that make way for it."""

    candidate: Candidate
    intent: Intent
    rung: int
    verdict: Verdict
    again: float | None = None
    end: tuple[tuple[int, Verdict], ...] = ()
    tries: int = 0
    lasting: bool = False
    """refused for as long as things stand as they do: the ladder goes on with its next rung"""


def decide(
    group: Sequence[Candidate], first_of: Mapping[str, Candidate], world: World, records: Records
) -> tuple[Answer, ...]:
    """The answers for the candidates of one target. `first_of`: the owner's candidates, by service."""
    answers: list[Answer] = []
    winner: Candidate | None = None
    for candidate in group:
        if candidate.trouble is not None:
            answers.append(Answer(candidate, records.intent(candidate, 0), 0, candidate.trouble))
            continue
        runs = records.runs(candidate.by, candidate.scope)
        stands = None if holding.held(candidate.target, world) else world.services.get(candidate.target)
        following = ladder.next_rung(candidate, runs, stands, world.now)
        rung = candidate.playbook.steps[min(following.rung, len(candidate.playbook.steps) - 1)]
        intent = _intent(candidate, following.rung, world, records)
        harmless = candidate.harmless(rung)
        if following.silent:  # it is being done, or it was: nothing to say, but it keeps its place
            winner = candidate if winner is None and not harmless else winner
            continue
        first = None if harmless else owner_first(candidate, first_of)
        if first is not None:
            answers.append(Answer(candidate, intent, following.rung, _owner_first(candidate, first)))
        elif winner is not None and not harmless:
            answers.append(Answer(candidate, intent, following.rung, _outranked(candidate, winner)))
        else:
            climbed, harmless = _climb(candidate, following, world, records)
            said = climbed[-1].verdict.reason if climbed else None
            if not harmless and not candidate.playbook.dry_run and said is not Reason.UNLESS:
                winner = candidate
            answers += climbed
    return tuple(answers)


def _intent(candidate: Candidate, rung: int, world: World, records: Records) -> Intent:
    intent = records.intent(candidate, rung)
    aimed = target.for_verb(intent.verb, intent.target, world.find)
    return replace(intent, target=aimed, approved=world.approved.get((intent.by, intent.key), ""))


def _climb(candidate: Candidate, following: Next, world: World, records: Records) -> tuple[list[Answer], bool]:
    """The answer for a candidate that goes first, and whether it only tells people. A rung that cannot be taken as
    things stand is answered too, and the next one is looked at: nothing of that is remembered, so that a rung whose
    reason ends is taken after all, as long as no later one was."""
    found: list[Answer] = []
    steps = candidate.playbook.steps
    while True:
        harmless = candidate.harmless(steps[min(following.rung, len(steps) - 1)])
        intent = _intent(candidate, following.rung, world, records)
        answer = _one(candidate, following, intent, world, records)
        if answer is not None:
            found.append(answer)
        lasting = answer.lasting if answer is not None else records.stuck(intent, world) in guard.LASTING
        if not lasting or len(steps) == 1 or following.rung >= len(steps):
            return found, harmless
        following = ladder.above(candidate, following)


def _held_back(candidate: Candidate, unknown: bool) -> str:
    said = f"`unless` of {candidate.by}"
    if not unknown:
        return f"{said} holds for {candidate.target}."
    return f"{said} errs, so nobody knows whether it holds; to see why, ask `resurgam query` for its expression."


def _one(candidate: Candidate, following: Next, intent: Intent, world: World, records: Records) -> Answer | None:
    """The answer for a candidate that goes first; None: there is nothing to do or to say."""
    book = candidate.playbook

    def answer(verdict: Verdict, again: float | None = None, end: tuple[tuple[int, Verdict], ...] = ()) -> Answer:
        return Answer(candidate, intent, following.rung, verdict, again, end, following.tries)

    if records.stuck(intent, world):
        return None
    if candidate.alert.held:
        text = f"{candidate.alert.name} is from before the last start; it is looked at again once its input is fresh."
        return answer(no(Reason.HELD, text))
    unless = world.holds(book.unless, candidate.alert) if book.unless is not None else False
    if unless is not False:
        return answer(no(Reason.UNLESS, _held_back(candidate, unless is None)), world.now + POLL)
    noise = _own_noise(candidate, intent, world, records)
    if noise is not None:
        return answer(*noise)
    if following.verdict is not None and following.verdict.reason is Reason.LADDER_SPENT:
        return answer(following.verdict)
    judged = guard.judge(intent, world)
    asks = judged.verdict.reason is Reason.NEEDS_APPROVAL
    if not judged.verdict.ok and not asks:
        return replace(answer(judged.verdict, judged.again), lasting=judged.lasting)
    if intent.verb == "notify" and _stopped(candidate, world):
        text = f"{candidate.subject} is stopped on purpose; nothing is said about it until it is started again."
        return answer(no(Reason.WANTED_STOPPED, text))
    if following.verdict is not None:
        return answer(following.verdict, following.again)
    spent = ladder.playbook_budget(candidate, records.runs(candidate.by, candidate.scope), world.now)
    if spent is not None:
        return answer(*spent)
    busy, end = _mode(candidate, intent, world)
    if busy is not None:
        return answer(busy)
    if _practised(candidate, intent):
        text = f"It is a drill: {candidate.by} would {intent.verb} {intent.target} now."
        return answer(no(Reason.DRY_RUN, text))
    if asks and not book.dry_run:  # nobody is asked for what would not be done even with a yes
        return answer(judged.verdict)
    if following.asks and not intent.approved:
        text = f"{candidate.by} found out that {intent.verb} {intent.target} needs a person's word."
        return answer(no(Reason.NEEDS_APPROVAL, text))
    return answer(_consent(candidate, intent), None, end)


def _consent(candidate: Candidate, intent: Intent) -> Verdict:
    """Whether a person has to say yes first, or only wants to see what would be done."""
    book = candidate.playbook
    disturbs = disturbance(intent.verb, dict(intent.params)) is not Disturbance.HARMLESS
    asks = book.approval == "always" or (book.approval == "disruptive" and disturbs)
    if asks and not intent.approved and not book.dry_run:
        text = f"{candidate.by} needs a person's word before it may {intent.verb} {intent.target}."
        return no(Reason.NEEDS_APPROVAL, text)
    if book.dry_run:
        step = f"{intent.verb} {intent.target}"
        return no(Reason.DRY_RUN, f"{candidate.by} would {step} now; take `dry_run` out of it to let it.")
    return yes(f"{candidate.by} may {intent.verb} {intent.target}.")


def _practised(candidate: Candidate, intent: Intent) -> bool:
    """Whether it would follow from a fault that a person wrote for practice: that is decided and told, never done."""
    harmless = disturbance(intent.verb, dict(intent.params)) is Disturbance.HARMLESS
    return candidate.alert.labels.get("drill") == "true" and not harmless


def _own_noise(
    candidate: Candidate, intent: Intent, world: World, records: Records
) -> tuple[Verdict, float | None] | None:
    """An alert that began while we worked on its service, or shortly after, is our own doing until shown otherwise."""
    began = candidate.alert.active_at
    for service in dict.fromkeys((candidate.target, candidate.subject)):
        for plan in world.plans:
            if service in plan.services and plan.begun and not VERBS[plan.verb].internal and began >= plan.created_at:
                text = f"Plan {plan.id} ({plan.verb}) is at work on {service}; what it stirs up starts nothing new."
                return no(Reason.OWN_ACTION, text), None
        held = holding.noise(service, intent, began, world)
        if held is not None:
            return held
        end = records.end(service)
        if (
            end is not None
            and not holding.for_memory(intent)
            and end.since <= began <= end.at + SETTLE
            and world.now < end.at + SETTLE
        ):
            ready = until(end.at + SETTLE, world.now)
            text = f"Plan {end.plan} on {service} has just ended; what it stirred up is looked at again {ready}."
            return no(Reason.OWN_ACTION, text), end.at + SETTLE
    return None


def _stopped(candidate: Candidate, world: World) -> bool:
    service = world.services.get(candidate.subject)
    return service is not None and service.wanted.state == "stopped"


def _mode(candidate: Candidate, intent: Intent, world: World) -> tuple[Verdict | None, tuple[tuple[int, Verdict], ...]]:
    """What the open plans on the same service mean for it: refused, or which of them make way."""
    cost = disturbance(intent.verb, dict(intent.params))
    if intent.target == HOST or cost is Disturbance.HARMLESS:
        return None, ()
    there = [plan for plan in world.plans if intent.target in plan.services and not VERBS[plan.verb].internal]
    if not there:
        return None, ()
    before = [plan for plan in there if plan.phase == "before"]
    name = f"{intent.verb} by {candidate.by}"
    if cost is Disturbance.EMERGENCY:
        if any(disturbance(plan.verb, dict(plan.params)) is Disturbance.EMERGENCY for plan in there):
            return _busy(there[0]), ()
        return None, _make_way(before, f"{name} is more urgent")
    if candidate.playbook.mode == "queue" and not any(_waits(plan, there) for plan in there):
        return None, ()
    if candidate.playbook.mode == "replace" and len(before) == len(there):
        return None, _make_way(before, f"{name} takes its place")
    return _busy(there[0]), ()


def _waits(plan: Plan, there: Sequence[Plan]) -> bool:
    """Whether it waits for another one there."""
    return not plan.begun and any(other.id < plan.id for other in there)


def _busy(plan: Plan) -> Verdict:
    text = f"Plan {plan.id} ({plan.verb} {plan.service}) is at work on it; it is looked at again when that ends."
    return no(Reason.LOCKED, text)


def _make_way(plans: Sequence[Plan], why: str) -> tuple[tuple[int, Verdict], ...]:
    return tuple((plan.id, no(Reason.OUTRANKED, f"{why[:1].upper()}{why[1:]}; nothing was touched.")) for plan in plans)


def _owner_first(candidate: Candidate, first: Candidate) -> Verdict:
    text = (
        f"{candidate.by} waits: the owner's {first.by} is {first.alert.state} for {candidate.target} "
        f"and has an action of its own."
    )
    return no(Reason.OWNER_FIRST, text)


def _outranked(candidate: Candidate, winner: Candidate) -> Verdict:
    return no(Reason.OUTRANKED, f"{winner.by} ({winner.alert.severity}) goes first for {candidate.target}.")


def by_target(candidates: Sequence[Candidate]) -> Mapping[str, tuple[Candidate, ...]]:
    """Candidates grouped by what they are aimed at, in the order of the names; each group keeps its order."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.target, []).append(candidate)
    return {name: tuple(groups[name]) for name in sorted(groups)}
