"""The load generator tells apart what callers meet: were it blind, every swap would look good."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.openloop import BUSY, CUT, OK, OTHER, REFUSED, RESET, STREAMS, TIMEOUT, Answer, Load, summarize

pytestmark = pytest.mark.real

EVENT = b'data: {"model": "a"}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


SAID = {
    "whole": (b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"model": "a"}', OK, None),
    "whole stream": (HEAD + chunk(EVENT) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n", None, OK),
    "old stream": (b"HTTP/1.0 200 OK\r\n\r\n" + EVENT + b"data: [DONE]\n\n", None, OK),
    "short": (b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"model"', CUT, None),
    "no last chunk": (HEAD + chunk(EVENT) + chunk(b"data: [DONE]\n\n"), None, CUT),
    "no [DONE]": (HEAD + chunk(EVENT) + b"0\r\n\r\n", None, CUT),
    "old stream that stops": (b"HTTP/1.0 200 OK\r\n\r\n" + EVENT, None, CUT),
    "an error in the stream": (HEAD + chunk(b'data: {"error": 1}\n\ndata: [DONE]\n\n') + b"0\r\n\r\n", None, CUT),
    "nothing": (b"", RESET, RESET),
    "busy": (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", BUSY, BUSY),
    "broken": (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", OTHER, OTHER),
}


@asynccontextmanager
async def saying(data: bytes | None, *, reset: bool = False) -> AsyncIterator[int]:
    """A server that says this to everybody, and ends the connection; None: says nothing, and does not end it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if data is None:
            await reader.read()
            await reader.read()
        if reset:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        writer.write(data or b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def kinds(port: int, within: float = 30.0) -> tuple[set[str], set[str]]:
    """What becomes of those that do not stream, and of those that do."""
    load = Load("127.0.0.1", port, rate=500.0, within=within)
    await asyncio.wait_for(load.run(10 / 500), 60)
    assert [one.number for one in load.answers if one.stream] == list(STREAMS)
    return (
        {one.kind for one in load.answers if not one.stream},
        {one.kind for one in load.answers if one.stream},
    )


@pytest.mark.parametrize("name", SAID)
async def test_what_is_said(name: str) -> None:
    data, plain, stream = SAID[name]
    async with saying(data) as port:
        found = await kinds(port)
    assert plain is None or found[0] == {plain}
    assert stream is None or found[1] == {stream}


async def test_what_is_not_said() -> None:
    async with saying(b"", reset=True) as port:
        assert await kinds(port) == ({RESET}, {RESET})
    assert await kinds(port) == ({REFUSED}, {REFUSED})
    async with saying(None) as port:
        assert await kinds(port, within=0.2) == ({TIMEOUT}, {TIMEOUT})


async def test_requests_come_however_slow_the_answers_are() -> None:
    arrived: list[bytes] = []
    all_here = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            arrived.append(head)
            if len(arrived) == 30:
                all_here.set()
            await all_here.wait()  # nobody is answered before the last one has come
            body = json.dumps({"model": "a"}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    load = Load("127.0.0.1", server.sockets[0].getsockname()[1], rate=100.0)
    task = asyncio.ensure_future(load.run(0.3))
    await asyncio.wait_for(task, 60)
    server.close()
    assert len(load.answers) == len(arrived) == 30


def test_the_outage_is_from_the_last_answer_of_one_to_the_first_of_the_next() -> None:
    def row(number: int, model: str, start: float, first: float, end: float, kind: str = OK) -> Answer:
        return Answer(number, start, False, False, start, first, end, kind, 200, model)

    rows = [
        row(0, "a", 0.0, 0.1, 0.2),
        row(1, "a", 1.0, 1.1, 1.2),
        row(2, "", 1.5, 0.0, 1.5, REFUSED),
        row(3, "b", 2.0, 5.0, 5.1),
        row(4, "b", 6.0, 6.1, 6.2),
    ]
    found = summarize(rows, began=1.3)
    assert found.outage == pytest.approx(3.8)
    assert found.success == pytest.approx(3.8)
    assert found.longest == pytest.approx(3.0)
    assert (found.sent, found.failed, found.kinds) == (5, 1, {OK: 4, REFUSED: 1})
    assert found.models == {"a": 2, "b": 2}
    assert (found.before[0], found.after[0]) == (pytest.approx(0.2), pytest.approx(0.2))
    assert found.during[0] == pytest.approx(3.1)
