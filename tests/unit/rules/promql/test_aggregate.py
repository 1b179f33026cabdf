"""Aggregations: groups, and what each gives at its edges."""

import math
import random

import pytest

from supervisor.facts import labels
from supervisor.rules import EvaluationError
from supervisor.rules.promql.aggregate import short, written
from supervisor.rules.promql.evaluate import Options
from supervisor.rules.promql.ranking import best, share
from supervisor.rules.promql.sums import mean, neumaier, quantile, spread, total
from supervisor.samples import Store
from tests.support.promql import answer
from tests.support.rules import filled

FOUR = {'x{a="1",i="1"}': "1", 'x{a="1",i="2"}': "4", 'x{a="2",i="1"}': "3", 'x{a="2",i="2"}': "2"}


def value(expr: str, series: dict[str, str] = FOUR) -> object:
    return answer(expr, filled(series), 0.0)


def test_groups_by_and_without_labels() -> None:
    assert value("sum(x)") == {"": 10.0}
    assert value("sum by (a) (x)") == {"a=1": 5.0, "a=2": 5.0}
    assert value("sum without (a) (x)") == {"i=1": 4.0, "i=2": 6.0}
    assert value("sum without () (x)") == {"a=1 i=1": 1.0, "a=1 i=2": 4.0, "a=2 i=1": 3.0, "a=2 i=2": 2.0}
    assert value("max by (none) (x)") == {"": 4.0}
    assert value("min by (__name__, a) (x)") == {"x a=1": 1.0, "x a=2": 2.0}
    assert value("count by (a) (x > 2)") == {"a=1": 1.0, "a=2": 1.0}
    assert value("group(x)") == {"": 1.0}
    assert value("avg(x)") == {"": 2.5}
    assert value("sum(none)") == {}


def test_deviations_are_those_of_the_population() -> None:
    assert value("stdvar(x)") == {"": 1.25}
    assert value("stddev(x)") == {"": math.sqrt(1.25)}
    assert value("stddev by (a, i) (x)") == dict.fromkeys(("a=1 i=1", "a=1 i=2", "a=2 i=1", "a=2 i=2"), 0.0)


@pytest.mark.parametrize("odd", ["NaN", "Inf", "-Inf"])
@pytest.mark.parametrize("where", ["0", "1"])
def test_a_deviation_from_what_is_not_finite_is_no_number(odd: str, where: str) -> None:
    series = {'x{i="0"}': "1", 'x{i="1"}': "2", f'x{{i="{where}"}}': odd, 'y{i="0"}': odd}
    for expr in ("stddev(x)", "stdvar(x)", "stddev(y)", "stdvar(y)"):
        found = value(expr, series)
        assert isinstance(found, dict)
        assert math.isnan(found[""]), expr


def test_minimum_and_maximum_ignore_nan_beside_numbers() -> None:
    store = filled({'x{a="1",i="1"}': "NaN", 'x{a="1",i="2"}': "3", 'x{a="2",i="1"}': "NaN", 'x{a="1",i="3"}': "NaN"})
    assert answer('max by (a) (x{a="1"})', store, 0.0) == {"a=1": 3.0}
    assert answer('min by (a) (x{a="1",i!="1"})', store, 0.0) == {"a=1": 3.0}
    found = answer('min(x{a="2"})', store, 0.0)
    assert isinstance(found, dict)
    assert math.isnan(found[""])


def test_sums_do_not_lose_small_numbers_beside_large_ones() -> None:
    assert value("sum(x)", {'x{i="1"}': "1e16", 'x{i="2"}': "1", 'x{i="3"}': "-1e16"}) == {"": 1.0}
    assert total([0.1] * 10) == 1.0


def test_sums_are_prometheus_own_also_where_nothing_could_save_them() -> None:
    """Values of too many magnitudes: its compensated sum loses the 3, and an exact one would disagree with it."""
    values = [1e100, 1e50, 3.0, -1e100, -1e50]
    assert total(values) == neumaier(values) == mean(values) == 0.0
    rng = random.Random(5)
    for _ in range(2000):
        given = [
            rng.choice((rng.uniform(-1, 1), float(rng.randint(-9, 9)), 0.1, -0.3)) for _ in range(rng.randint(1, 9))
        ]
        assert total(given) == neumaier(given)
    assert math.isnan(total([math.nan, 1.0]))
    assert math.isnan(total([1.0, math.nan]))
    assert total([5e-324, -5e-324]) == 0.0


def test_averages_do_not_overflow() -> None:
    assert value("avg(x)", {'x{i="1"}': "1.7e308", 'x{i="2"}': "1.7e308"}) == {"": pytest.approx(1.7e308)}
    assert mean([1.7e308, -1.7e308, 1.7e308]) == pytest.approx(1.7e308 / 3)
    assert mean([-1.7e308, -1.7e308, math.inf]) == math.inf
    assert mean([math.inf, 1.0]) == math.inf
    assert math.isnan(mean([math.inf, -math.inf]))
    assert math.isnan(mean([1.0, math.nan]))
    assert mean([1e308] * 7) == pytest.approx(1e308)


def test_spread_is_never_an_error() -> None:
    assert spread([3.0]) == 0.0
    assert math.isnan(spread([1e308, -1e308, 1e308])) or spread([1e308, -1e308, 1e308]) == math.inf


def test_quantiles_lie_on_the_line_between_the_nearest() -> None:
    assert value("quantile(0.5, x)") == {"": 2.5}
    assert value("quantile by (a) (0, x)") == {"a=1": 1.0, "a=2": 2.0}
    assert value("quantile(1, x)") == {"": 4.0}
    assert value("quantile(-0.1, x)") == {"": -math.inf}
    assert value("quantile(1.1, x)") == {"": math.inf}
    assert value("quantile(scalar(none), none)") == {}
    assert math.isnan(quantile(math.nan, [1.0]))
    assert quantile(0.5, [3.0, math.nan, 1.0]) == 1.0  # NaN is lower than all else
    assert quantile(0.25, [10.0, 20.0]) == 12.5


def test_the_highest_come_first_and_nan_last() -> None:
    store = filled({**FOUR, 'x{a="3",i="1"}': "NaN"})
    found = answer("topk(3, x)", store, 0.0)
    assert isinstance(found, dict)
    assert list(found.items()) == [("x a=1 i=2", 4.0), ("x a=2 i=1", 3.0), ("x a=2 i=2", 2.0)]
    found = answer("bottomk(9, x)", store, 0.0)
    assert isinstance(found, dict)
    assert list(found) == ["x a=1 i=1", "x a=2 i=2", "x a=2 i=1", "x a=1 i=2", "x a=3 i=1"]
    odd = filled({'x{i="1"}': "NaN", 'x{i="2"}': "1", 'x{i="3"}': "NaN"})
    found = answer("topk(5, x)", odd, 0.0)
    assert isinstance(found, dict)
    assert list(found) == ["x i=2", "x i=1", "x i=3"]
    assert answer("topk by (a) (1, x)", store, 0.0) == {
        "x a=1 i=2": 4.0,
        "x a=2 i=1": 3.0,
        "x a=3 i=1": pytest.approx(math.nan, nan_ok=True),
    }
    assert answer("bottomk without (a) (1, x)", store, 0.0) == {"x a=1 i=1": 1.0, "x a=2 i=2": 2.0}


def test_how_many_to_choose_is_any_number() -> None:
    assert value("topk(0.9, x)") == {}
    assert value("topk(-Inf, x)") == {}
    assert value("topk(1.9, x)") == {"x a=1 i=2": 4.0}
    assert value("topk(scalar(x{a='1',i='1'}), x)") == {"x a=1 i=2": 4.0}
    assert value("limitk(2, x)") == {"x a=1 i=1": 1.0, "x a=1 i=2": 4.0}
    assert value("limitk by (a) (1, x)") == {"x a=1 i=1": 1.0, "x a=2 i=1": 3.0}
    for expr, words in (
        ("topk(NaN, x)", "Parameter value is NaN"),
        ("bottomk(Inf, x)", "Scalar value +Inf overflows int64"),
        ("limitk(1e30, x)", "Scalar value 1e+30 overflows int64"),
        ("limit_ratio(NaN, x)", "Ratio value is NaN"),
    ):
        with pytest.raises(EvaluationError) as caught:
            value(expr)
        assert str(caught.value) == words


def test_among_equals_a_heap_decides_as_it_does_upstream() -> None:
    elements = [(labels("x", i=str(index)), number) for index, number in enumerate([1.0, 1, 2, 1, 2, 0])]
    assert [dict(of)["i"] for of, _number in best(elements, 3, top=True)] == ["4", "2", "1"]
    assert [dict(of)["i"] for of, _number in best(elements, 2, top=False)] == ["5", "1"]


def test_a_ratio_and_its_complement_share_the_elements_out() -> None:
    store = Store()
    store.restore([(labels("x", i=str(index)), 0, 1.0) for index in range(200)])
    one, rest = answer("limit_ratio(0.3, x)", store, 0.0), answer("limit_ratio(-0.7, x)", store, 0.0)
    assert isinstance(one, dict)
    assert isinstance(rest, dict)
    assert 30 < len(one) < 90
    assert set(one) | set(rest) == set(answer("x", store, 0.0))  # type: ignore[arg-type]
    assert not set(one) & set(rest)
    assert answer("limit_ratio(2, x)", store, 0.0) == answer("x", store, 0.0)
    assert answer("limit_ratio(-2, x)", store, 0.0) == answer("x", store, 0.0)
    assert answer("limit_ratio(0, x)", store, 0.0) == {}


def test_values_are_counted_by_their_shortest_text() -> None:
    assert value('count_values("v", x)', {'x{i="1"}': "1", 'x{i="2"}': "1", 'x{i="3"}': "0.1"}) == {
        "v=1": 2.0,
        "v=0.1": 1.0,
    }
    assert value('count_values by (a) ("v", x % 2)') == {
        "a=1 v=1": 1.0, "a=1 v=0": 1.0, "a=2 v=1": 1.0, "a=2 v=0": 1.0,
    }  # fmt: skip
    assert value('count_values without (i) ("i", x % 2)') == {"a=1": 2.0, "a=2": 2.0}
    assert value('count_values("a", x > 3)') == {"a=4": 1.0}
    with pytest.raises(EvaluationError, match='invalid label name ""'):
        value('count_values("", x)')
    with pytest.raises(EvaluationError, match="invalid label name"):
        value(r'count_values("a\xc5", x)')


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (math.nan, "NaN"), (-math.inf, "-Inf"), (0.0, "0"), (1.5, "1.5"), (-2.0, "-2"), (1.123456789, "1.123456789"),
        (100000.0, "100000"), (2e6, "2e+06"), (1234567.0, "1.234567e+06"), (2.0**63, "9.223372036854776e+18"),
        (0.0001, "0.0001"), (-1.5e-5, "-1.5e-05"), (1e-300, "1e-300"),
    ],
)  # fmt: skip
def test_a_number_in_a_message_is_written_as_go_does(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_as_a_label_has_no_exponent(number: float, text: str) -> None:
    assert written(number) == text


def test_aggregations_of_names_to_be_dropped() -> None:
    store = filled({'x_total{e="1"}': "0 60 120", 'y_total{e="1"}': "60 120 180"}, 300)
    late = Options(delayed_names=True)
    assert answer('sum by (e) (rate({e="1"}[10m]))', store, 600.0, late) == {"e=1": pytest.approx(0.4)}
    assert answer("topk(10, sum by (__name__, e) (x_total))", store, 600.0, late) == {"x_total e=1": 120.0}
    assert answer("topk(10, sum by (__name__, e) (rate(x_total[10m])))", store, 600.0, late) == {"e=1": 0.2}
    with pytest.raises(EvaluationError, match="same labelset"):
        answer('sum by (__name__) (rate({e="1"}[10m]))', store, 600.0, late)


def test_the_share_of_a_label_set_is_the_same_on_every_machine() -> None:
    # the three that Prometheus 3.5.3 chooses
    assert [index for index in range(8) if share(labels("x", i=str(index)), 0.5)] == [3, 5, 7]
    long = labels("metric_with_a_long_name", service="a" * 300, zone="b" * 40)
    assert share(long, 0.9999) != share(long, -0.0001)
