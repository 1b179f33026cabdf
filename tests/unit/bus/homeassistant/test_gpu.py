"""The device of a GPU: taken by Home Assistant's schema, the same when its index changes, whatever it is called."""

import json
from dataclasses import replace
from typing import Any

import pytest

from supervisor.bus.homeassistant.devices import Devices
from supervisor.bus.homeassistant.entities import Place
from supervisor.bus.state import documents
from supervisor.facts import RECOVERIES, GpuState
from tests.support.cards import PRO, SMALL
from tests.support.gpu_shown import big, cards, fault, gone, shown, small
from tests.support.ha import complaints, rendered

NODE = "3f9c1e7a52d8"
HOST = f"homeassistant/device/resurgam_{NODE}_host/config"
HOSTILE = (
    "{{ states.secret }}",
    "{% for x in range(9999999) %}{% endfor %}",
    "a\"b\\c'd",
    "up/../#/+",
    "x\ny",
    "x" * 500,
)


def bodies(state: GpuState) -> dict[str, Any]:
    snapshot = shown(state)
    found = Devices("homeassistant").documents(Place(NODE, snapshot.host, snapshot.version, ()), snapshot)
    return {topic: json.loads(one.message.payload) for topic, one in found.items()}


def device(state: GpuState, uuid: str) -> tuple[str, Any]:
    ((topic, body),) = [
        (topic, body) for topic, body in bodies(state).items() if body["device"].get("serial_number") == uuid
    ]
    return topic, body


def state_of(state: GpuState, topic: str) -> Any:
    return json.loads(documents(shown(state))[topic].message.payload)


def shows(body: Any, key: str, state: GpuState) -> str:
    """What Home Assistant shows of this state."""
    return str(rendered(body["components"][key]["value_template"], value_json=state_of(state, body["state_topic"])))


def test_home_assistant_takes_every_word() -> None:
    for topic, body in bodies(cards()).items():
        assert complaints(topic, body) == []


def test_each_card_is_a_device_behind_the_machine() -> None:
    found = bodies(cards())
    _topic, body = device(cards(), PRO)
    assert body["device"]["via_device"] == found[HOST]["device"]["identifiers"][0]
    assert body["device"]["model"] == "RTX PRO 6000"
    assert body["state_topic"] == "resurgam/omni/state/gpu/0"
    assert "command_topic" not in json.dumps(body), "nobody presses anything on a card"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_cards_name_is_text_and_nothing_else(name: str) -> None:
    topic, body = device(cards(big(name=name)), PRO)
    assert complaints(topic, body) == []
    shaped = [one[key] for one in body["components"].values() for key in one if key.endswith("template")]
    assert shaped
    assert all(name not in text for text in shaped), "a name in a template is code that somebody else wrote"
    assert len(json.dumps(body)) < 16_000


@pytest.mark.parametrize("uuid", ["", "GPU-/../#", "MIG-{{ x }}", "GPU-" + "ä" * 60])
def test_an_odd_uuid_makes_no_odd_topic(uuid: str) -> None:
    card = replace(big(), uuid=uuid)
    topics = [topic for topic in bodies(cards(card)) if "_gpu_" in topic]
    assert len(topics) == 1
    assert not set(topics[0]) & set("#+ {}")


def test_another_index_is_the_same_device() -> None:
    before, _body = device(cards(), SMALL)
    moved = cards(replace(small(), index=0), gone(big()))
    after, body = device(moved, SMALL)
    assert before == after
    assert body["state_topic"].endswith("/state/gpu/0")
    lost = device(moved, PRO)[1]
    assert lost["state_topic"].endswith(f"/state/gpu/{PRO}"), "never two devices on one topic"
    assert shows(lost, "problem", moved) == "ON"


def test_what_is_shown_is_what_is_so() -> None:
    state = cards(big(recovery="drain_reset", text="It needs a reset."), small())
    body = device(state, PRO)[1]
    assert shows(body, "problem", state) == "ON"
    assert shows(body, "needs", state) == "drain_reset"
    assert (shows(body, "temperature", state), shows(body, "utilization", state)) == ("71.0", "93.0")
    assert float(shows(body, "memory_free", state)) == 5.0
    calm = device(state, SMALL)[1]
    assert shows(calm, "problem", state) == "OFF"
    assert shows(calm, "temperature", state) in ("", "None", "unknown"), "what it does not tell is not 0 °C"
    assert body["components"]["needs"]["options"] == list(RECOVERIES)


def test_a_drill_is_not_a_problem() -> None:
    state = cards(episodes=(fault(drill=True),))
    assert shows(device(state, PRO)[1], "problem", state) == "OFF"
