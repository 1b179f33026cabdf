"""Where a character of a text stands in its file, whatever way the text is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.yaml import load_yaml
from supervisor.errors import ConfigError


def where(text: str, needle: str) -> tuple[int, int]:
    """The place of `needle` in the value of `e`."""
    document = load_yaml(text, "f", as_written=True)
    value = document.data["a"]["e"]
    return document.place_in(("a", "e"), value, value.index(needle))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a:\n  e: sum(HERE)\n", (2, 10)),
        ("a: {e: sum(HERE), f: 1}\n", (1, 12)),
        ("a:\n  e: 'it''s HERE'\n", (2, 13)),
        ('a:\n  e: "say \\"\\u00e9\\" HERE"\n', (2, 22)),
        ("a:\n  e: |\n    x >\n      HERE\n", (4, 7)),
        ("a:\n  e: |-\n\n    x\n    HERE", (5, 5)),
        ("a:\n  e: |2\n      x\n    HERE\n", (4, 5)),
        ("a:\n  e: >\n    x\n    y HERE\n\n    z\n", (4, 7)),
        ("a:\n  e: >-\n    x\n      more\n    HERE\n", (5, 5)),
        ("a:\n  e: sum(x)\n    > HERE\n", (3, 7)),
        ("a:\n  e: 'sum(x)\n\n    > HERE'\n", (4, 7)),
        ('a:\n  e: "sum(x) \\\n      > HERE"\n', (3, 9)),
        ("\ufeffa:\r\n  e: |\r\n    x >\r\n    HERE\r\n", (4, 5)),
        ("a:\n  e: | # why\n    x\n    HERE\n", (4, 5)),
    ],
)
def test_a_character_is_found_in_every_way_to_write_a_text(text: str, place: tuple[int, int]) -> None:
    assert where(text, "HERE") == place


def test_the_end_of_a_text_and_what_is_no_text_have_a_place() -> None:
    document = load_yaml("a: abc\nb: [1]\nc: ''\n", "f", as_written=True)
    assert document.place_in(("a",), "abc", 3) == (1, 7)
    assert document.place_in(("a",), "abc", 99) == (1, 7)
    assert document.place_in(("b",), "", 0) == (2, 4)
    assert document.place_in(("a",), "another text", 2) == (1, 4), "not what stands there: where the value starts"


def test_an_alias_has_the_place_of_the_alias() -> None:
    document = load_yaml("a: &x |\n  one\nb: *x\n", "f", as_written=True, anchors=True)
    assert document.data["b"] == "one\n"
    assert document.place_in(("b",), "one\n", 2) == (3, 4)


WORDS = st.lists(
    st.sampled_from(["a", "b > 0", "é", "𝄞", "'", '"', "\\", " ", "  ", "\n", "\n\n", "#", "\t"]), max_size=12
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(WORDS.map("".join), st.sampled_from(["|", "|-", "|+", ">", ">-", ">+", "'", '"']))
def test_every_character_is_where_it_is_said_to_be(text: str, style: str) -> None:
    if style[0] in "|>":
        source = f"a:\n  e: {style}\n" + "".join(f"    {line}\n" for line in text.split("\n"))
    elif style == "'":
        source = "a:\n  e: '" + text.replace("'", "''").replace("\n", "\n    ") + "'\n"
    else:
        source = 'a:\n  e: "' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"\n'
    try:
        document = load_yaml(source, "f", as_written=True)
    except ConfigError:
        return
    value = document.data["a"]["e"]
    if not isinstance(value, str) or not value.strip():
        return
    lines = source.split("\n")
    for offset, char in enumerate(value):
        line, column = document.place_in(("a", "e"), value, offset)
        found = lines[line - 1][column - 1 : column]
        assert found == char or char in " \n" or found == "\\"
