"""The door to one model server: a question out, its answer in, within bounds (places.Asking).

From: generic.py. To: a server over HTTP. No redirect is followed, no proxy asked, nothing unpacked; an answer is read
up to a bound, and a stream of events as it comes. Whatever goes wrong is a ServerError, a sentence without the key.
"""

import asyncio
import errno
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from supervisor import http, units
from supervisor.errors import ServerError
from supervisor.servers.understood import Said

LARGEST = 8 << 20
"""bytes of an answer: counters of a busy server are long"""
LARGEST_JSON = 1 << 20
"""bytes of an answer that is taken apart: nothing else gets on meanwhile"""
_SHORTEST_KEY = 8
"""characters of a key that is looked for in answers; a shorter one may be a part of any word"""
LONGEST = 256 << 10
"""bytes of one event"""
_PIECE, _AT_ONCE = 65_536, 32
_STREAMS = {"text/event-stream": b"data:", "application/x-ndjson": b""}
"""kinds of answers that come piece by piece, a line each; what such a line begins with"""


class Door:
    """One server. `base`: `http://172.18.0.3:8000`, without a path or with one."""

    def __init__(self, session: aiohttp.ClientSession, base: str, *, trusted: bool = True, hidden: str = "") -> None:
        """`trusted`: with https whoever answers must prove who it is; not so at a container's own address, for which
        nobody gives a certificate. `hidden`: the key: what a server says goes to the journal and the bus, and some
        repeat the key in what they say."""
        self._session, self._base, self._trusted = session, base.rstrip("/"), trusted
        self._hidden = hidden.encode() if len(hidden) >= _SHORTEST_KEY else b""

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        """One question."""
        async with self._answer(method, path, body, headers, within) as answer:
            raw = await _read(answer, LARGEST + 1)
            if len(raw) > LARGEST:
                raise ServerError(f"{self._base}{path} answers with more than {LARGEST >> 20} MiB, which is not read.")
            return self._said(answer.status, raw)

    async def events(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncGenerator[Said, None]:
        """Its events, each as soon as it is there; of an answer that is no stream of events, that answer alone."""
        wanted = {"Accept": "text/event-stream", **headers}
        async with self._answer(method, path, body, wanted, within) as answer:
            if answer.status != 200 or answer.content_type not in _STREAMS:
                yield self._said(answer.status, await _read(answer, LARGEST))
                return
            before, rest, more = _STREAMS[answer.content_type], b"", True
            while more:
                piece = await answer.content.read(_PIECE)
                more = bool(piece)
                *lines, rest = (rest + piece).split(b"\n") if more else (rest, b"")
                if len(rest) > LONGEST:
                    raise ServerError(f"{self._base}{path} sends an event that does not end.")
                for line in lines:
                    if line.startswith(before) and line.strip():
                        yield self._said(200, line.removeprefix(before).strip())

    def _said(self, status: int, raw: bytes) -> Said:
        return said(status, raw.replace(self._hidden, b"***") if self._hidden else raw)

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        address = self._base + path
        try:
            async with (
                asyncio.timeout(within),
                self._session.request(
                    method, address, json=body, headers=headers, allow_redirects=False, ssl=self._trusted
                ) as answer,
            ):
                yield answer
        except TimeoutError:
            raise ServerError(f"{address} did not answer within {units.show_duration(within)}.") from None
        except (aiohttp.ClientError, OSError, ValueError) as err:
            raise ServerError(f"{address}: {_why(err)}.") from None


def session() -> aiohttp.ClientSession:
    """One for all doors."""
    return http.session(_AT_ONCE, _PIECE)


def said(status: int, raw: bytes) -> Said:
    """An answer, understood as far as it can be."""
    text = raw.decode("utf-8", "replace")
    if len(raw) > LARGEST_JSON:
        return Said(status, text)
    try:
        return Said(status, text, json.loads(text))
    except (ValueError, RecursionError):
        return Said(status, text)


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    found = bytearray()
    while len(found) < limit and (piece := await answer.content.read(limit - len(found))):
        found += piece
    return bytes(found)


def _why(err: aiohttp.ClientError | OSError | ValueError) -> str:
    if isinstance(err, aiohttp.ClientConnectorError) and err.os_error.errno == errno.ECONNREFUSED:
        return "nothing listens there"
    if isinstance(err, aiohttp.ClientConnectorError) and err.os_error.errno:
        return f"no connection ({os.strerror(err.os_error.errno)})"
    return units.plain(str(err) or type(err).__name__, 200)
