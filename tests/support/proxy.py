"""A unix-socket proxy that breaks things between a client and an engine: cut, stall, refuse, or lose the answer.

Test → proxy → engine. Each connection is copied byte by byte; what a test wants broken is a switch on the proxy, or a
`Break`: this once, at the Nth request with such a first line. `Proxies` runs several of them beside a test that is not
asynchronous.
"""

import asyncio
import contextlib
import json
import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CUT, LOSE, HOLD, DELAY, REFUSE = "cut", "lose", "hold", "delay", "refuse"
"""kinds of a Break: the connection breaks before the request arrives; it breaks after the effect; the effect is there
but no answer ever comes; the request arrives late; the engine seems to say no"""
_GIVEN = 65_536
_REASONS = {409: "Conflict", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(slots=True)
class Break:
    """One thing that goes wrong, once: at the `number`th request whose first line matches `line`."""

    kind: str
    line: str
    """a regular expression, like `^POST /v[^/]+/containers/[^/]+/stop`"""
    number: int = 1
    status: int = 500
    seconds: float = 0.0
    then: Callable[[], None] | None = None
    """called as it happens, on the proxy's loop"""
    done: bool = False

    def strikes(self, line: str) -> bool:
        """Whether it goes wrong with this request; counts those that match."""
        if self.done or not re.search(self.line, line):
            return False
        self.number -= 1
        self.done = self.number <= 0
        if self.done and self.then is not None:
            self.then()
        return self.done


@dataclass(slots=True)
class _Way:
    """One connection through the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    far_reader: asyncio.StreamReader
    far_writer: asyncio.StreamWriter
    task: "asyncio.Task[None] | None" = None
    request: str = ""
    fault: Break | None = None

    def abort(self) -> None:
        for writer in (self.writer, self.far_writer):
            with contextlib.suppress(OSError, RuntimeError):
                writer.transport.abort()
        if self.task is not None:
            self.task.cancel()


class ChaosProxy:
    """Stands before `target` at `path`. Use it as `async with ChaosProxy(target, path) as proxy`."""

    def __init__(self, target: str, path: str) -> None:
        self.target, self.path = target, path
        self.requests: list[str] = []
        """the first line of every request that arrived here, in order"""
        self.breaks: list[Break] = []
        self.lose_answer_to = ""
        """a request whose first line contains this reaches the engine; its answer does not come back, and the
        connection is closed once the engine has answered"""
        self.hold_answer_to = ""
        """its answer is held for good: the client runs into its own limit"""
        self._server: asyncio.Server | None = None
        self._open: list[_Way] = []

    async def __aenter__(self) -> "ChaosProxy":
        await self.listen()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.vanish()

    async def listen(self) -> None:
        """Be there (again)."""
        Path(self.path).unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def vanish(self) -> None:
        """Be gone: nobody listens, and every connection is cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        Path(self.path).unlink(missing_ok=True)
        self.cut()
        await asyncio.sleep(0)

    async def away(self, seconds: float) -> None:
        """Be gone for so long."""
        await self.vanish()
        await asyncio.sleep(seconds)
        await self.listen()

    def cut(self, only: str = "") -> None:
        """Cut every connection there is, or those whose latest request contains `only`; new ones are welcome."""
        hit = [way for way in self._open if only in way.request]
        self._open = [way for way in self._open if only not in way.request]
        for way in hit:
            way.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.close()
            return
        way = _Way(reader, writer, far_reader, far_writer, asyncio.current_task())
        self._open.append(way)
        up = asyncio.ensure_future(self._copy_up(way))
        try:
            await self._copy_down(way)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            up.cancel()
            if way in self._open:
                self._open.remove(way)
            for end in (writer, far_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    end.close()

    async def _copy_up(self, way: _Way) -> None:
        with contextlib.suppress(OSError):
            while chunk := await way.reader.read(_GIVEN):
                line = chunk.split(b"\r\n", 1)[0].decode("latin-1")
                if line.endswith("HTTP/1.1"):
                    way.request = line
                    self.requests.append(line)
                    way.fault = next((each for each in tuple(self.breaks) if each.strikes(line)), None)
                    if not await self._before(way):
                        return
                way.far_writer.write(chunk)
                await way.far_writer.drain()
            way.far_writer.write_eof()

    async def _before(self, way: _Way) -> bool:
        """What goes wrong before the engine hears of it; whether the request goes on to the engine at all."""
        fault = way.fault
        if fault is None or fault.kind in (LOSE, HOLD):
            return True
        if fault.kind == DELAY:
            await asyncio.sleep(fault.seconds)
            return True
        if fault.kind == REFUSE:
            body = json.dumps({"message": f"chaos says {fault.status}"}).encode()
            head = (
                f"HTTP/1.1 {fault.status} {_REASONS[fault.status]}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            way.writer.write(head.encode() + body)
            await way.writer.drain()
            with contextlib.suppress(TimeoutError):  # a request with a body sends that, too, before it reads
                await asyncio.wait_for(way.reader.read(_GIVEN), 0.2)
        way.writer.transport.abort() if fault.kind == CUT else way.writer.close()
        way.far_writer.close()
        return False

    async def _copy_down(self, way: _Way) -> None:
        while chunk := await way.far_reader.read(_GIVEN):
            kind = way.fault.kind if way.fault is not None else ""
            if kind == HOLD or (self.hold_answer_to and self.hold_answer_to in way.request):
                await asyncio.Event().wait()
            if kind == LOSE or (self.lose_answer_to and self.lose_answer_to in way.request):
                return
            way.writer.write(chunk)
            await way.writer.drain()


class Proxies:
    """A thread that runs proxies, for tests that are not asynchronous."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.folder = tempfile.TemporaryDirectory(prefix="rsgp-")
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._made: list[ChaosProxy] = []

    def make(self, name: str) -> ChaosProxy:
        """One more proxy, which listens."""
        proxy = ChaosProxy(self.target, f"{self.folder.name}/{name}.sock")
        asyncio.run_coroutine_threadsafe(proxy.listen(), self.loop).result(10)
        self._made.append(proxy)
        return proxy

    def soon(self, proxy: ChaosProxy, seconds: float) -> None:
        """Let it be gone for so long, from now on. Safe on every thread, and on its own loop."""
        asyncio.run_coroutine_threadsafe(proxy.away(seconds), self.loop)

    def close(self) -> None:
        """End them all."""

        async def end() -> None:
            for proxy in self._made:
                await proxy.vanish()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        self.folder.cleanup()
