"""The incident book: looks at everything once per turn and says what matters, what is to be done, and why not.

The core calls `review` in every turn in which something changed, or when `again` is due; `ended` and `refused` tell the
book what became of what it decided. Level-triggered: it compares how things are with what it remembers, so that asking
twice is the same as asking once and nothing hangs on an edge that was missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor.facts import Alert, AlertChange, Decision, Incident, Intent, Json, Plan
from supervisor.incidents import brake, choose, guard, hope, incident, ladder, permit, target
from supervisor.incidents.choose import Candidate
from supervisor.incidents.deciding import Answer, End, by_target, decide
from supervisor.incidents.ladder import ENDED, OPEN, VERIFYING, Run
from supervisor.incidents.memory import Memory, Said
from supervisor.incidents.playbooks import Playbook
from supervisor.incidents.target import HOST
from supervisor.incidents.upkeep import Upkeep, verify_of
from supervisor.incidents.world import Maneuver, Review, RowOut, World, remembered
from supervisor.journal.codec import dump
from supervisor.verbs import VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no


@dataclass(slots=True)
class _Turn:
    """What one review gathers."""

    rows: list[RowOut] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    end: list[tuple[int, Verdict]] = field(default_factory=list)
    again: float | None = None

    def look_again(self, at: float | None) -> None:
        if at is not None and (self.again is None or at < self.again):
            self.again = at


class Book:
    """Incidents and ladders, over all turns."""

    def __init__(self, playbooks: Sequence[Playbook], kept: Mapping[str, Mapping[str, Json]]) -> None:
        """`kept`: the journal's spaces `incident` and `run` as they were at the start."""
        self._playbooks = tuple(playbooks)
        self._memory = Memory(kept)
        self._upkeep = Upkeep(self._memory)
        self._wished: dict[int, str] = {}
        self._subjects: dict[str, str] = {}

    def reload(self, playbooks: Sequence[Playbook]) -> None:
        """Other playbooks count from now on. What runs goes on; ladders keep their place by the playbook's name."""
        self._playbooks = tuple(playbooks)

    def incidents(self) -> tuple[Incident, ...]:
        """The open ones, oldest first."""
        return tuple(sorted(self._memory.incidents.values(), key=lambda one: (one.opened_at, one.subject)))

    # ------------------------------------------------------------ a turn

    def review(self, world: World, changes: Sequence[AlertChange]) -> Review:
        """What this turn means. Nothing but what is new is in the answer."""
        turn, world = _Turn(), replace(world, find=remembered(world.find))
        ended = {c.alert.fingerprint: c.alert for c in changes if c.before == "firing" and c.alert.state == "resolved"}
        alerts = (*world.alerts, *(ended[key] for key in sorted(ended) if not _active(world, key)))
        candidates = choose.gather(alerts, self._playbooks, world)
        if not world.ready:
            # Nothing is known of the containers yet: only what is about the host itself can be judged.
            candidates = tuple(one for one in candidates if one.target == HOST)
            alerts = tuple(alert for alert in alerts if target.about(alert, world.find).id == HOST)
        self._subjects = self._subjects_of(alerts, candidates, world)
        self._upkeep.quieten(world)
        turn.look_again(self._upkeep.verify(self._playbooks, world))
        before = dict(self._memory.incidents)
        self._open_and_join(alerts, world)
        spent = self._decide(candidates, world, turn)
        self._ends(candidates, world, turn)
        self._states_and_close(alerts, spent, before, world, turn)
        self._upkeep.forget(self._playbooks, world)
        return Review(tuple(turn.rows), self._memory.take_puts(), tuple(turn.decisions), turn.again, tuple(turn.end))

    def ended(self, plan: Plan, outcome: Verdict, now: float) -> Review:
        """A plan is over: its ladder moves on. The core reviews again in the same or the next turn."""
        self._wished.pop(plan.id, None)
        if VERBS[plan.verb].internal:
            return Review()
        self._memory.keep_maneuvers(brake.after(self._memory.maneuvers, plan, outcome, now))
        run = self._memory.of_plan(plan.by, plan.key)
        if run is not None:
            if outcome.reason is Reason.ENDED_EARLY and plan.recovered and not run.wish:
                run = replace(run, wish=Reason.STOPPING.value)  # our own end is not the rung's fault
            verify = verify_of(run, self._playbooks)
            self._memory.keep_run(ladder.after_plan(run, outcome, verify is not None, now))
        if plan.phase != "before":
            since = float(plan.found.get("held_since") or plan.created_at)
            end = End(now, since, outcome.reason.value, plan.id)
            for service in plan.services:
                self._memory.keep_end(service, end)
        return Review(puts=self._memory.take_puts(), again=now)

    def maneuvers(self) -> tuple[Maneuver, ...]:
        """How the latest maneuvers on this host ended, for the brake."""
        return self._memory.maneuvers

    def gap(self, seconds: float) -> None:
        """The wall clock jumped by so much. The core reviews again in this turn."""
        self._memory.shift(seconds)

    def refused(self, intent: Intent, verdict: Verdict, world: World) -> Review:
        """What was decided could not become a plan after all. It is tried again when its service has changed."""
        run = self._memory.of_plan(intent.by, intent.key)
        if run is not None:
            self._upkeep.give_back(run, verdict.reason, world)
        return Review(puts=self._memory.take_puts(), again=world.now)

    # ------------------------------------------------------------ a person's word

    def would(self, intent: Intent, world: World) -> Answer | None:
        """What a review would say now to this intent of a rule. None: it would say nothing, since something is being
        done already, or no rule asks for it any more (see `wants`)."""
        world = replace(world, find=remembered(world.find))
        candidates = choose.gather(world.alerts, self._playbooks, world)
        asking = [one for one in candidates if one.alert.state != "pending"]
        for group in by_target(asking).values():
            for answer in decide(group, choose.owners(candidates), world, self):
                if (answer.intent.by, answer.intent.key) == (intent.by, intent.key):
                    return answer
        return None

    def wants(self, intent: Intent, world: World) -> Candidate | None:
        """Who asks for this intent; None where nobody does any more: the alert has ended, the playbook is gone."""
        rung = int(intent.key.split("|")[2])
        for candidate in choose.gather(world.alerts, self._playbooks, world):
            firing = candidate.alert.state == "firing" and rung < len(candidate.playbook.steps)
            if firing and (candidate.by, ladder.intent_key(candidate, rung)) == (intent.by, intent.key):
                return candidate
        return None

    def asks(self, verb: str, targets: Sequence[str], world: World, origin: str = "") -> bool:
        """Whether an alert that fires has such a step for one of these targets, or for an alert about one of them.
        `origin`: `owner` asks about the owner's alone."""
        for candidate in choose.gather(world.alerts, self._playbooks, world):
            about = candidate.target in targets or candidate.subject in targets
            about = about and origin in ("", candidate.origin)
            firing = candidate.alert.state == "firing" and candidate.alert.labels.get("drill") != "true"
            steps = () if candidate.playbook.dry_run else candidate.playbook.steps
            if about and firing and any(step.verb == verb for step in steps):
                return True
        return False

    def hopes(self, service: str, world: World, soon: float) -> bool:
        """Whether anything may still be tried for a service that is down, within `soon` seconds (hope.py)."""
        world = replace(world, find=remembered(world.find))
        candidates = choose.gather(world.alerts, self._playbooks, world)
        return hope.left(service, candidates, world, self, soon) or self._verifying(service)

    def denied(self, intent: Intent, world: World) -> Review:
        """A person said no to this rung: it counts as tried, and the ladder goes on with the next one."""
        candidate = self.wants(intent, world)
        if candidate is not None:
            rung = int(intent.key.split("|")[2])
            run = _run(candidate, intent, rung, world.now)
            self._memory.keep_run(replace(run, state=ENDED, reason=Reason.DENIED.value, ended=world.now, labels={}))
        return Review(puts=self._memory.take_puts(), again=world.now)

    def acked(self, incident_id: str, who: str) -> Review:
        """A person took an incident on. `who`: as it is shown."""
        for known in self.incidents():
            if known.id == incident_id:
                self._memory.keep_incident(replace(known, acked=who))
        return Review(puts=self._memory.take_puts())

    # ------------------------------------------------------------ what `deciding` asks

    def runs(self, by: str, scope: str) -> Sequence[Run]:
        """The runs of one ladder."""
        return self._memory.ladder(by, scope)

    def end(self, service: str) -> End | None:
        """How the last plan that touched a service ended."""
        return self._memory.ends.get(service)

    def intent(self, candidate: Candidate, rung: int) -> Intent:
        """What the candidate wants done at this rung."""
        steps = candidate.playbook.steps
        step = steps[min(rung, len(steps) - 1)] if steps else None
        found = self._memory.incidents.get(candidate.subject)
        alert = candidate.alert
        does = "has ended" if alert.state == "resolved" else "fires"
        behind = f": {found.cause}" if found is not None and found.cause else ""
        stays = step is not None and step.verb != "quiesce" and guard.stops(step.verb, dict(step.params))
        final = f" It stays down until a person starts it: `resurgam start {candidate.target}`." if stays else ""
        return Intent(
            verb=step.verb if step is not None else "",
            target=candidate.target or candidate.subject,
            params=dict(step.params) if step is not None else {},
            cause=f"{alert.name} {does} for {candidate.subject}{behind}.{final}",
            by=candidate.by,
            incident=found.id if found is not None else "",
            key=ladder.intent_key(candidate, rung),
        )

    def stuck(self, intent: Intent, world: World) -> str:
        """The reason for which it was refused when it was built, if nothing about its service has changed since."""
        return self._upkeep.stuck(intent, world)

    # ------------------------------------------------------------ the parts of a review

    def _subjects_of(self, alerts: Sequence[Alert], candidates: Sequence[Candidate], world: World) -> dict[str, str]:
        """Whose incident each alert belongs to, by fingerprint."""
        found: dict[str, str] = {}
        for candidate in candidates:
            found.setdefault(candidate.alert.fingerprint, candidate.subject)
        for alert in alerts:
            if alert.fingerprint not in found:
                found[alert.fingerprint] = target.subject(alert, world.find)
        return found

    def _open_and_join(self, alerts: Sequence[Alert], world: World) -> None:
        """Open an incident for every subject with a firing alert, or let the alert join the open one."""
        for subject, firing in self._firing(alerts).items():
            service = world.services.get(subject)
            known = self._memory.incidents.get(subject)
            if known is not None:
                changed = incident.updated(known, firing, service)
                if changed != known:
                    self._memory.keep_incident(changed)
            elif service is None or service.wanted.state != "stopped":  # down on purpose: rules open no incident
                fresh = incident.opened(self._memory.next_incident(), subject, firing, service, world.now)
                self._memory.keep_incident(fresh)

    def _decide(self, candidates: Sequence[Candidate], world: World, turn: _Turn) -> tuple[str, ...]:
        """Decide for each target; returns the subjects for which a ladder has nothing left."""
        spent: list[str] = []
        first_of = choose.owners(candidates)
        asking = [one for one in candidates if one.alert.state != "pending"]
        for group in by_target(asking).values():
            for answer in decide(group, first_of, world, self):
                turn.look_again(answer.again)
                if answer.verdict.reason is Reason.LADDER_SPENT:
                    spent.append(answer.candidate.subject)
                self._write_down(answer, world, turn)
                world = replace(world, trying=world.trying or _tries(answer))
        return tuple(spent)

    def _write_down(self, answer: Answer, world: World, turn: _Turn) -> None:
        """Keep an answer: a refusal once while its reason stays, a yes as an open run."""
        candidate, intent = answer.candidate, answer.intent
        alert = candidate.alert
        place = f"{intent.by}|{intent.key}"
        if not answer.verdict.ok:
            if answer.verdict.reason is Reason.HELD and place in self._memory.said:
                return  # just after a start: what was said before it still stands
            if self._memory.say(place, Said(answer.verdict.reason.value, alert.fingerprint, alert.fired_at)):
                turn.decisions.append(Decision(world.now, intent, answer.verdict))
            return
        self._memory.say(place, None)
        turn.decisions.append(Decision(world.now, intent, answer.verdict))
        for plan_id, why in answer.end:
            self._wish(plan_id, why, world, turn)
        step = candidate.playbook.steps[answer.rung]
        tells = disturbance(step.verb, dict(step.params)) is Disturbance.HARMLESS
        run = replace(_run(candidate, intent, answer.rung, world.now), tries=answer.tries)
        if tells:
            run = replace(run, state=ENDED, reason=Reason.VERIFIED.value, ended=world.now, ok=True, labels={})
        self._memory.keep_run(run)

    def _ends(self, candidates: Sequence[Candidate], world: World, turn: _Turn) -> None:
        """Plans that have not touched anything yet and have lost their reason, or met a better one."""
        for plan in sorted(world.plans, key=lambda one: one.id):
            if plan.phase != "before":
                continue
            why = permit.reason_to_end(plan, world)
            if why is None:
                why = self._owner_waits(plan, candidates)
            if why is not None:
                self._wish(plan.id, why, world, turn)
        open_ids = {plan.id for plan in world.plans}
        for plan_id in [known for known in self._wished if known not in open_ids]:
            del self._wished[plan_id]

    def _owner_waits(self, plan: Plan, candidates: Sequence[Candidate]) -> Verdict | None:
        first_of = choose.owners(candidates)
        for candidate in candidates:
            if candidate.by == plan.by and candidate.target == plan.service:
                first = choose.owner_first(candidate, first_of)
                if first is not None:
                    text = f"The owner's {first.by} is {first.alert.state} for {plan.service} and goes first."
                    return no(Reason.OWNER_FIRST, text)
        return None

    def _wish(self, plan_id: int, why: Verdict, world: World, turn: _Turn) -> None:
        """Ask for a plan's end, once for each reason, and remember why for its run."""
        if self._wished.get(plan_id) == why.reason.value:
            return
        self._wished[plan_id] = why.reason.value
        turn.end.append((plan_id, why))
        plan = next((one for one in world.plans if one.id == plan_id), None)
        run = self._memory.of_plan(plan.by, plan.key) if plan is not None else None
        if run is not None:
            self._memory.keep_run(replace(run, wish=why.reason.value))

    def _states_and_close(
        self, alerts: Sequence[Alert], spent: Sequence[str], before: Mapping[str, Incident], world: World, turn: _Turn
    ) -> None:
        """How each incident stands now; those that are over are closed. One row for each that changed."""
        firing = self._firing(alerts)
        for known in self.incidents():
            subject = known.subject
            now = replace(known, state=self._state(known, subject in spent, world), rungs=self._rungs(subject))
            why = ""
            if now.state != "acting" and (world.ready or subject == HOST) and not self._verifying(subject):
                why, again = self._over(now, firing.get(subject, ()), world)
                turn.look_again(again)
            if why:
                now = replace(now, state="closed", closed_at=world.now)
                self._memory.drop_incident(now)
                turn.rows.append(_row("incident.closed", now, f"{now.title} is over: {why}"))
                continue
            if now != known:
                self._memory.keep_incident(now)
            if now != before.get(subject):
                kind = "incident.changed" if subject in before else "incident.opened"
                turn.rows.append(_row(kind, now, f"{now.title}: {now.cause or now.state}"))

    def _over(self, known: Incident, firing: Sequence[Alert], world: World) -> tuple[str, float | None]:
        """Why it is over, and when to ask again."""
        end = self._memory.ends.get(known.subject)
        calm = [run.quiet for run in self._memory.of_target(known.subject)]
        since = max(known.opened_at, end.at if end is not None else 0.0, *calm)
        return incident.over(known, firing, world.services.get(known.subject), since, world.now)

    def _state(self, known: Incident, spent: bool, world: World) -> str:
        for plan in world.plans:
            if not VERBS[plan.verb].internal and (known.subject in plan.services or plan.incident == known.id):
                return "acting"
        if any(run.state == OPEN for run in self._memory.of_target(known.subject)):
            return "acting"
        end = self._memory.ends.get(known.subject)
        reason = end.reason if end is not None and end.at >= known.opened_at else ""
        if spent or reason in (Reason.DEGRADED, Reason.FAILED):
            return "degraded"
        return "verifying" if reason == Reason.VERIFIED or self._verifying(known.subject) else "open"

    def _verifying(self, subject: str) -> bool:
        return any(run.state == VERIFYING for run in self._memory.of_target(subject))

    def _rungs(self, subject: str) -> dict[str, int]:
        """Ladder -> the rung it would use next, for what was tried on this subject."""
        found: dict[str, int] = {}
        for run in self._memory.of_target(subject):
            failed = run.state == ENDED and not run.ok and not run.tries
            found[run.by] = run.rung + 1 if failed else run.rung
        return found

    # ------------------------------------------------------------ small helpers

    def _firing(self, alerts: Sequence[Alert]) -> dict[str, tuple[Alert, ...]]:
        """The firing alerts of each subject, by name."""
        found: dict[str, list[Alert]] = {}
        for alert in alerts:
            if alert.state == "firing" and alert.fingerprint in self._subjects:
                found.setdefault(self._subjects[alert.fingerprint], []).append(alert)
        return {subject: incident.worst_first(found[subject]) for subject in sorted(found)}


def _run(candidate: Candidate, intent: Intent, rung: int, now: float) -> Run:
    """A rung that is acted on from now."""
    alert = candidate.alert
    return Run(
        key=intent.key,
        by=intent.by,
        scope=candidate.scope,
        target=intent.target,
        alert=alert.fingerprint,
        fired_at=alert.fired_at,
        rung=rung,
        state=OPEN,
        at=now,
        quiet=now if alert.state == "resolved" else 0.0,
        labels=dict(alert.labels) if candidate.playbook.steps[rung].verify.expr is not None else {},
    )


def _tries(answer: Answer) -> bool:
    """Whether a rule may do something disruptive now."""
    cost = disturbance(answer.intent.verb, dict(answer.intent.params)) if answer.verdict.ok else None
    return cost is Disturbance.DISRUPTIVE


def _active(world: World, fingerprint: str) -> bool:
    return any(alert.fingerprint == fingerprint for alert in world.alerts)


def _row(kind: str, known: Incident, text: str) -> RowOut:
    return kind, known.subject, {"incident": dump(known), "text": text}, False
