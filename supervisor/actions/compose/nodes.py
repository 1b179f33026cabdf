"""A compose file as nodes: every value with its place, its variables filled in, and one list for all mistakes.

From: config/yaml.py (the text with positions) and interpolate.py. To: reading.py and service.py, which ask nodes for
what they should be (a text, a list, a mapping) and get a harmless value where they are not, with the mistake noted:
so one reading tells all mistakes at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from supervisor.actions.compose import values
from supervisor.actions.compose.interpolate import Lookup, Wrong, fill
from supervisor.config.yaml import Document, Path
from supervisor.errors import ConfigError, Mistake

MOST_MISTAKES = 100
MOST_TEXT = 4 << 20
"""characters of all values that are asked for: what an alias stands for counts each time that it is used"""
LONGEST = 32_000
"""characters of one value"""
_OCTAL = re.compile(r"[-+]?0[0-7]+")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")


class Notes:
    """What was found while one file was read: mistakes with their places, and variables that were not set."""

    def __init__(self, document: Document, lookup: Lookup) -> None:
        self.document, self.lookup = document, lookup
        self.mistakes: list[Mistake] = []
        self.unset: dict[str, None] = {}
        self._spent = 0

    def wrong(self, path: Path, text: str, *, key: bool = False) -> None:
        """Note a mistake at the value (or the key) of `path`."""
        self.add(self.document.mistake(path, text, key=key))

    def spend(self, text: str) -> str:
        """The text, counted. ConfigError where all that was asked for is too much: then nothing more is read."""
        self._spent += len(text)
        if self._spent > MOST_TEXT:
            said = f"its values come to more than {MOST_TEXT >> 20} MiB, with what its aliases and variables stand for"
            raise ConfigError([Mistake(self.document.file, 0, 0, said)])
        return text

    def add(self, mistake: Mistake) -> None:
        """Note a mistake, once."""
        if mistake not in self.mistakes and len(self.mistakes) < MOST_MISTAKES:
            self.mistakes.append(mistake)


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file, as it stands there (variables are filled in when it is asked for)."""

    raw: Any
    path: Path
    notes: Notes

    def wrong(self, text: str, *, key: bool = False) -> None:
        """Note a mistake here."""
        self.notes.wrong(self.path, text, key=key)

    @property
    def name(self) -> str:
        """The key it stands at."""
        return str(self.path[-1]) if self.path else ""

    # ------------------------------------------------------------ what it should be

    def entries(self) -> Iterator["Node"]:
        """The values of a mapping, in the file's order; `x-` keys are nobody's business."""
        if self.raw is None:
            return
        if not isinstance(self.raw, dict):
            self.wrong(f"{self.name} must be a mapping of keys to values")
            return
        for key, value in self.raw.items():
            if not self.notes.spend(key).startswith("x-"):
                yield Node(value, (*self.path, key), self.notes)

    def items(self) -> Iterator["Node"]:
        """The items of a list; a single plain value counts as a list of one."""
        if self.raw is None:
            return
        if isinstance(self.raw, dict):
            self.wrong(f"{self.name} must be a list")
            return
        if not isinstance(self.raw, list):
            yield self
            return
        for number, value in enumerate(self.raw):
            yield Node(value, (*self.path, number), self.notes)

    def get(self, key: str) -> "Node":
        """The value at a key of a mapping; an empty node where there is none."""
        found = self.raw.get(key) if isinstance(self.raw, dict) else None
        return Node(found, (*self.path, key), self.notes)

    def only(self, *known: str) -> None:
        """Note every key of this mapping that is none of these."""
        for entry in self.entries():
            if entry.name not in known:
                entry.wrong(f"the key {entry.name!r} is not known here; there are: {', '.join(known)}", key=True)

    @property
    def given(self) -> bool:
        return self.raw is not None

    def text(self) -> str:
        """A text; numbers and booleans as they are written. '' where it is something else."""
        value = self.raw
        if isinstance(value, str):
            return self.filled(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return self._as_written(values.show_number(value))
        if value is not None:
            self.wrong(f"{self.name} must be a single value")
        return ""

    def texts(self) -> list[str]:
        """A list of texts."""
        return [item.text() for item in self.items()]

    def flag(self) -> bool:
        """true or false."""
        text = self.text()
        if text not in (*_TRUE, *_FALSE):
            self.wrong(f"{self.name} must be true or false")
        return text in _TRUE

    def number(self) -> int:
        """A whole number; 0 where it is none."""
        text = self.text().strip()
        try:
            return int(text)
        except ValueError:
            self.wrong(f"{self.name} must be a whole number, not {text[:40]!r}")
            return 0

    def pairs(self, *, separators: str = "=") -> Iterator[tuple[str, str | None, "Node"]]:
        """(name, value, node) of a mapping, or of a list of `name=value` texts; None where no value is given."""
        if isinstance(self.raw, dict):
            for entry in self.entries():
                entry.plain_octal()
                yield entry.name, None if entry.raw is None else entry.text(), entry
            return
        for item in self.items():
            text = item.text()
            at = min((text.find(one) for one in separators if one in text), default=-1)
            yield (text, None, item) if at < 0 else (text[:at], text[at + 1 :], item)

    def mapping(self) -> dict[str, str]:
        """A mapping of texts, or a list of `name=value`; no value is an empty text."""
        return {name: value or "" for name, value, _node in self.pairs()}

    # ------------------------------------------------------------ inside

    def filled(self, text: str) -> str:
        """The text with its variables."""
        try:
            found = fill(text, self.notes.lookup)
        except Wrong as err:
            line, column = self.notes.document.place_in(self.path, text, err.offset)
            self.notes.add(Mistake(self.notes.document.file, line, column, err.text))
            return ""
        self.notes.unset.update(dict.fromkeys(found.unset))
        if len(found.text) > LONGEST:
            self.wrong(f"this is longer than {LONGEST} characters")
            return ""
        return self.notes.spend(found.text)

    def plain_octal(self) -> None:
        """`0755` without quotes is 493 to every compose, and to nobody else."""
        style, _start, end = self.notes.document.scalars.get(self.path, ("", 0, 0))
        if isinstance(self.raw, str) and end and not style and _OCTAL.fullmatch(self.raw):
            self.wrong(f"{self.raw} is read as {int(self.raw, 8)} by compose; put it in quotes")

    def _as_written(self, shown: str) -> str:
        """A number that stands in the file in another form than it is read in is ambiguous: quotes make it plain."""
        document = self.notes.document
        _style, start, end = document.scalars.get(self.path, ("", 0, 0))
        written = document.text[start:end].strip()
        if written and written.lstrip("&") == written and written != shown:
            self.wrong(f"{written} is read as {shown} by some versions of compose; put it in quotes")
        return shown
