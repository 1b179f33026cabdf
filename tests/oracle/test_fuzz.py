"""Whatever is written into a rule file: a value or one clear mistake, within the purse and within bounds of memory.

A tenth of the campaign on every change: 2,000 expressions and 500 rule files; `RESURGAM_FUZZ=10` (in `make soak`)
runs the whole, with `RESURGAM_FUZZ_SEED` another one.
"""

import os
import random
import tracemalloc

import pytest

from supervisor.errors import ConfigError, Mistake
from supervisor.rules import BadExpression, EvaluationError, compile_expr, parse_rules
from supervisor.rules.promql.evaluate import evaluate
from supervisor.rules.promql.functions import TABLE
from supervisor.samples import Store
from tests.support.rules import filled
from tests.support.soup import Soup, mutated

TIMES = int(os.environ.get("RESURGAM_FUZZ", "1"))
SEED = int(os.environ.get("RESURGAM_FUZZ_SEED", "0"))
PURSE = 20_000
MOST_BYTES = 64 * 2**20
"""what one evaluation may hold at its worst: far above anything 20,000 visits need"""


@pytest.fixture(scope="module")
def store() -> Store:
    rng = random.Random(7)
    series = {f'x{{a="{a}",b="{b}"}}': "0+3x40 5 6+1x20" for a in "123" for b in "12"}
    series |= {f'y_total{{a="{a}"}}': "1 2 NaN stale 4 +Inf -Inf 1e308 1e308 _ _ 0" for a in "123"}
    series |= {f'h_bucket{{a="{a}",le="{le}"}}': f"0+{n}x60" for a in "12" for n, le in enumerate(("1", "2", "+Inf"))}
    series["up"] = " ".join(str(rng.randrange(2)) for _ in range(60))
    return filled(series, 15)


@pytest.mark.parametrize("part", range(8))
def test_an_expression_has_a_value_or_a_mistake(part: int, store: Store) -> None:
    rng = random.Random(SEED * 100 + part)
    soup = Soup(rng, sorted(TABLE))
    evaluated = 0
    tracemalloc.start()
    try:
        for _ in range(250 * TIMES):
            evaluated += has_a_value(soup.expression(), store, rng.randrange(1, 1200) * 1000 + 137)
    finally:
        tracemalloc.stop()
    assert evaluated > 20 * TIMES  # else it proves nothing


def has_a_value(text: str, store: Store, at: int) -> bool:
    """Whether the expression gave a value; any failure but a mistake with its place, or an error in words, fails."""
    mistakes, error, value = [Mistake("", 1, 1, "none")], "none", None
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        value = evaluate(compile_expr(text).node, store, at, PURSE)
    except BadExpression as err:
        mistakes = err.mistakes
    except EvaluationError as err:
        error = str(err)
    except Exception as err:
        raise AssertionError(f"{text!r}: {type(err).__name__}: {err}") from err
    assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES, f"{text!r} took too much memory"
    assert mistakes and all(one.text and one.line >= 1 and one.column >= 1 for one in mistakes), repr(text)  # noqa: PT018
    assert error, repr(text)
    if isinstance(value, list):
        assert all(isinstance(element[1], float | int) for element in value), repr(text)
    return value is not None


@pytest.mark.parametrize("part", range(4))
def test_a_rule_file_loads_or_says_where_it_is_wrong(part: int) -> None:
    rng = random.Random(SEED * 100 + part)
    loaded = [loads(mutated(rng)) for _ in range(125 * TIMES)]
    assert loaded.count(True) > 5 * TIMES
    assert loaded.count(False) > 20 * TIMES


def loads(text: str) -> bool:
    """Whether the rule file is good; if not, every mistake has its place."""
    try:
        parse_rules(text, "fuzz.yaml")
    except ConfigError as err:
        mistakes = err.mistakes
    except Exception as err:
        raise AssertionError(f"{text!r}: {type(err).__name__}: {err}") from err
    else:
        return True
    assert mistakes, repr(text)
    assert all(one.file == "fuzz.yaml" and one.text for one in mistakes), repr(text)
    return False


def test_no_function_changes_what_it_reads(store: Store) -> None:
    """The same question gives the same answer twice."""
    for name in sorted(TABLE):
        for args in ("x[5m]", "x", "0.5, h_bucket", "x[5m], 3", "0.9, x[5m]", "h_bucket"):
            text = f"{name}({args})"
            try:
                node = compile_expr(text).node
                first, second = (repr(evaluate(node, store, 600_137)) for _ in range(2))
            except (BadExpression, EvaluationError):
                continue
            assert first == second, text
