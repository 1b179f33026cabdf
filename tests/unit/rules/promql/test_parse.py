"""Reading expressions: what we evaluate is read, everything else is refused by name and place."""

import pytest

from supervisor.errors import ConfigError
from supervisor.rules import BadExpression, compile_expr
from supervisor.rules.promql.nodes import Kind
from supervisor.rules.promql.show import show


@pytest.mark.parametrize(
    "text",
    [
        'sum by (a, b) (rate(x{a="b", c!~"d.*"}[5m] offset 1m)) > bool 3',
        "a + on (x) group_left (y) b",
        "(a and b) unless ignoring (z) c",
        "-x ^ 2",
        "x @ 5.000",
        "clamp(x, 1, 2)",
        'sum without () ({__name__=~"x.*"})',
        "predict_linear(x[30m], 1800) < 0",
        "absent(x)",
    ],
)
def test_what_is_shown_reads_back_as_the_same_expression(text: str) -> None:
    node = compile_expr(text).node
    assert compile_expr(show(node)).node == node


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("histogram_quantile(0.9, x)", 1, "the function histogram_quantile() is not supported yet"),
        ("1 + topk(3, x)", 5, "the aggregation topk() is not supported yet"),
        ("max_over_time(x[5m:1m])", 1, "a subquery"),
        ("a + fill(0) b", 5, "fill() is not supported yet"),
        ("x > foo(y)", 5, "unknown function with name 'foo'"),
        ('x{a=~"("}', 6, "illegal regex"),
        ('x{a=~"a(?=b)"}', 6, "illegal regex"),
        ("increase(x)", 1, "expected type matrix"),
        ("x @ -5", 5, "before 1970"),
        ("x @-5.5", 3, "before 1970"),
        ('x{a="1" or b="2"}', 9, "VictoriaMetrics"),
        ("", 1, "no expression"),
        ("x >", 1, "not PromQL"),
        ("{}", 1, "at least one non-empty matcher"),
        ("1 > 2", 1, "BOOL"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(text: str, column: int, words: str) -> None:
    with pytest.raises(BadExpression, match=r".") as caught:
        compile_expr(text, "rules.yaml")
    (mistake,) = caught.value.mistakes
    assert words in mistake.text
    assert (mistake.file, mistake.line, mistake.column) == ("rules.yaml", 1, column)
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


def test_the_place_counts_lines() -> None:
    with pytest.raises(BadExpression) as caught:
        compile_expr("x >\n  foo(y)")
    assert (caught.value.mistakes[0].line, caught.value.mistakes[0].column) == (2, 3)


@pytest.mark.parametrize(
    "text",
    ["(" * 100 + "x" + ")" * 100, "-" * 5000 + "x", "+".join(["x"] * 3000), "x" * 20_000, " and ".join(["x"] * 500)],
)
def test_monsters_are_refused_before_the_parser_sees_them(text: str) -> None:
    with pytest.raises(BadExpression, match="split"):
        compile_expr(text)


def test_brackets_and_operators_inside_strings_do_not_count() -> None:
    text = 'x{a="' + "(" * 500 + '", b="@-1"}'
    assert compile_expr(text).node.kind is Kind.VECTOR


def test_selectors_come_with_their_spans_and_flowing_is_known() -> None:
    expr = compile_expr("rate(x[5m]) > y offset 1m and vector(time()) > 0")
    assert [(show(selector), span) for selector, span in expr.selectors] == [("x", 300_000), ("y offset 1m", 0)]
    assert expr.flows
    assert not compile_expr("changes(x[5m]) > y").flows


def test_escapes_in_matchers_are_read_as_prometheus_reads_them() -> None:
    (selector, _span) = compile_expr(r'x{a="q\"w\n", b=~"\\d+", c=`raw\n`}').selectors[0]
    assert [(matcher.name, matcher.op, matcher.value) for matcher in selector.matchers[1:]] == [
        ("a", "=", 'q"w\n'),
        ("b", "=~", r"\d+"),
        ("c", "=", r"raw\n"),
    ]
