"""Asked questions: rows for people, and whether an expression holds for a service."""

import pytest

from supervisor.rules import EvaluationError, Row, compile_expr, query
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
