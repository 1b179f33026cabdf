"""Classic histograms: quantiles and shares of what lies in buckets."""

import math

import pytest

from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import Frame, Options, evaluate
from supervisor.rules.promql.functions.histogram import bound, bucket_fraction, bucket_quantile
from tests.support.rules import filled

INF = math.inf
BUCKETS = [(0.1, 10.0), (0.2, 30.0), (1.0, 40.0), (INF, 50.0)]
SERIES = {f'h_bucket{{svc="a",le="{le}"}}': count for le, count in (("0.1", "10"), ("2e-1", "30"), ("1", "40"))}
STORE = filled({**SERIES, 'h_bucket{svc="a",le="+Inf"}': "50", 'h_bucket{svc="b",le="0.5"}': "1", "g": "3"})


def quantile(phi: float, buckets: list[tuple[float, float]] = BUCKETS) -> float:
    return bucket_quantile(phi, buckets)[0]


def value(expr: str) -> object:
    return evaluate(compile_expr(expr).node, STORE, 0)


def test_within_a_bucket_observations_are_spread_evenly() -> None:
    assert quantile(0.4) == pytest.approx(0.15)  # the 20th of 50: half of the second bucket
    assert quantile(0.1) == pytest.approx(0.05)  # the first bucket starts at 0
    assert quantile(0.7) == pytest.approx(0.6)


def test_the_last_bucket_has_no_end_so_its_start_is_the_answer() -> None:
    assert quantile(0.95) == 1.0
    assert quantile(1.0) == 1.0


def test_a_first_bucket_that_ends_below_zero_has_no_start() -> None:
    assert quantile(0.1, [(-1.0, 10.0), (5.0, 20.0), (INF, 20.0)]) == -1.0
    assert quantile(0.75, [(-1.0, 10.0), (5.0, 20.0), (INF, 20.0)]) == 2.0


def test_quantiles_that_are_none() -> None:
    assert quantile(-0.1) == -INF
    assert quantile(1.1) == INF
    assert math.isnan(quantile(math.nan))


@pytest.mark.parametrize(
    "buckets",
    [
        [(0.1, 5.0), (1.0, 9.0)],  # no +Inf
        [(INF, 9.0)],  # one bucket
        [(0.1, 0.0), (INF, 0.0)],  # nothing observed
    ],
)
def test_histograms_that_say_nothing(buckets: list[tuple[float, float]]) -> None:
    assert math.isnan(quantile(0.5, buckets))


def test_the_rank_zero_in_an_empty_first_bucket_is_nowhere() -> None:
    assert math.isnan(quantile(0.0, [(0.1, 0.0), (INF, 10.0)]))


def test_counts_that_fall_are_forced_to_rise_and_noise_is_not_worth_a_word() -> None:
    assert bucket_quantile(0.5, [(1.0, 10.0), (2.0, 8.0), (4.0, 20.0), (INF, 20.0)]) == (1.0, True)
    noisy = [(1.0, 10.0), (2.0, 10.0 - 1e-13), (4.0, 20.0), (INF, 20.0)]
    assert bucket_quantile(0.75, noisy) == (pytest.approx(3.0), False)
    rising = [(1.0, 10.0), (2.0, 10.0 + 1e-13), (4.0, 20.0), (INF, 20.0)]
    assert bucket_quantile(0.5, rising) == (1.0, False)


def test_the_share_between_two_values() -> None:
    assert bucket_fraction(0, 0.1, BUCKETS) == pytest.approx(0.2)
    assert bucket_fraction(-INF, INF, BUCKETS) == 1.0
    assert bucket_fraction(0.15, 0.6, BUCKETS) == pytest.approx((35 - 20) / 50)
    assert bucket_fraction(0.6, 0.6, BUCKETS) == 0.0
    assert bucket_fraction(1, INF, BUCKETS) == pytest.approx(0.2)
    assert math.isnan(bucket_fraction(0, math.nan, BUCKETS))
    assert math.isnan(bucket_fraction(0, 1, BUCKETS[:3]))


def test_the_first_bucket_starts_at_zero_if_it_ends_above_it() -> None:
    # since Prometheus 3.8; before, it was NaN
    assert bucket_fraction(0.05, 0.2, BUCKETS) == pytest.approx((30 - 5) / 50)
    assert bucket_fraction(-10, -5, BUCKETS) == 0.0
    below = [(-3.0, 10.0), (-2.0, 12.0), (-1.0, 15.0), (INF, 100.0)]
    assert bucket_fraction(-4, -2, below) == pytest.approx(0.02)  # all ten lie at its upper end
    assert bucket_fraction(-INF, -1.5, below) == pytest.approx(0.135)
    assert bucket_fraction(0, 1, below) == 0.0
    assert bucket_fraction(0, 1, [(INF, 100.0)]) == 0.0


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("1e1", 10.0),
        ("+Inf", INF),
        ("inf", INF),
        (".5", 0.5),
        ("5.", 5.0),
        ("0x1p-2", 0.25),
        ("", None),
        (" 1", None),
        ("1_0", None),
        ("٣", None),
        ("x", None),
        ("0xp1", None),
    ],
)
def test_a_bound_is_a_number_as_go_reads_it(label: str, expected: float | None) -> None:
    assert bound(label) == expected


def test_the_buckets_of_a_histogram_find_each_other_and_the_name_goes() -> None:
    found = value("histogram_quantile(0.4, h_bucket)")
    assert found == [((("svc", "a"),), pytest.approx(0.15)), ((("svc", "b"),), pytest.approx(math.nan, nan_ok=True))]
    assert value("histogram_fraction(0, 0.1, h_bucket{svc='a'})") == [((("svc", "a"),), pytest.approx(0.2))]


def test_bounds_written_differently_are_one_bucket() -> None:
    store = filled({'h{le="1"}': "3", 'h{le="1.0"}': "4", 'h{le="2"}': "10", 'h{le="+Inf"}': "10"})
    node = compile_expr("histogram_quantile(0.35, h)").node
    assert evaluate(node, store, 0) == [((), pytest.approx(0.5))]


def test_two_metrics_are_two_histograms_even_if_only_names_tell() -> None:
    store = filled({f'{name}{{le="{le}"}}': "5" for name in ("a", "b") for le in ("1", "+Inf")})
    with pytest.raises(EvaluationError, match="same labelset"):
        evaluate(compile_expr('histogram_quantile(0.5, {__name__=~"a|b"})').node, store, 0)


def test_several_quantiles_at_once() -> None:
    found = value('histogram_quantiles(h_bucket{svc="a"}, "q", 0.1, 0.4, 1)')
    assert found == [
        ((("q", "0.1"), ("svc", "a")), pytest.approx(0.05)),
        ((("q", "0.4"), ("svc", "a")), pytest.approx(0.15)),
        ((("q", "1.0"), ("svc", "a")), 1.0),
    ]


def test_what_prometheus_would_warn_of_is_noted_when_asked_for() -> None:
    store = filled({'h{le="1"}': "9", 'h{le="2"}': "3", 'h{le="+Inf"}': "10", "h": "1"})
    frame = Frame(store, 0, options=Options(annotate=True))
    frame.value(compile_expr("histogram_quantile(0.5, h)").node)
    assert [note.partition(" (see")[0] for note in frame.notes] == [
        'PromQL warning: bucket label "le" is missing or has a malformed value of "" for metric name "h"',
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity",
    ]
    frame.value(compile_expr("histogram_quantile(1.5, h)").node)
    assert "PromQL warning: quantile value should be between 0 and 1, got 1.5" in frame.notes
