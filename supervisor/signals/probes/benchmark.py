"""How fast a model answers: one completion of N tokens, tokens per second over the wall clock, prompt included.

Streamed, so that a server that does not say how many tokens it made can be counted piece by piece. What is measured is
the whole answer as a caller sees it. A server that cannot be asked is *broken*; one that stops half-way is not well.
"""

import json
from collections.abc import AsyncIterator

import aiohttp

from supervisor.clock import Clock
from supervisor.facts import Benchmark
from supervisor.servers import asking
from supervisor.signals.probes import completion, http
from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target

_MOST = 4 << 20
"""bytes of a stream"""
_LINE = 65_536
"""bytes of one streamed piece"""
_FEW = 4
"""a share (1/4) of the tokens asked for: fewer say nothing about speed"""


async def measure(web: aiohttp.ClientSession, where: Target, model: str, wanted: Benchmark, clock: Clock) -> Answer:
    """One completion; `rate` is the tokens per second. The deadline is the caller's."""
    model = model or await completion.first_model(web, where)
    turned_away = ""
    for way in asking.ways(where.path if where.scheme == "completion" else ""):
        began = clock.mono()
        body = way.question(model, completion.prompt(way, ""), wanted.tokens, stream=True)
        async with http.request(web, "POST", where, way.path, body) as answer:
            refused = await completion.refusal(answer, way, model)
            if refused:
                turned_away = refused
                continue
            made = await _tokens(answer)
        seconds = max(clock.mono() - began, 1e-6)
        if made == 0:
            raise Unwell("it answered the benchmark without a single token")
        if made * _FEW < wanted.tokens:
            text = f"it ended after {made} of {wanted.tokens} tokens, too few to tell its speed"
            raise CannotAsk(text)
        rate = made / seconds
        return Answer(True, f"answers {rate:.1f} tokens/s ({made} in {seconds:.1f} s)", rate=rate)
    raise CannotAsk(completion.unknown(turned_away))


async def _tokens(answer: aiohttp.ClientResponse) -> int:
    """How many tokens an answer brought: what the server counted, else its pieces. A server that streams nothing though
    it was asked to sends one document instead."""
    if answer.content_type == "application/json":
        data = completion.parsed(await completion.whole(answer))
        made = asking.tokens_of(data)
        if not made and asking.text_of(data):
            raise CannotAsk("the server neither streams nor says how many tokens it made")
        return made
    counted = pieces = 0
    async for line in _lines(answer):
        if line == b"[DONE]":
            break
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            raise Unwell("it streamed something that is no completion") from None
        if not isinstance(data, dict):
            continue
        if data.get("error"):
            raise Unwell(f"it broke off: {asking.message(data)}")
        counted = max(counted, asking.tokens_of(data))
        pieces += bool(asking.text_of(data))
    return counted or pieces


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The `data:` lines of an event stream, within bounds."""
    held, taken = b"", 0
    while taken <= _MOST:
        piece = await answer.content.read(_LINE)
        taken += len(piece)
        *whole, held = (held + piece).split(b"\n")
        if not piece:
            whole, held = [held], b""
        for line in whole:
            name, colon, value = line.strip().partition(b":")
            if colon and name == b"data" and value.strip():
                yield value.strip()
        if not piece:
            return
        if len(held) > _LINE:
            raise Unwell("it streams without an end of line")
    raise Unwell(f"it streams more than {_MOST >> 20} MiB for one completion")
