"""Words of PromQL and what numbers and strings stand for, as Go (and so Prometheus) reads them."""

import math

import pytest

from supervisor.rules.promql.lexer import Token, Unreadable, tokens
from supervisor.rules.promql.literals import number, seconds, unquote


def kinds(text: str) -> list[str]:
    return [token.kind for token in tokens(text)][:-1]


def only(text: str) -> Token:
    token, last = tokens(text)
    assert last.kind == "last"
    return token


def test_every_word_has_its_kind_and_its_place() -> None:
    found = tokens("sum by(a) # why\n\t(rate(x:y{a=~'b'}[5m])) >= 0x1F")
    assert [token.kind for token in found] == [
        "sum", "by", "(", "name", ")", "(", "name", "(", "name", "{", "name", "=~", "string", "}", "[", "duration", "]",
        ")", ")", ">=", "number", "last",
    ]  # fmt: skip
    assert [(found[at].text, found[at].at, found[at].end) for at in (5, 8, 12, -1)] == [
        ("(", 17, 18),
        ("x:y", 23, 26),
        ("'b'", 30, 33),
        ("", 48, 48),
    ]


def test_keywords_are_words_in_any_case_and_plain_names_between_braces() -> None:
    assert kinds("SUM By oFFset anD Inf NAN infinity") == ["sum", "by", "offset", "and", "number", "number", "name"]
    assert kinds("{sum, by, inf}") == ["{", "name", ",", "name", ",", "name", "}"]


def test_a_colon_belongs_to_a_name_but_not_between_brackets() -> None:
    assert kinds("a:b :c") == ["name", "name"]
    assert kinds("a[5m:1m]") == ["name", "[", "duration", ":", "duration", "]"]
    assert kinds("a[5m:step()]") == ["name", "[", "duration", ":", "name", "(", ")", "]"]
    assert kinds("a[5m:]b:c") == ["name", "[", "duration", ":", "]", "name"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        (".5", 0.5),
        ("5.", 5),
        ("1e3", 1000),
        ("2.5E-3", 0.0025),
        ("1_000.5", 1000.5),
        ("0x1f", 31),
        ("0X_FF", 255),
        ("0xEE", 238),
        ("0755", 493),
        ("08", 8),
        ("0777.5", 777.5),
        ("07777777777777777777777", 7777777777777777777777.0),  # too long for octal: Go reads it as decimal
        ("inf", math.inf),
        ("Inf", math.inf),
        ("9999999999999999999999", 1e22),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert number(only(text)) == value


def test_nan_is_a_number() -> None:
    assert number(only("NaN")) is math.nan  # the one object, so that two trees with it are equal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("1y2w3d", 365 * 86400 + 17 * 86400),
        ("1s500ms", 1.5),
        ("0s", 0),
        ("292y", 292 * 31536000),
    ],
)
def test_durations_in_seconds(text: str, value: float) -> None:
    assert seconds(only(text)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5m1h", "not a valid duration"),
        ("5m5m", "not a valid duration"),
        ("293y", "duration out of range"),
        ("9" * 40 + "s", "duration out of range"),
        ("1e400", "out of range"),
        ("0" + "7" * 2000, "out of range"),
        ("0x" + "f" * 17, "out of range"),
    ],
)
def test_numbers_and_durations_that_stand_for_nothing(text: str, words: str) -> None:
    token = only(text)
    with pytest.raises(Unreadable) as caught:
        number(token) if token.kind == "number" else seconds(token)
    assert words in caught.value.why
    assert len(caught.value.why) < 100


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\n\t\\\"\x41\101\u00e4\U0001F600"', 'a\n\t\\"AAä😀'),
        (r"'it\'s \"'", None),
        (r"'it\'s'", "it's"),
        (r"`raw\n"
         "\n`", "raw\\n\n"),
        ('"plain # text"', "plain # text"),
        (r'"\xc3\xa4"', "ä"),  # bytes of one character
        (r'"\xff"', "\N{REPLACEMENT CHARACTER}"),
        (r'"\c"', None),
        (r'"\x4"', None),
        (r'"\400"', None),
        (r'"\ud800"', None),
        (r'"\U00110000"', None),
        ('""', ""),
    ],
)  # fmt: skip
def test_strings_as_go_unquotes_them(text: str, value: str | None) -> None:
    token = only(text)
    if value is not None:
        assert unquote(token) == value
        return
    with pytest.raises(Unreadable) as caught:
        unquote(token)
    assert text[caught.value.at] == "\\"  # it points at the escape sequence


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("a &", 2, "unexpected character: '&'"),
        ("a ! b", 2, "unexpected character after '!'"),
        ('a{b="c', 4, "unterminated quoted string"),
        ('a{b="c\n"}', 4, "unterminated quoted string"),
        ("a{b=`c", 4, "unterminated raw string"),
        ("a{b;", 3, "unexpected character inside braces: ';'"),
        ("{{", 1, "unexpected left brace"),
        ("a[[", 2, "unexpected left bracket"),
        ("a]", 1, "unexpected right bracket"),
        ("a}", 1, "unexpected character: '}'"),
        ("5mm", 0, 'bad number or duration syntax: "5mm"'),
        ("100..4", 0, "bad number or duration syntax"),
        ("1__0", 0, "bad number or duration syntax"),
        ('"\ud800"', 1, "invalid UTF-8"),
    ],
)
def test_what_is_no_word_ends_the_tokens_with_its_place(text: str, at: int, words: str) -> None:
    last = tokens(text)[-1]
    assert (last.kind, last.at) == ("broken", at)
    assert words in last.text
