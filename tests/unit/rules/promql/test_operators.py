"""Binary operators: arithmetic at its edges, and how two vectors find each other."""

import math

import pytest

from supervisor.facts import labels
from supervisor.rules import EvaluationError
from supervisor.rules.promql.operators import ARITHMETIC, power
from supervisor.samples import Store
from tests.support.promql import answer
from tests.support.rules import filled

NAMED = {'x{name="a"}': "1 2 3 4", 'x{name="b"}': "10 20 stale", 'y{name="a",kind="k"}': "5 5 5 5"}
TWICE = {'m{a="1",b="1"}': "1", 'm{a="1",b="2"}': "2", 'o{a="1"}': "5"}
SIDES = {
    'left{l="a"}': "10",
    'left{l="b"}': "20",
    'left{l="c"}': "30",
    'right{l="a"}': "100",
    'right{l="b"}': "200",
    'right{l="d"}': "400",
}
JOINED = {
    'req{m="get",s="200"}': "100",
    'req{m="put",s="200"}': "200",
    'cap{s="200",owner="x"}': "1000",
    'cap{s="500",owner="y"}': "50",
}


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("0 / 0", math.nan),
        ("NaN / 0", math.nan),
        ("5 % 0", math.nan),
        ("-5 % 3", -2.0),
        ("(1 / 0) % 3", math.nan),
        ("2 ^ 5000", math.inf),
        ("-2 ^ 5001", -math.inf),
        ("(0 - 2) ^ 5001", -math.inf),
        ("(0 - 2) ^ 5002", math.inf),
        ("(0 - 2) ^ 0.5", math.nan),
        ("0 ^ -1", math.inf),
        ("-1 ^ 2", -1.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("1e308 * 10", math.inf),
        ("Inf - Inf", math.nan),
        ("0 atan2 -1", math.pi),
        ("1 == bool 1", 1.0),
        ("1 > bool 2", 0.0),
        ("NaN == bool NaN", 0.0),
        ("NaN != bool NaN", 1.0),
    ],
)
def test_numbers_never_raise(expr: str, wanted: float) -> None:
    found = answer(expr, Store(), 42.0)
    assert isinstance(found, float)
    assert found == wanted or (math.isnan(found) and math.isnan(wanted))


def test_a_negative_power_of_zero_keeps_the_sign_of_odd_ones() -> None:
    assert power(-0.0, -3.0) == -math.inf
    assert power(-0.0, -2.0) == math.inf
    assert power(-0.0, -2.5) == math.inf


def test_arithmetic_on_whatever_floats_there_are_gives_a_float() -> None:
    odd = [0.0, -0.0, 1.0, -1.5, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 2.0**63, 3.0]
    for op, run in ARITHMETIC.items():
        for left in odd:
            for right in odd:
                assert isinstance(run(left, right), float), (op, left, right)


def test_names_are_dropped_where_the_value_is_no_longer_that_metric() -> None:
    store = filled(NAMED)
    at = 15.0
    assert answer('x{name="a"} * 2', store, at) == {"name=a": 4.0}
    assert answer('2 * x{name="a"}', store, at) == {"name=a": 4.0}
    assert answer('x{name="a"} > 1', store, at) == {"x name=a": 2.0}
    assert answer('x{name="a"} > bool 1', store, at) == {"name=a": 1.0}
    assert answer('x{name="a"} and on (name) y', store, at) == {"x name=a": 2.0}


def test_type_and_unit_go_with_the_name() -> None:
    store = filled({'t{__type__="counter",__unit__="s",a="1"}': "7"})
    assert answer("t * 2", store, 0.0) == {"a=1": 14.0}
    assert answer("t > 2", store, 0.0) == {"t __type__=counter __unit__=s a=1": 7.0}


def test_a_comparison_keeps_the_vectors_value_on_whichever_side_it_stands() -> None:
    store = filled(NAMED)
    assert answer("3 < x", store, 15.0) == {"x name=b": 20.0}
    assert answer("3 < bool x", store, 15.0) == {"name=a": 0.0, "name=b": 1.0}
    assert answer("x != x", store, 15.0) == {}


def test_vectors_match_by_labels() -> None:
    store = filled(NAMED)
    at = 15.0
    assert answer("x + on (name) y", store, at) == {"name=a": 7.0}
    assert answer("x + ignoring (kind) y", store, at) == {"name=a": 7.0}
    assert answer("x * on (name) group_left (kind) y", store, at) == {"kind=k name=a": 10.0}
    assert answer("y - on (name) group_right () x", store, at) == {"name=a": 3.0}
    assert answer("x > on (name) y", store, at) == {}
    assert answer("y > on (name) x", store, at) == {"name=a": 5.0}
    assert answer("y > ignoring (kind) x", store, at) == {"y name=a": 5.0}
    assert answer("y > bool ignoring (kind) x", store, at) == {"name=a": 1.0}
    assert answer("x + y", store, at) == {}


def test_the_name_matches_only_where_it_is_asked_to() -> None:
    store = filled({'x{a="1"}': "1", 'z{a="1"}': "2"})
    assert answer("x + z", store, 0.0) == {"a=1": 3.0}
    assert answer("x + on (a, __name__) z", store, 0.0) == {}
    assert answer("x == on (a, __name__) x", store, 0.0) == {"x a=1": 1.0}


def test_set_operators_look_at_what_matches_alone() -> None:
    store = filled(NAMED)
    at = 15.0
    assert answer("x unless on (name) y", store, at) == {"x name=b": 20.0}
    assert answer("x or on (name) y", store, at) == {"x name=a": 2.0, "x name=b": 20.0}
    assert answer('x{name="b"} or y', store, at) == {"x name=b": 20.0, "y kind=k name=a": 5.0}
    assert answer("x and none", store, at) == {}
    assert answer("x unless none", store, at) == answer("x", store, at)
    assert answer("none or x", store, at) == answer("x", store, at)
    assert answer("x and on () y", store, at) == answer("x", store, at)


def test_labels_of_the_one_side_replace_those_of_the_many() -> None:
    store = filled(JOINED)
    assert answer("req / on (s) group_left (owner) cap", store, 0.0) == {
        "m=get owner=x s=200": 0.1,
        "m=put owner=x s=200": 0.2,
    }
    assert answer("req / on (s) group_left (m) cap", filled({**JOINED, 'req{m="put",s="200"}': "_"}), 0.0) == {
        "s=200": 0.1  # a label that the one side lacks is taken away
    }
    assert answer("cap > on (s) group_right (owner) req", store, 0.0) == {
        "req m=get owner=x s=200": 1000.0,
        "req m=put owner=x s=200": 1000.0,
    }


def test_ambiguous_matches_are_errors_not_guesses() -> None:
    store = filled(TWICE)
    for expr, words in (
        ("o + on (a) m", 'found duplicate series for the match group {a="1"} on the right hand-side'),
        ("o + on (a) group_left () m", "on the right hand-side"),
        ("m + on (a) group_right () o", "on the left hand-side"),
        ("m + on (a) o", "many-to-one matching must be explicit"),
        ("m + on (a) group_left (b) o", "grouping labels must ensure unique matches"),
    ):
        with pytest.raises(EvaluationError, match="match") as caught:
            answer(expr, store, 0.0)
        assert words in str(caught.value)
    with pytest.raises(EvaluationError, match="match") as caught:
        answer("o + on (a) m", store, 0.0)
    assert str(caught.value) == (
        'found duplicate series for the match group {a="1"} on the right hand-side of the operation: '
        '[m{a="1", b="2"}, m{a="1", b="1"}];many-to-many matching not allowed: '
        "matching labels must be unique on one side"
    )


def test_an_empty_side_is_no_error_whatever_the_other_is() -> None:
    assert answer("none + on (a) m", filled(TWICE), 0.0) == {}
    assert answer("m + on (a) none", filled(TWICE), 0.0) == {}


@pytest.mark.parametrize("op", ["> 100 * ", ">", "== bool"])
def test_the_duplicate_check_comes_before_the_comparison_filters(op: str) -> None:
    word, _, factor = op.partition("100 ")
    expr = f"m {word} on (a) ({'100 * ' if factor else ''}o)"
    with pytest.raises(EvaluationError, match="many-to-one"):
        answer(expr, filled(TWICE), 0.0)


def test_a_missing_partner_can_be_filled_in() -> None:
    store = filled(SIDES)
    both = {"l=a": 110.0, "l=b": 220.0}
    assert answer("left + fill(0) right", store, 0.0) == {**both, "l=c": 30.0, "l=d": 400.0}
    assert answer("left + fill_left(0) right", store, 0.0) == {**both, "l=d": 400.0}
    assert answer("left + fill_right(0) right", store, 0.0) == {**both, "l=c": 30.0}
    assert answer("left + fill_left(5) fill_right(7) right", store, 0.0) == {**both, "l=c": 37.0, "l=d": 405.0}
    assert answer("left - fill(1) right", store, 0.0) == {"l=a": -90.0, "l=b": -180.0, "l=c": 29.0, "l=d": -399.0}


def test_filled_comparisons_filter_and_name_as_the_others_do() -> None:
    store = filled(SIDES)
    assert answer("left == fill(30) right", store, 0.0) == {"left l=c": 30.0}
    assert answer("left != fill(30) right", store, 0.0) == {"left l=a": 10.0, "left l=b": 20.0, "l=d": 30.0}
    assert answer("left > bool fill(25) right", store, 0.0) == {"l=a": 0.0, "l=b": 0.0, "l=c": 1.0, "l=d": 0.0}


def test_a_whole_side_can_be_missing() -> None:
    store = filled(SIDES)
    every = {"l=a": 10.0, "l=b": 20.0, "l=c": 30.0}
    assert answer("left + fill_right(0) none", store, 0.0) == every
    assert answer("none + fill_left(0) left", store, 0.0) == every
    assert answer("left + fill_left(0) none", store, 0.0) == {}
    assert answer("none + fill(0) none", store, 0.0) == {}


def test_filling_in_where_many_match_one() -> None:
    store = filled(JOINED)
    joined = {"m=get s=200": 1100.0, "m=put s=200": 1200.0}
    assert answer("req + on (s) group_left fill_left(0) cap", store, 0.0) == {**joined, "s=500": 50.0}
    assert answer("cap + on (s) group_right fill_right(0) req", store, 0.0) == {**joined, "s=500": 50.0}
    assert answer("cap + on (s) group_right fill_left(0) req", store, 0.0) == joined
    one = filled({**JOINED, 'cap{s="200",owner="x"}': "_"})
    assert answer("req + on (s) group_left (owner) fill_right(1) cap", one, 0.0) == {
        "m=get s=200": 101.0,  # what is filled in has no labels to take over
        "m=put s=200": 201.0,
    }


def test_dropping_names_must_not_make_two_elements_one() -> None:
    store = filled({"x": "1", "y": "2"})
    for expr in ('{__name__=~"x|y"} * 2', '2 - {__name__=~"x|y"}', '{__name__=~"x|y"} > bool 1', '-{__name__=~"x|y"}'):
        with pytest.raises(EvaluationError, match="vector cannot contain metrics with the same labelset"):
            answer(expr, store, 0.0)
    for expr in (
        '{__name__=~"x|y"} + on (__name__) {__name__=~"x|y"}',
        '{__name__=~"x|y"} == bool on (job, __name__) {__name__=~"x|y"}',
    ):
        with pytest.raises(EvaluationError, match="same labelset"):
            answer(expr, store, 0.0)
    assert answer('{__name__=~"x|y"} == on (__name__) {__name__=~"x|y"}', store, 0.0) == {"x": 1.0, "y": 2.0}
    with pytest.raises(EvaluationError, match="same labelset"):
        answer("abs(x or on (nothing, __name__) y)", store, 0.0)
    assert answer('{__name__=~"x|y"} > 1', store, 0.0) == {"y": 2.0}


def test_hostile_labels_do_not_confuse_matching() -> None:
    store = Store()
    pairs = (('", "b', "c"), ("a", '", "b"'), ("a\\", "b"), ("a", "\\b"))
    for index, (one, other) in enumerate(pairs):
        store.restore([(labels("p", a=one, b=other), 0, float(index)), (labels("q", a=one, b=other), 0, 10.0)])
    found = answer("p + q", store, 0.0)
    assert isinstance(found, dict)
    assert sorted(found.values()) == [10.0, 11.0, 12.0, 13.0]
    assert isinstance(answer("p + on (a, b) group_left () q", store, 0.0), dict)
