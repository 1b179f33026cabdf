"""`*.actions-test.yaml`, read strictly: rules, playbooks, services, what happens, and what must be done about it.

In: a YAML file and the files it names. Out: an `ActionsFile` for `actions_test.py`, or every mistake with its place.
The series are in promtool's notation, `services` and `settings` are as in resurgam.yaml; docs/rules has the format.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from supervisor.config import Settings
from supervisor.config.sentences import did_you_mean
from supervisor.config.yaml import Document, load_yaml, validate
from supervisor.core.standing import Loaded
from supervisor.errors import ConfigError, Mistake
from supervisor.lab import rulesets
from supervisor.lab.outcomes import after
from supervisor.lab.rehearsal import Cue
from supervisor.lab.rulesets import Source
from supervisor.lab.series import Given, listed
from supervisor.lab.testfile import rule_paths, seconds_of, start_of, text_of
from supervisor.lab.troupe import Actor, Troupe
from supervisor.rules import shipped_folder
from supervisor.units import size
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason

INTERVAL = 15.0
"""Seconds between two values of a series where a test does not say."""
_Seconds = Annotated[float, BeforeValidator(seconds_of)]
_HAPPENINGS = ("die", "oom", "break", "mend", "deploy", "unhealthy", "healthy", "stop", "start", "remove", "grow")
_SAID = ("pause", "resume")
Outcome = Literal["verified", "rolled_back", "degraded", "failed", "ended_early", "refused", "open"]


def _size(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("a size is text like 512MiB")
    return float(size(value))


_Size = Annotated[float, BeforeValidator(_size)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Event(_Strict):
    at: _Seconds
    die: str = ""
    oom: str = ""
    break_: str = Field(default="", alias="break")
    mend: str = ""
    deploy: str = ""
    unhealthy: str = ""
    healthy: str = ""
    stop: str = ""
    start: str = ""
    remove: str = ""
    grow: str = ""
    pause: str = ""
    resume: str = ""
    exit_code: int | None = Field(default=None, ge=0, le=255)
    after: _Seconds | None = None
    rate: _Size | None = None
    upto: _Size | None = None
    for_: str = Field(default="", alias="for")

    @model_validator(mode="after")
    def _one_thing(self) -> "_Event":
        said = self.said()
        if len(said) != 1:
            known = ", ".join((*_HAPPENINGS, *_SAID))
            raise ValueError(
                f"an event says one thing that happens, like {{at: 1m, die: web.oracle}}; there are: {known}"
            )
        what = said[0][0]
        if self.exit_code is not None and what not in ("die", "break", "deploy"):
            raise ValueError(f"`exit_code` says nothing about {what!r}; take it out")
        if self.after is not None and what not in ("break", "deploy"):
            raise ValueError(f"`after` says nothing about {what!r}; take it out")
        if (self.rate is not None) != (what == "grow"):
            said_of = "says nothing about" if self.rate is not None else "is missing: so much each second, of"
            raise ValueError(f"`rate` {said_of} {what!r}")
        if self.upto is not None and what != "grow":
            raise ValueError(f"`upto` says nothing about {what!r}; take it out")
        if self.for_ and what != "pause":
            raise ValueError(f"`for` says nothing about {what!r}; take it out")
        return self

    def said(self) -> list[tuple[str, str]]:
        """(what happens, to which service)"""
        given = self.model_dump(by_alias=True)
        return [(name, given[name]) for name in (*_HAPPENINGS, *_SAID) if given[name]]


class _Expect(_Strict):
    at: _Seconds
    within: _Seconds | None = None
    verb: str = ""
    target: str = ""
    outcome: Outcome | None = None
    reason: str = ""
    by: str = ""

    @model_validator(mode="after")
    def _known(self) -> "_Expect":
        verbs = [name for name, verb in VERBS.items() if not verb.internal]
        if self.verb and self.verb not in verbs:
            raise ValueError(f"there is no verb {self.verb!r}{did_you_mean(self.verb, verbs)}")
        reasons = [reason.value for reason in Reason]
        if self.reason and not any(one == self.reason or one.startswith(f"{self.reason}_") for one in reasons):
            raise ValueError(f"there is no reason {self.reason!r}{did_you_mean(self.reason, reasons)}")
        if not (self.verb or self.target or self.reason or self.by):
            raise ValueError("an expectation says at least a verb or a target")
        return self


class _Test(_Strict):
    name: str = Field(min_length=1)
    interval: _Seconds = INTERVAL
    start_timestamp: Annotated[float, BeforeValidator(start_of)] = 0.0
    input_series: Any = None
    events: list[_Event] = Field(default_factory=list)
    expect: list[_Expect] = Field(default_factory=list)
    only: bool = True
    until: _Seconds = 0.0


class _File(_Strict):
    rule_files: list[str] = Field(default_factory=list)
    playbook_files: list[str] | None = None
    settings: Any = None
    services: Any = None
    tests: list[_Test] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: what happens to which service, `after_start` seconds after the start."""

    after_start: float
    what: str
    service: str
    exit_code: int | None
    after: float
    lasts: str
    rate: float = 0.0
    """bytes that it takes each second"""
    upto: float = math.inf
    """bytes at which it takes no more"""

    def at(self, start: float) -> Cue:
        """As a cue of a rehearsal that begins at `start` (unix seconds)."""
        return Cue(start + self.after_start, self._act)

    async def _act(self, troupe: Troupe) -> None:
        code, service = 1 if self.exit_code is None else self.exit_code, self.service
        plain: dict[str, Callable[[], None]] = {
            "die": lambda: troupe.die(service, code),
            "oom": lambda: troupe.die(service, 137, oom=True),
            "break": lambda: troupe.break_down(service, code, self.after),
            "mend": lambda: troupe.mend(service),
            "deploy": lambda: troupe.deploy(service, self.exit_code, self.after),
            "unhealthy": lambda: troupe.health(service, "unhealthy"),
            "healthy": lambda: troupe.health(service, "healthy"),
            "stop": lambda: troupe.stop(service),
            "start": lambda: troupe.start(service),
            "remove": lambda: troupe.remove(service),
            "grow": lambda: troupe.grow(service, self.rate, self.upto),
        }
        if self.what in plain:
            plain[self.what]()
            return
        asked: Awaitable[object] = troupe.ask(self.what, service, **({"for": self.lasts} if self.lasts else {}))
        await asked


@dataclass(frozen=True, slots=True)
class Expectation:
    """One deed that must be decided `at`, or up to `within` seconds later. '' asks for nothing."""

    at: float
    within: float
    verb: str
    target: str
    outcome: str
    """'' is anything but a refusal"""
    reason: str
    by: str
    place: tuple[int, int]

    def __str__(self) -> str:
        words = [self.verb or "anything", self.target and f"on {self.target}", self.outcome or "done"]
        words += [f"({self.reason})"] if self.reason else []
        words += [f"by {self.by}"] if self.by else []
        window = after(self.at) + (f"..{after(self.at + self.within)}" if self.within else "")
        return f"expected at {window}: {' '.join(word for word in words if word)}"


@dataclass(frozen=True, slots=True)
class ActionsTest:
    """One test. `end`: how many seconds are played."""

    name: str
    start: float
    given: Given
    events: tuple[Happening, ...]
    expect: tuple[Expectation, ...]
    only: bool
    end: float
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ActionsFile:
    """One good file, with everything it names loaded."""

    loaded: Loaded
    actors: tuple[Actor, ...]
    tests: tuple[ActionsTest, ...]
    warnings: tuple[str, ...] = ()


def read(path: Path) -> ActionsFile:
    """Read a file and what it names. ConfigError with every mistake in any of them."""
    text = text_of(path)
    document = load_yaml(text, str(path), as_written=True, anchors=True)
    found = validate(_File, document)
    mistakes: list[Mistake] = []
    settings = Settings()
    try:
        settings = _settings(load_yaml(text, str(path), anchors=True))
    except ConfigError as err:
        mistakes += err.mistakes
    loaded = _load(path, document, found, settings, mistakes)
    tests = tuple(_test(document, index, one, settings, mistakes) for index, one in enumerate(found.tests))
    if mistakes:
        raise ConfigError(mistakes)
    return ActionsFile(loaded, tuple(Actor(name) for name in settings.services), tests)


def _settings(document: Document) -> Settings:
    """`settings` and `services` of the file, as if they stood in resurgam.yaml."""
    said = document.data.get("settings") or {}
    if not isinstance(said, dict):
        raise ConfigError([document.mistake(("settings",), "`settings` holds keys of resurgam.yaml")])
    for key in ("services", "rules"):
        if key in said:
            instead = "services" if key == "services" else "rule_files"
            text = f"`{key}` does not stand here; use `{instead}` of the test file"
            raise ConfigError([document.mistake(("settings", key), text, key=True)])
    data = {"host": "rehearsal", **said, "services": document.data.get("services") or {}}
    depth = {"settings": 1, "services": 0}
    values, keys = (
        {path[depth[str(path[0])] :]: place for path, place in places.items() if path and path[0] in depth}
        for places in (document.values, document.keys)
    )
    return validate(Settings, Document(document.file, data, values, keys))


def _load(path: Path, document: Document, found: _File, settings: Settings, mistakes: list[Mistake]) -> Loaded:
    rules: list[Source] = []
    for index, name in enumerate(found.rule_files):
        rules += _sources(path, document, ("rule_files", index), name, mistakes)
    books = _beside(rules) if found.playbook_files is None else []
    for index, name in enumerate(found.playbook_files or ()):
        books += _sources(path, document, ("playbook_files", index), name, mistakes)
    loaded, wrong = rulesets.look(settings, rules, books)
    mistakes += wrong
    return loaded


def _sources(
    path: Path, document: Document, place: tuple[str | int, ...], name: str, mistakes: list[Mistake]
) -> list[Source]:
    if name == rulesets.SHIPPED:
        return [rulesets.source(shipped_folder())]
    paths, missing = rule_paths(path, [name])
    if missing:
        mistakes.append(document.mistake(place, f"no file is called {name!r} here"))
    return [rulesets.source(one) for one in paths]


def _beside(rules: Sequence[Source]) -> list[Source]:
    """The folders of the rule files: the playbooks in them count."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path, _origin in rules)
    return [rulesets.source(folder) for folder in folders]


def _test(document: Document, index: int, one: _Test, settings: Settings, mistakes: list[Mistake]) -> ActionsTest:
    here: tuple[str | int, ...] = ("tests", index)
    series, wrong = listed(document, (*here, "input_series")) if one.input_series is not None else ((), [])
    mistakes += wrong
    if one.interval <= 0:
        mistakes.append(document.mistake((*here, "interval"), "the interval must be longer than 0s"))
    given = Given(one.interval or INTERVAL, series)
    events = []
    for at, event in enumerate(one.events):
        what, service = event.said()[0]
        if service not in settings.services and not (what in _SAID and service == "*"):
            known = ", ".join(settings.services) or "none is listed"
            text = f"there is no service {service!r} under `services`: {known}"
            mistakes.append(document.mistake((*here, "events", at, what), text))
        quick = 0.2 if event.after is None else event.after
        upto = math.inf if event.upto is None else event.upto
        events.append(Happening(event.at, what, service, event.exit_code, quick, event.for_, event.rate or 0.0, upto))
    expect = tuple(
        Expectation(
            at=want.at,
            within=given.interval if want.within is None else want.within,
            verb=want.verb,
            target=want.target,
            outcome=want.outcome or ("refused" if want.reason else ""),
            reason=want.reason,
            by=want.by,
            place=document.place((*here, "expect", at)),
        )
        for at, want in enumerate(one.expect)
    )
    times = [
        one.until,
        given.end,
        *(event.after_start for event in events),
        *(want.at + want.within for want in expect),
    ]
    place = document.place(here)
    return ActionsTest(one.name, one.start_timestamp, given, tuple(events), expect, one.only, max(times), place)
