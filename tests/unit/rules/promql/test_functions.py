"""The table of functions: what is in it, what each gives at the edges, over windows and over subqueries alike."""

import math
import random

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql import functions, windows
from supervisor.rules.promql.evaluate import Frame, Options, evaluate
from supervisor.rules.promql.nodes import Call, Kind, Vector, Window
from supervisor.samples import Store, is_stale
from tests.support.rules import filled

INF, NAN = math.inf, math.nan


def vector(expr: str, store: Store, at: float) -> Vector:
    found = evaluate(compile_expr(expr).node, store, round(at * 1000))
    assert isinstance(found, list)
    return found


def one(expr: str, store: Store | None = None, at: float = 0.0) -> float:
    """The value of an expression that gives one element or a scalar."""
    found = evaluate(compile_expr(expr).node, store or Store(), round(at * 1000))
    if isinstance(found, list):
        ((_labels, value),) = found
        return value
    assert isinstance(found, float)
    return found


# ---------------------------------------------------------------- the table


def test_what_is_refused_is_not_in_the_table_and_what_is_in_it_is_called_as_it_is() -> None:
    assert not set(functions.REFUSED) & set(functions.TABLE)
    assert all(name == function.name for name, function in functions.TABLE.items())
    assert "double_exponential_smoothing" in functions.REFUSED["holt_winters"]


def test_experimental_functions_are_marked() -> None:
    assert {name for name, function in functions.TABLE.items() if function.experimental} == {
        *("double_exponential_smoothing", "first_over_time", "histogram_quantiles", "mad_over_time"),
        *("sort_by_label", "sort_by_label_desc"),
        *(f"ts_of_{which}_over_time" for which in ("first", "last", "max", "min")),
    }


@pytest.mark.parametrize(
    ("expr", "moves"),
    [
        ("time()", True),
        ("rate(x[5m])", True),
        ("delta(x[5m:1m])", True),
        ("rate(x[5m] @ end())", True),
        ("rate(x[5m] @ 100)", False),
        ("increase(x[5m:1m] @ 100)", False),
        ("predict_linear(x[5m] @ 100, 60)", True),
        ("irate(x[5m])", False),
        ("deriv(x[5m])", False),
        ("hour()", True),
        ("hour(x)", False),
        ("timestamp(x)", False),
        ("timestamp(x offset 1m)", False),
        ("timestamp(abs(x))", True),
        ("absent(x)", False),
    ],
)
def test_whether_a_call_moves_with_time_alone(expr: str, moves: bool) -> None:
    call = compile_expr(expr).node
    assert isinstance(call, Call)
    assert functions.flows(call) is moves
    assert call.function.flows or not moves  # what is said of all calls never denies what is true of one


@pytest.mark.parametrize(
    ("expr", "moves"),
    [
        ("time()", True),
        ("hour()", True),
        ("timestamp(abs(x))", True),
        ("predict_linear(x[5m] @ 100, 60)", True),
        ("predict_linear(x[5m], 60)", False),
        ("rate(x[5m])", False),
        ("delta(x[5m:1m])", False),
        ("rate(x[5m] @ 100)", False),
        ("changes(x[5m])", False),
    ],
)
def test_whether_a_call_moves_even_with_nothing_in_sight(expr: str, moves: bool) -> None:
    call = compile_expr(expr).node
    assert isinstance(call, Call)
    assert functions.clocked(call) is moves
    assert compile_expr(f"1 + sum({expr})" if call.kind is Kind.VECTOR else f"vector({expr})").clocked is moves


# ---------------------------------------------------------------- over ranges


def naive(name: str, times: list[int], values: list[float], start: int, end: int) -> float | None:
    """What a function gives by looking at every sample of the window."""
    plain = {
        "resets": lambda: windows.resets(values),
        "changes": lambda: windows.changes(values),
        "count_over_time": lambda: float(len(values)),
        "last_over_time": lambda: values[-1],
        "first_over_time": lambda: values[0],
        "ts_of_first_over_time": lambda: times[0] / 1000,
        "ts_of_last_over_time": lambda: times[-1] / 1000,
        "irate": lambda: windows.last_two(times, values, counter=True),
        "idelta": lambda: windows.last_two(times, values, counter=False),
        "rate": lambda: windows.extrapolated(times, values, start, end, counter=True, rate=True),
        "increase": lambda: windows.extrapolated(times, values, start, end, counter=True, rate=False),
        "delta": lambda: windows.extrapolated(times, values, start, end, counter=False, rate=False),
    }
    if name == "deriv":
        line = windows.regression(values, windows.axis(times, times[0]))
        return None if line is None else line[0]
    return plain[name]()


NAMES = (
    *("resets", "changes", "count_over_time", "last_over_time", "first_over_time", "ts_of_first_over_time"),
    *("ts_of_last_over_time", "irate", "idelta", "rate", "increase", "delta", "deriv"),
)


def written(rng: random.Random, value: float) -> float:
    """The next value of a counter that is reset now and then and sometimes is no number."""
    kind = rng.random()
    if kind < 0.04:
        return NAN
    return rng.choice([0.0, 2.5]) if kind < 0.15 or value != value else value + rng.choice([0, 0, 1.5, 1e9])


@pytest.mark.parametrize("seed", range(6))
def test_what_a_series_knows_gives_the_same_as_a_look_at_every_sample(seed: int) -> None:
    rng = random.Random(seed)
    store = Store(max_points=40)
    calls = [compile_expr(f"{name}(x[{span}s])").node for name in NAMES for span in (7, 60)]
    now, values, seen = 1000.0, {"a": 5.0, "b": 0.0, "c": 7.0}, 0
    for _ in range(60):
        now += rng.choice([1.0, 3.001, 20.0])
        values = {name: written(rng, value) for name, value in values.items()}
        # mostly in one transaction: series that have the same times are spared some work
        there = [name for name in values if rng.random() < 0.9]
        store.append(now, [Sample(labels("x", name=name), values[name]) for name in there])
        if rng.random() < 0.08:
            store.stale(now + 0.5, {"name": rng.choice("abc")})
        if rng.random() < 0.05:
            store.shift(-100.0)
            now -= 100.0
        if rng.random() < 0.1:
            store.prune(now + rng.choice([0, 300]))  # forgets everything, sometimes
        if rng.random() < 0.5:
            continue  # several samples come between two looks
        at = round((now + rng.choice([0.0, 0.7, -10.0])) * 1000)
        for call in calls:
            assert isinstance(call, Call)
            expected = expectation(store, call, at)
            got = {dict(element)["name"]: number for element, number in Frame(store, at).vector(call)}
            assert got == {name: pytest.approx(value, rel=1e-12, nan_ok=True) for name, value in expected.items()}
            seen += len(expected)
    assert seen > 500


def expectation(store: Store, call: Call, at: int) -> dict[str, float]:
    """What a call over a window gives by name, each sample looked at."""
    window = call.args[0]
    assert isinstance(window, Window)
    found = {}
    for series in store.select(window.selector.matchers):
        inside = [
            (time, value)
            for time, value in zip(series.times, series.values, strict=True)
            if at - window.span < time <= at and not is_stale(value)
        ]
        if inside:
            times, numbers = [time for time, _value in inside], [value for _time, value in inside]
            value = naive(call.function.name, times, numbers, at - window.span, at)
            if value is not None:
                found[dict(series.labels)["name"]] = value
    return found


def test_a_first_look_at_a_long_history_is_paid_for_and_the_next_one_is_not() -> None:
    store = filled({"c": " ".join(map(str, range(500)))}, step=1)
    node = compile_expr("rate(c[1m])").node
    with pytest.raises(EvaluationError, match="looks at more than 400 samples"):
        evaluate(node, store, 499_000, purse=400)
    evaluate(node, store, 499_000, purse=600)
    evaluate(node, store, 499_000, purse=10)


def test_a_long_history_does_not_blur_a_short_window() -> None:
    store = filled({"c": " ".join(f"{(n % 2) * 1e15}" for n in range(50)) + " 0 0.001 0.003"}, step=10)
    assert one("increase(c[15s])", store, 520.0) == pytest.approx(0.003)  # 0.002 in 10 s, stretched to 15
    assert one("resets(c[10m])", store, 520.0) == 25.0


@pytest.mark.parametrize(
    "name", ["rate", "increase", "resets", "changes", "irate", "count_over_time", "first_over_time"]
)
def test_a_subquery_is_a_range_like_any_other(name: str) -> None:
    store = filled({"c": "1 4 2 2 9 stale stale 3 3 8"}, step=10)
    for at in (40.0, 60.0, 90.0):
        there, made = vector(f"{name}(c[40s])", store, at), vector(f"{name}((c)[40s:10s])", store, at)
        if at == 40.0:
            assert there == made
        else:  # the lookback fills no gap that a stale marker has made
            assert [labels for labels, _value in made] == [labels for labels, _value in there]


def test_a_series_that_only_ended_within_the_window_is_not_there() -> None:
    store = filled({"x": "1 stale"}, step=60)
    for name in ("count_over_time", "rate", "last_over_time", "max_over_time", "present_over_time", "resets"):
        assert vector(f"{name}(x[30s])", store, 80.0) == []
    assert vector("absent_over_time(x[30s])", store, 80.0) == [((), 1.0)]
    assert vector("absent_over_time(x[90s])", store, 80.0) == []
    assert vector("irate(x[2m])", store, 80.0) == []


def test_names_stay_only_where_the_value_is_still_a_sample_of_the_metric() -> None:
    store = filled({"x": "1 2 3"})
    for name in ("last_over_time", "first_over_time"):
        assert vector(f"{name}(x[1m])", store, 30.0)[0][0] == (("__name__", "x"),)
    for name in ("ts_of_last_over_time", "max_over_time", "count_over_time", "deriv"):
        assert vector(f"{name}(x[1m])", store, 30.0)[0][0] == ()
    typed = filled({'x{__type__="gauge",__unit__="s",a="b"}': "1 2 3"})
    assert vector("max_over_time(x[1m])", typed, 30.0) == [((("a", "b"),), 3.0)]


def test_values_over_a_range() -> None:
    store = filled({"x": "4 6 2 1 999 1 2", "n": "NaN 3 NaN -5", "bad": "NaN NaN"}, step=10)
    values = {
        "mad_over_time(x[1h])": 1.0,
        "quantile_over_time(0.5, x[1h])": 2.0,
        "quantile_over_time(0.25, x[1h])": 1.5,
        "quantile_over_time(-1, x[1h])": -INF,
        "quantile_over_time(2, x[1h])": INF,
        "quantile_over_time(NaN, x[1h])": NAN,
        "quantile_over_time(0.5, n[1h])": NAN,  # NaN counts as the least
        "quantile_over_time(1, n[1h])": 3.0,
        "min_over_time(n[1h])": -5.0,
        "max_over_time(n[1h])": 3.0,
        "max_over_time(bad[1h])": NAN,
        "ts_of_max_over_time(x[1h])": 40.0,
        "ts_of_min_over_time(x[1h])": 50.0,
        "stdvar_over_time(x[30s])": ((999 - 334) ** 2 + (1 - 334) ** 2 + (2 - 334) ** 2) / 3,
        "stddev_over_time(n[1h])": NAN,
    }
    for expr, expected in values.items():
        assert one(expr, store, 60.0) == pytest.approx(expected, nan_ok=True), expr


def test_lines() -> None:
    store = filled({"x": "10 20 30 40"}, step=10)
    assert one("deriv(x[1m])", store, 30.0) == pytest.approx(1.0)
    assert one("predict_linear(x[1m], 60)", store, 30.0) == pytest.approx(100.0)
    assert one("predict_linear(x[1m], 60)", store, 35.0) == pytest.approx(
        105.0
    )  # from now on, not from the last sample
    assert one("predict_linear(x[1m] @ 30, 0)", store, 500.0) == pytest.approx(510.0)


def test_smoothing_factors_outside_zero_and_one_are_errors_where_there_is_something_to_smooth() -> None:
    store = filled({"x": "1 2 3"})
    assert one("double_exponential_smoothing(x[1m], 0.5, 0.5)", store, 30.0) == 3.0
    assert vector("double_exponential_smoothing(none[1m], 7, 0.5)", store, 30.0) == []
    with pytest.raises(EvaluationError, match=r"invalid smoothing factor. Expected: 0 < sf < 1, got: 7.000000"):
        vector("double_exponential_smoothing(x[1m], 7, 0.5)", store, 30.0)
    with pytest.raises(EvaluationError, match=r"invalid trend factor. Expected: 0 < tf < 1, got: -Inf"):
        vector("double_exponential_smoothing(x[1m], 0.5, -Inf)", store, 30.0)


# ---------------------------------------------------------------- value by value


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("acos(vector(2))", NAN),
        ("acosh(vector(0.5))", NAN),
        ("asin(vector(1))", math.pi / 2),
        ("atan(vector(Inf))", math.pi / 2),
        ("atanh(vector(1))", INF),
        ("atanh(vector(-1))", -INF),
        ("atanh(vector(1.5))", NAN),
        ("cosh(vector(-1000))", INF),
        ("sinh(vector(-1000))", -INF),
        ("tanh(vector(-Inf))", -1.0),
        ("sin(vector(Inf))", NAN),
        ("tan(vector(-Inf))", NAN),
        ("exp(vector(1000))", INF),
        ("exp(vector(-Inf))", 0.0),
        ("deg(vector(pi()))", 180.0),
        ("rad(vector(180))", math.pi),
        ("ln(vector(0))", -INF),
        ("ln(vector(-1))", NAN),
        ("log2(vector(8))", 3.0),
        ("log10(vector(1000))", 3.0),
        ("log10(vector(Inf))", INF),
        ("sqrt(vector(-1))", NAN),
        ("sgn(vector(-3))", -1.0),
        ("sgn(vector(NaN))", NAN),
        ("abs(vector(-Inf))", INF),
        ("ceil(vector(NaN))", NAN),
        ("1 / ceil(vector(-0.5))", -INF),  # zeros keep their sign
        ("1 / floor(vector(-0))", -INF),
        ("1 / sqrt(vector(-0))", -INF),
        ("1 / round(vector(-0.2))", INF),
        ("round(vector(2.5))", 3.0),
        ("round(vector(-2.5))", -2.0),
        ("round(vector(7), 5)", 5.0),
        ("round(vector(1e300), 1e-9)", INF),
        ("round(vector(7), 0)", NAN),
        ("round(vector(7), Inf)", NAN),
        ("round(vector(Inf))", INF),
        ("clamp(vector(7), 1, 5)", 5.0),
        ("clamp(vector(NaN), 1, 5)", NAN),
        ("clamp(vector(7), NaN, 5)", NAN),
        ("clamp_min(vector(NaN), Inf)", INF),  # as Go's Max and Min: an infinity wins even over NaN
        ("clamp_max(vector(NaN), -Inf)", -INF),
        ("1 / clamp_min(vector(-0), 0)", INF),
        ("1 / clamp_max(vector(0), -0)", -INF),
    ],
)
def test_values_where_python_would_raise_or_go_is_particular(expr: str, expected: float) -> None:
    assert one(expr) == pytest.approx(expected, rel=1e-15, nan_ok=True)


def test_a_clamp_upside_down_gives_nothing() -> None:
    assert vector("clamp(vector(7), 5, 1)", Store(), 0.0) == []


# ---------------------------------------------------------------- kinds


def test_the_instant_of_a_sample_and_of_anything_else() -> None:
    store = filled({"x": "1 2"}, step=10)
    assert one("timestamp(x)", store, 17.0) == 10.0
    assert one("timestamp(x offset 5s)", store, 12.0) == 0.0
    assert one("timestamp(x @ 3)", store, 17.0) == 0.0
    assert one("timestamp(abs(x))", store, 17.0) == 17.0
    assert one("timestamp((x))", store, 17.0) == 10.0
    assert one("timestamp(+x)", store, 17.0) == 17.0


def test_a_scalar_is_one_element_and_no_other_number_of_them() -> None:
    store = filled({'x{a="1"}': "1", 'x{a="2"}': "2"})
    assert one('scalar(x{a="2"})', store) == 2.0
    assert math.isnan(one("scalar(x)", store))
    assert math.isnan(one("scalar(none)", store))
    assert one("pi()") == math.pi


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ('x{a="1",b=~"2"}', {"a": "1"}),
        ('x{a="1",a="1"}', {}),  # twice, even if alike
        ('x{a="1",a!="2",b="3"}', {"b": "3"}),
        ('x{a!="2",a="1"}', {"a": "1"}),  # what comes before the exact one does not count
        ('x{a=""}', {}),
        ('{"x.y","l.x"="1"}', {"l.x": "1"}),
    ],
)
def test_what_is_missing_is_called_as_it_was_asked_for(selector: str, expected: dict[str, str]) -> None:
    assert vector(f"absent({selector})", Store(), 0.0) == [(tuple(expected.items()), 1.0)]
    assert vector(f"absent_over_time({selector}[5m])", Store(), 0.0) == [(tuple(expected.items()), 1.0)]
    assert vector(f"absent({selector} > 1)", Store(), 0.0) == [((), 1.0)]
    assert vector(f"absent(+{selector})", Store(), 0.0) == [((), 1.0)]


def test_order_by_value_puts_nan_last_both_ways() -> None:
    odd = filled({'x{a="1"}': "NaN", 'x{a="2"}': "NaN", 'x{a="3"}': "1"})  # upstream's sort turns these around
    assert [dict(labels)["a"] for labels, _value in vector("sort(x)", odd, 0.0)] == ["3", "2", "1"]
    assert [dict(labels)["a"] for labels, _value in vector("sort_desc(x)", odd, 0.0)] == ["3", "2", "1"]
    store = filled({f'x{{a="{value}"}}': value for value in ("2", "NaN", "-Inf", "1")})
    assert [dict(labels)["a"] for labels, _value in vector("sort(x)", store, 0.0)] == ["-Inf", "1", "2", "NaN"]
    assert [dict(labels)["a"] for labels, _value in vector("sort_desc(x)", store, 0.0)] == ["2", "1", "-Inf", "NaN"]


def test_annotations_are_made_only_when_asked_for() -> None:
    store = filled({"x": "1 2"})
    node = compile_expr("quantile_over_time(1.5, x[1m])").node
    quiet, loud = Frame(store, 15_000), Frame(store, 15_000, options=Options(annotate=True))
    quiet.value(node), loud.value(node)
    assert (list(quiet.notes), list(loud.notes)) == (
        [],
        ["PromQL warning: quantile value should be between 0 and 1, got 1.5"],
    )
    odd = Frame(store, 15_000, options=Options(annotate=True))
    odd.value(compile_expr("histogram_quantile(NaN, x)").node)
    assert "PromQL warning: quantile value should be between 0 and 1, got NaN" in odd.notes


# ---------------------------------------------------------------- nothing raises


ODD = (0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, INF, -INF, NAN, 2.0**63, 0.5)


def test_no_function_raises_anything_but_an_evaluation_error_whatever_the_values() -> None:
    rng = random.Random(1)
    store = filled({f'x{{le="{le}"}}': " ".join(map(repr, rng.choices(ODD, k=8))) for le in ("1", "2", "+Inf", "q")})
    kinds = {Kind.VECTOR: "x", Kind.MATRIX: "x[2m]", Kind.TEXT: '"le"'}
    for name, function in functions.TABLE.items():
        for _ in range(6):
            most = len(function.args) - rng.randint(0, function.optional)
            args = [kinds.get(kind) or repr(rng.choice(ODD)).replace("inf", "Inf") for kind in function.args[:most]]
            node = compile_expr(f"{name}({', '.join(args)})").node
            try:
                Frame(store, rng.choice([30_000, 110_000])).value(node)
            except EvaluationError:
                continue
