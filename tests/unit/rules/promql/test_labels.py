"""Rewriting, joining and sorting by labels."""

import pytest

from supervisor.rules import EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import Options, evaluate
from supervisor.rules.promql.functions.labels import natural, parts
from tests.support.rules import filled

STORE = filled({'x{src="source-10",dst="old"}': "1", 'x{src="source-9",dst="old"}': "2"})
PLAIN, DELAYED = Options(), Options(delayed_names=True)


def labelled(expr: str, options: Options = PLAIN) -> list[str]:
    found = evaluate(compile_expr(expr).node, STORE, 0, options=options)
    assert isinstance(found, list)
    return [" ".join(f"{name}={value}" for name, value in labels) for labels, _value in found]


def test_a_label_is_rewritten_where_the_whole_value_matches() -> None:
    assert labelled('label_replace(x, "dst", "to-$1", "src", "source-(.*)")') == [
        "__name__=x dst=to-10 src=source-10",
        "__name__=x dst=to-9 src=source-9",
    ]
    untouched = ["__name__=x dst=old src=source-10", "__name__=x dst=old src=source-9"]
    assert labelled('label_replace(x, "dst", "$1", "src", "ource-(.*)")') == untouched
    assert labelled('label_replace(x, "dst", "$1", "src", "source-(1.)")')[0] == "__name__=x dst=10 src=source-10"


def test_a_label_rewritten_to_nothing_is_gone_and_one_that_is_missing_is_empty() -> None:
    assert labelled('label_replace(x, "dst", "", "dst", ".*")') == [
        "__name__=x src=source-10",
        "__name__=x src=source-9",
    ]
    assert labelled('label_replace(x, "new", "made", "none", "")')[0] == "__name__=x dst=old new=made src=source-10"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$1-$2", "a-b"),
        ("${1}x", "ax"),
        ("$1x", ""),  # the group called "1x"
        ("$n$$1", "b$1"),
        ("${n}", "b"),
        ("$0", "a.b"),
        ("$7", ""),
        ("$01", ""),
        ("${1", "${1"),
        ("$", "$"),
        ("$-", "$-"),
        ("${}", "${}"),
        ("${n-}", "${n-}"),
        ("é$nö", "é"),  # letters of any script are part of a name
    ],
)
def test_templates_are_those_of_go(template: str, expected: str) -> None:
    store = filled({'x{src="a.b"}': "1"})
    expr = f'label_replace(x, "dst", "{template}", "src", "(.)[.](?P<n>.)")'
    ((labels, _value),) = evaluate(compile_expr(expr).node, store, 0)  # type: ignore[misc]
    assert dict(labels).get("dst", "") == expected  # type: ignore[has-type]
    assert parts("$1", "(a)") == ("", 1, "")


def test_a_group_that_took_no_part_is_nothing() -> None:
    assert labelled('label_replace(x, "dst", "<$1>", "src", "(z)?source.*")')[0] == "__name__=x dst=<> src=source-10"


def test_the_dot_matches_newlines_and_unicode() -> None:
    store = filled({'x{src="größe"}': "1"})
    node = compile_expr('label_replace(x, "dst", "$1", "src", "gr(..)e")').node
    assert evaluate(node, store, 0) == [((("__name__", "x"), ("dst", "öß"), ("src", "größe")), 1.0)]


def test_labels_are_joined_in_the_order_they_are_named() -> None:
    assert labelled('label_join(x, "j", "/", "src", "none", "dst")')[0] == (
        "__name__=x dst=old j=source-10//old src=source-10"
    )
    assert labelled('label_join(x, "dst", ",")')[0] == "__name__=x src=source-10"


@pytest.mark.parametrize(
    "expr",
    [
        'label_replace(x, "src", "", "src", ".*")',
        'label_replace({__name__="x"}, "src", "same", "src", ".*")',
        'label_join(x, "src", "", "dst")',
    ],
)
def test_two_elements_made_alike_are_an_error(expr: str) -> None:
    with pytest.raises(EvaluationError, match="vector cannot contain metrics with the same labelset"):
        labelled(expr)


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ('label_replace(x, "", "", "src", ".*")', r"invalid destination label name in label_replace\(\): "),
        (r'label_replace(x, "\xff", "", "src", ".*")', r"invalid destination label name in label_replace\(\): "),
        ('label_join(x, "", "", "src")', r"invalid destination label name in label_join\(\): "),
        ('label_join(x, "dst", "", "src", "")', r"invalid source label name in label_join\(\): "),
    ],
)
def test_names_that_are_none_are_errors_in_upstreams_words(expr: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        labelled(expr)


def test_a_name_to_be_dropped_late_stays_dropped_unless_it_is_set_anew() -> None:
    assert labelled('label_replace(abs(x), "dst", "$1", "__name__", "(.*)")', DELAYED)[0] == "dst=x src=source-10"
    assert labelled('label_replace(abs(x), "__name__", "${1}_abs", "__name__", "(.*)")', DELAYED)[0] == (
        "__name__=x_abs dst=old src=source-10"
    )
    assert labelled('label_join(abs(x), "__name__", "", "src")', DELAYED)[0] == (
        "__name__=source-10 dst=old src=source-10"
    )


def test_numbers_inside_labels_sort_as_numbers() -> None:
    assert sorted(["gpu10", "gpu9", "gpu", "a", "gpu09b", "10", "9"], key=natural) == [
        *("9", "10", "a", "gpu", "gpu9", "gpu09b", "gpu10")
    ]
    assert labelled('sort_by_label(x, "src")')[0].endswith("src=source-9")
    assert labelled('sort_by_label_desc(x, "dst", "src")')[0].endswith("src=source-10")
    assert labelled("sort_by_label(x)")[0].endswith("src=source-10")  # the label sets themselves decide
