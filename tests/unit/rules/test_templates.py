"""Templates: mistakes are found at load, failures while running are text, never a broken rule."""

import pytest

from supervisor.rules.templates import Template

LABELS = {"name": "oracle", "job": "j"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ $lables.name }}", "$lables is not known"),
        ("{{ .Lables.name }}", ".Lables.name is not known"),
        ("{{ $labels.name", "without its '}}'"),
        ("{{ if $value }}x", "no '{{ end }}'"),
        ("x{{ end }}", "ends nothing"),
        ("{{ }}", "nothing where a value"),
        ("{{ $value | }}", "nothing where a value"),
        ("{{ ($value }}", "no ')'"),
        ("{{ $value) }}", "a ')' too many"),
        ("{{ humanize }}", "does not take 0 arguments"),
        ("{{ $value 3 }}", "gives arguments to a value"),
        ('{{ query "up" | first | value }}', "function query is not supported yet"),
        ("{{ range $labels }}x{{ end }}", "'range' in a template is not supported yet"),
        ("{{ $x := 3 }}", "not"),
        ("{{ # }}", "is not understood"),
    ],
)
def test_mistakes_are_found_at_load(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Template.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ $value.foo }}", "<error expanding template: "),
        ("{{ $labels.name | humanize }}", "<error expanding template: "),
        ("{{ if gt $labels.name 3.0 }}x{{ end }}", "<error expanding template: incompatible types"),
        ('{{ reReplaceAll "(" "x" $labels.name }}', "<error expanding template: bad regular expression"),
    ],
)
def test_failures_while_running_are_text(text: str, wanted: str) -> None:
    assert Template.parse(text).expand(LABELS, 1.0).startswith(wanted)


def test_a_label_value_is_never_read_as_a_template() -> None:
    assert Template.parse("{{ $labels.name }}").expand({"name": "{{ $value }}"}, 1.0) == "{{ $value }}"


def test_an_expansion_is_bounded() -> None:
    assert len(Template.parse("{{ $labels.name }}").expand({"name": "n" * 100_000}, 1.0)) == 4096
