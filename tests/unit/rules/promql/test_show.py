"""Trees as text: short, and what is shown reads back as the same tree."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor.rules.promql.functions import TABLE
from supervisor.rules.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Window,
)
from supervisor.rules.promql.parse import compile_expr
from supervisor.rules.promql.show import show
from supervisor.units import Matcher


@pytest.mark.parametrize(
    "text",
    [
        "a",
        'sum by (a, b) (rate(x{a="b", c!~"d.*"}[5m] offset 1m)) > bool 3',
        "a + on (x) group_left (y) b",
        "a + ignoring () group_right () b",
        "a + on (x) fill_left (-1) fill_right (2.5) b",
        "a > bool fill (0) b",
        "a and b unless ignoring (z) c",
        "(a or b) and c",
        "a + b + c - (d - e)",
        "-x ^ 2",
        "+x",
        "+x * -y",
        "(+x) ^ 2",
        "2 ^ +x",
        "-(+x)",
        "(+x)[5m:1m]",
        "(-x) ^ 2",
        "(-2) ^ 2",
        "2 ^ -2",
        "-(x * y)",
        "-x * y",
        "2 ^ 3 ^ 4",
        "(2 ^ 3) ^ 4",
        "a - -5",
        "x @ 5.000",
        "x @ -0.001 offset -1h30m",
        "max_over_time((a + b)[1h:1m] @ end() offset 5m)",
        "max_over_time(rate(x[5m] @ start())[1d2h3m4s5ms:])",
        "x offset 5m[1h:]",
        'sum without () ({__name__=~"x.*"})',
        'count_values("v", x)',
        "topk by (a) (3, x)",
        '{"foo.bar", "l.x"="y"}',
        'sum by ("a.b", inf_, on) ({"on", "inf"="x"})',
        '{__name__="a", __name__="b"}',
        'sum + offset{by="x"}',
        'label_replace(x, "a", "\\"$1\\"\\n\\\\", "b", "\\x01\\t.*")',
        "NaN + +Inf - -Inf",
        "1e+16 + 0.1 + 100000",
        "predict_linear(x[30m], 1800) < 0",
    ],
)
def test_a_text_in_its_plainest_form_is_shown_as_it_is(text: str) -> None:
    assert show(compile_expr(text).node) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("((a)) + (b * c)", "a + b * c"),
        ("SUM(a) BY (x)", "sum by (x) (a)"),
        ("a[90s]", "a[1m30s]"),
        ("a[300] @ 5", "a[5m] @ 5.000"),
        ("a > 5m", "a > 300"),
        ("--5", "5"),
        ('{"sum"}', "sum"),
        ("{x='y', 'a'}", 'a{x="y"}'),
        ("a + on() 1", "a + 1"),
        ("0x10", "16"),
    ],
)
def test_a_text_is_brought_to_its_plainest_form(text: str, shown: str) -> None:
    assert show(compile_expr(text).node) == shown


LABELS = st.sampled_from(["a", "job", "on", "by", "inf", "a.b", "ä", 'q"\\'])
METRICS = st.sampled_from(["x", "sum", "offset", "on", "nan", "a:b", "foo.bar", "fill"])
MS = st.integers(1, 10**11)
MOVES = st.tuples(
    st.just(0) | MS | MS.map(int.__neg__), st.none() | st.sampled_from(["start", "end"]) | st.integers(-(10**9), 10**9)
)
NUMBERS = st.builds(Number, st.floats(allow_nan=False))
NAMES = st.lists(LABELS, max_size=2, unique=True).map(tuple)


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    more = draw(
        st.lists(st.builds(Matcher, LABELS, st.sampled_from(["=", "!=", "=~"]), st.text(max_size=3)), max_size=2)
    )
    fine = [matcher for matcher in more if matcher.op != "=~" or matcher.value.isalnum()]
    return Selector((Matcher("__name__", "=", draw(METRICS)), *fine), *draw(MOVES))


def grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    """Vectors made of smaller ones."""
    arithmetic = st.sampled_from(["+", "*", "^", "atan2", ">", "=="])
    matching = st.builds(Matching, st.booleans(), NAMES) | st.builds(Matching, st.just(True), NAMES, st.just("left"))
    filled = st.builds(Matching, fill_left=st.none() | st.floats(allow_nan=False), fill_right=st.none() | st.just(0.0))
    over = TABLE["max_over_time"]
    assert over.args == (Kind.MATRIX,)
    ranges = st.builds(Window, selectors(), MS) | st.tuples(inner, MS, st.just(0) | MS, MOVES).map(
        lambda parts: Subquery(parts[0], parts[1], parts[2], *parts[3])
    )
    return st.one_of(
        st.builds(Negate, inner),
        st.builds(Binary, arithmetic, inner, inner, matching=matching | filled),
        st.builds(Binary, st.just(">"), inner, inner, st.just(True)),
        st.builds(
            Binary,
            st.sampled_from(["and", "or", "unless"]),
            inner,
            inner,
            matching=st.builds(Matching, st.just(True), NAMES),
        ),
        st.builds(Binary, arithmetic, NUMBERS, inner) | st.builds(Binary, arithmetic, inner, NUMBERS),
        st.builds(Aggregate, st.sampled_from(["sum", "min"]), inner, NAMES, st.booleans()),
        st.builds(lambda number, node: Aggregate("topk", node, param=number), NUMBERS, inner),
        st.builds(lambda text, node: Aggregate("count_values", node, param=Text(text)), st.text(max_size=4), inner),
        ranges.map(lambda node: Call(over, (node,))),
    )


@settings(max_examples=15, deadline=None)
@given(st.recursive(selectors(), grown, max_leaves=6))
@example(Selector((Matcher("__name__", "=", "x"),), offset=17_179_869_183))
def test_whatever_is_shown_reads_back_as_the_same_tree(node: Node) -> None:
    assert compile_expr(show(node)).node == node
