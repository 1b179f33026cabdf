"""A stranger's consumer beside a witness, at a broker that is hurt, and a slow way to it. For the real tier.

`Stranger` runs docs/examples/consumer.py; `Witness` sees what a subscriber without a memory gets; `everything` is what
both should have had.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from pathlib import Path

import aiomqtt

from supervisor.bus.messages import render
from supervisor.journal import Journal
from tests.support.bus import HOST
from tests.support.edge import USER
from tests.support.mosquitto import OwnMosquitto

CONSUMER = Path(__file__).parents[2] / "docs" / "examples" / "consumer.py"


class Stranger:
    """docs/examples/consumer.py as a process of its own, killed and started like the rest."""

    def __init__(self, folder: Path, broker: OwnMosquitto) -> None:
        self.file, self._errors = folder / "events.jsonl", folder / "consumer.stderr"
        secret = folder / "password"
        secret.write_text("not asked for\n")
        self._argv = ("127.0.0.1", str(broker.port), USER, str(secret), f"resurgam/{HOST}", str(self.file))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, str(CONSUMER), *self._argv, stderr=errors
            )

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def lines(self) -> list[bytes]:
        """What it heard, whole lines only."""
        return self.file.read_bytes().split(b"\n")[:-1] if self.file.exists() else []

    def last(self) -> int:
        """The number of the newest; 0 for none."""
        if not self.file.exists():
            return 0
        with self.file.open("rb") as file:
            file.seek(max(0, self.file.stat().st_size - 200_000))
            lines = file.read().split(b"\n")[:-1]
        return json.loads(lines[-1])["seq"] if lines else 0

    @property
    def errors(self) -> str:
        return self._errors.read_text()


class Witness:
    """Sees every event and every replayed one that a subscriber without a memory gets."""

    def __init__(self, broker: OwnMosquitto) -> None:
        self._broker = broker
        self.live: list[bytes] = []
        self.replayed: list[bytes] = []
        self.documents: dict[str, bytes] = {}
        """the newest on every other topic"""
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError, ValueError):
                async with aiomqtt.Client("127.0.0.1", self._broker.port, timeout=3) as client:
                    await client.subscribe("resurgam/#", qos=1)
                    async for message in client.messages:
                        self._hear(str(message.topic), bytes(message.payload))
            await asyncio.sleep(0.05)

    def _hear(self, where: str, payload: bytes) -> None:
        if "/event/" in where:
            self.live.append(payload)
        elif "/reply/" in where and b'"specversion"' in payload:
            self.replayed.append(payload)
        else:
            self.documents[where] = payload

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Throttle:
    """A way to a broker that lets so many bytes a second through in each direction."""

    def __init__(self, rate: float) -> None:
        self.rate, self.target, self.port = rate, 0, 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Throttle":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            ways = (self._copy(reader, far_writer), self._copy(far_reader, writer))
            await asyncio.gather(*ways, return_exceptions=True)
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(400):
                await asyncio.sleep(len(chunk) / self.rate)
                writer.write(chunk)
                await writer.drain()
        finally:
            writer.close()


def everything(journal: Journal) -> list[bytes]:
    """Every public row of it as an event."""
    found = [render(row, HOST, journal.epoch) for row in journal.rows(public=True, limit=10_000_000)]
    return [message.payload for message in found if message is not None]


def difference(got: list[bytes], wanted: list[bytes]) -> str:
    """In a few words."""
    mine, theirs = seqs(got), seqs(wanted)
    lost, repeated = sorted(set(theirs) - set(mine)), [seq for seq, count in Counter(mine).items() if count > 1]
    return f"{len(lost)} lost {lost[:5]}, repeated {repeated[:5]}, in order: {mine == sorted(mine)}"


def seqs(bodies: list[bytes]) -> list[int]:
    return [json.loads(body)["seq"] for body in bodies]
