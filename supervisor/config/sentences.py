"""Pydantic's errors as plain sentences, with "did you mean".

Comes from: `validate` in yaml.py hands over one error at a time, with the model it was found in. Goes to: the text of
a Mistake, so to `resurgam check` and to the log.
"""

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

_WANTED = {
    "string": "text; put it in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list (lines that start with '- ')",
    "tuple": "a list (lines that start with '- ')",
    "dict": "a mapping (lines of 'key: value')",
    "mapping": "a mapping (lines of 'key: value')",
    "model": "a mapping (lines of 'key: value')",
    "path": "a path as text",
}


def sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """One error of `model` as a sentence that starts with where in the document it is."""
    kind: str = error["type"]
    loc: tuple[str | int, ...] = tuple(part for part in error["loc"] if part != "[key]")
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown(model, loc)
    if kind == "missing":
        return f"{_within(loc[:-1])}the key {loc[-1]!r} is missing"
    return f"{_within(loc)}{_complaint(kind, error, context)}"


def worth_saying(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Errors without those that only follow from others: a list counts as too short where its items are wrong."""
    wrong = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(len(loc) > len(error["loc"]) and loc[: len(error["loc"])] == error["loc"] for loc in wrong)
    ]


def _complaint(kind: str, error: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        return _one_of(str(context.get("expected") or context.get("expected_tags") or ""), error, context)
    if kind.endswith(("_type", "_parsing", "_from_float")):
        wanted = _WANTED.get(kind.split("_")[0])
        if wanted:
            return f"this must be {wanted}; it is {show(error.get('input'))}"
    limits = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than"}
    limits |= {"less_than_equal": "at most"}
    if kind in limits:
        bound = next(iter(context.values()), "")
        return f"this must be {limits[kind]} {bound}; it is {show(error.get('input'))}"
    if kind == "string_too_long":
        return f"this is longer than {context.get('max_length')} characters"
    if kind == "string_pattern_mismatch":
        return f"{show(error.get('input'))} cannot stand here; use {_letters(str(context.get('pattern')))}"
    if kind in ("too_long", "too_short"):
        return f"this has {context.get('actual_length')} entries; " + (
            f"at most {context.get('max_length')} are allowed"
            if kind == "too_long"
            else f"at least {context.get('min_length')} must be there"
        )
    text = str(error["msg"])
    return text[:1].lower() + text[1:]


def _letters(pattern: str) -> str:
    """What a pattern of ours lets stand: `up to 64 of letters, digits, _ and -`."""
    found = re.search(r"\[A-Za-z0-9([^]]*)]\{1,(\d+)}", pattern) or re.search(r"\[A-Za-z0-9([^]]*)]", pattern)
    if found is None:
        return f"what fits {pattern}"
    marks = ["letters", "digits", *found[1]]
    most = f"up to {found[2]} of " if found.lastindex == 2 else ""
    return most + ", ".join(marks[:-1]) + f" and {marks[-1]}"


def _one_of(expected: str, error: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    given = context.get("tag", error.get("input"))
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    return f"{show(given)} is not one of {', '.join(words)}{did_you_mean(given, words)}"


def _unknown(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    known = sorted({name for found in _models(model, loc[:-1]) for name in _names(found)})
    guess = did_you_mean(loc[-1], known)
    if not guess and known:
        guess = f"; known here: {', '.join(known)}"
    return f"{_within(loc[:-1])}unknown key {str(loc[-1])!r}{guess}"


def did_you_mean(word: object, known: typing.Iterable[str]) -> str:
    """`; did you mean 'x'?` where one of the known words is close, else nothing."""
    text = str(word)[:200]
    close = difflib.get_close_matches(text.lower().replace("_", "-"), [k.lower() for k in known], n=1, cutoff=0.6)
    if not close:
        close = difflib.get_close_matches(text.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    found = next((k for k in known if close and k.lower() == close[0]), "")
    return f"; did you mean {found!r}?" if found and found != word else ""


def show(value: object) -> str:
    """A value of the file for a sentence: its kind where it is large, itself where it is short."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _within(loc: tuple[str | int, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return f"{text}: " if text else ""


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The models that may stand at `loc` below `model`."""
    found: list[Any] = [model]
    for part in loc:
        after: list[Any] = []
        for one in found:
            after += _step(one, part)
        found = after or found  # a part with no node of its own: the name of a union's arm
    return [one for one in found if isinstance(one, type) and issubclass(one, BaseModel)]


def _step(kind: Any, part: str | int) -> list[Any]:
    """The types that `part` of a value of this type may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                return _arms(field.annotation)
        return []
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is None or not args:
        return []
    return _arms(args[1] if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) > 1 else args[0])


def _arms(kind: Any) -> list[Any]:
    """A type, or the arms of it if it is a union; annotations are taken off."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _arms(typing.get_args(kind)[0])
    if origin in (typing.Union, types.UnionType):
        return [arm for one in typing.get_args(kind) for arm in _arms(one)]
    return [kind]
