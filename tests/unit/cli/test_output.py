"""Printing for people and for machines."""

import io

import pytest

from supervisor.cli.output import Output, ago


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    stream = io.StringIO()
    Output(stream=stream, env={}).table(("name", "state"), [("oracle", "running"), ("q", "")])
    assert stream.getvalue() == "NAME    STATE\noracle  running\nq\n"


@pytest.mark.parametrize(
    ("stream", "env", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(stream: io.StringIO, env: dict[str, str], coloured: bool) -> None:
    Output(stream=stream, env=env).line("died", "red")
    assert ("\x1b[31m" in stream.getvalue()) is coloured


def test_what_the_box_says_cannot_repaint_the_terminal() -> None:
    stream = Terminal()
    output = Output(stream=stream, env={"NO_COLOR": "1"})
    output.line("a\x1b]0;evil\x07b")
    output.table(("a",), [("\x1b[2J",)])
    assert "\x1b" not in stream.getvalue()


def test_streams_are_json_lines_or_yaml_documents() -> None:
    lines, documents = io.StringIO(), io.StringIO()
    Output("json", lines, {}).item({"a": "ü"})
    Output("yaml", documents, {}).item({"a": "ü"})
    assert lines.getvalue() == '{"a": "ü"}\n'
    assert documents.getvalue() == "---\na: ü\n"


def test_ages() -> None:
    assert ago("2025-10-09T08:00:00.000Z", "2025-10-09T08:14:00.500Z") == "14m"
    assert ago("0001-01-01T00:00:00Z", "2025-10-09T08:14:00.500Z") == "-"
    assert ago("nonsense", "2025-10-09T08:14:00.500Z") == "-"
    assert ago("2025-10-09T09:00:00Z", "2025-10-09T08:00:00Z") == "0s"


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert Output(stream=Terminal()).width == 72
    assert Output(stream=io.StringIO()).width == 0, "what is piped is not cut"
