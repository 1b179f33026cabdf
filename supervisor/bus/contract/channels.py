"""The channels: every topic there is, what runs on it, how it is sent. The table that the document is made from.

`find` says which channel a real topic belongs to, and `check` holds a payload against its models: what the contract
tests ask. Quality of service, retain and expiry stand here a second time on purpose: the code must keep to them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import RootModel, TypeAdapter, ValidationError

from supervisor.bus.contract import commands, documents, gpus, models
from supervisor.bus.contract.envelope import EVENTS, Envelope
from supervisor.bus.contract.shapes import Shape
from supervisor.bus.messages import BASE, EVENT_EXPIRY
from supervisor.bus.state import CONTAINER_EXPIRY, DAEMON_EXPIRY, HOST_EXPIRY

CLOUD_EVENT, PLAIN_JSON, TEXT = "application/cloudevents+json", "application/json", "text/plain"
REPLY_EXPIRY = 300.0


class Availability(RootModel[documents.Availability]):
    """`online`, or `offline`: said at the end, else by the last will"""


Model = type[Shape] | type[Availability]


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of topic. `way`: whether we send on it or receive. `models`: message name -> what it carries."""

    name: str
    address: str
    """levels in braces are parameters"""
    text: str
    models: Mapping[str, Model]
    way: Literal["send", "receive"] = "send"
    content: str = PLAIN_JSON
    qos: int = 1
    retain: bool = False
    expiry: float = 0.0
    """seconds, 0 for never"""

    @property
    def pattern(self) -> "re.Pattern[str]":
        """What its topics look like."""
        levels = ["[^/]+" if level.startswith("{") else re.escape(level) for level in self.address.split("/")]
        return re.compile("/".join(levels))


def _events(folder: str, text: str) -> Channel:
    models: dict[str, Model] = {
        model.__name__: model for kind, model in EVENTS.items() if kind.startswith(f"{folder}.")
    }
    where = f"{BASE}/{{host}}/event/{folder}"
    return Channel(f"event{folder.capitalize()}", where, text, models, content=CLOUD_EVENT, expiry=EVENT_EXPIRY)


def _state(name: str, text: str, model: type[Shape], expiry: float, qos: int = 1, more: str = "") -> Channel:
    where = f"{BASE}/{{host}}/state/{name}{more}"
    models: dict[str, Model] = {model.__name__: model}
    return Channel(f"state{name.capitalize()}", where, text, models, qos=qos, retain=True, expiry=expiry)


CHANNELS: tuple[Channel, ...] = (
    Channel(
        "availability",
        f"{BASE}/{{host}}/availability",
        "Whether the daemon is there. The broker says `offline` for one that is gone for 10 s (MQTT 5).",
        {"Availability": Availability},
        content=TEXT,
        retain=True,
    ),
    Channel(
        "journal",
        f"{BASE}/{{host}}/journal",
        "The watermark: which events there are, and whose they are.",
        {"Watermark": documents.Watermark},
        retain=True,
    ),
    _state("daemon", "How the daemon is.", documents.Daemon, DAEMON_EXPIRY),
    _state("alerts", "The active alerts.", documents.Alerts, 0.0),
    _state("host", "Memory and swap, twice a minute and whenever much changes.", documents.Host, HOST_EXPIRY, 0),
    _state("container", "One service.", documents.Container, CONTAINER_EXPIRY, more="/{service}"),
    _state("gpu", "One GPU, by its index.", gpus.Gpu, CONTAINER_EXPIRY, more="/{gpu}"),
    _state("slot", "One model slot.", models.Slot, CONTAINER_EXPIRY, more="/{slot}"),
    _events("alert", "An alert fires, or is over."),
    _events("action", "What was done, refused or asked, and how it ended."),
    _events("container", "What happened to a container."),
    _events("drift", "A service runs another image than it should, or than it proved healthy with."),
    _events("gpu", "A GPU's driver tells of a fault: the burst began, is understood otherwise now, or is over."),
    _events("model", "A model slot: another model holds it, how far a swap is, what was measured."),
    _events("daemon", "What the daemon says of itself."),
    Channel(
        "command",
        f"{BASE}/{{host}}/cmd/{{principal}}/{{verb}}",
        "Ask for something. Only principals that `commands.principals` names are heard; never retained.",
        {"Command": commands.Command},
        "receive",
    ),
    Channel(
        "replay",
        f"{BASE}/{{host}}/reply/{{principal}}/replay",
        "Events told again to one who asked for them, byte for byte as they were; then the answer.",
        {model.__name__: model for model in EVENTS.values()} | {"Reply": commands.Reply},
        expiry=REPLY_EXPIRY,
    ),
    Channel(
        "reply",
        f"{BASE}/{{host}}/reply/{{principal}}/{{verb}}",
        "The answer to a command, here or on the response topic that it named below `reply/<principal>/` (MQTT 5).",
        {"Reply": commands.Reply},
        expiry=REPLY_EXPIRY,
    ),
)


def find(topic: str) -> Channel | None:
    """The channel of a real topic; None where there is none: nobody promised such a message."""
    return next((channel for channel in CHANNELS if channel.pattern.fullmatch(topic)), None)


def check(topic: str, payload: bytes) -> str:
    """What is wrong with a message by the contract; '' for nothing. An empty payload clears a retained topic."""
    channel = find(topic)
    if channel is None:
        return f"{topic}: no channel of the contract has this topic"
    if not payload and channel.retain:
        return ""
    wrong = ""
    for name, model in _candidates(channel, payload).items():
        try:
            if channel.content == TEXT:
                TypeAdapter(model).validate_python(payload.decode())
            else:
                TypeAdapter(model).validate_json(payload, strict=True)
        except (ValidationError, ValueError) as err:
            wrong = wrong or f"{topic}: no {name}: {err}"
        else:
            return ""
    return wrong or f"{topic}: no message of this channel: {payload[:200]!r}"


def _candidates(channel: Channel, payload: bytes) -> Mapping[str, Model]:
    """The models a payload may be of: of an event those of its own type alone."""
    if not any(model.__name__ in channel.models for model in EVENTS.values()):
        return channel.models
    said = _SAID.search(payload)
    event = EVENTS.get(said[1].decode()) if said else None
    if event is not None:
        return {name: model for name, model in channel.models.items() if model is event}
    return {name: model for name, model in channel.models.items() if not issubclass(model, Envelope)}


_SAID = re.compile(rb'^\{"specversion": ?"1.0",.*?"type": ?"resurgam\.([a-z_.]+)"', re.DOTALL)
