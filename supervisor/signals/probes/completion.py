"""`completion://:8000[/path]`: a model server is well when it completes a sentence. An answer on /health proves little.

Asked in this order, the next where the server does not know the one before: `/v1/completions`, `/v1/chat/completions`,
llama.cpp's `/completion`. A path in the address that ends like one of these is the only one asked; another one is put
in front of them. The model is the declared one, else the first that the server lists; a model that is asked for ever
is chosen by awake.py. No two questions are the same text, so that no cache on the way has the answer.
"""

import json

import aiohttp

from supervisor.clock import Clock
from supervisor.facts import Json
from supervisor.servers.asking import (
    CHAT,
    NOT_HERE,
    WRONG_QUESTION,
    Way,
    base_of,
    message,
    text_of,
    tokens_of,
    ways,
)
from supervisor.servers.resident import text_in
from supervisor.signals.probes import http
from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target

TOKENS = 8
"""few: it is asked again and again while the model serves others"""
ONE = 1
"""of a question that is asked for ever"""
LARGEST = 262_144
"""bytes of an answer that are read"""
_LOGIN = (401, 403)
_PROMPT = "1, 2, 3, 4, 5,"
_TASK = "Count from 1 to 1000, separated by commas. Write nothing else."


def prompt(way: Way, mark: str) -> str:
    """What is asked that way. `mark`: put in front, so that it is not the same as the one before."""
    text = _TASK if way.kind == CHAT else _PROMPT
    return f"{mark}: {text}" if mark else text


async def ask(web: aiohttp.ClientSession, where: Target, model: str, clock: Clock) -> Answer:
    """One completion of a few tokens."""
    model = model or await first_model(web, where)
    return await complete(web, where, model, TOKENS, clock)


async def complete(web: aiohttp.ClientSession, where: Target, model: str, tokens: int, clock: Clock) -> Answer:
    """One completion by this very model ('': without naming one)."""
    turned_away = ""
    for way in ways(where.path):
        began, body = clock.mono(), way.question(model, prompt(way, clock.token()), tokens, stream=False)
        async with http.request(web, "POST", where, way.path, body) as answer:
            refused = await refusal(answer, way, model)
            if not refused:
                data = parsed(await whole(answer))
                return completed(text_of(data), tokens_of(data), way.path, tokens, clock.mono() - began)
            turned_away = refused
    raise CannotAsk(unknown(turned_away))


def completed(words: str, made: int, path: str, tokens: int, seconds: float) -> Answer:
    """What a completion says: its text, how many tokens it has by the server's count (0: not told), of so many asked
    for, after so long. A single token can be one without text (the end, half a letter): there the count is proof."""
    if not words and not (tokens == ONE and made):
        raise Unwell(f"{path} answered without a single token of text")
    said = f"completed {' '.join(words.split())[:40]!r}" if words else "completed one token, which has no text"
    counted = made or (ONE if tokens == ONE else 0)
    return Answer(True, said, rate=counted / max(seconds, 1e-6))


async def first_model(web: aiohttp.ClientSession, where: Target) -> str:
    """The first model that the server lists; '' where it keeps no list."""
    async with http.request(web, "GET", where, f"{base_of(where.path)}/v1/models") as answer:
        if answer.status in (*NOT_HERE, *WRONG_QUESTION, *_LOGIN) or answer.status in range(300, 400):
            return ""
        if answer.status != 200:
            raise Unwell(await _trouble(answer))
        data = parsed(await whole(answer))
    listed = data.get("data")
    first = listed[0] if isinstance(listed, list) and listed else {}
    return text_in(first, "id") if isinstance(first, dict) else ""


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
    if status in (*NOT_HERE, *WRONG_QUESTION):
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
        return message(parsed(raw)) or " ".join(raw[:200].decode("utf-8", "replace").split())
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


def unknown(last: str) -> str:
    """That no way to ask was understood."""
    return (
        f"the server knows no way to complete text ({last[:150]}); use http://, or name the path: completion://:8000/v1"
    )
