"""Rows and batches: numbering, the chain, and bodies that stay within bounds whatever is put into them."""

import enum
import json
import math
from pathlib import PurePosixPath
from types import MappingProxyType

import pytest

from supervisor.journal.rows import MAX_BODY, Batch, bounded, digest, to_json


def test_numbers_go_on_and_digests_chain() -> None:
    batch = Batch(7, "ab" * 32)
    assert batch.empty
    assert batch.row("alert.firing", "ai.oracle", {"x": 1}, 5, public=True) == 8
    assert batch.row("decision", "host", {}, 6.0) == 9
    first, second = batch.rows
    assert first.digest == digest("ab" * 32, 8, 5.0, "alert.firing", "ai.oracle", True, '{"x":1}')
    assert second.digest == digest(first.digest, 9, 6.0, "decision", "host", False, "{}")
    assert (first.public, second.public) == (True, False)


def test_a_row_is_frozen_when_it_is_added() -> None:
    batch, body = Batch(0, ""), {"list": [1]}
    batch.row("decision", "host", body, 1.0)
    body["list"].append(2)
    assert batch.rows[0].body == {"list": [1]}


def test_the_last_put_of_a_key_counts() -> None:
    batch = Batch(0, "")
    batch.put("plan", "1", {"a": 1})
    batch.put("plan", "1", None)
    batch.put("plan", "2", {"b": 1})
    assert batch.puts == {("plan", "1"): None, ("plan", "2"): '{"b":1}'}
    assert not batch.empty


def test_anything_can_be_kept_as_json() -> None:
    class Colour(enum.Enum):
        RED = "red"

    value = {
        "nan": math.nan,
        "inf": [math.inf, -math.inf],
        "enum": Colour.RED,
        "map": MappingProxyType({"k": (1, 2)}),
        "set": {"b", "a"},
        "path": PurePosixPath("/x"),
        3: "number as a key",
        "odd": "\ud800 \x00 \u20ac",
    }
    assert json.loads(to_json(value)) == {
        "nan": "NaN",
        "inf": ["+Inf", "-Inf"],
        "enum": "red",
        "map": {"k": [1, 2]},
        "set": ["a", "b"],
        "path": "/x",
        "3": "number as a key",
        "odd": "\ud800 \x00 \u20ac",
    }
    assert to_json(value).isascii(), "so that SQLite can store every text"


def test_time_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="no time"):
        Batch(0, "").row("decision", "host", {}, math.nan)


def test_kind_and_subject_are_bounded_and_clean() -> None:
    batch = Batch(0, "")
    batch.row("k" * 1000, "a\nb\ud800", {}, 1.0)
    assert len(batch.rows[0].kind) == 256
    assert batch.rows[0].subject == "a\ufffdb\ufffd"


def test_a_large_body_is_trimmed_with_a_note_and_keeps_what_tells_most() -> None:
    body = {"service": "ai.oracle", "exit_code": 139, "log": [f"line {n} " + "x" * 3000 for n in range(100)]}
    text = bounded(body)
    kept = json.loads(text)
    assert len(text) <= MAX_BODY
    assert (kept["service"], kept["exit_code"]) == ("ai.oracle", 139)
    assert kept["log"][-1].startswith("line 99 "), "the last lines of a log"
    assert "were too many for one row" in kept["trimmed"]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x" * 1_000_000},
        {"text": "€" * 50_000},
        {str(n): "y" * 100 for n in range(5000)},
        {"k" * 100_000: 1},
        {"deep": [[["z" * 70_000] * 50] * 2] * 2},
        {"numbers": list(range(100_000))},
    ],
)
def test_no_body_is_over_the_bound(body: dict[str, object]) -> None:
    text = bounded(body)
    assert len(text) <= MAX_BODY
    assert "trimmed" in json.loads(text)


def test_a_small_body_is_left_alone() -> None:
    assert bounded({"b": 1, "a": "x" * 60_000}) == to_json({"a": "x" * 60_000, "b": 1})
