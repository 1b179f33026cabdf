"""The device of the machine: how it is, its alerts and actions, and the switch that pauses healing.

In: who we are (entities.Place). Out: a Device for devices.py. The documents it reads are those of `bus/state.py` and
the events of `bus/messages.py`.
"""

from supervisor.bus.homeassistant.entities import Device, Place, allowed
from supervisor.bus.homeassistant.names import host_device
from supervisor.bus.homeassistant.templates import EXPIRY, at, command, event, on_off, one_of, scaled, value, without
from supervisor.bus.messages import topic
from supervisor.bus.state import HOST_EXPIRY
from supervisor.facts import Json

STATUS = ("recovering", "ok", "degraded", "healing", "observe", "stopping", "stopped")
ALERT_KINDS = ("firing", "resolved")
ACTION_KINDS = (
    *("planned", "verified", "rolled_back", "degraded", "failed", "ended_early", "refused"),
    *("approval", "approved", "denied", "withdrawn", "acked"),
)
SHOWN = 20
"""alerts in the attributes of `Alerts firing`: Home Assistant's database keeps 16 kB of attributes"""
SWITCHES = ("pause", "resume")
HEALING = "healing"
"""the last level of the switch's topic: Home Assistant's switches have one topic for both words (switch.py)"""
GIB = 2.0**30
_DIAGNOSTIC: Json = {"entity_category": "diagnostic"}
_HIDDEN: Json = {"entity_category": "diagnostic", "enabled_by_default": False}
_PAUSED = f"'*' in {at('paused')}|default({{}},true)"


def device(place: Place) -> Device:
    """The machine."""
    buttons, gone = allowed(place, {"healing_paused": (SWITCHES, _switch(place))})
    entities = _standing(place) | _events(place) | _readings(place) | _inner() | buttons
    about: Json = {"model": "Host"} | ({"sw_version": place.version} if place.version else {})
    return Device(host_device(place.node), place.host, place.state("daemon"), about, entities, gone)


def _standing(place: Place) -> dict[str, Json]:
    return {
        "status": {
            "platform": "sensor",
            "name": "Status",
            "value_template": one_of(STATUS, "status"),
            "device_class": "enum",
            "options": list(STATUS),
            "icon": "mdi:shield-refresh",
            "json_attributes_topic": place.state("daemon"),
            "json_attributes_template": without("counts", "outbox"),
            **_DIAGNOSTIC,
        },
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "value_template": on_off(f"({at('alerts', 'firing')} or 0)>0"),
            "device_class": "problem",
        },
        "paused": {
            "platform": "binary_sensor",
            "name": "Paused",
            "value_template": on_off(_PAUSED),
            "icon": "mdi:pause-circle",
            **_DIAGNOSTIC,
        },
        "alerts_firing": {
            "platform": "sensor",
            "name": "Alerts firing",
            "value_template": value("alerts", "firing"),
            "state_class": "measurement",
            "icon": "mdi:bell-alert",
            "json_attributes_topic": place.state("alerts"),
            "json_attributes_template": _ALERTS,
        },
    }


_ALERTS = (
    "{% set n=namespace(found=[]) %}"
    f"{{% for a in ({at('alerts')} or [])[:{SHOWN}] %}}"
    "{% set n.found=n.found+[{'name':(a.labels|default({})).alertname|default(none),"
    "'state':a.status|default(none),'severity':a.severity|default(none),"
    "'summary':(a.annotations|default({})).summary|default(none),'since':a.startsAt|default(none),"
    "'fingerprint':a.fingerprint|default(none)}] %}"
    "{% endfor %}{{ {'alerts':n.found}|tojson }}"
)
"""what fires, in the attributes: events that came while Home Assistant was away never reach it"""


def _events(place: Place) -> dict[str, Json]:
    common = {"severity": "e.severity", "service": "e.subject", "id": "e.id", "seq": "e.seq", "incident": "d.incident"}
    alert = {
        "alertname": "(d.labels|default({})).alertname",
        "summary": "(d.annotations|default({})).summary",
        "description": "(d.annotations|default({})).description",
        "fingerprint": "d.fingerprint",
        "starts_at": "d.startsAt",
        "text": "d.text",
    }
    action = {key: f"d.{key}" for key in ("verb", "plan", "by", "cause", "reason", "approval", "text")}
    return {
        "alert": {
            "platform": "event",
            "name": "Alert",
            "state_topic": topic(place.host, "event", "alert"),
            "event_types": list(ALERT_KINDS),
            "value_template": event(ALERT_KINDS, common | alert),
            "icon": "mdi:bell-ring",
        },
        "action": {
            "platform": "event",
            "name": "Action",
            "state_topic": topic(place.host, "event", "action"),
            "event_types": list(ACTION_KINDS),
            "value_template": event(ACTION_KINDS, common | action),
            "icon": "mdi:auto-fix",
        },
    }


def _readings(place: Place) -> dict[str, Json]:
    common: Json = {"state_topic": place.state("host"), "state_class": "measurement", "expire_after": int(HOST_EXPIRY)}
    return {
        "memory_available": {
            "platform": "sensor",
            "name": "RAM available",
            "value_template": scaled("memory", "available", by=GIB, digits=2),
            "device_class": "data_size",
            "unit_of_measurement": "GiB",
            **common,
        },
        "memory_headroom": {
            "platform": "sensor",
            "name": "RAM headroom",
            "value_template": scaled("budget", "headroom", by=GIB, digits=2),
            "device_class": "data_size",
            "unit_of_measurement": "GiB",
            **common,
        },
        # unknown while it does not run out
        "memory_lasts": {
            "platform": "sensor",
            "name": "RAM lasts",
            "value_template": scaled("budget", "lasts", "ram", by=1, digits=0),
            "device_class": "duration",
            "unit_of_measurement": "s",
            **common,
        },
        "swap_used": {
            "platform": "sensor",
            "name": "Swap used",
            "value_template": scaled("swap", "used", by=0.01, digits=1),
            "unit_of_measurement": "%",
            "icon": "mdi:swap-horizontal",
            **common,
        },
    }


def _inner() -> dict[str, Json]:
    """For those who look into Resurgam itself; off until somebody turns them on."""
    return {
        "revision": {
            "platform": "sensor",
            "name": "State revision",
            "value_template": value("rev"),
            **_HIDDEN,
        },
        "started": {
            "platform": "sensor",
            "name": "Started",
            "value_template": value("started_at"),
            "device_class": "timestamp",
            **_HIDDEN,
        },
        "outbox_waiting": {
            "platform": "sensor",
            "name": "Messages waiting",
            "value_template": value("outbox", "waiting"),
            "state_class": "measurement",
            **_HIDDEN,
        },
        "unheard": {
            "platform": "sensor",
            "name": "Messages unheard",
            "value_template": value("outbox", "unheard"),
            "state_class": "measurement",
            **_HIDDEN,
        },
    }


def _switch(place: Place) -> Json:
    return {
        "platform": "switch",
        "name": "Healing paused",
        "value_template": on_off(_PAUSED),
        "command_topic": place.command(HEALING),
        "payload_on": "pause",
        "payload_off": "resume",
        "state_on": "ON",
        "state_off": "OFF",
        "command_template": '{"verb":"{{ value }}",' + command(HEALING)[1:],
        "message_expiry_interval": EXPIRY,
        "icon": "mdi:pause-circle",
    }
