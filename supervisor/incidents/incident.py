"""One incident: its title, what is most likely behind it, its state, and when it is over.

In: the alerts about a subject, its service and the runs of this turn. Out: the next version of the Incident, a value.
When to open and close one is asked by the book; the rows are written there.
"""

from collections.abc import Sequence
from dataclasses import replace

from supervisor import units
from supervisor.facts import SLOT, Alert, Incident, Service
from supervisor.gpu.cards import WORD
from supervisor.incidents.target import HOST
from supervisor.incidents.words import listed

GIVEN_UP = 3600.0
"""seconds without any alert after which an incident ends though nobody saw the service well again"""
_SEVERITIES = ("critical", "warning", "info")


def worst_first(alerts: Sequence[Alert]) -> tuple[Alert, ...]:
    """By severity, then the one that fired first."""
    return tuple(
        sorted(alerts, key=lambda alert: (_SEVERITIES.index(alert.severity), alert.fired_at, alert.fingerprint))
    )


def opened(ident: str, subject: str, alerts: Sequence[Alert], service: Service | None, now: float) -> Incident:
    """A new incident about these alerts."""
    return Incident(
        id=ident,
        subject=subject,
        opened_at=now,
        alerts=tuple(sorted({alert.fingerprint for alert in alerts})),
        title=title(subject, alerts),
        cause=cause(service),
    )


def updated(incident: Incident, alerts: Sequence[Alert], service: Service | None) -> Incident:
    """With alerts that joined. The cause stays as it was before anything was done, since doing changes it."""
    joined = tuple(sorted({*incident.alerts, *(alert.fingerprint for alert in alerts)}))
    untouched = incident.state == "open" and service is not None and not service.healthy
    found = cause(service) if untouched else ""
    named = title(incident.subject, alerts) if alerts and joined != incident.alerts else incident.title
    return replace(incident, alerts=joined, title=named, cause=found or incident.cause)


def title(subject: str, alerts: Sequence[Alert]) -> str:
    """`demo.oracle: ContainerRestartLoop and ContainerUnhealthy`."""
    names = tuple(dict.fromkeys(alert.name for alert in worst_first(alerts)))
    return f"{subject}: {listed(names, 3)}"


def cause(service: Service | None) -> str:
    """What is most likely behind the trouble of a service, in one sentence; '' where nothing stands out. A drifted
    image goes first: it is what changed."""
    if service is None or service.container is None:
        return ""
    container = service.container
    running = f"{units.short_image(container.image_id)} ({container.image_ref})"
    parts = []
    if service.drift == "unproved" or (service.proved_image and service.proved_image != container.image_id):
        proved = units.short_image(service.proved_image)
        parts.append(f"running image {running} is not the one that last proved healthy ({proved})")
    elif service.drift == "tag_moved":
        parts.append(f"running image {running} is not what {container.image_ref} stands for now")
    if service.trouble_text:
        known = service.trouble_text.rstrip(".")
        return "; ".join([*parts, known[:1].lower() + known[1:]])
    if container.oom_killed:
        parts.append("the kernel killed it for want of memory (OOM)")
    died = bool(service.streak) or not container.running
    if died and service.last_exit is not None and (service.last_exit != 0 or not parts):
        parts.append(f"its last end was {units.exit_words(service.last_exit)}")
    elif container.health == "unhealthy":
        parts.append("its own health check fails")
    return "; ".join(parts)


def over(
    incident: Incident, firing: Sequence[Alert], service: Service | None, quiet_since: float, now: float
) -> tuple[str, float | None]:
    """Why the incident is over ('' if it is not), and when to ask again if time alone can end it. `quiet_since`: the
    end of the last thing that happened to it."""
    if firing:
        return "", None
    if incident.subject == HOST or incident.subject.startswith((WORD, SLOT)):
        return "its alerts have ended", None
    if service is None:
        return "the service is gone", None
    if service.wanted.state == "stopped":
        return f"{service.id} is stopped, as wanted", None
    if service.healthy:
        return f"{service.id} is healthy again", None
    if now - quiet_since >= GIVEN_UP:
        return "no alert for an hour", None
    return "", quiet_since + GIVEN_UP
