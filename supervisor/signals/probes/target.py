"""Where a probe goes: its address taken apart, and held against the container it belongs to. Pure.

From: needs.probe, from `resurgam.yaml` or a label. To: the ways of asking.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from supervisor.facts import Container
from supervisor.signals.probes.answer import CannotAsk

LONGEST_URL = 2048
SCHEMES = ("http", "https", "tcp", "grpc", "completion")
_PORTS = {"http": 80, "https": 443}
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """`own`: it is the container itself that is asked, by the address the engine gave it."""

    scheme: str
    host: str
    port: int
    path: str
    own: bool

    @property
    def netloc(self) -> str:
        """`host:port`, with the brackets IPv6 wants."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def target(url: str, container: Container, own_only: bool) -> Target:
    """Where a probe goes; CannotAsk says why it cannot go anywhere. `own_only`: only to its own container."""
    if len(url) > LONGEST_URL or not url.isprintable():
        raise CannotAsk(f"the probe's address is longer than {LONGEST_URL} characters or not plain text")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as err:
        raise CannotAsk(f"the probe's address is none: {err}") from None
    if parts.username is not None or parts.password is not None:
        raise CannotAsk("a probe's address carries no name or password")
    if parts.scheme not in SCHEMES or "://" not in url:
        raise CannotAsk(f"{url!r} is no probe; write it like http://:8000/health or tcp://:6333")
    port = port or _PORTS.get(parts.scheme)
    if not port:
        raise CannotAsk(f"{url!r} names no port; write it like {parts.scheme}://:6333")
    own = container.address
    if own_only and host and host != own and not (host in _LOCAL and own in _LOCAL):
        raise CannotAsk(f"a probe from a label may only reach its own container, not {host}; leave the host out")
    if not (host or own):
        raise CannotAsk("the container has no address that this host can reach; name a host in resurgam.yaml")
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host or own, port, parts.path + query, not host)
