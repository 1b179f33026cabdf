"""A phone commands over a real mosquitto: a yes restarts the container once, by nobody else, never by a message that
the broker kept; a signed command is obeyed; one without a signature waits for the command line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from supervisor.bus.link.mqtt import Door
from tests.support.broker import COMMANDS, WILL
from tests.support.daemon import Daemon, Hands, Nursery, hands, until
from tests.support.mosquitto import RealRig, user

pytestmark = pytest.mark.real

RULES = """
groups:
- name: g
  rules:
  - alert: Tight
    expr: vector(1)
    labels: {{severity: critical, name: {name}}}
"""
PLAYBOOK = """
playbooks:
- name: tight
  match: ['alertname="Tight"']
  steps: [{do: restart}]
  approval: always
"""
HOST = "phonebox"
VERBS = ["approve", "deny", "ack", "restart"]
SIGN = Path(__file__).resolve().parents[2] / "docs" / "examples" / "sign_command.py"
PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0, "supervisor.actions.probation:SETTLE_PLAIN": 1.0}


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("cmd") as made:
        yield made


@pytest.fixture
def daemon(person: Hands, tmp_path: Path) -> Iterator[Daemon]:
    """One service that a rule wants restarted, if somebody says yes."""
    name = person.up("a", f"{person.prefix}/good:1")
    key = tmp_path / "phone.key"
    key.write_text(f"{os.urandom(32).hex()}\n")
    key.chmod(0o600)
    (tmp_path / "t.yaml").write_text(RULES.format(name=name))
    (tmp_path / "t.playbooks.yaml").write_text(PLAYBOOK)
    nursery = Nursery()
    found = Daemon(
        {
            "host": HOST,
            "consent": "listed",
            "rules": [str(tmp_path)],
            "mqtt": {"url": "auto"},
            "services": {f"{person.prefix}.a": {"enable": True, "stop-grace": "1s"}},
            "commands": {"principals": {"phone": {"verbs": VERBS, "secret_file": str(key)}}},
        },
        nursery,
    )
    found.start(patience=PATIENCE)
    try:
        found.ready()
        until(lambda: (found.state / "bus" / "phone.password").exists(), 10.0, "the phone is a user of the broker")
        until(lambda: (found.status() or {})["daemon"]["broker"]["connected"], 10.0, "it is connected")
        until(lambda: (found.status() or {})["approvals"], 10.0, "a question is open")
        yield found
    finally:
        found.stop()
        found.close()
        nursery.close()
        person.remove(person.prefix)


class Phone:
    """Speaks MQTT 5 as one user of the managed broker."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def says(self, where: str, body: dict[str, Any], retain: bool = False) -> None:
        await self._client.publish(f"resurgam/{HOST}/cmd/{where}", json.dumps(body), qos=1, retain=retain)

    async def hears(self) -> dict[str, Any]:
        message = await asyncio.wait_for(anext(self._client.messages), 10.0)
        found: dict[str, Any] = json.loads(bytes(message.payload))
        return found


@pytest.fixture
async def phone(daemon: Daemon) -> AsyncIterator[Phone]:
    async with user(daemon.state / "bus", "phone") as client:
        await client.subscribe(f"resurgam/{HOST}/reply/phone/+", qos=1)
        yield Phone(client)


async def test_a_yes_over_the_bus_is_obeyed_once_and_by_its_own_user_alone(
    daemon: Daemon, phone: Phone, person: Hands
) -> None:
    service = f"{person.prefix}.a"
    started = person.look(f"{person.prefix}-a")["State"]["StartedAt"]  # type: ignore[index]

    await phone.says("thief/approve", {"id": "t1", "target": "ap-1"})  # the broker's access list keeps it from us
    await phone.says("phone/approve", {"id": "k1", "target": "ap-1"}, retain=True)
    kept = await phone.hears()
    assert (kept["id"], kept["status"], kept["data"]["reason"]) == ("k1", "error", "stale")

    await phone.says("phone/silence", {"id": "s1", "target": 'name="x"', "params": {"for": "1h"}})
    assert (await phone.hears())["data"]["reason"] == "not_allowed"

    await phone.says("phone/approve", {"id": "a1", "target": "ap-1"})
    first = await phone.hears()
    assert (first["id"], first["status"], first["data"]["verb"]) == ("a1", "ok", "restart")
    ended = await asyncio.to_thread(daemon.outcome, "restart", service)
    assert ended["kind"] == "action.verified"
    assert person.look(f"{person.prefix}-a")["State"]["StartedAt"] > started  # type: ignore[index]

    await phone.says("phone/approve", {"id": "a1", "target": "ap-1"})
    assert await phone.hears() == first
    rows = await asyncio.to_thread(daemon.rows, "daemon.command")
    assert [(row["body"]["principal"], row["body"]["reason"], row["body"]["repeat"]) for row in rows] == [
        ("bus:phone", "stale", False),
        ("bus:phone", "not_allowed", False),
        ("bus:phone", "allowed", False),
        ("bus:phone", "allowed", True),
    ]
    planned = await asyncio.to_thread(daemon.rows, "action.planned", service)
    assert [row["body"]["verb"] for row in planned if row["body"]["verb"] != "protect"] == ["restart"]

    shown = await asyncio.to_thread(daemon.cli, "show", "ap-1")
    assert shown.returncode == 0
    assert "ap-1: restart" in shown.stdout
    assert "approved" in shown.stdout


def sign_and_publish(daemon: Daemon, tmp_path: Path, service: str, instead: str = "") -> bytes:
    """What a person types: the example's signature, handed to mosquitto_pub. `instead`: the target is exchanged on the
    way. Gives the payload."""
    argv = [sys.executable, str(SIGN), HOST, "phone", "restart", str(tmp_path / "phone.key"), f"target={service}"]
    payload = subprocess.run(argv, capture_output=True, check=True, timeout=10).stdout
    publish(daemon, payload.replace(service.encode(), instead.encode()) if instead else payload)
    return payload


def publish(daemon: Daemon, payload: bytes) -> None:
    folder = daemon.state / "bus"
    who = ["-u", "phone", "-P", (folder / "phone.password").read_text().strip()]
    where = ["-h", "127.0.0.1", "-p", (folder / "port").read_text().strip(), "-V", "5", "-q", "1"]
    argv = ["mosquitto_pub", *where, *who, "-t", f"resurgam/{HOST}/cmd/phone/restart", "-s"]
    subprocess.run(argv, input=payload, check=True, timeout=10)


async def test_a_signed_restart_is_obeyed_once_and_an_unsigned_one_waits_for_the_command_line(
    daemon: Daemon, phone: Phone, person: Hands, tmp_path: Path
) -> None:
    service, name = f"{person.prefix}.a", f"{person.prefix}-a"

    def begun() -> str:
        return str(person.look(name)["State"]["StartedAt"])  # type: ignore[index]

    first = begun()
    await asyncio.to_thread(sign_and_publish, daemon, tmp_path, service, f"{person.prefix}.b")
    forged = await phone.hears()
    assert (forged["status"], forged["data"]["reason"]) == ("error", "bad_signature")

    payload = await asyncio.to_thread(sign_and_publish, daemon, tmp_path, service)
    obeyed = await phone.hears()
    assert (obeyed["status"], obeyed["data"]["by"]) == ("ok", "bus:phone")
    assert (await asyncio.to_thread(daemon.outcome, "restart", service))["kind"] == "action.verified"
    second = begun()
    assert second > first
    await asyncio.to_thread(publish, daemon, payload)
    assert await phone.hears() == obeyed

    await phone.says("phone/restart", {"id": "u1", "target": service})
    waits = await phone.hears()
    asked = waits["data"]["approval"]
    assert (waits["status"], waits["data"]["reason"]) == ("error", "needs_approval")
    await phone.says("phone/approve", {"id": "u2", "target": asked})
    assert (await phone.hears())["data"]["reason"] == "not_allowed"
    assert begun() == second, "neither the repeat nor the one without a signature did anything"

    said = await asyncio.to_thread(daemon.cli, "approve", asked)
    assert said.returncode == 0, said.stderr
    await asyncio.to_thread(until, lambda: begun() > second, 30.0, "it is restarted after the second word")
    rows = await asyncio.to_thread(daemon.rows, "daemon.command")
    assert [(row["body"]["reason"], row["body"]["signed"], row["body"]["repeat"]) for row in rows] == [
        ("bad_signature", False, False),
        ("allowed", True, False),
        ("allowed", True, True),
        ("needs_approval", False, False),
        ("not_allowed", False, False),
    ]


async def test_a_broker_of_3_1_1_gives_us_commands_too(tmp_path: Path) -> None:
    rig = RealRig(tmp_path)
    await rig.start()
    try:
        broker = Door(rig.mosquitto.address, "old", WILL, old=True)()
        await rig.say(f"{COMMANDS}/phone/ack", b"kept", retain=True)
        await broker.connect()
        await broker.subscribe(f"{COMMANDS}/+/+")
        first = await asyncio.wait_for(broker.received(), 5.0)
        assert (first.payload, first.retained) == (b"kept", True)
        await rig.say(f"{COMMANDS}/phone/ack", b"live")
        assert (await asyncio.wait_for(broker.received(), 5.0)).payload == b"live"
        await broker.close()
    finally:
        await rig.end()
