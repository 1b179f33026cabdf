"""The device of one GPU: whether it is well, what its driver wants, and its readings.

In: who we are, and one card of a snapshot with the last level of its topic. Out: a Device for devices.py. The document
it reads is `state/gpu/<index>`; the device is the same when the index changes.
"""

from supervisor.bus.homeassistant.entities import Device, Place
from supervisor.bus.homeassistant.names import gpu_device, host_device, label
from supervisor.bus.homeassistant.templates import at, on_off, one_of, scaled, without
from supervisor.facts import RECOVERIES, Gpu, Json

GIB = 2.0**30
_DIAGNOSTIC: Json = {"entity_category": "diagnostic"}
_WRONG = f"({at('text')}|default('',true))!='' or ({at('up')}|default(true))==false"


def device(place: Place, card: Gpu, level: str) -> tuple[Device, Device]:
    """The card, twice: as it is told, and as it is compared."""
    made = Device(
        gpu_device(place.node, card.uuid),
        label(f"{place.host} GPU {card.index}"),
        place.state("gpu", level),
        {"model": label(card.name or "GPU"), "serial_number": card.uuid, "via_device": host_device(place.node)},
        _standing(place, level) | _readings(),
        {},
    )
    return made, made


def _standing(place: Place, level: str) -> dict[str, Json]:
    return {
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "value_template": on_off(_WRONG),
            "device_class": "problem",
            "json_attributes_topic": place.state("gpu", level),
            "json_attributes_template": without("memory", "users", "readings"),
        },
        "needs": {
            "platform": "sensor",
            "name": "Driver wants",
            "value_template": one_of(RECOVERIES, "recovery"),
            "device_class": "enum",
            "options": list(RECOVERIES),
            "icon": "mdi:wrench-clock",
            **_DIAGNOSTIC,
        },
    }


def _readings() -> dict[str, Json]:
    common: Json = {"platform": "sensor", "state_class": "measurement"}
    size: Json = {"device_class": "data_size", "unit_of_measurement": "GiB", **common}
    return {
        "memory_free": {"name": "VRAM free", "value_template": scaled("memory", "free", by=GIB, digits=2), **size},
        "memory_headroom": {
            "name": "VRAM headroom",
            "value_template": scaled("memory", "headroom", by=GIB, digits=2),
            **size,
        },
        "utilization": {
            "name": "Utilization",
            "value_template": scaled("readings", "utilization", by=1, digits=0),
            "unit_of_measurement": "%",
            "icon": "mdi:expansion-card",
            **common,
        },
        "temperature": {
            "name": "Temperature",
            "value_template": scaled("readings", "temperature", by=1, digits=0),
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            **common,
        },
        "power": {
            "name": "Power",
            "value_template": scaled("readings", "power", by=1, digits=0),
            "device_class": "power",
            "unit_of_measurement": "W",
            **common,
        },
    }
