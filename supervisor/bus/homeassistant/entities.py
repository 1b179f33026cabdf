"""What every entity has in common, and how a device's message is put together.

In: the entities of host.py and service.py. Out: the payload of `<prefix>/device/<id>/config`, as Home Assistant's
device-based discovery wants it, and the words of the principal that Home Assistant commands us as.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.bus.homeassistant.names import entity_id, host_device, label
from supervisor.bus.messages import topic
from supervisor.facts import Json

PRINCIPAL = "homeassistant"
"""the entry of `commands.principals` that says what Home Assistant may do; without it nothing can be pressed"""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose devices these are."""

    node: str
    """bus/identity.py: the same after the host was renamed"""
    host: str
    """the alias, as it stands in topics"""
    version: str = ""
    verbs: tuple[str, ...] = ()
    """what Home Assistant may ask for"""

    def state(self, *levels: str, service: str = "") -> str:
        """The topic of a state document."""
        return topic(self.host, "state", *levels, service=service)

    def command(self, verb: str) -> str:
        """The topic of a command by Home Assistant."""
        return topic(self.host, "cmd", PRINCIPAL, verb)


@dataclass(frozen=True, slots=True)
class Device:
    """A device with its entities, by key. `gone`: key -> platform of entities that Home Assistant is to forget, because
    their command is not allowed (any more)."""

    id: str
    name: str
    topic: str
    """the document that its entities read, where they do not name another one"""
    about: Json
    entities: dict[str, Json]
    gone: dict[str, str]


def payload(place: Place, device: Device) -> Json:
    """The discovery message of a device."""
    components: Json = {}
    for key, given in device.entities.items():
        entity = dict(given)
        words = (place.host,) if device.id == host_device(place.node) else (place.host, device.name)
        components[key] = {
            "platform": entity.pop("platform"),
            "unique_id": f"{device.id}_{key}",
            "default_entity_id": entity_id(str(given["platform"]), *words, key),
            **entity,
        }
    components |= {key: {"platform": platform} for key, platform in device.gone.items()}
    return {
        "device": {"identifiers": [device.id], "name": label(device.name), "manufacturer": "Resurgam", **device.about},
        "origin": {"name": "Resurgam"} | ({"sw_version": place.version} if place.version else {}),
        "availability_topic": topic(place.host, "availability"),
        "state_topic": device.topic,
        "qos": 1,
        "components": components,
    }


def allowed(place: Place, wanted: Mapping[str, tuple[tuple[str, ...], Json]]) -> tuple[dict[str, Json], dict[str, str]]:
    """(entities, gone) of those that command: key -> (the verbs it needs, the entity)."""
    entities: dict[str, Json] = {}
    gone: dict[str, str] = {}
    for key, (verbs, entity) in wanted.items():
        if all(verb in place.verbs for verb in verbs):
            entities[key] = entity
        else:
            gone[key] = str(entity["platform"])
    return entities, gone
