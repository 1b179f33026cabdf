"""YAML as people mean it: text in, plain Python out, with the place of every value; and mistakes as sentences.

Data comes from a file's text (`load_yaml`) and goes, checked against a pydantic model (`validate`), to whoever asked:
the settings, the rule files, the playbooks. Read strictly, since a file here decides what is done to a box:

- a key given twice, a tag or a second document is a mistake, not a feature; so is an anchor, an alias or a merge key,
  except in rule files, which other tools have always read with them (`anchors`);
- only `true` and `false` are booleans (`yes`, `no`, `on` and `off` are words), `1:30` and `2024-01-01` are words,
  `0755` is a word;
- keys are always text.

The composer is our own, over the parser's events: PyYAML's keeps the last of two equal keys, expands aliases without
bound, and forgets where anchors and tags stood. Places inside a text are found by `scalars.py` when they are asked for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from supervisor.config import scalars, sentences
from supervisor.errors import ConfigError, Mistake

MAX_BYTES = 16 * 1024 * 1024
"""Of one document; series that are written out value by value are long. Rule files and playbooks may have less."""
MAX_DEPTH = 48
MAX_ALIASED = 100_000
"""values that the aliases of one document may stand for, so that a few lines cannot become millions"""

Path = tuple[str | int, ...]
Place = tuple[int, int]
ModelT = TypeVar("ModelT", bound=BaseModel)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*|(?:0|[1-9][0-9]*)(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_ODD = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_TEXT = "tag:yaml.org,2002:str"
_PROPERTIES = re.compile(r"(?:[&!]\S+\s+)*")
"""an anchor or a tag: they count as a part of the value that they stand before"""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: `data` is plain Python (dict with text keys, list, str, int, float, bool, None)."""

    file: str
    data: Any
    values: dict[Path, Place] = field(default_factory=dict, repr=False)
    """where each value starts: (line, column), from 1"""
    keys: dict[Path, Place] = field(default_factory=dict, repr=False)
    """where each key starts"""
    scalars: dict[Path, tuple[str, int, int]] = field(default_factory=dict, repr=False)
    """the style of each plain value (`''` for none), and where it starts and ends in `text`"""
    text: str = field(default="", repr=False)

    def place(self, path: Path) -> Place:
        """Where the value at `path` starts, as (line, column) from 1. Parts that are not in the file (a missing field,
        the name of a union's arm) are skipped, so the nearest existing parent answers."""
        return self.values.get(self._nearest(path), (1, 1))

    def key_place(self, path: Path) -> Place:
        """Where the key of `path` starts; its value's place where it has none (an item of a list)."""
        found = self._nearest(path)
        return self.keys.get(found) or self.values.get(found, (1, 1))

    def place_in(self, path: Path, value: str, offset: int) -> Place:
        """Where character `offset` of the text `value` at `path` stands, whatever quotes, escapes, indentation and
        folding lie between; where the value starts if that cannot be told (an alias stands there)."""
        style, start, end = self.scalars.get(path, ("", 0, 0))
        start += len(cast("re.Match[str]", _PROPERTIES.match(self.text[start:end])).group())
        found = scalars.sources(self.text[start:end], style, value) if end else None
        if not found:
            return self.place(path)
        at = start + found[min(max(offset, 0), len(found) - 1)]
        return self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)

    def quoted(self, path: Path) -> bool:
        """Whether the value at `path` stands in quotes: a text, whatever it looks like."""
        return self.scalars.get(path, ("", 0, 0))[0] in ("'", '"')

    def _nearest(self, path: Path) -> Path:
        found: Path = ()
        for part in path:
            if (*found, part) in self.values:
                found = (*found, part)
        return found

    def mistake(self, path: Path, text: str, *, key: bool = False) -> Mistake:
        """A mistake at the value (or the key) of `path`."""
        line, column = self.key_place(path) if key else self.place(path)
        return Mistake(self.file, line, column, text)


def load_yaml(text: str, file: str, *, as_written: bool = False, anchors: bool = False) -> Document:
    """Read one document. An empty one has `data` None, and may stand behind a full one.

    `as_written` keeps every scalar but null as the text that stands in the file (`1.10` stays `1.10`), the way
    Prometheus reads a label's value; pydantic then turns it into numbers and booleans where a model wants those.
    `anchors` allows anchors, aliases, merge keys and the tag !!str; what an alias stands for has the alias's place.
    Raises ConfigError with every mistake that can be told apart; after a syntax error the rest is not read.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError([Mistake(file, 0, 0, f"the file is larger than {MAX_BYTES // 1024**2} MiB; split it")])
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    odd = _FORBIDDEN.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        column = odd.start() - text.rfind("\n", 0, odd.start())
        raise ConfigError([Mistake(file, line, column, f"the character {odd.group()!a} may not stand in a YAML file")])
    composer = _Composer(file, as_written, anchors)
    try:
        composer.read(yaml.parse(text, Loader=_Loader))
    except yaml.YAMLError as err:
        composer.mistakes.append(_syntax(err, text, file))
    except _Stop:
        pass
    if composer.mistakes:
        raise ConfigError(composer.mistakes)
    return Document(file, composer.data, composer.values, composer.keys, composer.scalars, text)


def validate(model: type[ModelT], document: Document) -> ModelT:
    """The document as an instance of `model`; an empty document counts as an empty mapping.

    Raises ConfigError with every mistake: its place, and a sentence instead of pydantic's words.
    """
    data = {} if document.data is None else document.data
    try:
        return model.model_validate(data)
    except ValidationError as err:
        mistakes = []
        for error in sentences.worth_saying(err.errors(include_url=False, include_context=True)):
            at_key = error["type"] in ("extra_forbidden", "invalid_key") or "[key]" in error["loc"]
            mistakes.append(document.mistake(error["loc"], sentences.sentence(model, error), key=at_key))
    mistakes.sort(key=lambda mistake: (mistake.line, mistake.column))
    raise ConfigError(list(dict.fromkeys(mistakes)))


class _Stop(Exception):
    """Reading on would only repeat the mistake just noted."""


class _Composer:
    """Builds values from the parser's events, noting places and mistakes on the way."""

    def __init__(self, file: str, as_written: bool, anchors: bool) -> None:
        self.file = file
        self.as_written, self.anchors = as_written, anchors
        self.data: Any = None
        self.values: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self.scalars: dict[Path, tuple[str, int, int]] = {}
        self.mistakes: list[Mistake] = []
        self.named: dict[str, tuple[Any, int]] = {}
        """what each anchor stands for, and of how many values that is made"""
        self.count = self.aliased = 0

    def read(self, events: Iterator[Any]) -> None:
        documents, started = 0, cast("Any", None)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                started = event
            elif isinstance(event, yaml.NodeEvent) and documents == 1:
                self.data = self.value(event, events, ())
            elif isinstance(event, yaml.NodeEvent) and getattr(event, "value", True):
                self.note(started, "a second document starts here; one file holds one document", stop=True)

    def note(self, event: Any, text: str, *, stop: bool = False) -> None:
        mark = event.start_mark
        self.mistakes.append(Mistake(self.file, mark.line + 1, mark.column + 1, text))
        if stop or len(self.mistakes) >= 100:
            raise _Stop

    def value(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        """The value that `event` starts; takes its further events from `events`."""
        self.values[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        self.count += 1
        if len(path) > MAX_DEPTH:
            self.note(event, f"this is nested more than {MAX_DEPTH} levels deep", stop=True)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.anchor is not None and not self.anchors:
            self.note(event, f"the anchor &{event.anchor} is not allowed; write the value out where it is needed")
        if event.tag is not None and not (self.anchors and event.tag == _TEXT):
            self.note(event, f"the tag {event.tag} is not allowed; write a plain value")
        anchor, before = event.anchor, self.count
        found = self.inside(event, events, path)
        if anchor is not None:
            self.named[anchor] = (found, self.count - before + 1)
        return found

    def inside(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        """A scalar, a list or a mapping."""
        if isinstance(event, yaml.ScalarEvent):
            start, end = cast("Any", event.start_mark), cast("Any", event.end_mark)
            self.scalars[path] = (event.style or "", start.index, end.index)
            return self.scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self.value(event, events, (*path, len(items))))
            return items
        return self.mapping(events, path)

    def alias(self, event: Any) -> Any:
        """What an alias stands for; the very object, since nobody changes it."""
        if not self.anchors:
            self.note(event, f"the alias *{event.anchor} is not allowed; write the value out")
            return None
        if event.anchor not in self.named:
            self.note(event, f"the alias *{event.anchor} stands before its anchor &{event.anchor}, or there is none")
            return None
        found, weight = self.named[event.anchor]
        self.count += weight
        self.aliased += weight
        if self.aliased > MAX_ALIASED:
            self.note(event, f"the aliases of this file stand for more than {MAX_ALIASED} values", stop=True)
        return found

    def mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[Any] = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            name = self.key(event)
            here = (*path, name)
            if self.anchors and name == "<<" and event.implicit[0]:
                merged.append((event, self.value(next(events), events, here)))
                continue
            place = (event.start_mark.line + 1, event.start_mark.column + 1)
            if here in self.keys:
                line, column = self.keys[here]
                self.note(event, f"the key {name!r} stands here a second time; the first is at {line}:{column}")
                kept = self.values[here]
                self.value(next(events), events, here)
                self.values[here] = kept
                continue
            self.keys[here] = place
            found[name] = self.value(next(events), events, here)
        for event, value in merged:
            self.merge(event, found, value)
        return found

    def merge(self, event: Any, found: dict[str, Any], value: Any) -> None:
        """Add what a merge key brings: a mapping's keys, or those of several; the mapping's own keys win."""
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                self.note(event, "the merge key << takes a mapping (or a list of mappings) that was named before")
                return
            for name, inner in one.items():
                found.setdefault(name, inner)

    def key(self, event: Any) -> str:
        """The text of a key; keys that are not plain text are mistakes."""
        if not isinstance(event, yaml.ScalarEvent):
            self.note(event, "a key must be a word, not a list, a mapping or an alias", stop=True)
        if event.anchor is not None:
            self.note(event, f"the anchor &{event.anchor} is not allowed; write the key without it")
        if event.tag is not None:
            self.note(event, f"the tag {event.tag} is not allowed; write a plain key")
        name: str = event.value
        if name == "<<" and event.implicit[0] and not self.anchors:
            self.note(event, "the merge key << is not allowed; write the keys out")
        return name

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _SPECIAL:
            return None
        if self.as_written:
            return text
        if text in _BOOLS:
            return _BOOLS[text]
        if len(text) <= 400 and _INT.fullmatch(text):
            return int(text, 0)
        if len(text) <= 400 and _FLOAT.fullmatch(text):
            return float(text)
        return _ODD.get(text.lower(), text)


def _syntax(err: yaml.YAMLError, text: str, file: str) -> Mistake:
    """What the parser stumbled over, with its place."""
    mark = getattr(err, "problem_mark", None) or getattr(err, "context_mark", None)
    problem = str(getattr(err, "problem", "") or "it cannot be read")
    context = str(getattr(err, "context", "") or "")
    if mark is None:
        return Mistake(file, 0, 0, f"this is not YAML: {problem}")
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: mark.column + 1] and not line[: mark.column].strip():
        column = line.index("\t") + 1
        return Mistake(file, mark.line + 1, column, "a tab stands in the indentation; indent with spaces")
    if "mapping values are not allowed" in problem:
        problem = "a ': ' stands where no key can be; check the indentation, or put the text in quotes"
    elif "could not find expected ':'" in problem:
        problem = "a ':' is missing after the key"
    elif context:
        problem = f"{context}, {problem}"
    return Mistake(file, mark.line + 1, mark.column + 1, f"this is not YAML: {problem}")
