"""A fleet from what its machines keep at the broker: who is there, who is not, and who is not who it says."""

import json
from typing import Any

import pytest

from supervisor.units import iso
from supervisor.views.fleet import Kept, fleet_document

NOW = 1_760_000_000.0
DAEMON = {"status": "ok", "mode": "heal", "version": "0.2.0", "epoch": "e1", "problems": [], "paused": {}}
CRITICAL = {"status": "firing", "severity": "critical", "labels": {"alertname": "Loop"}, "silenced": ""}


def machine(name: str, *, online: bytes | None = b"online", node: str = "n1", **daemon: Any) -> list[Kept]:
    """What one machine keeps, told a minute ago."""
    base = f"resurgam/{name}"
    body = DAEMON | {"host": name} | daemon
    mark = {"machine": node, "epoch": "e1", "oldest": 1, "last": 9, "at": iso(NOW - 3600)}
    return [
        *([Kept(f"{base}/availability", online)] if online is not None else []),
        Kept(f"{base}/state/daemon", json.dumps(body).encode(), 3 * 86_400 - 600),
        Kept(f"{base}/state/host", b"{}", 120),
        Kept(f"{base}/journal", json.dumps(mark).encode()),
    ]


def alerts(name: str, *found: Any) -> Kept:
    return Kept(f"resurgam/{name}/state/alerts", json.dumps({"alerts": found, "more": 0}).encode())


def one(kept: list[Kept]) -> Any:
    document = fleet_document(kept, NOW, "mqtt://b:1883")
    assert len(document["hosts"]) == 1
    return document["hosts"][0]


def test_one_that_is_well() -> None:
    found = one(machine("box1"))
    assert (found["state"], found["version"], found["mode"], found["node"]) == ("ok", "0.2.0", "heal", "n1")
    assert (found["firing"], found["wrong"], found["notes"]) == (0, False, [])
    assert found["last_seen"] == iso(NOW - 60), "the youngest of its documents was told a minute ago"


def test_one_that_ended_and_one_that_died() -> None:
    ended = one(machine("box1", online=b"offline", status="stopped"))
    assert (ended["state"], ended["wrong"], ended["notes"]) == ("offline", True, [])
    died = one(machine("box1", online=b"offline"))
    assert died["notes"] == ["gone without a goodbye"]


def test_critical_alerts_need_a_look_and_silenced_or_lesser_ones_do_not() -> None:
    found = one([*machine("box1"), alerts("box1", CRITICAL, CRITICAL | {"severity": "warning"})])
    assert (found["firing"], found["critical"], found["critical_alerts"], found["wrong"]) == (2, 1, ["Loop"], True)
    quiet = one([*machine("box1"), alerts("box1", CRITICAL | {"silenced": "si-1"}, CRITICAL | {"status": "pending"})])
    assert (quiet["firing"], quiet["critical"], quiet["wrong"]) == (1, 0, False)


def test_one_that_says_online_and_tells_nothing_any_more() -> None:
    kept = [message for message in machine("box1") if not message.topic.endswith("state/host")]
    found = one(kept)
    assert (found["state"], found["wrong"]) == ("silent", True)
    assert found["notes"] == ["it says it is there, but tells nothing any more"]
    old = one([Kept(message.topic, message.payload) for message in kept])
    assert (old["state"], old["wrong"]) == ("ok", False), "where nothing runs out (MQTT 3.1.1) nobody knows"


def test_two_under_one_name() -> None:
    second = machine("box1", node="n2")[-1]
    found = one([*machine("box1"), second])
    assert found["wrong"]
    assert found["notes"] == ["2 machines speak under this name; give each a `host` of its own"]
    torn = one(machine("box1", epoch="e2"))
    assert "two journals" in torn["notes"][0]


def test_versions_old_ways_pauses_and_problems_are_noted() -> None:
    kept = [*machine("a"), *machine("b", version="0.10.0"), *machine("c", version="0.9")]
    hosts = {host["host"]: host["notes"] for host in fleet_document(kept, NOW, "x")["hosts"]}
    assert hosts == {"a": ["older than others (0.2.0)"], "b": [], "c": ["older than others (0.9)"]}
    assert one(machine("a")[:-1])["notes"] == ["no watermark: an older version"]
    assert one(machine("a", node=""))["notes"] == ["its watermark names no machine: an older version"]
    busy = one(machine("a", paused={"*": {"reason": "x"}}, problems=["The disk is full.", "And more."]))
    assert busy["notes"] == ["paused", "The disk is full. (and 1 more)"]
    assert one(machine("a", online=None))["notes"] == ["it never said whether it is there"]


def test_a_machine_that_was_cleared_away_meanwhile_is_read_as_it_is_now() -> None:
    found = one([*machine("box1"), Kept("resurgam/box1/state/daemon", b"")])
    assert (found["version"], found["state"]) == ("", "unknown")


@pytest.mark.parametrize("payload", [b"{", b"[]", b"3", b"\xff\xfe", b"[" * 9000, b"null"])
@pytest.mark.parametrize("kind", ["state/daemon", "state/alerts", "journal", "state/host"])
def test_what_cannot_be_read_is_said_and_breaks_nothing(kind: str, payload: bytes) -> None:
    kept = [message for message in machine("box1") if not message.topic.endswith(kind)]
    assert f"{kind} cannot be read" in one([*kept, Kept(f"resurgam/box1/{kind}", payload)])["notes"]


@pytest.mark.parametrize("value", [None, 3, [], {}, "x" * 5000, True, [[]], {"*": 3}, "\x1b[2J"])
def test_documents_of_any_shape_are_shown(value: Any) -> None:
    body = dict.fromkeys((*DAEMON, "alerts"), value)
    mark = dict.fromkeys(("machine", "epoch", "at"), value)
    kept = [
        Kept("resurgam/box1/availability", b"online"),
        Kept("resurgam/box1/state/daemon", json.dumps(body).encode()),
        Kept("resurgam/box1/journal", json.dumps(mark).encode()),
        alerts("box1", value, {"status": "firing", "severity": "critical", "labels": value}),
    ]
    assert len(json.dumps(one(kept))) < 5000
    assert "\x1b" not in one(kept)["state"]
