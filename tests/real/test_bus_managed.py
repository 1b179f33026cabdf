"""The managed mosquitto, real: who may do what, users that come and go while it runs, whose it is, and its doctor."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from supervisor.bus.delivery.pump import Pump
from supervisor.bus.doctor import House, Seen, clear, everything, judge, leftovers, look
from supervisor.bus.inbox import Inbox
from supervisor.bus.link.address import Address
from supervisor.bus.link.connection import Connection
from supervisor.bus.link.mqtt import Door, MqttBroker
from supervisor.bus.managed import Managed, Mosquitto, Patience, find
from supervisor.bus.managed import process as process_room
from supervisor.bus.messages import availability
from supervisor.cli.main import main
from supervisor.clock import SystemClock
from supervisor.errors import BrokerError
from supervisor.journal import Journal, JournalThread
from supervisor.ports import Received
from tests.support.broker import WILL, eventually
from tests.support.bus import snapshot
from tests.support.foreign import foreign
from tests.support.images import import_busybox, remove_image

pytestmark = pytest.mark.real

CLOCK = SystemClock()
ROOT = Path(__file__).resolve().parents[2]
NAME = f"rsgr-e-{os.getpid()}"


def made(folder: Path, *commanders: str, **more: object) -> Mosquitto:
    return Mosquitto(find(), folder, CLOCK, port=0, commanders=commanders, **more)  # type: ignore[arg-type]


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    found = made(tmp_path, "alice", "bob")
    await found.ensure()
    yield found
    await found.close()


def door(mosquitto: Mosquitto, user: str, password: str = "", name: str = "") -> Door:
    secret = mosquitto.folder / f"{user}.password"
    if password:
        secret = mosquitto.folder.parent / f"{user}.secret"
        secret.write_text(password + "\n")
        secret.chmod(0o600)
    address = Address("tcp", "127.0.0.1", mosquitto.port, user, str(secret))
    return Door(address, name or f"test-{user}", None, ack_limit=3.0, connect_limit=3.0)


@contextlib.asynccontextmanager
async def connected(made_by: Door) -> AsyncIterator[MqttBroker]:
    broker = made_by()
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


async def code(broker: MqttBroker, topic: str, retain: bool = False) -> int:
    """What a publish is answered with."""
    try:
        return (await broker.publish(topic, b"x", 1, retain, 0.0)).code
    except BrokerError as err:
        return err.code


DENIED = 0x87


async def test_everyone_writes_below_the_own_name_and_nowhere_else(ours: Mosquitto) -> None:
    async with connected(door(ours, "alice")) as alice:
        for topic in ("resurgam/box/cmd/alice/ack", "resurgam/other/cmd/alice/a/b", "homeassistant/status"):
            assert await code(alice, topic) < 0x80, topic
        for topic in (
            *("resurgam/box/cmd/bob/ack", "resurgam/box/cmd/alice2/ack", "resurgam/box/cmd", "resurgam/cmd/alice/ack"),
            *("resurgam/box/reply/alice/ack", "resurgam/box/state/daemon", "resurgam/box/event/alert"),
            *("resurgam/box/journal", "resurgam/box/availability", "homeassistant/device/x/config", "other/topic"),
            "$SYS/broker/version",
        ):
            assert await code(alice, topic, retain=True) == DENIED, topic
    async with connected(door(ours, "listener")) as listener:
        for topic in ("resurgam/box/cmd/listener/ack", "resurgam/box/cmd/alice/ack", "homeassistant/status"):
            assert await code(listener, topic) == DENIED, topic


async def test_everyone_reads_what_we_tell_and_the_own_answers_alone(ours: Mosquitto) -> None:
    told = ["resurgam/box/availability", "resurgam/box/state/container/a", "resurgam/box/event/alert"]
    told += ["resurgam/box/journal", "homeassistant/device/x/config", "resurgam/box/reply/alice/ack"]
    hidden = ["resurgam/box/reply/bob/ack", "resurgam/box/cmd/bob/ack", "resurgam/box/cmd/alice/ack"]
    async with connected(door(ours, "alice")) as alice, connected(door(ours, "resurgam")) as us:
        for pattern in ("#", "resurgam/+/reply/bob/#", "resurgam/+/cmd/#", "$SYS/#"):
            # mosquitto 2.0 says `granted` to all of these; what is denied just never comes
            await alice.subscribe(pattern)
        for topic in (*hidden, *told):
            assert await code(us, topic) < 0x80
        got = [(await asyncio.wait_for(alice.received(), 3.0)).topic for _ in told]
        assert got == told
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alice.received(), 0.2)


def config(folder: Path, mqtt: str = "{url: auto}") -> list[str]:
    file = folder / "resurgam.yaml"
    file.write_text(
        f"host: box\nstate_dir: {folder}\nhttp: {{listen: none}}\nmqtt: {mqtt}\n"
        "commands: {principals: {alice: [ack], bob: [ack]}}\n"
    )
    file.chmod(0o600)
    return ["--config", str(file)]


async def command(*words: str) -> int:
    return await asyncio.get_running_loop().run_in_executor(None, main, list(words))


async def test_users_come_and_go_while_it_runs_and_the_others_stay_connected(
    ours: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = config(tmp_path)
    async with connected(door(ours, "alice")) as alice:
        assert await command("bus", "users", "add", "ha", *where, "-o", "json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["counts"] == "now"
        ha = door(ours, "ha", answer["password"])
        await until_let_in(ha)
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with connected(ha) as broker:
            assert await code(broker, "resurgam/box/cmd/ha/ack") < 0x80
            assert await code(broker, "resurgam/box/cmd/alice/ack") == DENIED
            assert await command("bus", "users", "remove", "ha", *where) == 0
            lost.set_result(await asyncio.wait_for(broker.closed(), 5.0))
        with pytest.raises(BrokerError, match="does not let us in"):
            await ha().connect()
        assert await code(alice, "resurgam/box/cmd/alice/ack") < 0x80


async def until_let_in(made_by: Door) -> None:
    """mosquitto reads its users again a moment after it was told to."""
    for _ in range(200):
        with contextlib.suppress(BrokerError):
            async with connected(made_by):
                return
        await asyncio.sleep(0.02)
    raise AssertionError("never let in")


async def test_users_survive_the_next_start_which_writes_everything_anew(ours: Mosquitto, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    assert await command("bus", "users", "add", "ha", "--password-file", str(secret), *config(tmp_path)) == 0
    await ours.close()
    again = made(tmp_path, "alice")
    await again.ensure()
    async with connected(door(again, "ha", "hunter2")) as ha:
        assert await code(ha, "resurgam/box/cmd/ha/ack") < 0x80
    with pytest.raises(BrokerError, match="does not let us in"):
        await door(again, "bob")().connect()
    await again.close()


# ------------------------------------------------------------ a service of its own


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[subprocess.Popen[bytes]]]]:
    """Start `resurgam bus serve`; comes back when it has become mosquitto and answers."""
    running: list[subprocess.Popen[bytes]] = []

    async def start() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "supervisor.cli.main", "bus", "serve", *config(tmp_path)]
        process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL)
        running.append(process)
        ours = made(tmp_path)
        await eventually(lambda: ours.owner == "service" and ours.pid == process.pid, 10.0)
        while not await ours.answers():
            await asyncio.sleep(0.02)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


async def test_the_service_outlives_the_daemon_and_tells_its_last_will(
    tmp_path: Path, serve: Callable[[], Awaitable[subprocess.Popen[bytes]]]
) -> None:
    process = await serve()
    daemon = made(tmp_path)
    await daemon.ensure()
    assert daemon.starts == 0
    await daemon.close()
    await daemon.replace()
    assert process.poll() is None
    async with connected(door(daemon, "listener")) as listener:
        await listener.subscribe(WILL.topic)
        # 3.1.1: its will has no delay
        dying = Door(daemon.address, "dying", WILL, old=True)()
        await dying.connect()
        await dying.abort()
        assert (await asyncio.wait_for(listener.received(), 5.0)).payload == b"offline"
    second = subprocess.run(
        [sys.executable, "-m", "supervisor.cli.main", "bus", "serve", *config(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 2
    assert f"is served already, by process {process.pid}" in second.stderr


async def test_the_service_takes_the_place_of_a_broker_that_the_daemon_runs(
    tmp_path: Path, serve: Callable[[], Awaitable[subprocess.Popen[bytes]]]
) -> None:
    daemon = made(tmp_path)
    await daemon.ensure()
    async with connected(Door(daemon.address, "before", None)) as before:
        await before.publish("resurgam/box/state/x", b"kept", 1, True, 0.0)
        process = await serve()
        await asyncio.wait_for(before.closed(), 5.0)
    await daemon.ensure()
    assert daemon.starts == 1
    async with connected(Door(daemon.address, "after", None)) as after:
        await after.subscribe("resurgam/box/state/x")
        assert (await asyncio.wait_for(after.received(), 5.0)).payload == b"kept"
    await daemon.close()
    assert process.poll() is None


async def test_a_service_that_is_gone_is_waited_for_and_then_done_without(
    tmp_path: Path, serve: Callable[[], Awaitable[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await serve()
    process.kill()
    process.wait()
    daemon = made(tmp_path)
    with pytest.raises(BrokerError, match="own service is gone; it is waited for"):
        await daemon.ensure()
    assert daemon.starts == 0
    monkeypatch.setattr(process_room, "GRACE", 0.0)
    await daemon.ensure()
    assert (daemon.starts, daemon.owner) == (1, "daemon")
    await daemon.close()


async def test_two_can_never_run_for_one_folder(tmp_path: Path) -> None:
    both = [made(tmp_path), made(tmp_path)]
    await asyncio.gather(*(one.ensure() for one in both))
    assert [one.starts for one in both] in ([1, 0], [0, 1])
    for one in both:
        await one.close()


# ------------------------------------------------------------ frozen, empty


async def test_one_of_ours_that_hangs_is_replaced_by_the_third_try(tmp_path: Path) -> None:
    ours = made(tmp_path)
    patience = Patience()

    def connection() -> Managed:
        return Managed(ours, lambda: Door(ours.address, "me", None, connect_limit=0.3)(), patience)

    first = connection()
    await first.connect()
    await first.abort()
    frozen = ours.pid
    os.kill(frozen, signal.SIGSTOP)
    for _ in range(3):
        with pytest.raises(BrokerError):
            await connection().connect()
    last = connection()
    await last.connect()
    assert ours.pid != frozen
    await last.close()
    await ours.close()


async def test_one_that_comes_back_empty_is_told_everything_again(tmp_path: Path) -> None:
    ours, patience = made(tmp_path), Patience()
    journal = Journal.open(None, CLOCK)
    thread = JournalThread(journal)

    def connection() -> Managed:
        return Managed(ours, lambda: Door(ours.address, "me", availability("box", online=False))(), patience)

    pump = Pump(thread, connection, CLOCK, "box", lambda _: None)
    pump.show(snapshot())
    running = asyncio.ensure_future(pump.run())
    wanted = {"resurgam/box/availability", "resurgam/box/state/daemon", "resurgam/box/state/alerts"}
    try:
        await eventually(lambda: ours.pid > 0)
        for _ in range(2):
            kept: dict[str, bytes] = {}
            while not kept.keys() >= wanted or kept["resurgam/box/availability"] != b"online":
                kept = {}
                with contextlib.suppress(BrokerError, TimeoutError):
                    async with connected(door(ours, "listener")) as listener:
                        await listener.subscribe("resurgam/box/#")
                        while not kept.keys() >= wanted:
                            message = await asyncio.wait_for(listener.received(), 0.5)
                            kept[message.topic] = message.payload
            os.kill(ours.pid, signal.SIGKILL)
            (ours.folder / "mosquitto.db").unlink(missing_ok=True)
    finally:
        await pump.close()
        await asyncio.gather(running, return_exceptions=True)
        await ours.close()
        thread.close()
        journal.close()


# ------------------------------------------------------------ containers


@pytest.fixture
def network() -> Iterator[str]:
    client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
    client.create_network(NAME)
    import_busybox(f"{NAME}:1", client=client)
    yield NAME
    for box in client.containers(all=True, filters={"name": NAME}):
        client.remove_container(box["Id"], force=True)
    client.remove_network(NAME)
    remove_image(f"{NAME}:1", client)
    client.close()


def from_a_container(network: str, address: str, port: int, packet: bytes) -> str:
    """What a container on the network gets back for some bytes, as hex."""
    client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
    text = "".join(f"\\x{byte:02x}" for byte in packet)
    words = ["sh", "-c", f"(printf '{text}'; sleep 0.7) | nc -w 3 {address} {port} | xxd -p"]
    made = client.create_container(
        f"{NAME}:1", words, name=f"{NAME}-c", host_config=client.create_host_config(network_mode=network)
    )
    client.start(made["Id"])
    client.wait(made["Id"], timeout=30)
    said = client.logs(made["Id"]).decode().strip()
    client.remove_container(made["Id"], force=True)
    client.close()
    return said


async def test_containers_reach_it_at_their_networks_gateway_with_a_password(network: str, tmp_path: Path) -> None:
    from supervisor.engines.docker import DockerEngine

    engine = DockerEngine("", CLOCK)
    ours = made(tmp_path, "alice", network=network, look=engine.gateway)
    await ours.ensure()
    try:
        address = await engine.gateway(network)
        assert ours.trouble == ""
        secret = (ours.folder / "alice.password").read_text().strip().encode()

        def connect(password: bytes) -> bytes:
            user = b"\x00\x05alice" + len(password).to_bytes(2, "big") + password
            body = b"\x00\x04MQTT\x04\xc2\x00\x0a\x00\x04rsgr" + user
            return bytes([0x10, len(body)]) + body

        loop = asyncio.get_running_loop()
        for password, answer in ((secret, "20020000"), (b"wrong", "20020005")):
            got = await loop.run_in_executor(None, from_a_container, network, address, ours.port, connect(password))
            assert got == answer
    finally:
        await ours.close()
        await engine.close()


async def test_without_the_network_it_runs_and_says_so(tmp_path: Path) -> None:
    from supervisor.engines.docker import DockerEngine

    engine = DockerEngine("", CLOCK)
    ours = made(tmp_path, network=f"{NAME}-nowhere", look=engine.gateway)
    await ours.ensure()
    assert f"Containers of {NAME}-nowhere do not reach the broker: there is no such network" in ours.trouble
    assert await ours.answers()
    await ours.close()
    await engine.close()


# ------------------------------------------------------------ doctor and purge

HOUSE = House("box", commands=True, services=("ai.oracle",), connected=True, text="connected")


def findings(seen: Seen) -> dict[str, str]:
    return {one.check: one.text for one in judge(seen) if one.level == "finding"}


async def seen_of(ours: Mosquitto, house: House = HOUSE) -> Seen:
    text = (ours.folder / "mosquitto.conf").read_text()
    return await look(ours.address, house, CLOCK, text, ours.port)


async def test_the_doctor_finds_nothing_wrong_with_ours_and_nobody_notices_it(ours: Mosquitto) -> None:
    async with connected(door(ours, "listener")) as listener, connected(Door(ours.address, "us", None)) as us:
        await us.publish("resurgam/box/state/container/ai.oracle", b"{}", 1, True, 0.0)
        await listener.subscribe("resurgam/box/#")
        await listener.received()
        await us.subscribe("resurgam/box/cmd/+/+")
        seen = await seen_of(ours)
        assert findings(seen) == {}
        assert seen.reader == {
            "write state": False,
            "write event": False,
            "write cmd": False,
            "read reply": False,
            "read state": True,
        }
        assert seen.said["version"].startswith("mosquitto version")
        assert list(seen.kept) == ["resurgam/box/state/container/ai.oracle"]
        heard = set()
        with contextlib.suppress(TimeoutError):
            while True:
                message = await asyncio.wait_for(listener.received(), 0.2)
                heard.add((message.topic, message.payload))
        assert heard == {("resurgam/box/state/container/~doctor", b"")}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(us.received(), 0.2)
    assert (await seen_of(ours)).kept.keys() == seen.kept.keys()


async def test_the_doctor_notices_an_access_list_that_lets_the_reader_write(ours: Mosquitto) -> None:
    access = ours.folder / "access"
    access.write_text(access.read_text().replace("topic deny resurgam/+/cmd/#", "topic readwrite resurgam/#"))
    assert ours.hang_up()
    text = ""
    for _ in range(20):
        text = findings(await seen_of(ours)).get("access list", "")
        if text:
            break
    assert "`listener` can write state and write event and write cmd and read reply" in text


async def test_the_doctor_on_an_open_broker_says_that_anyone_can_command(tmp_path: Path) -> None:
    with foreign(tmp_path, "allow_anonymous true", "max_packet_size 20000") as port:
        seen = await look(Address("tcp", "127.0.0.1", port), HOUSE, CLOCK)
        assert findings(seen).keys() == {"strangers", "size"}
        assert "can command this box" in findings(seen)["strangers"]


async def test_the_doctor_tells_which_of_our_rights_are_missing(tmp_path: Path) -> None:
    access = tmp_path / "acl"
    access.write_text("topic read $SYS/#\ntopic readwrite resurgam/+/state/#\n")
    access.chmod(0o600)
    with foreign(tmp_path / "b", "allow_anonymous true", f"acl_file {access}") as port:
        seen = await look(Address("tcp", "127.0.0.1", port), HOUSE, CLOCK)
    assert "we may not write reply" in findings(seen)["our rights"]
    assert "can forge our state" in findings(seen)["strangers"]


async def test_what_is_left_over_is_cleared_and_nothing_else(ours: Mosquitto) -> None:
    base = "resurgam/box"
    mine = [f"{base}/state/container/ai.oracle", f"{base}/state/daemon", f"{base}/availability"]
    lost = [f"{base}/cmd/alice/restart", f"{base}/state/container/ai.gone"]
    others = ["resurgam/other/state/container/ai.gone", "homeassistant/device/x/config"]
    async with connected(Door(ours.address, "us", None)) as us:
        for where in (*mine, *lost, *others):
            await us.publish(where, b"{}", 1, True, 0.0)
    house = replace(HOUSE, services=("ai.oracle",))
    seen = await seen_of(ours, house)
    assert "and 1 more: kept for nothing" in findings(seen)["leftovers"]
    found = leftovers(seen)
    assert list(found) == lost
    await clear(ours.address, found, CLOCK)
    after = await seen_of(ours, house)
    assert sorted(after.kept) == sorted([*mine, others[0]])
    assert after.discovery == (others[1],)
    await clear(ours.address, everything(after), CLOCK)
    assert list((await seen_of(ours, house)).kept) == [others[0]]


async def test_who_floods_the_commands_holds_up_neither_alerts_nor_others(ours: Mosquitto, tmp_path: Path) -> None:
    """Acknowledgements of what we publish come behind all that is sent to us, on the same connection."""
    base, got = "resurgam/box/cmd", []

    class Ear:
        patterns = (f"{base}/+/+", f"{base}/alice/+", f"{base}/bob/+")

        def refused(self, pattern: str, why: str) -> None:
            assert not why

        async def heard(self, broker: Connection, message: Received) -> None:
            got.append(message.topic)

    inbox, daemon = Inbox([Ear()]), door(ours, "resurgam")()
    await daemon.connect()
    await inbox.subscribe(daemon)
    serving = asyncio.ensure_future(inbox.serve(daemon))
    secret = (ours.folder / "alice.password").read_text().strip()
    (tmp_path / "lines").write_bytes(b'{"id": "a"}\n' * 150_000)
    with (tmp_path / "lines").open("rb") as lines:
        words = ("-h", "127.0.0.1", "-p", str(ours.port), "-u", "alice", "-P", secret, "-t", f"{base}/alice/ack", "-l")
        flood = await asyncio.create_subprocess_exec("mosquitto_pub", *words, stdin=lines)
    bob = door(ours, "bob")()
    await bob.connect()
    for _ in range(4):
        await asyncio.wait_for(daemon.publish("resurgam/box/event/alert", b"{}", 1, False, 60.0), 5.0)
        await asyncio.sleep(0.2)
    await bob.publish(f"{base}/bob/ack", b"{}", 1, False, 0.0)
    await eventually(lambda: f"{base}/bob/ack" in got, 3.0)
    assert f"{base}/alice/+" in inbox.trouble
    with contextlib.suppress(ProcessLookupError):
        flood.kill()
    await flood.wait()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await bob.close()
    await daemon.close()
