"""Doubles of the model servers that are described by data, with the replies that each of them documents.

From: their documentation and sources, as data/*.yaml names them. A test sets what is there. `disturbed` is every
request that would have made the real one load, wake, cut or end something: a look must never leave one. `fell` says why
the real one would have fallen over.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from supervisor.servers import door
from tests.support.models import listening

Json = dict[str, Any]
NOT_FOUND = (404, {"detail": "Not Found"})


@dataclass
class Double:
    """One server. `loaded`, `known`: the models in memory, and those it could load."""

    known: tuple[str, ...] = ("a", "b")
    loaded: list[str] = field(default_factory=list)
    key: str = ""
    """what it wants as its key; '' for none"""
    late: int = 0
    """looks that a verb takes to come about"""
    busy: int = 0
    """requests it works on; one ends with every look at it"""
    fails: bool = False
    """the next load fails, as the real one says it"""
    got: list[tuple[str, str, Any]] = field(default_factory=list)
    disturbed: list[tuple[str, str, Any]] = field(default_factory=list)
    fell: str = ""
    port: int = 0
    coming: list[tuple[int, str, str]] = field(default_factory=list)

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """(status, document), or a document alone. None: this server knows no such address."""
        raise NotImplementedError

    def allowed(self, headers: Mapping[str, str]) -> bool:
        """Whether the key is there, as it wants it."""
        return not self.key or headers.get("Authorization") == f"Bearer {self.key}"

    def verb(self, method: str, path: str, body: Any) -> None:
        """This changes something."""
        self.disturbed.append((method, path, body))

    def soon(self, what: str, model: str) -> None:
        """Something comes about, at once or after some looks."""
        if self.late:
            self.coming.append((self.late, what, model))
        else:
            self.happen(what, model)

    def happen(self, what: str, model: str) -> None:
        """It comes about."""
        if what == "load" and model not in self.loaded:
            self.loaded.append(model)
        if what == "unload" and model in self.loaded:
            self.loaded.remove(model)

    def looked(self) -> None:
        """Somebody looked: time goes by."""
        self.busy = max(0, self.busy - 1)
        coming, self.coming = self.coming, []
        for looks, what, model in coming:
            if looks > 1:
                self.coming.append((looks - 1, what, model))
            else:
                self.happen(what, model)

    def state(self, model: str) -> str:
        """loaded | loading | unloaded."""
        if model in self.loaded:
            return "loaded"
        return "loading" if any(what == "load" and one == model for _, what, one in self.coming) else "unloaded"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        raw = await request.read()
        body = json.loads(raw) if raw else None
        path = request.rel_url.raw_path
        self.got.append((request.method, path, body))
        if self.fell:
            raise web.HTTPServiceUnavailable(text="dead")
        if not self.allowed(request.headers):
            return web.json_response({"error": {"message": "Invalid key"}}, status=403)
        said = self.reply(request.method, path, request.query, body)
        if isinstance(said, web.StreamResponse):
            return said
        if isinstance(said, list) and said and isinstance(said[0], bytes):
            return await _stream(request, said)
        status, document = said if isinstance(said, tuple) else NOT_FOUND if said is None else (200, said)
        if isinstance(document, str):
            return web.Response(status=status, text=document)
        return web.json_response(document, status=status)


async def _stream(request: web.Request, pieces: list[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    return response


def listed(*names: str, owner: str) -> Json:
    """An OpenAI list of models."""
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}


class OptaLmx(Double):
    """Opta-LMX."""

    def allowed(self, headers: Mapping[str, str]) -> bool:
        return not self.key or headers.get("X-Admin-Key") == self.key

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if (method, path) == ("GET", "/admin/models"):
            self.looked()
            of = [{"id": one, "loaded": True, "memory_gb": 20.5, "request_count": 7} for one in self.loaded]
            return {"loaded": of, "count": len(of)}
        if (method, path) == ("GET", "/admin/memory"):
            return {"total_unified_memory_gb": 512.0, "used_gb": 20.0, "available_gb": 492.0, "threshold_percent": 90}
        if (method, path) == ("GET", "/admin/status"):
            return {"version": "0.7.1", "uptime_seconds": 9.0, "loaded_models": len(self.loaded), "models": self.loaded}
        if path == "/admin/models/load":
            self.verb(method, path, body)
            name = body["model_id"]
            if name not in self.known:
                return 202, {"status": "download_required", "model_id": name, "confirmation_token": "dl-x"}
            if self.fails:
                return 507, {"error": {"message": "Insufficient memory", "type": "server_error"}}
            self.soon("load", name)
            return {"success": True, "model_id": name, "time_to_load_ms": 900.0}
        if path == "/admin/models/unload":
            self.verb(method, path, body)
            if body["model_id"] not in self.loaded:
                return 404, {"error": {"message": "Model not found"}}
            self.soon("unload", body["model_id"])
            return {"success": True, "model_id": body["model_id"], "memory_freed_gb": 20.5}
        return None


class LlamaSwap(Double):
    """llama-swap."""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/v1/models":
            return listed(*self.known, owner="llama-swap")
        if path == "/running":
            self.looked()
            of = [{"model": one, "state": "ready", "cmd": "x", "ttl": 0} for one in self.loaded]
            of += [{"model": one, "state": "starting"} for _, what, one in self.coming if what == "load"]
            of += [{"model": one, "state": "stopping"} for _, what, one in self.coming if what == "stop"]
            return {"running": of}
        if path.startswith("/upstream/"):
            self.verb(method, path, body)
            name = unquote(path.split("/")[2])
            if name not in self.known:
                return 404, "model not found"
            if self.fails:
                return 502, "unable to start process"
            self.soon("load", name)
            return {"status": "ok"}
        if path.startswith("/api/models/unload/"):
            self.verb(method, path, body)
            name = unquote(path.rpartition("/")[2])
            if self.late:
                self.loaded.remove(name)
                self.coming.append((self.late, "stop", name))
            else:
                self.happen("unload", name)
            return "OK"
        return None


class LmStudio(Double):
    """LM Studio, whose models may be loaded more than once."""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/api/v1/models":
            self.looked()
            of = []
            for one in self.known:
                here = [name for name in self.loaded if name.split("#")[0] == one]
                config = {"context_length": 16384}
                of.append(
                    {"key": one, "size_bytes": 9, "loaded_instances": [{"id": n, "config": config} for n in here]}
                )
            return {"models": of}
        if path == "/api/v0/models":
            of = [
                {"id": one, "type": "llm", "state": "loaded" if one in self.loaded else "not-loaded"}
                for one in self.known
            ]
            return {"data": of}
        if path == "/api/v1/models/load":
            self.verb(method, path, body)
            if body["model"] not in self.known:
                return 404, {"error": {"message": "Model not found"}}
            if self.fails:
                return 500, {"error": {"message": "Failed to load model"}}
            self.soon("load", body["model"])
            return {"type": "llm", "instance_id": body["model"], "load_time_seconds": 9.1, "status": "loaded"}
        if path == "/api/v1/models/unload":
            self.verb(method, path, body)
            if body["instance_id"] not in self.loaded:
                return 404, {"error": {"message": "no such instance"}}
            self.soon("unload", body["instance_id"])
            return {"instance_id": body["instance_id"]}
        return {"error": f"Unexpected endpoint or method. ({method} {path})"}  # it says so with 200


class LocalAi(Double):
    """LocalAI."""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/system":
            working = self.busy
            self.looked()
            self.busy = working
            return {"backends": ["llama-cpp"], "loaded_models": [{"id": one} for one in self.loaded]}
        if path == "/backend/monitor":
            if query["model"] not in self.loaded:
                return 500, {"error": {"message": "backend not found"}}
            working, self.busy = self.busy, max(0, self.busy - 1)
            return {"state": 1 if working else 2, "memory": {"total": 1073741824, "breakdown": {"weights": 5}}}
        if path == "/backend/load":
            self.verb(method, path, body)
            if self.fails or body["model"] not in self.known:
                return 500, {"error": {"message": "could not load model: rpc error"}}
            self.soon("load", body["model"])
            return {"message": "loaded"}
        if path == "/backend/shutdown":
            self.verb(method, path, body)
            if self.busy:
                return 500, {"error": {"message": "model is still busy"}}
            self.soon("unload", body["model"])
            return {}
        return None


class Tabby(Double):
    """tabbyAPI: one model, loads told as events, an unload that ends what is being answered."""

    def allowed(self, headers: Mapping[str, str]) -> bool:
        return not self.key or headers.get("x-admin-key") == self.key

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path in ("/v1/model/list", "/v1/models"):
            return listed(*self.known, owner="tabbyAPI")
        if path == "/v1/model":
            self.looked()
            if not self.loaded:
                return 503, {"detail": "No models are currently loaded."}
            card = {"id": self.loaded[0], "object": "model", "owned_by": "tabbyAPI"}
            return {**card, "parameters": {"max_seq_len": 8192}}
        if path == "/health":
            self.verb(method, path, body)
        if path == "/v1/model/load":
            self.verb(method, path, body)
            if body["model_name"] not in self.known:
                return 400, {"detail": "Could not find the model path for load."}
            events: list[Json] = [
                {"model_type": "model", "module": one, "modules": 3, "status": "processing"} for one in (1, 2)
            ]
            if self.fails:
                events.append({"error": {"message": "CUDA out of memory", "trace": "x"}})
            elif self.late >= 0:
                self.loaded = [body["model_name"]]
                events.append({"model_type": "model", "module": 3, "modules": 3, "status": "finished"})
            return [b": ping\r\n\r\n", *(f"data: {json.dumps(one)}\r\n\r\n".encode() for one in events)]
        if path == "/v1/model/unload":
            self.verb(method, path, body)
            if not self.loaded:
                return 503, {"detail": "No models are currently loaded."}
            self.loaded = []
            return (200, "null")
        return None


class Triton(Double):
    """Triton with an explicit repository. Its list is asked for with POST."""

    explicit: bool = True

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/v2":
            return {"name": "triton", "version": "2.60.0", "extensions": ["model_repository", "generate"]}
        if path == "/v2/repository/index":
            self.looked()
            words = {"loaded": "READY", "loading": "LOADING", "unloaded": "UNAVAILABLE"}
            return [{"name": one, "version": "1", "state": words[self.state(one)]} for one in self.known]
        if path.startswith("/v2/repository/models/"):
            self.verb(method, path, body)
            name, verb = map(unquote, path.split("/")[4:6])
            if not self.explicit:
                return 503, {"error": f"explicit model {verb} / unload is not allowed"}
            if verb == "load" and (self.fails or name not in self.known):
                return 400, {"error": f"failed to load '{name}', failed to poll from model repository"}
            self.soon(verb, name)
            return (200, "")
        return None


class VllmMlx(Double):
    """vllm-mlx with a registry: a request loads."""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/v1/status":
            working = self.busy
            self.looked()
            of = [
                {
                    "id": one,
                    "status": self.state(one),
                    "loaded": one in self.loaded,
                    "memory_gb": 3.5 if one in self.loaded else 0,
                }
                for one in self.known
            ]
            return {"status": "ok", "num_running": working, "num_waiting": 0, "model_manager": {"models": of}}
        if path == "/v1/models":
            return listed(*self.known, owner="vllm-mlx")
        if path == "/health":
            return {"status": "healthy", "model_loaded": True}
        if path == "/v1/completions":
            self.verb(method, path, body)
            if self.fails or body["model"] not in self.known:
                return 404, {"detail": "The model does not exist"}
            self.soon("load", body["model"])
            return {"model": body["model"], "choices": [{"text": "x"}]}
        return None


class MlxLm(Double):
    """mlx_lm.server: it never says which model it has, and a load that fails leaves none."""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/health":
            return {"status": "ok"}
        if path == "/v1/models":
            return {"object": "list", "data": [{"id": one, "object": "model"} for one in ("cached/x", *self.known)]}
        if path == "/v1/completions":
            self.verb(method, path, body)
            self.loaded = []
            if self.fails or body["model"] not in self.known:
                return 404, {"error": "404 Client Error. Repository Not Found"}
            self.loaded = [body["model"]]
            return {"model": body["model"], "choices": [{"text": "x"}]}
        return None


class SgLang(Double):
    """SGLang: it falls over when it is to release at work, or to resume what it never released."""

    mark: str = "default"
    released: bool = False
    counts: bool = True
    weights: bool = True

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/model_info":
            return {"model_path": "/models/a", "is_generation": True, "weight_version": self.mark}
        if path == "/v1/models":
            return listed("a", owner="sglang")
        if path == "/metrics":
            if not self.counts:
                return NOT_FOUND
            text = (
                f'sglang:num_running_reqs{{engine_type="unified",model_name="a"}} {float(self.busy)}\n'
                'sglang:num_queue_reqs{model_name="a"} 0.0\nsglang:generation_tokens_total{model_name="a"} 77.0\n'
            )
            self.looked()
            return (200, text)
        if path in ("/health", "/health_generate"):
            self.verb(method, path, body)  # it generates
        if path == "/update_weight_version":
            self.verb(method, path, body)
            if body.get("abort_all_requests", True):
                self.fell = "requests were aborted"
            self.mark = body["new_version"]
            return {"success": True, "message": f"Weight version updated to {self.mark}", "new_version": self.mark}
        if path == "/release_memory_occupation":
            self.verb(method, path, body)
            if self.busy:
                self.fell = "release_memory_occupation should be called only when server is idle."
            self.released, self.weights = True, False
            return (200, "null")
        if path == "/resume_memory_occupation":
            self.verb(method, path, body)
            if not self.released:
                self.fell = "KeyError: 'weights'"
            self.released = False
            return (200, "null")
        if path == "/update_weights_from_disk":
            self.verb(method, path, body)
            if self.fails or body["model_path"] != "/models/a":
                return 400, {"success": False, "message": "Failed to get weights iterator"}
            self.weights = True
            return {"success": True, "message": "Succeeded to update model weights.", "num_paused_requests": 0}
        return None


class OpenAi(Double):
    """Anything with one model."""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/v1/models":
            if self.state("a") == "loading":
                self.looked()
                return 503, {"error": {"message": "Loading model"}}
            return listed(*self.known[:1], owner="somebody")
        return None


DOUBLES: Mapping[str, type[Double]] = {
    "opta-lmx": OptaLmx,
    "llama-swap": LlamaSwap,
    "lm-studio": LmStudio,
    "localai": LocalAi,
    "tabbyapi": Tabby,
    "triton": Triton,
    "vllm-mlx": VllmMlx,
    "mlx-lm": MlxLm,
    "sglang": SgLang,
    "openai": OpenAi,
}


@asynccontextmanager
async def served(double: Double) -> AsyncIterator[door.Door]:
    """The double listens; the door to it."""
    async with listening(double.handle) as double.port, door.session() as session:
        yield door.Door(session, f"http://127.0.0.1:{double.port}")
