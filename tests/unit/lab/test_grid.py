"""Rules on promtool's grid: order, what rules write, and what cannot be written."""

from supervisor.lab.grid import Grid, Group, ordered
from supervisor.rules import parse_rules
from supervisor.rules.promql.evaluate import Options
from supervisor.samples import STALE
from tests.support.rules import series


def groups(text: str) -> list[Group]:
    """The groups of a rule file."""
    found: dict[str, list] = {}
    for rule in parse_rules(text, "r.yaml").rules:
        found.setdefault(rule.group, []).append(rule)
    return [Group(name, tuple(rules)) for name, rules in found.items()]


def grid(text: str, **data: list[float | None]) -> Grid:
    """A grid over series with one value a minute."""
    rows = [
        (series(name), index * 60_000, value)
        for name, values in data.items()
        for index, value in enumerate(values)
        if value is not None
    ]
    return Grid(groups(text), rows, Options(step=60_000))


def value(on: Grid, expr: str, minute: float) -> dict:
    """An expression's value."""
    return dict(on.ask(expr, round(minute * 60_000)))


CHAIN = """\
groups:
- name: g
  rules:
  - {record: 'a:b', expr: x > 1}
  - {alert: High, expr: 'a:b > 2', for: 1m, labels: {sev: page}}
"""


def test_what_one_rule_writes_the_next_one_reads_in_the_same_round() -> None:
    on = grid(CHAIN, x=[0, 3, 3, 3, 0])
    for minute in range(3):
        assert on.step(minute * 60_000) == []
    assert value(on, "a:b", 2) == {series("a:b"): 3.0}
    (alert,) = on.firing("High")
    assert dict(alert.labels) == {"alertname": "High", "sev": "page"}
    assert value(on, "ALERTS", 1) == {series('ALERTS{alertname="High",alertstate="pending",sev="page"}'): 1.0}
    assert value(on, "ALERTS", 2) == {series('ALERTS{alertname="High",alertstate="firing",sev="page"}'): 1.0}
    assert value(on, "ALERTS_FOR_STATE", 2) == {series('ALERTS_FOR_STATE{alertname="High",sev="page"}'): 60.0}


def test_what_a_rule_no_longer_gives_ends_at_once() -> None:
    on = grid(CHAIN, x=[3, 3, 3, 0, 0])
    for minute in range(4):
        on.step(minute * 60_000)
    assert value(on, "a:b", 2.5) != {}
    assert value(on, "a:b", 3) == value(on, "ALERTS", 3) == {}, "no lookback over a series that has ended"
    assert on.firing("High") == []


def test_samples_after_the_last_round_are_not_known() -> None:
    on = grid("groups: []", x=[1, 2, 3])
    on.step(60_000)
    assert value(on, "x", 2) == {series("x"): 2.0}


def test_a_query_offset_moves_what_is_read_and_written_but_not_since_when_an_alert_is_active() -> None:
    text = """\
groups:
- name: late
  query_offset: 1m
  rules:
  - {record: y, expr: x}
  - {alert: A, expr: x > 0}
"""
    on = grid(text, x=[0, 1, 2])
    for minute in range(3):
        on.step(minute * 60_000)
    assert value(on, "y", 1) == {series("y"): 1.0}
    assert value(on, "timestamp(y)", 2) == {(): 60.0}
    (alert,) = on.firing("A")
    assert alert.active_at == 120.0


def test_two_rules_that_write_one_series_are_an_error_unless_they_agree() -> None:
    text = "groups:\n- name: g\n  rules:\n  - {record: y, expr: x}\n  - {record: y, expr: x * SECOND}\n"
    assert grid(text.replace("SECOND", "1"), x=[1]).step(0) == []
    (trouble,) = grid(text.replace("SECOND", "2"), x=[1]).step(0)
    assert (trouble.rule, trouble.text) == ("y", "duplicate sample for timestamp")


def test_a_rule_that_errs_is_named_and_the_others_go_on() -> None:
    text = """\
groups:
- name: g
  rules:
  - {record: bad, expr: x + on(a) group_left y + on(a) y}
  - {record: good, expr: x}
  - {alert: Many, expr: '{__name__=~"x|y"}', labels: {same: all}}
"""
    rows = [(series('x{a="1"}'), 0, 1.0), (series('y{a="1",b="1"}'), 0, 1.0), (series('y{a="1",b="2"}'), 0, 1.0)]
    on = Grid(groups(text), rows, Options())
    assert [trouble.rule for trouble in on.step(0)] == ["bad"]
    assert value(on, "good", 0) == {series('good{a="1"}'): 1.0}


def test_limits_of_a_group_hold() -> None:
    text = "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: y, expr: x}\n  - {alert: A, expr: x}\n"
    rows = [(series(f'x{{a="{n}"}}'), 0, 1.0) for n in range(2)]
    found = Grid(groups(text), rows, Options()).step(0)
    assert [trouble.text for trouble in found] == [
        "exceeded limit of 1 with 2 series",
        "exceeded limit of 1 with 2 alerts",
    ]


def test_stale_markers_in_the_data_end_a_series() -> None:
    on = grid("groups: []", x=[1, STALE, 3])
    on.step(120_000)
    assert value(on, "x", 0.9) == {series("x"): 1.0}
    assert value(on, "x", 1.5) == {}
    assert value(on, "count_over_time(x[5m])", 2) == {(): 2.0}


def test_a_subquery_without_a_step_takes_that_of_the_grid() -> None:
    on = Grid([], [(series("x"), ms, 1.0) for ms in range(0, 60_001, 10_000)], Options(step=10_000))
    on.step(60_000)
    assert value(on, "count_over_time(x[1m:])", 1) == {(): 6.0}


def test_templates_may_ask_and_see_the_external_labels() -> None:
    text = """\
groups:
- name: g
  rules:
  - alert: A
    expr: x > 0
    annotations: {a: '{{ query "x" | first | value }} {{ $externalLabels.dc }} {{ $externalURL }}'}
"""
    on = Grid(groups(text), [(series("x"), 0, 5.0)], Options(), {"dc": "eu"}, "http://here")
    on.step(0)
    assert on.firing("A")[0].annotations == {"a": "5 eu http://here"}


def test_a_template_that_fails_says_it_in_prometheus_words() -> None:
    """promtool compares annotations to the letter, and the text of an error is one."""
    text = """\
groups:
- name: g
  rules:
  - {alert: A, expr: x > 0, annotations: {a: '{{ query "up ==" }}'}}
"""
    on = Grid(groups(text), [(series("x"), 0, 5.0)], Options())
    on.step(0)
    assert on.firing("A")[0].annotations["a"] == (
        "<error expanding template: error executing template __alert_A: template: __alert_A:1:115: executing "
        '"__alert_A" at <query "up ==">: error calling query: 1:6: parse error: unexpected end of input>'
    )


def test_named_groups_come_in_their_order_and_the_others_with_the_first() -> None:
    made = [Group(name, ()) for name in ("other", "second", "first")]
    assert [group.name for group in ordered(made, ["first", "second"])] == ["first", "other", "second"]
    assert [group.name for group in ordered(made, [])] == ["other", "second", "first"]
