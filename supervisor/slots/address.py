"""Where a model's callers go, and what callers of a slot use. Pure.

From: declarations and containers. To: the gate (`http://172.18.0.3:8000`), and what people are shown.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from supervisor.facts import Container, Needs, Slot, SlotModel

_ALL = ("", "0.0.0.0", "::")  # noqa: S104 - what a container publishes on, not what we bind to
_PORTS = {"http": 80, "https": 443}


def upstream(model: SlotModel, needs: Needs, container: Container | None) -> str:
    """`http://host:port` of its server; '' where nobody can know it (no address, no port that could be meant)."""
    scheme, host, port = _declared(model.url)
    if not port:
        port = _declared(needs.probe)[2]
    if host:
        return f"{scheme}://{_bracketed(host)}:{port or _PORTS[scheme]}"
    if container is None:
        return ""
    if port and container.address:
        return f"{scheme}://{_bracketed(container.address)}:{port}"
    outside = [found for found in map(_published, container.ports) if found is not None]
    if len(outside) != 1:
        return ""
    return f"{scheme}://{_bracketed(outside[0][0])}:{outside[0][1]}"


def unknown(model: SlotModel, needs: Needs, container: Container) -> str:
    """Why nobody will know where its callers are to go once it runs, and what to do, the end of a sentence; '' where
    that is known. One that does not run has no address yet: its ports decide."""
    own = container.address or ("" if container.alive else "127.0.0.1")
    if upstream(model, needs, replace(container, address=own)):
        return ""
    count = len([port for port in container.ports if _published(port) is not None])
    if count != 1 and not (_declared(model.url)[2] or _declared(needs.probe)[2]):
        asked = f"nobody knows at which port {model.name} answers (it publishes {'several' if count else 'none'})"
        return f"{asked}, so no caller can be sent there; write `url: http://:PORT` for {model.name} in resurgam.yaml"
    return f"{model.name} has no address that this machine reaches; publish its port, or give it a network of its own"


def shown(slot: Slot, holder: SlotModel | None, container: Container | None, address: str) -> str:
    """What callers of a slot use: the gate, the container's name, or the holder's own address."""
    if slot.listen:
        return slot.listen
    if slot.rename:
        return slot.rename
    return address or (container.name if container is not None else holder.url if holder is not None else "")


def _declared(url: str) -> tuple[str, str, int]:
    """(http | https, host, port) of a declared address; '' and 0 for what it leaves out."""
    if not url:
        return "http", "", 0
    try:
        parts = urlsplit(url)
        return "https" if parts.scheme == "https" else "http", parts.hostname or "", parts.port or 0
    except ValueError:
        return "http", "", 0


def _published(port: str) -> tuple[str, int] | None:
    """(address, port) on this machine of `8000/tcp` or `127.0.0.1:8000/tcp`; None for what is no TCP port."""
    word, _, proto = port.partition("/")
    host, _, number = word.rpartition(":")
    if proto not in ("", "tcp") or not number.isdigit():
        return None
    host = host.strip("[]")
    return host if host not in _ALL else "127.0.0.1", int(number)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
