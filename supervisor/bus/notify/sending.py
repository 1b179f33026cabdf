"""What the senders of notifications have in common: how a POST leaves, and what can go wrong.

Used by webhook.py and alertmanager.py; notifier.py catches the two errors. Secrets are in none of their texts.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import aiohttp

from supervisor.bus.messages import BASE
from supervisor.bus.notify.message import Message
from supervisor.config import read_secret
from supervisor.errors import ConfigError, ResurgamError
from supervisor.units import plain

LIMIT = 10.0
"""seconds for one POST"""
LATER = (408, 425, 429)
"""answers below 500 that ask to come back"""


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
    """An address that takes POSTs, with the token for it. Its texts never hold the token, nor the address' query."""

    def __init__(self, url: str, token_file: str, post: Post | None = None) -> None:
        self._url, self._token_file = url, token_file
        self._own = HttpPost() if post is None else None
        self._post: Post = self._own if post is None else post  # type: ignore[assignment]

    @property
    def where(self) -> str:
        """How it is called in sentences."""
        return self._url.split("?")[0]

    async def push(self, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """One POST; SendFailed, SendRefused."""
        sent = {"Content-Type": kind, "User-Agent": BASE, **(headers or {})}
        try:
            token = await asyncio.get_running_loop().run_in_executor(None, self._token)
            if token:
                sent["Authorization"] = f"Bearer {token}"
            status = await self._post(self._url, sent, body, LIMIT)
        except (OSError, aiohttp.ClientError, ConfigError, ValueError) as err:
            why = str(err) if isinstance(err, ConfigError) else type(err).__name__
            raise SendFailed(plain(f"{self.where} cannot be told: {why}; it is tried again", 300)) from None
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
