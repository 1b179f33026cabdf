"""What a journal row is, how its text is bounded, and how rows are chained.

Comes from the core, which gathers rows and puts in a `Batch` during a turn; goes to store.py, which makes the batch
durable in one transaction, and from there to readers as `Row`.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from supervisor import units
from supervisor.facts import Json

MAX_BODY = 64 * 1024
"""characters of JSON (all ASCII, so bytes too) in one row"""
MAX_WORD = 256
"""characters in a kind or subject"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `digest` is sha256 over the row before it and this one, as hex; `at` is unix seconds."""

    seq: int
    at: float
    kind: str
    subject: str
    body: Json
    public: bool
    digest: str
    prior: int = 0
    """the public row before this one; 0 where there is none (any more)"""


class Batch:
    """The rows and puts of one turn, in order. Made by `Journal.batch()`, committed once (or again, after a
    failure). Row numbers and digests are final as soon as a row is added."""

    def __init__(self, last_seq: int, last_digest: str, last_public: int = 0) -> None:
        self._seq, self._digest, self._public = last_seq, last_digest, last_public
        self.after = last_seq
        """the last row of the journal this batch was made for"""
        self.rows: list[Row] = []
        self.texts: list[str] = []
        """the body of each row as it is stored"""
        self.puts: dict[tuple[str, str], str | None] = {}

    def row(self, kind: str, subject: str, body: Json, at: float, public: bool = False) -> int:
        """Add a row; returns the seq it will have. A body over 64 kB is trimmed and says so."""
        if not math.isfinite(at):
            raise ValueError(f"{at!r} is no time for a journal row")
        kind, subject, at = units.plain(kind, MAX_WORD), units.plain(subject, MAX_WORD), float(at)
        text = bounded(body)
        self._seq += 1
        self._digest = digest(self._digest, self._seq, at, kind, subject, public, text)
        self.rows.append(Row(self._seq, at, kind, subject, json.loads(text), public, self._digest, self._public))
        self._public = self._seq if public else self._public
        self.texts.append(text)
        return self._seq

    def put(self, space: str, key: str, value: Json | None) -> None:
        """Let `value` be what is true now under `key` of `space`; None takes it away. The last put of a key counts."""
        self.puts[(space, key)] = None if value is None else to_json(value)

    @property
    def empty(self) -> bool:
        """Nothing to commit."""
        return not self.rows and not self.puts


def digest(before: str, seq: int, at: float, kind: str, subject: str, public: bool, text: str) -> str:
    """The hash of a row: over the hash of the row before (hex; '' for the first) and everything in this one."""
    canonical = json.dumps([seq, at, kind, subject, bool(public), text], separators=(",", ":"))
    return hashlib.sha256(bytes.fromhex(before) + canonical.encode("ascii")).hexdigest()


def to_json(value: Any) -> str:
    """JSON text in ASCII, keys sorted. Numbers that JSON does not have become the words NaN, +Inf and -Inf; values of
    other types become their text, so that nothing a turn wants to keep can break it."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_foreign)
    except (ValueError, TypeError):
        return json.dumps(_clean(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def bounded(body: Json) -> str:
    """The JSON text of a row's body, at most 64 kB: the longest texts and lists are cut first, and a key `trimmed`
    says so."""
    text = to_json(body)
    if len(text) <= MAX_BODY:
        return text
    note = f"{len(text)} bytes were too many for one row; what is longest was cut"
    whole: Any = json.loads(text)
    for words, items in ((4096, 200), (1024, 50), (256, 20), (64, 5)):
        smaller = to_json({**_cut(whole, words, items), "trimmed": note})
        if len(smaller) <= MAX_BODY:
            return smaller
    return to_json({"trimmed": note, "text": _cut(str(whole.get("text", "")), 4096, 0)})


def _cut(value: Any, words: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= words else value[: words - 1] + "…"
    if isinstance(value, dict):
        kept = list(value.items())[: max(items, 64)]
        return {_cut(key, words, items): _cut(inner, words, items) for key, inner in kept}
    if isinstance(value, list):
        # of lines of text the last ones tell most (a log); of anything else the first
        lines = all(isinstance(inner, str) for inner in value)
        kept_items = value[-items:] if lines else value[:items]
        return [_cut(inner, words, items) for inner in kept_items]
    return value


def _foreign(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if isinstance(value, Mapping):
        return {str(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return _clean(_foreign(value))
