"""The functions that a template can call, with what they take: Prometheus' own, and Go's (`builtins.py`).

`run.py` checks the arguments and calls them; `parse.py` wants the names alone. A Failure is part of the error text.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote_plus, unquote, urlsplit

import re2

from supervisor.errors import ConfigError
from supervisor.rules.templates import builtins, gofmt, gotext
from supervisor.rules.templates.goshow import LONGEST, bounded
from supervisor.rules.templates.gotime import Span, Time
from supervisor.rules.templates.values import (
    Arguments,
    Failure,
    Html,
    LabelMap,
    Results,
    Series,
    Uint8,
    as_bytes,
    mended,
    type_name,
)
from supervisor.units import duration

Found = Sequence[tuple[Mapping[str, str], float]]
_MOST = 10_000
"""results that one query may have"""
_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024 = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_WORD = re.compile(r"[^\W_]+(?:(?:_|(?<=[^\W\d])['’.:·](?=[^\W\d_]))+[^\W_]+)*|_+[^\W_]\w*")
_GROUP = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))", re.ASCII)


@dataclass(slots=True)
class Steps:
    """The work that all expansions of one evaluation may be together, in the steps of `run.py`: what is left of it."""

    left: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Around:
    """What a template can see besides its alert. `query` gives the result of an instant query (labels, value) and
    raises where it fails; `at` is the instant of the evaluation (unix seconds). With the alert's `name` the text of a
    failed expansion is Prometheus' own, word for word; without it, it is shorter and counts from the template's start.
    """

    query: Callable[[str], Found] | None = None
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    at: float = 0.0
    name: str = ""
    steps: Steps | None = None
    """shared by all that is expanded with it; None bounds each expansion alone"""


@dataclass(frozen=True, slots=True)
class Signature:
    """One function. `takes` names the kinds of its arguments: string, any, results, series; `rest` that of any further
    ones. `around`: it is given what is around the template, too."""

    run: Callable[..., Any]
    takes: tuple[str, ...] = ()
    rest: str = ""
    around: bool = False
    steps: int = 1
    """what a call costs, in steps of the run, besides its texts"""
    letters: float = 64
    """how many letters of text are one step"""


def to_float(value: Any) -> float:
    """What the number functions make of their argument."""
    if isinstance(value, Span):
        return value.nanoseconds / 1e9
    if isinstance(value, str) and not isinstance(value, Html):
        try:
            return gotext.parse_float(value)
        except ValueError as err:
            raise Failure(str(err)) from None
    if isinstance(value, float | int) and not isinstance(value, bool | Uint8):
        return float(value)
    raise Failure(f"can't convert {type_name(value)} to float")


# ------------------------------------------------------------ queries


def _query(around: Around, text: str) -> Results:
    if around.query is None:
        raise Failure("there is nothing to query here")
    try:
        found = around.query(text)
    except ConfigError as err:
        raise Failure("; ".join(f"{one.line}:{one.column}: parse error: {one.text}" for one in err.mistakes)) from None
    except Exception as err:  # noqa: BLE001 - whatever a query fails with becomes the text of this one template
        raise Failure(str(err) or type(err).__name__) from None
    if len(found) > _MOST:
        raise Failure(f"the query gives {len(found)} results; {_MOST} are the most")
    return Results(Series(LabelMap(labels), value) for labels, value in found)


def _first(results: Results | None) -> Series:
    if not results:
        raise Failure("first() called on vector with no elements")
    return results[0]


def _of(series: Series | None) -> Series:
    if series is None:
        raise Failure("runtime error: invalid memory address or nil pointer dereference")
    return series


def _sorted(label: str, results: Results | None) -> Results:
    if results is None:
        return Results()
    results.sort(key=lambda series: as_bytes(series.Labels.get(label, "")))
    return results


# ------------------------------------------------------------ numbers


def four(value: float) -> str:
    """`%.4g`."""
    return gotext.odd(value) if not math.isfinite(value) else f"{value:.4g}"


def humanize(value: Any) -> str:
    """A number with a metric prefix: `1.234k`, `50m`."""
    count = to_float(value)
    if count == 0 or not math.isfinite(count):
        return four(count)
    return _large(count, _LARGE, 1000) if abs(count) >= 1 else _small(count)


def humanize1024(value: Any) -> str:
    """A number with a binary prefix: `1.5Gi`."""
    count = to_float(value)
    return four(count) if abs(count) <= 1 or not math.isfinite(count) else _large(count, _LARGE_1024, 1024)


def _large(value: float, prefixes: tuple[str, ...], step: float) -> str:
    prefix = ""
    for candidate in prefixes:
        if abs(value) < step:
            break
        prefix, value = candidate, value / step
    return four(value) + prefix


def _small(value: float) -> str:
    prefix = ""
    for candidate in _SMALL:
        if abs(value) >= 1:
            break
        prefix, value = candidate, value * 1000
    return four(value) + prefix


def humanize_duration(value: Any) -> str:
    """Seconds as `1d 2h 3m 4s`, `30s`, `5ms`."""
    seconds = to_float(value)
    if not math.isfinite(seconds):
        return four(seconds)
    if abs(seconds) < 1:
        return (four(seconds) if seconds == 0 else _small(seconds)) + "s"
    sign, whole = "-" if seconds < 0 else "", int(abs(seconds))
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{sign}{minutes}m {rest}s"
    return f"{sign}{four(abs(seconds))}s"


def humanize_percentage(value: Any) -> str:
    """A ratio as a percentage: `95.3%`."""
    return four(to_float(value) * 100) + "%"


def humanize_timestamp(value: Any) -> str:
    """Unix seconds as a date: `2015-06-23 13:19:44.128 +0000 UTC`."""
    seconds = to_float(value)
    return str(Time.of(seconds)) if math.isfinite(seconds) else four(seconds)


def to_time(value: Any) -> Time:
    """Unix seconds as Go's time, which has `.Format`."""
    seconds = to_float(value)
    if not math.isfinite(seconds):
        raise Failure("value is NaN or Inf")
    return Time.of(seconds)


def to_duration(value: Any) -> Span:
    """Seconds as Go's duration: `1m30s`."""
    seconds = to_float(value)
    if not math.isfinite(seconds) or not abs(seconds) < 9.2e9:
        raise Failure(f"{gotext.shortest(seconds)} seconds are no duration")
    return Span(math.trunc(seconds * 1e9))


def parse_duration(text: str) -> float:
    """`1h30m` in seconds."""
    if not text:
        raise Failure("empty duration string")
    if text != text.strip():
        raise Failure(f"not a valid duration string: {gotext.quoted(text)}")
    try:
        return duration(text)
    except ValueError:
        raise Failure(f"not a valid duration string: {gotext.quoted(text)}") from None


# ------------------------------------------------------------ text


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as err:
        why = err.args[0] if err.args else ""
        said = why.decode("utf-8", "replace") if isinstance(why, bytes) else why
        raise Failure(f"bad regular expression {gotext.quoted(pattern)}: {said}") from None


def match(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text (RE2, not anchored)."""
    return _compiled(mended(pattern)).search(mended(text)) is not None


def replace_all(pattern: str, into: str, text: str) -> str:
    """Every match replaced; `$1`, `${1}` and `${name}` stand for what groups matched, `$$` for a dollar."""
    out: list[str] = []
    size = end = 0
    into, text = mended(into), mended(text)
    for found in _compiled(mended(pattern)).finditer(text):
        start = found.start()
        if found.end() == start == end and start:
            continue  # nothing, right after a match: Go leaves it out
        piece = text[end:start] + _GROUP.sub(partial(_group, found), into)
        size += len(piece)
        if size > LONGEST:
            raise Failure(f"the text is longer than {LONGEST} characters")
        out.append(piece)
        end = found.end()
    return bounded("".join(out) + text[end:])


def _group(found: "re2._Match", mark: "re.Match[str]") -> str:
    if mark[3]:
        return "$"
    name = mark[1] or mark[2]
    try:
        return found.group(int(name) if name.isdigit() else name) or ""
    except (IndexError, KeyError):
        return ""  # there is no such group


def title(text: str) -> str:
    """The first letter of every word made large, the others left."""
    return _WORD.sub(lambda word: _titled(word[0]), text)


def _titled(word: str) -> str:
    for at, letter in enumerate(word):
        if letter.upper() != letter or letter.lower() != letter:
            return word[:at] + letter.title() + word[at + 1 :]
    return word


def split_host(address: str) -> tuple[str, str] | None:
    """Host and port of `host:port` and `[v6]:port`; None where it is neither."""
    colon = address.rfind(":")
    if colon < 0:
        return None
    if address.startswith("["):
        close = address.find("]")
        if close < 0 or close + 1 != colon:
            return None
        host, rest = address[1:close], address[close + 1 :]
        return None if "[" in host or "]" in rest else (host, address[colon + 1 :])
    host = address[:colon]
    if any(mark in host for mark in ":[]") or any(mark in address[colon:] for mark in "[]"):
        return None
    return host, address[colon + 1 :]


def strip_port(address: str) -> str:
    """The host of `host:port`."""
    found = split_host(address)
    return found[0] if found else address


def strip_domain(address: str) -> str:
    """`host.example.com:80` as `host:80`; addresses in numbers stay."""
    found = split_host(address)
    host, port = found or (address, "")
    try:
        if "%" not in host:
            ipaddress.ip_address(host)
            return address
    except ValueError:
        pass
    host = host.split(".")[0]
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host or "%" in host else f"{host}:{port}"


def _call(*args: Any) -> Any:
    if args[0] is None:
        raise Failure("call of nil")
    raise Failure(f"non-function {gofmt.sprint(args[0])} of type {type_name(args[0])}")


_ANY, _TEXT, _TWO = ("any",), ("string",), ("any", "any")

FUNCTIONS: dict[str, Signature] = {
    "query": Signature(_query, _TEXT, around=True, steps=1000),
    "first": Signature(_first, ("results",)),
    "value": Signature(lambda series: _of(series).Value, ("series",)),
    "label": Signature(lambda name, series: _of(series).Labels.get(name, ""), ("string", "series")),
    "strvalue": Signature(lambda series: _of(series).Labels.get("__value__", ""), ("series",)),
    "sortByLabel": Signature(_sorted, ("string", "results")),
    "args": Signature(lambda *args: Arguments((f"arg{at}", arg) for at, arg in enumerate(args)), (), "any"),
    "humanize": Signature(humanize, _ANY),
    "humanize1024": Signature(humanize1024, _ANY),
    "humanizeDuration": Signature(humanize_duration, _ANY),
    "humanizePercentage": Signature(humanize_percentage, _ANY),
    "humanizeTimestamp": Signature(humanize_timestamp, _ANY),
    "toTime": Signature(to_time, _ANY),
    "toDuration": Signature(to_duration, _ANY),
    "now": Signature(lambda around: around.at, around=True),
    "parseDuration": Signature(parse_duration, _TEXT),
    "match": Signature(match, ("string", "string")),
    "reReplaceAll": Signature(replace_all, ("string", "string", "string"), letters=0.25),
    "title": Signature(title, _TEXT),
    "toUpper": Signature(gotext.upper, _TEXT),
    "toLower": Signature(gotext.lower, _TEXT),
    "stripPort": Signature(strip_port, _TEXT),
    "stripDomain": Signature(strip_domain, _TEXT),
    "safeHtml": Signature(Html, _TEXT),
    "graphLink": Signature(lambda text: f"/graph?g0.expr={quote_plus(as_bytes(text))}&g0.tab=0", _TEXT),
    "tableLink": Signature(lambda text: f"/graph?g0.expr={quote_plus(as_bytes(text))}&g0.tab=1", _TEXT),
    "urlQueryEscape": Signature(lambda text: quote_plus(as_bytes(text)), _TEXT),
    "externalURL": Signature(lambda around: around.external_url, around=True),
    "pathPrefix": Signature(lambda around: unquote(urlsplit(around.external_url).path), around=True),
    "print": Signature(gofmt.sprint, (), "any"),
    "println": Signature(gofmt.sprintln, (), "any"),
    "printf": Signature(gofmt.sprintf, _TEXT, "any"),
    "len": Signature(builtins.length, _ANY),
    "index": Signature(builtins.index, _ANY, "any"),
    "slice": Signature(builtins.cut, _ANY, "any"),
    "not": Signature(builtins.negate, _ANY),
    "and": Signature(lambda *args: args[-1], _ANY, "any"),
    "or": Signature(lambda *args: args[-1], _ANY, "any"),
    "eq": Signature(builtins.equal, _ANY, "any"),
    "ne": Signature(builtins.differ, _TWO),
    "lt": Signature(builtins.less, _TWO),
    "le": Signature(builtins.at_most, _TWO),
    "gt": Signature(builtins.more, _TWO),
    "ge": Signature(builtins.at_least, _TWO),
    "html": Signature(builtins.html, (), "any"),
    "js": Signature(builtins.js, (), "any"),
    "urlquery": Signature(builtins.urlquery, (), "any"),
    "call": Signature(_call, _ANY, "any"),
}
"""Every function by its name. `now`, `toDuration` and `urlQueryEscape` are younger than Prometheus 3.5."""
