"""The small words of compose: durations, sizes, ports, mounts. Texts in, the engine's own forms out; ValueError with a
sentence where a text is none of them. Pure. Used by service.py.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_PORT = re.compile(r"(?:(?P<host>.*):)?(?P<inner>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>[a-zA-Z]+))?")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_MODES = ("rw", "ro", "z", "Z", "nocopy", "cached", "delegated", "consistent", "copy")
PROPAGATIONS = ("shared", "rshared", "slave", "rslave", "private", "rprivate")
MOST_PORTS = 1_000
_LONGEST = 100
"""characters of a duration: a pattern that is looked for in a long row of digits takes for ever"""


def nanoseconds(text: str) -> int:
    """`1m30s`, `500ms`: as ns."""
    at, total = 0, Fraction(0)
    for match in _DURATION.finditer(text[:_LONGEST]):
        if match.start() != at:
            break
        total += Fraction(match[1]) * _UNITS[match[2]]
        at = match.end()
    if not text or at != len(text):
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 1m30s or 500ms")
    return int(total)


def bytes_of(text: str) -> int:
    """`64m`, `1.5gb`, `1024`: compose counts in powers of 1024."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 512m or 2g")
    return int(Fraction(match[1]) * 1024 ** " kmgt".index(match[2].lower().replace("b", "") or " "))


def nano_cpus(text: str) -> int:
    """`1.5` CPUs as 10⁻⁹ CPUs."""
    if not re.fullmatch(r"\d+(?:\.\d+)?", text):
        raise ValueError(f"{text!r} is not a number of CPUs; write it like 0.5 or 2")
    return int(Fraction(text) * 10**9)


@dataclass(frozen=True, slots=True)
class Published:
    """One port of the container, and where it is published: '' for a random port of the host, None for nowhere."""

    inner: str
    """`80/tcp`"""
    ip: str = ""
    outer: str | None = None


def ports(text: str) -> Iterator[Published]:
    """The short form: `[IP:][OUTER:]INNER[/PROTOCOL]`, with ranges."""
    match = _PORT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no port; write it like 8080:80, 127.0.0.1:8080:80/udp or 80")
    host, protocol = match["host"], (match["protocol"] or "tcp").lower()
    ip, outer = "", host or ""
    if host is not None and ":" in host:
        ip, _, outer = host.rpartition(":")
        ip = ip.removeprefix("[").removesuffix("]")
    elif host is not None and not _RANGE.fullmatch(host) and host:
        raise ValueError(f"{text!r} is no port; write it like 8080:80 or 127.0.0.1:8080:80")
    yield from spread(match["inner"], outer, ip, protocol)


def spread(inner: str, outer: str, ip: str, protocol: str) -> Iterator[Published]:
    """Each port of a range with its own of the host's range, or one port with the host's range to choose from."""
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"{protocol!r} is no protocol; there are tcp, udp and sctp")
    first, last = _range(inner)
    if not outer:
        for port in range(first, last + 1):
            yield Published(f"{port}/{protocol}", ip, "")
        return
    low, high = _range(outer)
    if first == last:
        yield Published(f"{first}/{protocol}", ip, str(low) if low == high else f"{low}-{high}")
        return
    if high - low != last - first:
        raise ValueError(f"the ranges {outer} and {inner} are not of the same length")
    for step in range(last - first + 1):
        yield Published(f"{first + step}/{protocol}", ip, str(low + step))


def _range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    first = int(match[1]) if match else 0
    last = int(match[2]) if match and match[2] else first
    if not 0 < first <= last <= 65535 or last - first >= MOST_PORTS:
        raise ValueError(f"{text!r} is no port or range of ports (1 to 65535)")
    return first, last


def exposed(text: str) -> Iterator[str]:
    """`3000`, `3000-3005/udp`: each as `3000/tcp`."""
    inner, _, protocol = text.strip().partition("/")
    for each in spread(inner, "", "", (protocol or "tcp").lower()):
        yield each.inner


@dataclass(frozen=True, slots=True)
class Short:
    """The short form of a mount, split."""

    source: str
    target: str
    mode: str = ""

    @property
    def is_path(self) -> bool:
        """Whether its source is a path of the host rather than a volume."""
        return self.source[:1] in (".", "/", "~")

    @property
    def read_only(self) -> bool:
        return "ro" in self.mode.split(",")


def mount(text: str) -> Short:
    """`[SOURCE:]TARGET[:MODE]`."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"{text!r} is no mount; write it like ./data:/data, data:/data:ro or /data")
    if len(parts) == 1:
        parts = ["", *parts]
    source, target, mode = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    if not target.startswith("/"):
        raise ValueError(f"{target!r} is not an absolute path inside the container")
    for word in mode.split(",") if mode else ():
        if word not in _MODES and word not in PROPAGATIONS:
            raise ValueError(f"{word!r} is no mode of a mount; there are {', '.join(_MODES[:5])} and propagations")
    return Short(source, target.rstrip("/") or "/", mode)


def show_number(value: int | float) -> str:
    """A number the way it is written into an environment."""
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) and value == int(value) else str(value)
