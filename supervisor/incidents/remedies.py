"""What helps against what: verbs that rules should not even try, since the cause of the trouble is known.

In: an intent of a rule, its service with the cause the engine told (`trouble_told`, services/causes.py), the World.
Out: the refusal, and whether it is waited for or the ladder goes on. The guard asks here for rules only: a person may
try whatever they like. Everything here makes us do less than we would without a cause, never more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import Alert, Container, Intent, Service
from supervisor.incidents.locks import starts
from supervisor.incidents.world import World
from supervisor.services import OP_LABEL, causes, trouble
from supervisor.verdicts import Reason, Verdict, no

LOOK_AGAIN = 30.0
"""seconds until something that is held by somebody is looked at again"""
UNSEEN = 300.0
"""seconds until a start is tried again where nobody is seen to hold what it needs"""
LOOPS = 2
"""deaths in a row from which on the image is suspected"""
RECENT = 3600.0
"""seconds for which a load of ours counts as the last try"""

AGAIN, SAME, OTHER = "again", "same", "other"
"""what a verb does to a container: start the same one, make it anew from its own image, or from another image"""

_NO_USE: Mapping[str, tuple[str, ...]] = {
    causes.NAMESPACE_GONE: (AGAIN,),
    causes.NETWORK_GONE: (AGAIN,),
    causes.IMAGE_GONE: (AGAIN, SAME),
}
"""cause -> what is of no use; the next rung may be"""
_WAITS = (causes.DISK_FULL, causes.GPU_RUNTIME, causes.DEVICE_MISSING, causes.ENGINE_NETWORK, causes.MOUNT_MISSING)
"""nothing that is done to a container helps: it is waited for, and a person is told"""
_ITS_IMAGE = (causes.CRASH, causes.APP, causes.ENDED, causes.BAD_COMMAND)
"""deaths that an image which is not the proved one explains"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it is of no use. `again`: when time alone may change it. `waits`: no reason to go up the ladder."""

    verdict: Verdict
    again: float | None = None
    waits: bool = False


def kind_of(intent: Intent, container: Container, chosen: str) -> str:
    """AGAIN, SAME or OTHER; '' for a verb that starts nothing. `chosen`: the image it goes to."""
    if not starts(intent.verb, dict(intent.params)):
        return ""
    if intent.verb not in ("phoenix", "rollback"):
        return AGAIN
    return SAME if chosen == container.image_id else OTHER


def useless(intent: Intent, service: Service, container: Container, chosen: str, world: World) -> Refusal | None:
    """The refusal if this verb does not help against what is the matter with the service; None if it may."""
    kind = kind_of(intent, container, chosen)
    if not kind:
        return None
    waits = _waits(intent, service, container, world)
    if waits is not None:
        return waits
    why = _moved(intent, service, container, kind) or _done(intent, service, container, kind, world)
    why = why or _against(service, kind, world)
    if not why:
        return None
    what = intent.verb + (f" image={intent.params['image']}" if intent.params.get("image") else "")
    return Refusal(no(Reason.NO_USE, f"{what} of {service.id} is of no use: {why}."))


def _waits(intent: Intent, service: Service, container: Container, world: World) -> Refusal | None:
    """What has to be over before any start makes sense."""
    told, text = service.trouble_told, f"{intent.verb} of {service.id} waits: {service.trouble_text}"
    if told == causes.CHECK_BROKEN and container.running:
        return Refusal(no(Reason.NO_USE, text), waits=True)
    if container.running:
        return None
    if told in _WAITS:
        mended = f"{text} Then: `resurgam restart {service.id}`."
        return Refusal(no(Reason.NO_USE, mended), waits=True)
    if told not in (causes.PORT_HELD, causes.ADDRESS_HELD):
        return None
    if service.trouble_by:
        port = causes.port_of(container.error)
        boxes = [one.container for one in world.services.values() if one.id == service.trouble_by]
        still = any(box is not None and box.running and trouble.publishes(box, port) for box in boxes)
        return Refusal(no(Reason.NO_USE, text), world.now + LOOK_AGAIN, waits=True) if still else None
    ready = service.trouble_at + UNSEEN
    return (
        Refusal(no(Reason.NO_USE, text), min(ready, world.now + LOOK_AGAIN), waits=True) if world.now < ready else None
    )


def _moved(intent: Intent, service: Service, container: Container, kind: str) -> str:
    """A service in trouble is not the place to bring in whatever its tag stands for by now."""
    sick = bool(service.trouble_told) or service.streak > 0 or container.health == "unhealthy"
    if kind != OTHER or not sick or intent.verb != "phoenix" or intent.params.get("image") != "current":
        return ""
    return f"{container.image_ref} stands for another image by now, which never proved itself here"


def _done(intent: Intent, service: Service, container: Container, kind: str, world: World) -> str:
    """Made anew from this very image already, since this alert is about it; or a Phoenix was tried within the hour, and
    to go back to the image it runs would be the same again."""
    if kind != SAME:
        return ""
    image, alert = units.short_image(container.image_id), alert_of(intent, world)
    if alert is not None and OP_LABEL in container.labels and container.created_at > alert.active_at:
        return f"it was made anew from {image} already since {alert.name} is about it"
    proved = (intent.params.get("image") or "last-known-good") == "last-known-good"
    tried = [one for one in world.spent if (one.service, one.verb) == (service.id, "phoenix")]
    if proved and any(world.now - one.at < RECENT for one in tried):
        return f"it runs {image} already, and to make it anew was tried within the hour"
    return ""


def _against(service: Service, kind: str, world: World) -> str:
    """The table: what does not help against the cause the engine told."""
    told = service.trouble_told
    if kind in _NO_USE.get(told, ()):
        return _lower(service.trouble_text)
    drifted = service.drift == "unproved"
    if told in _ITS_IMAGE and drifted and service.streak >= LOOPS and kind != OTHER:
        proved = units.short_image(service.proved_image)
        return f"it keeps dying on an image that is not the one that last proved healthy ({proved})"
    if told == causes.BAD_COMMAND and service.streak >= LOOPS and kind != OTHER:
        return _lower(service.trouble_text)
    if told != causes.OOM:
        return ""
    if kind == AGAIN and not loaded_lately(service, world):
        return ""
    if kind == OTHER and drifted:
        return ""
    tried = " again" if kind == AGAIN else ""
    return f"it runs out of memory, and would{tried}; it needs more memory, or less to do"


def loaded_lately(service: Service, world: World) -> bool:
    """Whether a plan loaded it within the last hour."""
    return any(
        spend.disruptive and spend.service == service.id and world.now - spend.at < RECENT for spend in world.spent
    )


def alert_of(intent: Intent, world: World) -> Alert | None:
    """The alert a rule's intent is about."""
    fingerprint = intent.key.split("|", 1)[0]
    return next((alert for alert in world.alerts if fingerprint and alert.fingerprint == fingerprint), None)


def _lower(text: str) -> str:
    bare = text.rstrip(".")
    return bare[:1].lower() + bare[1:]
