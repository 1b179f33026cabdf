"""What a command over the bus says: its JSON, read strictly.

From: the payload of a message, at most 4 kB, of anybody who may write to the topic. To: gate.py. Nothing is believed
here, and nothing passes that has two readings: no key twice, no key unknown, no number that JSON does not have, no text
that UTF-8 cannot hold. `bus/contract/commands.py` has the same as a schema.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from supervisor.facts import Json
from supervisor.units import plain

KEYS = ("id", "transaction", "target", "params", "at", "exp", "if_rev", "aud", "sig")
LONGEST_ID, LONGEST_TARGET, MOST_PARAMS = 128, 512, 16
LATEST = 1e11
"""unix seconds: a time beyond this (the year 5138) is a mistake, such as milliseconds"""
LARGEST_REV = 2**53
_SHAPE = 'a command is JSON like {"id": "a1", "target": "ap-3"}'


@dataclass(frozen=True, slots=True)
class Envelope:
    """One command as it was sent. Who sent it and the verb stand in the topic, not here."""

    id: str = ""
    """a new one for each command; '' only where it could not be read"""
    transaction: str | None = None
    """the same under the name that zigbee2mqtt gave it: goes back with the answer, if it was given"""
    target: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    at: int | float | None = None
    """unix seconds at which it was given"""
    exp: int | float | None = None
    """unix seconds after which it is not to be obeyed"""
    if_rev: int | None = None
    """the `rev` of the document that was looked at: obeyed only while it is still that"""
    aud: str | None = None
    """the box it is meant for"""
    sig: str | None = None
    """64 hexadecimal digits: signature.py"""


def read(payload: bytes) -> tuple[Envelope, str]:
    """The command, and '' or a sentence that says what is wrong with it. A command that is wrong has its id where that
    much could be read, so that the answer finds whoever asked, and nothing else."""
    try:
        body = strictly(payload)
    except _Twice as err:
        return Envelope(), f"The key {err} stands twice in it; {_SHAPE}"
    except (ValueError, RecursionError):
        return Envelope(), f"This is not JSON; {_SHAPE}"
    if not isinstance(body, dict):
        return Envelope(), f"This is not an object; {_SHAPE}"
    known, wrong = _identity(body)
    if wrong:
        return known, wrong
    try:
        return replace(known, **_rest(body)), ""
    except ValueError as err:
        return known, str(err)


def _identity(body: Json) -> tuple[Envelope, str]:
    """Its id, or the transaction in its place; both go back with the answer."""
    ident, transaction = body.get("id"), body.get("transaction")
    for key, value in (("id", ident), ("transaction", transaction)):
        if value is not None and not _is_id(value):
            return Envelope(), f"`{key}` must be a text of 1 to {LONGEST_ID} characters, a new one for each command"
    if ident is None and transaction is None:
        return Envelope(), f"`id` must be a text of 1 to {LONGEST_ID} characters, a new one for each command"
    known: str = body["transaction"] if ident is None else ident
    return Envelope(id=known, transaction=transaction), ""


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()


def _rest(body: Json) -> Json:
    """Everything but the id; ValueError with a sentence."""
    if "override" in body:
        raise ValueError("`override` is never taken over the bus; use `--override` of the command line on this machine")
    unknown = [key for key in body if key not in KEYS]
    if unknown:
        raise ValueError(f"There is no key {plain(unknown[0], 64)!r} in a command; there are: {', '.join(KEYS)}")
    target = "" if body.get("target") is None else body["target"]
    aud, sig = body.get("aud"), body.get("sig")
    if not _is_text(target) or len(target) > LONGEST_TARGET:
        raise ValueError(f"`target` must be a text of at most {LONGEST_TARGET} characters")
    for key, value in (("aud", aud), ("sig", sig)):
        if value is not None and not _is_text(value):
            raise ValueError(f"`{key}` must be a text")
    params = {} if body.get("params") is None else body["params"]
    if not isinstance(params, dict) or not all(_is_text(one) for pair in params.items() for one in pair):
        raise ValueError("`params` must be an object of texts")
    if len(params) > MOST_PARAMS:
        raise ValueError(f"`params` has at most {MOST_PARAMS} entries")
    rev = body.get("if_rev")
    if rev is not None and (isinstance(rev, bool) or not isinstance(rev, int) or not 0 <= rev <= LARGEST_REV):
        raise ValueError("`if_rev` must be a whole number: the `rev` of the document that you looked at")
    times = {key: _time(key, body.get(key)) for key in ("at", "exp")}
    return {"target": target, "params": params, "if_rev": rev, "aud": aud, "sig": sig, **times}


def _is_text(value: Any) -> bool:
    """A text that UTF-8 can hold: JSON's escapes can name half a character."""
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))


def _time(key: str, value: Any) -> int | float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise ValueError(f"`{key}` must be a number: unix seconds")
    return value


def strictly(payload: bytes) -> Any:
    """The JSON of a payload that can be read in one way only. ValueError, RecursionError."""
    return json.loads(payload.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant)


class _Twice(ValueError):
    """A key that stands twice in one object: two readers could read two different commands."""


def _once(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        raise _Twice(repr(plain(next(name for name in names if names.count(name) > 1), 64)))
    return found


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
