"""Which Prometheus takes a rule file, and because of what."""

import pytest

from supervisor.rules.checking.accepts import needs, sentence
from supervisor.rules.files import document_of, parse_rules

HEAD = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: "


def asked(text: str) -> tuple[str, list[tuple[str, str, tuple[int, int]]]]:
    found = needs(parse_rules(text, "r.yaml"), document_of(text, "r.yaml"))
    return sentence(found), [(need.what, ".".join(map(str, need.version)), need.place) for need in found]


@pytest.mark.parametrize(
    "expr",
    [
        "rate(x{a=~'b', c!=\"d\"}[5m:1m] offset -1h) > 1e3",
        'label_replace(sum by (a, on) (x), "a", "$1", "b", "(.*)") > Inf',
        "x * on (a) group_left (b) y @ 10 > -5",
        "fill > 0",
        "x{fill='1'} offset 5m - 3",
    ],
)
def test_what_every_prometheus_knows_needs_nothing(expr: str) -> None:
    assert asked(HEAD + f"|\n      {expr}\n    keep_firing_for: 1m\n") == ("Prometheus >= 2.42", [])


@pytest.mark.parametrize(
    ("expr", "what", "version", "column"),
    [
        ("rate(x[300]) > 1", "a duration without a unit", "3.0", 18),
        ("x offset 60 > 1", "a duration without a unit", "3.0", 20),
        ("x offset -60 > 1", "a duration without a unit", "3.0", 21),
        ("time() - x > 5m", "a duration as a number", "3.0", 24),
        ("rate(x[5m * 2]) > 1", "arithmetic on durations", "3.14", 21),
        ('{"foo.bar", a="b"} > 1', "a quoted name", "3.0", 12),
        ('x{"l.x"="y"} > 1', "a quoted name", "3.0", 13),
        ('sum by ("a.b") (x) > 1', "a quoted name", "3.0", 19),
        ('x * on ("a.b") y > 1', "a quoted name", "3.0", 19),
        ("mad_over_time(x[5m]) > 1", "mad_over_time()", "2.49", 11),
        ("limitk(3, x) > 1", "limitk()", "2.54", 11),
        ("x + on (a) fill(0) y > 1", "fill()", "3.10", 22),
    ],
)
def test_newer_syntax_is_named_with_its_version_and_place(expr: str, what: str, version: str, column: int) -> None:
    assert asked(f"{HEAD}'{expr}'\n")[1] == [(what, version, (5, column + 1))]


def test_the_newest_and_the_switches_decide_for_the_file() -> None:
    text = """\
groups:
- name: g
  query_offset: 1m
  labels: {team.name: ai}
  rules:
  - {alert: A, expr: 'mad_over_time(x[5m]) > 1', annotations: {what/ever: x}}
  - {record: "odd.name", expr: x, labels: {l.x: y}}
  - {record: "another.one", expr: 'sort_by_label(x, "a")'}
"""
    said, found = asked(text)
    assert said == "Prometheus >= 3.2 with --enable-feature=promql-experimental-functions"
    assert found == [
        ("query_offset", "2.53", (3, 3)),
        ("labels of a group", "3.0", (4, 3)),
        ("the name of a label", "3.0", (4, 12)),
        ("mad_over_time()", "2.49", (6, 23)),
        ("the name of an annotation", "3.0", (6, 64)),
        ("the name of a recording rule", "3.2", (7, 14)),
        ("sort_by_label()", "2.49", (8, 36)),
    ]
