"""Reading YAML strictly: what a person meant, where everything stands, and every mistake with its place."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from supervisor.config.yaml import MAX_BYTES, load_yaml, validate
from supervisor.errors import ConfigError, Mistake


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int
    stop_grace: str = Field(default="", alias="stop-grace")
    mode: Literal["heal", "observe"] = "heal"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Inner] = []
    by_name: dict[str, Inner | None] = {}
    limit: float = 0.0


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as found:
        validate(Outer, load_yaml(text, "f.yaml"))
    return str(found.value).split("\n")


def test_words_that_yaml_1_1_would_twist_stay_words() -> None:
    text = "on: yes\noff: NO\ntime: 1:30\nday: 2024-01-01\nmode: 0755\nbig: 1_000\nversion: 1.2.3\ny: n\n"
    assert load_yaml(text, "f").data == {
        "on": "yes",
        "off": "NO",
        "time": "1:30",
        "day": "2024-01-01",
        "mode": "0755",
        "big": "1_000",
        "version": "1.2.3",
        "y": "n",
    }


def test_numbers_booleans_and_nothing() -> None:
    text = "a: 1\nb: -2.5\nc: 1e3\nd: .5\ne: true\nf: ~\ng:\nh: 'true'\ni: 0x1F\nj: |\n  12\nk: .inf\n1: one\n"
    assert load_yaml(text, "f").data == {
        "a": 1,
        "b": -2.5,
        "c": 1000.0,
        "d": 0.5,
        "e": True,
        "f": None,
        "g": None,
        "h": "true",
        "i": 31,
        "j": "12\n",
        "k": float("inf"),
        "1": "one",
    }


def test_as_written_keeps_the_text_of_numbers() -> None:
    data = load_yaml("a: 1.10\nb: true\nc: ~\nd: '5'\n", "f", as_written=True).data
    assert data == {"a": "1.10", "b": "true", "c": None, "d": "5"}
    assert validate(Outer, load_yaml("limit: 1.5\nitems: [{count: 7}]\n", "f", as_written=True)).items[0].count == 7


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key 'a' stands here a second time; the first is at 1:1"),
        ("a: &x 1\n", "f.yaml:1:4: the anchor &x is not allowed"),
        ("a: *x\n", "f.yaml:1:4: the alias *x is not allowed"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system"),
        ("<<: {a: 1}\n", "f.yaml:1:1: the merge key << is not allowed"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here"),
        ("a:\n\t- x\n", "f.yaml:2:1: a tab stands in the indentation"),
        ("a: b: c\n", "f.yaml:1:5: this is not YAML: a ': ' stands where no key can be"),
        ("a: [1,\nb: 2\n", "f.yaml:"),
        ("a: 1\nb: \x07\n", "f.yaml:2:4: the character '\\x07' may not stand in a YAML file"),
        ("[" * 60 + "]" * 60, "f.yaml:1:50: this is nested more than 48 levels deep"),
        ("? [a]\n: b\n", "f.yaml:1:3: a key must be a word"),
        ("a: " + "x" * MAX_BYTES, "f.yaml:0:0: the file is larger than 16 MiB"),
    ],
)
def test_what_is_refused_and_where(text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_yaml(text, "f.yaml")
    assert str(found.value).startswith(wanted)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x,x]\n" + "".join(f"{c}: &{c} [*{p},*{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(ConfigError) as found:
        load_yaml(bomb, "f.yaml")
    assert len(found.value.mistakes) == 25


def test_anchors_aliases_and_merge_keys_are_read_where_they_are_allowed() -> None:
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 7}, *a]}\ne: [&n 5, *n]\n"
    document = load_yaml(text, "f", anchors=True)
    assert document.data == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 7, "y": 2},
        "e": [5, 5],
    }
    assert document.place(("b", "x")) == (2, 4), "what an alias stands for has the alias's place"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: *b\nb: &b 1\n", "f:1:4: the alias *b stands before its anchor"),
        ("a: &a [*a]\n", "f:1:8: the alias *a stands before its anchor"),
        ("a: &a 1\nb: {<<: *a}\n", "f:2:5: the merge key << takes a mapping"),
        ("a: &a {x: 1}\nb: {x: 1, x: 2}\n", "the key 'x' stands here a second time"),
    ],
)
def test_what_is_wrong_with_aliases_is_said(text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, "f", anchors=True)
    assert wanted in str(caught.value)


def test_an_alias_bomb_is_refused_where_aliases_are_allowed() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError) as caught:
        load_yaml("\n".join(lines), "f", anchors=True)
    assert "the aliases of this file stand for more than" in str(caught.value)


def test_an_empty_second_document_is_none() -> None:
    assert load_yaml("---\na: 1\n---\n", "f").data == {"a": 1}
    assert load_yaml("a: 1\n---\n# nothing more\n", "f").data == {"a": 1}


def test_places_of_values_keys_and_missing_fields() -> None:
    document = load_yaml("items:\n- count: 1\n  mode: heal\nby_name: {x: {count: 2}}\n", "f.yaml")
    assert document.place(("items", 0, "mode")) == (3, 9)
    assert document.key_place(("items", 0, "mode")) == (3, 3)
    assert document.place(("items", 0, "absent")) == (2, 3), "the nearest parent that exists"
    assert document.place(("by_name", "x", "arm-of-a-union", "count")) == (4, 22), "parts without a node are skipped"
    assert document.place(()) == (1, 1)


def test_every_mistake_at_once_as_sentences() -> None:
    text = "itms: 1\nitems:\n- count: hi\n  stop_grace: 5s\n  mode: heel\n- 7\nby_name:\n  k: {zz: 1}\nlimit: none\n"
    assert mistakes(text) == [
        "f.yaml:1:1: unknown key 'itms'; did you mean 'items'?",
        "f.yaml:3:10: items[0].count: this must be a whole number; it is 'hi'",
        "f.yaml:4:3: items[0]: unknown key 'stop_grace'; did you mean 'stop-grace'?",
        "f.yaml:5:9: items[0].mode: 'heel' is not one of heal, observe; did you mean 'heal'?",
        "f.yaml:6:3: items[1]: this must be a mapping (lines of 'key: value'); it is 7",
        "f.yaml:8:6: by_name.k: the key 'count' is missing",
        "f.yaml:8:7: by_name.k: unknown key 'zz'; known here: count, mode, stop-grace",
        "f.yaml:9:8: limit: this must be a number; it is 'none'",
    ]


def test_an_empty_document_is_an_empty_mapping() -> None:
    assert validate(Outer, load_yaml("# nothing yet\n", "f")) == Outer()
    assert mistakes("- a\n") == ["f.yaml:1:1: this must be a mapping (lines of 'key: value'); it is a list"]


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    assert load_yaml("\ufeffa: 1\n", "f").data == {"a": 1}


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t0x\u20ac\U0001f600\ud800", max_size=60))
def test_any_text_is_data_or_a_config_error(text: str) -> None:
    found: tuple[Mistake, ...] = ()
    try:
        load_yaml(text, "f")
    except ConfigError as err:
        found = err.mistakes or (Mistake("none", 0, 0, "a ConfigError without a mistake"),)
    assert all(mistake.file == "f" for mistake in found)
