"""The calendar in UTC, far beyond what Python's own dates reach."""

import datetime
import random

import pytest

from supervisor.rules import compile_expr
from supervisor.rules.promql.evaluate import evaluate
from supervisor.rules.promql.functions.dates import moment
from supervisor.samples import Store


def test_a_moment_is_what_the_calendar_says() -> None:
    rng = random.Random(3)
    for _ in range(1500):
        second = rng.randrange(-62_135_596_800, 253_402_300_800)
        at, then = moment(float(second)), datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=second)
        assert (at.year, at.month, at.day, at.hour, at.minute) == then.timetuple()[:5]
        assert (at.weekday, at.of_year) == (then.isoweekday() % 7, then.timetuple().tm_yday)
        after = datetime.date(then.year + then.month // 12, then.month % 12 + 1, 1) if then.year < 9999 else None
        if after is not None:
            assert at.days_in_month == (after - datetime.date(then.year, then.month, 1)).days


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("year(vector(-62135596801))", 0),  # there is a year 0 here, unlike in history
        ("days_in_month(vector(951782400))", 29),  # 2000-02-29
        ("days_in_month(vector(4107456000))", 28),  # 2100-02-28
        ("day_of_year(vector(1735603200))", 366),  # 2024-12-31
        ("hour(vector(-0.5))", 0),  # fractions go towards zero
        ("hour(vector(-1.5))", 23),
        ("minute(vector(NaN))", 30),  # what is no 64-bit integer is one far instant, as on amd64
        ("year(vector(+Inf))", 292277026596),
        ("year(vector(1e30))", 292277026596),
        ("day_of_week(vector(-Inf))", 0),
        ("month(vector(NaN))", 12),
        ("day_of_month(vector(NaN))", 4),
        ("year(vector(9.223372036e18))", 292277026569),
        ("year(vector(-9.2233720287e18))", -292277022399),
    ],
)
def test_values_of_any_size_have_a_date(expr: str, expected: float) -> None:
    assert evaluate(compile_expr(expr).node, Store(), 0) == [((), float(expected))]


def test_without_an_argument_it_is_about_now() -> None:
    at = 1_709_210_096_789  # Thursday 2024-02-29 12:34:56.789
    names = ("year", "month", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute")
    values = [evaluate(compile_expr(f"{name}()").node, Store(), at) for name in names]
    assert values == [[((), float(part))] for part in (2024, 2, 29, 4, 60, 29, 12, 34)]
