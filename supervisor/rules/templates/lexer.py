"""Cuts a template into tokens: text, and what stands between `{{` and `}}`.

Go's rules: `{{- ` and ` -}}` take the white space beside them, `{{/* … */}}` is nothing, strings stand in double or
back quotes. `parse.py` reads the tokens. A mistake here is a TemplateError with its place.
"""

import re
from dataclasses import dataclass

from supervisor.rules.templates.gotext import quoted
from supervisor.rules.templates.values import TemplateError

SPACE = " \t\r\n"
_KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"))
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r'"(?:\\[^\n]|[^"\\\n])*"')
_LETTER = re.compile(r"'(?:\\[^\n]|[^'\\\n])*'")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_MARKS = {"|": "pipe", "(": "open", ")": "close", "=": "assign"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is text, left, right, space, string, raw, letter, number, bool, dot, field, variable, word, keyword, pipe,
    open, close, declare, assign, char or end. `at`: where it starts, in characters."""

    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end of the template"
        return f"<{self.text}>" if self.kind == "keyword" else quoted(self.text)


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of a character, both from 1."""
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def tokens(text: str) -> list[Token]:
    """All tokens of a template; TemplateError."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Token] = []

    def wrong(self, text: str, at: int | None = None) -> TemplateError:
        return TemplateError(text, *place(self.text, self.at if at is None else at))

    def put(self, kind: str, end: int) -> None:
        self.found.append(Token(kind, self.text[self.at : end], self.at))
        self.at = end

    def run(self) -> list[Token]:
        while True:
            left = self.text.find("{{", self.at)
            if left < 0:
                if self.at < len(self.text):
                    self.put("text", len(self.text))
                self.put("end", self.at)
                return self.found
            trim = self.text[left + 2 : left + 4] in ("- ", "-\t", "-\r", "-\n")
            plain = self.text[self.at : left]
            plain = plain.rstrip(SPACE) if trim else plain
            if plain:
                self.found.append(Token("text", plain, self.at))
            self.at = left
            after = left + (4 if trim else 2)
            if self.text.startswith("/*", after):
                self.comment(after)
            else:
                self.put("left", after if not trim else left + 3)
                self.action(left)

    def comment(self, start: int) -> None:
        close = self.text.find("*/", start + 2)
        if close < 0:
            raise self.wrong("the comment has no '*/'")
        self.at = close + 2
        if not self.right():
            raise self.wrong("a comment's '*/' must stand right before '}}'")
        self.found.pop()  # nothing of it is left

    def right(self) -> bool:
        """Take a `}}` or ` -}}` that stands here."""
        rest = self.text[self.at : self.at + 4]
        if rest.startswith("}}"):
            self.put("right", self.at + 2)
            return True
        if len(rest) == 4 and rest[0] in SPACE and rest[1:] == "-}}":
            self.put("right", self.at + 4)
            while self.at < len(self.text) and self.text[self.at] in SPACE:
                self.at += 1
            return True
        return False

    def action(self, left: int) -> None:
        """The tokens up to `}}`."""
        depth = 0
        while True:
            if depth == 0 and self.right():
                return
            if depth and (
                self.text.startswith("}}", self.at) or self.text[self.at : self.at + 4].lstrip(SPACE) == "-}}"
            ):
                raise self.wrong("a '(' has no ')'", left)
            if self.at >= len(self.text):
                raise self.wrong("the '{{' has no '}}'", left)
            letter = self.text[self.at]
            if letter in SPACE:
                self.space()
            else:
                self.one(letter)
                depth += (letter == "(") - (letter == ")")
                if depth < 0:
                    raise self.wrong("a ')' has no '('", self.at - 1)

    def space(self) -> None:
        end = self.at
        while end < len(self.text) and self.text[end] in SPACE:
            end += 1
        if self.text.startswith("-}}", end):
            end -= 1  # the last one belongs to the marker
        self.put("space", max(end, self.at + 1))

    def one(self, letter: str) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if letter == '"':
            self.literal(_QUOTED, "string", "the string has no closing '\"'")
        elif letter == "'":
            self.literal(_LETTER, "letter", 'the letter has no closing "\'"')
        elif letter == "`":
            close = self.text.find("`", self.at + 1)
            if close < 0:
                raise self.wrong("the string has no closing '`'")
            self.put("raw", close + 1)
        elif letter == "$":
            self.name("variable", 1)
        elif letter == "." and not following.isdigit():
            self.name("field", 1)
        elif letter in "+-." or "0" <= letter <= "9":
            self.number()
        elif letter == "_" or letter.isalnum():
            self.name("word", 0)
        elif letter == ":":
            if following != "=":
                raise self.wrong("a ':' must be ':='")
            self.put("declare", self.at + 2)
        elif letter in _MARKS:
            self.put(_MARKS[letter], self.at + 1)
        elif letter.isascii() and letter.isprintable():
            self.put("char", self.at + 1)
        else:
            raise self.wrong(f"{quoted(letter)} cannot stand in an action")

    def literal(self, pattern: re.Pattern[str], kind: str, missing: str) -> None:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise self.wrong(missing)
        self.put(kind, match.end())

    def name(self, kind: str, skip: int) -> None:
        match = _WORD.match(self.text, self.at + skip)
        end = match.end() if match else self.at + skip
        stop = self.text[end : end + 1]
        if stop and stop not in SPACE + ".,|:)(" and not self.text.startswith("}}", end):
            raise self.wrong(f"{quoted(stop)} cannot stand right after {self.text[self.at : end]!r}", end)
        word = self.text[self.at : end]
        if kind == "field" and word == ".":
            kind = "dot"
        elif word in _KEYWORDS:
            kind = "keyword"
        elif word in ("true", "false"):
            kind = "bool"
        self.put(kind, end)

    def number(self) -> None:
        match = _NUMBER.match(self.text, self.at)
        end = match.end() if match else self.at + 1
        if end == self.at or self.text[end : end + 1].isalnum():
            raise self.wrong(f"{quoted(self.text[self.at : end + 1])} is not a number")
        self.put("number", end)
