"""The MQTT client against a few lines of a broker over loopback: old protocols, refusals, limits.

What mosquitto can show is in tests/real/test_bus_broker.py; this is what it cannot.
"""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from supervisor.bus.link.address import Address
from supervisor.bus.link.mqtt import Door
from supervisor.errors import BrokerError
from tests.support.broker import WILL


class TinyBroker:
    """Takes CONNECT and QoS 1 PUBLISH. `five`: how MQTT 5 is met: accept, refuse, or hang up."""

    def __init__(self) -> None:
        self.five = "accept"
        self.limits = b""
        self.acks = True
        self.levels: list[int] = []
        self.published: list[bytes] = []
        self.unanswered = self.most_unanswered = 0
        self.port = 0
        self._server: asyncio.Server

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                kind, body = await self._packet(reader)
                if kind >> 4 == 1 and not self._connect(body, writer):
                    break
                if kind >> 4 == 3:
                    self.published.append(body)
                    self.unanswered += 1
                    self.most_unanswered = max(self.most_unanswered, self.unanswered)
                    topic = struct.unpack("!H", body[:2])[0]
                    if self.acks:
                        asyncio.get_running_loop().call_later(0.03, self._ack, writer, body[2 + topic : 4 + topic])
                if kind >> 4 == 14:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def _ack(self, writer: asyncio.StreamWriter, mid: bytes) -> None:
        self.unanswered -= 1
        writer.write(b"\x40\x02" + mid)

    def _connect(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        level = body[6]
        self.levels.append(level)
        if level == 4:
            writer.write(b"\x20\x02\x00\x00")
        elif self.five == "accept":
            writer.write(bytes([0x20, 3 + len(self.limits), 0, 0, len(self.limits)]) + self.limits)
        elif self.five == "refuse":
            writer.write(b"\x20\x02\x00\x01")
        return level == 4 or self.five == "accept"

    async def _packet(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        kind = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return kind, await reader.readexactly(length)


@pytest.fixture
async def tiny() -> AsyncIterator[TinyBroker]:
    found = TinyBroker()
    await found.start()
    yield found
    await found.stop()


def door_to(tiny: TinyBroker) -> Door:
    return Door(Address("tcp", "127.0.0.1", tiny.port), "me", WILL, ack_limit=0.15, connect_limit=1.0)


async def test_an_old_broker_that_says_so_is_spoken_to_in_3_1_1_for_good(tiny: TinyBroker) -> None:
    tiny.five = "refuse"
    door = door_to(tiny)
    for _ in range(2):
        broker = door()
        await broker.connect()
        assert (await broker.publish("resurgam/x", b"1", 1, False, 60.0)).heard
        await broker.close()
    assert tiny.levels == [5, 4, 4]


async def test_a_silent_hang_up_falls_back_too_but_is_believed_only_the_second_time(tiny: TinyBroker) -> None:
    tiny.five = "hang up"
    door = door_to(tiny)
    for _ in range(3):
        broker = door()
        await broker.connect()
        await broker.close()
    assert tiny.levels == [5, 4, 5, 4, 4]


async def test_the_limits_of_the_broker_are_kept(tiny: TinyBroker) -> None:
    tiny.limits = b"\x21" + struct.pack("!H", 3) + b"\x27" + struct.pack("!I", 1000)
    broker = door_to(tiny)()
    await broker.connect()
    await asyncio.gather(*(broker.publish("resurgam/x", b"%d" % n, 1, False, 0.0) for n in range(6)))
    assert tiny.most_unanswered == 3
    with pytest.raises(BrokerError) as caught:
        await broker.publish("resurgam/x", b"x" * 1000, 1, False, 0.0)
    assert caught.value.code == 0x95
    assert (await broker.publish("resurgam/x", b"small", 1, False, 0.0)).heard
    await broker.close()


async def test_an_acknowledgement_that_does_not_come_ends_the_connection(tiny: TinyBroker) -> None:
    tiny.acks = False
    broker = door_to(tiny)()
    await broker.connect()
    with pytest.raises(BrokerError, match="did not acknowledge"):
        await broker.publish("resurgam/x", b"1", 1, False, 0.0)
    await asyncio.wait_for(broker.closed(), 1.0)
    with pytest.raises(BrokerError):
        await broker.publish("resurgam/x", b"2", 1, False, 0.0)
    await broker.close()
