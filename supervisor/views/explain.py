"""Why: one document that answers `resurgam explain ALERT|SERVICE`.

In: the word a person typed, facts.Snapshot, and what only the core can know (the rules of that name with the values of
their parts, and what else the word stands for). Out: JSON with one plain sentence on top, then everything it rests on.
"""

import difflib

from supervisor.facts import Alert, Json, Service, Snapshot
from supervisor.units import exit_words, short_image, show_duration
from supervisor.views.documents import (
    alert_document,
    alerts_about,
    blocker,
    container_document,
    decision_document,
    incident_document,
    plan_document,
)
from supervisor.views.sentences import Row, event_document
from supervisor.views.words import json_safe


def explain_document(subject: str, snapshot: Snapshot, extra: Json | None = None, evidence: Row | None = None) -> Json:
    """Explain an alert (by name) or a service (by id, alias or container name).

    `extra` is the core's own explanation: `found`, `rules` (as RuleEngine.explain gives
    them: the parts of each expression with their values), `services` (what the word stands for), `names` (of all
    rules). `evidence` is the journal row with the last log lines before a death of the service, if there is one.
    `found` is False where nothing has that name; `near` then lists what comes close.
    """
    told = extra or {}
    service = _service(subject, snapshot, told)
    alerts = [alert for alert in snapshot.alerts if alert.name == subject]
    if service is not None:
        alerts += [alert for alert in alerts_about(service, snapshot) if alert not in alerts]
    subjects = {service.id} if service else set()
    subjects |= {incident.subject for incident in snapshot.incidents if _touches(incident.alerts, alerts)}
    incidents = [
        incident for incident in snapshot.incidents if incident.subject in subjects or _touches(incident.alerts, alerts)
    ]
    waiting = dict(snapshot.waiting)
    found = service is not None or bool(alerts) or bool(told.get("found"))
    near = [] if found else _near(subject, snapshot, told)
    return {
        "subject": subject,
        "found": found,
        "sentence": _sentence(subject, service, alerts, snapshot) if found else _unknown(subject, near),
        "blocker": blocker(service, snapshot) if service else "",
        "near": near,
        "service": container_document(service, snapshot) if service else None,
        "alerts": [json_safe(alert_document(alert)) for alert in alerts],
        "incidents": [incident_document(incident) for incident in incidents],
        "plans": [plan_document(plan, waiting.get(plan.id, "")) for plan in snapshot.plans if plan.service in subjects],
        "decisions": [
            decision_document(decision) for decision in snapshot.decisions if decision.intent.target in subjects
        ],
        "rules": json_safe(told.get("rules") or []),
        "evidence": event_document(evidence) if evidence else None,
    }


def _touches(fingerprints: tuple[str, ...], alerts: list[Alert]) -> bool:
    return any(alert.fingerprint in fingerprints for alert in alerts)


def explained_service(subject: str, snapshot: Snapshot, extra: Json | None = None) -> str:
    """The id of the service that a word means, '' if it means none or several."""
    service = _service(subject, snapshot, extra or {})
    return service.id if service else ""


def _service(subject: str, snapshot: Snapshot, told: Json) -> Service | None:
    """By id, else what the core found for the word, else by alias or container name; only where it is exactly one."""
    by_id = {service.id: service for service in snapshot.services}
    if subject in by_id:
        return by_id[subject]
    found = [by_id[entry["id"]] for entry in told.get("services") or [] if entry.get("id") in by_id]
    others = found or [
        service
        for service in snapshot.services
        if subject in service.needs.aliases or (service.container is not None and service.container.name == subject)
    ]
    return others[0] if len(others) == 1 else None


def _near(subject: str, snapshot: Snapshot, told: Json) -> list[str]:
    names = [service.id for service in snapshot.services] + [alert.name for alert in snapshot.alerts]
    return difflib.get_close_matches(subject, dict.fromkeys([*names, *told.get("names", ())]), n=3, cutoff=0.5)


def _unknown(subject: str, near: list[str]) -> str:
    return f"nothing here is called {subject!r}" + (f"; did you mean {near[0]}?" if near else "")


def _sentence(subject: str, service: Service | None, alerts: list[Alert], snapshot: Snapshot) -> str:
    if service is not None:
        return _service_sentence(service, alerts, snapshot)
    active = [alert for alert in alerts if alert.state in ("pending", "firing")]
    if not active:
        return f"{subject} is not active: its expression gives no result now"
    first = active[0]
    since = show_duration(max(snapshot.at - (first.fired_at or first.active_at), 0.0))
    more = f" (and {len(active) - 1} more)" if len(active) > 1 else ""
    held = ", held until its input is fresh again" if first.held else ""
    return f"{subject} is {first.state} for {since}{held}{more}"


def _service_sentence(service: Service, alerts: list[Alert], snapshot: Snapshot) -> str:
    box = service.container
    state = "has no container" if box is None else f"is {box.status}"
    parts = [f"{service.id} {state}" + (", healthy" if service.healthy else "")]
    if service.last_exit is not None and service.streak:
        parts.append(f"died {service.streak} times in a row, last with {exit_words(service.last_exit)}")
    if service.drift == "tag_moved" and box is not None:
        parts.append(f"{box.image_ref} now stands for another image than the one it runs")
    if service.drift == "unproved" and box is not None:
        good = f" ({short_image(service.proved_image)} has)" if service.proved_image else ""
        parts.append(f"it runs {short_image(box.image_id)}, which has not proved healthy{good}")
    firing = [alert.name for alert in alerts if alert.state == "firing"]
    if firing:
        parts.append("firing: " + ", ".join(dict.fromkeys(firing)))
    if service.plan:
        parts.append(f"plan {service.plan} works on it")
    stands = blocker(service, snapshot)
    if stands:
        parts.append(stands)
    return "; ".join(parts)
