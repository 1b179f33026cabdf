"""The counters of a model server: Prometheus text, read into lists of values. Pure.

From: a server's /metrics. To: the adapters, which look for requests in flight and for work done. Only what is wanted
is kept: a server may tell thousands of series, or lie.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

MOST = 20_000
"""lines that are read"""
_LINE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[^\n]*)\})?[ \t]+(?P<value>\S+)(?:[ \t]+\S+)?[ \t]*"
)
_LABEL = re.compile(r'(?<![a-zA-Z0-9_])([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
"""begins where a name begins only: from each letter on anew, a long line would take for ever"""
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Read = Mapping[str, list[dict[str, Any]]]
"""metric name -> its series: their labels, and the value as the key `value` (a label of that name is left out)"""


def read(text: str) -> Read:
    """What the text tells, line by line; what is no sample is passed over."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in text.split("\n", MOST)[:MOST]:
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip("\r"))
        value = _number(match["value"]) if match is not None else None
        if match is None or value is None:
            continue
        pairs = _LABEL.findall(match["labels"] or "")
        labels = {name: re.sub(r"\\.", lambda one: _ESCAPED.get(one[0], one[0]), said) for name, said in pairs}
        found.setdefault(match["name"], []).append({**labels, "value": value})
    return found


def total(told: Read, name: str, **labels: str) -> float | None:
    """All series of a metric that have these labels, added; None where there is none."""
    values = [
        float(one["value"]) for one in told.get(name, ()) if all(one.get(key) == said for key, said in labels.items())
    ]
    return math.fsum(values) if values else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
