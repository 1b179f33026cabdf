"""Holds messages against the contract: the models, and the schemas of the AsyncAPI document as others read them."""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from supervisor.bus.contract.asyncapi import document
from supervisor.bus.contract.channels import TEXT, check, find
from supervisor.bus.contract.envelope import EVENTS
from tests.support.schema import wrong

_NUMBER = re.compile(rb"\d+")
_EVENT_NAMES = {model.__name__ for model in EVENTS.values()}


@cache
def written() -> dict[str, Any]:
    """The document as JSON gives it to others."""
    found: dict[str, Any] = json.loads(json.dumps(document()))
    return found


def ours(messages: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """What we said ourselves: commands are other people's."""
    return [(topic, payload) for topic, payload in messages if "/cmd/" not in topic]


def breaches(messages: Iterable[tuple[str, bytes]]) -> list[str]:
    """What is wrong with messages below `resurgam/`, each wrong once."""
    found: dict[str, None] = {}
    known: set[tuple[str, bytes]] = set()
    for topic, payload in messages:
        if topic.startswith("resurgam/"):
            said = check(topic, payload)
            alike = topic, _NUMBER.sub(b"0", payload)  # a document that differs in readings alone is read once
            if not said and alike not in known:
                known.add(alike)
                said = _by_the_document(topic, payload)
            if said:
                found[said[:1200]] = None
    return list(found)


def _by_the_document(topic: str, payload: bytes) -> str:
    channel, root = find(topic), written()
    assert channel is not None
    if not payload:
        return ""
    value = payload.decode() if channel.content == TEXT else json.loads(payload)
    names = [name for name in root["channels"][channel.name]["messages"] if name not in _EVENT_NAMES]
    if isinstance(value, dict) and "specversion" in value:
        names = [EVENTS[value["type"].removeprefix("resurgam.")].__name__]
    schemas = [root["components"]["messages"][name]["payload"] for name in names]
    said = [wrong(schema, value, root) for schema in schemas]
    return "" if "" in said else f"{topic}: by the document: {said[0]}"
