"""Reads one page over HTTP, within bounds: time, bytes, one address.

From: watch.py. To: the target's server. A redirect is an answer and is never followed, so that nobody leads us (or a
token) to another address.
"""

import asyncio

import aiohttp

from supervisor import http, units
from supervisor.config.files import read_secret
from supervisor.errors import ConfigError, ResurgamError
from supervisor.signals import web
from supervisor.signals.scrapes.target import Target

ACCEPT = "text/plain;version=0.0.4,*/*;q=0.1"
"""OpenMetrics is read where a server knows nothing else; some give it to all who know it, and it costs both more"""
_PIECE = 65_536


class Unread(ResurgamError):
    """The target did not give its page; the message says why, and what to do."""


class Web:
    """Pages of all targets, over one session."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def page(self, target: Target) -> tuple[bytes, str]:
        """(the page, its Content-Type); Unread for anything else."""
        if self._session is None:
            # not bounded in number: a target that hangs would keep the others waiting, and each is asked once at a time
            self._session = http.session(piece=_PIECE, accept=ACCEPT)
        try:
            async with asyncio.timeout(target.timeout):
                return await _fetch(self._session, target)
        except TimeoutError:
            raise Unread(f"no whole answer within {units.show_duration(target.timeout)}") from None

    async def close(self) -> None:
        """Let go of the session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _fetch(session: aiohttp.ClientSession, target: Target) -> tuple[bytes, str]:
    headers = {}
    if target.token_file:
        try:
            headers["Authorization"] = f"Bearer {read_secret(target.token_file)}"
        except ConfigError as err:
            raise Unread(f"its token: {err}") from None
    trust = not (target.inside and target.url.startswith("https:"))
    try:
        async with session.get(target.url, headers=headers, allow_redirects=False, ssl=trust) as answer:
            _check(answer)
            return await _body(answer, target.size), answer.headers.get("Content-Type", "")
    except (aiohttp.ClientError, OSError, ValueError) as err:
        raise Unread(web.failed(err, target.url)[0]) from None


def _check(answer: aiohttp.ClientResponse) -> None:
    """Unread for what is no page."""
    if 300 <= answer.status < 400:
        where = answer.headers.get("Location", "")[:200]
        raise Unread(f"it redirects to {where!r}, which is not followed; write the address that answers")
    if answer.status in (401, 403):
        raise Unread(f"it answers {answer.status}: it wants to know who asks; give it a token_file under scrape:")
    if answer.status != 200:
        raise Unread(f"it answers {answer.status} {answer.reason or ''}".rstrip())
    packed = answer.headers.get("Content-Encoding", "identity")
    if packed.lower() not in ("", "identity"):
        raise Unread(f"it answers packed ({packed[:40]}) though plain text was asked for")


async def _body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body; Unread for one that is longer."""
    found = bytearray()
    if (answer.content_length or 0) <= limit:
        while piece := await answer.content.read(_PIECE):
            found += piece
            if len(found) > limit:
                break
        else:
            return bytes(found)
    raise Unread(f"its page is longer than {units.show_size(limit)}")
