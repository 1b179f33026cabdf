"""Prometheus text, parsed: what a target or a text file offers, as names, labels and values. Pure.

From: bytes that somebody else wrote. To: relabel.py. The parser is prometheus_client's; it is fed the lines of samples
alone, since it would rename a counter whose name does not end in `_total` (as dcgm-exporter's do not), which a
Prometheus does not. One bad line spoils the whole page, as it does there: half a page would look like series that
ended. Timestamps and exemplars are not taken: a sample counts from when it was read.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.openmetrics.parser import text_fd_to_metric_families as of_openmetrics
from prometheus_client.parser import text_fd_to_metric_families as of_text

from supervisor.errors import ResurgamError

LONGEST = 8192
"""characters of a line: the parser's work grows with the square of it, and the store takes half of that"""
OPENMETRICS = "application/openmetrics-text"
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,199}")
"""the names that every Prometheus takes: what is read here is shown again on /metrics"""

Offered = tuple[str, dict[str, str], float]
"""name, labels, value"""


class Unreadable(ResurgamError):
    """What was offered is not taken; the message says why, and repeats nothing of it."""


def parse(data: bytes, kind: str, most: int) -> list[Offered]:
    """Every sample of a page, in its order, the first of each series; Unreadable for a page with a mistake or with more
    than `most` samples. `kind`: its Content-Type."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(f"it is not UTF-8 text{_hint(kind)}") from None
    lines = _Lines(text)
    strict = kind.partition(";")[0].strip().lower() == OPENMETRICS
    read: Any = of_openmetrics if strict else of_text
    families: Iterable[Any] = read(lines if strict else lines.samples())
    found: list[Offered] = []
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    try:
        for family in families:
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                if key in seen:
                    continue
                if len(found) >= most:
                    raise Unreadable(f"it offers more than {most} series")
                seen.add(key)
                if not (_METRIC.fullmatch(sample.name) and all(map(_LABEL.fullmatch, sample.labels))):
                    raise Unreadable(f"line {lines.number} has a name that is none: letters, digits, _ and :")
                found.append((sample.name, sample.labels, float(sample.value)))
    except Unreadable:
        raise
    except Exception:  # noqa: BLE001 - the edge of a parser of hostile text, which trips in many ways
        raise Unreadable(f"line {lines.number} is not Prometheus text{_hint(kind)}") from None
    return found


def _hint(kind: str) -> str:
    """What it is instead, where its server says so."""
    what = {"text/html": "a web page", "application/json": "JSON"}.get(kind.partition(";")[0].strip().lower(), "")
    return f", but {what}; is the path right?" if what else ""


class _Lines:
    """The lines of a page, and the number of the one that was handed out last."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        if not self._lines[-1]:
            self._lines.pop()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, 1):
            self.number = number
            if len(line) > LONGEST and not line.startswith("#"):
                raise Unreadable(f"line {number} is longer than {LONGEST} characters")
            yield line + "\n"

    def samples(self) -> Iterator[str]:
        """Without the comments."""
        return (line for line in self if not line.lstrip(" \t").startswith("#"))
