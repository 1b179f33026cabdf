"""Rows become CloudEvents, and no text of a container can break a topic."""

import json
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.bus.messages import EVENT_EXPIRY, availability, encode_level, render, severity, to_bytes, topic
from supervisor.journal import Row

AT = 1_760_000_000.25


def row(kind: str, body: dict | None = None, public: bool = True, subject: str = "oracle") -> Row:
    return Row(7, AT, kind, subject, body or {}, public, "")


def test_a_row_becomes_a_cloud_event_on_the_topic_of_its_kind() -> None:
    message = render(row("container.died", {"service": "oracle", "exit_code": 139}), "box", "e1")
    assert message is not None
    assert (message.topic, message.qos, message.retain, message.expiry) == (
        "resurgam/box/event/container",
        1,
        False,
        EVENT_EXPIRY,
    )
    assert json.loads(message.payload) == {
        "specversion": "1.0",
        "id": "e1-7",
        "source": "/resurgam/box",
        "type": "resurgam.container.died",
        "time": "2025-10-09T08:53:20.250Z",
        "subject": "oracle",
        "datacontenttype": "application/json",
        "epoch": "e1",
        "seq": 7,
        "prior": 0,
        "host": "box",
        "severity": "warning",
        "data": {"service": "oracle", "exit_code": 139},
    }


def test_the_data_of_an_alert_is_an_alertmanager_alert() -> None:
    alert = {"status": "firing", "labels": {"alertname": "X", "severity": "critical"}, "fingerprint": "f"}
    message = render(row("alert.firing", {"alert": alert, "incident": "i1", "text": "it loops"}), "box", "e1")
    assert message is not None
    event = json.loads(message.payload)
    assert event["severity"] == "critical"
    data = event["data"]
    assert set(data) >= {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
    assert (data["labels"]["alertname"], data["incident"], data["text"]) == ("X", "i1", "it loops")
    assert data["endsAt"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("body", [{}, {"alert": None}, {"alert": {"labels": None}}, {"alert": "text"}])
def test_an_alert_row_of_any_shape_is_still_told(body: dict) -> None:
    message = render(row("alert.resolved", body), "box", "e1")
    assert message is not None
    assert json.loads(message.payload)["severity"] == "info"


def test_private_rows_and_foreign_kinds_are_no_messages() -> None:
    assert render(row("alert.firing", public=False), "box", "e1") is None
    assert render(row("incident.opened"), "box", "e1") is None
    assert render(row("cmd/x.y"), "box", "e1") is None


@pytest.mark.parametrize(
    ("kind", "grave"),
    [
        ("action.failed", "critical"),
        ("daemon.engine_lost", "critical"),
        ("container.died", "warning"),
        ("container.started", "info"),
    ],
)
def test_a_kind_has_a_severity(kind: str, grave: str) -> None:
    assert severity(row(kind)) == grave


def test_hostile_names_stay_one_level() -> None:
    assert encode_level("a/b+#$~\x00\n") == "a~2Fb~2B~23~24~7E~00~0A"
    assert encode_level("") == "~"
    assert topic("box", "state", "container", service="p.s~2Fx") == "resurgam/box/state/container/p.s~2Fx"
    assert topic("b/x", "state") == "resurgam/b~2Fx/state"
    long = encode_level("x" * 10_000)
    assert len(long) <= 200
    assert long != encode_level("x" * 10_001)


@given(st.text(max_size=60))
def test_a_level_is_legal_and_can_be_read_back(text: str) -> None:
    level = encode_level(text)
    assert not set(level) & set("/+#$\x00")
    level.encode("utf-8")
    if text:
        bare = level.replace("%", "%25").replace("~", "%")
        assert unquote_to_bytes(bare.encode()) == text.encode("utf-8", "surrogatepass")


def test_numbers_json_does_not_have_become_words() -> None:
    assert to_bytes({"a": float("nan"), "b": [float("inf")]}) == b'{"a":"NaN","b":["+Inf"]}'


def test_availability_is_the_plain_word_home_assistant_knows() -> None:
    assert availability("box", online=True).payload == b"online"
    will = availability("box", online=False)
    assert (will.topic, will.payload, will.qos, will.retain) == ("resurgam/box/availability", b"offline", 1, True)
