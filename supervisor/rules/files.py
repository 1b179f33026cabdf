"""Rule files: plain Prometheus rule files, read strictly; every mistake with its place.

Comes from the folders in `rules:` (the word `shipped` stands for `shipped_folder()`); goes to `engine.py` as a RuleSet,
arranged by `order.py`. A bad file is left out whole and named in `health`; the others are used. What Prometheus
refuses is refused here, and so is a second document and a file larger than 4 MiB. Nothing here runs in a turn.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from supervisor.config import trust
from supervisor.config.reading import read_bytes
from supervisor.config.yaml import Document, load_yaml, validate
from supervisor.errors import ConfigError, Mistake
from supervisor.facts import RuleHealth
from supervisor.rules import order
from supervisor.rules.model import TICK, AlertRule, RecordRule, Rule, RuleFile, RuleSet
from supervisor.rules.promql.nodes import Kind
from supervisor.rules.promql.parse import BadExpression, CompiledExpr, compile_expr
from supervisor.rules.templates import Template, TemplateError

Origin = Literal["owner", "shipped"]
Where = tuple[str | int, ...]
MAX_BYTES = 4 * 1024 * 1024
_OTHERS = re.compile(r".*\.(playbooks|test|actions-test)\.ya?ml")
_DURATION = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_UNITS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_LONGEST = (1 << 63) // 1_000_000
"""ms; Prometheus counts durations in ns"""
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")


def _text(value: Any) -> Any:
    return "" if value is None else value


def _seconds(value: Any) -> Any:
    """Seconds of a duration as Prometheus reads it in a rule file: no blanks, no sign, units in their order."""
    if value is None or value == "0":
        return 0.0
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f"{str(value)[:60]!r} is not a duration; write it like 90s, 5m or 1h30m")
    parts = (int(part[:20]) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part)
    found = 0
    for part in parts:
        found += part
    if found > _LONGEST:
        raise ValueError(f"{value[:60]!r} is longer than 292 years, which is as far as Prometheus counts")
    return found / 1000


def _whole(value: Any) -> Any:
    if value is None:
        return 0
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise ValueError("this must be a whole number; 0 is no limit")
    return max(0, int(value))


_Text = Annotated[str, BeforeValidator(_text)]
_Seconds = Annotated[float, BeforeValidator(_seconds)]
_Pairs = dict[str, _Text] | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(_Strict):
    alert: _Text = ""
    record: _Text = ""
    expr: _Text = ""
    for_: _Seconds = Field(default=0.0, alias="for")
    keep_firing_for: _Seconds = 0.0
    labels: _Pairs = None
    annotations: _Pairs = None


class _Group(_Strict):
    name: _Text = ""
    interval: _Seconds = 0.0
    query_offset: _Seconds = 0.0
    limit: Annotated[int, BeforeValidator(_whole)] = 0
    labels: _Pairs = None
    rules: list[_Rule] | None = None


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


def load(
    paths: Sequence[tuple[Path, str]], *, trust_uid: int | None, settle: Mapping[str, float] | None = None
) -> RuleSet:
    """Read every rule file of these files and folders, in this order. `trust_uid`: whose files (besides root's) may be
    obeyed; None looks at nobody's. `settle`: seconds by group name. Never raises for what a file holds: bad files, and
    those whose rules close a circle, are named in `health`."""
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
                file = parse_rules(read(path, shown, trust_uid), shown, origin, len(files), settle)
            except ConfigError as err:
                health.append(RuleHealth(shown, 0, str(err), origin))
                continue
            files.append(file)
            health.append(RuleHealth(shown, len(file.rules), "", origin))
    return together(files, health)


def together(files: Sequence[RuleFile], health: Sequence[RuleHealth]) -> RuleSet:
    """Good files as one set: each rule after those it reads. A file that closes a circle of rules is left out, which
    its health then says; the others stay."""
    while True:
        rules = [rule for file in files for rule in file.rules]
        arranged, cycles = order.arrange(rules)
        if not cycles:
            return RuleSet(tuple(files), tuple(health), arranged)
        closed: dict[int, list[Mistake]] = {}
        for cycle in cycles:
            number = cycle.closes.order[0]
            closed.setdefault(number, []).append(Mistake(files[number].path, *cycle.closes.place, cycle.text))
        bad = {files[number].path: ConfigError(mistakes) for number, mistakes in closed.items()}
        health = [replace(one, rules=0, text=str(bad[one.file])) if one.file in bad else one for one in health]
        kept = [file for number, file in enumerate(files) if number not in closed]
        files = [_numbered(file, number) for number, file in enumerate(kept)]


def _numbered(file: RuleFile, number: int) -> RuleFile:
    """The file as the `number`-th of all."""
    return replace(file, rules=tuple(replace(rule, order=(number, *rule.order[1:])) for rule in file.rules))


def read(path: Path, shown: str, trust_uid: int | None) -> str:
    """The text of a rule file that may be obeyed; ConfigError otherwise."""
    try:
        if trust_uid is not None:
            unsafe = trust.problems(path, trust_uid)
            if unsafe:
                raise ConfigError([Mistake(shown, 0, 0, text) for text in unsafe])
        raw = read_bytes(path, MAX_BYTES)
        if len(raw) > MAX_BYTES:
            raise ConfigError([Mistake(shown, 0, 0, "the file is larger than 4 MiB; split it")])
        return raw.decode("utf-8")
    except FileNotFoundError:
        text = "there is no such file or folder; make it, or take it out of `rules:`"
        raise ConfigError([Mistake(shown, 0, 0, text)]) from None
    except OSError as err:
        raise ConfigError([Mistake(shown, 0, 0, f"the file cannot be read: {err.strerror}")]) from None
    except UnicodeDecodeError as err:
        raise ConfigError([Mistake(shown, 0, 0, f"the file is not UTF-8 text (byte {err.start})")]) from None


def document_of(text: str, file: str) -> Document:
    """A rule file's YAML, as `parse_rules` reads it: for places. ConfigError if it cannot be read."""
    return load_yaml(text, file, as_written=True, anchors=True)


def parse_rules(
    text: str, file: str, origin: str = "owner", number: int = 0, settle: Mapping[str, float] | None = None
) -> RuleFile:
    """One rule file from its text. `number` is its place among all files. ConfigError with every mistake."""
    document = document_of(text, file)
    resource = _resource(document)
    if resource:
        raise ConfigError([Mistake(file, *document.key_place(("kind",)), resource)])
    reading = _Reading(document)
    try:
        groups = validate(_File, document).groups or []
    except ConfigError as err:
        groups = []
        reading.mistakes += err.mistakes
        reading.the_rest()
    rules: list[Rule] = []
    names: set[str] = set()
    for index, group in enumerate(groups):
        here: Where = ("groups", index)
        if not group.name:
            reading.wrong((*here, "name"), "the group has no name; give it a 'name'")
        elif group.name in names:
            reading.wrong((*here, "name"), f"the group {group.name!r} is in this file twice")
        names.add(group.name)
        if document.quoted((*here, "limit")):
            reading.wrong((*here, "limit"), "a limit is a number: write it without quotes")
        reading.names((*here, "labels"), group.labels, "label")
        for at, one in enumerate(group.rules or []):
            place = (*here, "rules", at)
            about = {
                "id": f"{file}:{group.name}:{at}",
                "interval": group.interval or TICK,
                "limit": group.limit,
                "origin": origin,
                "order": (number, index, at),
                "group": group.name,
                "query_offset": group.query_offset,
                "settle": (settle or {}).get(group.name),
                "place": document.place(place),
            }
            built = reading.rule(place, group, one, about)
            if built is not None:
                rules.append(built)
    if reading.mistakes:
        found = sorted(reading.mistakes, key=lambda mistake: (mistake.line, mistake.column))
        raise ConfigError(list(dict.fromkeys(found)))
    return RuleFile(file, origin, tuple(rules))


def _resource(document: Document) -> str:
    """What to say about a Kubernetes resource; '' for anything else."""
    data = document.data
    if not isinstance(data, dict) or "groups" in data or "apiVersion" not in data or "kind" not in data:
        return ""
    if data["kind"] == "PrometheusRule":
        return "this is a PrometheusRule resource; its `spec` is the rule file: save that part as a file of its own"
    return f"this is a Kubernetes {str(data['kind'])[:60]}, not a rule file"


@dataclass(slots=True)
class _Reading:
    """One file being read: its document, and the mistakes found so far."""

    document: Document
    mistakes: list[Mistake] = field(default_factory=list)

    def wrong(self, path: Where, text: str, *, key: bool = False) -> None:
        self.mistakes.append(self.document.mistake(path, text, key=key))

    def the_rest(self) -> None:
        """A file whose keys are wrong is not read further; but the expressions in it can be, so that all mistakes are
        told at once."""
        data = self.document.data
        groups = data.get("groups") if isinstance(data, dict) else None
        for index, group in enumerate(groups if isinstance(groups, list) else []):
            rules = group.get("rules") if isinstance(group, dict) else None
            for at, rule in enumerate(rules if isinstance(rules, list) else []):
                text = rule.get("expr") if isinstance(rule, dict) else None
                if text and isinstance(text, str):
                    self.expression(("groups", index, "rules", at, "expr"), text)

    def rule(self, path: Where, group: _Group, rule: _Rule, about: Mapping[str, Any]) -> Rule | None:
        """The rule, or None with its mistakes noted."""
        before = len(self.mistakes)
        if rule.record and rule.alert:
            self.wrong((*path, "record"), "a rule has either 'alert' or 'record'")
        elif not rule.record and not rule.alert:
            self.wrong(path, "the rule has no name; give it an 'alert' or a 'record'")
        expr = self.expression((*path, "expr"), rule.expr)
        self.names((*path, "labels"), rule.labels, "label")
        self.names((*path, "annotations"), rule.annotations, "annotation")
        if rule.record:
            self.record(path, rule)
        written = {**(group.labels or {}), **(rule.labels or {})}
        templates: tuple[tuple[str, Template], ...] = ()
        notes: tuple[tuple[str, Template], ...] = ()
        if rule.alert:
            own = rule.labels or {}
            places = {name: (*(path if name in own else path[:2]), "labels", name) for name in written}
            templates = self.templates(places, written)
            notes = self.templates(
                {name: (*path, "annotations", name) for name in rule.annotations or {}}, rule.annotations or {}
            )
        if len(self.mistakes) > before or expr is None:
            return None
        labels = tuple(sorted(written.items()))
        if rule.record:
            return RecordRule(name=rule.record, expr=expr, labels=labels, **about)
        return AlertRule(
            name=rule.alert,
            expr=expr,
            labels=labels,
            hold=rule.for_,
            keep=rule.keep_firing_for,
            label_templates=templates,
            annotation_templates=notes,
            **about,
        )

    def record(self, path: Where, rule: _Rule) -> None:
        """What only a recording rule may not have."""
        for key, given in (
            ("for", rule.for_),
            ("keep_firing_for", rule.keep_firing_for),
            ("annotations", rule.annotations),
        ):
            if given:
                self.wrong((*path, key), f"a recording rule has no {key!r}: nothing fires; take it out", key=True)
        if "{" in rule.record or "}" in rule.record:
            self.wrong((*path, "record"), "braces in the name of a recording rule; do they belong to 'expr'?")

    def expression(self, path: Where, text: str) -> CompiledExpr | None:
        """The expression; None with its mistakes, each at its own place."""
        if not text:
            self.wrong(path, "the rule has no expression; give it an 'expr'")
            return None
        try:
            expr = compile_expr(text, self.document.file)
        except BadExpression as err:
            for mistake in err.mistakes:
                place = self.document.place_in(path, text, offset_of(text, mistake.line, mistake.column))
                self.mistakes.append(Mistake(self.document.file, *place, f"expr: {mistake.text}"))
            return None
        if expr.node.kind not in (Kind.VECTOR, Kind.SCALAR):
            self.wrong(path, f"expr: a rule cannot be a {expr.node.kind.value}")
            return None
        return expr

    def names(self, path: Where, given: Mapping[str, str] | None, what: str) -> None:
        """Names of labels and annotations: since Prometheus 3 any text but an empty one."""
        for name in given or {}:
            if not name or (what == "label" and name == "__name__"):
                text = f"{name!r} cannot be the name of a{'n' if what == 'annotation' else ''} {what}"
                self.wrong((*path, name), text, key=True)

    def templates(self, places: Mapping[str, Where], given: Mapping[str, str]) -> tuple[tuple[str, Template], ...]:
        """The texts, parsed."""
        found: list[tuple[str, Template]] = []
        for name in sorted(given):
            try:
                found.append((name, Template.parse(given[name])))
            except TemplateError as err:
                at = offset_of(given[name], err.line, err.column) if err.line else 0
                place = self.document.place_in(places[name], given[name], at)
                self.mistakes.append(Mistake(self.document.file, *place, err.text))
        return tuple(found)


def offset_of(text: str, line: int, column: int) -> int:
    """The character at a line and column (from 1) of a text."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1
