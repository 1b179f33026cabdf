"""Many machines at one real broker: one name for one machine, the fleet in a table, a bridge that loses nothing."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest

from supervisor.bus.link.address import Address
from supervisor.bus.link.mqtt import Door
from supervisor.bus.managed import find
from supervisor.bus.messages import Message, availability
from supervisor.bus.telling import Telling
from supervisor.cli.main import main
from supervisor.clock import SystemClock
from supervisor.config.settings import Settings
from supervisor.config.yaml import Document, validate
from supervisor.errors import BrokerError
from supervisor.facts import BusState, Fact
from supervisor.journal import Journal, JournalThread
from tests.support.broker import eventually
from tests.support.bus import snapshot
from tests.support.mosquitto import OwnMosquitto

pytestmark = pytest.mark.real

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "bridge"
FIVE = aiomqtt.ProtocolVersion.V5


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[OwnMosquitto]:
    made = OwnMosquitto(tmp_path / "broker", persistent=False)
    await made.start()
    yield made
    await made.kill()


@dataclass
class Machine:
    """A daemon's whole edge to people, without a daemon behind it."""

    host: str
    state: Path
    url: str
    told: list[BusState] = field(default_factory=list)

    def __post_init__(self) -> None:
        said = {"host": self.host, "state_dir": str(self.state), "mqtt": {"url": self.url}}
        settings = validate(Settings, Document("resurgam.yaml", said))
        clock = SystemClock()
        self.journal = Journal.open(None, clock)
        self.thread = JournalThread(self.journal)
        self.telling = Telling(settings, self.thread, clock, self._submit, self._ask)
        self.tasks: list[asyncio.Future[None]] = []

    def _submit(self, fact: Fact) -> None:
        if isinstance(fact, BusState):
            self.told.append(fact)

    async def _ask(self, fact: Fact) -> object:
        raise AssertionError(f"nobody commands here: {fact}")

    def start(self, **changes: object) -> None:
        self.telling.show(snapshot(host=self.host, **changes))
        self.telling.open(lambda _name, body: self.tasks.append(asyncio.ensure_future(body())))

    @property
    def speaks(self) -> bool:
        return bool(self.told) and self.told[-1].connected

    async def stop(self) -> None:
        await self.telling.quiet()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.thread.close()
        self.journal.close()


async def fleet(*words: str) -> int:
    """`resurgam fleet …`, in this process; its exit code."""
    return await asyncio.to_thread(main, ["fleet", *words])


@pytest.fixture
def config(broker: OwnMosquitto, tmp_path: Path) -> str:
    """A resurgam.yaml that names the broker, for the command line."""
    file = tmp_path / "resurgam.yaml"
    file.write_text(json.dumps({"mqtt": {"url": broker.url}, "state_dir": str(tmp_path / "none")}))
    return str(file)


# ---------------------------------------------------------------- one name, one machine


async def test_of_two_machines_with_one_name_one_speaks_and_the_other_follows_when_it_ends(
    broker: OwnMosquitto, tmp_path: Path
) -> None:
    one, two = (Machine("box", tmp_path / name, broker.url) for name in ("a", "b"))
    one.start(version="1.0")
    await eventually(lambda: one.speaks)
    two.start(version="2.0")
    try:
        await eventually(lambda: bool(two.told))
        assert not two.speaks
        assert f"node {one.telling.node}" in two.told[-1].text
        assert two.telling.troubles()["alias"] == two.told[-1].text
        got = await kept(broker, "resurgam/box/#")
        assert json.loads(got["resurgam/box/journal"])["machine"] == one.telling.node
        assert json.loads(got["resurgam/box/state/daemon"])["version"] == "1.0"
        assert got["resurgam/box/availability"] == b"online"
        await one.stop()
        await eventually(lambda: two.speaks, 15.0)
        got = await kept(broker, "resurgam/box/#")
        assert json.loads(got["resurgam/box/state/daemon"])["version"] == "2.0"
        assert got["resurgam/box/availability"] == b"online"
        assert two.telling.troubles()["alias"] == ""
    finally:
        await two.stop()


async def test_two_that_start_in_the_same_instant_are_one_soon_and_its_documents_stand(
    broker: OwnMosquitto, tmp_path: Path
) -> None:
    machines = [Machine("box", tmp_path / name, broker.url) for name in ("a", "b")]
    first = min(machines, key=lambda one: one.telling.node)
    for one in machines:
        one.start(version=one.telling.node)
    try:
        await eventually(lambda: all(one.told for one in machines))
        await eventually(lambda: [one.speaks for one in machines].count(True) == 1, 10.0)

        async def settled() -> bool:
            got = await kept(broker, "resurgam/box/#")
            found = {json.loads(got[f"resurgam/box/{name}"]).get("machine", "") for name in ("journal",)}
            found.add(json.loads(got["resurgam/box/state/daemon"])["version"])
            return len(found) == 1 and got["resurgam/box/availability"] == b"online"

        for _ in range(40):
            if await settled():
                break
            await asyncio.sleep(0.05)
        assert await settled()
        assert first.speaks
    finally:
        for one in machines:
            await one.stop()


async def test_a_cloned_machine_is_named_as_what_it_is(broker: OwnMosquitto, tmp_path: Path) -> None:
    one = Machine("box", tmp_path / "a", broker.url)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    two = Machine("box", tmp_path / "b", broker.url)
    assert one.telling.node == two.telling.node
    one.start()
    await eventually(lambda: one.speaks)
    two.start()
    try:
        # a broker that says why (0x8E) is believed at once, one that only hangs up after a few times
        said = ("took over our client id", "another client may use our client id")
        texts = lambda: [state.text for state in (*one.told, *two.told)]  # noqa: E731
        await eventually(lambda: any(word in text for word in said for text in texts()), 15.0)
        assert any("a cloned machine needs a state folder of its own" in text for text in texts())
    finally:
        await one.stop()
        await two.stop()


async def kept(broker: OwnMosquitto, pattern: str) -> dict[str, bytes]:
    """What the broker keeps."""
    found: dict[str, bytes] = {}
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=FIVE) as client:
        await client.subscribe(pattern, qos=0)
        with contextlib.suppress(TimeoutError):
            while True:
                message = await asyncio.wait_for(anext(client.messages), 0.15)
                found[str(message.topic)] = bytes(message.payload)
    return found


# ---------------------------------------------------------------- fleet status


async def test_the_fleet_is_shown_without_a_daemon(
    broker: OwnMosquitto, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await fleet("status", "--config", config) == 1
    assert "Nobody speaks on mqtt://127.0.0.1" in capsys.readouterr().out

    machines = [Machine(name, tmp_path / name, broker.url) for name in ("alpha", "beta")]
    for one in machines:
        one.start()
    await eventually(lambda: all(one.speaks for one in machines))
    assert await fleet("status", "--config", config) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["HOST", "NODE", "STATE", "VERSION", "MODE", "ALERTS", "LAST", "SEEN", "NOTE"]
    assert shown[1].split()[:6] == ["alpha", machines[0].telling.node, "ok", "0.1.0", "heal", "-"]
    assert shown[-1] == "All 2 are there, and none has a critical alert."

    await machines[1].stop()
    assert await fleet("status", "-o", "json", "--config", config) == 1
    document = json.loads(capsys.readouterr().out)
    assert {host["host"]: host["state"] for host in document["hosts"]} == {"alpha": "ok", "beta": "offline"}
    await machines[0].stop()


async def test_a_fleet_beyond_what_a_broker_gives_with_quality_1_is_seen_whole(
    broker: OwnMosquitto, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = 600
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=FIVE) as client:
        for number in range(hosts):
            base = f"resurgam/box{number:03}"
            await client.publish(f"{base}/availability", b"online", 0, True)
            await client.publish(f"{base}/state/daemon", json.dumps({"status": "ok", "version": "1"}), 0, True)
            await client.publish(f"{base}/state/alerts", json.dumps({"alerts": ["x" * 6000], "more": 0}), 0, True)
        await client.publish("resurgam/end", b"x", 1)
    assert await fleet("status", "-o", "json", "--config", config) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["hosts"]) == hosts
    assert {host["state"] for host in document["hosts"]} == {"ok"}


async def test_who_cannot_be_asked_is_said_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "resurgam.yaml"
    for url, code, text in (
        ("none", 2, "there is no broker: mqtt.url is none"),
        ("auto", 2, "no broker was started here yet"),
        ("mqtt://127.0.0.1:1", 4, "nothing listens at mqtt://127.0.0.1:1"),
    ):
        file.write_text(json.dumps({"mqtt": {"url": url}, "state_dir": str(tmp_path)}))
        assert await fleet("status", "--config", str(file)) == code
        assert text in capsys.readouterr().err


# ---------------------------------------------------------------- the bridge of docs/examples


class Uplink:
    """A wire between two brokers that can be cut."""

    def __init__(self, port: int) -> None:
        self._to, self._up = port, True
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.close()
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, outer]
        await asyncio.gather(_pass(reader, outer), _pass(inner, writer), return_exceptions=True)

    def cut(self) -> None:
        self._up = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self._up = True

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Example:
    """One of the brokers of docs/examples/bridge, as it stands there but for its places and its passwords."""

    def __init__(self, name: str, folder: Path, users: tuple[str, ...], **places: str) -> None:
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        passwords = folder / "passwords"
        passwords.touch(0o600)
        for user in users:
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, f"secret-{user}"], check=True)
        shutil.copy(EXAMPLE / f"{name}.acl", folder)
        text = (EXAMPLE / f"{name}.conf").read_text()
        said = {"listener 1883 127.0.0.1": f"listener {self.port} 127.0.0.1", "remote_password change-me": "", **places}
        said |= {"listener 1883\n": f"listener {self.port} 127.0.0.1\n", "/var/lib/mosquitto/": f"{folder}/"}
        said |= {"/etc/mosquitto/site/": f"{folder}/", "/etc/mosquitto/resurgam/": f"{folder}/"}
        said["remote_password change-me"] = "remote_password secret-box1"
        for old, new in said.items():
            text = text.replace(old, new)
        root = "user root\n" if os.geteuid() == 0 else ""
        self._file = folder / "mosquitto.conf"
        self._file.write_text(root + text)
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(find(), "-c", str(self._file), stderr=subprocess.DEVNULL)
        for _ in range(300):
            with contextlib.suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.01)
        raise AssertionError("mosquitto does not answer")

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    def user(self, name: str, ident: str = "") -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1", self.port, username=name, password=f"secret-{name}", identifier=ident or None, protocol=FIVE
        )

    def door(self, name: str, will: Message | None = None) -> Door:
        secret = self._folder / f"{name}.secret"
        secret.write_text(f"secret-{name}\n")
        secret.chmod(0o600)
        return Door(Address("tcp", "127.0.0.1", self.port, name, str(secret)), f"test-{name}", will)


async def test_a_bridge_loses_nothing_while_its_uplink_is_down_and_a_box_speaks_for_itself_alone(
    tmp_path: Path,
) -> None:
    site = Example("site", tmp_path / "site", ("box1", "box2", "phone"))
    await site.start()
    wire = Uplink(site.port)
    await wire.start()
    box = Example("box", tmp_path / "box", ("resurgam", "listener"), **{"site.lan:1883": f"127.0.0.1:{wire.port}"})
    await box.start()
    daemon = box.door("resurgam")()
    await daemon.connect()
    got: list[tuple[str, bytes]] = []
    try:
        async with site.user("phone") as phone:
            for pattern in ("resurgam/+/event/#", "resurgam/+/availability", "resurgam/+/reply/phone/#", "uplink/#"):
                await phone.subscribe(pattern, qos=1)
            hearing = asyncio.ensure_future(_hear(phone, got))
            await daemon.subscribe("resurgam/box1/cmd/+/+")
            online = availability("box1", online=True)
            await daemon.publish(online.topic, online.payload, 1, True, 0.0)
            await eventually(lambda: ("resurgam/box1/availability", b"online") in got, 10.0)

            numbers = [b"%d" % number for number in range(60)]
            for number in numbers[:20]:
                await daemon.publish("resurgam/box1/event/alert", number, 1, False, 600.0)
            wire.cut()
            await eventually(lambda: ("uplink/box1", b"0") in got, 10.0)
            for number in numbers[20:]:
                await daemon.publish("resurgam/box1/event/alert", number, 1, False, 600.0)
            assert len(_events(got)) <= 20
            wire.mend()
            await eventually(lambda: _events(got)[-1:] == numbers[-1:], 15.0)
            # repeats come with their own number; what counts is that each came, and first in its place
            assert list(dict.fromkeys(_events(got))) == numbers

            # a command of the site reaches the box, and its answer comes back
            await phone.publish("resurgam/box1/cmd/phone/ack", b'{"id": "a1"}', qos=1)
            heard = await asyncio.wait_for(daemon.received(), 5.0)
            assert (heard.topic, heard.payload, heard.retained) == (
                "resurgam/box1/cmd/phone/ack",
                b'{"id": "a1"}',
                False,
            )
            await daemon.publish("resurgam/box1/reply/phone/ack", b"{}", 1, False, 60.0)
            await eventually(lambda: ("resurgam/box1/reply/phone/ack", b"{}") in got)

            # what the box has for another one stays at home, and the site would not take it either
            await daemon.publish("resurgam/box2/event/alert", b"forged", 1, False, 60.0)
            await _may_not(site.door("box1"), "resurgam/box2/event/alert", "resurgam/box2/cmd/box1/restart")
            await _may_not(site.door("box1"), "resurgam/box1/cmd/phone/restart", "resurgam/box2/availability")
            await _may_not(site.door("phone"), "resurgam/box1/event/alert", "resurgam/box1/cmd/box2/restart")
            await daemon.publish("resurgam/box1/event/alert", b"last", 1, False, 60.0)
            await eventually(lambda: _events(got)[-1:] == [b"last"])
            assert not [topic for topic, payload in got if payload == b"forged"]
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    finally:
        await daemon.close()
        await box.stop()
        await wire.stop()
        await site.stop()


async def _hear(client: aiomqtt.Client, got: list[tuple[str, bytes]]) -> None:
    with contextlib.suppress(aiomqtt.MqttError):
        async for message in client.messages:
            got.append((str(message.topic), bytes(message.payload)))  # noqa: PERF401 - others look at it meanwhile


def _events(got: list[tuple[str, bytes]]) -> list[bytes]:
    return [payload for topic, payload in got if topic == "resurgam/box1/event/alert"]


async def _may_not(door: Callable[[], object], *topics: str) -> None:
    assert isinstance(door, Door)
    visitor = door()
    await visitor.connect()
    for where in topics:
        with pytest.raises(BrokerError) as refused:
            await visitor.publish(where, b"forged", 1, False, 60.0)
        assert refused.value.code == 0x87, where
    await visitor.close()
