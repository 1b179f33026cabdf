"""promtool's unit-test files, read strictly: what is tested, over which series, and what is expected.

In: a YAML file. Out: a `PromFile` for `promtest.py`, or every mistake at once, each with its place. Nothing is added to
promtool's format (Prometheus 3's, `start_timestamp` included); native histograms are refused by name.
"""

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from supervisor.config.reading import read_text
from supervisor.config.yaml import MAX_BYTES, Document, load_yaml, validate
from supervisor.errors import ConfigError, Mistake
from supervisor.lab.grid import Group
from supervisor.lab.series import Given, listed
from supervisor.rules.files import parse_rules
from supervisor.rules.model import Rule
from supervisor.units import duration

EVERY = 60.0
"""Seconds between two evaluations where a file does not say."""

_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ODD = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}


def seconds_of(value: Any) -> float:
    """Seconds of a duration as text; ValueError otherwise."""
    if not isinstance(value, str):
        raise ValueError("a duration is text like 90s, 5m or 1h30m")
    return duration(value)


def _text(value: Any) -> Any:
    return "" if value is None else value


def _list(value: Any) -> Any:
    return [] if value is None else value


def _entries(value: Any) -> Any:
    """A list in which an entry may be left empty."""
    return [{} if one is None else one for one in value] if isinstance(value, list) else _list(value)


def _number(value: Any) -> float:
    """A number as YAML 1.1 has it: hexadecimal, a leading 0 for octal, `.inf`, `.nan`, `_` between digits."""
    if value is None:
        return 0.0
    if not isinstance(value, str):
        raise ValueError("a number is wanted")
    bare = value.replace("_", "")
    if value.lower() in _ODD:
        return _ODD[value.lower()]
    if _INT.fullmatch(bare):
        digits = bare.lstrip("+-")
        whole = int(digits, 8) if re.fullmatch(r"0[0-7]+", digits) else int(digits, 0)
        return float(-whole if bare.startswith("-") else whole)
    if _FLOAT.fullmatch(bare):
        return float(bare)
    raise ValueError(f"{value!r} is not a number; write it like 3, 0.25, 1e9, .inf or .nan")


def start_of(value: Any) -> float:
    """Unix seconds of a unix time or of RFC 3339."""
    text = str(_text(value)).strip()
    if not text:
        return 0.0
    try:
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write unix seconds or RFC 3339: 2026-01-31T12:00:00Z") from None
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it with one: {text}Z")
    return when.astimezone(UTC).timestamp()


_Seconds = Annotated[float, BeforeValidator(seconds_of)]
_Text = Annotated[str, BeforeValidator(_text)]
_Number = Annotated[float, BeforeValidator(_number)]
_Pairs = Annotated[dict[str, _Text], BeforeValidator(lambda value: {} if value is None else value)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expected(_Strict):
    """One alert that must fire. Its `alertname` need not be said."""

    exp_labels: _Pairs = Field(default_factory=dict)
    exp_annotations: _Pairs = Field(default_factory=dict)


class AlertTest(_Strict):
    """Which alerts of one name fire at one time: these and no others."""

    eval_time: _Seconds = 0.0
    alertname: _Text = ""
    exp_alerts: Annotated[list[Expected], BeforeValidator(_entries)] = Field(default_factory=list)


class ExpectedSample(_Strict):
    """One sample of an expression's value."""

    labels: _Text = ""
    value: _Number = 0.0
    histogram: _Text = ""


class ExprTest(_Strict):
    """What an expression gives at one time: these samples and no others."""

    expr: _Text = ""
    eval_time: _Seconds = 0.0
    exp_samples: Annotated[list[ExpectedSample], BeforeValidator(_entries)] = Field(default_factory=list)


class _Test(_Strict):
    name: _Text = ""
    interval: _Seconds = 0.0
    start_timestamp: Annotated[float, BeforeValidator(start_of)] = 0.0
    input_series: Any = None
    external_labels: _Pairs = Field(default_factory=dict)
    external_url: _Text = ""
    alert_rule_test: Annotated[list[AlertTest], BeforeValidator(_entries)] = Field(default_factory=list)
    promql_expr_test: Annotated[list[ExprTest], BeforeValidator(_entries)] = Field(default_factory=list)


class _File(_Strict):
    rule_files: Annotated[list[_Text], BeforeValidator(_list)] = Field(default_factory=list)
    evaluation_interval: _Seconds = 0.0
    group_eval_order: Annotated[list[_Text], BeforeValidator(_list)] = Field(default_factory=list)
    fuzzy_compare: bool = False
    tests: Annotated[list[_Test], BeforeValidator(_entries)] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PromCase:
    """One test: its series, its expectations, and where each of those stands (line, column)."""

    name: str
    start: float
    given: Given
    alerts: tuple[tuple[AlertTest, tuple[int, int]], ...]
    exprs: tuple[tuple[ExprTest, tuple[int, int]], ...]
    external_labels: dict[str, str]
    external_url: str


@dataclass(frozen=True, slots=True)
class PromFile:
    """One good test file, with the groups of rules it is about."""

    file: str
    every: float
    """seconds between two evaluations"""
    order: tuple[str, ...]
    fuzzy: bool
    groups: tuple[Group, ...]
    tests: tuple[PromCase, ...]
    warnings: tuple[str, ...] = ()


def read(path: Path) -> PromFile:
    """Read a test file and the rule files it names. ConfigError with every mistake in any of them."""
    document = load_yaml(text_of(path), str(path), as_written=True, anchors=True)
    if isinstance(document.data, dict) and "groups" in document.data:
        said = "this is a rule file; `resurgam check` reads it, and a test names it under rule_files"
        raise ConfigError([document.mistake(("groups",), said, key=True)])
    found = validate(_File, document)
    mistakes: list[Mistake] = []
    for index, name in enumerate(found.group_eval_order):
        if name in found.group_eval_order[:index]:
            mistakes.append(document.mistake(("group_eval_order", index), f"the group {name!r} stands here twice"))
    every = found.evaluation_interval or EVERY
    tests = [_test(document, index, one, every, mistakes) for index, one in enumerate(found.tests)]
    paths, warnings = rule_paths(path, found.rule_files)
    groups = rule_groups(paths, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    order = tuple(found.group_eval_order)
    return PromFile(str(path), every, order, found.fuzzy_compare, tuple(groups), tuple(tests), tuple(warnings))


def _test(document: Document, index: int, one: _Test, every: float, mistakes: list[Mistake]) -> PromCase:
    here: tuple[str | int, ...] = ("tests", index)
    series, wrong = listed(document, (*here, "input_series")) if one.input_series is not None else ((), [])
    mistakes += wrong
    for at, asked in enumerate(one.alert_rule_test):
        if not asked.alertname:
            text = "an entry of alert_rule_test needs an `alertname`"
            mistakes.append(document.mistake((*here, "alert_rule_test", at), text))
    for at, expr in enumerate(one.promql_expr_test):
        for nth, sample in enumerate(expr.exp_samples):
            if sample.histogram:
                place = (*here, "promql_expr_test", at, "exp_samples", nth, "histogram")
                mistakes.append(document.mistake(place, "native histograms are not supported", key=True))
    places = {
        key: [document.place((*here, key, at)) for at in range(len(tests))]
        for key, tests in (("alert_rule_test", one.alert_rule_test), ("promql_expr_test", one.promql_expr_test))
    }
    return PromCase(
        name=one.name,
        start=one.start_timestamp,
        given=Given(one.interval or every, series),
        alerts=tuple(zip(one.alert_rule_test, places["alert_rule_test"], strict=True)),
        exprs=tuple(zip(one.promql_expr_test, places["promql_expr_test"], strict=True)),
        external_labels=dict(one.external_labels),
        external_url=one.external_url,
    )


# ---------------------------------------------------------------- the files it is about


def text_of(path: Path) -> str:
    """A file's text; ConfigError where it cannot be read."""
    try:
        return read_text(path, MAX_BYTES)
    except OSError as err:
        raise ConfigError([Mistake(str(path), 0, 0, f"the file cannot be read: {err.strerror}")]) from None
    except UnicodeDecodeError as err:
        raise ConfigError([Mistake(str(path), 0, 0, f"the file is not UTF-8 text (byte {err.start})")]) from None


def rule_paths(test: Path, patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files that `rule_files` means, each once, and a warning for each pattern that means none. Patterns count
    from the folder of the test file."""
    paths: dict[str, None] = {}
    warnings = []
    for pattern in patterns:
        full = os.path.join(test.parent, pattern)
        found = sorted(glob.glob(full)) if pattern else []
        if not found:
            warnings.append(f"{test}: no file is called {pattern!r} there (rule_files)")
        for name in found:
            paths[name] = None
    return [Path(name) for name in paths], warnings


def rule_groups(paths: Sequence[Path], mistakes: list[Mistake]) -> list[Group]:
    """The groups of these rule files in order, one that holds no rule left out; mistakes are added."""
    groups: list[Group] = []
    for number, path in enumerate(paths):
        try:
            file = parse_rules(text_of(path), str(path), "owner", number)
        except ConfigError as err:
            mistakes += err.mistakes
            continue
        together: dict[str, list[Rule]] = {}
        for rule in file.rules:
            together.setdefault(rule.group, []).append(rule)
        groups += [Group(name, tuple(rules)) for name, rules in together.items()]
    return groups
