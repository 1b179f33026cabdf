"""A model server that speaks OpenAI's API, or llama.cpp's, or neither, as a test wants it.

Tests set its fields; `asked` is every request so far. Nothing in it waits unless a test says so.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TEXT, CHAT, NATIVE = "/v1/completions", "/v1/chat/completions", "/completion"


@dataclass
class ModelServer:
    """`speaks`: the paths it knows. `status` and `said` other than 200: what every completion is answered with."""

    speaks: tuple[str, ...] = (TEXT, CHAT)
    models: tuple[str, ...] = ("tiny",)
    status: int = 200
    said: Any = None
    text: str = " 6, 7"
    usage: bool = True
    streams: bool = True
    tokens: int = 0
    """how many it makes at most; 0: as many as asked for"""
    takes: float = 0.0
    """seconds before each token"""
    lists: bool = True
    port: int = 0
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        body = await request.json() if request.method == "POST" else None
        self.asked.append((request.path, body))
        if request.path.endswith("/v1/models"):
            if self.status == 503:
                return web.json_response(self.said, status=503)
            if not self.lists:
                return web.json_response({"detail": "Not Found"}, status=404)
            return web.json_response({"object": "list", "data": [{"id": name} for name in self.models]})
        if not any(request.path.endswith(path) for path in self.speaks) or (
            request.path.endswith(CHAT) and CHAT not in self.speaks
        ):
            return web.json_response({"detail": "Not Found"}, status=404)
        if self.status != 200:
            return web.json_response(self.said, status=self.status)
        wanted = body.get("max_tokens") or body.get("n_predict")
        made = min(wanted, self.tokens) if self.tokens else wanted
        if body["stream"] and self.streams:
            return await self._stream(request, made)
        await asyncio.sleep(self.takes * made)
        return web.json_response(self._document(request.path, self.text, made, "text", "message"))

    def _document(self, path: str, text: str, made: int, plain: str, chat: str) -> dict[str, Any]:
        if path.endswith(NATIVE):
            return {"content": text} | ({"tokens_predicted": made} if self.usage else {})
        said = {chat: {"role": "assistant", "content": text}} if path.endswith(CHAT) else {plain: text}
        usage = {"usage": {"prompt_tokens": 9, "completion_tokens": made}} if self.usage else {}
        return {"choices": [{"index": 0, "finish_reason": "length", **said}], **usage}

    async def _stream(self, request: web.Request, made: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(1, made + 1):
            await asyncio.sleep(self.takes)
            piece = self._document(request.path, f" {number}", 0, "text", "delta")
            piece.pop("usage", None)
            await response.write(f"data: {json.dumps(piece)}\n\n".encode())
        if self.usage:
            last = {"choices": [], "usage": {"completion_tokens": made}}
            await response.write(f"data: {json.dumps(last)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def listening(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Everything that is asked on a free port of `host`, which it tells, goes to the handler."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served(server: ModelServer, host: str = "127.0.0.1") -> AsyncIterator[ModelServer]:
    """The server on a free port of `host`."""
    async with listening(server.answer, host) as server.port:
        yield server
