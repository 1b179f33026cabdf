"""Reading expressions: the tree of each piece of syntax, and every refusal with its place."""

import math
from dataclasses import replace

import pytest

from supervisor.errors import ConfigError
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
    walk,
)
from supervisor.rules.promql.parse import BadExpression, compile_expr
from supervisor.rules.promql.schedule import needed
from supervisor.rules.promql.show import show
from supervisor.units import Matcher


def named(name: str, **more: str) -> Selector:
    return Selector((Matcher("__name__", "=", name), *(Matcher(key, "=", value) for key, value in more.items())))


A, B, C = named("a"), named("b"), named("c")
ONE, TWO, THREE = Number(1.0), Number(2.0), Number(3.0)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a + b * c", Binary("+", A, Binary("*", B, C))),
        ("a - b - c", Binary("-", Binary("-", A, B), C)),
        ("a ^ b ^ c", Binary("^", A, Binary("^", B, C))),
        ("a atan2 b % c", Binary("%", Binary("atan2", A, B), C)),
        ("a or b and c", Binary("or", A, Binary("and", B, C))),
        ("a and b unless c", Binary("unless", Binary("and", A, B), C)),
        ("a > b + c", Binary(">", A, Binary("+", B, C))),
        ("a and b > c", Binary("and", A, Binary(">", B, C))),
        ("(a or b) and c", Binary("and", Binary("or", A, B), C)),
        ("-a ^ b", Negate(Binary("^", A, B))),
        ("-a * b", Binary("*", Negate(A), B)),
        ("a ^ -b * c", Binary("*", Binary("^", A, Negate(B)), C)),
        ("2 ^ -1", Binary("^", TWO, Number(-1.0))),
        ("-1 ^ 2", Negate(Binary("^", ONE, TWO))),
        ("--1", ONE),
        ("+a", replace(A, signed=True)),
        ("-+a", Negate(replace(A, signed=True))),
        ("a > 5m", Binary(">", A, Number(300.0))),
        ("a > bool 1", Binary(">", A, ONE, True)),
    ],
)
def test_operators_bind_as_in_prometheus(text: str, node: Node) -> None:
    assert compile_expr(text).node == node


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("a + on(x, y,) b", Matching(True, ("x", "y"))),
        ("a + on () b", Matching(True)),
        ("a + ignoring(x) b", Matching(False, ("x",))),
        ("a + on(x) group_left b", Matching(True, ("x",), "left")),
        ("a + ON(x) GROUP_RIGHT(y, z) b", Matching(True, ("x",), "right", ("y", "z"))),
        ('a + on("l.x", by, bool) group_left("m.y") b', Matching(True, ("l.x", "by", "bool"), "left", ("m.y",))),
        ("a + fill(0) b", Matching(fill_left=0.0, fill_right=0.0)),
        ("a + on(x) fill_left(-1) b", Matching(True, ("x",), fill_left=-1.0)),
        ("a + on(x) group_left fill_right (+Inf) fill_left(2) b", Matching(True, ("x",), "left", (), 2.0, math.inf)),
    ],
)
def test_what_stands_before_the_right_operand(text: str, matching: Matching) -> None:
    assert compile_expr(text).node == Binary("+", A, B, False, matching)


def test_modifiers_mean_nothing_beside_a_scalar_and_words_of_modifiers_are_metrics_too() -> None:
    assert compile_expr("a + on() 1").node == Binary("+", A, ONE)
    assert compile_expr("a > bool on(x) fill(1) b").node == Binary(
        ">", A, B, True, Matching(True, ("x",), "", (), 1, 1)
    )
    assert compile_expr("a + fill").node == Binary("+", A, named("fill"))
    assert compile_expr("fill / fill_left{x='y'}").node == Binary("/", named("fill"), named("fill_left", x="y"))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a offset 5m", Selector(A.matchers, 300_000)),
        ("a OFFSET -1h30m", Selector(A.matchers, -5_400_000)),
        ("a offset 60", Selector(A.matchers, 60_000)),
        ("a @ 1.5", Selector(A.matchers, 0, 1500)),
        ("a @ -0.0005", Selector(A.matchers, 0, -1)),  # halves go away from zero, as in Go
        ("a @ 1m", Selector(A.matchers, 0, 60_000)),
        ("a @ start() offset 5m", Selector(A.matchers, 300_000, "start")),
        ("a offset 5m @ END()", Selector(A.matchers, 300_000, "end")),
        ("a[5m]", Window(A, 300_000)),
        ("a[300]", Window(A, 300_000)),
        ("a[5m] offset 1m @ 60", Window(Selector(A.matchers, 60_000, 60_000), 300_000)),
        ("a @ start()[5m]", Window(Selector(A.matchers, 0, "start"), 300_000)),
        ("a[4m+1m]", Window(A, 300_000)),
        ("a[10m:1m]", Subquery(A, 600_000, 60_000)),
        ("a[ 10m : ]", Subquery(A, 600_000)),
        ("a offset 1m [10m:30s]", Subquery(Selector(A.matchers, 60_000), 600_000, 30_000)),
        ("(a + b)[10m:] @ 5 offset -1m", Subquery(Binary("+", A, B), 600_000, 0, -60_000, 5000)),
        ("sum(a)[10m:]", Subquery(Aggregate("sum", A), 600_000)),
    ],
)
def test_what_moves_a_selector_in_time(text: str, node: Node) -> None:
    assert compile_expr(text).node == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("sum(a)", Aggregate("sum", A)),
        ("SUM by (x) (a)", Aggregate("sum", A, ("x",))),
        ("sum(a) without (x, y)", Aggregate("sum", A, ("x", "y"), True)),
        ("sum by () (a)", Aggregate("sum", A)),
        ('sum by ("a.b", on, inf_) (a)', Aggregate("sum", A, ("a.b", "on", "inf_"))),
        ("topk(3, a) by (x)", Aggregate("topk", A, ("x",), False, THREE)),
        ("quantile(scalar(b), a)", None),
        ('count_values("v", a)', Aggregate("count_values", A, (), False, Text("v"))),
        ("sum", named("sum")),
        ("sum + min{x='y'}", Binary("+", named("sum"), named("min", x="y"))),
        ("sum(sum)", Aggregate("sum", named("sum"))),
    ],
)
def test_aggregations(text: str, node: Node | None) -> None:
    found = compile_expr(text).node
    assert isinstance(found, Aggregate) if node is None else found == node


@pytest.mark.parametrize("word", ["by", "without", "and", "or", "unless", "offset", "start", "end", "count", "Group"])
def test_keywords_are_metrics_where_an_operand_stands(word: str) -> None:
    assert compile_expr(f"{word} offset 1m").node == Selector(named(word).matchers, 60_000)
    assert compile_expr(f'{word}{{{word}="x"}} + a').node == Binary("+", named(word, **{word: "x"}), A)


def test_names_in_quotes_may_be_anything() -> None:
    dotted = (Matcher("__name__", "=", "foo.bar"), Matcher("l.x", "=", "y"), Matcher("z", "!=", ""))
    assert compile_expr("""{"foo.bar", 'l.x'="y", z!=``}""").node == Selector(dotted)
    assert compile_expr("""{'l.x'="y", z!="", "foo.bar",}""").node == Selector(dotted)  # the name first, always
    assert compile_expr('{__name__="a"}').node == A
    assert compile_expr('{inf="x", on=~".+"}').node.kind is Kind.VECTOR


def test_escapes_in_matchers_are_read_as_prometheus_reads_them() -> None:
    ((selector, _span),) = compile_expr(r'x{a="q\"w\n", b=~"\\d+", c=`raw\n`}').selectors
    assert [(matcher.name, matcher.op, matcher.value) for matcher in selector.matchers[1:]] == [
        ("a", "=", 'q"w\n'),
        ("b", "=~", r"\d+"),
        ("c", "=", r"raw\n"),
    ]


def test_comments_and_lines_are_space() -> None:
    assert compile_expr("# why\na # so\n+ # and\n\tb\r\n# end").node == Binary("+", A, B)


def test_functions_take_what_their_table_says() -> None:
    call = compile_expr('label_join(a, "x", "-", "y", "z")').node
    assert isinstance(call, Call)
    assert [arg.kind for arg in call.args] == [Kind.VECTOR] + [Kind.TEXT] * 4
    assert compile_expr("round(a)").node.kind is Kind.VECTOR
    assert compile_expr("round(a, 0.5)").node.kind is Kind.VECTOR
    assert compile_expr("hour()").node.kind is Kind.VECTOR
    assert compile_expr("time()").node.kind is Kind.SCALAR
    assert compile_expr("max_over_time((rate(a[1m]) > 0)[1h:])").node.kind is Kind.VECTOR


def test_every_node_knows_its_place() -> None:
    text = "sum by (x) (\n  -rate(a{b='c'}[5m] offset 1m)\n) / on (x) (b > 1)"
    places = {
        type(node).__name__ + str(index): text[slice(*node.pos)]
        for index, node in enumerate(walk(compile_expr(text).node))
    }
    assert places == {
        "Binary0": text,
        "Aggregate1": text[: text.index(" /")],
        "Negate2": "-rate(a{b='c'}[5m] offset 1m)",
        "Call3": "rate(a{b='c'}[5m] offset 1m)",
        "Window4": "a{b='c'}[5m] offset 1m",
        "Selector5": "a{b='c'}",
        "Binary6": "b > 1",
        "Selector7": "b",
        "Number8": "1",
    }


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "no expression found in input"),
        (" # nothing", 1, "no expression found in input"),
        ("x >", 4, "unexpected end of input"),
        ("x y", 3, 'unexpected identifier "y"'),
        ("*x", 1, 'unexpected "*"'),
        ("(x", 1, "unclosed left parenthesis"),
        ("rate(x[5m", 7, "unclosed left bracket"),
        ("x{a='b'", 2, "unclosed left brace"),
        ("(x))", 4, "unexpected right parenthesis"),
        ("x{a='1' or b='2'}", 9, 'unexpected identifier "or" in label matching, expected "," or "}"'),
        ("x{a}", 4, "expected label matching operator"),
        ("x{a=b}", 5, "expected string"),
        ("x{a:b='c'}", 4, "unexpected character inside braces: ':'"),
        ("x{,}", 3, 'expected identifier or "}"'),
        (r"x{a='\d'}", 6, r"unknown escape sequence \d"),
        ("sum(x) by x", 11, 'in grouping opts, expected "("'),
        ("sum by (,) (x)", 9, "expected label"),
        ('sum by ("") (x)', 9, "invalid label name for grouping"),
        ("sum by (inf) (x)", 9, "unexpected number inf in grouping opts, expected label"),
        ("sum by (x) (x) by (x)", 16, 'unexpected "by"'),
        ("sum by (x) + 1", 12, 'unexpected "+" in aggregation, expected "("'),
        ("a + group_left b", 5, "it goes behind on (…) or ignoring (…)"),
        ("a + on(x) bool b", 11, 'unexpected "bool"'),
        ("a + fill(0) fill_left(1) b", 13, "a side is filled in already"),
        ("a + fill(b) b", 10, "in fill modifier, expected number"),
        ("floor(x,)", 8, "trailing commas not allowed in function call args"),
        ("a:b(x)", 4, 'unexpected "("'),
        ("x[]", 3, "in subquery selector, expected number or duration"),
        ("x[5m,1m]", 5, 'in subquery or range, expected ":" or "]"'),
        ("x[5m x]", 6, 'expected ":" or "]"'),
        ("x[5m:1m:1m]", 8, 'expected "]"'),
        ("x[step()]", 3, "write the duration itself here"),
        ("x offset", 9, "in offset, expected number or duration"),
        ("x @ y", 5, "in @, expected timestamp"),
        ("x @ start", 10, 'unexpected end of input in @, expected "("'),
        ("1 =~ 1", 3, 'unexpected "=~"'),
        ("x </ 1", 3, "trims native histograms, which are not supported"),
        ("x[5m] smoothed", 7, "the modifier smoothed is not supported"),
        ("9" * 400, 1, "out of range"),
    ],
)
def test_errors_of_syntax_have_their_place(text: str, column: int, words: str) -> None:
    with pytest.raises(BadExpression) as caught:
        compile_expr(text, "rules.yaml")
    (mistake,) = caught.value.mistakes
    assert words in mistake.text
    assert (mistake.file, mistake.line, mistake.column) == ("rules.yaml", 1, column)
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("{}", 1, "at least one non-empty matcher"),
        ('{x=~".*"}', 1, "at least one non-empty matcher"),
        ('{x!="a"}', 1, "at least one non-empty matcher"),
        ('{""}', 1, "at least one non-empty matcher"),
        ('x{__name__="y"}', 1, 'metric name must not be set twice: "x" or "y"'),
        ('x{"y"}', 1, "metric name must not be set twice"),
        ('x{a=~"("}', 6, "bad regular expression '(': missing ): ("),
        ('x{a!~"a(?=b)"}', 6, "bad regular expression"),
        ('label_replace(x, "a", "$1", "b", "(")', 34, "bad regular expression"),
        ("-'s'", 1, 'unary expression only allowed on expressions of type scalar or instant vector, got "string"'),
        ("+x[5m]", 1, "unary expression only allowed"),
        ("x + y[5m]", 5, "must contain only scalar and instant vector types, not a range vector"),
        ("1 > 2", 3, "comparisons between scalars must use BOOL modifier"),
        ("x + bool 1", 3, "bool modifier can only be used on comparison operators"),
        ("x and 1", 3, 'set operator "and" not allowed in binary scalar expression'),
        ("x and on(y) group_left z", 3, 'no grouping allowed for "and" operation'),
        ("x or fill(0) y", 3, "filling in missing series not allowed for set operators"),
        ("x + fill(0) 1", 3, "filling in missing series only allowed between instant vectors"),
        ("x + on(y) 1", 3, "vector matching only allowed between instant vectors"),
        ("x + on(y) group_left(y) z", 3, 'label "y" must not occur in ON and GROUP clause at once'),
        ("sum()", 1, "no arguments for aggregate expression provided"),
        ("sum(x, y)", 1, "expected 1, got 2"),
        ("topk(x)", 1, "expected 2, got 1"),
        ("topk(x, y)", 6, "expected type scalar in aggregation parameter, got instant vector"),
        ("count_values(1, y)", 14, "expected type string in aggregation parameter, got scalar"),
        ("sum(1)", 5, "expected type instant vector in aggregation expression, got scalar"),
        ("increase(x)", 10, 'expected type range vector in call to function "increase", got instant vector'),
        ("floor(x, 1)", 1, 'expected 1 argument(s) in call to "floor", got 2'),
        ("hour(x, y)", 1, 'expected at most 1 argument(s) in call to "hour", got 2'),
        ("round()", 1, 'expected at least 1 argument(s) in call to "round", got 0'),
        ("label_join(x, 'a')", 1, 'expected at least 3 argument(s) in call to "label_join", got 2'),
        ("label_join(x, 'a', 'b', 1)", 25, "expected type string"),
        ("flor(x)", 1, "there is no function flor(); did you mean floor()?"),
        ("count_value(x)", 1, "did you mean count_values()?"),
        ("zzz(x)", 1, "there is no function zzz()"),
        ("histogram_avg(x)", 1, "native histograms"),
        ("holt_winters(x[5m], 1, 1)", 1, "double_exponential_smoothing()"),
        ("(x)[5m]", 4, "ranges only allowed for vector selectors"),
        ("x offset 1m [5m]", 13, "no offset modifiers allowed before range"),
        ("x @ 1 [5m]", 7, "no @ modifiers allowed before range"),
        ("x[5m][5m:]", 1, "subquery is only allowed on instant vector, got range vector instead"),
        ("(x) offset 1m", 1, "offset modifier must be preceded by"),
        ("x offset 1m offset 2m", 1, "offset may not be set multiple times"),
        ("x[5m] @ 1 @ start()", 1, "@ <timestamp> may not be set multiple times"),
        ("rate(x[5m]) @ 1", 1, "@ modifier must be preceded by"),
        ("x @ NaN", 1, "timestamp out of bounds for @ modifier: NaN"),
        ("x @ -Inf", 1, "timestamp out of bounds for @ modifier: -Inf"),
    ],
)
def test_errors_of_kind_have_their_place(text: str, column: int, words: str) -> None:
    with pytest.raises(BadExpression) as caught:
        compile_expr(text)
    (mistake,) = caught.value.mistakes
    assert words in mistake.text
    assert (mistake.line, mistake.column) == (1, column)


def test_errors_of_kind_are_told_all_at_once_and_once_each() -> None:
    with pytest.raises(BadExpression) as caught:
        compile_expr('rate(flor(x)[5m:])\n  + sum(1) > on(a) foo{b=~"("}')
    assert [(mistake.line, mistake.column) for mistake in caught.value.mistakes] == [(1, 6), (2, 9), (2, 27)]
    with pytest.raises(BadExpression) as caught:
        compile_expr("sum(" + "1), sum(".join([""] * 3) + "1)")
    assert len(caught.value.mistakes) == 1  # of syntax: nothing else is told


def test_very_many_mistakes_are_told_in_part() -> None:
    with pytest.raises(BadExpression) as caught:
        compile_expr("abs(" + "nope(), " * 1000 + "1)")
    assert len(caught.value.mistakes) == 20


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100 + "x" + ")" * 100,
        "-" * 5000 + "x",
        "+".join(["x"] * 3000),
        " and ".join(["x"] * 500),
        "2^" * 3000 + "2",
        "x" + "[5m:]" * 3000,
        "abs(" * 1000 + "x" + ")" * 1000,
        "x" * 20_000,
        "x[" + "(" * 5000 + "1" + ")" * 5000 + "]",
    ],
)
def test_monsters_are_refused(text: str) -> None:
    with pytest.raises(BadExpression, match=r"split|simplify"):
        compile_expr(text)


def test_what_is_long_but_flat_is_fine() -> None:
    assert compile_expr("+".join(["x"] * 200)).node.kind is Kind.VECTOR
    assert compile_expr("(" * 60 + "x" + ")" * 60).node == named("x")
    assert len(compile_expr('x{a="' + "(" * 16_000 + '"}').text) > 16_000
    assert compile_expr("sum by (" + "a," * 8000 + ") (x)").node.kind is Kind.VECTOR


def test_selectors_come_with_how_far_they_look_back() -> None:
    expr = compile_expr("rate(x[5m]) > y offset 1m and vector(time()) > 0")
    assert [(show(selector), span) for selector, span in expr.selectors] == [("x", 300_000), ("y offset 1m", 0)]
    assert needed(expr.selectors) == 360.0


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("max_over_time(x[1h:1m])", 3600 + 300),
        ("max_over_time(rate(x[10m] offset 1m)[1h:1m] offset 2h)", 3600 + 7200 + 600 + 60),
        ("max_over_time(sum(max_over_time(x[30m:]))[1h:])", 3600 + 1800 + 300),
        ("max_over_time(x[1h:] offset -2h)", 3600 + 300),
        ("x offset 1h", 3900),
        ("vector(1)", 300),
    ],
)
def test_what_is_kept_covers_every_subquery_around_a_selector(text: str, reach: float) -> None:
    assert needed(compile_expr(text).selectors) == reach


def test_flowing_is_known() -> None:
    assert compile_expr("1 + rate(x[5m])").flows
    assert compile_expr("time() - x > 60").flows
    assert not compile_expr("changes(x[5m]) > y").flows
    assert not compile_expr("hour(x) > 3").flows


def test_what_prometheus_calls_experimental_is_named() -> None:
    text = "limitk(1, mad_over_time(x[5m+1m])) + fill(0) mad_over_time(y[5m:] offset (1m))"
    assert compile_expr(text).experimental == ("limitk", "mad_over_time", "duration arithmetic", "fill modifiers")
    assert compile_expr("topk(1, rate(x[5m]))").experimental == ()
