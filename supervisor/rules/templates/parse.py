"""Tokens into the parts of a template (`nodes.py`), by the grammar of Go's text/template.

What Go refuses when it reads a template is a TemplateError with its place here, too: unknown functions and variables,
blocks that do not end, malformed literals. What Go only finds when the template runs is found when it runs
(`run.py`): a file that a Prometheus loads must load. Reading is bounded by LONGEST and DEEPEST.
"""

import difflib
import re
from collections.abc import Collection

from supervisor.rules.templates.gotext import parse_float, quoted, unquote
from supervisor.rules.templates.lexer import Token, place, tokens
from supervisor.rules.templates.nodes import (
    Action,
    Body,
    Branch,
    Call,
    Chain,
    Command,
    Constant,
    Dot,
    Field,
    Function,
    Leave,
    Nil,
    Node,
    Pipe,
    Text,
    Variable,
)
from supervisor.rules.templates.values import TemplateError

LONGEST = 16 * 1024
"""Bytes that a template may have."""
DEEPEST = 64
"""How deep blocks and brackets may stand in each other."""
KNOWN = ("$", "$labels", "$externalLabels", "$externalURL", "$value")
"""The variables that every template of a rule starts with; inside `define` and `block` there is `$` alone."""
_INTEGER = re.compile(r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO]?(?:_?[0-7])+|0[bB](?:_?[01])+|0|[1-9](?:_?[0-9])*)")


def parse(text: str, functions: Collection[str]) -> dict[str, Body]:
    """The templates of a text by name, the text itself under ''; TemplateError."""
    if len(text) > LONGEST or len(text.encode("utf-8", "replace")) > LONGEST:
        raise TemplateError(f"the template is longer than {LONGEST // 1024} kB")
    try:
        parser = _Parser(text, functions)
        parser.defined[""] = parser.top()
    except RecursionError:
        raise TemplateError(f"the template's blocks and brackets are more than {DEEPEST} deep") from None
    return parser.defined


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.text, self.functions = text, functions
        self.tokens = tokens(text)
        self.next = 0
        self.defined: dict[str, Body] = {}
        self.variables = list(KNOWN)
        self.ranges = 0
        """how many `range` are open here"""
        self.depth = 0

    # ------------------------------------------------------------ tokens

    def wrong(self, text: str, token: Token | None = None) -> TemplateError:
        at = (token or self.tokens[min(self.next, len(self.tokens) - 1)]).at
        return TemplateError(text, *place(self.text, at))

    def peek(self) -> Token:
        return self.tokens[self.next]

    def take(self) -> Token:
        token = self.tokens[self.next]
        if token.kind != "end":
            self.next += 1
        return token

    def spaces(self) -> Token:
        """The next token that is no space, not taken."""
        while self.peek().kind == "space":
            self.next += 1
        return self.peek()

    def expect(self, kind: str, where: str) -> Token:
        token = self.spaces()
        if token.kind != kind:
            raise self.unexpected(token, where)
        return self.take()

    def unexpected(self, token: Token, where: str) -> TemplateError:
        return self.wrong(f"unexpected {token} in {where}", token)

    # ------------------------------------------------------------ bodies

    def top(self) -> Body:
        """The whole text; `define` stands here only."""
        at = self.peek().at
        parts: list[Node] = []
        while self.peek().kind != "end":
            start = self.next
            if self.take().kind == "left" and self.spaces().text == "define":
                self.define(self.take())
                continue
            self.next = start
            part = self.part()
            if isinstance(part, Token):
                raise self.wrong(f"an '{part.text}' without an open block", part)
            parts.append(part)
        return Body(at, tuple(parts))

    def define(self, word: Token) -> None:
        name = self.spaces()
        if name.kind not in ("string", "raw"):
            raise self.unexpected(name, "define: its name must be a string")
        self.take()
        self.expect("right", "define")
        self.own(self.string(name), word, "define")

    def own(self, name: str, word: Token, kind: str) -> None:
        """A template of its own up to its `end`: it sees none of the variables around it."""
        variables, ranges = self.variables, self.ranges
        self.variables, self.ranges = ["$"], 0
        body, end = self.body(word)
        if end.text != "end":
            raise self.unexpected(end, kind)
        self.variables, self.ranges = variables, ranges
        if name in self.defined and not _empty(self.defined[name]):
            if _empty(body):
                return
            raise self.wrong(f"the template {quoted(name)} is defined twice", word)
        self.defined[name] = body

    def body(self, word: Token) -> tuple[Body, Token]:
        """Parts up to an `end` or `else`, and that one."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"the template's blocks and brackets are more than {DEEPEST} deep", word)
        at = self.peek().at
        parts: list[Node] = []
        while self.peek().kind != "end":
            part = self.part()
            if isinstance(part, Token):
                self.depth -= 1
                return Body(at, tuple(parts)), part
            parts.append(part)
        raise self.wrong(f"the '{word.text}' has no '{{{{ end }}}}'", word)

    def part(self) -> Node | Token:
        """A text, an action or a block; the token of an `end` or `else`."""
        token = self.take()
        if token.kind == "text":
            return Text(token.at, token.text)
        word = self.spaces()
        if word.kind != "keyword" or word.text in ("nil", "define"):
            return Action(word.at, self.pipe("command", "right"))
        self.take()
        if word.text in ("if", "with", "range"):
            return self.branch(word)
        if word.text in ("end", "else"):
            if word.text == "end" or self.spaces().text not in ("if", "with"):
                self.expect("right", word.text)
            return word
        if word.text in ("break", "continue"):
            self.expect("right", word.text)
            if not self.ranges:
                raise self.wrong(f"a '{word.text}' outside of 'range'", word)
            return Leave(word.at, word.text)
        return self.call(word)

    def branch(self, word: Token) -> Branch:
        known = len(self.variables)
        pipe = self.pipe(word.text, "right")
        self.ranges += word.text == "range"
        body, end = self.body(word)
        self.ranges -= word.text == "range"
        other: Body | None = None
        if end.text == "else":
            following = self.spaces() if self.tokens[self.next - 1].kind != "right" else None
            if following is not None and following.text == word.text and word.text != "range":
                self.depth += 1
                if self.depth > DEEPEST:
                    raise self.wrong(f"more than {DEEPEST} times 'else {word.text}'", following)
                other = Body(end.at, (self.branch(self.take()),))
                self.depth -= 1
            elif following is not None:
                raise self.unexpected(following, f"'else' of '{word.text}'")
            else:
                other, end = self.body(word)
                if end.text != "end":
                    raise self.wrong(f"a second 'else' in one '{word.text}'", end)
        del self.variables[known:]
        return Branch(pipe.at, word.text, pipe, body, other)

    def call(self, word: Token) -> Call:
        """`template` or `block`; the word is taken."""
        name = self.spaces()
        if name.kind not in ("string", "raw"):
            raise self.unexpected(name, f"{word.text}: its name must be a string")
        self.take()
        pipe: Pipe | None = None
        if word.text == "block" or self.spaces().kind != "right":
            pipe = self.pipe(word.text, "right")
        else:
            self.take()
        if word.text == "block":
            self.own(self.string(name), word, "block")
        return Call(name.at, self.string(name), pipe)

    # ------------------------------------------------------------ pipelines

    def pipe(self, where: str, end: str) -> Pipe:
        """`declarations command | command`, and the token that ends it."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"the template's blocks and brackets are more than {DEEPEST} deep")
        at = self.spaces().at
        names, assigns = self.declarations(where)
        self.variables += names
        commands: list[Command] = []
        while True:
            token = self.spaces()
            if token.kind == end:
                self.take()
                break
            if token.kind in ("right", "end", "pipe", "char", "declare", "assign", "close", "text"):
                raise self.unexpected(token, where)
            commands.append(self.command(where))
        if not commands:
            raise self.wrong(f"nothing where a value for {where} must be", self.tokens[self.next - 1])
        for command in commands[1:]:
            if isinstance(command.words[0], Constant | Dot | Nil):
                text = f"{command.words[0].written()} is no function: nothing can be piped into it"
                raise TemplateError(text, *place(self.text, command.at))
        self.depth -= 1
        return Pipe(at, tuple(names), assigns, tuple(commands))

    def declarations(self, where: str) -> tuple[list[str], bool]:
        """`$x :=`, `$x =`, `$i, $x :=` at the head of a pipeline. A variable is known to what follows it."""
        names: list[str] = []
        start = self.next
        while self.spaces().kind == "variable":
            name = self.take()
            following = self.spaces()
            if following.kind in ("declare", "assign"):
                self.take()
                names.append(name.text)
                return names, following.kind == "assign"
            if following.kind != "char" or following.text != ",":
                break
            if where != "range" or names:
                raise self.wrong(f"too many variables are declared in {where}", following)
            names.append(name.text)
            self.take()
            if self.spaces().kind not in ("variable", "right", "close"):
                raise self.unexpected(self.peek(), "range: only variables can stand before ':='")
        if names and self.spaces().kind not in ("right", "close"):
            raise self.unexpected(self.peek(), "range: ':=' must follow its variables")
        self.next = start
        return [], False

    def command(self, where: str) -> Command:
        at = self.spaces().at
        words: list[Node] = []
        while True:
            self.spaces()
            word = self.operand()
            if word is not None:
                words.append(word)
            token = self.peek()
            if token.kind == "space":
                self.take()
                continue
            if token.kind == "pipe":
                self.take()  # nothing need follow: Go lets `x |` be `x`
            elif token.kind not in ("right", "close"):
                raise self.unexpected(token, "operand")
            break
        if not words:
            raise self.wrong(f"nothing where a value for {where} must be")
        return Command(at, tuple(words))

    def operand(self) -> Node | None:
        """A term with the fields behind it; None where no term begins."""
        token = self.peek()
        node = self.term()
        if node is None or self.peek().kind != "field":
            return node
        at, names = self.peek().at, []
        while self.peek().kind == "field":
            names.append(self.take().text[1:])
        if isinstance(node, Field):
            return Field(at, (*node.names, *names))
        if isinstance(node, Variable):
            return Variable(at, (*node.names, *names))
        if isinstance(node, Constant | Nil | Dot):
            raise self.wrong(f"{node.written()} has no fields", token)
        return Chain(at, node, tuple(names))

    def term(self) -> Node | None:
        token = self.take()
        kind, at, text = token.kind, token.at, token.text
        if kind == "word":
            return self.function(token)
        if kind == "dot":
            return Dot(at)
        if kind == "keyword" and text == "nil":
            return Nil(at)
        if kind == "variable":
            if text not in self.variables:
                raise self.wrong(f"the variable {text} is not known{self.meant(text, self.variables)}", token)
            return Variable(at, (text,))
        if kind == "field":
            return Field(at, (text[1:],))
        if kind == "bool":
            return Constant(at, "bool", text == "true", text)
        if kind in ("number", "letter"):
            return Constant(at, "number", self.number(token), text)
        if kind in ("string", "raw"):
            return Constant(at, "string", self.string(token), text)
        if kind == "open":
            return self.pipe("brackets", "close")
        self.next -= kind != "end"
        return None

    # ------------------------------------------------------------ names and literals

    def function(self, token: Token) -> Function:
        if token.text not in self.functions:
            meant = self.meant(token.text, self.functions)
            raise self.wrong(f"there is no function {quoted(token.text)}{meant}", token)
        return Function(token.at, token.text)

    @staticmethod
    def meant(name: str, known: Collection[str]) -> str:
        close = difflib.get_close_matches(name, sorted(known), 1, 0.6)
        return f"; did you mean {close[0]}?" if close else ""

    def string(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError:
            raise self.wrong(f"{token.text} has an escape that Go does not know", token) from None

    def number(self, token: Token) -> int | float:
        text = token.text
        if token.kind == "letter":
            letter = self.string(token)
            if len(letter) != 1:
                raise self.wrong(f"{text} is not one letter", token)
            return ord(letter)
        if text.endswith("i") and not text.lower().startswith("0x"):
            raise self.wrong(f"{text}: imaginary numbers are not supported in templates", token)
        if _INTEGER.fullmatch(text):
            value = _integer(text)
            if not -(2**63) <= value < 2**63:
                raise self.wrong(f"{text} is larger than a 64-bit number", token)
            return value
        try:
            if text.replace("_", "").lstrip("+-").isdigit():
                raise ValueError
            return parse_float(text)
        except ValueError:
            raise self.wrong(f"{quoted(text)} is not a number", token) from None


def _integer(text: str) -> int:
    """Go's integer: `0x1f`, `0b1`, `0o17`, `017` (octal), `1_000`."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    digits = digits.replace("_", "").lower()
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _empty(body: Body) -> bool:
    return all(isinstance(part, Text) and not part.text.strip() for part in body.parts)
