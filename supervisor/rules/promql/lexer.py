"""PromQL text in, its words one after another out: tokens with their places, as Prometheus' own lexer cuts them.

First step of `parse.py`. One pass in linear time. What a word is depends on where it stands: between braces keywords
are plain names, between brackets a colon parts range and step instead of belonging to a name.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn

AGGREGATIONS = (
    "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile",
    "limitk", "limit_ratio",
)  # fmt: skip
METRICS = frozenset((*AGGREGATIONS, "name", "and", "or", "unless", "offset", "by", "without", "start", "end"))
"""Kinds of tokens that can be a metric's name where an operand is wanted."""
KEYWORDS = (METRICS - {"name"}) | {"atan2", "on", "ignoring", "group_left", "group_right", "bool"}
"""Words with a meaning of their own, in small or capital letters."""
LABELS = KEYWORDS | {"name"}
"""Kinds of tokens that can be a label's name in `by (…)`, `on (…)` and the like."""
LEVELS = {"or": 1, "and": 2, "unless": 2}
"""How tightly an operator binds; all but `^` group from the left, a sign binds like `*`."""
LEVELS |= dict.fromkeys(("==", "!=", "<=", "<", ">=", ">"), 3)
LEVELS |= dict.fromkeys(("+", "-"), 4) | dict.fromkeys(("*", "/", "%", "atan2"), 5) | {"^": 6}
LAST = "last"
"""The kind of the token that stands at the end of the text."""
BROKEN = "broken"
"""The kind of the token that stands, as the last one, where no word can be made out; its text says why."""

_BRACKETS = {"(": "parenthesis", "[": "bracket", "{": "brace"}


class Unreadable(Exception):
    """The text is not PromQL from `at` (a character, counted from 0) on."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at, self.why = at, why


class Token(NamedTuple):
    """One word. `kind`: 'name', 'number', 'duration', 'string', a keyword in small letters, the sign itself, LAST or
    BROKEN."""

    kind: str
    text: str
    at: int

    @property
    def end(self) -> int:
        """One past its last character."""
        return self.at + len(self.text)

    def __str__(self) -> str:
        if self.kind == LAST:
            return "end of input"
        if self.kind == "name":
            return f'identifier "{self.text}"'
        if self.kind in ("number", "duration", "string"):
            return f"{self.kind} {self.text if len(self.text) <= 24 else self.text[:23] + '…'}"
        return f'"{self.text}"'


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]++|\#[^\r\n]*+)
    |(?P<word>[A-Za-z_:][A-Za-z0-9_:]*+)
    |(?P<number>0[xX][0-9A-Za-z_.]*+|(?:[0-9]|\.[0-9])(?:[eE][+-]|[0-9A-Za-z_.])*+)
    |(?P<string>"(?:[^"\\\n]++|\\.)*+"|'(?:[^'\\\n]++|\\.)*+'|`[^`]*+`)
    |(?P<sign>==|=~|=|!=|!~|<=|>=|</|>/|[-+*/%^<>@(){}\[\],])""",
    re.VERBOSE,
)
_BRACKETED_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+")
_NUMBER = re.compile(
    r"0[xX]_?[0-9a-fA-F]++(?:_[0-9a-fA-F]++)*+"
    r"|(?:[0-9]++(?:_[0-9]++)*+(?:\.(?:[0-9]++(?:_[0-9]++)*+)?)?|\.[0-9]++(?:_[0-9]++)*+)(?:[eE][+-]?[0-9]++(?:_[0-9]++)*+)?"
)
_DURATION = re.compile(r"(?:[0-9]++(?:ms|[smhdwy]))++")


def tokens(text: str) -> list[Token]:
    """Every word of the text, the last one of kind LAST; or up to where a character or a word makes no sense, and then
    one of kind BROKEN: the parser may find something wrong before that."""
    found: list[Token] = []
    try:
        text.encode()
        _cut(text, found.append)
    except UnicodeEncodeError as err:
        found.append(Token(BROKEN, "invalid UTF-8", err.start))
    except Unreadable as err:
        found.append(Token(BROKEN, err.why, err.at))
    return found


def _cut(text: str, add: Callable[[Token], None]) -> None:
    match_at = _TOKEN.match
    at, size = 0, len(text)
    inside = ""  # the bracket that is open, where words are read differently
    while at < size:
        match = match_at(text, at)
        if match is None:
            _unknown(text, at, inside)
        group, word = match.lastgroup, match.group()
        if group == "word":
            if inside == "[":
                word = _bracketed(text, at)
                add(Token(":" if word == ":" else "name", word, at))
            elif inside:
                add(Token("name", word, at))
            else:
                add(Token(_kind(word), word, at))
        elif group == "number":
            add(Token(_numeric(word, at), word, at))
        elif group == "string":
            add(Token("string", word, at))
        elif group == "sign":
            inside = _bracket(word, at, inside)
            add(Token(word, word, at))
        at += len(word)
    add(Token(LAST, "", size))


def _bracketed(text: str, at: int) -> str:
    """A word between brackets, where a colon stands for itself."""
    match = _BRACKETED_WORD.match(text, at)
    return match.group() if match else ":"


def _kind(word: str) -> str:
    small = word.lower()
    if small in KEYWORDS:
        return small
    return "number" if small in ("inf", "nan") else "name"


def _numeric(word: str, at: int) -> str:
    if _NUMBER.fullmatch(word):
        return "number"
    if _DURATION.fullmatch(word):
        return "duration"
    raise Unreadable(at, f'bad number or duration syntax: "{word}"')


def _bracket(sign: str, at: int, inside: str) -> str:
    """Which bracket is open after this sign."""
    if inside == "{":
        if sign == "{":
            raise Unreadable(at, "unexpected left brace '{'")
        return "" if sign == "}" else inside
    if sign in ("{", "["):
        if inside:
            raise Unreadable(at, f"unexpected left {'bracket' if sign == '[' else 'brace'} '{sign}'")
        return sign
    if sign == "}":
        raise Unreadable(at, "unexpected character: '}'")
    if sign == "]":
        if inside != "[":
            raise Unreadable(at, "unexpected right bracket ']'")
        return ""
    return inside


def _unknown(text: str, at: int, inside: str) -> NoReturn:
    """Say why no word starts here."""
    char = text[at]
    if char in "\"'":
        raise Unreadable(at, "unterminated quoted string")
    if char == "`":
        raise Unreadable(at, "unterminated raw string")
    where = " inside braces" if inside == "{" else ""
    if char == "!":
        after = f"'{text[at + 1]}'" if at + 1 < len(text) else "end of input"
        raise Unreadable(at, f"unexpected character after '!'{where}: {after}")
    raise Unreadable(at, f"unexpected character{where}: {char!r}")


class Cursor:
    """Hands out the tokens one after another and knows which brackets are open."""

    __slots__ = ("_found", "_next", "_open", "end", "token")

    def __init__(self, found: list[Token]) -> None:
        self._found, self._next = found, 1
        self._open: list[Token] = []
        self.token = found[0]
        """the one to be read now"""
        self.end = 0
        """one past the last character that was taken"""

    @property
    def after(self) -> Token:
        """The token behind the one to be read now."""
        return self._found[min(self._next, len(self._found) - 1)]

    def take(self) -> Token:
        """The token, and on to the next one; the last one stays. Unreadable if it is a BROKEN one."""
        token = self.token
        if token.kind in _BRACKETS:
            self._open.append(token)
        elif token.kind in (")", "]", "}"):
            self._open.pop()
        elif token.kind == BROKEN:
            self.unexpected()
        self.end = token.at + len(token.text)
        if self._next < len(self._found):
            self.token = self._found[self._next]
            self._next += 1
        return token

    def have(self, kind: str) -> bool:
        """Take the token if it is of this kind."""
        if self.token.kind != kind:
            return False
        self.take()
        return True

    def need(self, kind: str, context: str = "", expected: str = "") -> None:
        """Take a token of this kind; Unreadable if it is another one."""
        if not self.have(kind):
            self.unexpected(context, expected)

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        """Refuse the token: it cannot stand here."""
        token = self.token
        if token.kind == BROKEN:
            raise Unreadable(token.at, token.text)
        if token.kind == LAST and self._open:
            opened = self._open[-1]
            raise Unreadable(opened.at, f"unclosed left {_BRACKETS[opened.kind]}")
        if token.kind == ")" and not any(opened.kind == "(" for opened in self._open):
            raise Unreadable(token.at, "unexpected right parenthesis ')'")
        where = f" in {context}" if context else ""
        wanted = f", expected {expected}" if expected else ""
        raise Unreadable(token.at, f"unexpected {token}{where}{wanted}")
