"""What the ways to tell people have in common: how a POST leaves, what can go wrong, what `status` hears of it.

Used by webhook.py, apprise.py and alertmanager.py; notifier.py catches the two errors. Secrets are in none of their
texts.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from supervisor.bus.messages import BASE
from supervisor.bus.notify.message import Message
from supervisor.config import read_secret
from supervisor.errors import ConfigError, ResurgamError
from supervisor.units import plain

FLOOR, CEILING = 0.5, 60.0
"""seconds between two tries, at least and at most (bus/backoff.py)"""
LIMIT = 10.0
"""seconds for one POST"""
LATER = (408, 425, 429)
"""answers below 500 that ask to come back"""


@dataclass(frozen=True, slots=True)
class NotifierState:
    """How one notifier is: `text` says what is wrong, '' if nothing is."""

    name: str
    sent: int
    given_up: int
    text: str


class SendFailed(ResurgamError):
    """It may work later."""


class SendRefused(ResurgamError):
    """It will never work."""


class Sender(Protocol):
    """How a message leaves. SendFailed: try again; SendRefused: never."""

    async def send(self, message: Message) -> str:
        """Deliver it; a sentence where something is wrong all the same, else ''."""

    async def close(self) -> None: ...


class Post(Protocol):
    """How a POST leaves; returns the HTTP status. OSError, TimeoutError or aiohttp.ClientError if there is none."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int: ...


class HttpPost:
    """POSTs through one aiohttp session, made at the first."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        timeout = aiohttp.ClientTimeout(total=limit)
        async with self._session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            return answer.status

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()


class Door:
    """An address that takes POSTs, with the token for it. Its texts hold neither the token nor more of the address than
    its host: with chats and the like the path is the secret, and what is wrong with us everybody on the bus reads."""

    def __init__(self, url: str, token_file: str, post: Post | None = None) -> None:
        self._url, self._token_file = url, token_file
        self._own = HttpPost() if post is None else None
        self._post: Post = self._own if post is None else post  # type: ignore[assignment]

    @property
    def where(self) -> str:
        """How it is called in sentences."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"

    async def push(self, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """One POST; SendFailed, SendRefused."""
        sent = {"Content-Type": kind, "User-Agent": BASE, **(headers or {})}
        try:
            token = await asyncio.get_running_loop().run_in_executor(None, self._token)
            if token:
                sent["Authorization"] = f"Bearer {token}"
            status = await self._post(self._url, sent, body, LIMIT)
        except (OSError, aiohttp.ClientError, ConfigError, ValueError) as err:
            raise SendFailed(plain(f"{self.where} cannot be told: {_why(err)}; it is tried again", 300)) from None
        if status >= 500 or status in LATER:
            raise SendFailed(f"{self.where} answers {status}; it is tried again")
        if status >= 300:
            raise SendRefused(f"{self.where} refuses our messages with {status}; check notify: in resurgam.yaml")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._own is not None:
            await self._own.close()

    def _token(self) -> str:
        """Read at every try, so that a rotated token needs no restart."""
        return read_secret(self._token_file) if self._token_file else ""


def _why(err: Exception) -> str:
    """What an error at sending means, without the address that it may quote."""
    if isinstance(err, ConfigError):
        return str(err)
    if isinstance(err, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(err, aiohttp.ClientSSLError):
        return "its certificate is not trusted on this machine, or it does not speak TLS"
    if isinstance(err, aiohttp.ClientConnectorError):
        return "nothing answers there"
    if isinstance(err, TimeoutError):
        return f"it did not answer within {LIMIT:.0f} s"
    return type(err).__name__
