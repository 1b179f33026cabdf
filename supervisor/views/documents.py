"""JSON documents of how things stand, from one facts.Snapshot.

In: facts.Snapshot and its parts. Out: plain JSON for the retained MQTT documents, the control socket and the command
line. Times are RFC 3339 text, sizes bytes, durations seconds. The MQTT documents leave out what changes with every
turn (seq): they are published again whenever they change, but for counts, which are told every 30 s at most. The `rev`
of a service and of the daemon is its newest public row: what a command's `if_rev` is compared with.
"""

from collections.abc import Mapping

from supervisor.facts import Alert, Container, Decision, Incident, Json, Plan, Service, Snapshot
from supervisor.units import exit_words, iso, short_image
from supervisor.verbs import VERBS, disturbance
from supervisor.views.asked import approval_document, muted_by, silences_document
from supervisor.views.gpu import gpus_document
from supervisor.views.memory import budget_document, part_document, sources_document
from supervisor.views.rollouts import rollout_document
from supervisor.views.slots import kept_down, slots_document
from supervisor.views.watching import probes_document, targets_document
from supervisor.views.words import json_number, json_safe


def alert_document(alert: Alert) -> Json:
    """An Alertmanager alert object, with our `value`, `rule`, `origin` and `held` beside it."""
    return {
        "status": alert.state,
        "labels": {"alertname": alert.name, **alert.labels},
        "annotations": dict(alert.annotations),
        "startsAt": iso(alert.fired_at or alert.active_at),
        "endsAt": iso(alert.resolved_at),
        "fingerprint": alert.fingerprint,
        "value": json_number(alert.value),
        "severity": alert.severity,
        "rule": alert.rule,
        "origin": alert.origin,
        "held": alert.held,
    }


def alerts_document(snapshot: Snapshot) -> list[Json]:
    """All alerts that are pending or firing: firing first, then ours before those from outside (which must not push
    them out of what is shown), then the gravest, then the oldest. `unheard`: nobody heard over MQTT that it fires."""
    grave = {"critical": 0, "warning": 1, "info": 2}
    active = [alert for alert in snapshot.alerts if alert.state in ("pending", "firing")]
    active.sort(
        key=lambda a: (
            *(a.state != "firing", a.origin == "outside", grave[a.severity], a.active_at),
            *(a.name, a.fingerprint),
        )
    )
    muted, unheard = muted_by(snapshot), snapshot.bus.unheard_alerts if snapshot.bus else ()
    return [
        alert_document(alert) | {"silenced": muted.get(alert.fingerprint, ""), "unheard": alert.fingerprint in unheard}
        for alert in active
    ]


def host_document(snapshot: Snapshot) -> Json:
    """Memory and swap of the host in bytes; `used` is a share of the whole (0..1), None while unknown. `budget`: what
    is planned of it, and until when it lasts."""
    return {
        "host": snapshot.host,
        "memory": _store(snapshot.host_memory, "MemTotal", "MemAvailable"),
        "swap": _store(snapshot.host_memory, "SwapTotal", "SwapFree"),
        "budget": budget_document(snapshot),
    }


def _store(memory: Mapping[str, float], total_key: str, free_key: str) -> Json:
    total, free = memory.get(total_key), memory.get(free_key)
    known = total is not None and free is not None
    return {
        "total": None if total is None else json_number(total),
        "available": None if free is None else json_number(free),
        "used": round(1 - (free or 0.0) / total, 4) if known and total else None,
    }


def alerts_about(service: Service, snapshot: Snapshot) -> tuple[Alert, ...]:
    """The alerts of a service: those its incident gathered, and those that name its container."""
    gathered = {mark for incident in snapshot.incidents if incident.subject == service.id for mark in incident.alerts}
    names = {service.id, service.container.name if service.container else service.id}
    return tuple(
        alert
        for alert in snapshot.alerts
        if alert.state in ("pending", "firing") and (alert.fingerprint in gathered or alert.labels.get("name") in names)
    )


def container_document(service: Service, snapshot: Snapshot) -> Json:
    """One service over all its containers: state, health, image and drift, what works on it, what blocks it."""
    box = service.container
    plan = next((plan for plan in snapshot.plans if plan.id == service.plan or service.id in plan.services), None)
    return {
        "service": service.id,
        "rev": snapshot.revisions.get(service.id, 0),
        "engine": service.engine,
        "container": box.name if box else "",
        "container_id": box.id[:12] if box else "",
        "state": box.status if box else "absent",
        "health": box.health if box else "none",
        "healthy": service.healthy,
        "restart_policy": box.restart_policy if box else "",
        "restarts": box.restart_count if box else 0,
        "memory": json_number(snapshot.memory[service.id]) if service.id in snapshot.memory else None,
        "budget": part_document(service.id, snapshot),
        "started_at": iso(box.started_at if box else 0.0),
        "deaths": service.deaths,
        "streak": service.streak,
        "exit": service.last_exit,
        "exit_text": "" if service.last_exit is None else exit_words(service.last_exit),
        "last_death_at": iso(service.last_death_at),
        "trouble": service.trouble,
        "trouble_text": service.trouble_text,
        "image": {
            "ref": box.image_ref if box else "",
            "name": image_name(box) if box else "",
            "running": box.image_id if box else "",
            "wanted": box.ref_image_id if box else "",
            "proved": service.proved_image,
            "drift": service.drift,
            "quarantined": list(service.quarantined),
        },
        "wanted": {"state": service.wanted.state, "by": service.wanted.by, "why": service.wanted.why},
        "owned": service.owned.ok,
        "owned_why": service.owned.text,
        "paused": pause_text(service.id, snapshot),
        "phoenix": {"active": plan is not None, "plan": plan.id if plan else 0, "verb": plan.verb if plan else ""},
        "alerts": [alert.name for alert in alerts_about(service, snapshot)],
        "twins": list(service.twins),
        "blocker": blocker(service, snapshot),
        "project": service.project,
        "needs_first": list(service.needs_first),
        "shares": dict(service.parents),
        "boot": service.needs.boot,
        "profile": service.profile,
        "hint": hint(service),
    }


def hint(service: Service) -> str:
    """What is odd about how it stands though nothing stands in the way, one sentence; '' for nothing."""
    if service.cut_off:
        return f"cut off: {service.cut_off}"
    if service.profile:
        return f"safe profile; `resurgam phoenix {service.id} --profile normal --image current` takes it back"
    box = service.container
    if service.owned.ok and service.needs.boot == "ordered" and box is not None and box.restart_policy != "no":
        return (
            f"the engine starts it at boot as well (restart policy {box.restart_policy}); "
            f"`resurgam phoenix {service.id} --image current` hands that over"
        )
    return ""


def pause_text(service: str, snapshot: Snapshot) -> str:
    """Why and until when nothing new is started for a service (`*` for the whole box); '' if it is not paused."""
    for key in (service, "*"):
        if key in snapshot.pauses:
            reason, until = snapshot.pauses[key]
            whole = "everything is paused" if key == "*" else "paused"
            return f"{whole}: {reason or 'no reason given'}" + (f", until {iso(until)}" if until else "")
    return ""


def waits(snapshot: Snapshot) -> dict[int, str]:
    """Plan -> what it waits for: a lock that another plan holds, or a person's word."""
    asked = {
        one.plan: f"waits for a word: resurgam approve {one.id}, or deny" for one in snapshot.approvals if one.plan
    }
    return asked | dict(snapshot.waiting)


def blocker(service: Service, snapshot: Snapshot) -> str:
    """Why nothing would be done about this service now, in one sentence; '' if nothing stands in the way."""
    if not service.owned.ok:
        return service.owned.text or f"{service.id} is watched, not owned; label it resurgam.enable=true to let it heal"
    if snapshot.mode == "observe":
        return "observe mode: everything is decided and told, nothing is done"
    paused = pause_text(service.id, snapshot)
    if paused:
        return paused
    if service.wanted.state == "stopped":
        said = kept_down(service.id, snapshot)
        return (
            said
            or f"wanted stopped, said {service.wanted.by or 'someone'}; `resurgam start {service.id}` brings it back"
        )
    held = waits(snapshot)
    if service.plan in held:
        return f"plan {service.plan} {held[service.plan]}"
    return ""


def incident_document(incident: Incident) -> Json:
    """One incident: what it is about, since when, what is behind it and how far its ladders are."""
    return {
        "id": incident.id,
        "subject": incident.subject,
        "state": incident.state,
        "title": incident.title,
        "cause": incident.cause,
        "opened_at": iso(incident.opened_at),
        "closed_at": iso(incident.closed_at),
        "acked": incident.acked,
        "alerts": list(incident.alerts),
        "rungs": dict(incident.rungs),
    }


def plan_document(plan: Plan, waiting: str = "") -> Json:
    """One open plan with every step it may take and how far it is; `waiting` is what it waits for, '' if nothing."""
    states = _step_states(plan)
    steps = [
        {"name": step.name, "phase": step.phase, "back": step.back, "state": states[step.name]} for step in plan.steps
    ]
    return {
        "id": plan.id,
        "state": "waiting" if waiting else "open",
        "verb": plan.verb,
        "service": plan.service,
        "touches": list(plan.touches),
        "engine": plan.engine,
        "params": dict(plan.params),
        "disturbance": str(disturbance(plan.verb, dict(plan.params))) if plan.verb in VERBS else "",
        "cause": plan.cause,
        "by": plan.by,
        "incident": plan.incident,
        "created_at": iso(plan.created_at),
        "image": plan.image_id,
        "phase": plan.phase,
        "steps": steps,
        "locks": list(plan.locks),
        "waiting": waiting,
        "limit": plan.found.get("limit"),
        "limit_text": str(plan.found.get("limit_why") or ""),
        "recovered": plan.recovered,
    }


def _step_states(plan: Plan) -> dict[str, str]:
    """Step -> ahead | begun | done | failed. Several steps may begin at once; one that tells of trouble (what it waits
    for) has not failed while the plan stays at it."""
    ended = {name: ok for name, ok, _data in plan.marks}
    done = [name for name in plan.begun if ended.get(name)]
    last = plan.begun.index(done[-1]) if done else -1
    backs = any(step.back and step.name in plan.begun for step in plan.steps)
    found = {step.name: "ahead" for step in plan.steps}
    for place, name in enumerate(plan.begun):
        if name in ended and not ended[name]:
            found[name] = "failed" if place < last or (backs and name != plan.begun[-1]) else "begun"
        else:
            found[name] = "done" if name in ended or place < last else "begun"
    return found


def decision_document(decision: Decision) -> Json:
    """What was decided about a wish, and why."""
    intent = decision.intent
    return {
        "at": iso(decision.at),
        "verb": intent.verb,
        "target": intent.target,
        "params": dict(intent.params),
        "by": intent.by,
        "cause": intent.cause,
        "incident": intent.incident,
        "allowed": decision.verdict.ok,
        "reason": str(decision.verdict.reason),
        "text": decision.verdict.text,
        "plan": decision.plan,
        "rollout": decision.rollout,
    }


def daemon_document(snapshot: Snapshot) -> Json:
    """The daemon itself: mode, status, engines, rules, and how many of everything there are."""
    firing = len([alert for alert in snapshot.alerts if alert.state == "firing"])
    pending = len([alert for alert in snapshot.alerts if alert.state == "pending"])
    bad = [rule for rule in snapshot.rules if rule.text]
    return {
        "host": snapshot.host,
        "rev": snapshot.revisions.get("daemon", 0),
        "status": snapshot.status,
        "mode": snapshot.mode,
        "version": snapshot.version,
        "epoch": snapshot.epoch,
        "started_at": iso(snapshot.started_at),
        "problems": list(snapshot.problems),
        "paused": {
            name: {"reason": reason, "until": iso(until)} for name, (reason, until) in sorted(snapshot.pauses.items())
        },
        "engines": [
            {"name": engine.engine, "up": engine.up, "version": engine.version, "text": engine.text}
            for engine in snapshot.engines
        ],
        "services": {
            "total": len(snapshot.services),
            "owned": len([service for service in snapshot.services if service.owned.ok]),
            "healthy": len([service for service in snapshot.services if service.healthy]),
        },
        "alerts": {"firing": firing, "pending": pending, "silenced": len(muted_by(snapshot))},
        "approvals": [approval_document(one) for one in snapshot.approvals],
        "silences": len(snapshot.silences),
        "incidents": len([incident for incident in snapshot.incidents if incident.state != "closed"]),
        "plans": [plan.id for plan in snapshot.plans],
        "rules": {
            "files": len(snapshot.rules),
            "ok": len(snapshot.rules) - len(bad),
            "bad": [{"file": rule.file, "text": rule.text} for rule in bad],
        },
        "broker": {
            "connected": bool(snapshot.bus and snapshot.bus.connected),
            "name": snapshot.bus.broker if snapshot.bus else "",
            "text": snapshot.bus.text if snapshot.bus else "",
        },
        "outbox": outbox_document(snapshot),
        "counts": dict(sorted(snapshot.counts.items())),
    }


def outbox_document(snapshot: Snapshot) -> Json:
    """What became of messages: how many wait and for how long (seconds), how many nobody had subscribed to, the broker
    never takes, were given up, or were told in a digest. `critical_unheard` counts from the start of the process."""
    bus = snapshot.bus
    if bus is None:
        return {"waiting": 0}
    return {
        "waiting": bus.waiting,
        "oldest_s": round(max(0.0, snapshot.at - bus.oldest_at)) if bus.waiting and bus.oldest_at else 0,
        "unheard": bus.unheard,
        "critical_unheard": bus.critical_unheard,
        "dead": bus.dead,
        "shed": bus.shed,
        "digested": bus.digested,
    }


def status_document(snapshot: Snapshot) -> Json:
    """Everything `resurgam status` shows, in one document."""
    waiting = waits(snapshot)
    rules = [
        {"file": rule.file, "rules": rule.rules, "origin": rule.origin, "text": rule.text} for rule in snapshot.rules
    ]
    document: Json = {
        "status": snapshot.status,
        "at": iso(snapshot.at),
        "rev": snapshot.rev,
        "seq": snapshot.seq,
        "daemon": daemon_document(snapshot),
        "host": host_document(snapshot),
        "services": [container_document(service, snapshot) for service in snapshot.services],
        "alerts": alerts_document(snapshot),
        "incidents": [incident_document(incident) for incident in snapshot.incidents],
        "plans": [plan_document(plan, waiting.get(plan.id, "")) for plan in snapshot.plans],
        "rollouts": [rollout_document(rollout) for rollout in snapshot.rollouts],
        "approvals": [approval_document(one) for one in snapshot.approvals],
        "silences": silences_document(snapshot),
        "decisions": [decision_document(decision) for decision in snapshot.decisions],
        "rules": rules,
        "outbox": outbox_document(snapshot),
        "sources": sources_document(snapshot),
        "gpus": gpus_document(snapshot),
        "probes": probes_document(snapshot),
        "targets": targets_document(snapshot),
        "slots": slots_document(snapshot),
    }
    checked: Json = json_safe(document)
    return checked


def image_name(box: Container) -> str:
    """What people call the image of a container; `local/oracle:1@3f2a90c1b2d4` where that tag stands for another image
    by now."""
    moved = box.ref_image_id not in ("", box.image_id)
    return f"{box.image_ref}@{short_image(box.image_id)}" if moved else short_image(box.image_ref)
