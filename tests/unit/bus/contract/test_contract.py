"""The contract of the bus: it is whole, it is AsyncAPI 3.0, its examples hold, and the code knows no kind beyond it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.bus.commands.envelope import read
from supervisor.bus.contract.asyncapi import HEADERS, document
from supervisor.bus.contract.channels import CHANNELS, TEXT, check, find
from supervisor.bus.contract.envelope import EVENTS
from supervisor.bus.contract.events import DATA
from supervisor.bus.contract.examples import BODIES, events, example_of
from supervisor.bus.messages import EVENT_FOLDERS, availability, render
from supervisor.bus.state import documents
from supervisor.cli.main import main
from supervisor.journal.rows import MAX_BODY, Batch, Row
from tests.support.boxes import NOW, box, loop_alert, phoenix
from tests.support.contract import breaches, written
from tests.support.schema import resolve, wrong

ROOT = Path(__file__).parents[4]
SPEC = json.loads((ROOT / "tests" / "support" / "asyncapi-3.0.0.json").read_text("utf-8"))

PRIVATE = {
    *("alert.pending", "alert.dropped", "action.begin", "action.halt", "action.end", "action.unheld"),
    *("container.evidence", "gpu.xid", "gpu.drill", "model.kept", "model.adopted"),
}
"""kinds of the same folders that are rows and never messages"""
SPELT = {"approved", "denied", "withdrawn", "tag_moved", "unproved", "cleared", "firing", "resolved", "digest", "shed"}
"""what is put together from a folder and a word: `action.{how}`, `drift.{drift}`, `alert.{state}`, `daemon.{what}`"""


KIND = re.compile(rf"""(?<=["'])(?:{"|".join(EVENT_FOLDERS)})\.[a-z_]+(?=["'])""")


def kinds_in_the_code() -> Iterator[tuple[str, str]]:
    """Every word in quotes that reads like a kind, with its file."""
    for room in ("core", "services", "daemon.py", "bus", "lab/house.py", "incidents"):
        place = ROOT / "supervisor" / room
        for file in sorted(place.rglob("*.py")) if place.is_dir() else (place,):
            if "contract" not in file.parts:
                for kind in KIND.findall(file.read_text("utf-8")):
                    yield kind, str(file.relative_to(ROOT))


def test_the_code_knows_no_public_kind_that_the_contract_does_not() -> None:
    unknown = {(kind, file) for kind, file in kinds_in_the_code() if kind not in DATA and kind not in PRIVATE}
    assert not unknown, "add a model to bus/contract/events.py, or name them here as private"


def test_the_contract_promises_no_kind_that_nobody_writes() -> None:
    known = {kind for kind, _file in kinds_in_the_code()}
    assert not {kind for kind in DATA if kind not in known and kind.partition(".")[2] not in SPELT}


def test_every_folder_with_a_kind_has_a_channel() -> None:
    folders = {kind.partition(".")[0] for kind in DATA}
    assert folders <= set(EVENT_FOLDERS)
    assert {f"resurgam/{{host}}/event/{folder}" for folder in folders} == {
        channel.address for channel in CHANNELS if "/event/" in channel.address
    }


# ---------------------------------------------------------------- the document


def test_it_is_valid_by_the_specification() -> None:
    assert wrong(SPEC, written(), SPEC) == ""


def test_with_a_server_it_is_valid_too() -> None:
    whole = json.loads(json.dumps(document("box1", "mqtts://broker.lan")))
    assert wrong(SPEC, {key: value for key, value in whole.items() if key != "components"}, SPEC) == ""


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("channels", "journal", "adress"), "x"),
        (("operations", "sendJournal", "action"), "tell"),
        (("operations", "sendJournal", "bindings", "mqtt", "qos"), 3),
        (("components", "messages", "Reply", "payload", "type"), "thing"),
        (("info", "title"), 3),
    ],
)
def test_the_specification_would_find_a_mistake(where: tuple[str, ...], value: Any) -> None:
    found: Any = json.loads(json.dumps(document()))
    place = found
    for key in where[:-1]:
        place = place[key]
    place.pop("$ref", None)
    place[where[-1]] = value
    assert wrong(SPEC, found, SPEC)


def test_every_reference_leads_somewhere_and_every_message_is_of_a_channel() -> None:
    root = written()

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref":
                    yield inner
                else:
                    yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    refs = set(walk(root))
    assert len(refs) > 150
    for ref in refs:
        resolve(root, ref)
    told = {f"#/components/{room}/{name}" for room in root["components"] for name in root["components"][room]}
    assert told <= refs, "nothing is described that nothing uses"
    for operation in root["operations"].values():
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_every_parameter_of_an_address_is_described() -> None:
    for channel in written()["channels"].values():
        named = set(re.findall(r"\{(\w+)\}", channel["address"]))
        assert named == set(channel.get("parameters", {}))


def test_for_one_machine_its_name_stands_in_every_address() -> None:
    found = document("a/b")
    assert {channel["address"].split("/")[1] for channel in found["channels"].values()} == {"a~2Fb"}
    assert "host" not in found["components"]["parameters"]


def test_a_server_is_told_without_its_secrets() -> None:
    assert "servers" not in document()
    found = document("b", "mqtts://broker.lan:8884")["servers"]["broker"]
    assert found == {"host": "broker.lan:8884", "protocol": "secure-mqtt", "protocolVersion": "5.0"}
    with pytest.raises(ValueError, match="no address"):
        document("b", "unix:///run/mqtt.sock")


def test_every_message_has_an_example_that_holds() -> None:
    assert set(BODIES) == set(DATA) == set(EVENTS)
    for channel in CHANNELS:
        topic = re.sub(r"\{\w+\}", "x", channel.address)
        for name in channel.models:
            value = example_of(name)
            payload = value.encode() if channel.content == TEXT else json.dumps(value).encode()
            assert breaches([(topic, payload)]) == [], name
            assert written()["components"]["messages"][name]["examples"][0]["payload"] == value


def test_an_event_is_only_what_its_own_type_says() -> None:
    event = events()["container.died"]
    assert check("resurgam/box1/event/container", json.dumps(event).encode()) == ""
    for changed in (
        event | {"type": "resurgam.container.vanished"},
        event | {"type": "resurgam.drift.proved"},
        {key: value for key, value in event.items() if key != "prior"},
        event | {"more": 1},
        event | {"data": event["data"] | {"more": 1}},
        event | {"data": event["data"] | {"exit_code": "139"}},
    ):
        assert check("resurgam/box1/event/container", json.dumps(changed).encode())


def test_a_topic_that_nobody_promised_is_found() -> None:
    assert find("resurgam/box1/state/oracle") is None
    assert find("resurgam/box1/event/container/x") is None
    assert "no channel" in check("resurgam/box1/state/gpu", b"{}")


def test_the_command_line_prints_the_same_bytes_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "asyncapi", "-o", "json"]) == 0
    first = capsys.readouterr().out
    assert main(["export", "asyncapi", "-o", "json"]) == 0
    assert capsys.readouterr().out == first
    assert json.loads(first) == written()


def test_the_command_line_takes_the_name_and_the_broker_of_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "resurgam.yaml"
    secret = {"username": "me", "password_file": "secret-of-mine"}
    file.write_text(json.dumps({"host": "omni", "mqtt": {"url": "mqtt://hub.lan:1884", **secret}}))
    assert main(["export", "asyncapi", "-o", "json", "--config", str(file)]) == 0
    text = capsys.readouterr().out
    found = json.loads(text)
    assert found["servers"]["broker"]["host"] == "hub.lan:1884"
    assert found["channels"]["availability"]["address"] == "resurgam/omni/availability"
    assert "secret-of-mine" not in text


# ---------------------------------------------------------------- what the code sends


def test_the_documents_of_a_box_hold() -> None:
    worse = box(
        alerts=(loop_alert(), loop_alert("pending"), replace(loop_alert(), value=float("nan"))),
        plans=(phoenix(),),
        pauses={"*": ("maintenance", NOW + 60), "qdrant": ("", 0.0)},
        host_memory={},
        engines=(),
        bus=None,
    )
    for snapshot in (box(), worse):
        sent = [(found.message.topic, found.message.payload) for found in documents(snapshot).values()]
        assert len(sent) == 5
        assert breaches(sent) == []
    for online in (True, False):
        message = availability("box", online=online)
        assert breaches([(message.topic, message.payload)]) == []


def test_quality_retain_and_expiry_are_as_promised() -> None:
    sent = [found.message for found in documents(box()).values()]
    sent += [availability("omni", online=True)]
    row = Row(7, NOW, "container.died", "x", BODIES["container.died"], True, "", 6)
    event = render(row, "omni", "e1")
    assert event is not None
    for message in (*sent, event):
        channel = find(message.topic)
        assert channel is not None
        assert (message.qos, message.retain, message.expiry) == (channel.qos, channel.retain, channel.expiry)
    assert [name for name, _value in event.properties.user] == list(HEADERS["properties"])


@pytest.mark.parametrize("kind", sorted(set(DATA) - {"alert.firing", "alert.resolved"}))
def test_a_row_that_was_cut_still_holds(kind: str) -> None:
    batch = Batch(0, "")
    batch.row(kind, "x", BODIES[kind] | {"text": "x" * MAX_BODY}, NOW, True)
    message = render(batch.rows[0], "box", "e")
    assert message is not None
    assert b"trimmed" in message.payload
    assert breaches([(message.topic, message.payload)]) == []


def test_what_could_not_be_cut_is_told_in_a_sentence() -> None:
    batch = Batch(0, "")
    many = {f"{one}": {f"{two}": "x" * 60 for two in range(40)} for one in range(64)}
    batch.row("action.planned", "x", BODIES["action.planned"] | {"params": many}, NOW, True)
    message = render(batch.rows[0], "box", "e")
    assert message is not None
    assert set(json.loads(message.payload)["data"]) == {"trimmed", "text"}
    assert breaches([(message.topic, message.payload)]) == []


# ---------------------------------------------------------------- commands

TEXTS = st.one_of(
    st.none(), st.text(max_size=130), st.integers(-5, 10**12), st.booleans(), st.lists(st.text(max_size=2))
)
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 2**54), st.booleans())
COMMANDS = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXTS,
        "transaction": TEXTS,
        "target": TEXTS,
        "params": st.one_of(st.none(), st.dictionaries(st.text(max_size=3), TEXTS, max_size=18), TEXTS),
        "at": st.one_of(NUMBERS, st.text(max_size=2)),
        "exp": NUMBERS,
        "if_rev": NUMBERS,
        "aud": TEXTS,
        "sig": TEXTS,
        "override": st.just("x"),
        "more": st.just(1),
    },
)


@settings(max_examples=40, deadline=None)
@given(COMMANDS)
def test_what_is_read_as_a_command_is_one_by_the_contract(body: dict[str, Any]) -> None:
    payload = json.dumps(body).encode()
    _found, mistake = read(payload)
    if not mistake:
        assert breaches([("resurgam/b/cmd/phone/ack", payload)]) == []


def test_what_is_no_command_by_the_contract_is_read_by_nobody() -> None:
    for body in (
        {},
        {"id": ""},
        {"id": 3},
        {"id": "a", "more": 1},
        {"id": "a", "params": {"x": 1}},
        {"id": "a", "at": "x"},
    ):
        payload = json.dumps(body).encode()
        assert breaches([("resurgam/b/cmd/phone/ack", payload)]), body
        assert read(payload)[1], body
