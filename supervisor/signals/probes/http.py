"""`http://:8000/health`: well when the status is below 400. And the bounded client that model servers are asked with.

A redirect is an answer and is never followed. No proxy, no cookie, no password; what is packed is not unpacked; of a
body only so much is read as was asked for. The deadline is the caller's.
"""

import errno
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from supervisor.facts import Json
from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target

_SHOWN = 200
"""bytes of an unhappy answer that are shown"""
HEADERS = {"User-Agent": "resurgam", "Accept-Encoding": "identity"}


def session() -> aiohttp.ClientSession:
    """One for all questions; a fresh connection for each. aiohttp bounds the size and number of headers."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=32, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=HEADERS,
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=32_768,
    )


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
    except (aiohttp.InvalidURL, ValueError) as err:
        raise CannotAsk(f"{address!r} is not an address: {err}") from None
    except aiohttp.ClientConnectorDNSError as err:
        raise CannotAsk(f"the name {where.host!r} does not resolve: {err.os_error}") from None
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError) as err:
        raise CannotAsk(f"the certificate of {where.host} is not trusted here: {err}") from None
    except aiohttp.ClientConnectorError as err:
        raise Unwell(_unreached(where, err)) from None
    except (aiohttp.ClientError, OSError) as err:
        raise Unwell(str(err) or type(err).__name__) from None


def _unreached(where: Target, err: aiohttp.ClientConnectorError) -> str:
    """`nothing listens on 172.18.0.4:8000`; aiohttp's own words name its classes and say the address twice."""
    if err.os_error.errno == errno.ECONNREFUSED:
        return f"nothing listens on {where.netloc}"
    why = os.strerror(err.os_error.errno) if err.os_error.errno else str(err.os_error)
    return f"no connection to {where.netloc}: {why}"


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


def message(data: Json) -> str:
    """What an error document says: `{"error": {"message": …}}`, `{"error": …}` or `{"detail": …}`; '' if nothing."""
    error = data.get("error") or data.get("detail") or data.get("message") or ""
    if isinstance(error, dict):
        error = error.get("message") or error.get("type") or ""
    return error[:_SHOWN] if isinstance(error, str) else ""
