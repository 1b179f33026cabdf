"""Which model a server has in memory: only that one is ever asked by a probe that goes on for ever.

From: the prober, for `completion://`. To: one token of a completion, or Asleep. Whatever is asked here neither wakes
nor loads anything (measured, or read in the servers' sources): the lists of models, and each server's own word for what
is loaded. A server that is none of those known is asked only where it lists exactly one model.
"""

import json
from collections.abc import Sequence

import aiohttp

from supervisor.clock import Clock
from supervisor.facts import Json
from supervisor.servers import asking, ollama
from supervisor.servers.asking import Way, base_of
from supervisor.servers.resident import KEEPERS, LOADED, Entry, Resident, aliases, listing, name, owner, status, text_in
from supervisor.signals.probes import completion, http
from supervisor.signals.probes.answer import Answer, Asleep, CannotAsk, Unwell
from supervisor.signals.probes.completion import ONE
from supervisor.signals.probes.target import Target

Known = dict[tuple[str, str], None]
"""(run of a container, what it lists) of servers that were seen to be none that loads models by itself"""

_MOST_KNOWN = 256
_LARGEST = 1 << 20
"""bytes of one list"""
_SOON = 15.0
"""seconds: a model that is put away so soon is not asked any more"""
_INSTEAD = "use http://…/health instead"


async def ask(
    web: aiohttp.ClientSession, where: Target, wanted: str, clock: Clock, run: str = "", known: Known | None = None
) -> Answer:
    """One token by the model `wanted` ('': by any that is in memory). Asleep where it is not in memory. `run`, `known`:
    which run of a container it is, '' for none, and what is remembered of such."""
    listed = await _listed(web, where)
    whose = owner(listed or ())
    if whose in ("vllm", "sglang"):
        if whose == "vllm":
            await _stay_off_vllm(web, where)
        return await _complete(web, where, wanted or name((listed or [{}])[0]), clock)
    if whose == "docker":
        raise CannotAsk(f"Docker's model runner loads models by itself and does not say which are loaded; {_INSTEAD}")
    if listed and whose != "llama-swap" and any(status(one) for one in listed):
        awake = Resident([one for one in listed if status(one) in LOADED])
        return await _complete(web, where, name(_entry(awake, wanted)), clock)
    signature = (run, json.dumps([(name(one), text_in(one, "owned_by")) for one in listed or ()]))
    if not run or known is None or signature not in known:
        for keeper in KEEPERS if whose != "llamacpp" else ():
            code, data = await _get(web, where, keeper.path)
            resident = keeper.read(code, data)
            if resident is None:
                continue
            entry = _entry(resident, wanted)
            if keeper.path == ollama.PS:
                return await _ollama(web, where, entry, clock)
            return await _complete(web, where, name(entry), clock)
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
    only = name(listed[0])
    if wanted and wanted != only and wanted not in aliases(listed[0]):
        raise CannotAsk(f"the server lists {only[:100]!r}, not {wanted[:100]!r}; take probe-model out, or correct it")
    return only


async def _complete(web: aiohttp.ClientSession, where: Target, model: str, clock: Clock) -> Answer:
    return await completion.complete(web, where, model, ONE, clock)


# ------------------------------------------------------------ what a server says


async def _listed(web: aiohttp.ClientSession, where: Target) -> Sequence[Entry] | None:
    """The models it lists; None where it keeps no list."""
    way = Way("list", f"{base_of(where.path)}/v1/models")
    async with http.request(web, "GET", where, way.path) as answer:
        if await completion.refusal(answer, way, ""):
            return None
        return listing(completion.parsed(await _body(answer)))


async def _get(web: aiohttp.ClientSession, where: Target, path: str) -> tuple[int, Json]:
    """(status, document) of one of its own addresses; an empty document for what is none."""
    async with http.request(web, "GET", where, base_of(where.path) + path) as answer:
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


# ------------------------------------------------------------ choosing


def _entry(resident: Resident, wanted: str) -> Entry:
    """The one to ask, of those in memory."""
    if resident.unknown:
        raise CannotAsk(f"{resident.unknown}; {_INSTEAD}")
    if resident.asleep:
        raise Asleep(resident.asleep)
    loaded = resident.models
    if wanted:
        for one in loaded:
            if wanted in (name(one), name(one).removesuffix(":latest"), *aliases(one)):
                return one
        others = ", ".join(name(one) for one in loaded[:3])
        raise Asleep(f"{wanted[:100]} is not loaded" + (f" ({others[:150]} is)" if others else ""))
    if not loaded:
        raise Asleep("no model is loaded")
    if resident.mixed:
        raise CannotAsk("this server has models of every kind; say which one completes text: probe-model")
    return loaded[0]


# ------------------------------------------------------------ Ollama


async def _ollama(web: aiohttp.ClientSession, where: Target, entry: Entry, clock: Clock) -> Answer:
    """One token, without a trace: with the context it was loaded with (another one would load it anew), and kept for
    what is left of its time and no longer."""
    model, left = name(entry), ollama.left_of(entry, clock.wall())
    extra = ollama.staying(entry, clock.wall())
    if extra is None:
        what = "until when its model stays loaded" if left is None else "with which context its model is loaded"
        text = f"this Ollama does not say {what}, and a question could load it anew"
        raise CannotAsk(f"{text}; update it, or use http://:11434/api/version")
    if left is not None and left < _SOON:
        raise Asleep(f"{model} is about to be unloaded")
    way = Way(asking.OLLAMA, f"{base_of(where.path)}{asking.OLLAMA}", extra)
    prompt = completion.prompt(way, clock.token())
    began = clock.mono()
    async with http.request(web, "POST", where, way.path, way.question(model, prompt, ONE, stream=False)) as answer:
        refused = await completion.refusal(answer, way, model)
        if refused:
            raise CannotAsk(completion.unknown(refused))
        data = completion.parsed(await completion.whole(answer))
    return completion.completed(text_in(data, "response"), asking.tokens_of(data), way.path, ONE, clock.mono() - began)
