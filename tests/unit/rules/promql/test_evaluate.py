"""Which samples an expression sees: lookback, windows, subqueries, fixed instants; when its value can change; names."""

import math
import random

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import Frame, Options, evaluate, evaluate_until, placed
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import STALE, Store
from tests.support.expressions import POINTS, STEP, Maker, make_series
from tests.support.promql import answer
from tests.support.rules import filled

NAMED = {'x{name="a"}': "1 2 3 4", 'x{name="b"}': "10 20 stale", 'y{name="a",kind="k"}': "5 5 5 5"}
LATE = Options(delayed_names=True)


# ---------------------------------------------------------------- samples


def test_the_lookback_is_open_on_the_left() -> None:
    store = filled({"x": "7"})
    assert answer("x", store, 299.999) == {"x": 7.0}
    assert answer("x", store, 300.0) == {}


def test_ranges_are_open_on_the_left_and_closed_on_the_right() -> None:
    store = filled({"x": "1 2 3 4 5"}, step=10)
    assert answer("count_over_time(x[20s])", store, 40.0) == {"": 2.0}  # 30 and 40; 20 is out
    assert answer("sum_over_time(x[20s] offset 10s)", store, 40.0) == {"": 7.0}


def test_a_stale_marker_ends_a_series_but_does_not_cut_windows() -> None:
    store = filled(NAMED)
    assert answer("x", store, 30.0) == {"x name=a": 3.0}
    assert answer("sum_over_time(x[1m])", store, 30.0) == {"name=a": 6.0, "name=b": 30.0}
    assert answer("x offset 15s", store, 30.0) == {"x name=a": 2.0, "x name=b": 20.0}
    gaps = filled({"x": "1 stale 3 stale stale 6 stale"}, step=10)
    assert answer("sum_over_time(x[1m])", gaps, 60.0) == {"": 9.0}
    assert answer("sum_over_time(x[20s])", gaps, 40.0) == {}


def test_fixed_instants_and_offsets_into_the_future() -> None:
    store = filled(NAMED)
    assert answer('x{name="a"} @ 15', store, 500.0) == {"x name=a": 2.0}
    assert answer('x{name="a"} offset -30s', store, 0.0) == {"x name=a": 3.0}
    assert answer('x{name="a"} @ end()', store, 15.0) == {"x name=a": 2.0}
    assert answer('x{name="a"} @ -15 offset -30s', store, 500.0) == {"x name=a": 2.0}


def test_the_ends_of_a_range_are_those_of_the_query() -> None:
    store = filled(NAMED)
    options = Options(start=0, end=45_000)
    assert answer('x{name="a"} @ start()', store, 30.0, options) == {"x name=a": 1.0}
    assert answer('x{name="a"} @ end() offset 15s', store, 30.0, options) == {"x name=a": 3.0}


# ---------------------------------------------------------------- subqueries


def test_a_subquery_looks_at_the_multiples_of_its_step() -> None:
    store = filled({"x": "0+1x20"}, step=10)
    # at 105 s with 30 s steps: 30 (open on the left when at 15+…), 60, 90
    assert answer("sum_over_time(x[75s:30s])", store, 105.0) == {"": 6.0 + 9.0}
    assert answer("sum_over_time(x[76s:30s])", store, 105.0) == {"": 3.0 + 6.0 + 9.0}
    assert answer("last_over_time(x[75s:30s])", store, 105.0) == {"x": 9.0}
    assert answer("count_over_time(x[10s:1m])", store, 105.0) == {}


def test_a_subquery_without_a_step_takes_the_default() -> None:
    store = filled({"x": "0+1x20"}, step=10)
    assert answer("sum_over_time(x[2m:])", store, 125.0) == {"": 6.0 + 12.0}
    assert answer("sum_over_time(x[30s:])", store, 35.0, Options(step=10_000)) == {"": 6.0}


def test_subqueries_move_and_stand_still_like_selectors() -> None:
    store = filled({"x": "0+1x20"}, step=10)
    assert answer("sum_over_time(x[20s:10s] offset 1m)", store, 100.0) == {"": 3.0 + 4.0}
    assert answer("sum_over_time(x[20s:10s] offset -1m)", store, 40.0) == {"": 9.0 + 10.0}
    assert answer("sum_over_time(x[20s:10s] @ 100)", store, 0.0) == {"": 9.0 + 10.0}
    assert answer("sum_over_time(x[20s:10s] @ end() offset 1m)", store, 100.0) == {"": 3.0 + 4.0}
    assert answer("sum_over_time((x @ 50)[20s:10s])", store, 100.0) == {"": 10.0}


def test_the_ends_of_the_query_are_not_those_of_a_subquery() -> None:
    store = filled({"x": "0+1x20"}, step=10)
    assert answer("max_over_time((x @ end())[50s:10s] offset 1m)", store, 100.0) == {"": 10.0}
    assert answer("min_over_time((x @ start())[50s:10s])", store, 100.0) == {"": 10.0}


def test_subqueries_nest_and_hold_anything_that_gives_a_vector() -> None:
    store = filled({'x{i="1"}': "0+1x20", 'x{i="2"}': "0+2x20"}, step=10)
    assert answer("max_over_time(sum(x)[50s:10s])", store, 100.0) == {"": 30.0}
    assert answer("max_over_time(rate(x[30s])[1m:10s])", store, 100.0) == {"i=1": 0.1, "i=2": 0.2}
    assert answer("sum_over_time(max_over_time(x[20s:10s])[30s:10s])", store, 100.0) == {"i=1": 27.0, "i=2": 54.0}
    assert answer("avg_over_time(vector(time())[30s:10s])", store, 100.0) == {"": 90.0}
    assert answer("rate(x[30s:10s])", store, 100.0) == {"i=1": 0.1, "i=2": 0.2}
    assert answer('count_over_time((x{i="2"} > 10)[1m:10s])', store, 80.0) == {"i=2": 3.0}


def test_a_subquery_before_1970_stands_on_the_same_grid() -> None:
    store = filled({"x": "7"}, start=-100.0)
    assert answer("count_over_time(x[50s:30s])", store, -50.0) == {"": 2.0}  # -90, -60
    assert answer("count_over_time(x[60s:30s])", store, 0.0) == {"": 2.0}  # -30, 0


def test_elements_come_and_go_within_a_subquery() -> None:
    store = filled({'x{i="1"}': "1 stale", 'x{i="2"}': "_ _ 2 2"}, step=10)
    assert answer("count_over_time(x[1m:10s])", store, 30.0) == {"i=1": 1.0, "i=2": 2.0}


# ---------------------------------------------------------------- names


def test_names_are_dropped_where_the_value_is_no_longer_that_metric() -> None:
    store = filled(NAMED)
    at = 15.0
    assert answer('-x{name="a"}', store, at) == {"name=a": -2.0}
    assert answer('abs(x{name="a"})', store, at) == {"name=a": 2.0}
    assert answer('last_over_time(x{name="a"}[1m])', store, at) == {"x name=a": 2.0}
    assert answer('sum_over_time(x{name="a"}[1m])', store, at) == {"name=a": 3.0}


def test_names_can_be_dropped_at_the_very_end() -> None:
    store = filled({'x_total{e="1"}': "0 60 120", 'y_total{e="1"}': "60 120 180"}, 300)

    def late(expr: str) -> object:
        return answer(expr, store, 600.0, LATE)

    rates = {"x_total_1 e=1": 0.2, "y_total_1 e=1": 0.2}
    assert late('label_join(rate({e="1"}[10m]), "__name__", "_", "__name__", "e")') == rates
    assert late('label_replace(rate(x_total[10m]), "was", "$1", "__name__", "(.+)")') == {"e=1 was=x_total": 0.2}
    assert late("-x_total") == {"e=1": -120.0}
    assert late("x_total * 2") == {"e=1": 240.0}
    assert late("x_total > bool 1") == {"e=1": 1.0}
    assert late("x_total > 1") == {"x_total e=1": 120.0}
    assert late("x_total <= bool y_total") == {"e=1": 1.0}
    assert late("x_total + y_total") == {"e=1": 300.0}
    assert late("(-x_total) or (-y_total) > 0") == {"e=1": -120.0}
    assert late('count(-{e="1"})') == {"": 2.0}
    assert late("max_over_time((-x_total)[10m:1m])") == {"e=1": -0.0}
    with pytest.raises(EvaluationError, match="same labelset"):
        late('rate({e="1"}[10m])')


def test_the_names_two_metrics_lose_are_missed_only_where_they_collide() -> None:
    store = filled({'x{a="1"}': "1", 'y{a="2"}': "2"})
    assert answer('{__name__=~"x|y"} * 2', store, 0.0) == {"a=1": 2.0, "a=2": 4.0}
    collide = filled({"x": "1", "y": "2"})
    for expr in ('abs({__name__=~"x|y"})', 'rate({__name__=~"x|y"}[1m:10s])', 'sum_over_time({__name__=~"x|y"}[1m])'):
        with pytest.raises(EvaluationError, match="same labelset"):
            answer(expr, collide, 20.0)


def test_hostile_label_values_match_byte_for_byte() -> None:
    store = Store()
    nasty = 'q"\\ \n#+/$`é'
    store.append(1.0, [Sample(labels("x", name=nasty), 1.0)])
    expr = 'x{name="q\\"\\\\ \\n#+/$`é"}'
    assert evaluate(compile_expr(expr).node, store, 1000) == [(labels("x", name=nasty), 1.0)]
    assert evaluate(compile_expr('x{name=~"q.+"}').node, store, 1000) != []  # a dot matches a line break


# ---------------------------------------------------------------- the purse


def test_an_evaluation_has_a_purse() -> None:
    store = filled({"x": " ".join(["1"] * 1000)}, step=1)
    node = compile_expr("sum_over_time(x[1h]) + sum_over_time(x[1h])").node
    assert evaluate(node, store, 999_000, purse=3000)
    with pytest.raises(EvaluationError, match=r"more than 1500 samples, .* use a shorter range"):
        evaluate(node, store, 999_000, purse=1500)


def test_a_subquery_pays_for_its_instants_before_it_looks_at_any() -> None:
    for expr in ("max_over_time(none[10y:1ms])", "max_over_time(max_over_time(none[1w:1s])[1w:1s])"):
        with pytest.raises(EvaluationError, match="shorter range"):
            evaluate(compile_expr(expr).node, Store(), 0)


def test_what_is_looked_at_inside_a_subquery_is_paid_for_each_time() -> None:
    store = filled({"x": " ".join(["1"] * 1000)}, step=1)
    node = compile_expr("max_over_time(sum_over_time(x[10m])[5m:10s])").node
    assert evaluate(node, store, 999_000, purse=19_000)
    with pytest.raises(EvaluationError, match="shorter range"):
        evaluate(node, store, 999_000, purse=15_000)


@pytest.mark.parametrize("call", ['label_join({}, "a", "", "a", "a")', 'label_replace({}, "a", "$1$1", "a", "(.*)")'])
def test_a_label_cannot_be_made_to_grow_without_end(call: str) -> None:
    expr = "x"
    for _ in range(40):
        expr = call.format(expr)
    with pytest.raises(EvaluationError, match="the label a would get a value of more than 4096 characters"):
        answer(expr, filled({'x{a="0123456789"}': "1"}), 0.0)


# ---------------------------------------------------------------- when it can change


def until(expr: str, store: Store, at: float) -> float:
    """Seconds until which the value stays, if no sample comes; inf for ever."""
    found = evaluate_until(compile_expr(expr).node, store, round(at * 1000))[1]
    return math.inf if found == NEVER else found / 1000


def test_when_a_value_can_change_though_no_sample_comes() -> None:
    store = filled({"x": "1 2 3", "gone": "1 stale"}, step=10)
    assert until("x", store, 25.0) == 320.0  # the lookback
    assert until("x > 2 or gone", store, 25.0) == 320.0
    assert until("x", store, 400.0) == math.inf
    assert until("gone", store, 25.0) == math.inf
    assert until("max_over_time(x[15s])", store, 25.0) == 35.0  # the sample of 20 leaves
    assert until("max_over_time(x[1m])", store, 25.0) == 60.0
    assert until("x offset 10s", store, 25.0) == 30.0  # the sample of 20 enters
    assert until("max_over_time(x[10s] offset 10s)", store, 25.0) == 30.0
    assert until("x offset 1m", store, 25.0) == 60.0  # the first sample enters
    assert until("x @ 10", store, 25.0) == math.inf
    assert until("x @ end()", store, 25.0) == 320.0
    assert until("vector(1)", store, 25.0) == math.inf


def test_a_subquery_can_change_at_its_next_instant() -> None:
    store = filled({"x": "1 2 3"}, step=10)
    assert until("max_over_time(x[1m:20s])", store, 25.0) == 40.0
    assert until("max_over_time(x[1m:20s] offset 7s)", store, 25.0) == 27.0
    assert until("max_over_time(x[30s:1m])", store, 65.0) == 90.0  # the instant 60 leaves
    assert until("max_over_time(x[1m:20s] @ 30)", store, 25.0) == math.inf
    assert until("max_over_time((x @ end())[1m:40s])", store, 10.0) == 20.0
    assert until("max_over_time(max_over_time(x[1m:20s])[10m:5m])", store, 25.0) == 300.0


@pytest.mark.parametrize("seed", range(8))
def test_no_value_changes_before_it_is_said_to(seed: int) -> None:
    rng = random.Random(seed)
    store = filled(make_series(rng), STEP)
    maker = Maker(rng, modern=True)
    looked = 0
    while looked < 25:
        expr = compile_expr(maker.vector(2))
        if expr.flows:
            continue
        at = rng.randrange(POINTS * STEP * 1000)
        try:
            value, change = evaluate_until(expr.node, store, at)
        except EvaluationError:
            continue
        looked += 1
        assert change > at, expr.text
        edges = [at + 1, at + 137, change - 1, at + rng.randrange(60_000)]
        edges += [time + rng.choice([0, 40_000, 60_000, 300_000]) for time in range(0, POINTS * STEP * 1000, 150_000)]
        for other in edges:
            if at < other < change:
                assert repr(evaluate(expr.node, store, other)) == repr(value), f"{expr.text} from {at} to {other}"


def test_the_span_of_a_value_is_not_shorter_than_it_need_be() -> None:
    store = filled({"x": "1 1 1 1"}, step=10)
    at, seen = 35_000, []
    while at < NEVER and len(seen) < 10:
        seen.append(at / 1000)
        at = evaluate_until(compile_expr("count_over_time(x[1m])").node, store, at)[1]
    assert seen == [35.0, 60.0, 70.0, 80.0, 90.0]


# ---------------------------------------------------------------- notes


def noted(expr: str, store: Store, at: float) -> list[str]:
    frame = Frame(store, round(at * 1000), options=Options(annotate=True))
    frame.result(compile_expr(expr).node)
    return placed(frame.notes, expr)


def test_what_prometheus_would_warn_of_is_noted_where_it_stands() -> None:
    store = filled({"x": "1 2 3", "x_total": "1 2 3"})
    doubt = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:"
    assert noted("rate(x[1m]) + increase(x[1m])", store, 30.0) == [f'{doubt} "x" (1:6)']
    assert noted("1 +\n  rate(x[1m])", store, 30.0) == [f'{doubt} "x" (2:8)']
    assert noted("rate(x_total[1m])", store, 30.0) == []
    assert noted("rate(x[1m])", store, 0.0) == []  # nothing came of it
    warning = "PromQL warning: quantile value should be between 0 and 1, got"
    assert noted("quantile(2, x)", store, 30.0) == [f"{warning} 2 (1:10)"]
    assert noted("quantile(NaN, x)", store, 30.0) == [f"{warning} NaN (1:10)"]
    assert noted("limit_ratio(-1.5, x)", store, 30.0) == [
        "PromQL warning: ratio value should be between -1 and 1, got -1.5, capping to -1 (1:13)"
    ]


def test_nothing_is_noted_that_nobody_asked_for() -> None:
    frame = Frame(filled({"x": "1 2 3"}), 30_000)
    frame.result(compile_expr("rate(x[1m])").node)
    assert frame.notes == {}


# ---------------------------------------------------------------- whatever there is

ODD = [0.0, -0.0, 1.0, -3.5, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, STALE, 2.0**63, -(2.0**53), 1e-300]


def odd_store(rng: random.Random) -> Store:
    """Every metric of the maker with hostile values at hostile times."""
    store = Store()
    store.keep(1e12)
    rows = []
    for name in ("c", "g", "limit", "other", "h_bucket"):
        for index in range(rng.choice([0, 1, 4])):
            pairs = {"name": rng.choice(["oracle", "", "\n", "é"]), "job": rng.choice("ab"), "i": str(index)}
            if name == "h_bucket":
                pairs["le"] = rng.choice(["0.1", "+Inf", "-1", "NaN", "x", ""])
            at = rng.choice([0, -(10**7), 10**6])
            for _ in range(rng.choice([1, 2, 30])):
                at += rng.choice([1, 1000, 15_000, 400_000])
                rows.append((labels(name, **pairs), at, rng.choice(ODD)))
    store.restore(rows)
    return store


@pytest.mark.parametrize("seed", range(8))
def test_every_expression_has_a_value_or_says_why_not(seed: int) -> None:
    rng = random.Random(seed)
    store = odd_store(rng)
    maker = Maker(rng, modern=True)
    for _ in range(120):
        expr = maker.vector(3)
        at = rng.choice([0, -1, 1_234_567, -(10**7) + 60_000, 2**52, -(2**52), rng.randrange(2_000_000)])
        try:
            value = evaluate(compile_expr(expr).node, store, at, 200_000, Options(delayed_names=rng.random() < 0.3))
        except EvaluationError:
            continue
        assert isinstance(value, list), expr
        assert all(isinstance(number, float) for _labels, number in value), expr
        assert len({of for of, _number in value}) == len(value), expr
