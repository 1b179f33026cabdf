"""The AsyncAPI 3.0 document, made from the channels and the models: the same bytes on every machine.

In: channels.py, examples.py. Out: plain JSON for `resurgam export asyncapi`. Operations are told from our point of
view: we `send` events and state, and `receive` commands. Quality of service, retain and expiry are MQTT bindings; what
rides beside a message with MQTT 5 are its headers.
"""

from functools import cache
from typing import Any
from urllib.parse import urlsplit

from pydantic.json_schema import models_json_schema

from supervisor import __version__
from supervisor.bus.contract.channels import CHANNELS, CLOUD_EVENT, Channel, Model
from supervisor.bus.contract.examples import example_of
from supervisor.bus.messages import encode_level
from supervisor.facts import Json

SPEC = "3.0.0"
BINDING = "0.2.0"
_ABOUT = """What Resurgam says over MQTT, and what it can be told.

Events are CloudEvents 1.0 in structured JSON and are never retained; state is retained, one document per topic. An
event is a row of the journal. A repeat has the same `id`; there is a gap where `prior` is not the last `seq` you have:
what is missing can be asked for with `replay`. An event too long for one message is cut and says so in `trimmed`.

With MQTT 5 every message has a content type and a payload format indicator, and events and documents expire; the
headers named here are user properties. With 3.1.1 these are lost, so everything needed is in the payload, too.

Home Assistant's discovery (`homeassistant/device/…/config`, and `homeassistant/status` that it says itself) is Home
Assistant's own contract and is not described here."""
_PARAMETERS: dict[str, Json] = {
    "host": {"description": "`host` in resurgam.yaml; else the machine's own name", "examples": ["box1"]},
    "service": {
        "description": "the service's id; reserved characters are written `~XX`",
        "examples": ["stack.oracle", "qdrant"],
    },
    "gpu": {
        "description": "the card's index; of one that is gone, and whose index another one has now, its UUID",
        "examples": ["0"],
    },
    "slot": {"description": "the slot's name in resurgam.yaml", "examples": ["oracle"]},
    "principal": {
        "description": "who asks, as `commands.principals` names them; the broker lets nobody else write there",
        "examples": ["phone"],
    },
    "verb": {"description": "what is asked for", "examples": ["approve", "ack", "phoenix"]},
}


def document(host: str = "", url: str = "") -> Json:
    """The whole document. `host`: for this machine alone, its name in every address; `url`: a broker to name (only its
    address is told). ValueError where that is no URL of a broker."""
    schemas = _schemas()
    found: Json = {
        "asyncapi": SPEC,
        "info": {
            "title": "Resurgam",
            "version": __version__,
            "description": "\n\n".join(" ".join(part.split()) for part in _ABOUT.split("\n\n")),
            "tags": [{"name": "mqtt"}, {"name": "cloudevents"}],
        },
        "defaultContentType": "application/json",
    }
    if url:
        found["servers"] = {"broker": _server(url)}
    found["channels"] = {channel.name: _channel(channel, host) for channel in CHANNELS}
    found["operations"] = {f"{channel.way}{_upper(channel.name)}": _operation(channel) for channel in CHANNELS}
    messages: Json = {}
    for channel in CHANNELS:
        for name, model in channel.models.items():
            messages.setdefault(name, _message(name, model, channel))
    parameters = {} if host else {"host": _PARAMETERS["host"]}
    parameters |= {name: value for name, value in _PARAMETERS.items() if name != "host"}
    found["components"] = {
        "messages": messages,
        "parameters": parameters,
        "schemas": {name: schemas[name] for name in sorted(schemas)},
    }
    return found


@cache
def _schemas() -> Json:
    """The JSON schema of every model, by name."""
    models = {name: model for channel in CHANNELS for name, model in channel.models.items()}
    _refs, made = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template="#/components/schemas/{model}"
    )
    found: Json = _settled(made["$defs"])
    return found


def _server(url: str) -> Json:
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError(f"{url!r} is no address that others could use")
    port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    protocol = "secure-mqtt" if parts.scheme == "mqtts" else "mqtt"
    return {"host": f"{name}:{port}", "protocol": protocol, "protocolVersion": "5.0"}


def _channel(channel: Channel, host: str) -> Json:
    address = channel.address.replace("{host}", encode_level(host)) if host else channel.address
    names = [level[1:-1] for level in address.split("/") if level.startswith("{")]
    found: Json = {
        "address": address,
        "description": channel.text,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.models},
    }
    if names:
        found["parameters"] = {name: {"$ref": f"#/components/parameters/{name}"} for name in names}
    return found


def _operation(channel: Channel) -> Json:
    binding: Json = {"bindingVersion": BINDING, "qos": channel.qos, "retain": channel.retain}
    if channel.expiry:
        binding["messageExpiryInterval"] = int(channel.expiry)
    found: Json = {
        "action": channel.way,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": channel.text,
        "bindings": {"mqtt": binding},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in channel.models],
    }
    if channel.way == "receive":
        found["reply"] = {
            "channel": {"$ref": "#/channels/reply"},
            "messages": [{"$ref": "#/channels/reply/messages/Reply"}],
        }
    return found


def _message(name: str, model: Model, channel: Channel) -> Json:
    binding: Json = {"bindingVersion": BINDING, "payloadFormatIndicator": 1}
    found: Json = {
        "name": name,
        "title": _words(name),
        "contentType": channel.content,
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"mqtt": binding},
        "examples": [{"name": name, "payload": example_of(name)}],
    }
    if channel.content == CLOUD_EVENT:
        found["headers"] = HEADERS
        found["summary"] = f"An event of type {example_of(name)['type']}."
    return found


HEADERS: Json = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "as in the payload"},
        "id": {"type": "string", "description": "as in the payload"},
        "seq": {"type": "string", "description": "as in the payload"},
        "severity": {"type": "string", "enum": ["critical", "warning", "info"]},
    },
}
"""the user properties of an event: copies, so that a broker or a pipeline can sort without reading JSON"""


def _settled(schema: Any) -> Any:
    """Without the titles that pydantic makes of every key: they say nothing."""
    if isinstance(schema, dict):
        named = {key for key, value in schema.items() if key == "title" and isinstance(value, str)}
        return {key: _settled(value) for key, value in schema.items() if key not in named}
    return [_settled(one) for one in schema] if isinstance(schema, list) else schema


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def _words(name: str) -> str:
    """`ContainerOom` -> `Container oom`."""
    spaced = "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()
    return _upper(spaced)
