"""A real mosquitto, managed by us, passes the broker suite; and what only a real one can show."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from supervisor.bus.broker import choose
from supervisor.bus.link.address import Address
from supervisor.bus.link.mqtt import Door
from supervisor.bus.managed import Mosquitto, find
from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.errors import BrokerError
from tests.support.broker import SUITE, WILL, eventually
from tests.support.mosquitto import RealRig

pytestmark = pytest.mark.real


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RealRig]:
    found = RealRig(tmp_path)
    await found.start()
    yield found
    await found.end()


@pytest.mark.parametrize("behaviour", SUITE, ids=lambda function: function.__name__)
async def test_mosquitto_behaves_as_we_rely_on(behaviour, rig: RealRig) -> None:
    await behaviour(rig)


async def test_the_last_will_is_delivered_after_a_client_process_is_killed(rig: RealRig) -> None:
    # The delay is cut short by hand: what is tested is that the will is set, retained and sent by the broker.
    script = (
        "import asyncio, sys\n"
        "from supervisor.bus.link import client, mqtt\n"
        "from supervisor.bus.link.address import Address\n"
        "from tests.support.broker import WILL\n"
        "client.WILL_DELAY = 1\n"
        "async def main():\n"
        "    b = mqtt.Door(Address('unix', sys.argv[1], 0, 'resurgam', sys.argv[2]), 'victim', WILL)()\n"
        "    await b.connect(); await b.publish(WILL.topic, b'online', 1, True, 0.0)\n"
        "    print('up', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    got = await rig.listen(WILL.topic)
    address = rig.mosquitto.address
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, address.host, address.password_file, stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    assert await asyncio.wait_for(victim.stdout.readline(), 10.0) == b"up\n"
    victim.kill()
    await victim.wait()
    await eventually(lambda: got() == [b"online", b"offline"])


async def test_a_will_waits_for_a_quick_restart(rig: RealRig) -> None:
    got = await rig.listen(WILL.topic)
    broker = rig.make()
    await broker.connect()
    await broker.publish(WILL.topic, b"online", 1, True, 0.0)
    await broker.abort()
    await asyncio.wait_for(broker.closed(), 1.0)
    again = rig.make()
    await again.connect()
    await again.publish(WILL.topic, b"again", 1, True, 0.0)
    await eventually(lambda: b"again" in got())
    assert got() == [b"online", b"again"]
    await again.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "does not let us in: check mqtt.username (resurgam) and mqtt.password_file"),
        ({"username": "", "password_file": ""}, "it wants a user; set mqtt.username and mqtt.password_file"),
        ({"password_file": "/nowhere/at/all"}, "password cannot be used"),
        ({"port": 1}, "nothing listens at mqtt://127.0.0.1:1"),
        ({"transport": "tls"}, "does not speak TLS"),
        ({"host": "no-such-host.invalid"}, "cannot be resolved"),
        ({"transport": "unix", "host": "/nowhere/mqtt.sock"}, "no broker at unix:///nowhere/mqtt.sock"),
    ],
)
async def test_what_is_wrong_is_said_in_words(change: dict, words: str, rig: RealRig, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    change = dict(change)
    if change.pop("password", ""):
        change["password_file"] = str(wrong)
    base = {
        "transport": "tcp",
        "host": "127.0.0.1",
        "port": rig.mosquitto.port,
        "username": "resurgam",
        "password_file": rig.mosquitto.address.password_file,
    }
    broker = Door(Address(**{**base, **change}), "wrong", WILL, connect_limit=2.0)()
    with pytest.raises(BrokerError) as caught:
        await broker.connect()
    assert words in str(caught.value)
    assert "wrong\n" not in str(caught.value)
    await broker.close()


async def test_loopback_needs_a_password_and_listener_may_only_read(rig: RealRig) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", rig.mosquitto.port, timeout=2):
            pass
    secret = str(rig.mosquitto.folder / "listener.password")
    reader = Door(Address("tcp", "127.0.0.1", rig.mosquitto.port, "listener", secret), "reader", WILL)()
    await reader.connect()
    with pytest.raises(BrokerError) as caught:
        await reader.publish("resurgam/box/event/alert", b"forged", 1, False, 0.0)
    assert caught.value.code == 0x87
    await reader.close()


async def test_everything_of_the_managed_broker_is_private(rig: RealRig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.publish("resurgam/box/state/x", b"1", 1, True, 0.0)
    await eventually(lambda: (rig.mosquitto.folder / "mosquitto.db").exists())
    assert (rig.mosquitto.folder.stat().st_mode & 0o777) == 0o700
    for file in rig.mosquitto.folder.iterdir():
        assert file.is_socket() or (file.stat().st_mode & 0o077) == 0, file
    await broker.close()


async def test_a_broker_that_died_is_started_again_by_the_next_connect(tmp_path: Path) -> None:
    choice = choose(Settings(host="box", state_dir=tmp_path), SystemClock())
    assert choice.make is not None
    assert choice.managed is not None
    choice.managed._wish = 0
    first = choice.make()
    await first.connect()
    os.kill(int((tmp_path / "bus" / "mosquitto.pid").read_text()), signal.SIGKILL)
    await asyncio.wait_for(first.closed(), 2.0)
    await first.close()
    assert choice.managed._process is not None
    await asyncio.wait_for(choice.managed._process.wait(), 2.0)
    second = choice.make()
    await second.connect()
    assert (await second.publish("resurgam/box/x", b"1", 1, False, 0.0)) is not None
    assert choice.managed.starts == 2
    await second.close()
    await choice.close()
    assert not await choice.managed.answers()


async def test_a_broker_of_an_earlier_life_is_taken_over_and_ended_with_us(tmp_path: Path) -> None:
    earlier = Mosquitto(find(), tmp_path, SystemClock(), port=0)
    await earlier.ensure()
    later = Mosquitto(find(), tmp_path, SystemClock(), port=0)
    await later.ensure()
    assert later.starts == 0
    assert later.port == earlier.port
    await later.close()
    assert earlier._process is not None
    await asyncio.wait_for(earlier._process.wait(), 2.0)


async def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho 'Error: the moon is full' >&2\nexit 3\n")
    program.chmod(0o755)
    broken = Mosquitto(str(program), tmp_path, SystemClock(), port=0)
    with pytest.raises(BrokerError, match="the moon is full"):
        await broken.ensure()


async def test_a_long_state_folder_is_served_over_loopback(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    ours = Mosquitto(find(), deep, SystemClock(), port=0)
    await ours.ensure()
    broker = Door(ours.address, "deep", WILL)()
    assert ours.address.transport == "tcp"
    await broker.connect()
    await broker.publish("resurgam/box/x", b"1", 1, False, 0.0)
    await broker.close()
    await ours.close()
