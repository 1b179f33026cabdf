"""Why: one document that answers `resurgam explain ALERT|SERVICE|SLOT`.

In: the word a person typed, facts.Snapshot, and what only the core can know (the rules of that name with their parts,
as `explaining/` tells them, and what else the word stands for). Out: JSON with one plain sentence on top, then
everything it rests on; times are RFC 3339, in sentences they are the clock of this machine.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from supervisor.facts import SLOT, Alert, Json, Service, SlotState, Snapshot
from supervisor.units import exit_words, iso, short_image, show_duration
from supervisor.views.documents import (
    alert_document,
    alerts_about,
    blocker,
    container_document,
    decision_document,
    incident_document,
    plan_document,
    waits,
)
from supervisor.views.memory import coarse
from supervisor.views.sentences import Row, event_document
from supervisor.views.slots import found_slot, slot_document, slot_sentence
from supervisor.views.watching import probes_document
from supervisor.views.words import json_safe, when


def explain_document(subject: str, snapshot: Snapshot, extra: Json | None = None, evidence: Row | None = None) -> Json:
    """Explain an alert (by name), a service (by id, alias or container name) or a slot (by its name, or a model's).

    `extra` is the core's own explanation: `found`, `rules` (as `explained` gives them), `services` (what
    the word stands for), `names` (of all rules). `evidence` is the journal row with the last log lines before a death
    of the service, if there is one.
    `found` is False where nothing has that name; `near` then lists what comes close.
    """
    told = extra or {}
    rules = told.get("rules") or []
    now = max([snapshot.at, *[rule["at"] for rule in rules]])
    service = _service(subject, snapshot, told)
    slot = found_slot(subject, snapshot) if service is None else None
    alerts = [alert for alert in snapshot.alerts if subject in (alert.name, alert.fingerprint)]
    alerts += [alert for alert in snapshot.alerts if slot and alert.labels.get("slot") == slot.name]
    if service is not None:
        alerts += [alert for alert in alerts_about(service, snapshot) if alert not in alerts]
    alerts = [_fresh(alert, rules) for alert in alerts]
    subjects = {service.id} if service else {f"{SLOT}{slot.name}"} if slot else set()
    subjects |= {incident.subject for incident in snapshot.incidents if _touches(incident.alerts, alerts)}
    incidents = [
        incident for incident in snapshot.incidents if incident.subject in subjects or _touches(incident.alerts, alerts)
    ]
    waiting = waits(snapshot)
    found = service is not None or slot is not None or bool(alerts) or bool(told.get("found"))
    near = [] if found else _near(subject, snapshot, told)
    sentence = _sentence(subject, service, alerts, rules, snapshot, now) if found else _unknown(subject, near)
    if slot is not None:
        sentence = slot_sentence(slot, now)
    return {
        "subject": subject,
        "at": iso(now),
        "found": found,
        "sentence": sentence,
        "blocker": blocker(service, snapshot) if service else "",
        "near": near,
        "service": container_document(service, snapshot) if service else None,
        "probe": next((one for one in probes_document(snapshot) if service and one["service"] == service.id), None),
        "gpus": _cards(service, snapshot) if service else [],
        "slots": [slot_document(one, snapshot) for one in _slots(service, slot, snapshot)],
        "alerts": [json_safe(alert_document(alert)) for alert in alerts],
        "incidents": [incident_document(incident) for incident in incidents],
        "plans": [
            plan_document(plan, waiting.get(plan.id, "")) for plan in snapshot.plans if subjects & {*plan.services}
        ],
        "decisions": [
            decision_document(decision) for decision in snapshot.decisions if decision.intent.target in subjects
        ],
        "rules": [json_safe(_dated(rule)) for rule in rules],
        "rules_left_out": told.get("rules_left_out", 0),
        "evidence": event_document(evidence) if evidence else None,
    }


def _slots(service: Service | None, slot: SlotState | None, snapshot: Snapshot) -> list[SlotState]:
    """The slot that is asked about, or those that a service may hold."""
    if service is None:
        return [slot] if slot is not None else []
    return [one for one in snapshot.slots if any(model.service == service.id for model in one.models)]


def _cards(service: Service, snapshot: Snapshot) -> list[Json]:
    """The cards that a service holds memory of, with how much of how much, in bytes."""
    cards = snapshot.gpus.cards if snapshot.gpus is not None else ()
    return [
        {"gpu": card.index, "uuid": card.uuid, "name": card.name, "used": coarse(used), "total": card.total}
        for card in cards
        for name, used in card.users
        if name == service.id
    ]


def _fresh(alert: Alert, rules: Sequence[Json]) -> Alert:
    """The alert with its value of now: a snapshot is not made anew for a value alone."""
    values = [one["value"] for rule in rules for one in rule["alerts"] if one["labels"] == dict(alert.labels)]
    return replace(alert, value=values[0]) if values else alert


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
    names += [slot.name for slot in snapshot.slots]
    by_form = {name.lower(): name for name in [*told.get("names", ()), *names]}
    return [by_form[form] for form in difflib.get_close_matches(subject.lower(), by_form, n=3, cutoff=0.5)]


def _unknown(subject: str, near: list[str]) -> str:
    return f"nothing here is called {subject!r}" + (f"; did you mean {near[0]}?" if near else "")


_TIMES = (
    "at",
    "since",
    "stamp",
    "looked_at",
    "active_at",
    "fired_at",
    "fires_at",
    "missing_since",
    "kept_until",
    "ahead_until",
)
"""what is unix seconds in a rule's reasons"""


def _dated(value: Any, key: str = "") -> Any:
    """A copy with its times as RFC 3339; those that are not there stay None. Label sets are left as they are."""
    if key in _TIMES and isinstance(value, int | float):
        return iso(value)
    if isinstance(value, dict) and key not in ("labels", "series"):
        return {name: _dated(item, name) for name, item in value.items()}
    return [_dated(item) for item in value] if isinstance(value, list | tuple) else value


# ---------------------------------------------------------------- in one sentence


def _sentence(
    subject: str, service: Service | None, alerts: list[Alert], rules: Sequence[Json], snapshot: Snapshot, now: float
) -> str:
    if service is not None:
        return _service_sentence(service, alerts, snapshot)
    name = rules[0]["alert"] if rules else alerts[0].name if alerts else subject
    open_ones = [alert for alert in alerts if alert.state in ("pending", "firing")]
    known = {tuple(sorted(alert["labels"].items())): alert for rule in rules for alert in rule["alerts"]}
    troubles = [rule["error"] for rule in rules if rule["error"]]
    if not open_ones:
        return f"{name} {_quiet(rules, troubles, now)}"
    first = open_ones[0]
    told = known.get(tuple(sorted(first.labels.items())), {})
    said = f"{name} {_active(first, told, now)}"
    if len(open_ones) > 1:
        firing = len([alert for alert in open_ones if alert.state == "firing"])
        counts = [
            f"{count} {state}" for count, state in ((firing, "firing"), (len(open_ones) - firing, "pending")) if count
        ]
        said = f"{name}: {', '.join(counts)}; the first {_active(first, told, now)}"
    return said + (f"; its expression fails now, so its alerts stay as they are: {troubles[0]}" if troubles else "")


def _active(alert: Alert, told: Json, now: float) -> str:
    """How one open alert stands, and what time alone will do to it."""
    said = f"is {alert.state} since {when(alert.fired_at or alert.active_at, now)}"
    if alert.held:
        return said + ", held until its input is fresh again"
    if told.get("kept_until"):
        gone = when(told["missing_since"], now)
        return said + f"; its expression gives nothing since {gone}, it is kept until {when(told['kept_until'], now)}"
    if told.get("fires_at"):
        return said + f"; it fires at {when(told['fires_at'], now)} if it stays true"
    return said


def _quiet(rules: Sequence[Json], troubles: list[str], now: float) -> str:
    """Why there is no alert."""
    if troubles:
        return f"cannot be evaluated: {troubles[0]}"
    waits = [rule["waits"] for rule in rules if rule["waits"]]
    if waits:
        return f"was {waits[0]}"
    parts = rules[0]["parts"] if rules else []
    if rules and rules[0]["kind"] == "record":
        count = parts[0]["count"] if parts else 0
        return f"is recorded: it gives {'one series' if count == 1 else f'{count} series' if count else 'nothing'} now"
    if parts and parts[0]["count"]:  # it became true in this very instant, or it settles
        return "is not active yet: its expression gives a result now"
    said = "is not active: its expression gives no result now"
    if not parts or parts[0]["since"] is None:
        return said
    since = parts[0]["since"]
    if parts[0]["at_least"]:
        return said + (f", for at least {show_duration(now - since)}" if now - since >= 1 else "")
    return said + f", since {when(since, now)}"


def _service_sentence(service: Service, alerts: list[Alert], snapshot: Snapshot) -> str:
    box = service.container
    state = "has no container" if box is None else f"is {box.status}"
    parts = [f"{service.id} {state}" + (", healthy" if service.healthy else "")]
    if service.last_exit is not None and service.streak:
        parts.append(f"died {service.streak} times in a row, last with {exit_words(service.last_exit)}")
    if service.trouble_text:
        parts.append(service.trouble_text.rstrip("."))
    if service.cut_off:
        parts.append(service.cut_off)
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
