"""Slopes that a step does not move, windows that stay small, and plans that move the past along."""

import math

import pytest

from supervisor.memory.trend import (
    BLOCK,
    FAR,
    FRESH,
    NEAR,
    STEP,
    History,
    Mark,
    growth,
    long_fall,
    long_growth,
    new_low,
    short_fall,
    slope,
)

GIB, MIB = float(1 << 30), float(1 << 20)


def level(mark: Mark) -> float:
    return mark.level


def marks(*values: float, every: float = 1.0) -> tuple[Mark, ...]:
    return tuple(Mark(number * every, 0.0, 0.0, {}, level=value) for number, value in enumerate(values))


def history(values: list[float], every: float = 1.0, **used: list[float]) -> History:
    found = History().under({}, 0.0)
    for number, value in enumerate(values):
        held = {name: sizes[number] for name, sizes in used.items()}
        found = found.then(Mark(number * every, value, 0.0, held))
    return found


def test_a_wild_reading_or_a_late_step_is_no_slope_and_three_readings_are_none():
    assert slope(marks(9, 9, 9, 9, 9, 9, 9, 4, 4), level) == 0.0
    assert slope(marks(9, 9, 1, 9, 9, 9), level) == 0.0
    assert slope(marks(9, 8, 7), level) == 0.0
    assert slope(marks(9, 8, 7, 6), level) == -1.0


def test_scatter_is_no_fall():
    assert short_fall(history([100 * GIB + (GIB if n % 2 else -GIB) for n in range(31)]), level) == 0.0
    assert short_fall(history([100 * GIB - n * GIB for n in range(31)]), level) == pytest.approx(GIB)


def test_what_rises_again_does_not_fall():
    values = [100 * GIB - n * GIB for n in range(25)] + [75 * GIB + n * GIB for n in range(6)]
    assert short_fall(history(values), level) == 0.0


def test_the_windows_stay_small_however_often_it_is_read():
    found = history([100 * GIB - n for n in range(4000)], every=0.25)
    assert len(found.fresh) == FRESH
    assert len(found.near) <= NEAR / STEP + 2
    assert len(found.far) <= FAR / BLOCK + 1
    assert len(found.line()) <= NEAR / STEP + 3


def test_a_history_is_a_value():
    before = history([3.0, 2.0])
    after = before.then(Mark(9.0, 1.0, 0.0, {}))
    assert before.newest is not None
    assert before.newest.at == 1.0
    assert after.newest is not None
    assert after.newest.at == 9.0


def test_a_new_plan_counts_for_all_readings():
    found = history([100 * GIB] * 30, big=[n * GIB for n in range(30)]).under({"big": 40 * GIB}, 5 * GIB)
    assert [mark.level for mark in found.fresh] == [100 * GIB - 5 * GIB - (40 - n) * GIB for n in range(25, 30)]
    assert found.under({"big": 40 * GIB}, 5 * GIB) is found
    assert found.under({"big": 0.0}, 0.0).fresh[-1].level == 100 * GIB


def test_what_was_not_read_is_taken_as_it_was_read_next():
    found = History().under({"big": 40 * GIB}, 0.0)
    found = found.then(Mark(1.0, 90 * GIB, 0.0, {}, unread=("big", "other")))
    found = found.then(Mark(2.0, 90 * GIB, 0.0, {"big": 30 * GIB}, unread=("other",)))
    assert {mark.level for mark in (*found.near, *found.fresh, *found.far)} == {80 * GIB}
    later = found.then(Mark(3.0, 60 * GIB, 0.0, {"big": 30 * GIB, "other": GIB}))
    assert [mark.used.get("other") for mark in later.fresh] == [GIB] * 3
    assert not any(mark.unread for mark in (*later.fresh, *later.near, *later.far))


def test_only_depths_that_were_never_seen_are_new():
    falls = [100 * GIB - n * GIB for n in range(60)]
    assert new_low(history(falls), level)
    assert not new_low(history([10 * GIB] * 20 + falls), level)


def test_the_lowest_of_a_sawtooth_do_not_fall_and_those_of_a_leak_do():
    teeth = [100 * GIB - (n % 60) * 0.5 * GIB for n in range(600)]
    assert long_fall(history(teeth), level)[0] == 0.0
    leaky = [value - n * 20 * MIB for n, value in enumerate(teeth)]
    rate, lowest = long_fall(history(leaky), level)
    assert rate == pytest.approx(20 * MIB, rel=0.15)
    assert lowest == pytest.approx(min(leaky), abs=GIB)


def test_the_long_window_says_nothing_before_it_has_seen_enough():
    assert long_fall(history([100 * GIB - n * GIB / 2 for n in range(120)]), level) == (0.0, 0.0)


def test_one_step_down_in_ten_minutes_is_no_leak():
    assert long_fall(history([100 * GIB] * 300 + [80 * GIB] * 300), level)[0] == 0.0


def test_a_fall_that_ended_is_over_though_its_window_is_not():
    falls = [100 * GIB - n * 50 * MIB for n in range(500)]
    assert long_fall(history(falls), level)[0] > 0
    assert long_fall(history(falls + [falls[-1]] * 50), level)[0] == 0.0


def test_growth_is_from_one_end_to_the_other_and_one_wild_reading_does_not_matter():
    sizes = [10.0 * GIB + n * GIB for n in range(21)]
    found = history([0.0] * 21, a=sizes)
    rate, begun, seconds = growth(found.line(), "a")
    assert rate == pytest.approx(GIB)
    assert begun == 10 * GIB
    assert seconds == 20.0
    wild = [*sizes[:-1], 900.0 * GIB]
    assert growth(history([0.0] * 21, a=wild).line(), "a")[0] == pytest.approx(GIB, rel=0.1)
    assert growth(found.line(), "nobody") == (0.0, 0.0, 0.0)


def test_a_heap_that_is_cleaned_up_does_not_grow_in_the_long_run():
    heap = [10 * GIB + (n % 60) * 0.5 * GIB for n in range(600)]
    leaks = [4 * GIB + n * 20 * MIB for n in range(600)]
    found = history([200 * GIB - a - b for a, b in zip(heap, leaks, strict=True)], heap=heap, leak=leaks)
    assert abs(long_growth(found, "heap")[0]) < 8 * MIB
    assert long_growth(found, "leak")[0] == pytest.approx(20 * MIB, rel=0.1)


def test_numbers_that_are_none_are_no_trouble():
    found = history([math.inf, 3.0, 2.0, 1.0])
    assert short_fall(found, level) >= 0.0
