"""Where a probe goes: its address taken apart, and held against the container it belongs to. Pure.

From: needs.probe, from `resurgam.yaml` or a label. To: the ways of asking.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from supervisor.facts import Container
from supervisor.signals import web
from supervisor.signals.probes.answer import CannotAsk

SCHEMES = ("http", "https", "tcp", "grpc", "completion")


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
        return web.netloc(self.host, self.port)


def target(url: str, container: Container | None, own_only: bool) -> Target:
    """Where a probe goes; CannotAsk says why it cannot go anywhere. `own_only`: only to its own container. `container`:
    None for an endpoint outside."""
    if len(url) > web.LONGEST or not url.isprintable():
        raise CannotAsk(f"the probe's address is longer than {web.LONGEST} characters or not plain text")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as err:
        raise CannotAsk(f"the probe's address is none: {err}") from None
    if parts.username is not None or parts.password is not None:
        raise CannotAsk("a probe's address carries no name or password")
    if parts.scheme not in SCHEMES or "://" not in url:
        raise CannotAsk(f"{url!r} is no probe; write it like http://:8000/health or tcp://:6333")
    port = port or web.PORTS.get(parts.scheme)
    if not port:
        raise CannotAsk(f"{url!r} names no port; write it like {parts.scheme}://:6333")
    own = container.address if container is not None else ""
    if own_only and web.elsewhere(host, own):
        raise CannotAsk(f"a probe from a label may only reach its own container, not {host}; leave the host out")
    if not (host or own):
        raise CannotAsk("the container has no address that this host can reach; name a host in resurgam.yaml")
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host or own, port, parts.path + query, not host)
