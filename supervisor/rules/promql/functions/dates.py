"""Functions of the calendar, always in UTC: of each element's value as unix seconds, or of now.

Part of the one table (`functions/__init__.py`). Python's own dates end at the year 9999 and raise beyond; values come
from anywhere, so the days are counted here: the Gregorian calendar, without end in either direction.
"""

from collections.abc import Callable
from dataclasses import dataclass

from supervisor.rules.promql.evaluate import Frame
from supervisor.rules.promql.functions.base import Args, V
from supervisor.rules.promql.nodes import Function, Vector

_DAY = 86_400
_ERA = 146_097
"""days in 400 years, after which the calendar repeats"""
_TO_MARCH = 719_468
"""days from the first of March of the year 0 to the start of 1970"""
_FIRST = -(1 << 63)
_GO_ZERO = -9_223_372_028_741_760_000
"""The second with which Go's calendar starts; what lies before it, Go takes for 2^64 seconds later."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A second of the calendar. `weekday`: 0 is Sunday; `of_year`: 1 is the first of January."""

    year: int
    month: int
    day: int
    weekday: int
    of_year: int
    hour: int
    minute: int
    days_in_month: int


def moment(value: float) -> Moment:
    """The calendar's answer for unix seconds; fractions are cut off towards zero. What is no 64-bit integer (NaN, the
    infinities, numbers beyond) is the same far instant as on Prometheus' usual machines."""
    second = int(value) if -(2.0**63) <= value < 2.0**63 else _FIRST
    if second < _GO_ZERO:
        second += 1 << 64
    days, rest = divmod(second, _DAY)
    year, month, day, start = _civil(days)
    until = _civil_days(year + month // 12, month % 12 + 1)
    return Moment(
        year=year,
        month=month,
        day=day,
        weekday=(days + 4) % 7,
        of_year=days - _civil_days(year, 1) + 1,
        hour=rest // 3600,
        minute=rest // 60 % 60,
        days_in_month=until - start,
    )


def _civil(days: int) -> tuple[int, int, int, int]:
    """Year, month, day and the first day of the month, of a day counted from 1970. Years run from March here, so that
    the odd day of leap years comes last."""
    era, of_era = divmod(days + _TO_MARCH, _ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153  # months since March
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, day, days - day + 1


def _civil_days(year: int, month: int) -> int:
    """The day, counted from 1970, with which a month begins."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * _ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _TO_MARCH


def _dated(part: Callable[[Moment], int]) -> Callable[[Frame, Args], Vector]:
    def call(frame: Frame, args: Args) -> Vector:
        if not args:
            return [((), float(part(moment(frame.at / 1000))))]
        nameless = frame.nameless
        return [(nameless(labels), float(part(moment(value)))) for labels, value in frame.vector(args[0])]

    return call


_PARTS: dict[str, Callable[[Moment], int]] = {
    "day_of_month": lambda at: at.day,
    "day_of_week": lambda at: at.weekday,
    "day_of_year": lambda at: at.of_year,
    "days_in_month": lambda at: at.days_in_month,
    "hour": lambda at: at.hour,
    "minute": lambda at: at.minute,
    "month": lambda at: at.month,
    "year": lambda at: at.year,
}

FUNCTIONS = tuple(
    # without an argument they move with time; with one, only as far as it does (see `flows` in the table's module)
    Function(name, (V,), V, _dated(part), optional=1, flows=True)
    for name, part in _PARTS.items()
)
