"""Playbooks: which alerts lead to which ladder of verbs.

`load` reads `*.playbooks.yaml` in the rules folders, at the edge; everything else here is data. A bad file is left out
and named, with every mistake at its place; the good ones count. The result goes to the incident book.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator, model_validator

from supervisor import units
from supervisor.config import trust
from supervisor.config.fields import BudgetText, Duration, PositiveDuration, Word
from supervisor.config.reading import read_bytes
from supervisor.config.yaml import load_yaml, validate
from supervisor.errors import ConfigError, Mistake
from supervisor.incidents.binding import Action, bind
from supervisor.rules.promql.parse import CompiledExpr, compile_expr
from supervisor.verbs import OF_SLOTS, VERBS
from supervisor.verdicts import Verdict

SUFFIXES = (".playbooks.yaml", ".playbooks.yml")
LARGEST = 1 << 20
"""bytes"""


@dataclass(frozen=True, slots=True)
class Verify:
    """What makes a rung good: the plan's own proof, and then `expr` for `hold` seconds within `within` seconds."""

    expr: CompiledExpr | None = None
    hold: float = 0.0
    within: float = 0.0
    """seconds; 0: the service's own time to load"""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder."""

    verb: str
    params: tuple[tuple[str, str], ...] = ()
    verify: Verify = Verify()

    def __str__(self) -> str:
        """The verb with the parameters that are not its defaults."""
        defaults = VERBS[self.verb].params
        given = [f"{key}={value}" for key, value in self.params if value != defaults[key].default]
        return " ".join([self.verb, *given])


@dataclass(frozen=True, slots=True)
class Playbook:
    """One playbook, or an annotation seen as a playbook with one rung. Times in seconds."""

    name: str
    steps: tuple[Rung, ...]
    match: tuple[units.Matcher, ...] = ()
    on: str = "firing"
    target: str = "service"
    """service | gpu (the card that the alert names) | host | a fixed id"""
    unless: CompiledExpr | None = None
    cooldown: float = 600.0
    reset: float = 3600.0
    budget: units.Budget | None = None
    per: str = "service"
    mode: str = "single"
    approval: str = "never"
    dry_run: bool = False
    origin: str = "owner"
    order: tuple[int, int] = (0, 0)
    """(file, playbook) position"""
    file: str = ""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all matchers hold."""
        have = dict(labels)
        return all(matcher.matches(have) for matcher in self.match)


# ---------------------------------------------------------------- the shape of a file


def _matcher(value: Any) -> units.Matcher:
    if not isinstance(value, str):
        raise ValueError('a matcher is text like alertname="X" or name=~"vllm-.*"')
    return units.Matcher.parse(value)


def _expr(value: Any) -> CompiledExpr:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("an expression is PromQL text like 'resurgam_service_healthy == 1'")
    try:
        return compile_expr(value)
    except ConfigError as err:
        raise ValueError("; ".join(mistake.text for mistake in err.mistakes)) from None


def _do(value: Any) -> Action:
    if not isinstance(value, str):
        raise ValueError("a step is text like 'restart' or 'phoenix image=last-known-good'")
    if "{{" in value:
        raise ValueError("a step of a playbook has no templates; write the value out")
    action = bind(value)
    if isinstance(action, Verdict):
        # In an annotation such a text is a hint for people; here it is a mistake.
        raise ValueError(action.text.rpartition(" is only a hint for people: ")[2].rstrip("."))
    if action.target or action.kube:
        raise ValueError("a step names no target; `target:` of the playbook says what it is aimed at")
    return action


# What these give back (Matcher, CompiledExpr, Action) is none of pydantic's business: it must not look inside.
_Matcher = Annotated[Any, PlainValidator(_matcher)]
_Expr = Annotated[Any, PlainValidator(_expr)]
_Do = Annotated[Any, PlainValidator(_do)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Verify(_Model):
    probe: bool = True
    expr: _Expr = None
    hold: Duration = Field(default=0.0, alias="for")
    within: PositiveDuration = 0.0

    @field_validator("probe")
    @classmethod
    def _always(cls, value: bool) -> bool:
        if not value:
            raise ValueError("every plan proves itself by the service's probe; take `probe: false` out")
        return value

    @model_validator(mode="after")
    def _sense(self) -> "_Verify":
        if self.hold and self.expr is None:
            raise ValueError("`for` says how long `expr` must hold, and there is no `expr`; add it or take `for` out")
        if self.within and self.hold >= self.within:
            raise ValueError("`for` is not shorter than `within`, so it could never verify")
        return self


class _Step(_Model):
    do: _Do
    verify: _Verify = _Verify()

    @model_validator(mode="after")
    def _sense(self) -> "_Step":
        verb = VERBS[self.do.verb]
        if self.verify.within and self.verify.expr is None and "within" not in verb.params:
            raise ValueError(f"{verb.name} knows no `within`, and there is no `expr` to wait for; take `within` out")
        return self


class _Playbook(_Model):
    name: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:-]+$")
    match: tuple[_Matcher, ...] = Field(min_length=1, max_length=64)
    on: Literal["firing", "resolved"] = "firing"
    target: Word = "service"
    unless: _Expr = None
    steps: tuple[_Step, ...] = Field(min_length=1, max_length=16)
    cooldown: Duration = 600.0
    reset: PositiveDuration = 3600.0
    budget: BudgetText | None = None
    per: Literal["service", "host", "alert"] = "service"
    mode: Literal["single", "queue", "replace"] = "single"
    approval: Literal["never", "disruptive", "always"] = "never"
    dry_run: bool = False

    @model_validator(mode="after")
    def _sense(self) -> "_Playbook":
        if self.on == "resolved" and len(self.steps) > 1:
            raise ValueError("a playbook `on: resolved` has one step: nothing fires any more to ask for a second")
        for step in self.steps:
            kind = "gpu" if self.target.startswith("gpu:") else self.target
            kind = kind if kind in ("host", "gpu") else "service"
            # what an alert about a slot, or a service of one, is about: target.for_verb finds the slot
            ways = (*VERBS[step.do.verb].targets, *(("service",) if step.do.verb in OF_SLOTS else ()))
            if kind not in ways:
                raise ValueError(f"{step.do.verb} cannot be aimed at the {kind}; change `target:` or the step")
        return self


class _File(_Model):
    playbooks: tuple[_Playbook, ...] = Field(max_length=1000)


# ---------------------------------------------------------------- reading


def read(text: str, file: str, origin: str = "owner", position: int = 0) -> tuple[Playbook, ...]:
    """The playbooks of one file's text. ConfigError with every mistake."""
    document = load_yaml(text, file)
    found = validate(_File, document).playbooks
    mistakes: list[Mistake] = []
    first: dict[str, int] = {}
    for place, one in enumerate(found):
        if one.name in first:
            said = f"a playbook named {one.name!r} stands in this file already; give each its own name"
            mistakes.append(document.mistake(("playbooks", place, "name"), said))
        first.setdefault(one.name, place)
    if mistakes:
        raise ConfigError(mistakes)
    return tuple(_playbook(one, file, origin, (position, place)) for place, one in enumerate(found))


def load(
    sources: Sequence[tuple[Path, str]], *, trust_uid: int | None = None
) -> tuple[tuple[Playbook, ...], tuple[Mistake, ...]]:
    """Every playbook in the folders (or files) given, each with its origin, `owner` or `shipped`; and the mistakes.

    Files in a folder are read in the order of their names; one with a mistake is left out whole. With `trust_uid`,
    files that anyone but root and that user could change are refused.
    """
    playbooks: list[Playbook] = []
    mistakes: list[Mistake] = []
    owners: dict[str, str] = {}
    for position, (path, origin) in enumerate(_files(sources)):
        try:
            found = _read_file(path, origin, position, trust_uid)
            for taken in (one.name for one in found if one.name in owners):
                said = f"the playbook {taken!r} stands in {owners[taken]} already; give each its own name"
                raise ConfigError([Mistake(str(path), 0, 0, said)])
        except ConfigError as err:
            mistakes += err.mistakes
            continue
        owners.update((one.name, str(path)) for one in found)
        playbooks += found
    return tuple(playbooks), tuple(mistakes)


def is_playbook_file(path: Path) -> bool:
    """Whether a file is one of ours, by its name."""
    return path.name.endswith(SUFFIXES)


def _files(sources: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for source, origin in sources:
        inside = sorted(source.iterdir()) if source.is_dir() else [source]
        for path in inside:
            if is_playbook_file(path) and path.is_file() and all(path != known for known, _origin in found):
                found.append((path, origin))
    return found


def _read_file(path: Path, origin: str, position: int, trust_uid: int | None) -> tuple[Playbook, ...]:
    try:
        doubts = trust.problems(path, trust_uid) if trust_uid is not None else ()
        if doubts:
            raise ConfigError([Mistake(str(path), 0, 0, doubt) for doubt in doubts])
        raw = read_bytes(path, LARGEST)
    except OSError as err:
        raise ConfigError([Mistake(str(path), 0, 0, f"it cannot be read: {err.strerror or err}")]) from None
    if len(raw) > LARGEST:
        raise ConfigError([Mistake(str(path), 0, 0, "it is larger than 1 MiB; split it")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError([Mistake(str(path), 0, 0, "it is not UTF-8 text; save it as UTF-8")]) from None
    return read(text, str(path), origin, position)


def _playbook(one: _Playbook, file: str, origin: str, order: tuple[int, int]) -> Playbook:
    steps = []
    for step in one.steps:
        params = dict(step.do.params)
        if step.verify.within and step.verify.expr is None and params.get("within") == "":
            params["within"] = f"{round(step.verify.within)}s"
        verify = Verify(step.verify.expr, step.verify.hold, step.verify.within)
        steps.append(Rung(step.do.verb, tuple(params.items()), verify))
    return Playbook(
        name=one.name,
        steps=tuple(steps),
        match=one.match,
        on=one.on,
        target=one.target,
        unless=one.unless,
        cooldown=one.cooldown,
        reset=one.reset,
        budget=one.budget,
        per=one.per,
        mode=one.mode,
        approval=one.approval,
        dry_run=one.dry_run,
        origin=origin,
        order=order,
        file=file,
    )
