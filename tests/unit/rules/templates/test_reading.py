"""Reading templates: what Prometheus refuses at load is a mistake with its place; the rest loads."""

import pytest

from supervisor.rules.templates import Template, TemplateError


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("{{ $lables.name }}", "the variable $lables is not known; did you mean $labels?", (1, 4)),
        ("{{ humanise 1 }}", 'no function "humanise"; did you mean humanize?', (1, 4)),
        ("a\nb {{ end }}", "an 'end' without an open block", (2, 6)),
        ("{{ else }}", "an 'else' without an open block", (1, 4)),
        ("{{ if $value }}x", "the 'if' has no '{{ end }}'", (1, 4)),
        ("{{ range $labels }}x", "the 'range' has no '{{ end }}'", (1, 4)),
        ('{{ define "a" }}x', "the 'define' has no '{{ end }}'", (1, 4)),
        ("{{ if 1 }}a{{ else }}b{{ else }}c{{ end }}", "a second 'else'", (1, 26)),
        ("{{ with 1 }}{{ else if 1 }}{{ end }}", "unexpected <if> in 'else' of 'with'", (1, 21)),
        ("x {{ $labels.name", "the '{{' has no '}}'", (1, 3)),
        ("{{ }}", "nothing where a value for command must be", (1, 4)),
        ("{{ if }}{{ end }}", "nothing where a value for if must be", (1, 7)),
        ("{{ ($value }}", "a '(' has no ')'", (1, 1)),
        ("{{ $value) }}", "a ')' has no '('", (1, 10)),
        ("{{ # }}", 'unexpected "#"', (1, 4)),
        ("{{ é! }}", "cannot stand right after 'é'", (1, 5)),
        ("{{ \N{NO-BREAK SPACE} }}", "cannot stand in an action", (1, 4)),
        ('{{ "abc }}', "the string has no closing", (1, 4)),
        ("{{ `abc }}", "the string has no closing", (1, 4)),
        ("{{ 'ab' }}", "is not one letter", (1, 4)),
        (r'{{ "\z" }}', "an escape that Go does not know", (1, 4)),
        ("{{ 1x }}", "is not a number", (1, 4)),
        ("{{ 089 }}", "is not a number", (1, 4)),
        ("{{ 99999999999999999999 }}", "larger than a 64-bit number", (1, 4)),
        ("{{ 1i }}", "imaginary numbers are not supported", (1, 4)),
        ("{{ 1 | 2 }}", "2 is no function", (1, 8)),
        ("{{ 1.a }}", "is not a number", (1, 4)),
        ('{{ "x".a }}', "has no fields", (1, 4)),
        ("{{ $x, $y := 1 }}", "too many variables are declared", (1, 6)),
        ("{{ $x : 1 }}", "a ':' must be ':='", (1, 7)),
        ("{{ break }}", "a 'break' outside of 'range'", (1, 4)),
        ("{{ range $labels }}{{ block `b` . }}{{ continue }}{{ end }}{{ end }}", "outside of 'range'", (1, 40)),
        ("{{ define x }}{{ end }}", "its name must be a string", (1, 11)),
        ("{{ if 1 }}{{ define `x` }}{{ end }}{{ end }}", "unexpected <define>", (1, 14)),
        ("{{ define `x` }}1{{ end }}{{ define `x` }}2{{ end }}", 'the template "x" is defined twice', (1, 30)),
        ("{{ define `d` }}{{ $labels.x }}{{ end }}", "the variable $labels is not known", (1, 20)),
        ("{{ template }}", "its name must be a string", (1, 13)),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "the variable $x is not known", (1, 39)),
        ("{{/* x }}", "the comment has no '*/'", (1, 1)),
        ("{{/* x */ }}", "right before '}}'", (1, 10)),
    ],
)
def test_mistakes_are_found_at_load_with_their_place(text: str, words: str, place: tuple[int, int]) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text)
    assert words in str(caught.value)
    assert (caught.value.line, caught.value.column) == place
    assert f"(at {place[0]}:{place[1]} of the template)" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ humanize }}",
        "{{ .Lables.name }}",
        "{{ $value 3 }}",
        "{{ $value | }}",
        "{{ nil }}",
        "{{ $nope = 1 }}",
        "{{ template `nowhere` }}",
        "{{ reReplaceAll `(` `` `` }}",
        "} }} {",
    ],
)
def test_what_prometheus_loads_is_loaded(text: str) -> None:
    assert Template.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 65 + "1" + ")" * 65 + " }}",
        "{{ if true }}" * 65 + "{{ end }}" * 65,
        "{{ if true }}" + "{{ else if true }}" * 400 + "{{ end }}",
        "{{ range . }}" * 700 + "{{ end }}" * 700,
    ],
)
def test_what_stands_too_deep_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="64"):
        Template.parse(text)


def test_a_template_of_more_than_16_kb_is_refused_and_plain_text_is_cut() -> None:
    with pytest.raises(TemplateError, match="longer than 16 kB"):
        Template.parse("{{ 1 }}" + "é" * 8200)
    assert Template.parse("x" * 20_000).expand({}, 0.0) == "x" * 4095 + "…"


@pytest.mark.parametrize(
    ("text", "pure"),
    [
        ("plain", True),
        ("{{ $labels.x }} {{ $value | humanize }} {{ $externalLabels.r }} {{ externalURL }}", True),
        ('{{ query "up" | first | value }}', False),
        ("{{ if true }}{{ range query `up` }}{{ end }}{{ end }}", False),
        ("{{ define `d` }}{{ with (query `up`) }}{{ end }}{{ end }}", False),
        ("{{ now }}", False),
        ('{{ "query" }}', True),
    ],
)
def test_a_template_is_pure_that_asks_nothing(text: str, pure: bool) -> None:
    assert Template.parse(text).pure is pure


def test_templates_of_the_same_text_are_equal() -> None:
    one, other = Template.parse("{{ $value }}"), Template.parse("{{ $value }}")
    assert one == other
    assert len({one, other, Template.parse("{{ .Value }}")}) == 2
