"""Connections to the port of a server in a real container, counted from outside in the container's own network."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from supervisor.clock import SystemClock
from supervisor.engines.docker import DockerEngine
from supervisor.kernel.tree import KernelFiles
from supervisor.servers.connections import connections
from tests.support.daemon import Hands, hands

pytestmark = pytest.mark.real

LIMIT = 60.0
ECHO = "echo up; exec nc -ll -p 8000 -e cat"


async def test_those_of_a_container_are_counted_and_nobody_elses() -> None:
    engine = DockerEngine("", SystemClock())
    try:
        with hands("conn") as person:
            name = await asyncio.to_thread(person.up, "echo", await asyncio.to_thread(_image, person))
            box = await engine.inspect(name)
            tree = KernelFiles()

            async def count(port: int = 8000) -> int | None:
                return await connections(tree, box, box.address, port)

            await _until(lambda: _is(count, 0))
            reader, writer = await _connected(box.address)
            writer.write(b"x")
            assert await asyncio.wait_for(reader.readexactly(1), LIMIT) == b"x"
            assert await count() == 1
            assert await count(8001) == 0
            writer.close()
            await writer.wait_closed()
            await _until(lambda: _is(count, 0))
            await asyncio.to_thread(person.api.stop, name, timeout=1)
            assert await count() is None
    finally:
        await engine.close()


def _image(person: Hands) -> str:
    person.image("echo", ECHO)
    return f"{person.prefix}/echo:1"


async def _is(count: Callable[[], Awaitable[int | None]], wanted: int) -> bool:
    return await count() == wanted


async def _connected(host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, once it listens."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await asyncio.open_connection(host, 8000)
            except OSError:
                await asyncio.sleep(0.02)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT):
        while not await condition():
            await asyncio.sleep(0.02)
