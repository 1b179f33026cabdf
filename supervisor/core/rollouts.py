"""Rollouts: several plans, one after the other, each admitted like any other and verified before the next.

From: commands.py and admission.py (a project, a service whose namespaces others share, the services after a boot),
with the stages made by staging.py. To: the journal's space `rollout` and admission.py, which opens the next stage's
plan in the very turn in which the one before it ended, with the locks of all stages ahead, so that nobody comes in
between. A stage that does not verify ends the rollout there, except where the stages do not build on each other (a
boot, a stop, the children of one parent): those go on.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import second_word, staging
from supervisor.core.staging import Staged
from supervisor.facts import Command, Decision, Intent, Json, Plan, Rollout, Stage
from supervisor.incidents import machine, may_run
from supervisor.incidents.guard import stops
from supervisor.incidents.locks import names as lock_names
from supervisor.incidents.locks import with_cards
from supervisor.incidents.words import listed
from supervisor.journal.codec import dump, load
from supervisor.services import safe_id
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

PROJECT, DEPENDENTS, BOOT, GPU = "project", "dependents", "boot", "gpu"
US = "resurgam"
SEEN = "seen"
_CIRCLES = 3
"""the key in the space meta: engine -> [the machine's boot, the engine's life] when we last looked"""
_SHARING = ("restart", "phoenix", "rollback", "start")
_PASSES = (Reason.STOPPING, Reason.NOT_READY, Reason.ENGINE_ABSENT, Reason.JOURNAL_FAILED)
"""refusals that end by themselves: the stage waits for the next look at the engine"""


class Rollouts:
    """The rollouts that are not over."""

    def __init__(self, kept: Mapping[str, Json], meta: Mapping[str, Json] | None = None, machine: str = "") -> None:
        """`kept`: the journal's space `rollout` as it was at the start, `meta` its space meta; `machine`: what tells
        one boot of this machine from the next."""
        self._open = {int(key): load(Rollout, kept[key]) for key in sorted(kept, key=int)}
        known = meta or {}
        self._last = max([0, *self._open, int(known.get("rollout", {}).get("last", 0))])
        self._machine = machine
        self._seen: dict[str, list[str]] = {name: list(one) for name, one in known.get(SEEN, {}).items()}
        self._looked: set[str] = set()

    def open(self) -> tuple[Rollout, ...]:
        """Oldest first."""
        return tuple(self._open[key] for key in sorted(self._open))

    def locks(self, core: "Decider", plan: Plan) -> tuple[str, ...]:
        """What a plan holds: its own locks, and those of the stages after it in its rollout."""
        rollout = self._open.get(plan.rollout)
        found = dict.fromkeys(plan.locks)
        for stage in rollout.stages if rollout is not None else ():
            service = core.registry.get(stage.service)
            if stage.outcome or stage.plan or service is None or service.container is None or stage_left(stage, core):
                continue
            gpu = service.container.gpu
            found.update(dict.fromkeys(lock_names(service.id, service.needs, stage.verb, dict(stage.params), gpu=gpu)))
        return with_cards(found, core.gpu.budget(core))

    # ------------------------------------------------------------ what makes one

    def instead(self, core: "Decider", intent: Intent) -> Decision | None:
        """The decision where this intent is more than one plan (others share the service's namespaces): a rollout is
        begun and its first plan admitted. None where one plan is enough."""
        if intent.verb == machine.QUIESCE and machine.about(intent.target):
            return self._quiesce(core, intent)
        service = core.registry.get(intent.target)
        if intent.rollout or intent.verb not in _SHARING or service is None or service.container is None:
            return None
        changed = False
        if intent.verb in ("restart", "start") and service.reattach:
            made = staging.recreation(intent, service)
            if isinstance(made, Verdict):
                return Decision(core.now, intent, made)
            changed, wished, (intent, _why) = True, intent.verb, made
            verdict = may_run(intent, core.world())
            if not verdict.ok:
                return Decision(core.now, intent, verdict)
        staged = staging.dependents(intent, service, core.registry.services())
        if isinstance(staged, Verdict):
            return Decision(core.now, intent, staged)
        if staged is None and not changed:
            return None
        if staged is None:
            decision = core.admission.admit(core, intent)
        else:
            decision = self._begin(core, intent, staged, DEPENDENTS, keep_going=True)
        if changed and wished == "start" and decision.verdict.ok:
            wanted = replace(service.wanted, state="running", by=intent.by, at=core.now, why=intent.cause)
            core.registry.want(service.id, wanted)
        return decision

    def _quiesce(self, core: "Decider", intent: Intent) -> Decision:
        """Stop what uses a card, one after the other; what may not be stopped is said."""
        world, uuid = core.world(), machine.uuid_of(intent.target)
        staged = staging.quiesce(uuid, machine.on_card(uuid, world))
        verdicts = [(stage, may_run(_intent(stage, intent), world)) for stage in staged.stages]
        stages = tuple(stage for stage, verdict in verdicts if verdict.ok)
        if not stages and verdicts:
            return Decision(core.now, intent, verdicts[0][1])
        left = (f"{stage.service} ({verdict.text.rstrip('.')})" for stage, verdict in verdicts if not verdict.ok)
        staged = replace(staged, stages=stages, left=(*staged.left, *left))
        return self._begin(core, intent, staged, GPU, keep_going=True)

    def bring_back(self, core: "Decider", stages: tuple[Stage, ...], target: str, cause: str) -> None:
        """Start what was stopped for a card, one after the other."""
        self._begin(core, Intent("start", target, {}, cause, US), Staged(stages), GPU, keep_going=True)

    def project(self, core: "Decider", fact: Command) -> Decision | None:
        """The decision where a command's target is a compose project; None where it is not."""
        services = core.registry.services()
        name = staging.project_named(services, fact.target, bool(core.registry.find(fact.target)))
        if not name:
            return None
        override = fact.override if fact.door == "socket" else ""
        cause = f"asked for by {fact.principal}" + (f", overriding: {override}" if override else "")
        if fact.verb in staging.VERBS:
            fact = replace(fact, params=VERBS[fact.verb].check(dict(fact.params)))
        bare = Intent(
            fact.verb, safe_id(name), fact.params, cause, fact.principal, override=override, approved=fact.approved
        )
        staged = staging.project(fact, name, core.gpu.spelt(services), core.standing.pauses)
        if isinstance(staged, Verdict):
            return core.admission.refuse(core, bare, staged)
        if not staged.stages:
            text = f"There is nothing to {fact.verb} in {name}: {listed(staged.left, 12)}."
            return core.admission.refuse(core, bare, no(Reason.ALREADY_DONE, text))
        for stage in staged.stages:
            verdict = may_run(_intent(stage, bare), core.world())
            if not verdict.ok:
                text = f"Nothing of {name} was begun, because of {stage.service}: {verdict.text}"
                return core.admission.refuse(core, bare, no(verdict.reason, text))
        asked = replace(bare, target=staging.PREFIX + name)
        unsigned = second_word.needed(fact, asked)
        if unsigned is not None:
            return core.admission.refuse(core, asked, unsigned)
        decision = self._begin(core, bare, staged, PROJECT, keep_going=fact.verb == "stop")
        if not decision.verdict.ok:
            return core.admission.refuse(core, bare, decision.verdict)
        core.decisions.appendleft(decision)
        return decision

    def boot(self, core: "Decider") -> None:
        """An engine was listed: what waits goes on; and where the machine or the engine has come up since we last
        looked, what is wanted and ours to start is brought back, in order."""
        for engine in sorted(core.standing.swept):
            state = core.standing.engines.get(engine)
            if state is None or not state.up:
                continue
            now, before = [self._machine, state.identity], self._seen.get(engine)
            first = engine not in self._looked
            self._looked.add(engine)
            if before == now:
                if first:
                    core.registry.found_down(engine)
                continue
            self._seen[engine] = now
            core.batch.put("meta", SEEN, dict(self._seen))
            if before is not None:
                self._boot(core, engine, "The machine" if before[0] != now[0] else f"The engine {engine!r}")
        self.recover(core)

    def _boot(self, core: "Decider", engine: str, what: str) -> None:
        staged = staging.boot(core.gpu.spelt(core.registry.services()), engine, lambda ident: self._busy(core, ident))
        if staged.stages:
            bare = Intent("start", "boot", {}, f"{what} came up again.", US)
            self._begin(core, bare, staged, BOOT, keep_going=True)

    def _busy(self, core: "Decider", ident: str) -> bool:
        ahead = (stage.service for one in self._open.values() for stage in one.stages if not stage.outcome)
        return ident in ahead or any(ident in plan.services for plan in core.admission.plans())

    # ------------------------------------------------------------ from stage to stage

    def _begin(self, core: "Decider", intent: Intent, staged: Staged, kind: str, *, keep_going: bool) -> Decision:
        """Open a rollout and its first plan; a first plan that cannot be opened is the answer."""
        self._last += 1
        rollout = Rollout(
            self._last,
            intent.verb,
            intent.target,
            intent.by,
            intent.cause,
            core.now,
            staged.stages,
            keep_going,
            intent.incident,
            intent.key,
            intent.override,
            intent.approved,
            kind,
            staged.left,
        )
        core.batch.put("meta", "rollout", {"last": rollout.id})
        self._keep(core, rollout)
        text = f"{_what(rollout)}: {staging.sequence(rollout.stages)}"
        text += ", one after the other." if len(rollout.stages) > 1 else "."
        text += f" Left alone: {listed(rollout.left, 12)}." if rollout.left else ""
        text += "".join(f" {units.plain(problem, 300)}" for problem in staged.problems[:_CIRCLES])
        more = len(staged.problems) - _CIRCLES
        text += f" There are {more} more circles." if more > 0 else ""
        _say(core, rollout, {"state": "planned", "reason": Reason.ALLOWED.value, "text": text})
        said = yes(f"Rollout {rollout.id} was begun. {text}")
        if intent.by == US:  # nobody waits for an answer
            self._next(core, rollout)
            return Decision(core.now, intent, said, 0, rollout.id)
        decision = self._admit(core, rollout, rollout.stages[0])
        if not decision.verdict.ok:
            self._end(core, rollout, decision.verdict.text)
            return decision
        self._keep(core, _with(rollout, 0, replace(rollout.stages[0], plan=decision.plan)))
        return Decision(core.now, intent, said, decision.plan, rollout.id)

    def _next(self, core: "Decider", rollout: Rollout) -> None:
        """Open the plan of the next stage that is to be done; after the last, say how it went."""
        while (place := _place(rollout)) is not None:
            stage = rollout.stages[place]
            left = stage_left(stage, core)
            if left:
                rollout = self._mark(core, rollout, place, Reason.WANTED_STOPPED.value, f"{stage.service} ({left})")
                continue
            decision = self._admit(core, rollout, stage)
            verdict = decision.verdict
            if verdict.ok:
                self._keep(core, _with(rollout, place, replace(stage, plan=decision.plan)))
                return
            if verdict.reason in _PASSES or core.standing.journal_error:
                return
            if verdict.reason is Reason.ALREADY_DONE:
                rollout = self._mark(core, rollout, place, verdict.reason.value, f"{stage.service} (done already)")
                continue
            core.admission.refuse(core, decision.intent, verdict)
            if not rollout.keep_going:
                self._end(core, rollout, verdict.text)
                return
            rollout = self._mark(core, rollout, place, verdict.reason.value)
        self._end(core, rollout, "")

    def _admit(self, core: "Decider", rollout: Rollout, stage: Stage) -> Decision:
        """The guard is asked at each stage's own turn."""
        first = stage is rollout.stages[0]
        bare = Intent(
            rollout.verb,
            rollout.target,
            {},
            rollout.cause if first or rollout.kind != DEPENDENTS else _because(rollout),
            rollout.by,
            rollout.incident,
            rollout.key if first else "",
            rollout.override,
            rollout.approved if first or rollout.kind != DEPENDENTS else "",  # it was asked about the first alone
            rollout.id,
        )
        intent = _intent(stage, bare)
        verdict = may_run(intent, core.world())
        return core.admission.admit(core, intent) if verdict.ok else Decision(core.now, intent, verdict)

    def ended(self, core: "Decider", plan: Plan, outcome: Verdict) -> None:
        """A plan is over: open the next stage's, or end its rollout. Called before the plan's locks are given back."""
        rollout = self._open.get(plan.rollout)
        place = next((n for n, stage in enumerate(rollout.stages) if stage.plan == plan.id), None) if rollout else None
        if rollout is None or place is None:
            return
        untouched = not outcome.ok and plan.phase == "before"
        parent = rollout.kind == DEPENDENTS and place == 0
        if untouched and plan.recovered and outcome.reason is Reason.ENDED_EARLY and not parent:
            # our own end cut it short before anything was touched: the same stage again
            rollout = self._again(core, rollout, place)
        else:
            stage = rollout.stages[place]
            rollout = self._mark(core, rollout, place, outcome.reason.value)
            if not outcome.ok and (not rollout.keep_going or (parent and untouched)):
                self._end(core, rollout, f"{stage.service}: {outcome.text}")
                return
            if not outcome.ok and parent:  # its old container was started anew, or died: the same ones join it again
                rollout = replace(rollout, stages=staging.merely_restart(rollout.stages))
                self._keep(core, rollout)
        self._next(core, rollout)

    def recover(self, core: "Decider") -> None:
        """After a start, and after every look at an engine: a rollout whose plan ended while nobody looked, or whose
        next stage had to wait, goes on."""
        open_plans = {plan.id for plan in core.admission.plans()}
        for rollout in self.open():
            place = _place(rollout)
            if place is not None and rollout.stages[place].plan not in open_plans:
                self._next(core, self._again(core, rollout, place))

    # ------------------------------------------------------------ what is kept and said

    def _again(self, core: "Decider", rollout: Rollout, place: int) -> Rollout:
        return self._keep(core, _with(rollout, place, replace(rollout.stages[place], plan=0)))

    def _mark(self, core: "Decider", rollout: Rollout, place: int, outcome: str, left: str = "") -> Rollout:
        done = _with(rollout, place, replace(rollout.stages[place], outcome=outcome))
        return self._keep(core, replace(done, left=(*done.left, left)) if left else done)

    def _keep(self, core: "Decider", rollout: Rollout) -> Rollout:
        self._open[rollout.id] = rollout
        core.batch.put("rollout", str(rollout.id), dump(rollout))
        core.stale_snapshot = True
        return rollout

    def _drop(self, core: "Decider", ident: int) -> None:
        self._open.pop(ident, None)
        core.batch.put("rollout", str(ident), None)
        core.reviewed_later()

    def _end(self, core: "Decider", rollout: Rollout, trouble: str) -> None:
        """It is over: say what was done, what failed, what was left alone, and what was not come to."""
        self._drop(core, rollout.id)
        fine = (Reason.VERIFIED.value, Reason.WANTED_STOPPED.value, Reason.ALREADY_DONE.value)
        done = [stage.service for stage in rollout.stages if stage.outcome == Reason.VERIFIED.value]
        failed = [stage.service for stage in rollout.stages if stage.outcome and stage.outcome not in fine]
        ahead = tuple(stage.service for stage in rollout.stages if not stage.outcome)
        well = not failed and not ahead and not trouble
        count = len(done) + len(failed) + len(ahead)
        text = f"{_what(rollout)}: {len(done)} of {count} verified."
        if trouble:
            text += f" It ended here: {trouble.rstrip('.')}."
        elif failed:
            text += f" Not so: {listed(tuple(failed), 12)}; `resurgam history` tells why."
        text += f" Not touched: {listed(ahead, 12)}." if ahead else ""
        text += f" Left alone: {listed(rollout.left, 12)}." if rollout.left else ""
        reason = Reason.VERIFIED if well else Reason.FAILED
        state = "verified" if well else "failed"
        _say(core, rollout, {"state": state, "reason": reason.value, "text": text, "untouched": list(ahead)}, failed)


def stage_left(stage: Stage, core: "Decider") -> str:
    """Why a stage is left alone at its turn, '' if it is not: somebody stopped its service on purpose meanwhile."""
    service = core.registry.get(stage.service)
    if service is None or stage.verb == "start" or stops(stage.verb, dict(stage.params)):
        return ""
    return "stopped on purpose meanwhile" if service.wanted.state == "stopped" else ""


def _intent(stage: Stage, bare: Intent) -> Intent:
    return replace(bare, verb=stage.verb, target=stage.service, params=stage.params, document=stage.document)


def _place(rollout: Rollout) -> int | None:
    """The first stage that has no outcome yet."""
    return next((place for place, stage in enumerate(rollout.stages) if not stage.outcome), None)


def _with(rollout: Rollout, place: int, stage: Stage) -> Rollout:
    stages = (*rollout.stages[:place], stage, *rollout.stages[place + 1 :])
    return replace(rollout, stages=stages)


def _what(rollout: Rollout) -> str:
    if rollout.kind == BOOT:
        return f"Start after a boot ({rollout.cause.rstrip('.').lower()})"
    if rollout.kind == GPU:
        return f"{rollout.verb} of what {'was stopped for' if rollout.verb == 'start' else 'uses'} {rollout.target}"
    if rollout.kind == DEPENDENTS:
        return f"{rollout.verb} of {rollout.target} and what shares its namespaces"
    return f"{rollout.verb} of the project {rollout.target}"


def _because(rollout: Rollout) -> str:
    return f"{rollout.target}, whose namespaces it shares, had a {rollout.verb}."


def _say(core: "Decider", rollout: Rollout, more: Json, failed: list[str] | None = None) -> None:
    body: Json = {
        "rollout": rollout.id,
        "verb": rollout.verb,
        "target": rollout.target,
        "kind": rollout.kind,
        "by": rollout.by,
        "cause": rollout.cause,
        "incident": rollout.incident,
        "stages": [dump(replace(stage, document={})) for stage in rollout.stages],
        "left": list(rollout.left),
        "failed": list(failed or ()),
        "counts": staging.counted(rollout.stages, failed or (), rollout.left),
    }
    core.row("action.rollout", "host" if rollout.kind == BOOT else rollout.target, body | more)
