"""The discovery messages: taken by Home Assistant's schema, safe whatever a container calls itself, and bounded."""

import json
from dataclasses import replace
from typing import Any

import pytest

from supervisor.bus.commands import read
from supervisor.bus.homeassistant.devices import EXPIRY, Devices
from supervisor.bus.homeassistant.entities import Place
from supervisor.bus.state import Document
from supervisor.facts import Service, Snapshot
from supervisor.verdicts import yes
from tests.support.boxes import BAD, GOOD, box, oracle, qdrant
from tests.support.ha import complaints, rendered

NODE = "3f9c1e7a52d8"
ALL = ("phoenix", "restart", "pause", "resume")
HOST = f"homeassistant/device/resurgam_{NODE}_host/config"
ORACLE = f"homeassistant/device/resurgam_{NODE}_service_stack_2Eoracle/config"
HOSTILE = (
    "{{ states.secret }}",
    "{% for x in range(9999999) %}{% endfor %}",
    "a\"b\\c'd",
    "up/../#/+",
    "{#",
    "naïve\N{SNOWMAN}\N{GRINNING FACE}",
    "line\nbreak",
    "x" * 500,
    "~2F",
)


def told(snapshot: Snapshot, verbs: tuple[str, ...] = (), node: str = NODE) -> dict[str, Document]:
    return Devices("homeassistant").documents(Place(node, snapshot.host, snapshot.version, verbs), snapshot)


def bodies(snapshot: Snapshot, verbs: tuple[str, ...] = (), node: str = NODE) -> dict[str, Any]:
    return {topic: json.loads(one.message.payload) for topic, one in told(snapshot, verbs, node).items()}


def called(ident: str) -> Service:
    return replace(qdrant(), id=ident, owned=yes())


def press(body: Any, key: str, **attributes: Any) -> Any:
    """What a button sends: the strict reader of commands takes it."""
    text = rendered(body["components"][key]["command_template"], value="PRESS", attributes=attributes)
    return read(text.encode())


@pytest.mark.parametrize("verbs", [(), ALL, ("restart",)])
def test_home_assistant_takes_every_word(verbs: tuple[str, ...]) -> None:
    for topic, body in bodies(box(), verbs).items():
        assert complaints(topic, body) == []


def test_the_recorded_schema_refuses_what_is_wrong() -> None:
    topic, body = next(iter(bodies(box(), ALL).items()))
    good = body["components"]["memory_available"]
    wrong: list[tuple[str, Any]] = [
        ("device_class", "fridge"),
        ("unit_of_measurement", "parsec"),
        ("value_template", "{{ unfinished"),
        ("state_topic", ""),
        ("object_id", "gone_since_2026_4"),
        ("entity_category", "config"),
        ("expire_after", -1),
        ("default_entity_id", "switch.no_sensor"),
        ("platform", "toaster"),
        ("unique_id", ""),
    ]
    for key, value in wrong:
        broken = {**body, "components": {"memory_available": {**good, key: value}}}
        assert complaints(topic, broken), key
    assert complaints(topic, {key: value for key, value in body.items() if key != "origin"})
    assert complaints(topic, {**body, "device": {}})
    assert complaints("homeassistant/device/with.dot/config", body)
    lonely = {"platform": "event", "unique_id": "x", "default_entity_id": "event.x"}
    assert complaints(topic, {**body, "components": {"alert": lonely}})


def test_one_device_for_the_host_and_one_for_each_service_behind_it() -> None:
    found = bodies(box())
    assert next(iter(found)) == HOST, "the others name it, so it comes first"
    assert len(found) == 3
    assert found[ORACLE]["device"]["name"] == "stack.oracle"
    assert found[ORACLE]["device"]["via_device"] == found[HOST]["device"]["identifiers"][0]
    assert found[ORACLE]["availability_topic"] == "resurgam/omni/availability"
    assert found[ORACLE]["state_topic"] == "resurgam/omni/state/container/stack.oracle"
    components = found[HOST]["components"]
    assert {key for key, one in components.items() if one.get("enabled_by_default") is False} == {
        *("revision", "started", "outbox_waiting", "unheard")
    }


def test_messages_are_kept_a_week_and_never_lost_on_the_way() -> None:
    for document in told(box()).values():
        assert (document.message.qos, document.message.retain, document.message.expiry) == (1, True, EXPIRY)
    assert EXPIRY == 7 * 86_400


def test_another_alias_is_the_same_device() -> None:
    first, second = bodies(box()), bodies(box(host="renamed"))
    assert list(first) == list(second)
    ids = [
        {key: one.get("unique_id") for key, one in body["components"].items()}
        for found in (first, second)
        for body in found.values()
    ]
    assert ids[:3] == ids[3:]
    assert first[HOST]["state_topic"] != second[HOST]["state_topic"]


def test_another_machine_with_the_same_alias_is_another_device() -> None:
    assert not set(bodies(box())) & set(bodies(box(), node="000000000000"))


def test_no_two_entities_share_an_id() -> None:
    services = tuple(called(name) for name in ("a.b", "a_b", "a_2Eb", "status", "host", "a-b", "a~2Eb"))
    found = bodies(box(services=services), ALL)
    assert len(found) == 1 + len(services)
    ids = [one["unique_id"] for body in found.values() for one in body["components"].values() if "unique_id" in one]
    assert len(ids) == len(set(ids))


def test_without_commands_nothing_can_be_pressed_and_what_could_be_is_forgotten() -> None:
    found = bodies(box())
    assert "command_topic" not in json.dumps(found)
    assert found[ORACLE]["components"]["phoenix"] == {"platform": "button"}
    assert found[ORACLE]["components"]["restart"] == {"platform": "button"}
    assert found[HOST]["components"]["healing_paused"] == {"platform": "switch"}
    assert found[HOST]["components"]["paused"]["platform"] == "binary_sensor"


def test_only_what_is_allowed_can_be_pressed() -> None:
    found = bodies(box(), ("restart", "pause"))
    assert found[ORACLE]["components"]["restart"]["command_topic"] == "resurgam/omni/cmd/homeassistant/restart"
    assert found[ORACLE]["components"]["phoenix"] == {"platform": "button"}
    assert "command_topic" not in found[ORACLE]["components"]["image"]
    assert found[HOST]["components"]["healing_paused"] == {"platform": "switch"}, "it could never be moved back"


def test_a_button_commands_what_was_seen_and_each_press_is_another_command() -> None:
    body = bodies(box(), ALL)[ORACLE]
    first, wrong = press(body, "restart", rev=17)
    assert (wrong, first.target, first.if_rev) == ("", "stack.oracle", 17)
    assert first.at is not None
    second, _ = press(body, "phoenix", rev=17)
    third, _ = press(body, "phoenix", rev=17)
    assert len({first.id, second.id, third.id}) == 3
    shown = rendered(body["components"]["restart"]["json_attributes_template"], {"rev": 17, "memory": 5})
    assert json.loads(shown) == {"rev": 17}


def test_a_button_whose_service_was_never_seen_is_refused() -> None:
    _, wrong = press(bodies(box(), ALL)[ORACLE], "phoenix")
    assert "if_rev" in wrong


def test_buttons_are_off_until_somebody_turns_them_on() -> None:
    components = bodies(box(), ALL)[ORACLE]["components"]
    assert [components[key]["enabled_by_default"] for key in ("phoenix", "restart")] == [False, False]
    assert components["restart"]["message_expiry_interval"] == 60


def test_the_install_button_names_the_revision_it_was_made_for() -> None:
    moved = replace(oracle(), container=replace(oracle().container, ref_image_id=GOOD, image_id=BAD))  # type: ignore[type-var]
    before = told(box(services=(moved,), revisions={"stack.oracle": 5}), ALL)[ORACLE]
    after = told(box(services=(moved,), revisions={"stack.oracle": 9}), ALL)[ORACLE]
    one, other = (json.loads(it.message.payload)["components"]["image"]["payload_install"] for it in (before, after))
    command, wrong = read(one.encode())
    assert (wrong, command.target, command.if_rev, dict(command.params)) == (
        "",
        "stack.oracle",
        5,
        {"image": "current"},
    )
    assert command.id != read(other.encode())[0].id
    assert before.key == after.key, "a service that flaps does not tell its device anew at every event"


def test_nothing_to_install_is_a_command_that_has_expired() -> None:
    quarantined = replace(
        oracle(),
        quarantined=(GOOD,),
        container=replace(oracle().container, ref_image_id=GOOD, image_id=BAD),  # type: ignore[type-var]
    )
    for service in (oracle(), quarantined):
        install = bodies(box(services=(service,)), ALL)[ORACLE]["components"]["image"]["payload_install"]
        command, wrong = read(install.encode())
        assert (wrong, command.exp) == ("", 0)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_container_calls_itself_never_becomes_a_template_or_a_topic(name: str) -> None:
    for service in (called(name), replace(oracle(), id=name)):
        snapshot = box(services=(service,))
        topic, body = list(bodies(snapshot, ALL).items())[1]
        assert complaints(topic, body) == []
        for key in ("phoenix", "restart"):
            template = body["components"][key]["command_template"]
            assert template.count("{{") == 3
            assert "{%" not in template
            assert "{#" not in template
            command, wrong = press(body, key, rev=1)
            assert wrong == ""
            assert command.target == name
        assert json.loads(body["components"]["image"]["payload_install"])["target"] == name
        # everything else is the same for every name: what differs are topics and labels, which are no templates
        other = list(bodies(box(services=(called("plain"),)), ALL).values())[1]
        for key, component in body["components"].items():
            for field, text in component.items():
                if field.endswith("template") and field != "command_template":
                    assert text == other["components"][key][field]


def test_what_did_not_change_is_not_made_anew_and_what_did_is() -> None:
    devices = Devices("homeassistant")
    first = devices.documents(Place(NODE, "omni"), box())
    again = devices.documents(Place(NODE, "omni"), box(seq=99, status="healing"))
    assert [one is other for one, other in zip(first.values(), again.values(), strict=True)] == [True] * 3
    fewer = devices.documents(Place(NODE, "omni"), box(services=(qdrant(),)))
    assert len(fewer) == 2
    other = devices.documents(Place(NODE, "omni", verbs=ALL), box())
    assert all(
        one.message.payload != two.message.payload for one, two in zip(first.values(), other.values(), strict=True)
    )


def test_a_hostile_alias_is_no_template_either() -> None:
    snapshot = box(host='{{ 1 }}"/#')
    for topic, body in bodies(snapshot, ALL).items():
        assert complaints(topic, body) == []
        for component in body["components"].values():
            assert not any("{{ 1 }}" in text for field, text in component.items() if field.endswith("template"))


def test_messages_are_small() -> None:
    long = box(
        host="a-machine-with-quite-a-long-name",
        services=(replace(oracle(), id="a-long-project-name.a-long-service-name"),),
    )
    usual = box(host="workstation", services=(oracle(),))
    for snapshot, verbs, limits in ((usual, (), (9000, 4000)), (usual, ALL, (9000, 5000)), (long, ALL, (9000, 6000))):
        sizes = [len(one.message.payload) for one in told(snapshot, verbs).values()]
        assert all(size <= limit for size, limit in zip(sizes, limits, strict=True)), sizes
    longest = told(box(services=(replace(oracle(), id="x" * 200),)), ALL)
    assert max(len(one.message.payload) for one in longest.values()) < 9000
