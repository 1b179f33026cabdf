"""Instants and spans as Prometheus' API and `resurgam query` are given them.

In: text from a request or a command line. Out: milliseconds of unix time, or seconds; ValueError in Prometheus' words.
"""

import math
import re
from datetime import datetime

from supervisor.units import duration

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LARGEST = 9.2e9
"""seconds: further away than this Prometheus' own times do not reach"""


def number(text: str) -> float | None:
    """A plain decimal number within what a time can be; None for anything else."""
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if abs(found) <= _LARGEST else None


def instant(text: str) -> int:
    """Unix seconds or RFC 3339, as ms."""
    seconds = number(text)
    if seconds is not None:
        return round(seconds * 1000)
    if _RFC3339.fullmatch(text):
        try:
            found = datetime.fromisoformat(text.upper())
            return math.floor(found.timestamp()) * 1000 + found.microsecond // 1000
        except (ValueError, OverflowError):
            pass
    raise ValueError(f'cannot parse "{text}" to a valid timestamp')


def span(text: str) -> float:
    """Seconds of a number of seconds or of a Prometheus duration."""
    seconds = number(text)
    if seconds is not None:
        return seconds
    try:
        found = duration(text) if len(text) < 400 else math.inf
    except ValueError:
        found = math.inf
    if found > _LARGEST:
        raise ValueError(f'cannot parse "{text}" to a valid duration')
    return found
