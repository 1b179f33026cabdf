"""Servers that mean harm: endless headers, a slow drip, huge and deep answers, bombs, lies. None hangs us or fills
memory: every probe ends in its time, and reads no more than its bound."""

import asyncio
import gzip
import tracemalloc
from contextlib import asynccontextmanager

import pytest

from supervisor.clock import SystemClock
from supervisor.facts import Benchmark, Container, Needs
from supervisor.signals.probes import ServiceProber

BOX = Container("a" * 64, "evil", "sha256:1", "evil:1", status="running", address="127.0.0.1")
TIMEOUT = 0.15
MEMORY = 24 << 20
"""bytes a probe may take at its worst"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB = gzip.compress(b"0" * (64 << 20), 9)
BLOCK = b"x" * 65_536


async def endless_headers(write):
    await write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10**9):
        await write(b"".join(b"X-%d-%d: y\r\n" % (number, i) for i in range(1000)))


async def one_endless_header(write):
    await write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        await write(BLOCK)


async def endless_continue(write):
    while True:
        await write(b"HTTP/1.1 100 Continue\r\n\r\n" * 500)


async def slow_drip(write):
    await write(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while True:
        await write(b"{")
        await asyncio.sleep(0.01)


async def endless_body(write):
    await write(HEAD + b"\r\n" + b'{"choices": [{"text": "')
    while True:
        await write(BLOCK)


async def endless_chunks(write):
    await write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await write(b"10000\r\n" + BLOCK + b"\r\n")


async def deep_json(write):
    await write(HEAD + b"\r\n" + b'{"choices":' + b"[" * 200_000)


async def bomb(write):
    await write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)


async def page(write):
    await write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>hello</html>")


async def nonsense(write):
    await write(b"\x00\xff\x16\x03\x01" * 1000)


async def silence(write):
    await asyncio.sleep(60)


async def hang_up(write):
    return


async def endless_stream(write):
    await write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ")
    while True:
        await write(BLOCK)


ALL = [
    endless_headers,
    one_endless_header,
    endless_continue,
    slow_drip,
    endless_body,
    endless_chunks,
    deep_json,
    bomb,
    page,
    nonsense,
    silence,
    hang_up,
    endless_stream,
]


@asynccontextmanager
async def evil(behave):
    """A server that takes the request and then behaves like that."""
    tasks = []

    async def serve(reader, writer):
        tasks.append(asyncio.current_task())

        async def write(data):
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)

        try:
            await reader.read(65_536)
            await behave(write)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def bounded(question):
    """The answer, once it came in time and within memory."""
    loop = asyncio.get_running_loop()
    tracemalloc.start(1)
    began = loop.time()
    found = await question
    took, (_now, peak) = loop.time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < TIMEOUT + 60.0, "without end"
    assert peak < MEMORY
    assert len(found.text) <= 300
    assert found.text.isprintable()
    return found


@pytest.mark.parametrize("behave", ALL, ids=lambda one: one.__name__)
async def test_a_completion_probe_ends_unwell(behave):
    prober = ServiceProber(SystemClock(), {})
    async with evil(behave) as port:
        found = await bounded(prober.probe(Needs(probe=f"completion://:{port}", probe_model="m"), BOX, TIMEOUT))
        await prober.close()
    assert (found.ok, found.broken) == (False, False)


@pytest.mark.parametrize("behave", ALL, ids=lambda one: one.__name__)
async def test_a_completion_that_is_asked_for_ever_ends_unwell(behave):
    prober = ServiceProber(SystemClock(), {})
    async with evil(behave) as port:
        found = await bounded(prober.probe(Needs(probe=f"completion://:{port}"), BOX, TIMEOUT, gentle=True))
        await prober.close()
    assert (found.ok, found.broken, found.asleep) == (False, False, False)


@pytest.mark.parametrize("behave", ALL, ids=lambda one: one.__name__)
async def test_a_plain_http_probe_ends(behave):
    prober = ServiceProber(SystemClock(), {})
    async with evil(behave) as port:
        found = await bounded(prober.probe(Needs(probe=f"http://:{port}/health"), BOX, TIMEOUT))
        await prober.close()
    assert not found.broken


@pytest.mark.parametrize("behave", [endless_stream, endless_body, slow_drip, bomb, deep_json, silence])
async def test_a_benchmark_ends_and_is_no_good(behave):
    prober = ServiceProber(SystemClock(), {})
    async with evil(behave) as port:
        needs = Needs(
            probe=f"completion://:{port}", probe_model="m", benchmark=Benchmark(at_least=1.0, tokens=8, within=TIMEOUT)
        )
        found = await bounded(prober.benchmark(needs, BOX))
        await prober.close()
    assert (found.ok, found.broken) == (False, False)


@pytest.mark.parametrize("behave", [nonsense, silence, hang_up, endless_body], ids=lambda one: one.__name__)
async def test_a_grpc_probe_ends_unwell(behave):
    prober = ServiceProber(SystemClock(), {})
    async with evil(behave) as port:
        found = await bounded(prober.probe(Needs(probe=f"grpc://:{port}"), BOX, TIMEOUT))
    assert (found.ok, found.broken) == (False, False)


async def test_a_port_that_talks_and_talks_is_open_and_no_more():
    prober = ServiceProber(SystemClock(), {})
    async with evil(endless_body) as port:
        assert (await bounded(prober.probe(Needs(probe=f"tcp://:{port}"), BOX, TIMEOUT))).ok
