"""Which model a server has in memory: only that one is ever asked by a probe that goes on for ever.

From: the prober, for `completion://`. To: one token of a completion, or Asleep. Whatever is asked here neither wakes
nor loads anything (measured, or read in the servers' sources): the lists of models, and each server's own word for what
is loaded. A server that is none of those known is asked only where it lists exactly one model.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import Json
from supervisor.signals.probes import completion, http
from supervisor.signals.probes.answer import Answer, Asleep, CannotAsk, Unwell
from supervisor.signals.probes.completion import ONE, Way, base_of, listing, text_in
from supervisor.signals.probes.target import Target

Entry = Mapping[str, object]
Known = dict[tuple[str, str], None]
"""(run of a container, what it lists) of servers that were seen to be none that loads models by itself"""

_MOST_KNOWN = 256
_LARGEST = 1 << 20
"""bytes of one list"""
_SOON = 15.0
"""seconds: a model that is put away so soon is not asked any more"""
_FOR_EVER = 10 * 365 * 86400.0
_IN_MEMORY = ("loaded", "ready")
_INSTEAD = "use http://…/health instead"


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that loads models by itself. `loaded`: from its answer (status, document), the models in memory; None
    where it is another server."""

    path: str
    loaded: Callable[[int, Json], Sequence[Entry] | None]


async def ask(
    web: aiohttp.ClientSession, where: Target, wanted: str, clock: Clock, run: str = "", known: Known | None = None
) -> Answer:
    """One token by the model `wanted` ('': by any that is in memory). Asleep where it is not in memory. `run`, `known`:
    which run of a container it is, '' for none, and what is remembered of such."""
    listed = await _listed(web, where)
    owner = text_in(listed[0], "owned_by").lower() if listed else ""
    if owner in ("vllm", "sglang"):
        if owner == "vllm":
            await _stay_off_vllm(web, where)
        return await _complete(web, where, wanted or _name(listed or [{}], 0), clock)
    if owner == "docker":
        raise CannotAsk(f"Docker's model runner loads models by itself and does not say which are loaded; {_INSTEAD}")
    if listed and owner != "llama-swap" and any(_status(one) for one in listed):
        awake = [one for one in listed if _status(one) in _IN_MEMORY]
        return await _complete(web, where, _chosen(awake, wanted), clock)
    signature = (run, json.dumps([(_name([one], 0), text_in(one, "owned_by")) for one in listed or ()]))
    if not run or known is None or signature not in known:
        for server in _SERVERS if owner != "llamacpp" else ():
            status, data = await _get(web, where, server.path)
            loaded = server.loaded(status, data)
            if loaded is None:
                continue
            if server.path == _OLLAMA:
                return await _ollama(web, where, _entry(loaded, wanted), clock)
            return await _complete(web, where, _chosen(loaded, wanted), clock)
        if run and known is not None:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[signature] = None
    model = await _plain(web, where, listed, wanted)
    return await _complete(web, where, model, clock)


async def _plain(web: aiohttp.ClientSession, where: Target, listed: Sequence[Entry] | None, wanted: str) -> str:
    """The model of a server with one model, which is in memory as long as it runs, unless it sleeps."""
    _status_code, props = await _get(web, where, "/props")
    if props.get("is_sleeping") is True:
        raise Asleep("its model sleeps, since nobody asked for a while")
    if listed is None:
        if "default_generation_settings" in props:  # llama.cpp's own
            return ""
        raise CannotAsk(f"the server does not list its models, and a question could load one; {_INSTEAD}")
    if not listed:
        raise Asleep("no model is there")
    if len(listed) > 1:
        text = f"the server lists {len(listed)} models and does not say which of them are loaded, and a question could"
        raise CannotAsk(f"{text} load one; {_INSTEAD}")
    name = _name(listed, 0)
    if wanted and wanted != name and wanted not in _aliases(listed[0]):
        raise CannotAsk(f"the server lists {name[:100]!r}, not {wanted[:100]!r}; take probe-model out, or correct it")
    return name


async def _complete(web: aiohttp.ClientSession, where: Target, model: str, clock: Clock) -> Answer:
    return await completion.complete(web, where, model, ONE, clock)


# ------------------------------------------------------------ what a server says


async def _listed(web: aiohttp.ClientSession, where: Target) -> Sequence[Entry] | None:
    """The models it lists; None where it keeps no list."""
    way = Way("list", f"{base_of(where)}/v1/models")
    async with http.request(web, "GET", where, way.path) as answer:
        if await completion.refusal(answer, way, ""):
            return None
        return listing(completion.parsed(await _body(answer)))


async def _get(web: aiohttp.ClientSession, where: Target, path: str) -> tuple[int, Json]:
    """(status, document) of one of its own addresses; an empty document for what is none."""
    async with http.request(web, "GET", where, base_of(where) + path) as answer:
        try:
            return answer.status, completion.parsed(await _body(answer))
        except Unwell:
            return answer.status, {}


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    raw = await http.read(answer, _LARGEST + 1)
    if len(raw) > _LARGEST:
        raise Unwell(f"lists its models in more than {_LARGEST >> 20} MiB")
    return raw


async def _stay_off_vllm(web: aiohttp.ClientSession, where: Target) -> None:
    """vLLM sleeps only where its development mode is on; elsewhere it knows no such address."""
    for path, word in (("/is_sleeping", "sleeps"), ("/is_paused", "is paused")):
        status, data = await _get(web, where, path)
        if status != 200:
            return
        if data.get(path.removeprefix("/")) is True:
            raise Asleep(f"its model {word}, by somebody's word")


def _llama_swap(status: int, data: Json) -> Sequence[Entry] | None:
    if status != 200 or not isinstance(data.get("running"), list):
        return None
    found = [one for one in listing(data, "running") if text_in(one, "state") in ("", *_IN_MEMORY)]
    for one in found:
        ttl = one.get("ttl")
        if isinstance(ttl, int | float) and ttl > 0:
            took = units.show_duration(float(ttl))
            raise Asleep(
                f"{_name([one], 0)} is loaded, and a question would keep it so for longer than its ttl ({took})"
            )
    return found


def _lm_studio(status: int, data: Json) -> Sequence[Entry] | None:
    found = listing(data)
    if status != 200 or not any("state" in one for one in found):
        return None
    kinds = ("", "llm", "vlm")
    return [one for one in found if text_in(one, "state") in _IN_MEMORY and text_in(one, "type") in kinds]


def _ps(status: int, data: Json) -> Sequence[Entry] | None:
    if status != 200 or not isinstance(data.get("models"), list):
        return None
    return [one for one in listing(data, "models") if "bert" not in _family(one)]


def _tabby(status: int, data: Json) -> Sequence[Entry] | None:
    if status == 200 and text_in(data, "id") and text_in(data, "object") in ("", "model"):
        return [data]
    return [] if status in (400, 503) and "models are currently loaded" in http.message(data) else None


def _localai(status: int, data: Json) -> Sequence[Entry] | None:
    if status != 200 or not isinstance(data.get("backends"), list):
        return None
    if not isinstance(data.get("loaded_models"), list):
        raise CannotAsk(f"this LocalAI does not say which of its models are loaded; {_INSTEAD}")
    return [{**one, "any": True} for one in listing(data, "loaded_models")]


def _vllm_mlx(status: int, data: Json) -> Sequence[Entry] | None:
    manager = data.get("model_manager")
    if status != 200 or not isinstance(manager, dict):
        return None
    return [one for one in listing(manager, "models") if one.get("loaded") is True]


_OLLAMA = "/api/ps"
_SERVERS = (
    _Server("/running", _llama_swap),
    _Server("/api/v0/models", _lm_studio),
    _Server(_OLLAMA, _ps),
    _Server("/v1/model", _tabby),
    _Server("/system", _localai),
    _Server("/v1/status", _vllm_mlx),
)
"""those that load models by themselves, in the order in which they are told apart"""


# ------------------------------------------------------------ choosing


def _entry(loaded: Sequence[Entry], wanted: str) -> Entry:
    """The one to ask, of those in memory."""
    if wanted:
        for one in loaded:
            if wanted in (_name([one], 0), _name([one], 0).removesuffix(":latest"), *_aliases(one)):
                return one
        others = ", ".join(_name([one], 0) for one in loaded[:3])
        raise Asleep(f"{wanted[:100]} is not loaded" + (f" ({others[:150]} is)" if others else ""))
    if not loaded:
        raise Asleep("no model is loaded")
    if loaded[0].get("any") is True:
        raise CannotAsk("this server has models of every kind; say which one completes text: probe-model")
    return loaded[0]


def _chosen(loaded: Sequence[Entry], wanted: str) -> str:
    return _name([_entry(loaded, wanted)], 0)


def _name(entries: Sequence[Entry], place: int) -> str:
    one = entries[place]
    return text_in(one, "id") or text_in(one, "model") or text_in(one, "name")


def _aliases(entry: Entry) -> tuple[str, ...]:
    found = entry.get("aliases")
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _status(entry: Entry) -> str:
    found = entry.get("status")
    return text_in(found, "value") if isinstance(found, dict) else ""


def _family(entry: Entry) -> str:
    found = entry.get("details")
    return text_in(found, "family").lower() if isinstance(found, dict) else ""


# ------------------------------------------------------------ Ollama


async def _ollama(web: aiohttp.ClientSession, where: Target, entry: Entry, clock: Clock) -> Answer:
    """One token, without a trace: with the context it was loaded with (another one would load it anew), and kept for
    what is left of its time and no longer."""
    name, context = _name([entry], 0), entry.get("context_length")
    if not isinstance(context, int) or context <= 0:
        text = "this Ollama does not say with which context its model is loaded, and a question could load it anew"
        raise CannotAsk(f"{text}; update it, or use http://:11434/api/version")
    left = _left(entry, clock.wall())
    if left < _SOON:
        raise Asleep(f"{name} is about to be unloaded")
    way = Way(completion.NATIVE, f"{base_of(where)}/api/generate")
    body = {
        "model": name,
        "prompt": str(way.body("", ONE, mark=clock.token())["prompt"]),
        "stream": False,
        "keep_alive": -1 if left > _FOR_EVER else f"{left:.3f}s",
        "options": {"num_predict": ONE, "num_ctx": context, "temperature": 0},
    }
    began = clock.mono()
    async with http.request(web, "POST", where, way.path, body) as answer:
        refused = await completion.refusal(answer, way, name)
        if refused:
            raise CannotAsk(completion.unknown(refused))
        data = completion.parsed(await completion.whole(answer))
    made = data.get("eval_count")
    count = made if isinstance(made, int) and 0 < made < 1_000_000 else 0
    return completion.completed(text_in(data, "response"), count, way.path, ONE, clock.mono() - began)


def _left(entry: Entry, now: float) -> float:
    """Seconds until its model is put away."""
    try:
        return datetime.fromisoformat(text_in(entry, "expires_at")).timestamp() - now
    except (ValueError, OverflowError, OSError):
        raise CannotAsk(
            "this Ollama does not say until when its model stays loaded; use http://:11434/api/version"
        ) from None
