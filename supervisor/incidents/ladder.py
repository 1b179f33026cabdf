"""Ladders: what was tried, how it ended, and which rung is next.

A *run* is one rung acted on for one firing of one alert; runs are kept in the journal's space `run` and everything here
is computed from them, so a restart forgets nothing. A rung that failed leads to the next one at once; one that verified
stays the one to use, until its firing goes on and the service is in trouble again; quiet for `reset` leads back to the
first. A plan that ended before it touched anything is tried again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor.facts import Service
from supervisor.incidents import budget
from supervisor.incidents.choose import Candidate
from supervisor.incidents.playbooks import Rung
from supervisor.incidents.words import until
from supervisor.verdicts import Reason, Verdict, no

TRIES = 3
"""so often a rung is tried again that ended before it touched anything; then it counts as failed"""
RETRY = 60.0
"""seconds before the first such try; doubled for each further one"""
OPEN, VERIFYING, ENDED = "open", "verifying", "ended"

_NOT_ITS_FAULT = (
    Reason.PAUSED,
    Reason.VETO,
    Reason.STOPPING,
    Reason.OBSERVE_MODE,
    Reason.RESOLVED,
    Reason.OWNER_FIRST,
    Reason.OUTRANKED,
    Reason.LOCKED,
    Reason.NOT_READY,
    Reason.ENGINE_ABSENT,
    Reason.JOURNAL_FAILED,
)
"""reasons for an early end that say nothing about the rung: it is tried again as soon as the guard lets it"""
_A_HAND_IN_IT = (Reason.INTERFERED, Reason.VANISHED, Reason.NAME_TAKEN)
"""reasons that mean a person is at work there: no reason to go up the ladder"""


@dataclass(frozen=True, slots=True)
class Run:
    """One rung that was acted on. Times in unix seconds, 0 for not yet."""

    key: str
    by: str
    scope: str
    target: str
    alert: str
    fired_at: float
    rung: int
    state: str
    """open (its plan is) | verifying (its expression must come true) | ended"""
    at: float
    reason: str = ""
    ended: float = 0.0
    ok: bool = False
    tries: int = 0
    """early ends so far"""
    quiet: float = 0.0
    """since when its alert does not fire any more"""
    holds: float = 0.0
    """since when the rung's expression holds"""
    labels: Mapping[str, str] = field(default_factory=dict)
    """the alert's labels, kept while an expression is still to be verified"""
    wish: str = ""
    """the reason for which its plan was asked to end"""

    @property
    def place(self) -> str:
        """Its key in the space `run`."""
        return f"{self.by}|{self.key}"


@dataclass(frozen=True, slots=True)
class Next:
    """Which rung is next. `silent`: nothing is to be done or said now. `verdict`: why it has to wait."""

    rung: int = 0
    verdict: Verdict | None = None
    again: float | None = None
    silent: bool = False
    tries: int = 0
    asks: bool = False
    """its plan was begun, and found out that it needs a person's word"""


def intent_key(candidate: Candidate, rung: int) -> str:
    """`fingerprint|fired_at|rung`; for a playbook on: resolved `fingerprint|resolved_at|rung|resolved`."""
    alert = candidate.alert
    if alert.state == "resolved":
        return f"{alert.fingerprint}|{alert.resolved_at:.3f}|{rung}|resolved"
    return f"{alert.fingerprint}|{alert.fired_at:.3f}|{rung}"


def next_rung(candidate: Candidate, runs: Sequence[Run], service: Service | None, now: float) -> Next:
    """Where the candidate's ladder stands. `runs`: those of this ladder and scope that were acted on."""
    if not runs:
        return Next()
    book = candidate.playbook
    last = max(runs, key=lambda run: (run.at, run.rung))
    if last.rung >= len(book.steps):  # a reload took steps away
        last = replace(last, rung=len(book.steps) - 1)
    if last.state in (OPEN, VERIFYING):
        return Next(last.rung, silent=True)
    fired_at = candidate.alert.fired_at if candidate.alert.state != "resolved" else candidate.alert.resolved_at
    if all(run.quiet for run in runs):
        rest = max(max(run.quiet, run.ended) for run in runs)
        if fired_at - rest >= book.reset:
            return Next()
    if last.reason == Reason.DEGRADED:
        return Next(last.rung, _spent(candidate, "the last try left it degraded"))
    if last.ok:
        return _after_success(candidate, last, service, fired_at, now)
    if last.tries and last.tries < TRIES:
        wait = 0.0 if last.reason in _NOT_ITS_FAULT else RETRY * 2 ** (last.tries - 1)
        if now < last.ended + wait:
            text = f"The last try ended before it touched anything; the next one comes {until(last.ended + wait, now)}."
            return Next(last.rung, no(Reason.COOLDOWN, text), last.ended + wait, tries=last.tries)
        return Next(last.rung, tries=last.tries)
    if last.reason == Reason.NEEDS_APPROVAL:  # its plan found out that a person must be asked; nothing was touched
        same = last.alert == candidate.alert.fingerprint and last.fired_at == candidate.alert.fired_at
        return Next(last.rung, asks=same)
    if last.reason == Reason.DENIED and last.rung + 1 >= len(book.steps):
        return Next(last.rung + 1, _spent(candidate, "its last step was denied"))
    return _up(candidate, last.rung + 1)


def _after_success(candidate: Candidate, last: Run, service: Service | None, fired_at: float, now: float) -> Next:
    """The last rung verified: for this firing that is enough unless the service is in trouble again."""
    ready = last.ended + candidate.playbook.cooldown
    same = last.alert == candidate.alert.fingerprint and last.fired_at == candidate.alert.fired_at
    if fired_at > last.ended and not same:  # asked by name too: a clock that was set back tells nothing
        following = _again(candidate, last, fired_at)
        if following.verdict is None and now < ready:
            return Next(following.rung, _cooling(candidate, ready, now), ready)
        return following
    if not _in_trouble(service, last.ended):
        return Next(last.rung, silent=True)
    steps = candidate.playbook.steps
    if last.rung + 1 >= len(steps) and candidate.harmless(steps[-1]):
        return Next(last.rung, silent=True)  # people were told; that is all it was for
    if last.rung + 1 >= len(steps) and _stops(steps[-1]):  # a person started it, and it is as it was
        return Next(last.rung, _cooling(candidate, ready, now), ready) if now < ready else Next(last.rung)
    following = _up(candidate, last.rung + 1)
    if following.verdict is None and now < ready:
        return Next(following.rung, _cooling(candidate, ready, now), ready)
    return following


def _again(candidate: Candidate, last: Run, fired_at: float) -> Next:
    """It is in trouble anew though the last rung verified. What did not last for `reset` did not help: the next rung.
    A ladder of one rung has no other; and what was stopped, started by a person and fails again, is stopped again."""
    steps = candidate.playbook.steps
    lasted = fired_at - last.ended >= candidate.playbook.reset
    step = steps[last.rung]
    final = last.rung + 1 >= len(steps) and (candidate.harmless(step) or _stops(step))
    if lasted or len(steps) == 1 or final:
        return Next(last.rung)
    return _up(candidate, last.rung + 1)


def _stops(step: Rung) -> bool:
    return step.verb == "stop" or (step.verb == "scale" and dict(step.params).get("replicas") == "0")


def above(candidate: Candidate, following: Next) -> Next:
    """The next rung after one that cannot be taken as things stand; it has to wait as long as that one had to."""
    rung = following.rung + 1
    if rung < len(candidate.playbook.steps):
        return replace(following, rung=rung, tries=0)
    return Next(rung, _spent(candidate, "no step that is left could help"))


def _in_trouble(service: Service | None, since: float) -> bool:
    """Whether a service that was well at `since` is not any more, though it is meant to run."""
    if service is None or service.wanted.state == "stopped":
        return False
    return not service.healthy or service.last_death_at > since


def _up(candidate: Candidate, rung: int) -> Next:
    if rung < len(candidate.playbook.steps):
        return Next(rung)
    count = len(candidate.playbook.steps)
    return Next(rung, _spent(candidate, "its one step was tried" if count == 1 else f"all {count} steps were tried"))


def _spent(candidate: Candidate, why: str) -> Verdict:
    text = (
        f"{candidate.by} can do no more for {candidate.target}: {why}. A person is needed; "
        f"`resurgam explain {candidate.target}` tells what was found."
    )
    return no(Reason.LADDER_SPENT, text)


def _cooling(candidate: Candidate, ready: float, now: float) -> Verdict:
    text = f"{candidate.by} acted on {candidate.target} a short while ago; it may again {until(ready, now)}."
    return no(Reason.COOLDOWN, text)


def playbook_budget(candidate: Candidate, runs: Sequence[Run], now: float) -> tuple[Verdict, float | None] | None:
    """The refusal if the playbook's own budget is spent, with the instant it ends."""
    limit = candidate.playbook.budget
    refused = budget.over([run.at for run in runs], (limit,) if limit is not None else (), now)
    if refused is None:
        return None
    text = budget.sentence(refused[0], refused[1], now, f"runs of {candidate.by}")
    return no(Reason.BUDGET_PLAYBOOK, text), refused[1]


def after_plan(run: Run, outcome: Verdict, expects_more: bool, now: float) -> Run:
    """The run once its plan has ended. `expects_more`: its rung has an expression that must come true."""
    reason = outcome.reason
    if outcome.ok or reason is Reason.VERIFIED:
        state = VERIFYING if expects_more else ENDED
        return replace(run, state=state, reason=Reason.VERIFIED, ended=now, ok=not expects_more, wish="")
    early = reason is Reason.ENDED_EARLY or reason in _NOT_ITS_FAULT or reason in _A_HAND_IN_IT
    if early:
        # What the guard ended is no try of the rung: it never had its chance.
        said = run.wish or reason.value
        tries = max(1, run.tries) if said in _NOT_ITS_FAULT else run.tries + 1
        return replace(run, state=ENDED, reason=said, ended=now, ok=False, tries=tries, wish="", labels={})
    return replace(run, state=ENDED, reason=reason.value, ended=now, ok=False, tries=0, wish="", labels={})


def forgettable(run: Run, keep: float, now: float) -> bool:
    """Whether nothing can depend on it any more. `keep`: seconds its playbook looks back."""
    return run.state == ENDED and bool(run.quiet) and now - max(run.quiet, run.ended) > keep
