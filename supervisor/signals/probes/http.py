"""`http://:8000/health`: well when the status is below 400. And how model servers are asked.

A redirect is an answer and is never followed; of a body only so much is read as was asked for. The client is the one
for all strangers (supervisor/http.py), the deadline the caller's.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from supervisor import http
from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target
from supervisor.signals.web import failed

_SHOWN = 200
"""bytes of an unhappy answer that are shown"""
_AT_ONCE, _PIECE = 32, 32_768
"""connections, and bytes read ahead on each"""


def session() -> aiohttp.ClientSession:
    """One for all questions."""
    return http.session(_AT_ONCE, _PIECE)


async def ask(web: aiohttp.ClientSession, where: Target) -> Answer:
    """GET its address."""
    path = where.path if where.path.startswith("/") else f"/{where.path}"
    async with request(web, "GET", where, path) as answer:
        said = f"{answer.status} {answer.reason or ''}".strip()
        if answer.status >= 400:
            raise Unwell(f"{said} {await shown(answer)}")
        return Answer(True, said)


@asynccontextmanager
async def request(
    web: aiohttp.ClientSession, method: str, where: Target, path: str, body: Mapping[str, object] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """An answer's status and headers, its body not read yet. Whatever goes wrong is CannotAsk or Unwell."""
    scheme = "https" if where.scheme == "https" else "http"
    address = f"{scheme}://{where.netloc}{path}"
    # nobody gives a certificate for a container's own address; with a name, whoever answers must prove it
    trust = not (where.own and scheme == "https")
    try:
        async with web.request(method, address, json=body, allow_redirects=False, ssl=trust) as answer:
            yield answer
    except (aiohttp.ClientError, OSError, ValueError) as err:
        text, unknown = failed(err, address)
        raise (CannotAsk if unknown else Unwell)(text) from None


async def shown(answer: aiohttp.ClientResponse) -> str:
    """The first words of a body, on one line."""
    head = await read(answer, _SHOWN)
    return " ".join(head.decode("utf-8", "replace").split())


async def read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """At most `limit` bytes of a body; the rest is left on the wire."""
    found = bytearray()
    while len(found) < limit:
        piece = await answer.content.read(limit - len(found))
        if not piece:
            break
        found += piece
    return bytes(found)
