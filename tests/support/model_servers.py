"""Model servers that load models by themselves, as each of them tells what it has in memory.

From: reference notes on the real ones. A test sets what is there; `loads` is every completion that would have made the
real one load or wake a model: there must never be one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.models import listening

Json = dict[str, Any]


@dataclass
class Server:
    """`pages`: what it answers to GET, by path: a document, or (status, document). `awake`: the models in memory; ''
    among them: it completes without being told which."""

    pages: dict[str, Any] = field(default_factory=dict)
    awake: tuple[str, ...] = ()
    completes: str = "/v1/completions"
    answer: Json = field(default_factory=lambda: {"choices": [{"text": " 6"}], "usage": {"completion_tokens": 1}})
    port: int = 0
    got: list[str] = field(default_factory=list)
    """paths of all requests"""
    asked: list[Json] = field(default_factory=list)
    """what it was asked to complete"""
    loads: list[Json] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Any request."""
        self.got.append(request.path)
        if request.method == "POST":
            body = await request.json()
            if request.path != self.completes:
                return web.json_response({"detail": "Not Found"}, status=404)
            self.asked.append(body)
            if body.get("model", "") not in self.awake:
                self.loads.append(body)
            return web.json_response(self.answer)
        page = self.pages.get(request.path, (404, {"detail": "Not Found"}))
        status, document = page if isinstance(page, tuple) else (200, page)
        if isinstance(document, str):
            return web.Response(status=status, text=document)
        return web.json_response(document, status=status)


def listed(*names: str, owner: str = "", **more: Any) -> Json:
    """An OpenAI list of models."""
    owned = {"owned_by": owner} if owner else {}
    return {"object": "list", "data": [{"id": name, "object": "model", **owned, **more} for name in names]}


def vllm(*names: str, sleeping: bool | None = None, paused: bool = False) -> Server:
    """`sleeping` None: its development mode is off, so nobody can let it sleep."""
    pages: Json = {"/v1/models": listed(*names, owner="vllm")}
    if sleeping is not None:
        pages |= {"/is_sleeping": {"is_sleeping": sleeping}, "/is_paused": {"is_paused": paused}}
    return Server(pages, () if sleeping or paused else names)


def llama(name: str = "tiny", sleeping: bool = False) -> Server:
    """llama-server with one model."""
    props = {"default_generation_settings": {"n_ctx": 4096}, "is_sleeping": sleeping}
    return Server({"/v1/models": listed(name, owner="llamacpp"), "/props": props}, () if sleeping else (name,))


def router(**status: str) -> Server:
    """llama-server as a router: name -> unloaded | loading | loaded | sleeping."""
    data = [{"id": one, "owned_by": "llamacpp", "status": {"value": word}} for one, word in status.items()]
    awake = tuple(one for one, word in status.items() if word == "loaded")
    return Server({"/v1/models": {"data": data}, "/models": {"data": data}}, awake)


def llama_swap(*names: str, ttl: int = 0, **running: str) -> Server:
    """`running`: name -> ready | starting | stopping."""
    found = [{"model": one, "state": word, "ttl": ttl} for one, word in running.items()]
    awake = tuple(one for one, word in running.items() if word == "ready")
    return Server({"/v1/models": listed(*names, owner="llama-swap"), "/running": {"running": found}}, awake)


def ollama(*names: str, loaded: tuple[str, ...] = (), until: str = "", context: int = 8192) -> Server:
    """`until`: when what is loaded is let go, as RFC 3339. It answers on its own address."""
    of = [{"name": one, "model": one, "expires_at": until, "context_length": context} for one in loaded]
    pages = {"/v1/models": listed(*names, owner="library"), "/api/ps": {"models": of}}
    answer = {"response": " 6", "done": True, "eval_count": 1}
    return Server(pages, loaded, "/api/generate", answer)


def lm_studio(**models: tuple[str, str]) -> Server:
    """name -> (llm | vlm | embeddings, loaded | not-loaded)."""
    data = [{"id": one, "type": kind, "state": state} for one, (kind, state) in models.items()]
    pages = {"/v1/models": listed(*models, owner="organization_owner"), "/api/v0/models": {"data": data}}
    return Server(pages, tuple(one for one, (_kind, state) in models.items() if state == "loaded"))


def tabby(*names: str, loaded: str = "") -> Server:
    """TabbyAPI."""
    now: Any = {"id": loaded, "object": "model"} if loaded else (503, {"detail": "No models are currently loaded."})
    return Server({"/v1/models": listed(*names, owner="tabbyAPI"), "/v1/model": now}, (loaded,) if loaded else ())


def localai(*names: str, loaded: tuple[str, ...] | None = ()) -> Server:
    """`loaded` None: an old one, which does not say."""
    system: Json = {"backends": ["llama-cpp"]}
    if loaded is not None:
        system["loaded_models"] = [{"id": one} for one in loaded]
    return Server({"/v1/models": listed(*names), "/system": system}, loaded or ())


def vllm_mlx(**models: bool) -> Server:
    """name -> whether it is in memory."""
    of = [{"id": one, "status": "x", "loaded": word} for one, word in models.items()]
    pages = {"/v1/models": listed(*models, owner="vllm-mlx"), "/v1/status": {"model_manager": {"models": of}}}
    return Server(pages, tuple(one for one, word in models.items() if word))


@asynccontextmanager
async def served(server: Server, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """It listens on a free port of `host`."""
    async with listening(server.handle, host) as server.port:
        yield server
