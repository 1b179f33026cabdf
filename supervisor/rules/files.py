"""Rule files: plain Prometheus rule files, read strictly; every mistake with its place.

Comes from the folders in `rules:` (the word `shipped` stands for `shipped_folder()`); goes to `engine.py` as a RuleSet.
A bad file is left out whole and named in `health`; the others are used. Nothing here runs in a turn.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from supervisor.config import trust
from supervisor.config.yaml import Document, load_yaml, validate
from supervisor.errors import ConfigError, Mistake
from supervisor.facts import RuleHealth
from supervisor.rules.model import TICK, AlertRule, RuleFile, RuleSet
from supervisor.rules.promql.nodes import Kind
from supervisor.rules.promql.parse import BadExpression, CompiledExpr, compile_expr
from supervisor.rules.templates import Template
from supervisor.units import duration

Origin = Literal["owner", "shipped"]
MAX_BYTES = 1024 * 1024
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OTHERS = re.compile(r".*\.(playbooks|test|actions-test)\.ya?ml")
_OWN = ("ALERTS", "ALERTS_FOR_STATE")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _checked_duration(text: str) -> str:
    duration(text)
    return text


_Seconds = Annotated[str, Field(default="0s")]


class _Rule(_Strict):
    alert: str = ""
    record: str = ""
    expr: str
    for_: _Seconds = Field(default="0s", alias="for")
    keep_firing_for: _Seconds
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    _durations = field_validator("for_", "keep_firing_for")(_checked_duration)


class _Group(_Strict):
    name: str = Field(min_length=1)
    interval: _Seconds
    query_offset: _Seconds
    limit: int = Field(default=0, ge=0)
    labels: dict[str, str] | None = None
    rules: list[_Rule] | None = None

    _durations = field_validator("interval", "query_offset")(_checked_duration)


class _File(_Strict):
    groups: list[_Group] | None = None


def shipped_folder() -> Path:
    """The rule files that come with Resurgam: inside the package in a wheel, beside it in a source tree."""
    package = resources.files("supervisor")
    inside = Path(str(package / "shipped"))
    return inside if inside.is_dir() else Path(str(package)).parent / "rules"


def rule_paths(path: Path) -> list[Path]:
    """The rule files a path stands for: itself, or what lies in the folder, sorted; playbooks and tests left out."""
    if not path.is_dir():
        return [path]
    found = [entry for entry in path.iterdir() if entry.suffix in (".yaml", ".yml") and entry.is_file()]
    return sorted(entry for entry in found if not _OTHERS.fullmatch(entry.name) and not entry.name.startswith("."))


def load(paths: Sequence[tuple[Path, str]], *, trust_uid: int | None) -> RuleSet:
    """Read every rule file of these files and folders, in this order. `trust_uid`: whose files (besides root's) may be
    obeyed; None looks at nobody's. Never raises for what a file holds: bad files are named in `health`."""
    files: list[RuleFile] = []
    health: list[RuleHealth] = []
    seen: set[Path] = set()
    for given, origin in paths:
        try:
            found = rule_paths(given)
        except OSError as err:
            health.append(RuleHealth(str(given), 0, f"{given}: the folder cannot be read: {err.strerror}", origin))
            continue
        for path in found:
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            shown = f"shipped/{path.name}" if origin == "shipped" else str(path)
            try:
                file = _read(path, shown, origin, len(files), trust_uid)
            except ConfigError as err:
                health.append(RuleHealth(shown, 0, str(err), origin))
                continue
            files.append(file)
            health.append(RuleHealth(shown, len(file.rules), "", origin))
    rules = RuleSet(tuple(files), tuple(health))
    return replace(rules, arranged=rules.rules)


def _read(path: Path, shown: str, origin: str, number: int, trust_uid: int | None) -> RuleFile:
    try:
        if trust_uid is not None:
            unsafe = trust.problems(path, trust_uid)
            if unsafe:
                raise ConfigError([Mistake(shown, 0, 0, text) for text in unsafe])
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError([Mistake(shown, 0, 0, "the file is larger than 1 MiB; split it")])
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        text = "there is no such file or folder; make it, or take it out of `rules:`"
        raise ConfigError([Mistake(shown, 0, 0, text)]) from None
    except OSError as err:
        raise ConfigError([Mistake(shown, 0, 0, f"the file cannot be read: {err.strerror}")]) from None
    except UnicodeDecodeError as err:
        raise ConfigError([Mistake(shown, 0, 0, f"the file is not UTF-8 text (byte {err.start})")]) from None
    return parse_rules(text, shown, origin, number)


def parse_rules(text: str, file: str, origin: str = "owner", number: int = 0) -> RuleFile:
    """One rule file from its text. `number` is its place among all files. ConfigError with every mistake."""
    document = load_yaml(text, file, as_written=True)
    groups = validate(_File, document).groups or []
    mistakes: list[Mistake] = []
    rules: list[AlertRule] = []
    names: dict[str, int] = {}
    for index, group in enumerate(groups):
        here: tuple[str | int, ...] = ("groups", index)
        if group.name in names:
            mistakes.append(document.mistake((*here, "name"), f"the group {group.name!r} is in this file twice"))
        names[group.name] = index
        if duration(group.query_offset):
            mistakes.append(document.mistake((*here, "query_offset"), "query_offset is not supported yet"))
        mistakes += _check_names(document, (*here, "labels"), group.labels or {}, "label")
        for at, rule in enumerate(group.rules or []):
            built = _rule(document, (*here, "rules", at), group, rule, mistakes)
            if built is not None:
                rules.append(_placed(built, file, group, origin, (number, index, at)))
    if mistakes:
        raise ConfigError(mistakes)
    return RuleFile(file, origin, tuple(rules))


def _placed(rule: AlertRule, file: str, group: _Group, origin: str, order: tuple[int, int, int]) -> AlertRule:
    return AlertRule(
        id=f"{file}:{group.name}:{order[2]}",
        name=rule.name,
        expr=rule.expr,
        hold=rule.hold,
        keep=rule.keep,
        labels=rule.labels,
        label_templates=rule.label_templates,
        annotation_templates=rule.annotation_templates,
        interval=duration(group.interval) or TICK,
        limit=group.limit,
        origin=origin,
        order=order,
        group=group.name,
    )


def _rule(
    document: Document, path: tuple[str | int, ...], group: _Group, rule: _Rule, mistakes: list[Mistake]
) -> AlertRule | None:
    """The rule, or None with its mistakes added."""
    if rule.record:
        text = "a rule has either 'alert' or 'record'" if rule.alert else "recording rules are not supported yet"
        mistakes.append(document.mistake((*path, "record"), text))
        return None
    if not rule.alert:
        mistakes.append(document.mistake(path, "the rule has no name; give it an 'alert'"))
        return None
    before = len(mistakes)
    expr = _expression(document, path, rule.expr, mistakes)
    written = {**(group.labels or {}), **(rule.labels or {})}
    mistakes += _check_names(document, (*path, "labels"), rule.labels or {}, "label")
    mistakes += _check_names(document, (*path, "annotations"), rule.annotations or {}, "annotation")
    labels = _templates(document, (*path, "labels"), written, mistakes)
    annotations = _templates(document, (*path, "annotations"), rule.annotations or {}, mistakes)
    if len(mistakes) > before or expr is None:
        return None
    return AlertRule(
        id="",
        name=rule.alert,
        expr=expr,
        hold=duration(rule.for_),
        keep=duration(rule.keep_firing_for),
        labels=tuple(sorted(written.items())),
        label_templates=labels,
        annotation_templates=annotations,
        interval=TICK,
        limit=0,
        origin="",
        order=(0, 0, 0),
    )


def _expression(
    document: Document, path: tuple[str | int, ...], text: str, mistakes: list[Mistake]
) -> CompiledExpr | None:
    line, column = document.place((*path, "expr"))
    try:
        expr = compile_expr(text, document.file)
    except BadExpression as err:
        for mistake in err.mistakes:
            if mistake.line > 1 or "\n" in text:  # a block: its text starts on the next line, indented as YAML likes
                mistakes.append(Mistake(document.file, line + mistake.line, mistake.column, f"expr: {mistake.text}"))
            else:
                where = f" (at character {mistake.column} of the expression)" if mistake.column > 1 else ""
                mistakes.append(Mistake(document.file, line, column, f"expr: {mistake.text}{where}"))
        return None
    if expr.node.kind not in (Kind.VECTOR, Kind.SCALAR):
        mistakes.append(Mistake(document.file, line, column, f"expr: a rule cannot be a {expr.node.kind.value}"))
        return None
    for selector, _span in expr.selectors:
        if any(m.name == "__name__" and m.op == "=" and m.value in _OWN for m in selector.matchers):
            text = "expr: rules about alerts (ALERTS, ALERTS_FOR_STATE) are not supported yet"
            mistakes.append(Mistake(document.file, line, column, text))
            return None
    return expr


def _check_names(document: Document, path: tuple[str | int, ...], given: Mapping[str, str], what: str) -> list[Mistake]:
    found = []
    for name in given:
        if not _LABEL_NAME.fullmatch(name) or (what == "label" and name == "__name__"):
            text = f"{name!r} cannot be the name of a{'n' if what == 'annotation' else ''} {what}"
            found.append(document.mistake((*path, name), text, key=True))
    return found


def _templates(
    document: Document, path: tuple[str | int, ...], given: Mapping[str, str], mistakes: list[Mistake]
) -> tuple[tuple[str, Template], ...]:
    found: list[tuple[str, Template]] = []
    for name in sorted(given):
        try:
            found.append((name, Template.parse(given[name])))
        except ValueError as err:
            mistakes.append(document.mistake((*path, name), str(err)))
    return tuple(found)
