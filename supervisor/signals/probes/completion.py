"""`completion://:8000[/path]`: a model server is well when it completes a sentence. An answer on /health proves little.

Asked in this order, the next where the server does not know the one before: `/v1/completions`, `/v1/chat/completions`,
llama.cpp's `/completion`. A path in the address that ends like one of these is the only one asked; another one is put
in front of them. The model is the declared one, else the first that the server lists.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from supervisor.facts import Json
from supervisor.signals.probes import http
from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target

TOKENS = 8
"""few: it is asked again and again while the model serves others"""
LARGEST = 262_144
"""bytes of an answer that are read"""
TEXT, CHAT, NATIVE = "/v1/completions", "/v1/chat/completions", "/completion"
_ENDINGS = (("/chat/completions", CHAT), ("/completions", TEXT), ("/completion", NATIVE))
_NOT_HERE = (404, 405, 501)
_WRONG_QUESTION = (400, 422)
_LOGIN = (401, 403)
_PROMPT = "1, 2, 3, 4, 5,"
_TASK = "Count from 1 to 1000, separated by commas. Write nothing else."


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask for a completion."""

    kind: str
    path: str

    def body(self, model: str, tokens: int, *, stream: bool = False) -> dict[str, object]:
        """The request for so many tokens."""
        if self.kind == NATIVE:
            return {"prompt": _PROMPT, "n_predict": tokens, "temperature": 0, "stream": stream}
        asked: dict[str, object] = {"model": model} if model else {}
        if self.kind == TEXT:
            asked["prompt"] = _PROMPT
        else:
            asked["messages"] = [{"role": "user", "content": _TASK}]
        asked |= {"max_tokens": tokens, "temperature": 0, "stream": stream}
        if stream:
            asked["stream_options"] = {"include_usage": True}
        return asked


def ways(path: str) -> tuple[Way, ...]:
    """The ways to ask, in order, for the path in the probe's address."""
    base = path.rstrip("/")
    for ending, kind in _ENDINGS:
        if base.endswith(ending):
            return (Way(kind, base),)
    base = base.removesuffix("/v1")
    return tuple(Way(kind, base + kind) for kind in (TEXT, CHAT, NATIVE))


async def ask(web: aiohttp.ClientSession, where: Target, model: str) -> Answer:
    """One completion of a few tokens."""
    model = model or await first_model(web, where)
    turned_away = ""
    for way in ways(where.path):
        async with http.request(web, "POST", where, way.path, way.body(model, TOKENS)) as answer:
            refused = await refusal(answer, way, model)
            if not refused:
                words = text_of(parsed(await whole(answer)))
                if not words:
                    raise Unwell(f"{way.path} answered without a single token of text")
                return Answer(True, f"completed {' '.join(words.split())[:40]!r}")
            turned_away = refused
    raise CannotAsk(unknown(turned_away))


async def first_model(web: aiohttp.ClientSession, where: Target) -> str:
    """The first model that the server lists; '' where it keeps no list."""
    base = ways(where.path)[0].path
    for ending, _kind in _ENDINGS:
        base = base.removesuffix(ending)
    path = f"{base.removesuffix('/v1')}/v1/models"
    async with http.request(web, "GET", where, path) as answer:
        if answer.status in (*_NOT_HERE, *_WRONG_QUESTION, *_LOGIN) or answer.status in range(300, 400):
            return ""
        if answer.status != 200:
            raise Unwell(await _trouble(answer))
        data = parsed(await whole(answer))
    listed = data.get("data")
    first = listed[0] if isinstance(listed, list) and listed else {}
    name = first.get("id") if isinstance(first, dict) else ""
    return name[:500] if isinstance(name, str) else ""


async def refusal(answer: aiohttp.ClientResponse, way: Way, model: str) -> str:
    """'' for an answer to be read; else why this way leads nowhere and the next is to be tried. What concerns the
    service, or us, whichever way it is asked, is raised."""
    status = answer.status
    if status == 200:
        return ""
    if status in _LOGIN:
        raise CannotAsk(f"{way.path} wants a key ({status}), and a probe has none; use http://…/health instead")
    if 300 <= status < 400:
        raise CannotAsk(f"{way.path} sends us elsewhere ({status}), which is never followed; name the right address")
    said = await _said(answer)
    if status in (*_NOT_HERE, *_WRONG_QUESTION):
        if status == 404 and model and "model" in said.lower():
            raise Unwell(f"it does not serve the model {model[:100]!r}: {said}")
        return f"{way.path}: {status} {said}".strip()
    raise Unwell(_in_words(status, answer.reason or "", said))


async def _trouble(answer: aiohttp.ClientResponse) -> str:
    return _in_words(answer.status, answer.reason or "", await _said(answer))


def _in_words(status: int, reason: str, said: str) -> str:
    if status == 503 and (not said or "load" in said.lower()):
        return f"is loading ({said or reason or status})"
    return f"{status} {said or reason}".strip()


async def _said(answer: aiohttp.ClientResponse) -> str:
    """What an unhappy answer says, short."""
    raw = await http.read(answer, 4096)
    try:
        return http.message(parsed(raw)) or " ".join(raw[:200].decode("utf-8", "replace").split())
    except Unwell:
        return " ".join(raw[:200].decode("utf-8", "replace").split())


async def whole(answer: aiohttp.ClientResponse) -> bytes:
    """A body, all of it; Unwell where it is larger than any honest answer, or packed though we asked for it plain."""
    packed = answer.headers.get("Content-Encoding", "identity").lower()
    if packed not in ("", "identity"):
        raise Unwell(f"answers packed ({packed[:20]}), which was not asked for and is not unpacked")
    raw = await http.read(answer, LARGEST + 1)
    if len(raw) > LARGEST:
        raise Unwell(f"answers with more than {LARGEST // 1024} KiB, which is no completion of {TOKENS} tokens")
    return raw


def parsed(raw: bytes) -> Json:
    """A JSON object; Unwell for anything else, whatever its content type says."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        head = " ".join(raw[:60].decode("utf-8", "replace").split())
        raise Unwell(f"answers with something that is no completion: {head!r}")
    return data


def text_of(data: Mapping[str, object]) -> str:
    """The text of a completion, in any of the three shapes, whole or a streamed piece; '' where there is none."""
    found = data.get("content")
    if isinstance(found, str):
        return found
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return ""
    if isinstance(choice.get("text"), str):
        return str(choice["text"])
    said = choice.get("message") or choice.get("delta")
    if not isinstance(said, dict):
        return ""
    for key in ("content", "reasoning_content", "reasoning"):
        if isinstance(said.get(key), str) and said[key]:
            return str(said[key])
    return ""


def tokens_of(data: Mapping[str, object]) -> int:
    """How many tokens the server says it made; 0 where it does not say."""
    usage = data.get("usage")
    made = usage.get("completion_tokens") if isinstance(usage, dict) else data.get("tokens_predicted")
    return made if isinstance(made, int) and not isinstance(made, bool) and 0 < made < 1_000_000 else 0


def unknown(last: str) -> str:
    """That no way to ask was understood."""
    return (
        f"the server knows no way to complete text ({last[:150]}); use http://, or name the path: completion://:8000/v1"
    )
