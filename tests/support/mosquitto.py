"""A real mosquitto that can be killed, stopped and started, and a durable subscriber to it. For the real tier."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiomqtt

from supervisor.bus.link.connection import Connection
from supervisor.bus.link.mqtt import Door
from supervisor.bus.managed import Mosquitto, find
from supervisor.clock import SystemClock
from tests.support.broker import WILL


class Listener:
    """A subscriber with a session that outlives its connections; comes back whenever it is cut off."""

    def __init__(self, mosquitto: Mosquitto, name: str, pattern: str) -> None:
        self._mosquitto, self._name, self._pattern = mosquitto, name, pattern
        self.got: list[bytes] = []
        self.subscribed = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        secret = (self._mosquitto.folder / "listener.password").read_text().strip()
        while True:
            with contextlib.suppress(aiomqtt.MqttError, ValueError):
                async with aiomqtt.Client(
                    "127.0.0.1",
                    self._mosquitto.port,
                    username="listener",
                    password=secret,
                    identifier=self._name,
                    clean_session=False,
                    timeout=3,
                ) as client:
                    await client.subscribe(self._pattern, qos=1)
                    self.subscribed.set()
                    async for message in client.messages:
                        self.got.append(bytes(message.payload))
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class RealRig:
    """The managed mosquitto of a state folder, as tests/support/broker.Rig wants it."""

    def __init__(self, state_dir: Path) -> None:
        self.mosquitto = Mosquitto(find(), state_dir, SystemClock(), port=0)
        self.listeners: list[Listener] = []
        self._speaker: Connection | None = None

    def make(self) -> Connection:
        return Door(self.mosquitto.address, "resurgam-test", WILL, ack_limit=1.0, connect_limit=2.0)()

    async def listen(self, pattern: str) -> Callable[[], list[bytes]]:
        listener = Listener(self.mosquitto, f"listener{len(self.listeners)}", pattern)
        self.listeners.append(listener)
        await asyncio.wait_for(listener.subscribed.wait(), 5.0)
        return lambda: list(listener.got)

    @property
    def pid(self) -> int:
        return int((self.mosquitto.folder / "mosquitto.pid").read_text())

    async def start(self) -> None:
        if port := self.mosquitto.port:
            self.mosquitto._wish = port  # so that subscribers find it again
        await self.mosquitto.ensure()

    async def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        if self._speaker is None:
            self._speaker = Door(self.mosquitto.address, "speaker", WILL, ack_limit=1.0, connect_limit=2.0)()
            await self._speaker.connect()
        await self._speaker.publish(topic, payload, 1, retain, 0.0)

    async def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        if self.mosquitto._process is not None:
            await self.mosquitto._process.wait()

    async def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    async def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def end(self) -> None:
        for listener in self.listeners:
            await listener.close()
        if self._speaker is not None:
            await self._speaker.abort()
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid, signal.SIGCONT)
        await self.mosquitto.close()


@contextlib.asynccontextmanager
async def user(folder: Path, name: str) -> AsyncIterator[aiomqtt.Client]:
    """Somebody who speaks MQTT 5 to the managed broker of that folder, on its loopback port."""
    secret = (folder / f"{name}.password").read_text().strip()
    port, five = int((folder / "port").read_text()), aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, username=name, password=secret, protocol=five, identifier="") as made:
        yield made


class OwnMosquitto:
    """A mosquitto with a configuration of the test's own, on a loopback port: what other people's brokers are like."""

    def __init__(
        self, folder: Path, *, persistent: bool = True, lines: Sequence[str] = ("allow_anonymous true",)
    ) -> None:
        """`persistent`: it saves what it acknowledged within a second, else nothing outlives it."""
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        saves = [f"persistence_location {folder}/", "autosave_on_changes true", "autosave_interval 1"]
        text = [
            f"listener {self.port} 127.0.0.1",
            f"persistence {str(persistent).lower()}",
            *(saves if persistent else []),
            *(["user root"] if os.geteuid() == 0 else []),
            *lines,
        ]
        self.folder, self._file = folder, folder / "mosquitto.conf"
        self._file.write_text("\n".join(text) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Let it run (again); returns when it takes connections."""
        self._process = await asyncio.create_subprocess_exec(
            find(), "-c", str(self._file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            with contextlib.suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"mosquitto does not answer at {self.url}")

    def signal(self, number: int) -> None:
        """SIGSTOP, SIGCONT …"""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def empty(self) -> None:
        """Kill it, with all that it had."""
        await self.kill()
        (self.folder / "mosquitto.db").unlink(missing_ok=True)
