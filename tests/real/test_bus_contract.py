"""Everything that a real daemon says to a real mosquitto is in the contract: topic, quality, properties, payload."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from supervisor.bus.contract.channels import CLOUD_EVENT, find
from tests.support.broker import eventually
from tests.support.contract import breaches, written
from tests.support.daemon import Daemon, Hands, Nursery, hands, until
from tests.support.mosquitto import user

pytestmark = pytest.mark.real

HOST = "contractbox"
RULES = """
groups:
- name: own
  rules:
  - alert: Up
    expr: resurgam_container_running{{name="{name}"}} == 1
    labels: {{severity: warning}}
    annotations: {{summary: "{{{{ $labels.name }}}} runs"}}
"""
PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0, "supervisor.actions.probation:SETTLE_PLAIN": 1.0}
MAY = ["ack", "pause", "resume", "silence", "restart", "refresh", "replay"]
SEEN = {
    *("alert.firing", "alert.resolved", "action.approval", "action.planned", "action.verified"),
    *("container.appeared", "container.started", "container.died", "container.stopped"),
    *("drift.proved", "daemon.started", "daemon.ready", "daemon.paused", "daemon.silenced", "daemon.command"),
    "daemon.stopping",
}


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("ctr") as made:
        yield made


@pytest.fixture
def daemon(person: Hands, tmp_path: Path) -> Iterator[Daemon]:
    """One service of ours that an alert is about."""
    name = person.up("a", f"{person.prefix}/good:1")
    (tmp_path / "own.yaml").write_text(RULES.format(name=name))
    nursery = Nursery()
    found = Daemon(
        {
            "host": HOST,
            "consent": "listed",
            "rules": [str(tmp_path)],
            "mqtt": {"url": "auto"},
            "services": {f"{person.prefix}.a": {"enable": True, "stop-grace": "1s"}},
            "commands": {"principals": {"phone": MAY}},
        },
        nursery,
    )
    found.start(patience=PATIENCE)
    try:
        found.ready()
        until(lambda: (found.status() or {})["daemon"]["broker"]["connected"], 10.0, "it is connected")
        yield found
    finally:
        found.close()
        nursery.close()


async def listen(client: aiomqtt.Client, got: list[aiomqtt.Message]) -> None:
    with contextlib.suppress(aiomqtt.MqttError):
        async for message in client.messages:
            got.append(message)  # noqa: PERF401 - others look at it meanwhile


async def test_everything_that_is_said_was_promised(daemon: Daemon, person: Hands) -> None:
    service, got = f"{person.prefix}.a", list[aiomqtt.Message]()
    broker = daemon.state / "bus"
    async with user(broker, "resurgam") as ear, user(broker, "phone") as phone:
        await ear.subscribe("resurgam/#", qos=1)
        hearing = asyncio.ensure_future(listen(ear, got))
        number = 0

        async def says(verb: str, target: str, **params: str) -> None:
            nonlocal number
            number += 1
            body = json.dumps({"id": f"c{number}", "target": target, "params": params})
            await phone.publish(f"resurgam/{HOST}/cmd/phone/{verb}", body, qos=1)

        await asyncio.to_thread(daemon.settled, service)
        await says("silence", 'name="nobody"', **{"for": "1h"})
        await says("ack", "nothing")
        await says("restart", service)
        await asyncio.to_thread(daemon.heard, "action.approval")
        await asyncio.to_thread(daemon.command, "approve", service)
        await asyncio.to_thread(daemon.outcome, "restart", service)
        await says("pause", "*", **{"for": "1h"})
        await asyncio.to_thread(person.api.kill, f"{person.prefix}-a")
        await asyncio.to_thread(daemon.heard, "container.died", service)
        await asyncio.to_thread(person.api.stop, f"{person.prefix}-a", timeout=0)
        await asyncio.to_thread(daemon.heard, "alert.resolved")
        await says("replay", "", **{"from": "1"})
        await eventually(lambda: any(reply.get("id") == f"c{number}" for reply in _replies(got)), 10.0)
        assert await asyncio.to_thread(daemon.stop) == 0
        await eventually(lambda: _said(got)[-1] == (f"resurgam/{HOST}/availability", b"offline") or hearing.done(), 5.0)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)

    said = _said(got)
    assert breaches(said) == []
    assert (f"resurgam/{HOST}/availability", b"offline") in said
    events = [json.loads(payload) for topic, payload in said if b'"specversion"' in payload]
    assert sorted(SEEN - {event["type"].removeprefix("resurgam.") for event in events}) == []
    for message in got:
        _as_promised(message)
    silent = {channel.name for channel in map(find, (topic for topic, _payload in said)) if channel is not None}
    # what is said of images that move, of cards and of slots is heard in the simulated box (tests/sim/test_contract.py)
    elsewhere = {"eventDrift", "eventGpu", "stateGpu", "eventModel", "stateSlot"}
    assert silent >= set(written()["channels"]) - elsewhere, "a channel that nobody heard proves nothing"


def _said(got: list[aiomqtt.Message]) -> list[tuple[str, bytes]]:
    return [(str(message.topic), bytes(message.payload)) for message in got]


def _replies(got: list[aiomqtt.Message]) -> list[dict[str, Any]]:
    return [json.loads(payload) for topic, payload in _said(got) if "/reply/" in topic]


def _as_promised(message: aiomqtt.Message) -> None:
    """What rides beside a payload: quality, and the properties of MQTT 5."""
    channel = find(str(message.topic))
    assert channel is not None
    if channel.way == "receive":
        return
    beside: Any = message.properties
    assert message.qos == channel.qos
    assert not message.retain or channel.retain
    left = getattr(beside, "MessageExpiryInterval", 0)
    assert left <= channel.expiry
    assert not channel.expiry or left >= channel.expiry - 60
    if not message.payload:
        return
    assert beside.PayloadFormatIndicator == 1
    if channel.name != "availability":
        assert beside.ContentType == channel.content
    if channel.content == CLOUD_EVENT:
        event, promised = json.loads(bytes(message.payload)), written()["components"]["messages"]["AlertFiring"]
        user = dict(beside.UserProperty)
        assert set(user) == set(promised["headers"]["properties"])
        assert user == {name: str(event[name]) for name in user}
