"""The kinds of values that settings and labels have: durations, sizes, ids, probes, budgets, addresses.

Text comes from `resurgam.yaml` (through the models in settings.py) or from a container's labels (through needs.py),
and leaves as a checked value. Every function raises ValueError with a sentence that says how to write it instead.
"""

import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field

from supervisor import units

_ID = re.compile(r"[A-Za-z0-9_.~-]{1,200}")
_WORD = re.compile(r"[A-Za-z0-9_.:/@~-]{1,200}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,63}")
PROBES = ("http", "https", "tcp", "grpc", "completion")
LONGEST = 90 * 86400.0
"""Seconds. The journal remembers 90 days; nothing counted may reach further back."""


def duration(value: Any) -> float:
    """Seconds of `90s`, `5m`, `1h30m`, at most 90 days."""
    if isinstance(value, bool) or not isinstance(value, str | int) or (isinstance(value, int) and value != 0):
        raise ValueError(f"{value!r} is not a duration; write it with a unit, like 90s, 5m or 1h30m")
    seconds = units.duration(str(value)[:100])
    if seconds > LONGEST:
        raise ValueError(f"{value!r} is longer than 90 days, which is as far as the journal remembers")
    return seconds


def positive(value: Any) -> float:
    """A duration above zero."""
    seconds = duration(value)
    if seconds <= 0:
        raise ValueError("this must be longer than 0; write it like 90s, 5m or 1h30m")
    return seconds


def size(value: Any) -> int:
    """Bytes of `90GiB`, `512MB` or a plain number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{value!r} is not a size; write it like 90GiB or 512MB")
    return units.size(str(value)[:100])


def vram(value: Any) -> tuple[tuple[str, int], ...]:
    """(GPU, bytes) pairs of `90GiB` (any GPU: '') or `0:90GiB,1:30GiB`."""
    found: list[tuple[str, int]] = []
    for part in str(value)[:1000].split(","):
        gpu, colon, amount = part.strip().rpartition(":")
        if colon and not gpu.strip():
            raise ValueError(f"{part.strip()!r} names no GPU; write it like 90GiB or 0:90GiB,1:30GiB")
        if gpu in (name for name, _ in found):
            raise ValueError(f"GPU {gpu or 'any'} is named twice in {value!r}; name each once")
        found.append((gpu.strip(), units.size(amount)))
    return tuple(found)


def service_id(value: Any) -> str:
    """A service id: a level of an MQTT topic, a word on the command line, a label's value."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f"{str(value)[:200]!r} is not a service id; use letters, digits and . _ - (~XX for others)")
    return value


def word(value: Any) -> str:
    """A word without spaces or commas: an alias, an exclusive word, a dependency."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError(f"{str(value)[:200]!r} is not a single word; use letters, digits and . _ - : / @")
    return value


def principal(value: Any) -> str:
    """Who speaks over the bus: one level of a topic, and the broker's name for that user."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", value):
        raise ValueError(f"{str(value)[:100]!r} cannot be a principal; use up to 64 letters, digits, . _ @ or -")
    if value in ("resurgam", "listener"):
        raise ValueError(f"{value!r} is the name of a user that our own broker has already; choose another one")
    return value


def host_name(value: Any) -> str:
    """A host's name as it stands in topics: letters, digits, dots, dashes, underscores, up to 63."""
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ValueError(f"{str(value)[:200]!r} cannot be the host's name; use up to 63 letters, digits, . _ or -")
    return value


def probe(value: Any) -> str:
    """A probe's address: `http://:8000/health`, `tcp://:6333`, `grpc://:50051/skills.Health`, `completion://:8000`."""
    if not isinstance(value, str):
        raise ValueError("a probe is an address like http://:8000/health or tcp://:6333")
    if value == "":
        return ""
    parts = split_url(value, PROBES, "a probe's address; write it like http://:8000/health or tcp://:6333")
    if parts.port is None and (parts.scheme in ("tcp", "grpc", "completion") or not parts.hostname):
        raise ValueError(f"{value!r} has no port; write it like {parts.scheme}://:8000")
    if parts.scheme == "tcp" and parts.path.strip("/"):
        raise ValueError(f"{value!r} has a path, which {parts.scheme} does not know; leave {parts.path!r} away")
    if parts.scheme == "grpc" and not re.fullmatch(r"/?|/[A-Za-z0-9_.-]{1,200}", parts.path):
        raise ValueError(f"{value!r} names no gRPC service; write it like grpc://:50051 or grpc://:50051/skills.Health")
    if parts.scheme not in ("http", "https") and (parts.query or parts.fragment):
        raise ValueError(f"{value!r} has a ? or #, which {parts.scheme} does not know; leave it away")
    return value


def argv(value: Any) -> tuple[str, ...]:
    """A command and its arguments, a list: no shell is between."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(word, str) for word in value):
        raise ValueError('a command is a list of its words, like ["pg_isready", "-U", "postgres"]; there is no shell')
    if not value[0] or len(value) > 64 or any(len(word) > 4096 or "\0" in word for word in value):
        raise ValueError("a command has 1 to 64 words of at most 4096 characters")
    return tuple(value)


def env_name(value: Any) -> str:
    """The name of an environment variable."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,200}", value):
        raise ValueError(f"{str(value)[:100]!r} is not the name of a variable; write it like CUDA_VERSION")
    return value


def grpc_method(value: Any) -> str:
    """The full name of a gRPC method: `/skills.Health/Check`."""
    if not isinstance(value, str) or (value and not re.fullmatch(r"/[A-Za-z0-9_.]{1,200}/[A-Za-z0-9_]{1,100}", value)):
        raise ValueError(f"{str(value)[:100]!r} is not a gRPC method; write it like /skills.Health/Check")
    return value


def inside_path(value: Any) -> str:
    """An absolute path inside a container."""
    if not isinstance(value, str) or (value and (not value.startswith("/") or len(value) > 1000 or "\0" in value)):
        raise ValueError(f"{str(value)[:100]!r} is not an absolute path inside the container, like /backup/dump.sql")
    return value


def host_path(value: Any) -> str:
    """An absolute path on this machine, not the root folder itself."""
    if (
        not isinstance(value, str)
        or not value.startswith("/")
        or len(value) > 1000
        or "\0" in value
        or not value.strip("/")
        or ".." in value.split("/")
    ):
        raise ValueError(f"{str(value)[:100]!r} is not an absolute path on this machine, like /models/oracle")
    return value


def probe_host(value: str) -> str:
    """The host in a probe that `probe` let pass; '' means the container itself."""
    return urlsplit(value).hostname or ""


def web_url(value: Any) -> str:
    """An http or https address with a host."""
    what = "a web address; write it like https://host/path"
    if not isinstance(value, str) or not split_url(value, ("http", "https"), what).hostname:
        raise ValueError(f"{str(value)[:100]!r} is not {what}")
    return value


def link(value: Any) -> str:
    """A web address, or nothing."""
    return "" if value == "" else web_url(value)


def metrics_url(value: Any) -> str:
    """An endpoint to scrape; a host left out means the container itself."""
    if not isinstance(value, str):
        raise ValueError("metrics is an address like http://:8000/metrics")
    if value:
        parts = split_url(value, ("http", "https"), "an address to scrape; write it like http://:8000/metrics")
        if parts.port is None and not parts.hostname:
            raise ValueError(f"{value!r} has no port; write it like http://:8000/metrics")
    return value


def broker_url(value: Any) -> str:
    """`auto`, `none`, `mqtt://host[:port]`, `mqtts://host[:port]` or `unix:///path`."""
    if value in ("auto", "none"):
        return str(value)
    what = "a broker; write auto, none, mqtt://host:1883, mqtts://host:8883 or unix:///path/to/socket"
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not {what}")
    parts = split_url(value, ("mqtt", "mqtts", "unix"), what)
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/") or len(parts.path) > 100:
            raise ValueError(f"{value!r} is not a socket's path; write it like unix:///run/mosquitto/mqtt.sock")
    elif not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{value!r} is not {what}")
    return value


def listen(value: Any) -> str:
    """`none`, or `address:port` (`[::1]:9464` for IPv6)."""
    if value != "none":
        listen_address(str(value))
    return str(value)


def listen_address(value: str) -> tuple[str, int]:
    """(address, port) of `127.0.0.1:9464` or `[::1]:9464`; port 0 takes a free one."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535 or "/" in value or (":" in host and host[0] != "["):
        raise ValueError(f"{value[:100]!r} is not an address and port; write it like 127.0.0.1:9464, or none")
    return host.strip("[]"), int(port)


def budget(value: Any) -> units.Budget:
    """`3 in 1h`; the window is at most 90 days."""
    if isinstance(value, units.Budget):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a budget; write it like '3 in 1h'")
    found = units.Budget.parse(value[:100])
    if not 0 < found.window <= LONGEST:
        raise ValueError(f"the window of {value!r} must be more than 0 and at most 90 days")
    return found


def split_url(value: str, schemes: tuple[str, ...], what: str) -> SplitResult:
    """The parts of an address of one of these schemes, without a user or a password in it."""
    if len(value) > 2000 or any(ord(c) <= 32 or ord(c) == 127 for c in value):
        raise ValueError("this address is too long or has spaces or control characters in it")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as err:
        raise ValueError(f"{value[:100]!r} is not {what} ({err})") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password may not stand in an address; use the keys made for them (*_file)")
    if parts.scheme not in schemes or "://" not in value or port == 0:
        raise ValueError(f"{value[:100]!r} is not {what}")
    return parts


Duration = Annotated[float, BeforeValidator(duration)]
PositiveDuration = Annotated[float, BeforeValidator(positive)]
Size = Annotated[int, BeforeValidator(size)]
Vram = Annotated[tuple[tuple[str, int], ...], BeforeValidator(vram)]
ServiceId = Annotated[str, BeforeValidator(service_id)]
Word = Annotated[str, BeforeValidator(word)]
Principal = Annotated[str, BeforeValidator(principal)]
HostName = Annotated[str, BeforeValidator(host_name)]
Probe = Annotated[str, BeforeValidator(probe)]
MetricsUrl = Annotated[str, BeforeValidator(metrics_url)]
WebUrl = Annotated[str, BeforeValidator(web_url)]
Link = Annotated[str, BeforeValidator(link)]
BrokerUrl = Annotated[str, BeforeValidator(broker_url)]
Listen = Annotated[str, BeforeValidator(listen)]
BudgetText = Annotated[units.Budget, BeforeValidator(budget)]
Argv = Annotated[tuple[str, ...], BeforeValidator(argv)]
EnvName = Annotated[str, BeforeValidator(env_name)]
GrpcMethod = Annotated[str, BeforeValidator(grpc_method)]
InsidePath = Annotated[str, BeforeValidator(inside_path)]
HostPath = Annotated[str, BeforeValidator(host_path)]
Words = Annotated[tuple[Word, ...], Field(max_length=16)]
