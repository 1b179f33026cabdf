"""Since when a sub-expression gives what it gives, and which sample moved it last."""

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules import compile_expr
from supervisor.rules.explaining.gives import Known, Limits, look, pieces
from supervisor.rules.explaining.past import History, Past
from supervisor.rules.promql.evaluate import EvaluationError, Options
from supervisor.samples import STALE, Store
from tests.support.rules import filled

START = -1


def trace(
    text: str, store: Store, at: float, part: int = 0, visits: int = 1_000_000, horizon: int = START, whole: bool = True
) -> Past:
    """The past of one part of an expression."""
    piece = pieces(compile_expr(text).node)[0][part]
    ms = round(at * 1000)
    limits = Limits(visits, lambda: None)
    gives, until = look(piece.node, store, ms, Options())
    return History(store, Options(), 15_000, horizon, whole).trace(Known(piece, gives, until, 10), ms, limits)


def moved(past: Past) -> tuple[float, str, str, float]:
    """(at, by, the series' name or its `n`, value) of what moved it."""
    assert past.moved is not None
    names = dict(past.moved.series)
    return past.moved.at / 1000, past.moved.by, names.get("n") or names.get("__name__", ""), past.moved.value


def test_a_comparison_holds_since_the_sample_that_made_it_true_and_moves_with_each_other_value() -> None:
    store = filled({"x": "1 7 7 8 8"})
    past = trace("x > 5", store, 63)
    assert (past.since, past.least) == (15_000, False)
    assert moved(past) == (45.0, "sample", "x", 8.0)
    inner = trace("x > 5", store, 63, part=1)
    assert inner.since == 0, "the selector gives the same series all along"
    assert moved(inner) == (45.0, "sample", "x", 8.0)


def test_the_series_that_changed_is_named_among_those_of_one_transaction() -> None:
    store = filled({'x{n="a"}': "9 9 9", 'x{n="b"}': "9 9 1", 'x{n="c"}': "9 9 9"})
    past = trace("x > 5", store, 31)
    assert past.since == 30_000
    assert moved(past) == (30.0, "sample", "b", 1.0)
    assert moved(trace("sum(x)", store, 31)) == (30.0, "sample", "b", 1.0)


def test_a_scalar_and_a_bool_stand_since_their_value_does() -> None:
    store = filled({"x": "1 7 7 8 8"})
    past = trace("scalar(x)", store, 63)
    assert (past.since, past.least) == (45_000, False)
    assert trace("x > bool 5", store, 63).since == 15_000
    assert trace("count(x) + 1", store, 63).since == 0


def test_what_went_out_of_sight_is_named() -> None:
    store = filled({"x": "1 3 _x30"})
    gone = trace("x", store, 320)
    assert gone.since == 315_000
    assert moved(gone) == (315.0, "age", "x", 3.0)
    window = trace("max_over_time(x[1m]) > 0", filled({"x": "9 1 1 1 1 1 1"}), 70)
    assert window.since == 0
    assert moved(window) == (60.0, "age", "x", 9.0)


def test_a_series_that_was_ended_is_the_reason() -> None:
    store = filled({"x": "1 3"})
    store.append(20.0, [Sample(labels("x"), STALE)])
    past = trace("x > 0", store, 25)
    assert past.since == 20_000
    assert past.moved is not None
    assert past.moved.ended
    assert trace("absent(x)", store, 25).since == 20_000


def test_absent_of_what_never_came_is_true_at_least_since_somebody_looks() -> None:
    past = trace("absent(x)", Store(), 40.0, horizon=9_999)
    assert (past.since, past.least, past.moved) == (10_000, True, None)


def test_gaps_and_returns_are_seen() -> None:
    store = filled({"x": "1 " + "_ " * 30 + "2 2"})
    past = trace("x", store, 500)
    assert past.since == 465_000
    assert moved(past) == (465.0, "sample", "x", 2.0)
    assert trace("absent(x)", store, 400).since == 300_000


def test_offsets_move_the_instants_and_a_look_ahead_has_no_past() -> None:
    store = filled({"x": "1 7 7 7 7"})
    past = trace("x offset 30s > 5", store, 60)
    assert past.since == 45_000
    assert past.moved is not None
    assert (past.moved.at, past.moved.stamp) == (45_000, 15_000)
    assert trace("x offset -30s > 5", store, 60) == Past()


def test_what_stands_still_moves_with_the_rest_alone() -> None:
    store = filled({"x": "1 7 7 8 9"})
    past = trace("x > x @ 15", store, 60)
    assert (past.since, past.least) == (45_000, False)
    fixed = trace("x > x @ 15", store, 60, part=2)
    assert (fixed.since, fixed.least) == (15_001, True)


def test_what_moves_with_time_is_found_between_the_ticks() -> None:
    store = filled({"seen": "0x10"}, step=60)
    past = trace("time() - seen > 100", store, 130)
    assert (past.since, past.least) == (100_001, False)
    assert moved(past) == (0.0, "sample", "seen", 0.0)
    assert trace("time()", store, 130) == Past()
    assert trace("time() > bool 100", store, 130).since == 100_001


def test_a_rate_is_moved_by_the_last_increment_not_by_repetitions() -> None:
    store = filled({"n": "0 0 5 5 5 5"})
    past = trace("rate(n[2m]) > 0", store, 80)
    assert past.since == 30_000
    assert moved(past) == (30.0, "sample", "n", 5.0)


def test_a_subquery_moves_at_its_steps() -> None:
    store = filled({"x": "1 1 9 1 1 1 1 1 1 1"})
    past = trace("max_over_time(x[1m:20s]) > 5", store, 75)
    assert past.since == 40_000, "the 9 of 30 s is seen at the step of 40 s"
    assert moved(past)[:2] == (40.0, "sample")


def test_an_error_has_a_past_too() -> None:
    store = filled({"x": "1x10", 'y{n="a"}': "1x10", 'y{n="b"}': "_ _ 1x8"})
    past = trace("x + on () y", store, 70)
    assert past.since == 30_000
    assert moved(past) == (30.0, "sample", "b", 1.0)


def test_nan_is_as_nan() -> None:
    past = trace("x", filled({"x": "1 NaN NaN NaN"}), 50)
    assert past.moved is not None
    assert past.moved.at == 15_000


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("x > 5", 100_001),
        ("late > 5", 250_001),
        ("nothing", 400_001),
        ("max_over_time(x[10m]) > 5", 700_001),
        ("max_over_time(x[1m] offset 30s) > 5", 190_001),
        ("max_over_time(x[1m:15s]) > 5", 460_001),
        ("vector(1)", 100_001),
    ],
)
def test_what_was_forgotten_is_not_claimed(text: str, least: int) -> None:
    store = filled({"x": "7x100"})
    for second in range(250, 1500, 10):
        store.append(float(second), [Sample(labels("late"), 7.0)])
    past = trace(text, store, 1500, horizon=100_000, whole=False)
    assert (past.since, past.least) == (least, True)


def test_it_ends_with_the_purse_and_says_how_far_it_came() -> None:
    store = filled({"x": "7x1000"})
    whole, some = trace("x > 5", store, 15_000), trace("x > 5", store, 15_000, visits=5000)
    assert (whole.since, whole.least) == (0, False)
    assert some.least
    assert some.since is not None
    assert 10_000_000 < some.since < 15_000_000


def test_it_ends_after_many_instants() -> None:
    past = trace("x > 5", filled({"x": "7x3000"}, step=1), 3000)
    assert past.least
    assert past.since == 1_000_999


def test_being_late_ends_the_looking_back_but_not_the_answer() -> None:
    looks: list[int] = []

    def pace() -> None:
        looks.append(0)
        if len(looks) > 10:
            raise EvaluationError("late")

    limits = Limits(1_000_000, pace)
    for _ in range(20):
        limits.more()
    assert not limits.more()
    assert len(looks) == 11, "a late one does not ask again"
    assert not limits.share(2).more()
