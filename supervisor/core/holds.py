"""What we hold of running containers (frozen, or slowed down by a fuse), and that it ends.

From: plans of `freeze` and `fuse` that end (their `hold`, kept in the same transaction as that end), engine events,
time. To: plans of our own that let it go (`thaw`, `unfuse`, by resurgam), the journal's space `hold`, the
snapshot, and the incident book, for which the noise of what stands still is our own.

A hold ends: when its time is over; when somebody asks the container to end (what stands frozen cannot even die); when
the daemon ends in order; at once where a plan failed half-way. It is only forgotten where that run of the container is
over, or a person paused it themselves. A plan that could not let go is followed by another one.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.actions import steps
from supervisor.actions.memory.holding import BY
from supervisor.errors import JournalError
from supervisor.facts import Container, EngineEvent, Hold, Intent, Json, Plan, Service
from supervisor.journal.codec import dump, load
from supervisor.verbs import GENTLE, HOLDS
from supervisor.verdicts import Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider
    from supervisor.core.turn import Core

RETRY, LONGEST_RETRY = 5.0, 300.0
"""seconds until it is tried again where the kernel did not let go; twice as long each time"""
SAME_RUN = 2.0
"""seconds by which an event and an inspect may differ about when a container was started"""
_ASKS = ("kill", "stop")
_OVER = ("die", "destroy", "start")


@dataclass(slots=True)
class _Try:
    """How often it was tried to let go, by which plan, and when it is tried again (unix seconds)."""

    plan: int = 0
    failed: int = 0
    again: float = 0.0


class Holds:
    """Everything that is held, by kind and service."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `hold` as it was at the start."""
        self._open: dict[str, Hold] = {}
        self._tries: dict[str, _Try] = {}
        for key in sorted(kept):
            with suppress(JournalError):
                self._open[key] = load(Hold, kept[key])

    def open(self) -> tuple[Hold, ...]:
        """All, by kind and service."""
        return tuple(self._open[key] for key in sorted(self._open))

    def of(self, kind: str, service: str) -> Hold | None:
        """One hold: `freeze` or `fuse` of a service."""
        return self._open.get(_key(kind, service))

    def known(self, verb: str, service: str) -> Json:
        """What a plan of this verb must know of what is held: what stood there before, and since when."""
        kind = next((kind for kind, ends in HOLDS.items() if ends == verb), "")
        held = self.of(kind, service) if kind else None
        return {"before": held.before or "max", "held_since": held.since} if held is not None else {}

    # ------------------------------------------------------------ time and news

    def due(self, core: "Decider") -> float | None:
        """Unix seconds at which something is to be let go."""
        found = [self._when(core, key, hold) for key, hold in self._open.items() if not self._busy(core, key, hold)]
        return min(found, default=None)

    def _when(self, core: "Decider", key: str, hold: Hold) -> float:
        until = core.now if core.standing.stopping else hold.until
        known = self._tries.get(key)
        return max(until, known.again) if known is not None else until

    def tick(self, core: "Decider") -> None:
        """Let go of what is over, and forget what is no more."""
        for key, hold in sorted(self._open.items()):
            if hold.since > core.now:  # the clock was put back while nobody looked: it lasts as long, and no longer
                hold = replace(hold, since=core.now, until=core.now + max(0.0, hold.until - hold.since))
                self._keep(core, key, hold)
            why = self._why_over(core, hold)
            if why:
                self._forget(core, key, hold, why)
            elif self._when(core, key, hold) <= core.now and not self._busy(core, key, hold):
                self._let_go(core, key, hold, _reason(core, hold))

    def heard(self, core: "Decider", event: EngineEvent) -> None:
        """An engine event: somebody asks a container to end that cannot, or this run of it is over."""
        kind = event.kind.partition(":")[0]
        for key, hold in sorted(self._open.items()):
            if hold.container_id != event.object_id or hold.engine != event.engine or _before(event, hold):
                continue
            if kind in _OVER:
                self._forget(core, key, hold, "that run of it is over")
            elif kind == "pause" and hold.kind == "freeze":
                self._forget(core, key, hold, "a person paused it: it goes on when they say so")
            elif kind in _ASKS and hold.kind == "freeze" and not (self._busy(core, key, hold) or _stops(core, hold)):
                self._let_go(core, key, hold, "somebody asks it to end, and what stands frozen cannot")

    def gap(self, core: "Decider", seconds: float) -> None:
        """The wall clock jumped: it lasts as long as it was to last."""
        for key, hold in self._open.items():
            self._keep(core, key, replace(hold, since=hold.since + seconds, until=hold.until + seconds))
        for known in self._tries.values():
            known.again += seconds

    # ------------------------------------------------------------ plans

    def ended(self, core: "Decider", plan: Plan, outcome: Verdict, data: Json) -> None:
        """A plan is over: what it holds is kept, what it let go is forgotten. In the transaction of its end."""
        told = data.get("hold")
        if not isinstance(told, dict) and not outcome.ok and plan.verb in plan.begun and "started_at" in data:
            told = data | {"until": core.now}  # it broke, and nobody knows whether it is held
        if plan.verb in HOLDS and isinstance(told, dict):
            self._held(core, plan, told)
        for key, hold in sorted(self._open.items()):
            if plan.verb != HOLDS[hold.kind] or plan.container_id != hold.container_id:
                continue
            if outcome.ok:
                self._forget(core, key, hold, "")
                continue
            known = self._tries.get(key)
            if known is None or known.plan != plan.id:
                continue
            known.plan, known.failed = 0, known.failed + 1
            known.again = core.now + min(LONGEST_RETRY, RETRY * 2.0 ** min(known.failed - 1, 10))

    def _held(self, core: "Decider", plan: Plan, told: Json) -> None:
        key = _key(plan.verb, plan.service)
        before, known = str(told.get("before") or ""), self._open.get(key)
        if (
            known is not None
            and known.container_id == plan.container_id
            and _same(known.started_at, told["started_at"])
        ):
            before = known.before or before  # what stood there before ours, not ours
        since = min(float(told["since"]), core.now)  # the clock may have been put back since then
        hold = Hold(
            service=plan.service,
            container_id=plan.container_id,
            kind=plan.verb,
            until=float(told["until"]) - (float(told["since"]) - since),
            before=before,
            plan=plan.id,
            why=plan.cause,
            since=since,
            engine=plan.engine,
            name=plan.name,
            pid=int(told["pid"]),
            started_at=float(told["started_at"]),
        )
        self._tries.pop(key, None)
        self._keep(core, key, hold)

    def _busy(self, core: "Decider", key: str, hold: Hold) -> bool:
        """Whether a plan is about it now: one that lets it go, or holds it anew."""
        known = self._tries.get(key)
        letting = known.plan if known is not None else 0
        return any(
            plan.id == letting or (plan.verb == hold.kind and plan.service == hold.service and plan.begun)
            for plan in core.admission.plans()
        )

    def _let_go(self, core: "Decider", key: str, hold: Hold, why: str) -> None:
        verb, service = HOLDS[hold.kind], core.registry.get(hold.service)
        seen = _carried(service, hold)
        found: Json = {"before": hold.before or "max", "held_since": hold.since}
        found |= {"pid": seen.pid if seen is not None and seen.pid else hold.pid, "started_at": hold.started_at}
        intent = Intent(verb, hold.service, {}, why, BY)

        def make(number: int, op: str) -> Plan:
            return Plan(
                id=number,
                verb=verb,
                service=hold.service,
                engine=hold.engine,
                params={},
                cause=why,
                by=BY,
                created_at=core.now,
                op=op,
                container_id=hold.container_id,
                name=hold.name,
                steps=steps.gentle(hold.name, verb),
                found=found,
            )

        self._tries.setdefault(key, _Try()).plan = core.admission.of_our_own(core, intent, make)

    # ------------------------------------------------------------ what is over

    def _why_over(self, core: "Decider", hold: Hold) -> str:
        """Why there is nothing to let go any more; '' while there may be."""
        seen = _carried(core.registry.get(hold.service), hold)
        if seen is None or not core.standing.swept.get(hold.engine):
            return ""
        if not seen.running:
            paused = seen.status == "paused" and hold.kind == "fuse"
            return "" if paused else f"it is {seen.status}"
        return "" if _same(seen.started_at, hold.started_at) else "it was started anew"

    def _keep(self, core: "Decider", key: str, hold: Hold) -> None:
        self._open[key] = hold
        core.batch.put("hold", key, dump(hold))
        core.reviewed_later()

    def _forget(self, core: "Decider", key: str, hold: Hold, why: str) -> None:
        del self._open[key]
        self._tries.pop(key, None)
        core.batch.put("hold", key, None)
        if why:
            text = f"The {hold.kind} of {hold.service} is over: {why}."
            core.row("action.unheld", hold.service, {"kind": hold.kind, "text": text}, False)
        core.reviewed_later()


async def let_go(core: "Core", at_work: Callable[[], bool], within: float) -> None:
    """The daemon ends in order: wait until nothing is held, `within` seconds at most. `at_work`: whether a plan is
    about to hold something, or to let it go. What is still held then the next start lets go."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while True:
                if not core.decider.holds.open() and not at_work():
                    return
                await asyncio.sleep(0.05)


def _reason(core: "Decider", hold: Hold) -> str:
    if core.standing.stopping and hold.until > core.now:
        return "Resurgam ends, and nobody would let it go"
    return f"the time of the {hold.kind} is over ({units.show_duration(max(0.0, hold.until - hold.since))})"


def _before(event: EngineEvent, hold: Hold) -> bool:
    """Whether it is late news of what was before: of an earlier run, or the very start of this one. Where the clock was
    put back since then, what is new may seem older than that run; then it is measured by when it was held."""
    at = event.time_ns / 1e9
    begins = hold.started_at + (SAME_RUN if event.kind == "start" else 0.0)
    return 0 < at < min(begins, hold.since)


def _stops(core: "Decider", hold: Hold) -> bool:
    """Whether it is a plan of ours that asks it to end: that one lets it go itself (actions/memory/loosen.py)."""
    plans = core.admission.plans()
    return any(hold.service in one.services and one.phase != "before" and one.verb not in GENTLE for one in plans)


def _carried(service: Service | None, hold: Hold) -> Container | None:
    """The container that is held, where its service still has it."""
    box = service.container if service is not None else None
    return box if box is not None and box.id == hold.container_id else None


def _same(one: float, other: float) -> bool:
    return abs(float(one) - float(other)) <= SAME_RUN


def _key(kind: str, service: str) -> str:
    return f"{kind}|{service}"
