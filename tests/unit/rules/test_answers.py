"""Whole answers to asked questions: their kinds, their order, their bounds."""

import math

import pytest

from supervisor.facts import Labels, labels
from supervisor.rules.answers import MOST_STEPS, Answer, Question, answer
from supervisor.rules.promql.evaluate import EvaluationError, Options
from supervisor.rules.promql.parse import compile_expr
from supervisor.samples import Store
from tests.support.rules import filled


@pytest.fixture
def store() -> Store:
    return filled({'x{n="a"}': "1 2 3 4 5", 'x{n="b"}': "5x4", 'c_total{n="a"}': "0+10x4", "gone": "1 stale"}, 15)


def rows(found: Answer) -> list[tuple[Labels, list[tuple[int, float]]]]:
    """Each series with its samples as (ms, value)."""
    return [(labels, list(zip(times, values, strict=True))) for labels, times, values in found.series]


def ask(store: Store, text: str, start: float, end: float = 0, step: float = 0, **options: bool) -> Answer:
    question = Question(compile_expr(text), round(start * 1000), round(end * 1000), round(step * 1000))
    return answer(question, store, Options(**options))


def test_a_vector_carries_the_instant_of_the_question(store: Store) -> None:
    found = ask(store, "x", 31)
    assert found.kind == "vector"
    assert rows(found) == [(labels("x", n="a"), [(31_000, 3.0)]), (labels("x", n="b"), [(31_000, 5.0)])]


def test_the_order_of_sort_is_kept(store: Store) -> None:
    assert [dict(one)["n"] for one, *_samples in ask(store, "sort_desc(x)", 30).series] == ["b", "a"]
    assert [dict(one)["n"] for one, *_samples in ask(store, "sort(x)", 30).series] == ["a", "b"]


def test_a_range_vector_gives_its_samples_with_their_own_times(store: Store) -> None:
    found = ask(store, 'x{n="a"}[30s]', 46)
    assert found.kind == "matrix"
    assert rows(found) == [(labels("x", n="a"), [(30_000, 3.0), (45_000, 4.0)])]
    made = ask(store, 'sum(x{n="a"})[30s:15s]', 46)
    assert rows(made) == [((), [(30_000, 3.0), (45_000, 4.0)])]


def test_scalars_and_strings(store: Store) -> None:
    assert ask(store, "1 / 4", 7) == Answer("scalar", (((), (7000,), (0.25,)),), 7000)
    assert ask(store, '"text"', 7) == Answer("string", at=7000, text="text")


def test_a_range_has_both_its_ends_and_a_hole_where_there_is_nothing(store: Store) -> None:
    found = ask(store, "gone or x", 0, 30, 15)
    assert found.kind == "matrix"
    assert rows(found) == [
        (labels("gone"), [(0, 1.0)]),
        (labels("x", n="a"), [(0, 1.0), (15_000, 2.0), (30_000, 3.0)]),
        (labels("x", n="b"), [(0, 5.0), (15_000, 5.0), (30_000, 5.0)]),
    ]
    assert rows(ask(store, "time()", 1, 2, 1)) == [((), [(1000, 1.0), (2000, 2.0)])]


def test_start_and_end_are_those_of_the_question(store: Store) -> None:
    asked = 'x{n="a"} @ end() - x{n="a"} @ start()'
    assert rows(ask(store, asked, 15, 45, 15))[0][1] == [(15_000, 2.0), (30_000, 2.0), (45_000, 2.0)]
    assert rows(ask(store, asked, 45))[0][1] == [(45_000, 0.0)]


@pytest.mark.parametrize(
    ("text", "start", "end", "step", "said"),
    [
        ("x[5m]", 0, 1, 1, 'invalid expression type "range vector" for range query'),
        ('"x"', 0, 1, 1, 'invalid expression type "string" for range query'),
        ("x", 5, 4, 1, '"end": end timestamp must not be before start time'),
        ("x", 0, 5, -1, "zero or negative query resolution step"),
        ("x", 0, MOST_STEPS + 1, 1, "exceeded maximum resolution of 11,000 points"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_prometheus_words(
    text: str, start: int, end: int, step: int, said: str, store: Store
) -> None:
    with pytest.raises(ValueError) as caught:
        ask(store, text, start, end, step)
    assert said in str(caught.value)


def test_two_elements_with_one_label_set_are_an_error(store: Store) -> None:
    with pytest.raises(EvaluationError, match="same labelset"):
        ask(store, 'label_replace(x, "n", "", "", "")', 0, 15, 15)


def test_a_step_that_overspends_is_an_error_and_not_half_an_answer(store: Store) -> None:
    question = Question(compile_expr("max_over_time(x[1m])"), 0, 60_000, 15_000)
    with pytest.raises(EvaluationError, match="looks at more than 8 samples"):
        answer(question, store, purse=8)


def test_doubts_come_with_their_place(store: Store) -> None:
    found = ask(store, "rate(x[1m]) +\n quantile(2, x)", 60)
    assert found.infos == (
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (1:6)',
    )
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("PromQL warning: quantile value should be between 0 and 1, got 2")
    assert found.warnings[0].endswith("(2:11)")
    assert ask(store, "rate(c_total[1m])", 60).infos == ()


def test_of_many_doubts_the_first_ten_are_told() -> None:
    store = filled({f"gauge{number}": "1 2 3" for number in range(12)}, 15)
    found = ask(store, " or ".join(f'label_replace(rate(gauge{n}[1m]), "n", "{n}", "", "")' for n in range(12)), 30)
    assert len(found.infos) == 11
    assert found.infos[-1] == "2 more info annotations omitted"


def test_names_are_dropped_at_the_end_where_that_is_wanted(store: Store) -> None:
    kept = ask(store, 'label_replace(rate(c_total[1m]), "m", "$1", "__name__", "(.+)")', 60, delayed_names=True)
    assert [dict(one) for one, *_samples in kept.series] == [{"n": "a", "m": "c_total"}]
    dropped = ask(store, 'label_replace(rate(c_total[1m]), "m", "$1", "__name__", "(.+)")', 60)
    assert [dict(one) for one, *_samples in dropped.series] == [{"n": "a"}]


def test_how_far_back_a_question_looks() -> None:
    def since(text: str, step: int = 0) -> int:
        return Question(compile_expr(text), 1_000_000, 2_000_000, step).since

    assert since("x") == 1_000_000 - 300_000 - 1
    assert since("rate(x[1h])") == 1_000_000 - 3_600_000 - 1
    assert since("rate(x[1h] offset 1h)", 1000) == 1_000_000 - 7_200_000 - 1
    assert since("x @ 5") < -(1 << 60)
    assert since("max_over_time(x[5m:1m] @ 5)") < -(1 << 60)


def test_whoever_sets_the_pace_can_end_it(store: Store) -> None:
    class Enough(Exception):
        pass

    calls = 0

    def pace() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise Enough

    with pytest.raises(Enough):
        answer(Question(compile_expr("x"), 0, 60_000, 1000), store, pace=pace)
    assert calls == 4


def test_odd_values_come_through(store: Store) -> None:
    assert rows(ask(store, "vector(-1) / 0", 0)) == [((), [(0, -math.inf)])]
