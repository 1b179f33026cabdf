"""The device of one service: whether it runs, how it is, its image, and the buttons that mend it.

In: who we are, and one service of a snapshot. Out: a Device for devices.py. The document it reads is
`state/container/<service>`. What disturbs is asked for with the `rev` of that document, so that a press counts only for
what the person saw; without a signature, which Home Assistant cannot make, it waits for a second word: `resurgam
approve`, or another principal's.
"""

import hashlib

from supervisor.bus.homeassistant.entities import Device, Place, allowed
from supervisor.bus.homeassistant.names import host_device, label, quoted, service_device
from supervisor.bus.homeassistant.templates import EXPIRY, REV, at, command, on_off, one_of, scaled, value, without
from supervisor.facts import Json, Service, Snapshot

HEALTH = ("healthy", "unhealthy", "starting", "none")
PRESSES = 600.0
"""seconds in which the install button, pressed twice on the same state, counts once"""
MIB = 2.0**20


def device(place: Place, service: str, install: tuple[str, str]) -> tuple[Device, Device]:
    """The service, twice: as it is told, and as it is compared, which leaves out what changes with every event."""
    update = _image()
    if install[0]:
        update |= {"command_topic": place.command("phoenix"), "message_expiry_interval": EXPIRY}
    wanted = {"phoenix": (("phoenix",), _phoenix(place, service)), "restart": (("restart",), _restart(place, service))}
    buttons, gone = allowed(place, wanted)
    whole, steady = (
        Device(
            service_device(place.node, service),
            label(service),
            place.state("container", service=service),
            {"model": "Service", "via_device": host_device(place.node)},
            _standing(place, service) | {"image": update | ({"payload_install": text} if text else {})} | buttons,
            gone,
        )
        for text in install
    )
    return whole, steady


def install(place: Place, service: Service, snapshot: Snapshot) -> tuple[str, str]:
    """What `install` sends, and what of it counts as a change; empty where it is not allowed. Home Assistant has no
    template for it, so while there is something to install the message itself carries the revision, and an id that is
    used up with it; else it is a command that has expired."""
    if "phoenix" not in place.verbs:
        return "", ""
    box = service.container
    offered = box.ref_image_id if box is not None and box.ref_image_id not in service.quarantined else ""
    if box is None or offered in ("", box.image_id):
        nothing = '{"id":"ha-install","exp":0,"target":' + quoted(service.id) + "}"
        return nothing, nothing
    mark = hashlib.sha256(service.id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    rev, now = snapshot.revisions.get(service.id, 0), int(snapshot.at // PRESSES)
    text = (
        f'{{"id":"ha-install-{mark}-{rev}-{now}","target":{quoted(service.id)},'
        f'"params":{{"image":"current"}},"if_rev":{rev}}}'
    )
    return text, offered


def _standing(place: Place, service: str) -> dict[str, Json]:
    return {
        "running": {
            "platform": "binary_sensor",
            "name": "Running",
            "value_template": on_off(f"({at('state')})=='running'"),
            "device_class": "running",
        },
        "health": {
            "platform": "sensor",
            "name": "Health",
            "value_template": one_of(HEALTH, "health"),
            "device_class": "enum",
            "options": list(HEALTH),
            "icon": "mdi:heart-pulse",
            "json_attributes_topic": place.state("container", service=service),
            "json_attributes_template": without("memory", "budget"),
        },
        "restarts": {
            "platform": "sensor",
            "name": "Restarts",
            "value_template": value("restarts"),
            "state_class": "total_increasing",
            "icon": "mdi:restart-alert",
        },
        "memory": {
            "platform": "sensor",
            "name": "Memory",
            "value_template": scaled("memory", by=MIB, digits=1),
            "device_class": "data_size",
            "state_class": "measurement",
            "unit_of_measurement": "MiB",
        },
    }


_UPDATE = (
    f"{{% set i={at('image')} or {{}} %}}{{% set p={at('phoenix')} or {{}} %}}"
    "{% set run=i.running|default('',true) %}{% set new=i.wanted|default('',true) or run %}"
    "{% set bad=new!=run and new in i.quarantined|default([],true) %}"
    "{% if run %}{{ {'installed_version':'image '~(run.split(':')|last)[:12],"
    "'latest_version':'image '~((run if bad else new).split(':')|last)[:12],"
    "'title':(i.ref|default('',true))[:200],"
    "'release_summary':'Its tag stands for an image that failed here.' if bad else '',"
    "'in_progress':p.active|default(false) and p.verb|default('') in ['phoenix','rollback']}|tojson }}"
    "{% endif %}"
)
"""The running image beside the one that its tag stands for. The word `image` before the ids keeps Home Assistant from
reading them as version numbers, of which one could be the older."""


def _image() -> Json:
    return {
        "platform": "update",
        "name": "Image",
        "value_template": _UPDATE,
    }


def _button(place: Place, service: str, verb: str) -> Json:
    return {
        "platform": "button",
        "command_topic": place.command(verb),
        "command_template": command(verb, service, guarded=True),
        "json_attributes_topic": place.state("container", service=service),
        "json_attributes_template": REV,
        "message_expiry_interval": EXPIRY,
        "enabled_by_default": False,
    }


def _phoenix(place: Place, service: str) -> Json:
    return {**_button(place, service, "phoenix"), "name": "Phoenix", "icon": "mdi:fire"}


def _restart(place: Place, service: str) -> Json:
    return {**_button(place, service, "restart"), "name": "Restart", "device_class": "restart"}
