"""Asked questions: rows for people, and what each part of an expression gives."""

import pytest

from supervisor.rules import EvaluationError, Row, compile_expr, parts, query
from tests.support.rules import filled

STORE = filled({'x{name="a"}': "1 2", 'x{name="b"}': "3 4"})


def test_rows_come_in_a_fixed_order_with_their_labels() -> None:
    assert query(compile_expr("x * 2"), STORE, 15.0) == (Row({"name": "a"}, 4.0), Row({"name": "b"}, 8.0))
    assert query(compile_expr("1 + 1"), STORE, 15.0) == (Row({}, 2.0),)
    assert query(compile_expr('"word"'), STORE, 15.0) == ()
    assert query(compile_expr("x[1m]"), STORE, 15.0)[0] == Row({"__name__": "x", "name": "a"}, 2.0)


def test_a_question_has_a_purse() -> None:
    with pytest.raises(EvaluationError):
        query(compile_expr("x"), STORE, 15.0, purse=1)


def test_parts_show_where_a_value_comes_from_and_where_an_error_is() -> None:
    told = parts(compile_expr('x{name="a"} + on () x > 0 or vector(7)'), STORE, 15.0)
    assert [part.text for part in told] == [
        '((x{name="a"} + on () x) > 0) or vector(7)',
        '(x{name="a"} + on () x) > 0',
        'x{name="a"} + on () x',
        'x{name="a"}',
        "x",
        "vector(7)",
    ]
    assert "found duplicate series" in told[2].error
    assert (told[3].rows, told[3].error) == ((Row({"__name__": "x", "name": "a"}, 2.0),), "")
    assert told[2].json()["error"]
