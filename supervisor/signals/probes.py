"""Asks services whether they are well, the way their owner declared it: `http://:8000/health`, `tcp://:6333`.

From: actions (probation), with the container as it was last seen. To: a ProbeResult.
A probe that cannot run at all (bad address, unknown scheme, a name that does not resolve) is *broken*: that says
nothing about the service. One that came from a container's label may only reach that container. Redirects are an
answer, never followed; bodies are not read beyond a short text for people.
"""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

import aiohttp

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import Container, Needs
from supervisor.ports import ProbeResult

LONGEST_URL = 2048
_BODY = 200
"""bytes of an unhappy answer that are shown"""
_PORTS = {"http": 80, "https": 443}
LATER = ("grpc", "completion", "exec")
_LOCAL = ("localhost", "127.0.0.1", "::1")


class HttpProber:
    """Implements ports.Prober over real sockets. One session for all probes, a fresh connection for each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def probe(self, needs: Needs, container: Container, timeout: float) -> ProbeResult:
        """One probe, answered within `timeout` seconds."""
        began = self._clock.mono()
        where = target(needs.probe, container, needs.probe_from_label)
        if isinstance(where, ProbeResult):
            return where
        parts, host, port = where
        try:
            async with asyncio.timeout(timeout):
                if parts.scheme == "tcp":
                    ok, text, broken = await _tcp(host, port)
                else:
                    ok, text, broken = await self._http(parts, host, port)
        except TimeoutError:
            ok, text, broken = False, f"no answer within {units.show_duration(timeout)}", False
        return ProbeResult(ok, units.plain(text, 300), self._clock.mono() - began, broken)

    async def benchmark(self, needs: Needs, container: Container) -> ProbeResult:
        """How fast a model answers."""
        return _broken("benchmarks are not supported yet")

    async def _http(self, parts: SplitResult, host: str, port: int) -> tuple[bool, str, bool]:
        shown = f"[{host}]" if ":" in host else host
        query = f"?{parts.query}" if parts.query else ""
        address = f"{parts.scheme}://{shown}:{port}{parts.path or '/'}{query}"
        try:
            async with self._open().get(address, allow_redirects=False) as answer:
                if answer.status < 400:
                    return True, f"{answer.status} {answer.reason or ''}".strip(), False
                body = await answer.content.read(_BODY)
                said = " ".join(body.decode("utf-8", "replace").split())
                return False, f"{answer.status} {answer.reason or ''} {said}".strip(), False
        except aiohttp.InvalidURL:
            return False, f"{address!r} is not an address", True
        except aiohttp.ClientConnectorDNSError as err:
            return False, f"the name {host!r} does not resolve: {err.os_error}", True
        except aiohttp.ClientError as err:
            return False, str(err) or type(err).__name__, False

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=32, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "resurgam"},
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Let go of the session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def target(url: str, container: Container, own_only: bool) -> tuple[SplitResult, str, int] | ProbeResult:
    """Where a probe goes: (parts, host, port); or why it cannot go anywhere. Pure."""
    if len(url) > LONGEST_URL or not url.isprintable():
        return _broken(f"the probe's address is longer than {LONGEST_URL} characters or not plain text")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as err:
        return _broken(f"{url!r} is not an address: {err}")
    if parts.scheme in LATER:
        return _broken(f"{parts.scheme} probes are not supported yet; use http:// or tcp://")
    if parts.scheme not in ("tcp", *_PORTS):
        return _broken(f"{url!r} is no probe; write it like http://:8000/health or tcp://:6333")
    if parts.username is not None or parts.password is not None:
        return _broken("a probe's address carries no name or password")
    port = port or _PORTS.get(parts.scheme)
    if not port:
        return _broken(f"{url!r} names no port; write it like {parts.scheme}://:6333")
    own = container.address
    if own_only and host and host != own and not (host in _LOCAL and own in _LOCAL):
        return _broken(f"a probe from a label may only reach its own container, not {host}; leave the host out")
    host = host or own
    if not host:
        return _broken("the container has no address that this host can reach; name a host in resurgam.yaml")
    return parts, host, port


def _broken(text: str) -> ProbeResult:
    return ProbeResult(False, units.plain(text, 300), broken=True)


async def _tcp(host: str, port: int) -> tuple[bool, str, bool]:
    try:
        _reader, writer = await asyncio.open_connection(host, port)
    except socket.gaierror as err:
        return False, f"the name {host!r} does not resolve: {err.strerror}", True
    except OSError as err:
        return False, err.strerror or str(err), False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True, f"port {port} is open", False
