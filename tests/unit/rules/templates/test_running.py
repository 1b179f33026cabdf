"""Running templates: blocks, variables, templates in templates, arguments, and what is said where it fails."""

from collections.abc import Mapping

import pytest

from supervisor.rules.templates import Around, Template

LABELS = {"name": "oracle", "job": "j", "__name__": "x"}
SERIES = [({"i": "b"}, 2.0), ({"i": "a", "job": "z"}, 1.5)]


def query(text: str) -> list[tuple[Mapping[str, str], float]]:
    if text == "broken":
        raise RuntimeError("no such thing")
    return SERIES if text == "q" else []


AROUND = Around(query, {"region": "eu"}, "https://prom.example/some%20path/?x", 1435065584.5)


def expand(text: str, value: float = 12.5, around: Around = AROUND) -> str:
    return Template.parse(text).expand(LABELS, value, around)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ $labels.name }} {{ .Labels.job }} {{ $.Labels.none }}! {{ $value }} {{ .Value }}", "oracle j ! 12.5 12.5"),
        (
            "{{ $externalLabels.region }} {{ .ExternalLabels }} {{ .ExternalURL }}",
            "eu map[region:eu] " + AROUND.external_url,
        ),
        ("{{ externalURL }} {{ pathPrefix }} {{ now }}", AROUND.external_url + " /some path/ 1.4350655845e+09"),
        ("a  {{- 1 -}}  b {{- /* c */ -}} d {{/* e */}} f", "a1bd  f"),
        ("{{ if gt $value 3.0 }}big{{ else if lt $value 0.0 }}neg{{ else }}small{{ end }}", "big"),
        ("{{ if 0 }}a{{ else if 0.0 }}b{{ else if `` }}c{{ else if not (print nil) }}d{{ else }}e{{ end }}", "e"),
        ("{{ with $labels.none }}x{{ else with $labels.job }}job {{ . }}{{ else }}none{{ end }}", "job j"),
        ("{{ with $labels.name }}{{ . }} {{ $.Value }}{{ end }}", "oracle 12.5"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }} {{ end }}", "__name__=x job=j name=oracle "),
        ("{{ range $labels }}{{ if eq . `j` }}{{ continue }}{{ end }}{{ . }},{{ end }}", "x,oracle,"),
        ("{{ range $labels }}{{ if eq . `j` }}{{ break }}{{ else }}{{ . }}{{ end }},{{ end }}", "x,"),
        ("{{ range query `q` }}{{ .Labels.i }}={{ .Value }} {{ end }}", "b=2 a=1.5 "),
        ("{{ range $i, $s := query `q` | sortByLabel `i` }}{{ $i }}{{ $s.Labels.i }}{{ end }}", "0a1b"),
        (
            "{{ range query `none` }}x{{ else }}empty{{ end }}{{ range print nil | len }}{{ . }}{{ end }}",
            "empty01234",
        ),
        (
            "{{ range 3 }}{{ . }}{{ end }}{{ range 0 }}x{{ else }}zero{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}",
            "012zero01",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}", "32"),
        ("{{ $k := 0 }}{{ $v := 0 }}{{ range $k, $v = $labels }}{{ end }}{{ $k }}{{ $v }}", "nameoracle"),
        ("{{ define `t` }}[{{ . }}{{ $ }}]{{ end }}{{ template `t` $labels.name }}{{ template `t` }}", None),
        ("{{ block `b` $value }}<{{ . }}>{{ end }}{{ template `b` 1 }}", "<12.5><1>"),
        (
            "{{ define `t` }}{{ .arg0 }}-{{ .arg1 }}-{{ .arg2 }}{{ end }}{{ template `t` (args 1 `2`) }}",
            "1-2-<no value>",
        ),
        ("{{ (query `q` | first).Labels.i }} {{ ($labels).name }} {{ (index (query `q`) 1).Value }}", "b oracle 1.5"),
        ("{{ query `q` | first }} {{ printf `%v` (query `q` | first) }}", "{map[i:b] 2} &{map[i:b] 2}"),
        ("{{ . }}", "{map[__name__:x job:j name:oracle] map[region:eu] " + AROUND.external_url + " 12.5}"),
        ("{{ and 1 0 (first nil) }} {{ or `` `x` (first nil) }} {{ true | and 1 }} {{ and `a` }}", "0 x true a"),
        (
            "{{ 0x1F }} {{ 017 }} {{ 0b11 }} {{ 1_000 }} {{ 'a' }} {{ .5 }} {{ -3 }} {{ 1e3 }} {{ 0x1p4 }}",
            "31 15 3 1000 97 0.5 -3 1000 16",
        ),
        (r'{{ "\x41\101\u00e9\t\"" }}{{ `\n` }}', 'AAé\t"\\n'),
        (r'{{ "\xff" }}{{ slice "é" 0 1 }}', "\N{REPLACEMENT CHARACTER}" * 2),
    ],
)
def test_templates_run_as_in_prometheus(text: str, wanted: str | None) -> None:
    assert expand(text) == (wanted if wanted is not None else "[oracleoracle][<no value><no value>]")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ $value.foo }}", "1:10: at <$value.foo>: can't evaluate field foo in type float64"),
        ("{{ .Lables.name }}", "at <.Lables.name>: can't evaluate field Lables in type struct {"),
        ("{{ .Value.foo }}", "can't evaluate field foo in type interface {}"),
        (
            "a\n  {{ humanize `x` }}",
            '2:6: at <humanize `x`>: error calling humanize: strconv.ParseFloat: parsing "x": invalid syntax',
        ),
        (
            "{{ if gt $labels.name 3.0 }}x{{ end }}",
            "error calling gt: incompatible types for comparison: string and float64",
        ),
        ("{{ gt $value 3 }}", "incompatible types for comparison: float64 and int"),
        ("{{ humanize }}", "at <humanize>: wrong number of args for humanize: want 1 got 0"),
        ("{{ 1 | printf }}", "at <printf>: wrong type for value; expected string; got int"),
        ("{{ printf }}", "wrong number of args for printf: want at least 1 got 0"),
        ("{{ $value 3 }}", "can't give argument to non-function $value"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ nil.a }}", None),
        ("{{ toUpper 1 }}", "expected string; found 1"),
        ("{{ toUpper nil }}", "cannot assign nil to string"),
        ("{{ toUpper $value }}", "wrong type for value; expected string; got float64"),
        ("{{ safeHtml `<b>` | toUpper }}", "expected string; got template.HTML"),
        ("{{ first `x` }}", "can't handle `x` for arg of type template.queryResult"),
        ("{{ first (query `none`) }}", "error calling first: first() called on vector with no elements"),
        ("{{ value nil }}", "error calling value: runtime error"),
        ("{{ query `broken` }}", "error calling query: no such thing"),
        ("{{ template `nope` . }}", 'template "nope" not defined'),
        (
            "{{ define `t` }}{{ .arg0.foo }}{{ end }}{{ template `t` (args 1) }}",
            "in template 't' at <.arg0.foo>: can't evaluate field foo in type interface {}",
        ),
        (
            "{{ define `t` }}{{ .arg9.foo }}{{ end }}{{ template `t` (args 1) }}",
            "nil pointer evaluating interface {}.foo",
        ),
        ("{{ range 1.5 }}{{ end }}", "range can't iterate over 1.5"),
        ("{{ range $i, $e := 3 }}{{ end }}", "can't use 3 to iterate over more than one variable"),
        ("{{ $nope = 1 }}", "undefined variable: $nope"),
        ("{{ ($value | toTime).Foo }}", "can't evaluate field Foo in type *time.Time"),
        ("{{ $labels.name 1 }}", "name is not a method but has arguments"),
        ("{{ .Value 1 }}", "Value has arguments but cannot be invoked as function"),
        ("{{ match `(` `x` }}", 'error calling match: bad regular expression "(": missing ): ('),
        ("{{ call 1 }}", "non-function 1 of type int"),
    ],
)
def test_failures_while_running_are_text(text: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(ValueError, match="nil has no fields"):
            Template.parse(text)
        return
    said = expand(text)
    assert said.startswith("<error expanding template: ")
    assert wanted in said


def test_with_the_alerts_name_the_error_is_that_of_prometheus_word_for_word() -> None:
    around = Around(name="A")
    assert expand("é {{ humanize }}", around=around) == (
        "<error expanding template: error executing template __alert_A: template: __alert_A:1:118: "
        'executing "__alert_A" at <humanize>: wrong number of args for humanize: want 1 got 0>'
    )
    assert expand('{{ define "t" }}\n{{ humanize "x" }}{{ end }}{{ template "t" }}', around=around) == (
        "<error expanding template: error executing template __alert_A: template: __alert_A:2:3: "
        'executing "t" at <humanize "x">: error calling humanize: strconv.ParseFloat: parsing "x": invalid syntax>'
    )


def test_without_a_store_a_query_is_an_error_and_the_rest_works() -> None:
    assert "there is nothing to query here" in expand("{{ query `q` }}", around=Around())
    assert Template.parse("{{ $externalURL }}{{ $externalLabels }}").expand({}, 1.0) == "map[]"


def test_a_label_value_is_never_read_as_a_template() -> None:
    assert Template.parse("{{ $labels.name }}").expand({"name": "{{ $value }}"}, 1.0) == "{{ $value }}"


def test_what_a_run_does_to_its_values_is_gone_in_the_next() -> None:
    template = Template.parse(
        "{{ $x := query `q` }}{{ (sortByLabel `i` $x | first).Labels.i }}{{ ($x | first).Labels.i }}"
    )
    assert template.expand(LABELS, 1.0, AROUND) == template.expand(LABELS, 1.0, AROUND) == "aa"
    assert SERIES[0][0] == {"i": "b"}
