"""One end of a connection, and how one is made or awaited.

From: the operating system. To: door.py and passing.py. What asyncio's streams lack is that somebody is told at once
when the other end goes away, though nobody reads just then: a caller that hangs up must end the work of the model.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

from supervisor.gate.heads import LONGEST_HEAD

CONNECT = 5.0
"""seconds for a connection to the model server"""
LINGER = 2.0
TAKEN = 30.0
"""seconds in which a caller takes the last of what it was sent"""
MOST_UNREAD = 1 << 20
PIECE = 16_384
"""bytes that are read at once: with thousands of connections, what each has read ahead is what the gate takes"""


class Ear(asyncio.StreamReader):
    """What comes in. What was received before the connection broke is read first; then it ends, and `trouble` says
    why."""

    def __init__(self, limit: int = LONGEST_HEAD) -> None:
        super().__init__(limit=limit)
        self.ended = False
        self.trouble: BaseException | None = None
        self.on_end: Callable[[], None] | None = None

    @property
    def ready(self) -> bool:
        """Whether something is here that nobody read yet."""
        return bool(self._buffer)  # type: ignore[attr-defined]

    def feed_eof(self) -> None:
        super().feed_eof()
        if not self.ended:
            self.ended = True
            if self.on_end is not None:
                self.on_end()

    def set_exception(self, exc: BaseException) -> None:
        self.trouble = exc
        self.feed_eof()


class Wire:
    """Both directions of one connection."""

    def __init__(self, ear: Ear, writer: asyncio.StreamWriter) -> None:
        self.ear, self.writer = ear, writer
        if hasattr(writer.transport, "max_size"):  # of asyncio's own transports: bytes of one read
            writer.transport.max_size = PIECE
        self.lingers = False
        """it is not to be closed before its other end can have read what was sent (see `linger`)"""

    @property
    def full(self) -> bool:
        """Whether so much waits to be sent that one should wait (`writer.drain`)."""
        transport = self.writer.transport
        return transport.get_write_buffer_size() > transport.get_write_buffer_limits()[1]

    def send(self, data: bytes) -> None:
        """Send it some time; nothing where the connection is gone."""
        if data and not self.writer.is_closing():
            self.writer.write(data)

    def close(self) -> None:
        """Close once all was sent."""
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.close()

    async def linger(self) -> None:
        """Close so that the other end surely reads what was sent: a connection that is closed while something unread
        comes in is reset, and what was sent is lost with it. So a while of what still comes is read, and forgotten."""
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(LINGER):
                if self.writer.can_write_eof() and not self.writer.is_closing():
                    self.writer.write_eof()
                seen = 0
                while seen < MOST_UNREAD and (data := await self.ear.read(65_536)):
                    seen += len(data)
        self.close()

    async def finish(self) -> None:
        """Close, and see it closed: who takes nothing more would keep the connection open for ever."""
        self.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(TAKEN):
                await self.writer.wait_closed()
        self.abort()

    def abort(self, *, reset: bool = False) -> None:
        """Close now. `reset`: so that the other end cannot take it for an ordinary end."""
        if reset:
            raw = self.writer.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.transport.abort()


Dial = Callable[[str, int], Awaitable[Wire]]
"""make a connection to a host and a port; OSError where there is none in time"""


async def dial(host: str, port: int) -> Wire:
    """A connection to a model server. OSError (TimeoutError is one) where there is none."""
    loop = asyncio.get_running_loop()
    ear = Ear()
    async with asyncio.timeout(CONNECT):
        transport, protocol = await loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(ear, loop=loop), host, port
        )
    return Wire(ear, asyncio.StreamWriter(transport, protocol, ear, loop))


async def listen(host: str, port: int, welcome: Callable[[Wire], None]) -> asyncio.Server:
    """Listen; `welcome` gets each connection. OSError where the address cannot be had."""
    loop = asyncio.get_running_loop()

    def came(ear: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = writer.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                # so that routers keep a connection on which a request waits for minutes, and a caller whose machine is
                # gone is found out
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert isinstance(ear, Ear)
        writer.transport.set_write_buffer_limits(high=0)  # what is sent is with the system before the next is fetched
        welcome(Wire(ear, writer))

    def made() -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(Ear(), came, loop=loop)

    return await loop.create_server(made, host, port, backlog=512)
