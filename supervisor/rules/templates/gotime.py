"""Go's `time.Time` (in UTC) and `time.Duration`, as far as templates can see them.

`toTime`, `humanizeTimestamp` and `toDuration` make them; `{{ ($value | toTime).Format "15:04" }}` calls their methods.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from supervisor.rules.templates.gotext import shortest
from supervisor.rules.templates.values import Failure, Named

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_LAYOUT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07|[.,](?:0+|9+)(?!\d)"
)


class Month(Named):
    """`time.Month`."""

    words, kind, first = _MONTHS, "time.Month", 1


class Weekday(Named):
    """`time.Weekday`."""

    words, kind, first = _DAYS, "time.Weekday", 0


@dataclass(frozen=True, slots=True, order=True)
class Time:
    """An instant in UTC, to the millisecond."""

    milliseconds: int
    kind = "*time.Time"

    @classmethod
    def of(cls, seconds: float) -> "Time":
        """The instant of unix seconds; Failure beyond the years 1678 to 2261."""
        nanoseconds = seconds * 1e9
        if not -(2.0**63) <= nanoseconds < 2.0**63:
            raise Failure(
                f"{shortest(seconds)} cannot be represented as a nanoseconds timestamp since it overflows int64"
            )
        return cls(int(math.copysign(abs(int(nanoseconds)) // 1_000_000, nanoseconds)))

    def date(self) -> datetime:
        """The same as Python's."""
        return _EPOCH + timedelta(milliseconds=self.milliseconds)

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        """Go's `Format`: the layout is the reference time (2006-01-02 15:04:05), written as wished."""
        at = self.date()
        return _LAYOUT.sub(lambda match: _part(at, match[0]), layout)


def _part(at: datetime, piece: str) -> str:
    """One element of a layout."""
    if piece[0] in ".,":
        digits = f"{at.microsecond * 1000:09d}"[: len(piece) - 1].ljust(len(piece) - 1, "0")
        digits = digits if piece[1] == "0" else digits.rstrip("0")
        return piece[0] + digits if digits else ""
    if piece[0] == "Z":
        return "Z"
    if piece[0] == "-":
        return re.sub(r"\d", "0", piece).replace("-", "+")
    return _PIECES[piece](at)


def _month(at: datetime) -> str:
    return _MONTHS[at.month - 1]


def _day(at: datetime) -> str:
    return _DAYS[at.isoweekday() % 7]


def _of_year(at: datetime) -> int:
    return at.timetuple().tm_yday


def _hour(at: datetime) -> int:
    return at.hour % 12 or 12


_PIECES: dict[str, Callable[[datetime], str]] = {
    "January": _month,
    "Jan": lambda at: _month(at)[:3],
    "Monday": _day,
    "Mon": lambda at: _day(at)[:3],
    "MST": lambda at: "UTC",
    "01": lambda at: f"{at.month:02d}",
    "1": lambda at: str(at.month),
    "02": lambda at: f"{at.day:02d}",
    "2": lambda at: str(at.day),
    "_2": lambda at: f"{at.day:2d}",
    "002": lambda at: f"{_of_year(at):03d}",
    "__2": lambda at: f"{_of_year(at):3d}",
    "03": lambda at: f"{_hour(at):02d}",
    "3": lambda at: str(_hour(at)),
    "15": lambda at: f"{at.hour:02d}",
    "04": lambda at: f"{at.minute:02d}",
    "4": lambda at: str(at.minute),
    "05": lambda at: f"{at.second:02d}",
    "5": lambda at: str(at.second),
    "06": lambda at: f"{at.year % 100:02d}",
    "2006": lambda at: f"{at.year:04d}",
    "PM": lambda at: "PM" if at.hour >= 12 else "AM",
    "pm": lambda at: "pm" if at.hour >= 12 else "am",
}


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A length of time."""

    nanoseconds: int
    kind = "*time.Duration"

    def __str__(self) -> str:
        left = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if left == 0:
            return "0s"
        if left < 1_000_000_000:
            unit, size = ("ns", 1) if left < 1000 else ("µs", 1000) if left < 1_000_000 else ("ms", 1_000_000)
            return sign + _decimal(left, size) + unit
        minutes, rest = divmod(left, 60_000_000_000)
        hours, minutes = divmod(minutes, 60)
        head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
        return sign + head + _decimal(rest, 1_000_000_000) + "s"


def _decimal(count: int, size: int) -> str:
    whole, rest = divmod(count, size)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0") if size > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)


_SPAN: dict[str, Callable[..., Any]] = {
    "String": str,
    "Nanoseconds": lambda span: span.nanoseconds,
    "Microseconds": lambda span: math.trunc(span.nanoseconds / 1000),
    "Milliseconds": lambda span: math.trunc(span.nanoseconds / 1_000_000),
    "Seconds": lambda span: span.nanoseconds / 1e9,
    "Minutes": lambda span: span.nanoseconds / 6e10,
    "Hours": lambda span: span.nanoseconds / 3.6e12,
}
_TIME: dict[str, Callable[..., Any]] = {
    "Format": Time.format,
    "String": str,
    "UTC": lambda time: time,
    "Local": lambda time: time,
    "IsZero": lambda time: False,
    "Unix": lambda time: time.milliseconds // 1000,
    "UnixMilli": lambda time: time.milliseconds,
    "UnixMicro": lambda time: time.milliseconds * 1000,
    "UnixNano": lambda time: time.milliseconds * 1_000_000,
    "Year": lambda time: time.date().year,
    "Month": lambda time: Month(time.date().month),
    "Day": lambda time: time.date().day,
    "Weekday": lambda time: Weekday(time.date().isoweekday() % 7),
    "YearDay": lambda time: time.date().timetuple().tm_yday,
    "Hour": lambda time: time.date().hour,
    "Minute": lambda time: time.date().minute,
    "Second": lambda time: time.date().second,
    "Nanosecond": lambda time: time.date().microsecond * 1000,
}
METHODS: dict[type, dict[str, Callable[..., Any]]] = {Time: _TIME, Span: _SPAN}
"""The methods of each: name -> function of the value and of the arguments (only `Format` takes one)."""
