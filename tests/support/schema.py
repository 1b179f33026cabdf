"""JSON Schema, the part that our documents and the AsyncAPI specification use: draft 7 without formats.

`wrong(schema, value, root)` gives the first thing that is wrong, '' for nothing. What a schema says that is not known
here is an AssertionError, so that nothing passes for want of understanding.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v == int(v)),
}
SILENT = {"title", "description", "default", "examples", "format", "$comment", "definitions", "$schema", "$id", "then"}
SILENT |= {"else", "additionalProperties", "patternProperties", "additionalItems", "readOnly", "example"}


def wrong(schema: Any, value: Any, root: Any, path: str = "") -> str:
    """The first thing that is wrong with a value; '' for nothing. `root`: what `$ref`s are looked up in."""
    if isinstance(schema, bool):
        return "" if schema else f"{path}: nothing is allowed here"
    if "$ref" in schema:
        return wrong(resolve(root, schema["$ref"]), value, root, path)
    return next((found for found in _findings(schema, value, root, path) if found), "")


def resolve(root: Any, ref: str) -> Any:
    """What a `$ref` stands for; KeyError where it leads nowhere."""
    found = root
    assert ref.startswith("#"), ref
    for part in ref.lstrip("#").strip("/").split("/") if ref != "#" else ():
        name = part.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def _findings(schema: dict[str, Any], value: Any, root: Any, path: str) -> Iterator[str]:
    for key, said in schema.items():
        if key in _RULES:
            yield _RULES[key](said, value, root, path)
        elif key == "if":
            branch = "else" if wrong(said, value, root, path) else "then"
            yield wrong(schema.get(branch, True), value, root, path)
        elif key in ("properties", "patternProperties", "additionalProperties"):
            continue
        else:
            assert key in SILENT or key.startswith("x-"), f"unknown key {key!r} in a schema"
    if isinstance(value, dict):
        yield from _members(schema, value, root, path)


def _members(schema: dict[str, Any], value: dict[str, Any], root: Any, path: str) -> Iterator[str]:
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, inner in value.items():
        here, known = f"{path}/{key}", False
        if key in named:
            known = True
            yield wrong(named[key], inner, root, here)
        for pattern, said in patterns.items():
            if re.search(pattern, key):
                known = True
                yield wrong(said, inner, root, here)
        if not known:
            yield wrong(schema.get("additionalProperties", True), inner, root, here)


def _one_of(said: Any, value: Any, root: Any, path: str) -> str:
    found = [wrong(one, value, root, path) for one in said]
    fits = found.count("")
    return "" if fits == 1 else f"{path}: {fits} of the alternatives fit; {'; '.join(filter(None, found))}"[:600]


def _any_of(said: Any, value: Any, root: Any, path: str) -> str:
    found = [wrong(one, value, root, path) for one in said]
    return "" if "" in found else f"{path}: none of the alternatives fits; {'; '.join(found)}"[:600]


def _type(said: Any, value: Any, root: Any, path: str) -> str:
    names = [said] if isinstance(said, str) else said
    return "" if any(TYPES[name](value) for name in names) else f"{path}: {value!r:.80} is not of type {said}"


def _items(said: Any, value: Any, root: Any, path: str) -> str:
    if not isinstance(value, list):
        return ""
    pairs = zip(said, value, strict=False) if isinstance(said, list) else ((said, one) for one in value)
    return next((f for n, (s, one) in enumerate(pairs) if (f := wrong(s, one, root, f"{path}/{n}"))), "")


def _missing(said: Any, value: Any, root: Any, path: str) -> str:
    lost = [key for key in said if isinstance(value, dict) and key not in value]
    return f"{path}: {lost} is missing" if lost else ""


def _bound(holds: Callable[[Any, Any], bool], kind: type | tuple[type, ...]) -> Callable[[Any, Any, Any, str], str]:
    def check(said: Any, value: Any, root: Any, path: str) -> str:
        bad = isinstance(value, kind) and not isinstance(value, bool) and not holds(value, said)
        return f"{path}: {value!r:.80} breaks the bound {said}" if bad else ""

    return check


def _unique(said: Any, value: Any, root: Any, path: str) -> str:
    texts = [json.dumps(one, sort_keys=True) for one in value] if said and isinstance(value, list) else []
    return f"{path}: not unique" if len(set(texts)) != len(texts) else ""


_NUMBER = (int, float)
_RULES: dict[str, Callable[[Any, Any, Any, str], str]] = {
    "type": _type,
    "enum": lambda said, v, root, path: "" if v in said else f"{path}: {v!r:.80} is not one of {said}"[:300],
    "const": lambda said, v, root, path: "" if v == said else f"{path}: {v!r:.80} is not {said!r}",
    "required": _missing,
    "items": _items,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "allOf": lambda said, v, root, path: next((f for one in said if (f := wrong(one, v, root, path))), ""),
    "not": lambda said, v, root, path: "" if wrong(said, v, root, path) else f"{path}: it must not be so",
    "pattern": _bound(lambda v, said: bool(re.search(said, v)), str),
    "minLength": _bound(lambda v, said: len(v) >= said, str),
    "maxLength": _bound(lambda v, said: len(v) <= said, str),
    "minimum": _bound(lambda v, said: v >= said, _NUMBER),
    "maximum": _bound(lambda v, said: v <= said, _NUMBER),
    "exclusiveMinimum": _bound(lambda v, said: v > said, _NUMBER),
    "exclusiveMaximum": _bound(lambda v, said: v < said, _NUMBER),
    "minItems": _bound(lambda v, said: len(v) >= said, list),
    "maxItems": _bound(lambda v, said: len(v) <= said, list),
    "minProperties": _bound(lambda v, said: len(v) >= said, dict),
    "maxProperties": _bound(lambda v, said: len(v) <= said, dict),
    "uniqueItems": _unique,
    "propertyNames": lambda said, v, root, path: next(
        (f for key in (v if isinstance(v, dict) else ()) if (f := wrong(said, key, root, f"{path}/{key}"))), ""
    ),
}
