"""The device of a slot: taken by Home Assistant's schema; a choice is a command that counts only for what was seen."""

import json
from dataclasses import replace
from typing import Any

import pytest

from supervisor.bus.commands import read
from supervisor.bus.homeassistant.devices import Devices
from supervisor.bus.homeassistant.entities import Place
from supervisor.bus.state import documents
from supervisor.facts import SlotState
from tests.support.ha import complaints, rendered
from tests.support.slots_shown import FIRST, OTHER, empty, gate, holder, other, shown, slot

NODE = "3f9c1e7a52d8"
TOPIC = f"homeassistant/device/resurgam_{NODE}_slot_oracle/config"
ALL = ("swap", "bench")


def body_of(state: SlotState, verbs: tuple[str, ...] = ALL) -> Any:
    snapshot = shown(state)
    found = Devices("homeassistant").documents(Place(NODE, snapshot.host, snapshot.version, verbs), snapshot)
    return json.loads(found[TOPIC].message.payload)


def shows(key: str, state: SlotState) -> str:
    """What Home Assistant shows of this state."""
    document = json.loads(documents(shown(state))["resurgam/omni/state/slot/oracle"].message.payload)
    return str(rendered(body_of(state)["components"][key]["value_template"], value_json=document))


@pytest.mark.parametrize("verbs", [(), ALL, ("bench",)])
@pytest.mark.parametrize("state", [slot(), empty(), slot(gate=None)])
def test_home_assistant_takes_every_word(state: SlotState, verbs: tuple[str, ...]) -> None:
    assert complaints(TOPIC, body_of(state, verbs)) == []


def test_it_is_a_device_behind_the_machine() -> None:
    body = body_of(slot())
    assert body["device"]["via_device"] == f"resurgam_{NODE}_host"
    assert body["state_topic"] == "resurgam/omni/state/slot/oracle"


def test_the_models_are_the_options_and_the_holder_is_the_choice() -> None:
    assert body_of(slot())["components"]["model"]["options"] == [FIRST, OTHER]
    assert shows("model", slot()) == FIRST
    assert shows("model", empty()) == "None", "nothing is chosen while nobody holds it"


def test_a_choice_is_a_swap_of_what_was_seen() -> None:
    given = body_of(slot())["components"]["model"]
    assert given["command_topic"] == "resurgam/omni/cmd/homeassistant/swap"
    sent, _why = read(rendered(given["command_template"], value=OTHER, attributes={"rev": 7}).encode())
    assert (sent.target, dict(sent.params), sent.if_rev) == ("slot:oracle", {"to": OTHER}, 7)


def test_a_benchmark_is_pressed() -> None:
    given = body_of(slot())["components"]["bench"]
    sent, _why = read(rendered(given["command_template"], value="PRESS", attributes={"rev": 7}).encode())
    assert (sent.target, sent.if_rev) == ("slot:oracle", 7)


def test_what_is_not_allowed_is_not_offered() -> None:
    components = body_of(slot(), ())["components"]
    assert components["model"] == {"platform": "select"}, "Home Assistant is to forget it"
    assert "command_topic" not in json.dumps(body_of(slot(), ()))


def test_readings_are_of_the_holder_and_unknown_where_nobody_knows() -> None:
    assert (shows("rate", slot()), shows("first_token", slot())) == ("10.9", "1.28")
    assert shows("rate", slot(models=(holder(bench=None), other()))) == "None"
    assert shows("rate", empty()) == "None"
    assert shows("in_flight", slot(gate=gate(in_flight=7))) == "7"
    assert "held" not in body_of(slot(gate=None))["components"]


@pytest.mark.parametrize(
    ("state", "problem", "phase"),
    [
        (slot(), "OFF", "idle"),
        (empty(), "ON", "idle"),
        (slot(gate=gate(listening=False, text="taken")), "ON", "idle"),
        (slot(gate=None), "OFF", "idle"),
        (slot(phase="bench", plan=41), "OFF", "bench"),
    ],
)
def test_what_is_wrong_and_what_works_on_it(state: SlotState, problem: str, phase: str) -> None:
    assert (shows("problem", state), shows("phase", state)) == (problem, phase)


def test_it_is_made_anew_only_when_its_models_or_its_gate_change() -> None:
    devices, place = Devices("homeassistant"), Place(NODE, "omni", "0.1.0", ALL)
    first = devices.documents(place, shown(slot()))[TOPIC]
    assert devices.documents(place, shown(slot(holder=OTHER, phase="start")))[TOPIC] is first
    more = replace(slot(), models=(*slot().models, holder(service="third")))
    assert devices.documents(place, shown(more))[TOPIC] is not first
