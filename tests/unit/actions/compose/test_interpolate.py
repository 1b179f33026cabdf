"""Variables in compose files and env files, by the compose specification."""

import pytest

from supervisor.actions.compose.interpolate import LONGEST, Wrong, fill, variables

ENV = {"A": "a", "EMPTY": "", "DEEP": "$A"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ("$A-${A}", "a-a"),
        ("$$A costs $$5", "$A costs $5"),
        ("${NO:-d}${NO-d}", "dd"),
        ("${EMPTY:-d}${EMPTY-d}|", "d|"),
        ("${A:+x}${EMPTY:+x}${EMPTY+y}${NO+z}", "xy"),
        ("${NO:-${A:-b}c}", "ac"),
        ("${A:-${REQUIRED:?never asked}}", "a"),
        ("${A:?must}", "a"),
        ("${NO:-}", ""),
        ("$DEEP", "$A"),
        ("${NO:-http://x:80/}", "http://x:80/"),
    ],
)
def test_a_text_is_filled_in(text: str, wanted: str) -> None:
    assert fill(text, ENV.get).text == wanted


def test_what_is_not_set_is_named_once() -> None:
    assert fill("$X ${X} ${Y} ${Z:-d} ${A}", ENV.get).unset == ("X", "Y")


@pytest.mark.parametrize(
    ("text", "offset", "says"),
    [
        ("costs $5", 6, "write $$"),
        ("a $", 2, "write $$"),
        ("x ${NO:?set it}", 2, "the variable NO is required: set it"),
        ("${EMPTY:?}", 0, "EMPTY is required"),
        ("${A", 0, "not closed"),
        ("${A:-x", 0, "not closed"),
        ("${A!b}", 0, "none of"),
        ("${}", 0, "name of a variable"),
        ("${A:-" * 20 + "}" * 20, 35, ""),
    ],
)
def test_what_cannot_be_read_is_told_with_its_character(text: str, offset: int, says: str) -> None:
    with pytest.raises(Wrong) as caught:
        fill(text, {}.get if "A:-" in text else ENV.get)
    assert says in caught.value.text
    if says:
        assert caught.value.offset == offset


def test_an_env_file_is_read_as_it_always_was() -> None:
    text = (
        "\ufeff# c\nA=1\n\nexport B = two words  # c\nC='raw $A #'\nD=\"x\\n$A\"\nE=a#b\nF=cost$ $$ ${A}\nOUT\nNONE\nG="
    )
    found, mistakes = variables(text, ".env", {"OUT": "from outside"})
    assert mistakes == []
    assert found == {
        "A": "1",
        "B": "two words",
        "C": "raw $A #",
        "D": "x\n1",
        "E": "a#b",
        "F": "cost$ $$ 1",
        "OUT": "from outside",
        "NONE": None,
        "G": "",
    }


def test_every_bad_line_of_an_env_file_has_its_place() -> None:
    _found, mistakes = variables('ok=1\nno equals sign here\nq=\'open\nr="a" b\n1X=2\ns=${BAD', "/x/.env", {})
    assert [(one.line, one.file) for one in mistakes] == [(n, "/x/.env") for n in (2, 3, 4, 5, 6)]


def test_a_line_of_a_million_spaces_is_read_at_once() -> None:
    assert variables("A=x" + " " * 1_000_000 + "y#z # c", "f", {})[0]["A"] == "x" + " " * 1_000_000 + "y#z"
    assert variables("A=# c\nB=#\nC=a#b", "f", {})[0] == {"A": "", "B": "", "C": "a#b"}


def test_lines_that_double_each_other_end_at_a_mebibyte() -> None:
    bomb = "A0=" + "x" * 100 + "\n" + "".join(f"A{n + 1}=$A{n}$A{n}\n" for n in range(60))
    found, mistakes = variables(bomb, "f", {})
    assert found == {}
    assert "come to more than 1 MiB" in mistakes[0].text


@pytest.mark.parametrize("text", ["$A" * 20, "${A}" * 20, "${A:-x}" * 20, "${B:-$A$A}" * 20, "${A:+$A$A}" * 20])
def test_a_text_that_grows_without_end_is_refused(text: str) -> None:
    with pytest.raises(Wrong, match="longer than 1 MiB"):
        fill(text, {"A": "x" * (LONGEST // 10)}.get)
