"""Asked questions: rows for people, and whether an expression holds for a service."""

import pytest

from supervisor.rules import Asking, EvaluationError, Row, compile_expr, query
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


def test_many_who_ask_the_same_in_a_turn_pay_once_and_all_together_have_one_purse() -> None:
    asking = Asking(STORE, 15.0, purse=10)
    for _ in range(100):
        assert asking.holds(compile_expr("x > 1"), {"name": "a"}) is True
    found = [asking.holds(compile_expr(f"x > {limit}"), {"name": "a"}) for limit in range(10, 20)]
    assert found[0] is False
    assert found[-1] is None  # the purse is empty: nobody knows
    assert asking.holds(compile_expr("x > 1"), {"name": "b"}) is True  # what is known stays known
