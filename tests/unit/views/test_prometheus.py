"""Prometheus' JSON: values as texts, times as numbers, rules and alerts in its shape (recorded from a 3.5 server)."""

import json
import math

import pytest

from supervisor.facts import Alert, labels
from supervisor.rules.answers import Answer
from supervisor.rules.engine import RuleState
from supervisor.views.prometheus import (
    RuleFilter,
    alerts_document,
    answer_document,
    answer_text,
    failure,
    listing,
    rules_document,
    scientific,
    seconds,
    value_text,
)
from tests.support.rules import ruleset


@pytest.mark.parametrize(
    ("value", "text", "exponent"),
    [
        (1.0, "1", "1e+00"),
        (0.0, "0", "0e+00"),
        (-0.0, "-0", "-0e+00"),
        (1.5, "1.5", "1.5e+00"),
        (-12345.678, "-12345.678", "-1.2345678e+04"),
        (1 / 60, "0.016666666666666666", "1.6666666666666666e-02"),
        (1e-05, "0.00001", "1e-05"),
        (1e-06, "0.000001", "1e-06"),
        (1.5e-06, "0.0000015", "1.5e-06"),
        (9e-07, "9e-07", "9e-07"),
        (1.5e-07, "1.5e-07", "1.5e-07"),
        (5e-324, "5e-324", "5e-324"),
        (1e16, "10000000000000000", "1e+16"),
        (1.2345678901234568e20, "123456789012345680000", "1.2345678901234568e+20"),
        (1e21, "1e+21", "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"),
        (math.nan, "NaN", "NaN"),
        (math.inf, "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf"),
    ],
)
def test_numbers_as_prometheus_writes_them(value: float, text: str, exponent: str) -> None:
    assert value_text(value) == text
    assert scientific(value) == exponent
    assert str(float(text)) == str(value)


def test_instants_are_numbers_of_seconds() -> None:
    assert json.dumps([seconds(ms) for ms in (0, 1000, 1500, 1_760_000_000_137, -1500)]) == (
        "[0, 1, 1.5, 1760000000.137, -1.5]"
    )


def vector(*names: str) -> Answer:
    return Answer("vector", tuple((labels("x", n=name), (1500,), (2.0,)) for name in names), 1500)


def test_a_vector() -> None:
    assert answer_document(vector("a")) == {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {"__name__": "x", "n": "a"}, "value": [1.5, "2"]}]},
    }


def test_scalar_string_and_matrix() -> None:
    assert answer_document(Answer("scalar", (((), (0,), (math.inf,)),)))["data"] == {
        "resultType": "scalar",
        "result": [0, "+Inf"],
    }
    for value, text in ((1e21, "1000000000000000000000"), (-1e-7, "-0.0000001"), (0.5, "0.5"), (-0.0, "-0")):
        shown = answer_document(Answer("scalar", (((), (0,), (value,)),)))["data"]["result"]
        assert shown == [0, text], "no label set, no exponent: so does Prometheus"
    assert answer_document(Answer("string", at=7000, text="ü"))["data"] == {"resultType": "string", "result": [7, "ü"]}
    matrix = Answer("matrix", (((), (0, 60_000), (1.0, math.nan)),))
    assert answer_document(matrix)["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[0, "1"], [60, "NaN"]]}],
    }
    assert answer_document(Answer("vector"))["data"]["result"] == []


def test_notes_are_there_only_where_there_are_any() -> None:
    found = answer_document(Answer("vector", warnings=("PromQL warning: w",), infos=("PromQL info: i",)))
    assert (found["warnings"], found["infos"]) == (["PromQL warning: w"], ["PromQL info: i"])
    assert list(answer_document(Answer("vector"))) == ["status", "data"]


def test_a_limit_cuts_and_says_so() -> None:
    found = answer_document(vector("a", "b", "c"), 2)
    assert len(found["data"]["result"]) == 2
    assert found["warnings"] == ["results truncated due to limit"]
    assert "warnings" not in answer_document(vector("a", "b"), 2)
    assert listing(["a", "b"], 1) == {
        "status": "success",
        "data": ["a"],
        "warnings": ["results truncated due to limit"],
    }


@pytest.mark.parametrize(
    "answer",
    [
        vector(),
        vector("a", 'ü"\n'),
        Answer("scalar", (((), (0,), (1.0,)),)),
        Answer("string", at=1, text="x"),
        Answer(
            "matrix", (((), (0, 60_500), (1.0, 2.0)), (labels("x"), (0,), (math.nan,))), infos=("i",), warnings=("w",)
        ),
    ],
)
def test_what_is_written_series_by_series_is_the_same_document(answer: Answer) -> None:
    assert json.loads(answer_text(answer, 1)) == answer_document(answer, 1)
    assert json.loads(answer_text(answer)) == answer_document(answer)


def test_an_error() -> None:
    assert failure("execution", "why") == {"status": "error", "errorType": "execution", "error": "why"}


RULES = """groups:
- name: g
  interval: 5s
  rules:
  - {record: 'job:x:sum', expr: 'sum(x)', labels: {a: b}}
  - {alert: Up, expr: 'x > 0', labels: {severity: warning}, annotations: {summary: '{{ $value }} is up'}}
- name: h
  limit: 3
  rules:
  - {alert: Slow, expr: 'x>1', for: 10m, keep_firing_for: 90s}
"""


def states() -> list[tuple[str, RuleState]]:
    record, up, slow = ruleset(RULES).rules
    firing = Alert("f", "Up", "firing", {"alertname": "Up"}, {"summary": "1.5 is up"}, 1.5, 1_760_000_000.25)
    kept = Alert(
        "g", "Up", "pending", {"alertname": "Up", "n": "b"}, {}, 0.0, 1_760_000_000.0, keep_since=1_760_000_060.0
    )
    return [
        ("r.yaml", RuleState(record, (), "it errs", 1_760_000_001.0)),
        ("r.yaml", RuleState(up, (kept, firing), "", 1_760_000_002.0)),
        ("r.yaml", RuleState(slow, (), "", 0.0)),
    ]


def test_rules_stand_in_their_groups() -> None:
    first, second = rules_document(states())["data"]["groups"]
    assert (first["name"], first["file"], first["interval"], first["limit"]) == ("g", "r.yaml", 5, 0)
    assert first["lastEvaluation"] == "2025-10-09T08:53:22.000Z"
    record, up = first["rules"]
    assert record == {
        "name": "job:x:sum",
        "query": "sum(x)",
        "labels": {"a": "b"},
        "health": "err",
        "lastError": "it errs",
        "evaluationTime": 0,
        "lastEvaluation": "2025-10-09T08:53:21.000Z",
        "type": "recording",
    }
    assert list(up) == [
        *("state", "name", "query", "labels", "duration", "keepFiringFor", "annotations", "alerts", "health"),
        *("evaluationTime", "lastEvaluation", "type"),
    ]
    assert (up["state"], up["duration"], up["type"], up["health"]) == ("firing", 0, "alerting", "ok")
    assert up["annotations"] == {"summary": "{{ $value }} is up"}
    assert [alert["state"] for alert in up["alerts"]] == ["pending", "firing"]
    (slow,) = second["rules"]
    assert (slow["state"], slow["duration"], slow["keepFiringFor"], slow["health"]) == ("inactive", 600, 90, "unknown")
    assert slow["lastEvaluation"] == "0001-01-01T00:00:00Z"
    assert second["limit"] == 3


def test_an_alert_in_prometheus_shape() -> None:
    kept, firing = states()[1][1].alerts
    first, second = alerts_document([firing, kept])["data"]["alerts"]
    assert first == {
        "labels": {"alertname": "Up"},
        "annotations": {"summary": "1.5 is up"},
        "state": "firing",
        "activeAt": "2025-10-09T08:53:20.250Z",
        "value": "1.5e+00",
    }
    assert second["keepFiringSince"] == "2025-10-09T08:54:20.000Z"


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (RuleFilter("alert"), ["Up", "Slow"]),
        (RuleFilter("record"), ["job:x:sum"]),
        (RuleFilter(names=("Up", "Slow")), ["Up", "Slow"]),
        (RuleFilter(groups=("h",)), ["Slow"]),
        (RuleFilter(files=("other.yaml",)), []),
    ],
)
def test_a_client_may_want_some_of_the_rules(wanted: RuleFilter, names: list[str]) -> None:
    groups = rules_document(states(), wanted)["data"]["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == names
    assert all(group["rules"] for group in groups)


def test_alerts_may_be_left_out() -> None:
    groups = rules_document(states(), RuleFilter("alert", alerts=False))["data"]["groups"]
    assert [rule["alerts"] for group in groups for rule in group["rules"]] == [None, None]
