"""A unix-socket proxy that breaks things between a client and an engine: cut, stall, refuse, or lose the answer.

Test → proxy → engine. Each connection is copied byte by byte; what a test wants broken is a switch on the proxy.
"""

import asyncio
import contextlib
from pathlib import Path


class ChaosProxy:
    """Stands before `target` at `path`. Use it as `async with ChaosProxy(target, path) as proxy`."""

    def __init__(self, target: str, path: str) -> None:
        self.target, self.path = target, path
        self.requests: list[str] = []
        """the first line of every request that went through, in order"""
        self.lose_answer_to = ""
        """a request whose first line contains this reaches the engine; its answer does not come back, and the
        connection is closed once the engine has answered"""
        self.hold_answer_to = ""
        """its answer is held for good: the client runs into its own limit"""
        self._server: asyncio.Server | None = None
        self._open: list[tuple[asyncio.Task[None], asyncio.StreamWriter, asyncio.StreamWriter]] = []

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

    def cut(self) -> None:
        """Cut every connection there is; new ones are welcome."""
        opened, self._open = self._open, []
        for task, *writers in opened:
            for writer in writers:
                with contextlib.suppress(OSError, RuntimeError):
                    writer.transport.abort()
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.append((task, writer, far_writer))
        state = {"request": ""}
        up = asyncio.ensure_future(self._copy_up(reader, far_writer, state))
        try:
            await self._copy_down(far_reader, writer, state)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            up.cancel()
            for end in (writer, far_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    end.close()

    async def _copy_up(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, state: dict[str, str]) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                line = chunk.split(b"\r\n", 1)[0].decode("latin-1")
                if line.endswith("HTTP/1.1"):
                    state["request"] = line
                    self.requests.append(line)
                far.write(chunk)
                await far.drain()
            far.write_eof()

    async def _copy_down(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter, state: dict[str, str]) -> None:
        while chunk := await far.read(65_536):
            if self.hold_answer_to and self.hold_answer_to in state["request"]:
                await asyncio.Event().wait()
            if self.lose_answer_to and self.lose_answer_to in state["request"]:
                return
            writer.write(chunk)
            await writer.drain()
