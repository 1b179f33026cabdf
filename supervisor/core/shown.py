"""What the core shows of itself: the snapshot at the end of a turn, and the explanation of one alert or service."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from supervisor.core.alerts import alert_object
from supervisor.facts import Json, Snapshot
from supervisor.journal.codec import dump

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def snapshot_of(core: "Decider", rev: int, counts: Mapping[str, int]) -> Snapshot:
    """How everything stands at the end of this turn."""
    who, standing = core.identity, core.standing
    return Snapshot(
        at=core.now,
        mono=core.mono,
        rev=rev,
        host=who.host,
        version=who.version,
        epoch=who.epoch,
        seq=core.last_seq,
        started_at=who.started_at,
        mode=core.mode,
        status=_status(core),
        problems=_problems(core),
        engines=tuple(standing.engines[name] for name in sorted(standing.engines)),
        pauses=dict(standing.pauses),
        services=core.registry.services(),
        alerts=core.rules.active(),
        incidents=core.book.incidents(),
        plans=core.admission.plans(),
        waiting=core.admission.waiting(),
        decisions=tuple(core.decisions),
        rules=core.rules.health(),
        bus=standing.bus,
        host_memory=dict(standing.host_memory),
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
    return tuple(found)


def explain(core: "Decider", word: str) -> Json:
    """What is known about an alert (by name) or a service, and the decisions that touched it."""
    alerts = [alert for alert in core.rules.active() if word in (alert.name, alert.fingerprint)]
    rules = core.rules.explain(word, core.now)
    found = core.registry.find(word) if not alerts and not rules else ()
    services = [service for service in core.registry.services() if service.id in found]
    names = {service.id for service in services} | {core.desk.subject(alert) for alert in alerts}
    incidents = [incident for incident in core.book.incidents() if incident.subject in names]
    decisions = [item for item in core.decisions if item.intent.target in names or item.intent.by.endswith(f":{word}")]
    about = [alert for alert in core.rules.active() if core.desk.subject(alert) in found]
    return {
        "word": word,
        "found": bool(alerts or services or rules),
        "alerts": [alert_object(alert) for alert in (*alerts, *about)],
        "rules": rules,
        "names": sorted({rule.name for rule in core.rules.rules()}),
        "services": [dump(service) for service in services],
        "incidents": [dump(incident) for incident in incidents],
        "decisions": [dump(decision) for decision in decisions[:20]],
        "plans": [dump(plan) for plan in core.admission.plans() if plan.service in names],
    }
