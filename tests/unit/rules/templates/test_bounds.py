"""No template can take the daemon down: output, work, depth and memory are bounded, and nothing is ever raised."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.rules.templates import LIMIT, Around, Template, TemplateError


def many(text: str) -> list[tuple[Mapping[str, str], float]]:
    return [({"i": text}, 1.0)] * int(text)


def expand(text: str, around: Around | None = None) -> str:
    return Template.parse(text).expand({"name": "n" * 9000}, 1.0, around or Around(many))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ define `a` }}{{ template `a` . }}{{ end }}{{ template `a` . }}", "exceeded maximum template depth (100)"),
        (
            "{{ define `a` }}" + "{{ if 1 }}" * 50 + "{{ template `a` }}" + "{{ end }}" * 51 + "{{ template `a` }}",
            "template depth",
        ),
        ("{{ range 1000000000 }}{{ end }}", "takes more than 100000 steps"),
        (
            "{{ range query `900` }}{{ range query `900` }}{{ $x := .Value }}{{ end }}{{ end }}",
            "more than 100000 steps",
        ),
        ("{{ range 1000 }}{{ $x := query `1` }}{{ end }}", "takes more than 100000 steps"),
        ("{{ $x := query `10001` }}", "the query gives 10001 results; 10000 are the most"),
        ("{{ query `2000` }}", "the text is longer than 16384 characters"),
        ('{{ printf "%1000000d" 1 }}', "a width of 1000000 is more than 16384 characters"),
        ('{{ printf "%.999999f" 1.0 }}', "a precision of 999999 is more than 16384 characters"),
        ('{{ printf "%.999999d" 1 }}', "999999 digits are more than 16384 characters"),
        ('{{ printf "%9999d%9999d" 1 2 }}', "the text is longer than 16384 characters"),
        ("{{ $x := `0123456789` }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}", "longer than 16384 characters"),
        ("{{ reReplaceAll `` $labels.name $labels.name }}", "longer than 16384 characters"),
        ("{{ html (printf `%9000s` `<` | reReplaceAll ` ` `<`) }}", "longer than 16384 characters"),
        ("{{ range 100 }}{{ $x := reReplaceAll `n` `m` $labels.name }}{{ end }}", "takes more than 100000 steps"),
    ],
)
def test_what_would_not_end_or_fill_the_memory_is_an_error_text(text: str, wanted: str) -> None:
    said = expand(text)
    assert said.startswith("<error expanding template: ")
    assert wanted in said


def test_the_output_is_cut() -> None:
    assert expand("{{ $labels.name }}") == "n" * (LIMIT - 1) + "…"
    assert expand("{{ range 100000 }}x{{ end }}") == "x" * (LIMIT - 1) + "…"
    assert len(expand("{{ humanize $labels.name }}")) == LIMIT
    assert expand("{{ range 4096 }}x{{ end }}") == "x" * LIMIT


@pytest.mark.parametrize("fails", [ZeroDivisionError("x"), RecursionError("deep"), MemoryError(), KeyError("k")])
def test_whatever_a_query_fails_with_is_an_error_text(fails: Exception) -> None:
    def query(text: str) -> list[tuple[Mapping[str, str], float]]:
        raise fails

    assert "error calling query: " in expand("{{ query `x` }}", Around(query))


def test_labels_that_are_no_text_do_no_harm() -> None:
    odd = {"name": "\ud800\udcff\x00"}
    for text in (
        "$labels.name",
        "$labels",
        "title $labels.name",
        "reReplaceAll `a` `b` $labels.name",
        "$labels.name | html",
    ):
        assert Template.parse("{{ " + text + " }}").expand(odd, 1.0)
    assert Template.parse("{{ urlquery $labels.name }}").expand(odd, 1.0).startswith("<error expanding template: ")


PIECES = (
    *(
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "(",
        ")",
        "|",
        ":=",
        "=",
        "$x",
        "$",
        ".",
        "nil",
        "if",
        "else",
        "end",
        "range",
        "with",
    ),
    *(
        "{{ end }}",
        "{{ else }}",
        "{{ if 1 }}",
        "{{ range . }}",
        "{{ define `d` }}",
        "{{ template `d` . }}",
        "1",
        "-2.5",
        "$value",
    ),
    *(
        "printf",
        '"%v%5d%.3x%[2]*.*f"',
        "`a`",
        "index",
        "slice",
        "query",
        "first",
        "humanize",
        "eq",
        "$labels",
        ".Labels.a",
        "toTime",
    ),
    *(
        "reReplaceAll",
        "len",
        "args",
        "print",
        "html",
        "é",
        "'a'",
        "0x1F",
        "\n",
        "{{/*",
        "*/}}",
        ".a.b",
        "title",
        "label",
        "true",
    ),
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=30))
def test_no_text_raises_anything_else(pieces: list[str]) -> None:
    around = Around(lambda text: [({"a": "c"}, 1.0)])
    for text in ("".join(pieces), "{{ " + " ".join(pieces) + " }}"):
        try:
            template = Template.parse(text)
        except TemplateError:
            continue
        assert len(template.expand({"a": "b", "é": "\x00"}, float("nan"), around)) <= LIMIT
