"""Runs promtool's unit-test files: the same verdicts as promtool, with the place and the difference of each failure.

In: a path. Out: a `FileRun`. The rules run on promtool's grid (`grid.py`): an alert is looked at as of the last
evaluation at or before its `eval_time`; expressions are asked after the last one, at exactly their own time, over the
samples known by then. A rule that errs ends its test, as it does there.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from supervisor.errors import ConfigError
from supervisor.facts import Alert, Labels
from supervisor.lab.grid import Grid, Trouble, ordered
from supervisor.lab.outcomes import CaseRun, Failure, FileRun, Thing, after, differences
from supervisor.lab.series import BadSeries, parse_metric
from supervisor.lab.testfile import AlertTest, ExprTest, PromCase, PromFile, read
from supervisor.rules.promql.evaluate import EvaluationError, Options
from supervisor.rules.promql.nodes import Vector
from supervisor.rules.promql.parse import BadExpression
from supervisor.rules.promql.show import show_number
from supervisor.samples import to_ms

Wanted = Callable[[str], bool]
"""whether a test of this name is to be run"""


def run_file(path: Path, wanted: Wanted = lambda _name: True, delayed_names: bool = False) -> FileRun:
    """Run the tests of one file. Mistakes in it, or in the rules it is about, are in the answer."""
    try:
        file = read(path)
    except ConfigError as err:
        return FileRun(str(path), mistakes=err.mistakes)
    tests = [(index, test) for index, test in enumerate(file.tests) if wanted(test.name)]
    runs = tuple(run_test(file, test, test.name or f"unnamed#{index}", delayed_names) for index, test in tests)
    return FileRun(str(path), runs, warnings=file.warnings)


def run_test(file: PromFile, test: PromCase, name: str, delayed_names: bool = False) -> CaseRun:
    """Run one test of a file."""
    start, every = to_ms(test.start), to_ms(file.every)
    grid = Grid(
        ordered(file.groups, file.order),
        test.given.rows(test.start),
        Options(delayed_names=delayed_names, step=every),
        test.external_labels,
        test.external_url,
    )
    checks = len(test.alerts) + len(test.exprs)
    times = [one.eval_time for one, _place in test.alerts] + [one.eval_time for one, _place in test.exprs]
    last = to_ms(max([0.0, *times]))
    due = sorted(test.alerts, key=lambda one: one[0].eval_time)
    failures: list[Failure] = []
    for past in range(0, last + 1, every):
        troubles = grid.step(start + past)
        if troubles:
            return CaseRun(name, checks, (*failures, *(_trouble(one, start) for one in troubles)))
        while due and to_ms(due[0][0].eval_time) < past + every:
            asked, place = due.pop(0)
            failures += _alerts(asked, place, grid.firing(asked.alertname))
    for expr, place in test.exprs:
        failures += _expression(expr, place, grid, start, file.fuzzy)
    return CaseRun(name, checks, tuple(failures))


def _trouble(one: Trouble, start: int) -> Failure:
    """A rule that erred is nobody's expectation: it has no place in the test file."""
    return Failure(0, 0, f"the rule {one.rule} at {after((one.ms - start) / 1000)}", (f"error: {one.text}",))


# ---------------------------------------------------------------- alerts


def _alerts(asked: AlertTest, place: tuple[int, int], firing: Sequence[Alert]) -> list[Failure]:
    expected = [
        _alert({**one.exp_labels, "alertname": asked.alertname}, dict(one.exp_annotations)) for one in asked.exp_alerts
    ]
    got = [_alert(dict(alert.labels), dict(alert.annotations)) for alert in firing]
    lines = differences(expected, got)
    if not lines:
        return []
    text = f"alert {asked.alertname} at {after(asked.eval_time)}"
    return [Failure(*place, text, tuple(lines))]


def _alert(labels: dict[str, str], annotations: dict[str, str]) -> Thing:
    parts = [(f"label {name}", f'"{text}"') for name, text in sorted(labels.items())]
    parts += [(f"annotation {name}", f'"{text}"') for name, text in sorted(annotations.items())]
    return Thing(_braces(tuple(sorted(labels.items()))), tuple(parts))


# ---------------------------------------------------------------- expressions


def _expression(asked: ExprTest, place: tuple[int, int], grid: Grid, start: int, fuzzy: bool) -> list[Failure]:
    text = f"expression {asked.expr} at {after(asked.eval_time)}"
    try:
        got = grid.ask(asked.expr, start + to_ms(asked.eval_time))
        # An empty label that is expected equals no label, neither here nor in promtool.
        expected = [(parse_metric(one.labels, empty=True), one.value) for one in asked.exp_samples]
    except BadSeries as err:
        return [Failure(*place, text, tuple(f"exp_samples: {one.text}" for one in err.mistakes))]
    except BadExpression as err:
        return [Failure(*place, text, tuple(f"error at {one.line}:{one.column}: {one.text}" for one in err.mistakes))]
    except EvaluationError as err:
        return [Failure(*place, text, (f"error: {err}",))]
    if _same(expected, got, fuzzy):
        return []
    # What is equal but for its last digit, or is NaN (which equals nothing), must not look the same on both sides.
    lines = differences([_sample(*one) for one in expected], [_sample(*one) for one in got])
    return [Failure(*place, text, tuple(lines or ["an expected NaN equals nothing, not even another NaN"]))]


def _same(expected: Vector, got: Vector, fuzzy: bool) -> bool:
    """Whether both hold the same samples, in whatever order. Values must be equal bit for bit, or with `fuzzy` be
    neighbours; NaN equals nothing."""
    if len(expected) != len(got):
        return False
    pairs = zip(sorted(expected, key=lambda one: one[0]), sorted(got, key=lambda one: one[0]), strict=True)
    return all(mine[0] == theirs[0] and _equal(mine[1], theirs[1], fuzzy) for mine, theirs in pairs)


def _equal(mine: float, theirs: float, fuzzy: bool) -> bool:
    if mine == theirs:
        return True
    return fuzzy and theirs in (math.nextafter(mine, -math.inf), math.nextafter(mine, math.inf))


def _sample(labels: Labels, value: float) -> Thing:
    parts = [(f"label {name}", f'"{text}"') for name, text in labels]
    return Thing(_metric(labels), (*parts, ("value", show_number(value))))


def _metric(labels: Labels) -> str:
    name = dict(labels).get("__name__", "")
    rest = tuple(pair for pair in labels if pair[0] != "__name__")
    return name + (_braces(rest) if rest or not name else "")


def _braces(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in labels) + "}"
