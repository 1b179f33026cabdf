"""The table of faults: what each XID means, how grave it is, and what it calls for. Data, with its sources.

From: xids.yaml beside this file, and the owner's own entries (`gpu.xids` in resurgam.yaml), which count instead. To:
episodes.py, fault_series.py and core/faults.py. What the driver itself says (XID 154, field 230) goes before any entry.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from supervisor.config import trust
from supervisor.config.model import Model
from supervisor.config.reading import read_text
from supervisor.config.yaml import load_yaml, validate
from supervisor.errors import ConfigError

CLASSES = (
    "verdict",
    "info",
    "unknown",
    "app",
    "driver",
    "link",
    "memory",
    "gpu",
    "firmware",
    "mechanics",
    "bus",
)
"""what a fault is of, the gravest last: of several in one burst the gravest is the root"""
REMEDIES = ("none", "tell", "restart", "reset", "reboot", "power", "replace")
"""what a fault calls for, by how much it disturbs"""
BY_VERDICT: Mapping[str, str] = {
    "none": "none",
    "reset": "reset",
    "reboot": "reboot",
    "drain": "tell",
    "drain_reset": "reset",
    "imex": "tell",
    "bus_reset": "reboot",
    "power_cycle": "power",
}
"""the driver's verdict (facts.RECOVERIES) -> what is called for here. A reset of the bus is none of our verbs."""
PREEMPTIVE = 45
"""the XID that tells which work ended because of another fault: never a root beside others"""
MOST_BYTES = 256 << 10

_Class = Literal["verdict", "info", "unknown", "app", "driver", "link", "memory", "gpu", "firmware", "mechanics", "bus"]
_Remedy = Literal["none", "tell", "restart", "reset", "reboot", "power", "replace"]
_Kind = Literal["lost", "heartbeat", "locked_up", "latched", "init_failed", "reset_required"]
_Phrase = Annotated[str, Field(min_length=1, max_length=200)]


class _Entry(Model):
    name: _Phrase
    """what happened, as the end of a sentence about a card: `fell off the bus`"""
    kind: _Class = Field(alias="class")
    remedy: _Remedy
    quiet: bool = False
    """the driver is not to be asked any more after it: asking hangs"""
    hint: str = Field(default="", max_length=500)
    """whole sentences for whoever reads of it: what else is known to help"""
    sources: tuple[str, ...] = Field(default=(), max_length=16)


class _Numbered(_Entry):
    xid: int = Field(ge=1, le=65_535)


class _Message(_Entry):
    message: _Kind


class _File(Model):
    version: Literal[1] = 1
    sources: Mapping[str, str] = Field(default_factory=dict, max_length=64)
    xids: tuple[_Numbered, ...] = Field(default=(), max_length=1_000)
    messages: tuple[_Message, ...] = Field(default=(), max_length=64)

    @model_validator(mode="after")
    def _each_once(self) -> "_File":
        named = [*(f"XID {one.xid}" for one in self.xids), *(one.message for one in self.messages)]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"{name} is there twice; one entry counts")
        unknown = {word for one in (*self.xids, *self.messages) for word in one.sources} - set(self.sources)
        if unknown:
            raise ValueError(f"the source {min(unknown)!r} is not listed under sources")
        return self


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one fault."""

    name: str
    """what happened, as the end of a sentence about a card: `fell off the bus`"""
    kind: str
    """one of CLASSES"""
    remedy: str
    """one of REMEDIES"""
    quiet: bool = False
    """the driver is not to be asked any more after it"""
    hint: str = ""
    sources: tuple[str, ...] = ()

    @property
    def grave(self) -> int:
        """How grave, to be compared with others."""
        return CLASSES.index(self.kind)


@dataclass(frozen=True, slots=True)
class Table:
    """Every entry, by XID and by the kind of a message without a number."""

    xids: Mapping[int, Entry] = field(default_factory=dict)
    messages: Mapping[str, Entry] = field(default_factory=dict)

    def of(self, xid: int, kind: str = "") -> Entry:
        """What is known of a fault; of one that nobody listed: that it is to be told."""
        found = self.xids.get(xid) if xid else self.messages.get(kind)
        if found is not None:
            return found
        name = f"reported XID {xid}, which is in no table of ours" if xid else "is in trouble"
        return Entry(name, "unknown", "tell")

    def quiets(self, xid: int, kind: str = "") -> bool:
        """Whether the driver is not to be asked any more after this."""
        return self.of(xid, kind).quiet

    def over(self, other: "Table") -> "Table":
        """This one, and what it does not list from the other."""
        return Table({**other.xids, **self.xids}, {**other.messages, **self.messages})


def parse(text: str, file: str) -> Table:
    """The table of a file's text. ConfigError with every mistake, as file:line:col."""
    read = validate(_File, load_yaml(text, file))
    return Table(
        {one.xid: _entry(one) for one in read.xids},
        {one.message: _entry(one) for one in read.messages},
    )


@functools.cache
def shipped() -> Table:
    """Ours."""
    file = Path(__file__).with_name("xids.yaml")
    return parse(file.read_text("utf-8"), str(file))


def load(own: str | Path, trust_uid: int | None = None) -> tuple[Table, tuple[str, ...]]:
    """(the table with the owner's entries instead of ours, what is wrong with their file). Where something is, ours
    count alone. `own`: the path of their file, '' for none; `trust_uid`: whose files, besides root's, are obeyed."""
    if not own:
        return shipped(), ()
    path = Path(own)
    try:
        bad = trust.problems(path, trust_uid) if trust_uid is not None else ()
        if bad:
            return shipped(), tuple(f"{path} is left out: {text}" for text in bad)
        text = read_text(path, MOST_BYTES)
        if len(text.encode()) > MOST_BYTES:
            return shipped(), (f"{path} is left out: it is longer than {MOST_BYTES >> 10} kB.",)
        return parse(text, str(path)).over(shipped()), ()
    except ConfigError as err:
        return shipped(), tuple(f"Left out: {mistake}" for mistake in err.mistakes)
    except UnicodeDecodeError:
        return shipped(), (f"{path} is left out: it is not UTF-8.",)
    except OSError as err:
        return shipped(), (f"{path} cannot be read ({err.strerror}), so our own table of faults counts.",)


def _entry(one: _Entry) -> Entry:
    return Entry(one.name, one.kind, one.remedy, one.quiet, one.hint, one.sources)
