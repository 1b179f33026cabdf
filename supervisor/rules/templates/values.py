"""The values that templates work with, as Go knows them: their type names, their truth, and the bytes of their text.

Strings are Python strings; a byte that is no UTF-8 (Go strings may hold any) is kept as a surrogate escape, and
`mended` turns it into U+FFFD at the very end. Go's `int` is int, `float64` is float, an untyped nil is None. Everything
else has a class here. Used by every other file of this folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


class TemplateError(ValueError):
    """The template cannot be used. `line` and `column` count from 1 within the template; 0 where nobody knows."""

    def __init__(self, text: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{text} (at {line}:{column} of the template)" if line else text)
        self.text, self.line, self.column = text, line, column


class Failure(Exception):
    """A function cannot do what it was asked to; becomes part of the error text."""


class Html(str):
    """Text marked by `safeHtml`: a type of its own, which is no string to other functions."""

    __slots__ = ()


class Uint8(int):
    """A byte: what `index "text" 0` gives."""


class Named(int):
    """A Go integer that prints as a word: a month or a weekday."""

    words: tuple[str, ...] = ()
    kind = ""
    first = 0

    def __str__(self) -> str:
        return self.words[self - self.first]


class LabelMap(dict[str, str]):
    """`map[string]string`."""


class Struct:
    """A structure of another room: a template reads the fields that `shows` names."""

    __slots__ = ()
    kind = "struct"
    shows: ClassVar[tuple[str, ...]] = ()


class Arguments(dict[str, Any]):
    """`map[string]interface {}`: what `args` makes."""


@dataclass(frozen=True, slots=True)
class Series:
    """One result of `query`: `.Labels`, `.Value`."""

    Labels: LabelMap
    Value: float


class Results(list[Series]):
    """What `query` gives."""


@dataclass(frozen=True, slots=True)
class Root:
    """What a template starts with as its dot."""

    Labels: LabelMap
    ExternalLabels: LabelMap
    ExternalURL: str
    Value: float


_ROOT = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (Uint8, "uint8"),
    (int, "int"),
    (float, "float64"),
    (Html, "template.HTML"),
    (str, "string"),
    (LabelMap, "map[string]string"),
    (Arguments, "map[string]interface {}"),
    (Series, "*template.sample"),
    (Results, "template.queryResult"),
    (Root, _ROOT),
)


def type_name(value: Any) -> str:
    """What Go calls the type of a value."""
    kind = getattr(value, "kind", None)
    if isinstance(kind, str):
        return kind
    return next((name for known, name in _KINDS if isinstance(value, known)), "<nil>")


def true(value: Any) -> bool:
    """Whether `if` takes the value for true: neither nil, nor zero, nor empty."""
    if value is None:
        return False
    if isinstance(value, bool | int | float | str | Mapping | Results):
        return bool(value)
    return True


def as_bytes(text: str) -> bytes:
    """The bytes that Go would hold for this text."""
    return text.encode("utf-8", "surrogateescape")


def as_text(data: bytes) -> str:
    """The text of such bytes; what is no UTF-8 is kept."""
    return data.decode("utf-8", "surrogateescape")


def mended(text: str) -> str:
    """The text with U+FFFD for every byte that is no UTF-8."""
    if text.isascii():
        return text
    whole = "".join("\N{REPLACEMENT CHARACTER}" if _lost(letter) else letter for letter in text)
    return as_bytes(whole).decode("utf-8", "replace")


def _lost(letter: str) -> bool:
    """Half a letter of UTF-16, which never was a byte."""
    return "\ud800" <= letter <= "\udc7f" or "\udd00" <= letter <= "\udfff"
