"""What the core shows of itself: the snapshot at the end of a turn, and the explanation of one alert or service."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.core.alerts import alert_object
from supervisor.core.asked import Asked, Pace, TooManyAsked, TooMuchAsked
from supervisor.core.memory import used_of
from supervisor.core.tape import Older, Tape
from supervisor.facts import Json, Snapshot
from supervisor.journal.codec import dump
from supervisor.rules import EvaluationError
from supervisor.rules.explaining.reasons import HISTORY, Inquiry, explained, untold
from supervisor.samples import Store

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

MOST_RULES = 8
"""Rules of one name that are explained."""


def snapshot_of(core: "Decider", rev: int, counts: Mapping[str, int]) -> Snapshot:
    """How everything stands at the end of this turn."""
    who, standing, services = core.identity, core.standing, core.registry.services()
    budget = core.memory.budget(core)
    return Snapshot(
        at=core.now,
        mono=core.mono,
        rev=rev,
        host=who.host,
        version=who.version,
        epoch=standing.bus.epoch or who.epoch if standing.bus else who.epoch,
        seq=core.last_seq,
        started_at=who.started_at,
        mode=core.mode,
        status=_status(core),
        problems=_problems(core),
        engines=tuple(standing.engines[name] for name in sorted(standing.engines)),
        pauses=dict(standing.pauses),
        services=services,
        alerts=core.alerts(),
        incidents=core.book.incidents(),
        plans=core.admission.plans(),
        waiting=core.admission.waiting(),
        rollouts=core.rollouts.open(),
        approvals=core.approvals.open(),
        silences=core.silences.open(),
        holds=core.holds.open(),
        decisions=tuple(core.decisions),
        rules=core.rules.health(),
        bus=standing.bus,
        host_memory=dict(standing.host_memory),
        budget=budget,
        sources=(*core.memory.sources, *core.gpu.sources),
        memory=used_of(core, services, budget),
        gpus=core.gpu.state(core),
        probes=core.probing.shown(core),
        targets=core.targets.open(),
        slots=core.slots.shown(core),
        revisions=dict(core.revisions),
        counts=dict(counts) | core.store.counts | standing.edge_counts,
    )


def _status(core: "Decider") -> str:
    standing = core.standing
    if standing.stopping:
        return "stopping"
    if standing.engines and not standing.swept and any(state.up for state in standing.engines.values()):
        return "recovering"
    if any(plan.verb != "protect" for plan in core.admission.plans()):
        return "healing"
    if core.mode == "observe":
        return "observe"
    degraded = any(incident.state == "degraded" for incident in core.book.incidents())
    return "degraded" if degraded or _problems(core) else "ok"


def _problems(core: "Decider") -> tuple[str, ...]:
    standing = core.standing
    found = []
    if standing.journal_error:
        found.append(f"The journal cannot be written, so nothing is done: {standing.journal_error}")
    if standing.confirm:
        found.append(standing.confirm)
    found += [text for _part, text in sorted(standing.edges.items())]
    found += [state.text for _name, state in sorted(standing.engines.items()) if not state.up]
    found += [*standing.load_problems, *core.registry.problems()]
    found += [text for health in core.rules.health() for text in health.complaints]
    return (*found, *_parked(core))


def _parked(core: "Decider") -> list[str]:
    """What stays parked with compose's labels once its plan is over: the next `compose up` may take it."""
    busy = {plan.name for plan in core.admission.plans() if plan.name}
    return [
        f"{name} is kept: a Phoenix parked it and ended without a spare in its place (its way back was denied or "
        "failed, or much was written into it). The next `docker compose up` may take it for the service and remove "
        f"{of}: once you need nothing of it, `docker rm {name}`."
        for of, name in core.registry.parked()
        if of not in busy
    ]


def explain(core: "Decider", word: str) -> Json:
    """What is known about an alert (by name or fingerprint) or a service, and the decisions that touched it."""
    alerts = [alert for alert in core.alerts() if word in (alert.name, alert.fingerprint)]
    rules = core.rules.explain(word, core.now)
    found = core.registry.find(word) if not alerts and not rules else ()
    services = [service for service in core.registry.services() if service.id in found]
    names = {service.id for service in services} | {core.desk.subject(alert) for alert in alerts}
    incidents = [incident for incident in core.book.incidents() if incident.subject in names]
    decisions = [item for item in core.decisions if item.intent.target in names or item.intent.by.endswith(f":{word}")]
    about = [alert for alert in core.alerts() if core.desk.subject(alert) in found]
    return {
        "word": word,
        "found": bool(alerts or services or rules),
        "alerts": [alert_object(alert) for alert in (*alerts, *about)],
        "rules_left_out": max(len(rules) - MOST_RULES, 0),
        "names": sorted({rule.name for rule in core.rules.rules()}),
        "services": [dump(service) for service in services],
        "incidents": [dump(incident) for incident in incidents],
        # what a compose file says stays out of sight: its environment can hold secrets
        "decisions": [dump(replace(one, intent=replace(one.intent, document={}))) for one in decisions[:20]],
        "plans": [dump(replace(plan, document={})) for plan in core.admission.plans() if names & {*plan.services}],
    }


async def reasons(core: "Decider", questions: Asked, word: str, tape: Tape | None = None) -> list[Json]:
    """Why the rules of that name give what they give (`explaining/`), found out beside the turns. `tape`: where
    samples older than those in memory are."""

    def look(history: float) -> Inquiry:
        return Inquiry(core.rules.explain(word, questions.now() / 1000)[:MOST_RULES], history)

    why = ""
    for history in HISTORY if look(0.0).cases else ():
        older = await tape.read(look(history).since, questions.now()) if tape is not None else None

        def work(
            inquiry: Inquiry, store: Store, pace: Pace, notes: Sequence[str], older: Older | None = older
        ) -> list[Json]:
            if older is not None:
                inquiry = inquiry.known_from(older.extend(store, inquiry.wanted))
            return explained(inquiry, store, pace, notes)

        try:
            return await questions.over(functools.partial(look, history), work)
        except (TooManyAsked, EvaluationError) as err:
            why = str(err)
            if not isinstance(err, TooMuchAsked):
                break
    return [untold(case, why) for case in look(0.0).cases]
