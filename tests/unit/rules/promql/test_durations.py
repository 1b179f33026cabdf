"""Ranges, steps and offsets: constants, reckoned with where a person wrote them so."""

import pytest

from supervisor.rules.promql.durations import Length, offset, span
from supervisor.rules.promql.lexer import Cursor, Unreadable, tokens


def spanned(text: str) -> Length:
    cursor = Cursor(tokens(f"[{text}]"))
    cursor.take()
    length = span(cursor, "range")
    cursor.need("]")
    return length


@pytest.mark.parametrize(
    ("text", "ms", "reckoned"),
    [
        ("5m", 300_000, False),
        ("300", 300_000, False),
        ("1.5", 1500, False),
        ("4.18", 4180, False),
        ("0.0019", 1, False),
        ("+5m", 300_000, False),
        ("5m + 1m", 360_000, True),
        ("1h-5m*2", 3_000_000, True),
        ("2*(1h-5m)", 6_600_000, True),
        ("11s+10s-5*2^2", 1000, True),
        ("2^3^2", 512_000, True),
        ("-(10s-5s)+20s", 15_000, True),
        ("-5m+35m", 1_800_000, True),
        ("-2^2+5", 1000, True),
        ("1h30m % 1h", 1_800_000, True),
        ("((((8 - 2) / 3) * 7s) % 4) + 8000ms", 10_000, True),
        ("(5m)", 300_000, True),
        ("min_of(5m, 1h)", 300_000, True),
        ("max(5m, 1h)-1m", 3_540_000, True),
    ],
)
def test_between_brackets_constants_are_reckoned_with(text: str, ms: int, reckoned: bool) -> None:
    assert spanned(text) == (ms, reckoned)


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("0m", 1, "greater than 0"),
        ("-5m", 1, "greater than 0"),
        ("5m-5m", 1, "greater than 0"),
        ("0.0001", 1, "at least 1ms"),
        ("5m/0", 3, "division by zero"),
        ("5m%(1-1)", 3, "modulo by zero"),
        ("9.5e10", 1, "out of range"),
        ("10^300*10^300", 1, "out of range"),
        ("10^300*10^300%7", 1, "out of range"),
        ("(-8)^0.5", 1, "out of range"),
        ("inf", 1, "expected number or duration"),
        ("step()", 1, "step() is the step of the query"),
        ("max_of(5m, range())", 12, "range() is the range of the query"),
        ("rate(x)", 1, "expected number or duration"),
        ("min_of(5m)", 10, 'expected ","'),
        ("(5m", 4, 'expected ")"'),
        ("5m +", 5, "expected number or duration"),
        ("(" * 70 + "1" + ")" * 70, 65, "inside each other"),
        ("-" * 70 + "1", 65, "inside each other"),
    ],
)
def test_what_is_no_length_is_refused_with_its_place(text: str, at: int, words: str) -> None:
    with pytest.raises(Unreadable) as caught:
        spanned(text)
    assert words in caught.value.why
    assert caught.value.at == at


@pytest.mark.parametrize(
    ("text", "ms", "rest"),
    [
        ("5m", 300_000, "last"),
        ("-5m", -300_000, "last"),
        ("60", 60_000, "last"),
        ("-1.5", -1500, "last"),
        ("0", 0, "last"),
        ("5m + 1", 300_000, "+"),  # 1 is added to the value
        ("-2 ^ 2", -2000, "^"),
        ("(5m + 1m)", 360_000, "last"),
        ("(5m) - 1m", 240_000, "last"),  # as Prometheus' grammar has it
        ("-(1m*2) > 1", -120_000, ">"),
        ("min_of(5m, 1m)", 60_000, "last"),
    ],
)
def test_an_offset_takes_one_signed_constant_or_parentheses(text: str, ms: int, rest: str) -> None:
    cursor = Cursor(tokens(text))
    assert offset(cursor).ms == ms
    assert cursor.token.kind == rest
