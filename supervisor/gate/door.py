"""One slot's door: its connections, and each request that comes over them.

From: callers. To: lobby.py, which says who may go in, and passing.py, which carries a request to the model server and
its answer back. Requests of one connection are served in their order.

A request that waits gets no byte from us. A first byte would have to be the head of an answer, 200, before anybody
knows the real one; so a stream is not kept alive by comments while it waits, though some gates do. The connection is
kept alive below HTTP (wire.py).
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from supervisor.gate import heads, shapes
from supervisor.gate.heads import Bad
from supervisor.gate.lobby import AGAIN, Lobby
from supervisor.gate.passing import Body, Passage, Purse
from supervisor.gate.visit import Gone, Turned, Visit
from supervisor.gate.wire import Dial, Wire, dial

IDLE = 600.0
"""seconds a caller's connection is kept without a request. Long: one that is closed just as a request comes fails it"""
HEAD = 30.0
"""seconds for the head of a request, from its first byte"""
_BLANKS = 4
"""bytes of empty lines before a request, which HTTP wants overlooked"""


class Door:
    """Serves the connections of one slot. `most`: connections at a time."""

    def __init__(self, lobby: Lobby, purse: Purse, most: int, dialling: Dial = dial) -> None:
        self.lobby, self.most = lobby, most
        self.faults = 0
        """connections that a mistake of ours ended"""
        self._purse, self._dial = purse, dialling
        self._serving: dict[Wire, asyncio.Task[None]] = {}
        self._idle: dict[Wire, None] = {}
        """those between two requests, the longest idle first"""

    def welcome(self, wire: Wire) -> None:
        """Somebody connected."""
        crowded = len(self._serving) >= self.most
        if crowded and self._idle:
            longest = next(iter(self._idle))  # whoever asks nothing makes room
            del self._idle[longest]
            longest.close()
            crowded = False
        if len(self._serving) >= 2 * self.most:
            wire.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(wire, crowded), name=f"gate {self.lobby.slot.name}")
        self._serving[wire] = task
        task.add_done_callback(lambda _task: self._serving.pop(wire, None))

    async def close(self) -> None:
        """End every connection; what is on its way is told so first."""
        self.lobby.refuse("the gate is being closed", 1.0)
        self.lobby.cut()
        for wire in tuple(self._idle):
            wire.close()
        tasks = tuple(self._serving.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.lobby.close()

    # ------------------------------------------------------------ one connection

    async def _serve(self, wire: Wire, crowded: bool) -> None:
        try:
            if crowded:
                text = f"{self.lobby.slot.name} has too many connections. Try again later."
                self.lobby.counts.refused += 1
                _refuse(wire, "", 503, text, after=AGAIN)
            else:
                while await self._next(wire):
                    pass
            if wire.lingers:
                await wire.linger()
            await wire.finish()
        except OSError:
            pass
        except Exception as err:  # noqa: BLE001 - the edge to callers: one bad connection ends; it is counted and told
            self.faults += 1
            told = {"message": f"the gate of {self.lobby.slot.name} lost a connection", "exception": err}
            asyncio.get_running_loop().call_exception_handler(told)
        finally:
            wire.abort()

    async def _next(self, wire: Wire) -> bool:
        """Serve the next request; whether another one may come."""
        try:
            head = await self._head(wire)
            if not head:
                return False
            request = heads.request(head)
        except Bad as err:
            _refuse(wire, "", err.status, str(err))
            return False
        visit = self.lobby.arrive()
        body = Body(wire, request.framing(), self._purse)
        wire.ear.on_end = visit.drop
        if wire.ear.ended:
            visit.drop()
        try:
            server = await self._reach(visit, body)
            return await Passage(wire, server, request, body, visit).run()
        except Turned as err:
            _refuse(wire, request.path, 503, str(err), after=err.after, bare=request.method == "HEAD")
        except Gone:
            if body.trouble:
                _refuse(wire, request.path, 400, f"The request's body cannot be read: {body.trouble}.")
            else:
                wire.abort()
        finally:
            wire.ear.on_end = None
            body.drop()
            visit.left()
        return False

    async def _head(self, wire: Wire) -> bytes:
        """The next request's head; b"" where none comes. Bad."""
        self._idle[wire] = None
        try:
            async with asyncio.timeout(IDLE):
                first = await wire.ear.read(1)
                for _ in range(_BLANKS):
                    if first not in (b"\r", b"\n"):
                        break
                    first = await wire.ear.read(1)
        except TimeoutError:
            return b""
        finally:
            self._idle.pop(wire, None)
        if not first:
            return b""
        try:
            async with asyncio.timeout(HEAD):
                return first + await wire.ear.readuntil(b"\r\n\r\n")
        except TimeoutError:
            raise Bad(408, f"The head of the request did not come within {HEAD:.0f} seconds.") from None
        except asyncio.LimitOverrunError:
            raise Bad(431, f"The head of the request is longer than {heads.LONGEST_HEAD} bytes.") from None
        except asyncio.IncompleteReadError:
            return b""

    async def _reach(self, visit: Visit, body: Body) -> Wire:
        """Wait until it may go in, and connect. Nothing was sent where nobody is there, or the door was closed
        meanwhile: it waits again."""
        upstream = await self._reading(visit.enter(), visit, body)
        while True:
            server: Wire | None = None
            try:
                where = urlsplit(upstream)
                server = await self._dial(where.hostname or "", where.port or 80)
            except (OSError, ValueError):
                visit.missed()
            if server is not None:
                if visit.reached():
                    return server
                server.abort()
            upstream = await self._reading(visit.again(), visit, body)

    async def _reading(self, waiting: Coroutine[Any, Any, str], visit: Visit, body: Body) -> str:
        """Wait, and read on meanwhile."""
        if body.done or self.lobby.welcomes():
            return await waiting
        ahead = asyncio.get_running_loop().create_task(body.ahead(visit))
        try:
            return await waiting
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


def _refuse(wire: Wire, path: str, status: int, text: str, *, after: float = 0.0, bare: bool = False) -> None:
    """Say something of our own; the connection ends with it."""
    wire.send(shapes.refusal(path, status, text, after=after, bare=bare))
    wire.lingers = True
