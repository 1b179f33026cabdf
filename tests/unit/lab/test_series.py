"""promtool's notation of series: what it means, and what is refused where."""

import math

import pytest

from supervisor.errors import ConfigError, ResurgamError
from supervisor.facts import labels
from supervisor.lab.series import BadSeries, Given, Listed, parse_listed, parse_metric, parse_values, read_given
from supervisor.samples import STALE, Store, is_stale, to_ms

INF = math.inf


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x", labels("x")),
        ('x{a="b",c="d"}', labels("x", a="b", c="d")),
        (' x{ a="b", } ', labels("x", a="b")),
        ('{a="b"}', labels(a="b")),
        ("{}", ()),
        ("", ()),
        ('x{a=""}', labels("x")),
        ('{a=""}', ()),
        ('by{by="x"}', labels("by", by="x")),
        ('x{a="\\u00fc\\n\\"\\\\"}', labels("x", a='ü\n"\\')),
        ("x{a='b'}", labels("x", a="b")),
        ('{"foo.bar", "l.x"="y"}', (("__name__", "foo.bar"), ("l.x", "y"))),
        ('{a="b", "foo.bar"}', (("__name__", "foo.bar"), ("a", "b"))),
        ('{__name__="y", a="1"}', labels("y", a="1")),
    ],
)
def test_a_label_set(text: str, wanted: object) -> None:
    assert parse_metric(text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('x{a!="b"}', "1:4: a series has its labels by ="),
        ('{a="b",a="c"}', "the label 'a' stands in this series twice"),
        ("rate(x[5m])", "this is not a series"),
        ("x offset 5m", "this is not a series"),
        ("x @ 5", "this is not a series"),
        ("x[5m]", "this is not a series"),
        ("x{", ""),
        ('{a="b"', ""),
    ],
)
def test_what_is_no_label_set_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadSeries) as caught:
        parse_metric(text)
    assert said in str(caught.value)
    assert "resurgam_probe" not in str(caught.value)
    assert all(1 <= one.column <= len(text) + 1 for one in caught.value.mistakes)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("1 2  3", [1, 2, 3]),
        ("1\t2\n", [1, 2]),
        ("_ 1 _x2 2", [None, 1, None, None, 2]),
        ("_x0", []),
        ("5x0", [5]),
        ("5x2", [5, 5, 5]),
        ("5x02", [5, 5, 5]),
        ("1+2x2", [1, 3, 5]),
        ("9-1x2", [9, 8, 7]),
        ("-1-1x2", [-1, -2, -3]),
        (".5 1. 1.5e-3x1 1e+2", [0.5, 1, 0.0015, 0.0015, 100]),
        ("Inf -inf +INF", [INF, -INF, INF]),
        ("Inf+0x1", [INF, INF]),
        ("0x3", [0, 0, 0, 0]),  # no hexadecimal numbers here: it is a zero, three times again
        ("010 08 0_7 1_000", [8, 8, 7, 1000]),
        ("9223372036854775808", [9.223372036854776e18]),
        ("-0", [-0.0]),
    ],
)
def test_values(text: str, wanted: list[float | None]) -> None:
    found = parse_values(text)
    assert found == wanted
    assert [str(value) for value in found if value == 0] == [str(float(value)) for value in wanted if value == 0]


def test_a_stale_marker_is_not_a_nan() -> None:
    stale, odd = parse_values("stale NaN")
    assert stale is not None
    assert odd is not None
    assert is_stale(stale)
    assert odd != odd
    assert not is_stale(odd)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 two", "1:3: 'two' is not a value"),
        ("1\n2\n--1", "3:1: '--1' is not a value"),
        ("1 + 1x3", "1:3: '+' must follow a value without a blank"),
        ("x3", "must follow a value"),
        ("NaNx3", "does not repeat words"),
        ("stalex2", "does not repeat words"),
        ("-stale", "not a value"),
        ("STALE", "not a value"),
        ("1+1", "needs to say how often: 1+1x5"),
        ("1x", "not a value"),
        ("1x1e1", "not a value"),
        ("1+Infx2", "not a value"),
        ("1_", "1_"),
        ("1_000.5", "_ may stand between the digits of a whole number only"),
        ("1e400", "too large"),
        ("1s", "not a value"),
        ("1,2", "not a value"),
        ("_+1x3", "not a value"),
        ("1 {{schema:1 sum:2}}", "1:3: native histograms"),
        ("1x1000000", "more than 1000000 values"),
        ("1x99999999999999999999999", "more than 1000000 values"),
        ("1x999998 _x5 1x1", "1:14: more than"),
    ],
)
def test_what_is_no_value_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadSeries) as caught:
        parse_values(text)
    assert said in str(caught.value)


def test_blanks_cost_nothing() -> None:
    """Series of very different intervals fit into one file of the finest."""
    one = parse_listed((), "1 _x300000000 2+1x1 _x2")
    assert (one.values, list(one.steps), one.count) == ((1, 2, 3), [0, 300000001, 300000002], 300000005)
    assert Given(0.001, (one,)).end == 300000.004


def test_series_that_last_for_ages_are_refused_in_words() -> None:
    given = Given(86400.0, (parse_listed(labels("x"), "_x999999999 1"),))
    with pytest.raises(ResurgamError, match="shorter interval"):
        given.fill(Store())


def test_a_file_becomes_samples_of_a_store() -> None:
    given = read_given(
        "interval: 30s\ninput_series:\n- series: up{job=\"a\"}\n  values: 1 _ stale\n- {series: c, values: '0+1x4'}\n",
        "f",
    )
    assert given.interval == 30
    assert given.end == 120
    store = Store()
    given.fill(store, 1000.0)
    (up,) = store.select(())[1:]
    assert list(up.times) == [to_ms(1000), to_ms(1060)]
    assert is_stale(up.values[1])
    counter = store.select(())[0]
    assert list(counter.values) == [0, 1, 2, 3, 4]
    assert counter.times[-1] == to_ms(1120)
    assert store.drain() == [], "what a file says is nothing to record"


def test_a_single_number_and_a_missing_value_are_texts_too() -> None:
    given = read_given("input_series:\n- {series: x, values: 1.50}\n- {series: y, values: 010}\n- {series: z}\n", "f")
    assert [one.values for one in given.series] == [(1.5,), (8.0,), ()]
    assert given.interval == 60
    assert given.end == 0
    assert read_given("", "f").series == ()


def test_of_two_series_with_one_label_set_the_later_counts() -> None:
    given = Given(60.0, (Listed.of(labels("x"), (1.0, 2.0)), Listed.of(labels("x"), (7.0,))))
    assert list(given.rows()) == [(labels("x"), 0, 7.0)]


def test_every_mistake_of_a_file_has_its_place() -> None:
    text = (
        "interval: 0s\nother: 1\ninput_series:\n- {series: 'x{', values: '1'}\n- {series: x, values: '1 2 q'}\n"
        "- {series: x, vals: 1}\n- 7\n- {series: '{}', values: 1}\n- {series: x, values: [1]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_given(text, "f.yaml")
    said = str(caught.value)
    assert "f.yaml:1:11: the interval must be longer than 0s" in said
    assert "f.yaml:2:1: unknown key 'other'" in said
    assert "f.yaml:4:12: " in said
    assert "f.yaml:5:23: 'q' is not a value" in said
    assert "(at character 5)" in said
    assert "f.yaml:6:15: unknown key 'vals'" in said
    assert "f.yaml:7:3: a mapping" in said
    assert "f.yaml:8:12: a series needs a name or a label" in said
    assert "f.yaml:9:23: a text must stand here" in said


def test_a_store_too_small_is_said() -> None:
    given = Given(60.0, tuple(Listed.of(labels("x", n=str(number)), (STALE,)) for number in range(3)))
    with pytest.raises(ResurgamError, match="at most 2"):
        given.fill(Store(max_series=2))
    assert len(given.store()) == 3
