"""Doubles of the model servers whose adapters have code of their own: a llama.cpp router, Ollama, vLLM.

From: their documentation and sources (reference notes name the versions). `disturbed` and `fell` as in
described_servers.py. llama.cpp's server with one model needs no double: a real one runs in the tests.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.described_servers import Double, listed
from tests.support.models import listening

FAR = "2318-01-01T00:00:00Z"


@dataclass
class LlamaRouter(Double):
    """llama-server without a model of its own. What is asked about one model loads it, unless autoload is off."""

    asleep: list[str] = field(default_factory=list)
    exits: dict[str, int] = field(default_factory=dict)
    """model -> the exit code its last load ended with"""
    most: int = 4
    cut: int = 0
    """requests that an unload cut"""

    def _word(self, name: str) -> str:
        return "sleeping" if name in self.asleep else self.state(name)

    def _entry(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = {"value": self._word(name)}
        if name in self.exits and status["value"] == "unloaded":
            status |= {"failed": True, "exit_code": self.exits[name]}
        return {"id": name, "aliases": [f"{name}-too"], "object": "model", "owned_by": "llamacpp", "status": status}

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path in ("/models", "/v1/models"):
            self.looked()
            return {"object": "list", "data": [self._entry(name) for name in self.known]}
        if path == "/health":
            return {"status": "ok"}
        if path in ("/props", "/metrics", "/slots"):
            name = query.get("model", "")
            if not name:
                return 400, {"error": {"message": "model name is missing"}}
            if query.get("autoload") != "false" or path == "/slots":
                self.verb(method, path, dict(query))
            if path == "/metrics":
                lines = ("requests_processing", self.busy), ("requests_deferred", 0), ("tokens_predicted_total", 5)
                return 200, "".join(f"llamacpp:{key} {value}\n" for key, value in lines)
            return {"default_generation_settings": {"n_ctx": 4096}, "model_path": f"/models/{name}.gguf"}
        if path == "/models/load":
            return self._load(method, path, body)
        if path == "/models/unload":
            self.verb(method, path, body)
            if self.state(body["model"]) == "unloaded":
                return 400, {"error": {"message": "model is not running"}}
            self.cut += self.busy
            self.soon("unload", body["model"])
            return {"success": True}
        if path == "/v1/chat/completions":
            self.asleep = [name for name in self.asleep if name != body["model"]]
            if body["model"] not in self.loaded:
                self.verb(method, path, body)
            return {"choices": [{"finish_reason": "length", "message": {"content": "x"}}], "model": body["model"]}
        return None

    def _load(self, method: str, path: str, body: Any) -> Any:
        self.verb(method, path, body)
        if len(self.loaded) >= self.most:
            return 500, {"error": {"message": "model limit reached, try again later"}}
        if self.fails:
            self.exits[body["model"]] = 1
            return {"success": True}
        self.soon("load", body["model"])
        return {"success": True}


@dataclass
class OllamaServer(Double):
    """Ollama."""

    until: str = FAR
    context: int = 8192
    breaks: bool = False
    """its next answer ends half-way"""

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/":
            return 200, "Ollama is running"
        if path == "/v1/models":
            return listed(*(f"{name}:latest" for name in self.known), owner="library")
        if path == "/api/tags":
            return {"models": [{"name": f"{name}:latest", "model": f"{name}:latest"} for name in self.known]}
        if path == "/api/ps":
            self.looked()
            size = {"size": 20 << 30, "size_vram": 15 << 30, "context_length": self.context, "expires_at": self.until}
            return {"models": [{"name": f"{one}:latest", "model": f"{one}:latest", **size} for one in self.loaded]}
        if path == "/api/generate":
            return self._generate(method, path, body)
        return None

    def _generate(self, method: str, path: str, body: Any) -> Any:
        name = body["model"].removesuffix(":latest")
        if name not in self.known:
            return 404, {"error": f"model '{name}' not found"}
        context = (body.get("options") or {}).get("num_ctx", 4096)
        if name not in self.loaded or context != self.context or not body.get("prompt"):
            self.verb(method, path, body)  # it loads, loads anew, or changes how long it stays
        if body.get("prompt"):
            pieces = [{"model": name, "response": word, "done": False} for word in (" six", ", seven")]
            last = {"model": name, "response": "", "done": True, "done_reason": "length", "eval_count": 8}
            last |= {"eval_duration": 500_000_000, "prompt_eval_count": 30, "prompt_eval_duration": 100_000_000}
            lines = pieces if self.breaks else [*pieces, last]
            text = "".join(json.dumps(one) + "\n" for one in lines)
            return web.Response(body=text.encode(), content_type="application/x-ndjson")
        if body.get("keep_alive") == 0:
            self.soon("unload", name)
            return {"model": name, "response": "", "done": True, "done_reason": "unload"}
        self.until = FAR if body.get("keep_alive") == -1 else "2030-01-01T00:00:00Z"
        self.soon("load", name)
        return {"model": name, "response": "", "done": True, "done_reason": "load"}


@dataclass
class VllmServer(Double):
    """vLLM with one model. `level`: how deep it sleeps, 0: it is awake."""

    sleeps: bool = True
    """its development mode is on"""
    level: int = 0
    weights: bool = True
    """they are in place and are its own"""
    tags: list[str] = field(default_factory=list)
    """what is still away while it is woken piece by piece"""
    paused: bool = False
    cut: int = 0

    def allowed(self, headers: Mapping[str, str]) -> bool:
        return True  # it guards /v1 only; see reply

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/health":
            return 200, ""
        if path == "/version":
            return {"version": "0.33.0"}
        if path == "/v1/models":
            return {"data": [{"id": "a", "owned_by": "vllm", "root": "/models/a", "max_model_len": 32768}]}
        if path == "/metrics":
            self.looked()
            state = "discard_all" if self.level == 2 else "weights_offloaded" if self.level else "awake"
            lines = [f'vllm:engine_sleep_state{{sleep_state="{state}"}} 1.0']
            lines += [f'vllm:num_requests_running{{engine="{one}"}} {self.busy}' for one in (0, 1)]
            lines += ['vllm:num_requests_waiting{engine="0"} 0', 'vllm:generation_tokens_total{engine="0"} 11']
            return 200, "\n".join(lines) + "\n"
        if not self.sleeps:
            return None
        if path == "/is_sleeping":
            return {"is_sleeping": bool(self.level or self.tags)}
        if path == "/is_paused":
            return {"is_paused": self.paused}
        return self._verb(method, path, query, body)

    def _verb(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        self.verb(method, path, dict(query) or body)
        if path == "/sleep":
            self.cut += self.busy
            self.level, self.tags = int(query.get("level", "1")), ["weights", "kv_cache"]
            self.weights = self.level == 1
            return {"status": "sleeping"}
        if path == "/wake_up":
            woken = [query["tags"]] if "tags" in query else ["weights", "kv_cache"]
            self.tags = [one for one in self.tags if one not in woken]
            self.level = self.level if self.tags else 0
            return 200, ""
        if path == "/collective_rpc" and body == {"method": "reload_weights"}:
            if "weights" in self.tags:
                self.fell = "the weights have no room yet"
            self.weights = True
            return 200, {"results": [None]}
        return None


@asynccontextmanager
async def address(double: Double) -> AsyncIterator[str]:
    """The double listens; its address."""
    async with listening(double.handle) as double.port:
        yield f"http://127.0.0.1:{double.port}"
