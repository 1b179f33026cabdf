"""The gate over real sockets on loopback: the suite of gates, callers and model servers that do everything wrong, and
bytes that must pass untouched."""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.support.gate_suite")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from supervisor.clock import SystemClock  # noqa: E402
from supervisor.facts import Fact, GateState, Slot, SlotModel  # noqa: E402
from supervisor.gate import Gates, door, heads, passing, wire  # noqa: E402
from tests.support.gate_suite import CHECKS, CUT, FAILED, OK, SLOT, TURNED, Check  # noqa: E402
from tests.support.openloop import Load  # noqa: E402

pytestmark = pytest.mark.real

LIMIT = 60.0
"""seconds: that something hangs, no more"""
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
How = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""what a model server does with one request: (head, the rest of what comes in, the way back)"""


@asynccontextmanager
async def server(how: How, port: int = 0) -> AsyncIterator[str]:
    """A server that does with each connection's first request what it likes; where it is."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await how(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()


def says(data: bytes) -> How:
    async def how(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return how


class Lab:
    """A gate at a free port, and callers. Implements gate_suite.Lab."""

    def __init__(self, gate: Gates, port: int) -> None:
        self.gate, self.port = gate, port
        self.answered: list[str] = []
        self.stack = contextlib.AsyncExitStack()
        self._released = asyncio.Event()
        self._servers: dict[str, contextlib.AsyncExitStack] = {}
        self._ports: dict[str, int] = {}

    @property
    def state(self) -> GateState:
        found = self.gate.state(SLOT)
        assert found is not None
        return found

    # ------------------------------------------------------------ gate_suite.Lab

    def ask(self) -> Callable[[], Awaitable[tuple[str, str]]]:
        task = asyncio.get_running_loop().create_task(self._ask())

        async def end() -> tuple[str, str]:
            return await asyncio.wait_for(task, LIMIT)

        return end

    async def _ask(self) -> tuple[str, str]:
        raw = await self.say(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        status, body = parts(raw)
        if status == 200:
            return OK, json.loads(body)["model"]
        text = json.loads(body)["error"]["message"]
        return (CUT if "takes over" in text else TURNED if status == 503 else FAILED), ""

    async def serve(self, model: str, *, busy: bool = False) -> str:
        async def how(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(2)
            self.answered.append(model)
            if busy:
                await self._released.wait()
            writer.write(answer(json.dumps({"model": model}).encode()))

        stack = self._servers[model] = contextlib.AsyncExitStack()
        where = await stack.enter_async_context(server(how, self._ports.get(model, 0)))
        self._ports[model] = int(where.rpartition(":")[2])
        return where

    async def leave(self, model: str) -> None:
        await self._servers.pop(model).aclose()
        await asyncio.sleep(0)

    def release(self) -> None:
        self._released.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.002)

    async def hang_up(self) -> None:
        _reader, writer = await self.connect()
        writer.write(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        await self.until(lambda: self.state.held == 1)
        writer.close()

    # ------------------------------------------------------------ callers on plain sockets

    async def connect(self) -> Peer:
        return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), LIMIT)

    async def say(self, data: bytes) -> bytes:
        """What is answered, whole or not, until the connection ends or the answer is whole."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            async with asyncio.timeout(LIMIT):
                return await whole(reader)
        finally:
            writer.close()


async def whole(reader: asyncio.StreamReader) -> bytes:
    """One answer with a length, or all until the end."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head + await reader.read()


def answer(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


def parts(raw: bytes) -> tuple[int, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


@asynccontextmanager
async def lab(dialling: wire.Dial = wire.dial, **bounds: Any) -> AsyncIterator[Lab]:
    facts: list[Fact] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    slot = Slot(SLOT, (SlotModel("a"),), listen=f"127.0.0.1:{port}", **bounds)
    gates = Gates([slot, Slot("other", (SlotModel("a"),))], SystemClock(), facts.append, dialling)
    await gates.start()
    running = asyncio.get_running_loop().create_task(gates.run())
    made = Lab(gates, port)
    try:
        async with made.stack:
            yield made
            await asyncio.sleep(0)
        assert gates.faults == 0
    finally:
        running.cancel()
        await gates.close()
        for stack in made._servers.values():
            await stack.aclose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_suite(check: Check) -> None:
    await check(lab)


# ------------------------------------------------------------ bytes

PIECES = st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=12)


def chunks(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Sum: 1\r\n\r\n"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=PIECES, said=PIECES, kinds=st.tuples(st.booleans(), st.sampled_from("lcx")), data=st.data())
async def test_bytes_pass_as_they_came_however_they_are_cut(
    asked: list[bytes], said: list[bytes], kinds: tuple[bool, str], data: st.DataObject
) -> None:
    in_chunks, how_said = kinds
    if in_chunks:
        request = b"POST /x?q HTTP/1.1\r\nhost:  a \r\nTransfer-Encoding: chunked\r\nX-Odd:\r\n\r\n" + chunks(asked)
    else:
        body = b"".join(asked)
        request = b"POST /x?q HTTP/1.1\r\nContent-Length: %d\r\nX-Odd: \xff\r\n\r\n" % len(body) + body
    if how_said == "l":
        reply = answer(b"".join(said), more=b"Keep-Alive: timeout=5\r\n")
    elif how_said == "c":
        reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunks(said)
    else:
        reply = b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(request)), max_size=6)))
    breaks = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=6)))
    got: list[bytes] = []

    async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(head + await reader.readexactly(len(request) - len(head)))
        for start, end in zip([0, *breaks], [*breaks, len(reply)], strict=True):
            writer.write(reply[start:end])
            await writer.drain()
            await asyncio.sleep(0)

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True):
            writer.write(request[start:end])
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            heard = await reader.readexactly(len(reply))
            if how_said == "x":
                assert await reader.read() == b""
        writer.close()
    assert hashlib.sha256(got[0]).digest() == hashlib.sha256(request).digest()
    assert hashlib.sha256(heard).digest() == hashlib.sha256(reply).digest()


async def test_what_was_held_arrives_whole_though_it_is_large() -> None:
    body = bytes(range(256)) * 20_000
    got: list[bytes] = []

    async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(len(body)))
        writer.write(answer(b"x"))

    async with lab() as made, server(how) as where:
        asking = asyncio.ensure_future(made.say(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
        await made.until(lambda: made.state.held == 1)
        made.gate.open(SLOT, where)
        assert parts(await asking) == (200, b"x")
    assert got == [body]


async def test_what_waits_takes_no_more_memory_than_there_is_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.gate.doors.KEPT", 100_000)
    body = b"x" * 20_000_000
    async with lab() as made:
        _reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await made.until(lambda: made.state.held == 1)
        with pytest.raises(TimeoutError):  # it is left with its caller
            await asyncio.wait_for(writer.drain(), 0.3)
        (inside,) = made.gate._gates[SLOT].door._serving
        assert len(inside.ear._buffer) <= 2 * heads.LONGEST_HEAD + wire.PIECE  # type: ignore[attr-defined]
        writer.transport.abort()


async def test_what_comes_behind_an_answer_is_nobodys_answer() -> None:
    async def how(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(head.split(b" ")[1]) + answer(b"evil"))

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        for path in (b"/1", b"/2"):
            writer.write(b"GET %b HTTP/1.1\r\n\r\n" % path)
            async with asyncio.timeout(LIMIT):
                assert parts(await whole(reader)) == (200, path)
        writer.close()


async def test_requests_of_one_connection_are_served_in_order_also_when_they_come_at_once() -> None:
    async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.03 if b"/1 " in head else 0)
        writer.write(answer(head.split(b" ")[1]))

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(1, 4)))
        async with asyncio.timeout(LIMIT):
            said = [parts(await whole(reader))[1] for _ in range(3)]
        assert said == [b"/1", b"/2", b"/3"]
        await made.until(lambda: made.state.in_flight == 0)
        assert made.state.requests == 3
        writer.close()


async def test_answers_without_a_body_have_none() -> None:
    async def how(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        elif b"/304" in head:
            writer.write(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        for line, status in ((b"HEAD /", b"200"), (b"GET /304", b"304"), (b"GET /204", b"204")):
            writer.write(line + b" HTTP/1.1\r\n\r\n")
            async with asyncio.timeout(LIMIT):
                assert (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1] == status
        writer.close()


async def test_a_caller_that_waits_for_leave_to_send_its_body_gets_it_from_the_model_server() -> None:
    async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(answer(await reader.readexactly(5)))

    async with lab() as made, server(how) as where:
        reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        await made.until(lambda: made.state.held == 1)
        made.gate.open(SLOT, where)
        async with asyncio.timeout(LIMIT):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hello")
            assert parts(await whole(reader)) == (200, b"hello")
        writer.close()


async def test_an_answer_before_the_whole_request_arrives_and_ends_the_connection() -> None:
    async def how(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"too large", b"413 Payload Too Large"))
        await reader.read()

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        async with asyncio.timeout(LIMIT):
            assert parts(await whole(reader)) == (413, b"too large")
            assert await reader.read() == b""
        writer.close()


async def test_who_still_sends_when_it_is_refused_can_read_why() -> None:
    async with lab() as made:
        reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 900000\r\nContent-Length: 1\r\n\r\n")
        async with asyncio.timeout(LIMIT):
            while not reader._buffer:  # type: ignore[attr-defined]
                await asyncio.sleep(0.002)
            for _ in range(5):  # it has not read the refusal yet
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.005)
            assert parts(await whole(reader))[0] == 400
        writer.close()


# ------------------------------------------------------------ what is refused

REFUSED = {
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a hidden coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
    "a coding behind a tab of old": b"POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a coding in a list": b"POST / HTTP/1.1\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "a coding and nothing": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
    "chunks of old": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
    "a list of lengths": b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx",
    "a folded line": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
    "a bare return": b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
    "a bare line end": b"GET / HTTP/1.1\r\nX: a\nContent-Length: 5\r\n\r\n",
    "a zero byte": b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "spaces in the address": b"GET /a b HTTP/1.1\r\n\r\n",
    "a tunnel": b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    "another HTTP": b"PRI * HTTP/2.0\r\n\r\n",
    "a WebSocket": b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a long head": b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "a bad chunk": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk that is longer than it says": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("held", [False, True], ids=["open", "held"])
async def test_what_two_readers_could_understand_differently_is_refused(held: bool) -> None:
    reached: list[bytes] = []

    async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(head)
        await reader.read()

    async with lab() as made, server(how) as where:
        if not held:
            made.gate.open(SLOT, where)
        for name, data in REFUSED.items():
            raw = await made.say(data + b"GET /smuggled HTTP/1.1\r\n\r\n")
            status, body = parts(raw)
            assert status in (400, 431, 501, 505), name
            assert len(json.loads(body)["error"]["message"]) > 20, name
            assert b"connection: close" in raw.lower(), name
        await made.until(lambda: made.state.in_flight == 0)
    assert not any(b"smuggled" in head for head in reached)
    assert len(reached) <= (0 if held else 2)  # those whose heads were well


async def test_a_wish_for_http_2_is_overlooked() -> None:
    async def how(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(head))

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
        status, body = parts(await made.say(b"GET / HTTP/1.1\r\nHost: a\r\n" + wish + b"X: 1\r\n\r\n"))
    assert (status, body) == (200, b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n")


async def test_a_head_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD", 0.2)
    async with lab() as made:
        reader, writer = await made.connect()
        writer.write(b"GET / HT")
        async with asyncio.timeout(LIMIT):
            assert parts(await whole(reader))[0] == 408
        writer.close()


async def test_who_asks_nothing_makes_room_and_else_one_too_many_is_told() -> None:
    async with lab() as made:
        made.gate._gates[SLOT].door.most = 3
        silent = [await made.connect() for _ in range(3)]
        await made.until(lambda: len(made.gate._gates[SLOT].door._idle) == 3)
        waiting = [asyncio.ensure_future(made.say(b"GET / HTTP/1.1\r\n\r\n")) for _ in range(3)]
        await made.until(lambda: made.state.held == 3)
        for reader, _writer in silent:
            async with asyncio.timeout(LIMIT):
                assert await reader.read() == b""
        status, body = parts(await made.say(b"GET / HTTP/1.1\r\n\r\n"))
        assert status == 503
        assert b"too many connections" in body
        async with server(says(answer(b"x"))) as where:
            made.gate.open(SLOT, where)
            assert [parts(await each) for each in waiting] == [(200, b"x")] * 3
        for _reader, writer in silent:
            writer.close()


# ------------------------------------------------------------ whoever goes away


async def test_a_caller_that_hangs_up_ends_the_work_of_the_model() -> None:
    ended = asyncio.Event()

    async def how(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        assert await reader.read() == b""  # nothing more is written: only an end can be noticed
        ended.set()

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"x\r\n")
        writer.close()
        await asyncio.wait_for(ended.wait(), LIMIT)
        await made.until(lambda: made.state.in_flight == 0)
        assert (made.state.errors, made.state.cut) == (0, 0)


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"a\r\ndata: {}\n\n\r\n"
OLD_STREAM = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n"


async def broken(path: bytes, said: bytes, *, reset: bool = False) -> tuple[bytes, BaseException | None, GateState]:
    """What a caller hears of a model server that says this and goes; how its connection ended."""
    arrived = asyncio.Event()

    async def how(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        if reset:
            await arrived.wait()  # a reset takes with it what is still on its way
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        writer.write(b"POST %b HTTP/1.1\r\nContent-Length: 0\r\n\r\n" % path)
        heard, trouble = b"", None
        try:
            async with asyncio.timeout(LIMIT):
                while data := await reader.read(65_536):
                    heard += data
                    if heard == said:
                        arrived.set()
        except OSError as err:
            trouble = err
        writer.close()
        await made.until(lambda: made.state.in_flight == 0)
        return heard, trouble, made.state


async def test_a_stream_that_breaks_off_between_two_events_says_so_in_its_own_shape() -> None:
    heard, _trouble, state = await broken(b"/v1/chat/completions", STREAM + EVENT)
    assert heard.startswith(STREAM + EVENT)
    chunk = heard.removeprefix(STREAM + EVENT)
    size, _, rest = chunk.partition(b"\r\n")
    assert len(rest) == int(size, 16) + 2
    assert json.loads(rest.strip().removeprefix(b"data: "))["error"]["code"] == "model_broke_off"
    assert not heard.endswith(b"0\r\n\r\n")  # who does not read events sees that it is not whole
    assert (state.errors, state.cut) == (1, 1)
    heard, _trouble, _state = await broken(b"/v1/messages", STREAM + EVENT)
    event = heard.removeprefix(STREAM + EVENT).partition(b"\r\n")[2]
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event.split(b"data: ")[1])["type"] == "error"
    lines = STREAM.replace(b"text/event-stream", b"application/x-ndjson") + b"3\r\n{}\n\r\n"
    heard, _trouble, _state = await broken(b"/api/chat", lines)
    assert "broke off" in json.loads(heard.removeprefix(lines).split(b"\r\n")[1])["error"]


async def test_a_stream_that_breaks_off_within_an_event_ends_so_that_nobody_takes_it_for_whole() -> None:
    for said in (STREAM + b"6\r\ndata: \r\n", STREAM + b"ff\r\ndata:"):
        heard, _trouble, state = await broken(b"/v1/completions", said)
        assert heard == said
        assert state.cut == 1


async def test_a_stream_that_only_its_end_ends_is_told_or_reset() -> None:
    heard, trouble, _state = await broken(b"/v1/completions", OLD_STREAM, reset=True)
    assert trouble is None
    assert json.loads(heard.removeprefix(OLD_STREAM).removeprefix(b"data: "))["error"]["code"] == "model_broke_off"
    old = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"
    heard, trouble, state = await broken(b"/v1/completions", old, reset=True)
    assert isinstance(trouble, ConnectionResetError)
    assert state.cut == 1
    heard, trouble, state = await broken(b"/v1/completions", OLD_STREAM)  # its ordinary end: nobody knows better
    assert (heard, trouble, state.errors) == (OLD_STREAM, None, 0)


async def test_a_model_server_that_goes_before_its_answer_is_a_502_and_is_not_asked_again() -> None:
    asked: list[bytes] = []

    async def how(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(head)
        writer.write(b"HTTP/1.1 200 O")

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        for path, shape in ((b"/v1/completions", "error"), (b"/v1/messages", "type"), (b"/api/chat", "error")):
            status, body = parts(await made.say(b"POST %b HTTP/1.1\r\nContent-Length: 0\r\n\r\n" % path))
            assert status == 502
            assert "broke off" in str(json.loads(body)[shape] if shape == "error" else json.loads(body)["error"])
        assert isinstance(json.loads(body)["error"], str)  # Ollama's
        assert made.state.errors == len(asked) == 3


@pytest.mark.parametrize(
    "said",
    [
        b"HELLO\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 40,
        b"",
    ],
    ids=["no HTTP", "101", "two lengths", "long", "never", "silence"],
)
async def test_a_model_server_that_does_not_speak_http_is_an_error_of_its_own(said: bytes) -> None:
    heard, _trouble, state = await broken(b"/v1/completions", said)
    last = heard[heard.rindex(b"HTTP/1.1 ") :]
    assert parts(last)[0] == 502
    assert (state.errors, state.in_flight) == (1, 0)


async def test_cut_streams_are_told_so() -> None:
    async def how(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + EVENT)
        await reader.read()

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        reader, writer = await made.connect()
        writer.write(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(LIMIT):
            await reader.readuntil(EVENT)
            assert made.gate.cut(SLOT) == 1
            rest = await reader.read()
        assert "another model takes over" in json.loads(rest.split(b"data: ")[1].strip())["error"]["message"]
        assert (made.state.cut, made.state.errors) == (1, 0)
        writer.close()


async def test_a_model_server_that_is_silent_for_too_long_is_ended() -> None:
    async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"" if b"/quiet" in head else STREAM + EVENT)
        await reader.read()

    async with lab(timeout=0.2) as made, server(how) as where:
        made.gate.open(SLOT, where)
        assert parts(await made.say(b"GET /quiet HTTP/1.1\r\n\r\n"))[0] == 504
        assert b"silent for too long" in await made.say(b"GET /v1/completions HTTP/1.1\r\n\r\n")
        assert made.state.errors == 2


async def test_a_caller_that_takes_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "STUCK", 0.2)

    sent: list[int] = []

    async def how(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while len(sent) < 1000:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent.append(65_536)

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", made.port))
            await asyncio.get_running_loop().sock_sendall(raw, b"GET / HTTP/1.1\r\n\r\n")
            await made.until(lambda: made.state.in_flight == 1)
            await made.until(lambda: made.state.in_flight == 0)
        assert made.state.errors == 0
        assert len(sent) < 1000  # what its caller does not take, the gate does not take either


async def test_callers_that_take_the_beginning_of_an_answer_leave_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However much of it is left when the model server is done: a connection that nobody counts any more would stay
    open for as long as its caller likes, and so many of them would take all files the daemon may have."""
    monkeypatch.setattr(passing, "STUCK", 0.2)
    monkeypatch.setattr(wire, "TAKEN", 0.2)
    loop, callers = asyncio.get_running_loop(), contextlib.ExitStack()

    async def how(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"x" * int(head.split(b" ")[1][1:]), more=b"Connection: close\r\n"))
        await writer.drain()

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        sizes = range(16_384, 16_384 * 41, 16_384)
        before = len(os.listdir("/proc/self/fd"))
        with callers:
            for size in sizes:
                raw = callers.enter_context(socket.socket())
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                raw.setblocking(False)
                await loop.sock_connect(raw, ("127.0.0.1", made.port))
                await loop.sock_sendall(raw, b"GET /%d HTTP/1.1\r\n\r\n" % size)
            await made.until(lambda: made.state.requests == len(sizes) and made.state.in_flight == 0)
            await made.until(lambda: len(os.listdir("/proc/self/fd")) <= before + len(sizes))


async def test_answers_without_a_body_do_not_heap_up_for_a_caller_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passing, "STUCK", 0.2)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"x" * 50_000 + b"\r\n\r\n"
    asked = 400
    async with lab() as made, server(says(head)) as where:
        made.gate.open(SLOT, where)
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", made.port))
            await asyncio.get_running_loop().sock_sendall(raw, b"HEAD / HTTP/1.1\r\n\r\n" * asked)
            await made.until(lambda: made.state.requests > 0)
            await made.until(lambda: not made.gate._gates[SLOT].door._serving)
        assert made.state.requests < asked


async def test_a_model_server_that_answers_and_never_reads_on_is_left() -> None:
    wires: list[wire.Wire] = []
    stalled, over = asyncio.Event(), asyncio.Event()

    async def how(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stalled.wait()
        writer.write(answer(b"x"))
        await over.wait()

    async def dialling(host: str, port: int) -> wire.Wire:
        wires.append(await wire.dial(host, port))
        return wires[-1]

    async with lab(dialling) as made, server(how) as where:
        made.gate.open(SLOT, where)
        _reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 30000000\r\n\r\n" + b"x" * 30_000_000)
        looks = 0
        while looks < 25:
            await asyncio.sleep(0.002)
            looks = looks + 1 if wires and wires[0].full else 0
        stalled.set()
        await made.until(lambda: made.state.requests == 1 and made.state.in_flight == 0)
        await made.until(lambda: wires[0].writer.get_extra_info("socket").fileno() == -1)
        over.set()
        writer.transport.abort()


async def test_noise_from_both_sides_ends_its_own_connection_and_nothing_else() -> None:
    dice = random.Random(8)
    words = [
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n",
        b"Content-Length: 3\r\n",
        b"\x00\xff",
        b"0\r\n\r\n",
    ]
    words += [
        b"Transfer-Encoding: chunked\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"Connection: close\r\n",
        b":",
        b"\n",
        b"data: x\n\n",
    ]
    noise = [b"".join(dice.choices(words, k=dice.randint(0, 9))) for _ in range(300)]

    async def how(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" * dice.randint(0, 1) + dice.choice(noise))

    async def come(data: bytes, ends: bool) -> None:
        reader, writer = await made.connect()
        writer.write(data)
        if ends:
            writer.write_eof()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(reader.read(), 0.05)
        writer.close()

    async with lab() as made, server(how) as where:
        made.gate.open(SLOT, where)
        for start in range(0, len(noise), 25):
            await asyncio.gather(*(come(data, dice.random() < 0.3) for data in noise[start : start + 25]))
        await made.until(lambda: (made.state.in_flight, made.state.held) == (0, 0))
        async with server(says(answer(b"well"))) as well:
            made.gate.open(SLOT, well)
            assert parts(await made.say(b"GET / HTTP/1.1\r\n\r\n")) == (200, b"well")
    assert made.gate.faults == 0


# ------------------------------------------------------------ its life


async def test_an_address_that_is_taken_is_said_and_had_once_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.gate.doors.RETRY", 0.1)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        gates = Gates([Slot(SLOT, (), listen=f"127.0.0.1:{port}")], SystemClock(), lambda _fact: None)
        await gates.start()
        state = gates.state(SLOT)
        assert state is not None
        assert not state.listening
        assert f"cannot listen on 127.0.0.1:{port}" in state.text
    running = asyncio.get_running_loop().create_task(gates.run())
    async with asyncio.timeout(LIMIT):
        while not (state := gates.state(SLOT)) or not state.listening:
            await asyncio.sleep(0.01)
    assert state.text == ""
    running.cancel()
    await gates.close()


async def test_a_door_keeps_its_callers_when_only_its_bounds_change_and_tells_them_when_it_goes() -> None:
    async with lab() as made:
        waits = asyncio.ensure_future(made.say(b"GET / HTTP/1.1\r\n\r\n"))
        await made.until(lambda: made.state.held == 1)
        slot = made.gate._gates[SLOT].door.lobby.slot
        made.gate.declare([Slot(SLOT, slot.models, listen=slot.listen, held=1)])
        assert made.state.held == 1
        assert parts(await made.say(b"GET / HTTP/1.1\r\n\r\n"))[0] == 503
        made.gate.declare([])
        assert made.gate.state(SLOT) is None
        status, body = parts(await waits)
        assert status == 503
        assert b"is being closed" in body
        with pytest.raises(ConnectionRefusedError):
            await made.connect()


async def test_a_door_that_closes_while_somebody_connects_lets_nothing_through() -> None:
    dialled, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(host: str, port: int) -> wire.Wire:
        dialled.set()
        await goes_on.wait()
        return await wire.dial(host, port)

    asked: list[bytes] = []

    async def how(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(head)
        writer.write(answer(b"from a"))

    async with lab(dialling=slow) as made, server(how) as a, server(says(answer(b"from b"))) as b:
        made.gate.open(SLOT, a)
        asking = asyncio.ensure_future(made.say(b"GET / HTTP/1.1\r\n\r\n"))
        await asyncio.wait_for(dialled.wait(), LIMIT)
        made.gate.hold(SLOT, "it is swapped")
        goes_on.set()
        await made.until(lambda: (made.state.held, made.state.in_flight) == (1, 0))
        made.gate.open(SLOT, b)
        assert parts(await asking) == (200, b"from b")
    assert asked == []


async def test_nothing_fails_under_load_while_the_model_behind_it_is_exchanged() -> None:
    """20 requests a second, some of them streams, half of the connections kept: none fails, none is cut."""

    def model(name: str) -> How:
        async def how(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            told = json.dumps({"model": name}).encode()
            if not asked["stream"]:
                writer.write(answer(told))
                return
            writer.write(STREAM)
            for piece in (b"data: " + told + b"\n\n", b"data: [DONE]\n\n"):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.sleep(0.02)
            writer.write(b"0\r\n\r\n")

        return how

    async with lab() as made:
        load = Load("127.0.0.1", made.port, rate=60.0)
        asking = asyncio.ensure_future(load.run())
        async with server(model("a")) as where:
            made.gate.open(SLOT, where)
            await made.until(lambda: made.state.requests >= 30)
            made.gate.hold(SLOT, "it is swapped")
            await made.until(lambda: made.state.in_flight == 0)
        await made.until(lambda: made.state.held >= 15)
        async with server(model("b")) as where:
            made.gate.open(SLOT, where)
            count = made.state.requests
            await made.until(lambda: made.state.requests >= count + 30)
            load.stop()
            await asyncio.wait_for(asking, LIMIT)
            found = load.summary()
        assert (found.failed, found.wrong) == (0, ())
        assert set(found.models) == {"a", "b"}
        assert (made.state.errors, made.state.refused, made.state.cut) == (0, 0, 0)
