"""Lints: each finds its flaw, at its place, and stays silent on the good twin."""

import json
from collections.abc import Sequence

import pytest

from supervisor.facts import Metric
from supervisor.rules.checking.lint import Finding, lint
from supervisor.rules.files import document_of, parse_rules

METRICS = {
    metric.name: metric
    for metric in (
        Metric("memory_free", "gauge", (), 5.0),
        Metric("cpu_total", "counter", ("name", "project"), 15.0),
        Metric("deaths_total", "counter", ("name",), 60.0, events=True),
        Metric("running", "gauge", ("name",), 60.0, events=True),
        Metric("resurgam_streak", "gauge", ("name",), 60.0, events=True),
        Metric("up", "gauge", ("job", "instance"), 15.0, free=True),
    )
}


def found(*rules: dict[str, object], kept: float = 172_800.0) -> tuple[Finding, ...]:
    file = parse_rules(json.dumps({"groups": [{"name": "g", "rules": list(rules)}]}), "r.yaml")
    return lint([file], METRICS, kept)


def alert(expr: str, **keys: object) -> dict[str, object]:
    return {"alert": "A", "expr": expr, **{key.rstrip("_"): value for key, value in keys.items()}}


def lints(*rules: dict[str, object]) -> list[str]:
    return [f"{one.level} {one.lint}" for one in found(*rules)]


@pytest.mark.parametrize(
    ("bad", "what", "good"),
    [
        (alert("absent(memory_free)"), "warning absent-without-for", alert("absent(memory_free)", for_="1m")),
        (alert("absent_over_time(memory_free[5m])"), "hint absent-without-for", alert("absent(running)", for_="1s")),
        (
            alert("running > 1", labels={"n": "{{ if gt $value 2.0 }}high{{ end }}"}),
            "warning value-in-label",
            alert("running > 1", labels={"n": "{{ $labels.name }} $value"}, annotations={"x": "{{ $value }}"}),
        ),
        (alert("running > 1", labels={"n": "{{ .Value }}"}), "warning value-in-label", alert("running > 1")),
        (alert("running"), "warning no-condition", alert("running == 1")),
        (alert("sum by (name) (running) * 2"), "warning no-condition", alert("vector(1)")),
        (alert("running > bool 1"), "warning no-condition", alert("running unless memory_free")),
        (alert("running > 1 or memory_free"), "warning no-condition", alert('ALERTS{alertstate="firing"}')),
        (alert("changes(running[5m])"), "warning no-condition", alert("changes(running[5m]) > 0")),
        (
            alert("sum by (name) (running) > 1", annotations={"x": "{{ $labels.job }} {{ $labels.job }}"}),
            "warning empty-label",
            alert("sum by (name) (running) > 1", annotations={"x": "{{ $labels.name }}"}),
        ),
        (
            alert("count(running) > 1", labels={"severity": "high"}, annotations={"x": "{{ .Labels.severity }}"}),
            "warning empty-label",
            alert("count without (x) (running) > 1", annotations={"x": '{{ $labels.name }} {{ "$labels.job" }}'}),
        ),
        (
            alert("running == on (name) group_left (q) deaths_total", annotations={"x": "{{ $labels.q }}"}),
            "hint empty-label",
            alert("running == on (name) group_left (project) cpu_total", annotations={"x": "{{ $labels.project }}"}),
        ),
        (
            alert('absent(running{name="x"})', for_="1m", annotations={"x": "{{ $labels.pod }}"}),
            "warning empty-label",
            alert('absent(running{name="x"})', for_="1m", annotations={"x": "{{ $labels.name }}"}),
        ),
        (
            alert('label_replace(running, "pod", "$1", "name", "(.*)") > 1', annotations={"x": "{{ $labels.node }}"}),
            "hint empty-label",
            alert('label_replace(running, "pod", "$1", "name", "(.*)") > 1', annotations={"x": "{{ $labels.pod }}"}),
        ),
        (
            alert("running unless running offset 10m", for_="10m"),
            "warning for-too-long",
            alert("running unless running offset 10m", for_="9m"),
        ),
        (
            alert("changes(deaths_total[5m]) > 0", for_="5m"),
            "hint for-too-long",
            alert("changes(deaths_total[5m]) > 0", for_="1m"),
        ),
        (alert("rate(memory_free[5m]) > 1"), "warning rate-of-gauge", alert("delta(memory_free[5m]) > 1")),
        (alert("deaths_total > 5"), "warning raw-counter", alert("increase(deaths_total[10m]) > 5")),
        (alert("5 < sum(deaths_total)"), "warning raw-counter", alert("deaths_total > deaths_total offset 5m")),
        (alert("rate(cpu_total[29s]) > 1"), "warning short-range", alert("rate(cpu_total[30s]) > 1")),
        (alert("increase(deaths_total[1m]) > 1"), "warning short-range", alert("max_over_time(running[1m]) > 1")),
        (
            alert("avg_over_time(running[5m]) < 1"),
            "hint uneven-samples",
            alert("avg_over_time(memory_free[5m]) < 1"),
        ),
        (alert("delta(memory_free[3d]) < 1"), "hint long-range", alert("delta(memory_free[2d]) < 1")),
        (alert("delta(memory_free[1d] offset 36h) < 1"), "hint long-range", alert("memory_free offset 47h < 1")),
        (alert('running{nmae="x"} > 1'), "warning unknown-label", alert('running{name="x"} > 1')),
        (alert('memory_free{job="x"} > 1'), "warning unknown-label", alert('memory_free{job=""} > 1')),
        (alert('running{name=~".*"} > 1'), "hint pattern-for-all", alert('running{name=~"a.*"} > 1')),
        (alert('running{name!~".*"} > 1'), "warning pattern-for-none", alert('running{name!~"a.*"} > 1')),
        (alert('running{name=~".+"} > 1'), "hint pattern-for-all", alert('running{name!=""} > 1')),
        (alert('running{name=~"oracle"} > 1'), "hint pattern-is-text", alert('running{name=~"oracle|letta"} > 1')),
        (
            alert("increase(deaths_total[10m]) == 3"),
            "warning whole-increase",
            alert("increase(deaths_total[10m]) == 0"),
        ),
        (alert("3 != sum(increase(deaths_total[10m]))"), "warning whole-increase", alert("changes(running[9m]) == 3")),
        (alert("increase(deaths_total[10m]) >= 3"), "hint whole-increase", alert("increase(deaths_total[10m]) > 2")),
        (alert("mad_over_time(memory_free[5m]) > 1"), "hint experimental", alert("memory_free > 1")),
        (alert("limitk(3, running) > 1"), "hint experimental", alert("topk(3, running) > 1")),
        (alert("resurgam_strike > 1"), "warning unknown-metric", alert("resurgam_streak > 1")),
        (alert("memory_fre > 1"), "warning unknown-metric", alert("memory_free > 1")),
        (alert("nobodys > 1"), "hint unmade-metrics", alert("cpu_total / memory_free > 1")),
    ],
)
def test_a_flaw_is_found_and_its_good_twin_is_not(bad: dict[str, object], what: str, good: dict[str, object]) -> None:
    assert lints(bad) == [what]
    assert lints(good) == []


def texts(*rules: dict[str, object]) -> list[str]:
    return [one.text for one in found(*rules)]


def test_the_labels_of_what_a_template_walks_over_are_not_the_alerts() -> None:
    walk = '{{ range query "running == 0" }}{{ .Labels.name }}{{ end }}'
    assert not found(alert("count(running == 0) > 1", for_="1m", annotations={"summary": walk}))
    (lost,) = found(alert("count(running == 0) > 1", for_="1m", annotations={"summary": walk + "{{ $labels.name }}"}))
    assert lost.lint == "empty-label"


def test_findings_say_what_to_do() -> None:
    (text,) = texts(alert("resurgam_strike > 1"))
    assert text == "no collector here makes resurgam_strike; did you mean 'resurgam_streak'?"
    (text,) = texts(alert('running{nmae="x"} > 1'))
    assert text.endswith("did you mean 'name'?")
    (text,) = texts(alert('memory_free{job="x"} > 1'))
    assert text.endswith("it has no labels; leave 'job' out")
    (text,) = texts(alert("increase(deaths_total[10m]) >= 3"))
    assert text.endswith("write > 2.5 to mean 3")
    (text,) = texts(alert("rate(cpu_total[10s]) > 1"))
    assert text.endswith("which come every 15s; use [30s] or more")


@pytest.mark.parametrize("number", ["Inf", "-Inf", "NaN"])
def test_what_is_no_number_is_no_whole_number(number: str) -> None:
    assert not [said for said in lints(alert(f"increase(deaths_total[10m]) == {number}")) if "whole-increase" in said]


def test_a_seconds_counter_has_no_whole_steps() -> None:
    assert lints(alert("increase(cpu_seconds_total[10m]) >= 3")) == ["hint unmade-metrics"]


def test_what_a_rule_records_is_known() -> None:
    on_condition = {"record": "a:bad", "expr": "running == 0"}
    plain = {"record": "a:all", "expr": "sum by (name) (running)"}
    assert lints(on_condition, alert("a:bad")) == [], "what is recorded on a condition is a condition"
    assert lints(plain, alert("a:all")) == ["warning no-condition"]
    assert lints(plain, alert("rate(a:all[5m]) > 0")) == []
    twice = {"record": "running", "expr": "nobodys"}
    assert lints(twice, alert('running{job="x"} > 0')) == ["hint unmade-metrics"], "another one's series, other labels"


def test_a_metric_that_the_configuration_gives_labels_can_have_any() -> None:
    assert lints(alert('up{site="attic"} == 0', annotations={"summary": "{{ $labels.site }}"})) == []
    assert lints(alert('running{site="attic"} == 0')) == ["warning unknown-label"]


def test_a_rule_that_stands_twice_is_told_with_the_place_of_the_first() -> None:
    text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: x > 1}\n  - {alert: B, expr: x > 1}\n"
    text += "  - {alert: A, expr: x>1, for: 1m}\n  - {alert: A, expr: x > 1, labels: {severity: info}}\n"
    (one,) = lint([parse_rules(text, "r.yaml")], {"x": Metric("x", "gauge", (), 5.0)}, 1e6)
    assert (one.lint, one.text) == ("duplicate-rule", "the same rule stands at r.yaml:4:5; take one of them out")
    assert str(one.at(document_of(text, "r.yaml"))).startswith("r.yaml:6:5: ")


def test_metrics_that_nobody_makes_are_one_hint_for_a_file() -> None:
    rules = [alert(f"node_{n} > 1", labels={"n": str(n)}) for n in range(9)] + [alert("running > 2")]
    (one,) = found(*rules)
    assert (one.level, one.path[3]) == ("hint", 0)
    assert one.text == (
        "9 of the 10 metrics in this file are made by no collector here: node_0, node_1, node_2, node_3, node_4, "
        "node_5, …; such rules stay silent until something scrapes them"
    )


def test_what_is_the_same_in_many_rules_is_told_once_with_the_count() -> None:
    rules = [alert(f'memory_free{{job="node"}} > {n}') for n in range(5)]
    (one,) = found(*rules)
    assert one.text.endswith("(so in 5 places of this file)")


def places(text: str) -> Sequence[str]:
    document = document_of(text, "r.yaml")
    return [str(one.at(document)).split(" ")[0] for one in lint([parse_rules(text, "r.yaml")], METRICS, 172_800.0)]


def test_findings_have_their_own_place_in_the_file() -> None:
    text = """\
groups:
- name: g
  rules:
  - alert: A
    expr: |
      running > 1
        and on (name)
      rate(memory_free[5m]) > 1
  - alert: B
    expr: "running{name=~\\"x\\"} > 1"
    labels:
      n: >-
        one
        {{ $value }}
    annotations: {summary: 'look at {{ $labels.pod }}'}
"""
    assert places(text) == ["r.yaml:8:7:", "r.yaml:14:9:", "r.yaml:15:37:", "r.yaml:10:12:"]
