"""Values of expressions where Prometheus 3 and 2.42 differ, at the edges, and where Python would raise."""

import math

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import Store
from tests.support.rules import filled

NAMED = {'x{name="a"}': "1 2 3 4", 'x{name="b"}': "10 20 stale", 'y{name="a",kind="k"}': "5 5 5 5"}


def value(expr: str, store: Store, at: float) -> object:
    found = evaluate(compile_expr(expr).node, store, round(at * 1000))
    if not isinstance(found, list):
        return found
    return {
        " ".join(text if name == "__name__" else f"{name}={text}" for name, text in element): number
        for element, number in found
    }


def test_the_lookback_is_open_on_the_left() -> None:
    store = filled({"x": "7"})
    assert value("x", store, 299.999) == {"x": 7.0}
    assert value("x", store, 300.0) == {}


def test_ranges_are_open_on_the_left_and_closed_on_the_right() -> None:
    store = filled({"x": "1 2 3 4 5"}, step=10)
    assert value("count_over_time(x[20s])", store, 40.0) == {"": 2.0}  # 30 and 40; 20 is out
    assert value("sum_over_time(x[20s] offset 10s)", store, 40.0) == {"": 7.0}


def test_a_stale_marker_ends_a_series_but_does_not_cut_windows() -> None:
    store = filled(NAMED)
    assert value("x", store, 30.0) == {"x name=a": 3.0}
    assert value("sum_over_time(x[1m])", store, 30.0) == {"name=a": 6.0, "name=b": 30.0}
    assert value("x offset 15s", store, 30.0) == {"x name=a": 2.0, "x name=b": 20.0}


def test_fixed_instants_and_offsets_into_the_future() -> None:
    store = filled(NAMED)
    assert value('x{name="a"} @ 15', store, 500.0) == {"x name=a": 2.0}
    assert value('x{name="a"} offset -30s', store, 0.0) == {"x name=a": 3.0}
    assert value('x{name="a"} @ end()', store, 15.0) == {"x name=a": 2.0}


def test_names_are_dropped_where_the_value_is_no_longer_that_metric() -> None:
    store = filled(NAMED)
    at = 15.0
    assert value('x{name="a"} * 2', store, at) == {"name=a": 4.0}
    assert value('-x{name="a"}', store, at) == {"name=a": -2.0}
    assert value('abs(x{name="a"})', store, at) == {"name=a": 2.0}
    assert value('x{name="a"} > 1', store, at) == {"x name=a": 2.0}
    assert value('x{name="a"} > bool 1', store, at) == {"name=a": 1.0}
    assert value('last_over_time(x{name="a"}[1m])', store, at) == {"x name=a": 2.0}
    assert value('x{name="a"} and on (name) y', store, at) == {"x name=a": 2.0}


def test_a_comparison_keeps_the_vectors_value_on_whichever_side_it_stands() -> None:
    store = filled(NAMED)
    assert value("3 < x", store, 15.0) == {"x name=b": 20.0}
    assert value("x != x", store, 15.0) == {}


def test_vectors_match_by_labels() -> None:
    store = filled(NAMED)
    at = 15.0
    assert value("x + on (name) y", store, at) == {"name=a": 7.0}
    assert value("x * on (name) group_left (kind) y", store, at) == {"kind=k name=a": 10.0}
    assert value("y - on (name) group_right () x", store, at) == {"name=a": 3.0}
    assert value("x > on (name) y", store, at) == {}
    assert value("x unless on (name) y", store, at) == {"x name=b": 20.0}
    assert value("x or on (name) y", store, at) == {"x name=a": 2.0, "x name=b": 20.0}
    assert value('x{name="b"} or y', store, at) == {"x name=b": 20.0, "y kind=k name=a": 5.0}
    assert value("x + y", store, at) == {}


def test_ambiguous_matches_are_errors_not_guesses() -> None:
    store = filled({'m{a="1",b="1"}': "1", 'm{a="1",b="2"}': "2", 'o{a="1"}': "5"})
    for expr, words in (
        ("o + on (a) m", 'found duplicate series for the match group {a="1"} on the right hand-side'),
        ("o + on (a) group_left () m", "on the right hand-side"),
        ("m + on (a) group_right () o", "on the left hand-side"),
        ("m + on (a) o", "many-to-one matching must be explicit"),
        ("m + on (a) group_left (b) o", "grouping labels must ensure unique matches"),
    ):
        with pytest.raises(EvaluationError, match="match") as caught:
            value(expr, store, 0.0)
        assert words in str(caught.value)


def test_the_duplicate_check_comes_before_the_comparison_filters() -> None:
    store = filled({'m{a="1",b="1"}': "1", 'm{a="1",b="2"}': "2", 'o{a="1"}': "5"})
    with pytest.raises(EvaluationError, match="many-to-one"):
        value("m > on (a) o", store, 0.0)


def test_dropping_names_must_not_make_two_elements_one() -> None:
    store = filled({"x": "1", "y": "2"})
    with pytest.raises(EvaluationError, match="same labelset"):
        value('{__name__=~"x|y"} * 2', store, 0.0)


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("0 / 0", math.nan),
        ("5 % 0", math.nan),
        ("-5 % 3", -2.0),
        ("(1 / 0) % 3", math.nan),
        ("2 ^ 5000", math.inf),
        ("-2 ^ 5001", -math.inf),
        ("(0 - 2) ^ 5001", -math.inf),
        ("(0 - 2) ^ 0.5", math.nan),
        ("0 ^ -1", math.inf),
        ("-1 ^ 2", -1.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("1 == bool 1", 1.0),
        ("1 > bool 2", 0.0),
        ("scalar(none)", math.nan),
        ("time()", 42.0),
    ],
)
def test_numbers_never_raise(expr: str, wanted: float) -> None:
    found = value(expr, Store(), 42.0)
    assert isinstance(found, float)
    assert found == wanted or (math.isnan(found) and math.isnan(wanted))


def test_sums_do_not_lose_small_numbers_beside_large_ones() -> None:
    store = filled({'x{i="1"}': "1e16", 'x{i="2"}': "1", 'x{i="3"}': "-1e16"})
    assert value("sum(x)", store, 0.0) == {"": 1.0}
    assert value("sum_over_time(z[5m])", filled({"z": "1e16 1 -1e16"}, 1), 2.0) == {"": 1.0}


def test_averages_do_not_overflow() -> None:
    store = filled({'x{i="1"}': "1.7e308", 'x{i="2"}': "1.7e308"})
    assert value("avg(x)", store, 0.0) == {"": pytest.approx(1.7e308)}


def test_aggregations_group_and_ignore_nan_in_minimum_and_maximum() -> None:
    store = filled({'x{a="1",i="1"}': "NaN", 'x{a="1",i="2"}': "3", 'x{a="2",i="1"}': "NaN"})
    assert value('max by (a) (x{a="1"})', store, 0.0) == {"a=1": 3.0}
    assert math.isnan(value('min(x{a="2"})', store, 0.0)[""])  # type: ignore[index]
    assert value("count without (i) (x)", store, 0.0) == {"a=1": 2.0, "a=2": 1.0}
    assert value("count by (none) (x)", store, 0.0) == {"": 3.0}


def test_absent_carries_the_labels_that_were_asked_for_exactly() -> None:
    store = filled({"x": "1"})
    assert value("absent(x)", store, 0.0) == {}
    assert value('absent(y{a="1", b=~"2", c!="3", d=""})', store, 0.0) == {"a=1": 1.0}
    assert value('absent(y{a="1", a="2"})', store, 0.0) == {"": 1.0}
    assert value("absent(sum(y))", store, 0.0) == {"": 1.0}
    assert value('absent_over_time(y{a="1"}[5m])', store, 0.0) == {"a=1": 1.0}


def test_timestamp_sees_the_samples_own_time_only_over_a_selector() -> None:
    store = filled({"x": "1 2"})
    assert value("timestamp(x)", store, 100.0) == {"": 15.0}
    assert value("timestamp(x * 1)", store, 100.0) == {"": 100.0}


def test_an_evaluation_has_a_purse() -> None:
    store = filled({"x": " ".join(["1"] * 1000)}, step=1)
    node = compile_expr("sum_over_time(x[1h]) + sum_over_time(x[1h])").node
    assert evaluate(node, store, 999_000, purse=3000)
    with pytest.raises(EvaluationError, match="shorter range"):
        evaluate(node, store, 999_000, purse=1500)


def test_hostile_label_values_match_byte_for_byte() -> None:
    store = Store()
    nasty = 'q"\\ \n#+/$`é'
    store.append(1.0, [Sample(labels("x", name=nasty), 1.0)])
    expr = 'x{name="q\\"\\\\ \\n#+/$`é"}'
    assert evaluate(compile_expr(expr).node, store, 1000) == [(labels("x", name=nasty), 1.0)]
    assert evaluate(compile_expr('x{name=~"q.+"}').node, store, 1000) != []  # a dot matches a line break
