"""Model servers that need no code of their own: what each is asked, and what its answers mean, as data.

From: data/*.yaml beside this file, checked when they are read, every mistake with its place. To: generic.py, which does
what they say, and `resurgam check`, which lists the kinds. There is nothing to run in a description: addresses, bodies
with words in braces put in, paths into answers, and what is found there.
"""

import functools
from collections.abc import Mapping
from pathlib import Path as File
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from supervisor.config.model import Model
from supervisor.config.yaml import load_yaml, validate
from supervisor.servers import paths
from supervisor.servers.paths import Path

WORDS = ("model", "each", "level", "path")
"""what may stand in braces: the name its server knows the model by, the value a step is repeated for, the level of
sleep, the file or folder that the server says it was loaded from"""
FOLDER = File(__file__).with_name("data")
_UNITS = {"": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}

State = Literal["loaded", "loading", "asleep", "unloaded", "failed", "unknown"]
Field_ = Literal[
    "loaded", "in_flight", "memory", "vram", "used", "progress", "model", "aliases", "context", "build", "path"
]


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError("a path is a text like models[id={model}].state")
    read = paths.parse(value)
    _known(read.words)
    return read


def _address(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or len(value) > 300 or not value.isprintable():
        raise ValueError(f"{str(value)[:60]!r} is not the path of an address; write it like /v1/models")
    _known(_braced(value))
    return value


def _body(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a body is a mapping, sent as JSON")
    _known(_braced(value))
    return value


def _braced(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word for word in _words_in(value))
    if isinstance(value, dict):
        return tuple(word for one in value.values() for word in _braced(one))
    return tuple(word for one in value for word in _braced(one)) if isinstance(value, list) else ()


def _words_in(text: str) -> list[str]:
    return [piece.partition("}")[0] for piece in text.split("{")[1:] if "}" in piece]


def _known(words: tuple[str, ...]) -> None:
    for word in words:
        if word not in WORDS:
            raise ValueError(f"{{{word}}} stands for nothing; there are {', '.join(f'{{{one}}}' for one in WORDS)}")


PathText = Annotated[Path, BeforeValidator(_path)]
Address = Annotated[str, BeforeValidator(_address)]
Body = Annotated[dict[str, Any], BeforeValidator(_body)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]


class Key(Model):
    """How the line of `key-file` is sent."""

    header: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$")
    value: str = Field(default="{key}", pattern=r"^[ -~]*\{key\}[ -~]*$")


class Recognised(Model):
    """A question that disturbs nothing, and what only this server answers to it."""

    get: Address
    has: PathText
    """something is there"""
    text: str = Field(default="", max_length=100)
    """and it is this text, or begins with it; '' for anything"""


class Rule(Model):
    """One way to tell the state; the first that applies counts. What a rule leaves out always applies."""

    status: int | None = Field(default=None, ge=100, le=599)
    says: str = Field(default="", max_length=200)
    """text that the answer holds"""
    of: Literal["", "inside", "service"] = ""
    """only of a model inside a server, or only of one that is a service of its own"""
    at: PathText | None = None
    """something is there that is not empty, false or 0"""
    words: Mapping[str, State] | None = Field(default=None, min_length=1)
    """what may stand there; one that is not listed is unknown. The first that is there counts"""
    state: State | None = Field(default=None, alias="is")
    text: str = Field(default="", max_length=300)
    """the end of a sentence about it, instead of ours"""

    @model_validator(mode="after")
    def _hangs_together(self) -> "Rule":
        if (self.words is None) == (self.state is None):
            raise ValueError("a rule says one of: is (the state), words (what each word means)")
        if self.words is not None and self.at is None:
            raise ValueError("words stand somewhere: say at")
        return self


class Value(Model):
    """Something else that an answer tells. Several values are added; one path without any makes all of it unknown."""

    at: tuple[PathText, ...] = Field(min_length=1, max_length=8)
    unit: Literal["", "kB", "MB", "GB", "KiB", "MiB", "GiB"] = ""
    words: Mapping[str, float] | None = None
    """the number that each word stands for"""

    @field_validator("at", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def factor(self) -> float:
        """Bytes of one."""
        return _UNITS[self.unit]


class Question(Model):
    """One thing a look asks. The first tells the state; those after it only tell more."""

    get: Address | None = None
    post: Address | None = None
    """where a server lists with POST; it must be as harmless as a GET"""
    query: Mapping[str, str] = Field(default_factory=dict)
    body: Body | None = None
    form: Literal["json", "metrics"] = "json"
    """metrics: Prometheus text, read as `name[label={model}].value`"""
    when: tuple[State, ...] = ()
    """asked only in these states; () always"""
    state: tuple[Rule, ...] = Field(default=(), max_length=32)
    values: Mapping[Field_, Value] = Field(default_factory=dict)

    @field_validator("values", mode="before")
    @classmethod
    def _plain_path(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {"at": one} if isinstance(one, str | list) else one for name, one in value.items()}

    @model_validator(mode="after")
    def _hangs_together(self) -> "Question":
        if (self.get is None) == (self.post is None):
            raise ValueError("a question has one address: get or post")
        if self.get is not None and self.body is not None:
            raise ValueError("a body is sent with post")
        return self


class Step(Model):
    """One request of a verb."""

    get: Address | None = None
    post: Address | None = None
    query: Mapping[str, str] = Field(default_factory=dict)
    body: Body | None = None
    each: PathText | None = None
    """repeated for every text there, in the first answer of a look; nothing there: nothing to do"""
    already: Mapping[int, str] = Field(default_factory=dict)
    """status -> text in the answer ('' for any) that means that it is so already"""
    means: Mapping[int, Sentence] = Field(default_factory=dict)
    """status -> what is wrong then and what to do, instead of the server's own words"""
    expects: PathText | None = None
    """something must be there in the answer, or it was refused in spite of its status"""
    events: PathText | None = None
    """the answer is a stream of server-sent events; it is done when `finished` stands there"""
    finished: str = Field(default="finished", min_length=1, max_length=100)
    idle: bool = False
    """only sent once the server says that it works on nothing: it would fall over else"""

    @model_validator(mode="after")
    def _hangs_together(self) -> "Step":
        if (self.get is None) == (self.post is None):
            raise ValueError("a step has one address: get or post")
        return self


class Verb(Model):
    """How a verb is done, and what proves that it is."""

    cannot: str = Field(default="", max_length=500)
    """why it cannot be done, with what to do"""
    steps: tuple[Step, ...] = Field(default=(), max_length=12)
    done: State | None = None
    """what looks must say in the end; left out: what the verb is for. `unknown`: the server does not tell, its answer
    is all there is"""
    waits: bool = True
    """requests in flight are waited for first: the server would cut them"""
    from_: tuple[State, ...] = Field(default=(), alias="from")
    """it is only sent in these states: in another the server would fall over. () in any"""

    @model_validator(mode="after")
    def _hangs_together(self) -> "Verb":
        if bool(self.cannot) == bool(self.steps):
            raise ValueError("a verb has steps, or cannot says why it has none")
        return self


class Described(Model):
    """One kind of server."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    title: str = Field(min_length=1, max_length=60)
    """what people call it"""
    rank: int = Field(default=50, ge=0, le=99)
    """the lower, the earlier it is recognised"""
    sources: tuple[Sentence, ...] = Field(min_length=1, max_length=8)
    """where its answers are written down"""
    hint: str = Field(default="", max_length=500)
    """what an operator must switch on"""
    key: Key | None = None
    recognised: tuple[Recognised, ...] = Field(default=(), max_length=4)
    """all must hold; () where it must be declared"""
    owner: str = Field(default="", max_length=60)
    """what its list of models calls their owner; '' where that tells nothing"""
    look: tuple[Question, ...] = Field(min_length=1, max_length=6)
    verbs: Mapping[Literal["load", "unload", "sleep", "wake"], Verb] = Field(default_factory=dict)
    completes: Literal["openai", "triton"] = "openai"
    """how it is asked for text"""

    @model_validator(mode="after")
    def _hangs_together(self) -> "Described":
        if not self.look[0].state or self.look[0].when:
            raise ValueError("the first question of a look tells the state, and is always asked")
        if any(one.state for one in self.look[1:]):
            raise ValueError("only the first question of a look tells the state")
        if not _ends(self.look[0].state[-1]):
            raise ValueError("the last rule about the state must always apply")
        return self


def _ends(rule: Rule) -> bool:
    return rule.status is None and not rule.says and not rule.of and rule.at is None


def parse(text: str, file: str) -> Described:
    """A description; ConfigError with every mistake, as file:line:col."""
    return validate(Described, load_yaml(text, file))


@functools.cache
def shipped() -> Mapping[str, Described]:
    """Ours, by name, in the order in which they are recognised."""
    found = [parse(file.read_text("utf-8"), str(file)) for file in sorted(FOLDER.glob("*.yaml"))]
    return {one.name: one for one in sorted(found, key=lambda one: (one.rank, one.name))}
