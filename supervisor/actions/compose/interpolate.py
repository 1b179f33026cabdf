"""`${VAR:-default}` in a compose file, and `KEY=value` files: texts and a lookup in, texts out. Pure.

From: the values of a compose file, `.env` and env_file texts (reading.py). To: the same texts with their variables
filled in, and what is wrong with them, by the offset of the character. The rules are those of the compose
specification: `$VAR`, `${VAR}`, `:-` and `-`, `:?` and `?`, `:+` and `+`, `$$` for a dollar sign, nested.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor.errors import Mistake

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:(=)(.*))?", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"'}
_DEEPEST = 8
MOST_LINES = 10_000
LONGEST = 1 << 20
"""characters that one text, and all values of one file of variables, may come to: a few lines that double each other
would fill the memory"""


class Wrong(Exception):
    """A text cannot be filled in; `offset` is the character that is wrong."""

    def __init__(self, offset: int, text: str) -> None:
        self.offset, self.text = offset, text
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its variables filled in, and those that were not set and had no default."""

    text: str
    unset: tuple[str, ...] = ()


def fill(text: str, lookup: Lookup) -> Filled:
    """Fill in the variables. Wrong says which character cannot be read, or which required variable is missing."""
    if "$" not in text:
        return Filled(text)
    filler = _Filler(text, lookup)
    return Filled(filler.until_end(), tuple(dict.fromkeys(filler.unset)))


class _Filler:
    def __init__(self, text: str, lookup: Lookup) -> None:
        self.text, self.lookup, self.at, self.depth = text, lookup, 0, 0
        self.unset: list[str] = []
        self.size = 0
        """characters that variables brought so far"""

    def until_end(self) -> str:
        made = []
        while self.at < len(self.text):
            made.append(self._piece())
        return "".join(made)

    def _piece(self) -> str:
        if self.text[self.at] != "$":
            end = self.text.find("$", self.at)
            start, self.at = self.at, len(self.text) if end < 0 else end
            return self.text[start : self.at]
        return self._variable(wanted=True)

    def _variable(self, *, wanted: bool) -> str:
        """What stands at a dollar sign. `wanted` False: it is read over, and need not be set."""
        start = self.at
        following = self.text[start + 1 : start + 2]
        if following == "$":
            self.at += 2
            return "$"
        if following == "{":
            return self._braced(start, wanted)
        name = _NAME.match(self.text, start + 1)
        if name is None:
            raise Wrong(start, "a lone $ stands for nothing; write $$ where a dollar sign is meant")
        self.at = name.end()
        return self._value(name.group(), wanted)

    def _braced(self, start: int, wanted: bool) -> str:
        name = _NAME.match(self.text, start + 2)
        if name is None:
            raise Wrong(start, "${ must be followed by the name of a variable; write $$ where a dollar sign is meant")
        self.at = name.end()
        if self.text[self.at : self.at + 1] == "}":
            self.at += 1
            return self._value(name.group(), wanted)
        operator = _OPERATOR.match(self.text, self.at)
        if operator is None:
            raise Wrong(start, f"${{{name.group()} is not closed by }}, or what follows is none of :- - :? ? :+ +")
        self.at = operator.end()
        value = self.lookup(name.group())
        there = bool(value) if operator.group().startswith(":") else value is not None
        kind = operator.group()[-1]
        word = self._word(start, wanted=wanted and there == (kind == "+"))
        if kind == "-":
            return self._counted(value or "") if there else word
        if kind == "+":
            return word if there else ""
        if not there and wanted:
            raise Wrong(start, f"the variable {name.group()} is required" + (f": {word[:200]}" if word else ""))
        return self._counted(value or "")

    def _word(self, start: int, *, wanted: bool) -> str:
        """What stands between an operator and the closing brace, filled in itself."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Wrong(start, f"variables are nested more than {_DEEPEST} levels deep")
        made: list[str] = []
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "}":
                self.at += 1
                self.depth -= 1
                return "".join(made)
            if here == "$":
                made.append(self._variable(wanted=wanted))
            else:
                made.append(here)
                self.at += 1
        raise Wrong(start, "${ is not closed by }")

    def _value(self, name: str, wanted: bool) -> str:
        value = self.lookup(name)
        if value is None and wanted:
            self.unset.append(name)
        return self._counted(value or "")

    def _counted(self, value: str) -> str:
        self.size += len(value)
        if self.size > LONGEST:
            raise Wrong(0, f"with its variables filled in it is longer than {LONGEST >> 20} MiB")
        return value


def variables(text: str, file: str, outside: Mapping[str, str]) -> tuple[dict[str, str | None], list[Mistake]]:
    """The variables of a `.env` or env_file text, and its mistakes. `outside`: what its own values may refer to, and
    what a name without `=` takes its value from (None where it has none)."""
    found: dict[str, str | None] = {}
    mistakes: list[Mistake] = []
    size = 0

    def lookup(name: str) -> str | None:
        return outside.get(name, found.get(name))

    lines = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").splitlines()
    if len(lines) > MOST_LINES:
        return {}, [Mistake(file, 0, 0, f"the file has more than {MOST_LINES} lines")]
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            mistakes.append(Mistake(file, number, 1, "this is not of the form NAME=value"))
            continue
        name, equals, raw = match[1], match[2], match[3] or ""
        if equals is None:
            found[name] = outside.get(name)
            continue
        try:
            value = _unquoted(raw.strip(), lookup)
        except Wrong as err:
            mistakes.append(Mistake(file, number, match.start(3) + 1, err.text))
            continue
        found[name] = value
        size += len(value)
        if size > LONGEST:
            text = f"the variables of this file come to more than {LONGEST >> 20} MiB"
            return {}, [*mistakes, Mistake(file, number, match.start(3) + 1, text)]
    return found, mistakes


def _unquoted(raw: str, lookup: Lookup) -> str:
    """A value as it is meant: quotes taken away, comments cut, variables filled in (not between single quotes)."""
    if raw[:1] not in ("'", '"'):
        return _loosely(_uncommented(raw).strip(), lookup)
    made: list[str] = []
    quote, at = raw[0], 1
    while at < len(raw):
        here = raw[at]
        if here == quote:
            if raw[at + 1 :].strip() and not re.match(r"\s*#", raw[at + 1 :]):
                raise Wrong(at, "something follows the closing quote")
            return "".join(made) if quote == "'" else _loosely("".join(made), lookup)
        if here == "\\" and quote == '"' and raw[at + 1 : at + 2] in _ESCAPES:
            made.append(_ESCAPES[raw[at + 1]])
            at += 2
            continue
        made.append(here)
        at += 1
    raise Wrong(0, f"the quote {quote} is not closed on this line")


def _uncommented(raw: str) -> str:
    """Up to the first `#` that follows a space or begins the text. Told by hand: a pattern that looks for the space
    first takes an hour for a line of a million spaces, and nothing else runs meanwhile."""
    at = raw.find("#")
    while at > 0 and not raw[at - 1].isspace():
        at = raw.find("#", at + 1)
    return raw if at < 0 else raw[:at]


def _loosely(text: str, lookup: Lookup) -> str:
    """Variables filled in; a dollar sign that begins none stays what it is, as env files have always been read."""
    return fill(re.sub(r"\$\$|\$(?![A-Za-z_{])", lambda found: found.group() * 2, text), lookup).text
