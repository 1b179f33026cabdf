"""What holds a turn for long is paid for: an expression ends by its purse, not by the patience of whoever waits."""

import random

import pytest

from supervisor.rules.promql.evaluate import EvaluationError, Frame, evaluate
from supervisor.rules.promql.functions.labels import natural
from supervisor.rules.promql.parse import compile_expr
from supervisor.samples import Store
from tests.support.rules import filled

COUNT = 200


@pytest.fixture(scope="module")
def store() -> Store:
    wide = {f'x{{i="{n}", le="{n}", big="{"v" * 400}"}}': "1 2 3 2 5 4 9 8" for n in range(COUNT)}
    return filled(wide | {f'y{{i="{n}"}}': "8 7 6 5 4 3 2 1" for n in range(COUNT)}, step=60)


def spent(expr: str, store: Store) -> int:
    """Sample visits of the second evaluation: what is found out once is known by then."""
    for _ in range(2):
        frame = Frame(store, 420_000)
        frame.result(compile_expr(expr).node)
    return 2_000_000 - frame.purse


@pytest.mark.parametrize(
    ("expr", "each"),
    [
        ("x + on (i) y", 6),
        ("x + on (i) group_left (big) y", 12),
        ('count_values("v", x)', 12),
        ("topk(100, y)", 8),
        ("sum by (i) (x)", 3),
        ('sort_by_label(x, "big")', 400 // 16),
        ('label_replace(x, "a", "$1$2", "big", "(.*?)(.*)")', 3 * 400 // 16),
        ("limit_ratio(0.5, x)", 400 // 8),
        ("histogram_quantile(0.5, x)", 8),
        ('histogram_quantiles(sum by (i, le) (x), "q", 0.1, 0.2, 0.3)', 8 + 3 * 14),
        ("mad_over_time(x[5m])", 2 * 5),
        ("x offset 2m", 4),
    ],
)
def test_work_that_is_dearer_than_a_look_costs_more(store: Store, expr: str, each: int) -> None:
    assert spent(expr, store) >= each * COUNT


def test_every_instant_of_a_subquery_pays_for_what_it_keeps(store: Store) -> None:
    assert spent("max_over_time(x[1m:1s])", store) >= 60 * COUNT * 5


def test_the_resets_of_a_restless_counter_are_paid_for_each_time(store: Store) -> None:
    assert spent("rate(x[10m])", store) >= spent("delta(x[10m])", store) + 3 * COUNT


def test_ten_quantiles_of_ten_quantiles_of_them_end_by_the_purse() -> None:
    store = filled({f'x{{le="{n}", i="{n}"}}': "1" for n in range(100)})
    expr = "x"
    for level in range(6):
        tenths = ", ".join(f"0.{n}" for n in range(10))
        expr = f'histogram_quantiles(label_replace({expr}, "le", "1", "", ""), "q{level}", {tenths})'
    with pytest.raises(EvaluationError, match="more than 50000 samples"):
        evaluate(compile_expr(expr).node, store, 0, purse=50_000)


def test_selectors_that_were_never_asked_before_pay_for_the_search_and_only_for_new_series() -> None:
    store = filled({f'x{{i="{n}"}}': "1" for n in range(COUNT)})
    node = compile_expr('{i=~".+"}').node
    with pytest.raises(EvaluationError):
        evaluate(node, store, 0, purse=8 * COUNT)
    assert len(evaluate(node, store, 0, purse=9 * COUNT)) == COUNT  # type: ignore[arg-type]
    assert len(evaluate(node, store, 0, purse=COUNT)) == COUNT  # type: ignore[arg-type]


def test_numbers_in_text_are_compared_as_numbers() -> None:
    def slow(value: str) -> list[tuple[int, int, str]]:
        """Letter by letter, each number as one letter between `/` and `:`."""
        key, at = [], 0
        while at < len(value):
            end = at
            while end < len(value) and value[end] in "0123456789":
                end += 1
            if end > at:
                number = value[at:end].lstrip("0")
                key.append((ord("0"), len(number), number))
            else:
                key.append((ord(value[at]), 0, ""))
                end = at + 1
            at = end
        return key

    chance = random.Random(7)
    texts = ["".join(chance.choice("019a/:Z-é\0") for _ in range(chance.randrange(8))) for _ in range(400)]
    texts += ["1" * 60, "1" * 48, "a" + "2" * 57, "007", "7"]
    assert sorted(texts, key=natural) == sorted(texts, key=slow)
