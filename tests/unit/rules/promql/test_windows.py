"""Window functions by hand-made numbers, above all where Prometheus 3 differs from the oracle's 2.42."""

import math
from operator import gt, lt

import pytest

from supervisor.rules.promql import windows
from supervisor.rules.promql.sums import mean, neumaier, products, total


def increase(times: list[int], values: list[float], start: int, end: int) -> float | None:
    return windows.extrapolated(times, values, start, end, counter=True, rate=False)


def line(times: list[int], values: list[float], origin: int) -> tuple[float, float] | None:
    return windows.regression(values, windows.axis(times, origin))


def test_one_sample_says_nothing_about_change() -> None:
    assert increase([1000], [5.0], 0, 60_000) is None
    assert windows.last_two([1000], [5.0], counter=True) is None
    assert line([1000], [5.0], 0) is None
    assert windows.smoothed([5.0], 0.5, 0.5) is None


def test_increase_is_stretched_to_edges_that_are_near() -> None:
    # samples every 10 s from 5 to 55 in a window of 60: both edges are within 1.1 of the spacing
    times = list(range(5_000, 60_000, 10_000))
    assert increase(times, [100.0, 101, 102, 103, 104, 105], 0, 60_000) == pytest.approx(6.0)
    assert windows.extrapolated(times, [100.0, 101, 102, 103, 104, 105], 0, 60_000, True, True) == pytest.approx(0.1)


def test_increase_is_stretched_by_half_a_spacing_to_edges_that_are_far() -> None:
    times = [30_000, 40_000]
    assert increase(times, [100.0, 110.0], 0, 80_000) == pytest.approx(20.0)


@pytest.mark.parametrize(("edge", "expected"), [(10_900, 20.9), (11_000, 15.0)])
def test_an_edge_is_near_up_to_a_tenth_more_than_the_spacing(edge: int, expected: float) -> None:
    assert increase([50_000, 60_000], [100.0, 110.0], 50_000 - edge, 60_000) == pytest.approx(expected)
    assert increase([50_000, 60_000], [100.0, 110.0], 50_000, 60_000 + edge) == pytest.approx(expected)


def test_a_counter_is_not_stretched_below_zero_also_when_the_edge_is_far() -> None:
    # Prometheus 3: the far edge gives half a spacing (5 s), the zero cap (1 s) then wins
    assert increase([30_000, 40_000], [1.0, 11.0], 0, 40_000) == pytest.approx(11.0)
    # and where the cap is the larger of the two, half a spacing stays
    assert increase([30_000, 40_000], [8.0, 18.0], 0, 40_000) == pytest.approx(15.0)


def test_resets_are_seen_as_growth_from_zero() -> None:
    assert windows.falls([5.0, 7, 2, 3, 1]) == [7.0, 3.0]
    assert windows.resets([5.0, 7, 2, 3, 1]) == 2.0
    times = [0, 10_000, 20_000]
    assert increase(times, [100.0, 5, 10], 0, 20_000) == pytest.approx(10.0)
    assert windows.extrapolated(times, [100.0, 5, 10], 0, 20_000, False, False) == pytest.approx(-90.0)


def test_the_last_two_samples_alone() -> None:
    assert windows.last_two([0, 5000, 15_000], [9.0, 10, 20], counter=True) == 1.0
    assert windows.last_two([0, 10_000], [9.0, 5.0], counter=True) == 0.5
    assert windows.last_two([0, 10_000], [9.0, 5.0], counter=False) == -4.0


def test_changes_take_nan_for_equal_to_nan() -> None:
    assert windows.changes([1.0, 1.0, 2.0, math.nan, math.nan, 2.0]) == 3.0


def test_a_line_through_the_samples() -> None:
    times, values = [0, 10_000, 20_000], [10.0, 20.0, 30.0]
    assert line(times, values, 30_000) == (pytest.approx(1.0), pytest.approx(40.0))
    assert line(times, [7.0, 7.0, 7.0], 0) == (0.0, 7.0)
    assert all(math.isnan(part) for part in line(times, [math.inf] * 3, 0) or (0,))
    assert all(math.isnan(part) for part in line(times, [math.nan] * 3, 0) or (0,))


def test_a_line_seen_from_too_far_away_is_not_a_number_rather_than_an_error() -> None:
    assert all(math.isnan(part) for part in line([0, 1], [1.0, 2.0], -(10**19)) or (0,))


def test_the_last_of_equal_extremes_counts_and_a_number_beats_nan() -> None:
    times = [1000, 2000, 3000, 4000]
    assert windows.when(times, [5.0, 9.0, 9.0, 1.0], gt) == 3.0
    assert windows.when(times, [5.0, 1.0, 9.0, 1.0], lt) == 4.0
    assert windows.when(times, [math.nan, 5.0, math.nan, math.nan], gt) == 2.0
    assert windows.when(times, [math.nan] * 4, gt) == 4.0


def test_smoothing_follows_level_and_trend() -> None:
    assert windows.smoothed([1.0, 2.0, 3.0, 4.0], 0.5, 0.5) == pytest.approx(4.0)
    # 20 with a slope of 10; then the slope stays 10: half of 10 + half of 20 + 10; then the slope is 0.9 * 10
    assert windows.smoothed([10.0, 20.0, 10.0], 0.5, 0.1) == pytest.approx(20.0)
    assert windows.smoothed([10.0, 20.0, 10.0, 20.0], 0.5, 0.1) == pytest.approx(0.5 * 20 + 0.5 * (20 + 9))


def test_the_spread_of_values_that_are_the_same_is_nothing_at_all() -> None:
    assert windows.variance([0.1] * 7) == 0.0
    assert windows.variance([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]) == pytest.approx(22.5)
    assert windows.deviation([4.0, 6, 2, 1, 999, 1, 2]) == 1.0  # the median is 2, the distances 2 4 0 1 997 1 0


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_no_number_leaves_no_spread_to_tell(odd: float) -> None:
    for values in ([1.0, odd], [odd, 1.0], [odd], [odd, odd]):
        assert math.isnan(windows.variance(values))


def test_a_spread_beyond_floats_is_what_ieee_says() -> None:
    assert windows.variance([1e200, -1e200]) == math.inf
    assert windows.root(math.inf) == math.inf
    assert math.isnan(windows.root(windows.variance([1.7e308, -1.7e308])))  # beyond even that: not an error


def test_sums_beyond_floats_are_what_ieee_says() -> None:
    assert total([1e308, 1e308]) == math.inf
    assert math.isnan(total([math.inf, -math.inf]))
    assert products([1e200, 1.0], [1e200, 1.0]) == math.inf
    assert math.isnan(products([math.inf, 1.0], [1.0, -math.inf]))
    assert products([1.0, 1e8, 1.0], [1.0, 1e8, -1.0]) == 1e16
    assert neumaier([1.0, 1e100, 1.0, -1e100]) == 2.0
    assert mean([1e308, 1e308]) == pytest.approx(1e308)
    assert mean([math.inf, 1.0]) == math.inf
