"""The tiny language for places in an answer: what it finds, what it refuses, and that no answer can hurt it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.servers import paths

DOCUMENT = {
    "data": [
        {"id": "a", "aliases": ["alpha"], "status": {"value": "loaded"}, "n": 3, "on": True},
        {"id": "b.gguf", "status": {"value": "unloaded"}, "n": 4, "on": False},
        {"id": "a", "status": {"value": "second"}},
        "no mapping",
    ],
    "of": {"x": {"gb": 1.5}, "y": {"gb": 2}},
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("data[0].status.value", ["loaded"]),
        ("data[*].id", ["a", "b.gguf", "a"]),
        ("data[id={model}].status.value", ["loaded", "second"]),
        ("data[id|aliases=alpha].id", ["a"]),
        ("data[id=b.gguf].n", [4]),
        ("data[n=3].id", ["a"]),
        ("data[on=true].id", ["a"]),
        ("data[on=false].id", ["b.gguf"]),
        ("data[9].id", []),
        ("of[*].gb", [1.5, 2]),
        ("of.x.gb", [1.5]),
        ("none", []),
        ("nothing.at.all", []),
        ("data.id", []),
        ("data[0].n[*]", []),
    ],
)
def test_what_is_there(path: str, found: list[Any]) -> None:
    assert paths.find(DOCUMENT, paths.parse(path), {"model": "a"}) == found


def test_an_answer_may_be_a_list() -> None:
    document = [{"name": "a", "state": "READY"}, {"name": "b", "state": "LOADING"}]
    assert paths.find(document, paths.parse("[name={model}].state"), {"model": "b"}) == ["LOADING"]
    assert paths.find(document, paths.parse("[*].name"), {}) == ["a", "b"]


def test_a_name_is_compared_and_never_read_as_a_path() -> None:
    for name in ("a].b[0", "x=y", "{model}", "a.b", "*"):
        document = {"data": [{"id": name, "n": 1}, {"id": "other", "n": 2}]}
        assert paths.find(document, paths.parse("data[id={model}].n"), {"model": name}) == [1]


@pytest.mark.parametrize(
    "text", ["", ".a", "a..b", "a.", "a[", "a[x", "a[=b]", "[]", "a]", "a b[0]x", "x" * 300, "{a}"]
)
def test_what_is_no_path_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        paths.parse(text)


def test_words_are_put_in_once() -> None:
    words = {"model": "{each}", "each": "boom"}
    assert paths.fill("{model}/{other}", words) == "{each}/{other}"
    assert paths.parse("a[id={model}].b[c={each}]").words == ("model", "each")


def test_an_answer_of_any_size_finds_so_many_and_no_more() -> None:
    document = {"data": [{"ids": ["x"] * 2_000}] * 2_000}
    assert len(paths.find(document, paths.parse("data[*].ids[*]"), {})) == paths.MOST
    assert len(paths.texts(["y" * 10_000, ["z"] * 5_000, 3, None])) == paths.MOST
    assert len(paths.texts(["y" * 10_000])[0]) == 500


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        ("2.5", 2.5),
        (True, None),
        ("x", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ([], None),
    ],
)
def test_numbers_are_finite_or_none(value: Any, number: float | None) -> None:
    assert paths.number(value) == number


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "id"]), inner, max_size=3),
    max_leaves=20,
)
_PATHS = ["a", "a.b", "a[0].b", "[*].a", "a[*].b[*]", "[id={model}].a", "a[id|b={model}].id"]


@given(_JSON, st.sampled_from(_PATHS), st.text(max_size=5))
@settings(max_examples=60, deadline=None)
def test_no_answer_makes_it_fail(document: Any, path: str, model: str) -> None:
    found = paths.find(document, paths.parse(path), {"model": model})
    assert None not in found
    json.dumps(found)
