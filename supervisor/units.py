"""Durations, sizes, names and matchers: text that people write, read the way the field reads it."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import re2

Say = Callable[[float], str]
"""bytes -> text"""

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")
_LONGEST_TEXT, _LONGEST = 100, 292 * 365 * 86400.0
_LARGEST = 2.0**63
_SECONDS = (365 * 86400.0, 7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0, 0.001)
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?\s*", re.IGNORECASE)
_MATCHER = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_.]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
# Both see whatever a container logs, so no part of them may be tried again and again along a long word: a pattern that
# first takes all of a word and then looks for `token` in it needs seconds for one line of 4 kB.
_SECRET = re.compile(
    r"(?i)((?:passw(?:or)?d|secret|token|api[_-]?key|authorization|credential)[\w.-]{0,100}"
    r"[\"']?\s*[:=]\s*[\"']?(?:bearer\s+|basic\s+)?)[^\s\"',;]+"
)
_USERINFO = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")


def duration(text: str) -> float:
    """Seconds of a Prometheus duration such as `90s`, `5m`, `1h30m`, `1w`; ValueError otherwise, and for one beyond 292
    years, which Prometheus does not take either."""
    match = _DURATION.fullmatch(text.strip()) if len(text) <= _LONGEST_TEXT else None
    if not match or not text.strip():
        if text.strip() == "0":
            return 0.0
        raise ValueError(f"{plain(text, 100)!r} is not a duration; write it like 90s, 5m or 1h30m")
    seconds = math.fsum(int(part) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True) if part)
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than 292 years")
    return seconds


def show_duration(seconds: float) -> str:
    """A duration for people: `850ms`, `4.2s`, `12s`, `5m`, `2h05m`, `3d4h`."""
    if seconds < 0:
        return "-" + show_duration(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m" + (f"{whole % 60:02d}s" if whole % 60 else "")
    if whole < 86400:
        return f"{whole // 3600}h" + (f"{whole % 3600 // 60:02d}m" if whole % 3600 >= 60 else "")
    return f"{whole // 86400}d" + (f"{whole % 86400 // 3600}h" if whole % 86400 >= 3600 else "")


def size(text: str) -> int:
    """Bytes of a size such as `90GiB`, `512MB`, `1000`: powers of 1024 where `i` is written, else of 1000; ValueError
    otherwise, and for one of 8 EiB or more: the kernel would take it for a small one."""
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if not match:
        raise ValueError(f"{plain(text, 100)!r} is not a size; write it like 90GiB or 512MB")
    number, letter, binary = match.groups()
    power = " kmgtp".index(letter.lower()) if letter else 0
    found = float(number) * (1024 if binary else 1000) ** power
    if found >= _LARGEST:
        raise ValueError(f"{text!r} is a size that no machine has; write it like 90GiB or 512MB")
    return int(found)


def show_size(count: float, *, decimal: bool = False) -> str:
    """Bytes for people: `512 B`, `1.5 MiB`, `341 GiB`; `decimal`: in powers of 1000, `341 GB`."""
    base, names = (1000.0, ("kB", "MB", "GB", "TB")) if decimal else (1024.0, ("KiB", "MiB", "GiB", "TiB"))
    place = 0
    while place < len(names) and round(abs(count), 1) >= base:  # 999.97 MB reads 1 GB
        count, place = count / base, place + 1
    number = f"{count:.1f}".removesuffix(".0") if place else f"{count:.0f}"
    return f"{number} {('B', *names)[place]}"


def speaker(declared: Iterable[float]) -> Say:
    """How sizes are written beside these declared ones: in powers of 1000 where one of them is round in those and not
    in powers of 1024. A sum is followed only where all its figures are of one family."""
    return _decimal if any(is_decimal(size) for size in declared) else show_size


def above(used: float, limit: float, say: Say) -> str:
    """A size; where it is above a limit and would read like it, with how much it is too much."""
    shown = say(used)
    return f"{shown} ({say(used - limit)} too much)" if used > limit and shown == say(limit) else shown


def listed_sizes(parts: Iterable[tuple[str, float]], say: Say, most: int = 3) -> str:
    """`oracle 341 GB, qdrant 4 GB, 6 more 16 GB`: the largest first; '' for none."""
    ordered = sorted(((name, size) for name, size in parts if size > 0), key=lambda part: (-part[1], part[0]))
    if len(ordered) == most + 1:
        most += 1
    rest = 0.0
    for _name, size in ordered[most:]:
        rest += size
    shown = [f"{name} {say(size)}" for name, size in ordered[:most]]
    return ", ".join((*shown, f"{len(ordered) - most} more {say(rest)}") if rest else shown)


def is_decimal(size: float) -> bool:
    """Whether a size is round in powers of 1000 only."""
    whole = int(size)
    return whole >= 10**6 and whole % 10**6 == 0 and whole % (1 << 20) != 0


def _decimal(size: float) -> str:
    return show_size(size, decimal=True)


NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager writes a time that has not come."""

_LATEST = 253_402_300_799.0


def moment(at: float, zone: tzinfo | None) -> datetime:
    """A datetime for any number, however wrong the clock that made it."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LATEST) if math.isfinite(at) else 0.0, zone)


def iso(at: float) -> str:
    """RFC 3339 in UTC with milliseconds; NEVER for 0."""
    if at <= 0:
        return NEVER
    return moment(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Budget:
    """`count` plans in `window` seconds, written `3 in 1h`."""

    count: int
    window: float

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `3 in 1h`; ValueError otherwise."""
        count, _, window = text.partition(" in ")
        if not count.strip().isdigit():
            raise ValueError(f"{text!r} is not a budget; write it like '3 in 1h'")
        return cls(int(count), duration(window))

    def __str__(self) -> str:
        return f"{self.count} in {show_duration(self.window)}"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One Alertmanager matcher on one label; a missing label is an empty one; regexes are RE2, fully anchored."""

    name: str
    op: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Matcher":
        """Read `name="value"` (also `!=`, `=~`, `!~`; quotes optional); ValueError otherwise."""
        match = _MATCHER.fullmatch(text)
        if not match:
            raise ValueError(f'{text!r} is not a matcher; write it like alertname="X" or name=~"vllm-.*"')
        name, op, value = match.groups()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        if op in ("=~", "!~"):
            regex(value)
        return cls(name, op, value)

    def matches(self, labels: "dict[str, str]") -> bool:
        """Whether the label set has what this matcher asks."""
        have = labels.get(self.name, "")
        if self.op == "=":
            return have == self.value
        if self.op == "!=":
            return have != self.value
        return (regex(self.value).fullmatch(have) is not None) == (self.op == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.op}"{self.value}"'


_COMPILED: dict[str, "re2._Regexp"] = {}


def regex(pattern: str) -> "re2._Regexp":
    """A compiled RE2 pattern (no backtracking, so no input can stall us); ValueError if it does not compile."""
    found = _COMPILED.get(pattern)
    if found is None:
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = True
        try:
            found = re2.compile(pattern, options)
        except re2.error as err:
            said = err.args[0].decode("utf-8", "replace") if isinstance(err.args[0], bytes) else str(err)
            raise ValueError(f"bad regular expression {pattern!r}: {said}") from None
        if len(_COMPILED) > 10_000:
            _COMPILED.clear()
        _COMPILED[pattern] = found
    return found


_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
"""Linux numbers, whatever this machine is: containers are Linux."""


def signal_name(number: int) -> str:
    """`SIGSEGV` of 11; `signal 64` of what has no common name; '' of 0."""
    return _SIGNALS.get(number, f"signal {number}" if number else "")


def exit_words(code: int | None) -> str:
    """`exit 139 (SIGSEGV)`, `exit 0`, or that nobody knows."""
    if code is None:
        return "an unknown exit code"
    name = signal_name(code - 128) if 128 < code <= 192 else ""
    return f"exit {code} ({name})" if name else f"exit {code}"


def short_image(image_id: str) -> str:
    """The first 12 digits of an image id, as people compare them; a reference stays as it is."""
    return image_id.removeprefix("sha256:")[:12] if image_id.startswith("sha256:") else image_id


def plain(text: str, limit: int = 4096) -> str:
    """Text from outside made safe to store and show: no control characters, bounded."""
    clean = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def mask(text: str) -> str:
    """Log text with what looks like a secret blanked out."""
    return _USERINFO.sub(r"\1***@", _SECRET.sub(r"\1***", text))
