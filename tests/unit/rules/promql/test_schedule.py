"""How far back samples must be kept for an expression."""

import pytest

from supervisor.rules import compile_expr
from supervisor.rules.promql.schedule import needed


@pytest.mark.parametrize(
    ("expr", "seconds"),
    [
        ("vector(1)", 300),
        ("x > 5", 300),
        ("x offset 1h", 3900),
        ("x offset -1h", 300),
        ("rate(x[5m])", 300),
        ("rate(x[5m]) > rate(x[1h] offset 10m)", 4200),
        ("max_over_time(x[1h:1m])", 3900),
        ("max_over_time(rate(x[5m])[1h:1m] offset 10m)", 4500),
        ("max_over_time(max_over_time(x[1h:1m])[1h:1m])", 7500),
    ],
)
def test_an_expression_needs_what_it_looks_back_to(expr: str, seconds: float) -> None:
    assert needed(compile_expr(expr).selectors) == seconds
