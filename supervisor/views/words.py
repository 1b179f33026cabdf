"""Small words for documents and sentences: times, and numbers JSON can hold.

In: raw numbers. Out: text that people and strict JSON parsers can read.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, tzinfo
from typing import Any

from supervisor import units


def clock_text(at: float, zone: tzinfo | None = UTC) -> str:
    """`12:40:03.211` in the zone given; None is the machine's own."""
    return units.moment(at, zone).strftime("%H:%M:%S.%f")[:-3]


def when(at: float, now: float, zone: tzinfo | None = None) -> str:
    """`14:02:07 (3m ago)` or `14:07:07 (in 2m)`, with the day where it is another one; `zone` as in clock_text."""
    moment = units.moment(at, zone)
    day = "" if moment.date() == units.moment(now, zone).date() else f"{moment.day} {moment:%b} "
    gap = units.show_duration(abs(round(at) - round(now)))
    return f"{day}{moment:%H:%M:%S} " + (f"({gap} ago)" if at <= now else f"(in {gap})")


def json_number(value: float) -> float | int | str:
    """A number strict JSON can hold: whole floats lose their `.0`, NaN and infinities become Prometheus' words."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def json_safe(value: Any) -> Any:
    """A copy that `json.dumps(allow_nan=False)` takes: mappings and dataclasses as dicts, NaN as a word."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_safe(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float):
        return json_number(value)
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
