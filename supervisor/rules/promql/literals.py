"""What numbers, durations and strings in PromQL stand for: read as Go reads them, because Prometheus does.

Used by `parse.py` and `durations.py` on single tokens of `lexer.py`; Unreadable where a token stands for nothing.
"""

import math
import re

from supervisor.rules.promql.lexer import Token, Unreadable

LONGEST = 2.0**63 / 1e9
"""Seconds of the longest duration (292 years), as Go's nanoseconds in 64 bits have it."""

_DURATION = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_UNITS_MS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_OCTAL = re.compile(r"0(?:_?[0-7])+")
_ESCAPE = re.compile(
    r"\\(?:(?P<plain>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})"
    r"|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})|(?P<bad>.))",
    re.DOTALL,
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


def number(token: Token) -> float:
    """The value of a number: decimal, hexadecimal, octal with a leading 0, Inf or NaN in any case."""
    word = token.text
    if word[0] in "nN":
        return math.nan
    if word[0] in "iI":
        return math.inf
    if word[1:2] in ("x", "X"):
        whole = int(word.replace("_", "")[2:], 16)
        if whole >= 1 << 63:
            raise Unreadable(token.at, f'error parsing number: "{_short(word)}" is out of range')
        return float(whole)
    if _OCTAL.fullmatch(word):
        whole = int(word.replace("_", ""), 8)
        if whole < 1 << 63:  # beyond 64 bits Go falls back to reading it as a decimal number
            return float(whole)
    value = float(word.replace("_", ""))
    if math.isinf(value):
        raise Unreadable(token.at, f'error parsing number: "{_short(word)}" is out of range')
    return value


def seconds(token: Token) -> float:
    """The seconds of a duration such as 5m or 1h30m: units from the largest to the smallest, each once."""
    match = _DURATION.fullmatch(token.text)
    if match is None:
        why = f'not a valid duration string: "{_short(token.text)}"; write it like 90s, 5m or 1h30m'
        raise Unreadable(token.at, why)
    ms = 0
    for part, unit in zip(match.groups(), _UNITS_MS, strict=True):
        if part:
            if len(part) > 20:
                raise Unreadable(token.at, "duration out of range")
            ms += int(part) * unit
    if ms * 1_000_000 >= 1 << 63:
        raise Unreadable(token.at, "duration out of range")
    return ms / 1000


def unquote(token: Token) -> str:
    """The text that a quoted string stands for. Bytes that are not UTF-8 (`\\xff`) become the replacement character:
    no label can hold them."""
    quote, inner = token.text[0], token.text[1:-1]
    if quote == "`" or "\\" not in inner:
        return inner
    parts: list[bytes] = []
    at = 0
    for match in _ESCAPE.finditer(inner):
        parts += (inner[at : match.start()].encode(), _escaped(match, quote, token.at + 1))
        at = match.end()
    parts.append(inner[at:].encode())
    return b"".join(parts).decode(errors="replace")


def _escaped(match: "re.Match[str]", quote: str, start: int) -> bytes:
    """What one escape sequence stands for."""
    place = start + match.start()
    kind, word = match.lastgroup, match.group(match.lastgroup or 0)
    if kind == "plain" and (word not in "'\"" or word == quote):
        return _PLAIN[word].encode()
    if kind == "octal" and int(word, 8) < 256:
        return bytes((int(word, 8),))
    if kind == "byte":
        return bytes((int(word, 16),))
    if kind in ("four", "eight"):
        code = int(word, 16)
        if code < 0x110000 and not 0xD800 <= code < 0xE000:
            return chr(code).encode()
    if kind in ("octal", "four", "eight"):
        raise Unreadable(place, f"escape sequence is an invalid code point: {match.group()}")
    if word in "xuU01234567":
        raise Unreadable(place, f"incomplete escape sequence {match.group()}; write \\\\ for a backslash")
    raise Unreadable(place, f"unknown escape sequence {match.group()}; write \\\\ for a backslash")


def _short(word: str) -> str:
    return word if len(word) <= 24 else word[:23] + "…"
