"""The device of one model slot: which model holds it, how fast it is, who waits at its gate; and what chooses another.

In: who we are, and one slot of a snapshot. Out: a Device for devices.py. The document it reads is `state/slot/<slot>`.
The names of models are the owner's words of resurgam.yaml: they are options, compared as text, and part of no template.
A choice is asked for with the `rev` of that document, so that it counts only for what the person saw; without a
signature, which Home Assistant cannot make, it waits for a second word.
"""

from supervisor.bus.homeassistant.entities import Device, Place, allowed
from supervisor.bus.homeassistant.names import host_device, label, slot_device
from supervisor.bus.homeassistant.templates import DOCUMENT, EXPIRY, REV, at, command, on_off, value, without
from supervisor.facts import SLOT, Json, SlotState

_DIAGNOSTIC: Json = {"entity_category": "diagnostic"}
_GATE = f"({at('gate')}) or {{}}"
_WRONG = f"({at('problem')}|default('',true))!='' or (({_GATE}).listening|default(true))==false"
_HOLDER = f"{{% set h={at('holder')} %}}{{{{ h if h else none }}}}"
_PHASE = f"{{% set p={at('phase')} %}}{{{{ p if p else 'idle' }}}}"
_MOVING = ("models", "gate", "report")
"""parts of the document that change all the time, or are long: no attributes"""


def device(place: Place, state: SlotState) -> tuple[Device, Device]:
    """The slot, twice: as it is told, and as it is compared."""
    wanted = {"model": (("swap",), _choice(place, state)), "bench": (("bench",), _bench(place, state))}
    buttons, gone = allowed(place, wanted)
    entities = _standing(place, state) | _readings(gate=state.gate is not None) | buttons
    made = Device(
        slot_device(place.node, state.name),
        label(f"{place.host} {state.name}"),
        place.state("slot", state.name),
        {"model": "Model slot", "via_device": host_device(place.node)},
        entities,
        gone,
    )
    return made, made


def _standing(place: Place, state: SlotState) -> dict[str, Json]:
    return {
        "holder": {
            "platform": "sensor",
            "name": "Held by",
            "value_template": _HOLDER,
            "icon": "mdi:brain",
            "json_attributes_topic": place.state("slot", state.name),
            "json_attributes_template": without(*_MOVING),
        },
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "value_template": on_off(_WRONG),
            "device_class": "problem",
        },
        "stand_in": {
            "platform": "binary_sensor",
            "name": "Stand-in",
            "value_template": on_off(f"({at('stand_in')})==true"),
            "icon": "mdi:account-switch",
            **_DIAGNOSTIC,
        },
        "phase": {
            "platform": "sensor",
            "name": "Swap",
            "value_template": _PHASE,
            "icon": "mdi:swap-horizontal-bold",
            **_DIAGNOSTIC,
        },
    }


def _readings(*, gate: bool) -> dict[str, Json]:
    common: Json = {"platform": "sensor", "state_class": "measurement"}
    found: dict[str, Json] = {
        "rate": {
            "name": "Generation",
            "value_template": _measured("rate", 1),
            "unit_of_measurement": "tokens/s",
            "icon": "mdi:speedometer",
            **common,
        },
        "first_token": {
            "name": "First token",
            "value_template": _measured("first_token", 2),
            "device_class": "duration",
            "unit_of_measurement": "s",
            **common,
        },
    }
    if gate:
        found["in_flight"] = {
            "name": "Requests in flight",
            "value_template": value("gate", "in_flight"),
            "icon": "mdi:transit-connection-variant",
            **common,
        }
        found["held"] = {
            "name": "Requests held",
            "value_template": value("gate", "held"),
            "icon": "mdi:hand-back-left",
            **common,
        }
    return found


def _measured(key: str, digits: int) -> str:
    """What the holder did when it was measured last; unknown where it never was."""
    return (
        f"{{% set d={DOCUMENT} %}}"
        "{% set m=(d.models|default([],true))|selectattr('name','eq',d.holder|default(''))|list %}"
        "{% set b=((m|first).bench or {}) if m else {} %}"
        f"{{% set n=b.{key}|default(none) %}}{{{{ n|round({digits}) if n is number and n>0 else none }}}}"
    )


def _pressed(place: Place, state: SlotState) -> Json:
    """What every entity that asks for something has."""
    return {
        "json_attributes_topic": place.state("slot", state.name),
        "json_attributes_template": REV,
        "message_expiry_interval": EXPIRY,
    }


def _choice(place: Place, state: SlotState) -> Json:
    """The model that is to hold it."""
    asked = command("swap", f"{SLOT}{state.name}", guarded=True)
    return {
        "platform": "select",
        "name": "Model",
        "options": [model.name for model in state.models],
        "value_template": _HOLDER,
        "command_topic": place.command("swap"),
        "command_template": asked[:-1] + ',"params":{"to":{{ value|tojson }}}}',
        "icon": "mdi:brain",
        **_pressed(place, state),
    }


def _bench(place: Place, state: SlotState) -> Json:
    """Measures the holder."""
    return {
        "platform": "button",
        "name": "Benchmark",
        "command_topic": place.command("bench"),
        "command_template": command("bench", f"{SLOT}{state.name}", guarded=True),
        "icon": "mdi:speedometer",
        "enabled_by_default": False,
        **_pressed(place, state),
    }
