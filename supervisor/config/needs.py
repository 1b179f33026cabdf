"""What a service declares about itself: its container's labels, and its `services:` entry, which wins.

Comes from the engine's inspect (labels; hostile, so bounded and never an exception) and from the settings; goes, as
`facts.Needs`, into the Service snapshot. The caller leaves out labels that do not count (those the image carries).
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from supervisor import units
from supervisor.config import fields
from supervisor.config.settings import ServiceSettings
from supervisor.facts import Before, Benchmark, Needs, SafeProfile

PREFIX = "resurgam."
KEYS = (
    "enable",
    "service",
    "aliases",
    "probe",
    "startup",
    "memory",
    "vram",
    "exclusive",
    "priority",
    "depends",
    "stop-grace",
    "stateful",
    "metrics",
    "boot",
)
"""The labels that people may set, without their prefix."""
_PLAIN = (
    "startup",
    "stop_grace",
    "exclusive",
    "priority",
    "depends",
    "stateful",
    "aliases",
    "memory",
    "weights",
    "vram",
    "boot",
    "probe_method",
    "probe_model",
    "probe_interval",
    "probe_timeout",
    "probe_retries",
    "keep_env",
)
"""keys of an entry that mean what they say"""
MAX_LABEL = 1000
MAX_WORDS = 16

T = TypeVar("T")


def needs_from(labels: Mapping[str, str], entry: ServiceSettings | None = None) -> tuple[Needs, tuple[str, ...]]:
    """The needs, and a sentence for every label that cannot be read (it then counts as not set)."""
    reader = _Reader(labels)
    none: tuple[str, ...] = ()
    no_vram: tuple[tuple[str, int], ...] = ()
    probe = reader.take("probe", _own_probe, "")
    said: dict[str, Any] = {
        "probe": probe,
        "probe_from_label": bool(probe),
        "startup": reader.take("startup", fields.positive, Needs().startup),
        "stop_grace": reader.take("stop-grace", fields.duration, 0.0),
        "exclusive": reader.take("exclusive", _words, none),
        "priority": reader.take("priority", _priority, 0),
        "depends": reader.take("depends", _words, none),
        "stateful": reader.take("stateful", boolean, False),
        "aliases": reader.take("aliases", _words, none),
        "memory": reader.take("memory", fields.size, 0),
        "vram": reader.take("vram", fields.vram, no_vram),
        "boot": reader.take("boot", _boot, "engine"),
        "metrics": reader.take("metrics", _own_metrics, ""),
    }
    said["metrics_from_label"] = bool(said["metrics"])
    said["startup_declared"] = "startup" in reader.taken
    if entry is not None:
        for key in _PLAIN:
            value = getattr(entry, key)
            if value is not None:
                said[key] = value
        said["startup_declared"] |= entry.startup is not None
        if entry.probe is not None or entry.probe_exec is not None:
            said["probe"], said["probe_from_label"] = entry.probe or "", False
        said["probe_argv"] = entry.probe_exec or ()
        if entry.before is not None:
            said["before"] = Before(entry.before.exec, entry.before.within, entry.before.file)
        if entry.benchmark is not None:
            wanted = entry.benchmark
            said["benchmark"] = Benchmark(wanted.at_least, wanted.tokens, wanted.within)
        if entry.metrics is not None:
            said["metrics"], said["metrics_from_label"] = entry.metrics, False
        if entry.safe is not None:
            safe = entry.safe
            said["safe"] = SafeProfile(dict(safe.env), safe.args, safe.command or (), safe.quiet)
        if entry.kube is not None:
            said["kube"] = entry.kube.names()
    reader.look_for_typos()
    return Needs(**said), tuple(reader.problems)


def boolean(text: str) -> bool:
    """`true` or `false`, whatever the case; ValueError otherwise."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text[:60]!r} is neither true nor false")
    return text.lower() == "true"


class _Reader:
    """Takes labels one by one and keeps what is wrong with them."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.problems: list[str] = []
        self.taken: set[str] = set()
        """labels that could be read"""

    def take(self, key: str, read: Callable[[str], T], default: T) -> T:
        text = self.labels.get(PREFIX + key)
        if text is None:
            return default
        try:
            if len(text) > MAX_LABEL:
                raise ValueError(f"it is longer than {MAX_LABEL} characters")
            found = read(text.strip())
            self.taken.add(key)
            return found
        except ValueError as err:
            self.problems.append(units.plain(f"the label {PREFIX}{key} does not count: {err}", 500))
            return default

    def look_for_typos(self) -> None:
        """Name labels of ours that nobody reads but that look like one somebody does."""
        for label in sorted(self.labels):
            name = label.removeprefix(PREFIX)
            if label == name or name in KEYS or len(name) > 40 or len(self.problems) >= MAX_WORDS:
                continue
            close = difflib.get_close_matches(name.replace("_", "-"), KEYS, n=1, cutoff=0.8)
            if close:
                self.problems.append(
                    units.plain(f"the label {label} is unknown; did you mean {PREFIX}{close[0]}?", 500)
                )


def _own_probe(text: str) -> str:
    found = fields.probe(text)
    if found and fields.probe_host(found):
        raise ValueError(
            "a probe in a label may only reach its own container; leave the host out, like http://:8000/health, "
            "or declare it under services: in resurgam.yaml"
        )
    return found


def _own_metrics(text: str) -> str:
    found = fields.metrics_url(text)
    if found and fields.probe_host(found):
        raise ValueError(
            "metrics in a label may only be its own container's; leave the host out, like http://:8000/metrics, "
            "or declare it under services: in resurgam.yaml"
        )
    return found


def _boot(text: str) -> str:
    if text not in ("engine", "ordered"):
        raise ValueError(f"{text[:60]!r} is neither engine nor ordered")
    return text


def _words(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(fields.word(part) for part in text.replace(",", " ").split()))
    if len(words) > MAX_WORDS:
        raise ValueError(f"it has {len(words)} words; at most {MAX_WORDS} are read")
    return words


def _priority(text: str) -> int:
    try:
        found = int(text[:10])
    except ValueError:
        found = 10_000
    if not -1000 <= found <= 1000 or len(text) > 10:
        raise ValueError(f"{text[:60]!r} is not a whole number from -1000 to 1000")
    return found
