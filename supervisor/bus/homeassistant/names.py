"""The names that Home Assistant knows our things by.

In: the node (bus/identity.py) and service ids. Out: ids of devices and entities, which stay the same when the host gets
another alias, and proposals for entity ids, which people read. What a container chose (a service's id is made from its
labels) is never part of a template or a topic as it stands: here it is written in letters that mean nothing there.
"""

import hashlib
import re

from supervisor.units import plain

DISCOVERY = "device"
_LONGEST = 160
_SLUG = 60
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9-]")
_NOT_IN_JSON = re.compile(r"[^A-Za-z0-9 ._~-]")


def host_device(node: str) -> str:
    """The device id of the machine."""
    return f"resurgam_{object_id(node)}_host"


def service_device(node: str, service: str) -> str:
    """The device id of a service."""
    return f"resurgam_{object_id(node)}_service_{object_id(service)}"


def gpu_device(node: str, uuid: str) -> str:
    """The device id of a GPU: its index may change, its UUID does not."""
    return f"resurgam_{object_id(node)}_gpu_{object_id(uuid)}"


def slot_device(node: str, slot: str) -> str:
    """The device id of a model slot."""
    return f"resurgam_{object_id(node)}_slot_{object_id(slot)}"


def config_topic(prefix: str, device: str) -> str:
    """Where Home Assistant reads what a device is; `prefix` as the settings have it."""
    return f"{prefix}/{DISCOVERY}/{device}/config"


def object_id(text: str) -> str:
    """Any text in the letters of an id (`A-Z a-z 0-9 - _`): others are written `_XX`, their UTF-8 bytes. Two texts
    never give the same id, so nobody can take another one's place; a very long one ends in a digest."""
    found = _NOT_PLAIN.sub(lambda one: "".join(f"_{byte:02X}" for byte in _bytes(one[0])), text)
    if len(found) <= _LONGEST:
        return found
    return f"{found[:_LONGEST]}__{hashlib.sha256(_bytes(text)).hexdigest()[:24]}"


def entity_id(domain: str, *words: str) -> str:
    """The entity id to propose: `sensor.box_shop_oracle_health`. Home Assistant makes it unique where it is taken."""
    slugs = [re.sub(r"[^a-z0-9]+", "_", word.lower())[:_SLUG].strip("_") for word in words]
    return f"{domain}.{'_'.join(slug for slug in slugs if slug) or 'resurgam'}"


def label(text: str) -> str:
    """A name to show: one bounded line."""
    return plain(text, 200) or "?"


def quoted(text: str) -> str:
    """A JSON string that may stand in a template: braces, percent signs and the like are written `\\uXXXX`, so a
    template shows what was meant and never runs it."""
    return '"' + _NOT_IN_JSON.sub(lambda one: "".join(f"\\u{unit:04x}" for unit in _units(one[0])), text) + '"'


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _units(char: str) -> list[int]:
    raw = char.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2)]
