"""The functions that Go's text/template brings along: comparisons, `len`, `index`, `slice`, escaping.

Pure functions of values; `functions.py` lists them with what they take. `and` and `or` are in `run.py`, because they
stop at the first argument that decides. A Failure is what Go calls an error.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from supervisor.rules.templates import gofmt
from supervisor.rules.templates.goshow import bounded
from supervisor.rules.templates.gotime import Span
from supervisor.rules.templates.values import (
    Arguments,
    Failure,
    LabelMap,
    Results,
    Uint8,
    as_bytes,
    as_text,
    true,
    type_name,
)


def negate(value: Any) -> bool:
    """`not`"""
    return not true(value)


def length(value: Any) -> int:
    """`len`: bytes of a text, entries of a map, results of a query."""
    if value is None:
        raise Failure("len of nil pointer")
    if isinstance(value, str):
        return len(as_bytes(value))
    if isinstance(value, Mapping | Results):
        return len(value)
    raise Failure(f"len of type {type_name(value).removeprefix('*')}")


def index(value: Any, *keys: Any) -> Any:
    """`index x 1 "a"` is `x[1]["a"]`; a key that a map lacks gives its zero value."""
    if value is None:
        raise Failure("index of untyped nil")
    for key in keys:
        if value is None:
            raise Failure("index of nil pointer")
        if isinstance(value, str | Results):
            data = as_bytes(value) if isinstance(value, str) else value
            at = _place(key, len(data))
            if at == len(data):
                raise Failure("reflect: string index out of range" if isinstance(value, str) else _beyond)
            value = Uint8(as_bytes(value)[at]) if isinstance(value, str) else value[at]
        elif isinstance(value, LabelMap | Arguments):
            if key is None:
                raise Failure("value is nil; should be of type string")
            if type(key) is not str:
                raise Failure(f"value has type {type_name(key)}; should be string")
            value = value.get(key, "" if isinstance(value, LabelMap) else None)
        else:
            raise Failure(f"can't index item of type {type_name(value).removeprefix('*')}")
    return value


_beyond = "reflect: slice index out of range"


def _place(key: Any, end: int) -> int:
    if key is None:
        raise Failure("cannot index slice/array with nil")
    if not isinstance(key, int) or isinstance(key, bool):
        raise Failure(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key <= end:
        raise Failure(f"index out of range: {int(key)}")
    return int(key)


def cut(value: Any, *keys: Any) -> Any:
    """`slice x 1 2` is `x[1:2]`, by bytes."""
    if value is None:
        raise Failure("slice of untyped nil")
    if len(keys) > 3:
        raise Failure(f"too many slice indexes: {len(keys)}")
    if isinstance(value, str) and len(keys) == 3:
        raise Failure("cannot 3-index slice a string")
    if not isinstance(value, str | Results):
        raise Failure(f"can't slice item of type {type_name(value).removeprefix('*')}")
    data = as_bytes(value) if isinstance(value, str) else value
    at = [_place(key, len(data)) for key in keys]
    bounds = [0, len(data), len(data)]
    bounds[: len(at)] = at
    for low, high in ((0, 1), (1, 2)):
        if bounds[low] > bounds[high] and (high == 1 or len(at) == 3):
            raise Failure(f"invalid slice index: {bounds[low]} > {bounds[high]}")
    if isinstance(value, str):
        return as_text(as_bytes(value)[bounds[0] : bounds[1]])
    return Results(value[bounds[0] : bounds[1]])


# ------------------------------------------------------------ comparisons


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Span):
        return "int"
    for known, name in ((int, "int"), (float, "float"), (str, "string")):
        if isinstance(value, known):
            return name
    return ""


def _mixed(left: Any, right: Any) -> Failure:
    return Failure(f"incompatible types for comparison: {type_name(left)} and {type_name(right)}")


def _plain(value: Any) -> Any:
    return value.nanoseconds if isinstance(value, Span) else value


def equal(left: Any, *others: Any) -> bool:
    """`eq a b c`: whether a is b or c. Values of different kinds cannot be compared: 1 is not 1.0."""
    if not others:
        raise Failure("missing argument for comparison")
    kind = _kind(left)
    for other in others:
        if kind != _kind(other):
            if left is not None and other is not None:
                raise _mixed(left, other)
        elif kind:
            if _plain(left) == _plain(other):
                return True
        elif left is None or other is None:
            if left is None and other is None:
                return True
        elif type(left) is not type(other):
            raise _mixed(left, other)
        elif isinstance(left, Mapping | Results):
            raise Failure(f"non-comparable type {gofmt.sprint(other)}: {type_name(other)}")
        elif left is other:
            return True
    return False


def differ(left: Any, right: Any) -> bool:
    """`ne`"""
    return not equal(left, right)


def less(left: Any, right: Any) -> bool:
    """`lt`"""
    kinds = _kind(left), _kind(right)
    if not kinds[0] or not kinds[1]:
        raise Failure("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise _mixed(left, right)
    if kinds[0] == "bool":
        raise Failure("invalid type for comparison")
    if kinds[0] == "string":
        return as_bytes(left) < as_bytes(right)
    return bool(_plain(left) < _plain(right))


def at_most(left: Any, right: Any) -> bool:
    """`le`"""
    return less(left, right) or equal(left, right)


def more(left: Any, right: Any) -> bool:
    """`gt`: what is not `le`, so NaN is greater than everything."""
    return not at_most(left, right)


def at_least(left: Any, right: Any) -> bool:
    """`ge`: what is not `lt`."""
    return not less(left, right)


# ------------------------------------------------------------ escaping

_HTML = {'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\N{REPLACEMENT CHARACTER}"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def _joined(args: tuple[Any, ...]) -> str:
    """What the escaping functions take their arguments for: as `print` shows them, but nil as `{{ . }}` does."""
    if len(args) == 1 and type(args[0]) is str:
        return args[0]
    return gofmt.sprint(*["<no value>" if arg is None else arg for arg in args])


def html(*args: Any) -> str:
    """`html`"""
    return bounded("".join(_HTML.get(letter, letter) for letter in _joined(args)))


def js(*args: Any) -> str:
    """`js`"""
    out: list[str] = []
    for letter in _joined(args):
        if letter in _JS:
            out.append(_JS[letter])
        elif letter < " " or (letter > "~" and not letter.isprintable()):
            out.append(f"\\u{ord(letter):04X}")
        else:
            out.append(letter)
    return bounded("".join(out))


def urlquery(*args: Any) -> str:
    """`urlquery`"""
    return bounded(quote_plus(as_bytes(_joined(args))))
