"""The parts of a parsed template. Made by `parse.py`, run by `run.py`; `written` is a part as its error text shows it.

`at` is where a part stands in the template, in characters, by Go's own reckoning.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from supervisor.rules.templates.gotext import quoted


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """Any part."""

    at: int

    @abstractmethod
    def written(self) -> str:
        """As Go writes it down."""


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A string, a number, true or false; `kind` is string, number or bool."""

    kind: str
    value: str | int | float | bool
    text: str

    def written(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """`.`"""

    def written(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """`nil`"""

    def written(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Function(Node):
    """The name of a function."""

    name: str

    def written(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`.a.b`"""

    names: tuple[str, ...]

    def written(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$x.a`; the first name has its `$`."""

    names: tuple[str, ...]

    def written(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """`(…).a.b`"""

    inner: Node
    names: tuple[str, ...]

    def written(self) -> str:
        text = self.inner.written()
        head = f"({text})" if isinstance(self.inner, Pipe) else text
        return head + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command(Node):
    """A value, or a function with its arguments."""

    words: tuple[Node, ...]

    def written(self) -> str:
        shown = [f"({word.written()})" if isinstance(word, Pipe) else word.written() for word in self.words]
        return " ".join(shown)


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """`$a, $b := x | y`; `assigns` where it is `=`."""

    names: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def written(self) -> str:
        head = ", ".join(self.names) + (" = " if self.assigns else " := ") if self.names else ""
        return head + " | ".join(command.written() for command in self.commands)


@dataclass(frozen=True, slots=True)
class Text(Node):
    """What is copied."""

    text: str

    def written(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Action(Node):
    """`{{ pipe }}`"""

    pipe: Pipe

    def written(self) -> str:
        return "{{" + self.pipe.written() + "}}"


@dataclass(frozen=True, slots=True)
class Body(Node):
    """A list of parts."""

    parts: tuple[Node, ...]

    def written(self) -> str:
        return "".join(part.written() for part in self.parts)


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """`if`, `with` or `range`; `other` is None without an `else`."""

    word: str
    pipe: Pipe
    body: Body
    other: Body | None

    def written(self) -> str:
        other = "{{else}}" + self.other.written() if self.other is not None else ""
        return f"{{{{{self.word} {self.pipe.written()}}}}}{self.body.written()}{other}{{{{end}}}}"


@dataclass(frozen=True, slots=True)
class Leave(Node):
    """`break` or `continue`."""

    word: str

    def written(self) -> str:
        return f"{{{{{self.word}}}}}"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`{{ template "name" pipe }}`"""

    name: str
    pipe: Pipe | None

    def written(self) -> str:
        tail = f" {self.pipe.written()}" if self.pipe is not None else ""
        return f"{{{{template {quoted(self.name)}{tail}}}}}"


def walk(node: Node) -> Iterator[Node]:
    """A part and everything in it, from left to right."""
    yield node
    inner: tuple[Node | None, ...] = ()
    if isinstance(node, Body):
        inner = node.parts
    elif isinstance(node, Branch):
        inner = (node.pipe, node.body, node.other)
    elif isinstance(node, Action | Call):
        inner = (node.pipe,)
    elif isinstance(node, Pipe):
        inner = node.commands
    elif isinstance(node, Command):
        inner = node.words
    elif isinstance(node, Chain):
        inner = (node.inner,)
    for part in inner:
        if part is not None:
            yield from walk(part)
