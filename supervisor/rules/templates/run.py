"""Runs a parsed template over an alert: the walk that Go's text/template makes, step by step, and its error texts.

Called by `Template.expand` with what `parse.py` made. Bounded: STEPS of work, DEPTH of templates within each other,
LIMIT characters of output (what is more is not even made).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from supervisor.rules.templates import gofmt, gotime
from supervisor.rules.templates.functions import FUNCTIONS, Around, Signature
from supervisor.rules.templates.gotext import quoted
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
from supervisor.rules.templates.values import (
    Arguments,
    Failure,
    LabelMap,
    Results,
    Root,
    Series,
    Struct,
    as_bytes,
    true,
    type_name,
)

LIMIT = 4096
"""Characters that an expansion may have."""
STEPS = 100_000
"""How much work one expansion may be: a part run is one, a call with 64 letters is two, a query is a thousand."""
_EACH, _RESULT = 25, 2
"""steps that an expansion costs at all, and each result of a query"""
DEPTH = 100
"""How deep templates and blocks may run within each other."""
_MISSING: Any = object()
"""there is no value from the pipeline"""
_TYPES = {"string": "string", "results": "template.queryResult", "series": "*template.sample", "any": "interface {}"}
_FITS: dict[str, type] = {"string": str, "results": Results, "series": Series, "any": object}


class Stopped(Exception):
    """The run cannot go on: what is wrong, at which part, in which template ('' is the text itself)."""

    def __init__(self, text: str, node: Node, template: str) -> None:
        super().__init__(text)
        self.text, self.node, self.template = text, node, template


class _Full(Exception):
    """The output has all the characters it may have."""


def run(defined: Mapping[str, Body], root: Root | Struct, around: Around) -> str:
    """The output, cut to LIMIT characters; Stopped. A `root` that is no alert's has no `$labels` and the like."""
    machine = _Machine(defined, around, root)
    try:
        with suppress(_Full):
            machine.body(root, defined[""])
    finally:
        if around.steps is not None:
            around.steps.left -= _EACH + machine.allowed - machine.steps
    return "".join(machine.out)


class _Machine:
    def __init__(self, defined: Mapping[str, Body], around: Around, root: Root | Struct) -> None:
        self.defined, self.around = defined, around
        self.out: list[str] = []
        self.room = LIMIT + 1
        self.allowed = STEPS if around.steps is None else min(STEPS, max(around.steps.left, 0))
        self.steps = self.allowed
        self.depth = 0
        self.template = ""
        self.node: Node = defined[""]
        self.variables: list[tuple[str, Any]] = [("$", root)]
        if isinstance(root, Root):
            self.variables += [
                ("$labels", root.Labels),
                ("$externalLabels", root.ExternalLabels),
                ("$externalURL", root.ExternalURL),
                ("$value", root.Value),
            ]

    def stop(self, text: str) -> Stopped:
        return Stopped(text, self.node, self.template)

    def spend(self, steps: int = 1) -> None:
        self.steps -= steps
        if self.steps < 0 and self.allowed == STEPS:
            raise self.stop(f"the template takes more than {STEPS} steps")
        if self.steps < 0:
            raise self.stop("the templates of this rule's alerts take too many steps together")

    def put(self, text: str) -> None:
        self.out.append(text[: self.room])
        self.room -= len(text)
        if self.room <= 0:
            raise _Full

    # ------------------------------------------------------------ parts

    def body(self, dot: Any, body: Body) -> str:
        """Run a list of parts; 'break' or 'continue' where one of them said so."""
        self.depth += 1
        if self.depth > DEPTH:
            raise self.stop(f"exceeded maximum template depth ({DEPTH})")
        left = ""
        for part in body.parts:
            self.node = part
            self.spend()
            if isinstance(part, Text):
                self.put(part.text)
            elif isinstance(part, Action):
                value = self.pipe(dot, part.pipe)
                if not part.pipe.names:
                    self.node = part
                    self.put(self.shown(value))
            elif isinstance(part, Branch):
                left = self.range(dot, part) if part.word == "range" else self.choice(dot, part)
            elif isinstance(part, Call):
                self.call_template(dot, part)
            elif isinstance(part, Leave):
                left = part.word
            if left:
                break
        self.depth -= 1
        return left

    def shown(self, value: Any) -> str:
        try:
            return gofmt.show(value)
        except Failure as err:
            raise self.stop(str(err)) from None

    def choice(self, dot: Any, branch: Branch) -> str:
        mark = len(self.variables)
        value = self.pipe(dot, branch.pipe)
        left = ""
        if true(value):
            left = self.body(value if branch.word == "with" else dot, branch.body)
        elif branch.other is not None:
            left = self.body(dot, branch.other)
        del self.variables[mark:]
        return left

    def range(self, dot: Any, branch: Branch) -> str:
        outer = len(self.variables)
        value = self.pipe(dot, branch.pipe)
        mark = len(self.variables)
        left, empty = "", True
        for index, element in self.elements(value, branch.pipe):
            empty = False
            self.spend()
            self.bind(branch.pipe, index, element)
            said = self.body(element, branch.body)
            del self.variables[mark:]
            if said == "break":
                break
        if empty and branch.other is not None:
            left = self.body(dot, branch.other)
        del self.variables[outer:]
        return left

    def elements(self, value: Any, pipe: Pipe) -> Iterator[tuple[Any, Any]]:
        if value is None:
            return
        if isinstance(value, Results):
            yield from enumerate(list(value))
        elif isinstance(value, LabelMap | Arguments):
            for key in sorted(value, key=as_bytes):
                yield key, value[key]
        elif isinstance(value, int) and not isinstance(value, bool):
            if len(pipe.names) > 1:
                raise self.stop(f"can't use {int(value)} to iterate over more than one variable")
            for number in range(value):
                yield None, number
        else:
            raise self.stop(f"range can't iterate over {self.shown(value)}")

    def bind(self, pipe: Pipe, index: Any, element: Any) -> None:
        """Give the variables of a `range` their values for one round."""
        values = (element,) if len(pipe.names) == 1 else (index, element)
        if pipe.assigns:
            for name, value in zip(pipe.names, values, strict=False):
                self.assign(name, value)
            return
        for back, name in enumerate(reversed(pipe.names), 1):
            self.variables[-back] = (name, values[-back])

    def call_template(self, dot: Any, call: Call) -> None:
        found = self.defined.get(call.name) if call.name else None
        if found is None:
            raise self.stop(f"template {quoted(call.name)} not defined")
        inner = self.pipe(dot, call.pipe) if call.pipe is not None else None
        outer = self.template, self.variables
        self.template, self.variables = call.name, [("$", inner)]
        self.body(inner, found)
        self.template, self.variables = outer

    # ------------------------------------------------------------ pipelines

    def assign(self, name: str, value: Any) -> None:
        for at in range(len(self.variables) - 1, -1, -1):
            if self.variables[at][0] == name:
                self.variables[at] = (name, value)
                return
        raise self.stop(f"undefined variable: {name}")

    def variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise self.stop(f"undefined variable: {name}")

    def pipe(self, dot: Any, pipe: Pipe) -> Any:
        self.node = pipe
        value = _MISSING
        for command in pipe.commands:
            value = self.command(dot, command, value)
        for name in pipe.names:
            if pipe.assigns:
                self.assign(name, value)
            else:
                self.variables.append((name, value))
        return value

    def command(self, dot: Any, command: Command, final: Any) -> Any:
        self.spend()
        head = command.words[0]
        if not isinstance(head, Pipe):
            self.node = head
        if isinstance(head, Function):
            return self.call(dot, head.name, command, command.words[1:], final)
        if isinstance(head, Field):
            return self.fields(dot, dot, head.names, command.words[1:], final)
        if isinstance(head, Variable):
            return self.named(dot, head, command.words[1:], final)
        if isinstance(head, Chain):
            return self.chained(dot, head, command.words[1:], final)
        if len(command.words) > 1 or final is not _MISSING:
            raise self.stop(f"can't give argument to non-function {head.written()}")
        if isinstance(head, Pipe):
            return self.pipe(dot, head)
        if isinstance(head, Dot):
            return dot
        if isinstance(head, Constant):
            return head.value
        raise self.stop("nil is not a command")

    def named(self, dot: Any, node: Variable, words: tuple[Node, ...] = (), final: Any = _MISSING) -> Any:
        self.node = node
        value = self.variable(node.names[0])
        if len(node.names) > 1:
            return self.fields(dot, value, node.names[1:], words, final)
        if words or final is not _MISSING:
            raise self.stop(f"can't give argument to non-function {node.written()}")
        return value

    def chained(self, dot: Any, node: Chain, words: tuple[Node, ...] = (), final: Any = _MISSING) -> Any:
        self.node = node
        if isinstance(node.inner, Nil):
            raise self.stop(f"indirection through explicit nil in {node.written()}")
        return self.fields(dot, self.argument(dot, "any", node.inner), node.names, words, final)

    # ------------------------------------------------------------ fields

    def fields(self, dot: Any, value: Any, names: tuple[str, ...], words: tuple[Node, ...], final: Any) -> Any:
        """`.a.b.c` of a value; only the last one, if it is a method, takes arguments."""
        kind = ""
        for at, name in enumerate(names):
            last = at == len(names) - 1
            if value is None and kind:
                raise self.stop(f"nil pointer evaluating {kind}.{name}")
            if value is None:
                return None
            inner = self.field(dot, value, name, kind, words if last else (), final if last else _MISSING)
            open_ended = isinstance(value, Arguments) or (isinstance(value, Series | Root) and name == "Value")
            value, kind = inner, "interface {}" if open_ended else ""
        return value

    def field(self, dot: Any, value: Any, name: str, kind: str, words: tuple[Node, ...], final: Any) -> Any:
        given = bool(words) or final is not _MISSING
        if isinstance(value, gotime.Time | gotime.Span):
            return self.method(dot, value, name, words, final)
        if isinstance(value, Struct) and name in value.shows:
            if given:
                raise self.stop(f"{name} has arguments but cannot be invoked as function")
            return getattr(value, name)
        if isinstance(value, LabelMap | Arguments):
            if given:
                raise self.stop(f"{name} is not a method but has arguments")
            return value.get(name, "" if isinstance(value, LabelMap) else None)
        if isinstance(value, Series | Root) and name in type(value).__slots__:
            if given:
                raise self.stop(f"{name} has arguments but cannot be invoked as function")
            return getattr(value, name)
        raise self.stop(f"can't evaluate field {name} in type {kind or type_name(value)}")

    def method(self, dot: Any, value: Any, name: str, words: tuple[Node, ...], final: Any) -> Any:
        run = gotime.METHODS[type(value)].get(name)
        if run is None:
            raise self.stop(f"can't evaluate field {name} in type {type_name(value)}")
        found = Signature(partial(run, value), ("string",) if name == "Format" else ())
        return self.apply(dot, found, name, self.node, words, final)

    # ------------------------------------------------------------ calls

    def call(self, dot: Any, name: str, node: Node, words: tuple[Node, ...], final: Any) -> Any:
        found = FUNCTIONS[name]
        if name in ("and", "or") and (words or final is not _MISSING):
            return self.either(dot, name == "or", words, final)
        return self.apply(dot, found, name, node, words, final)

    def either(self, dot: Any, wanted: bool, words: tuple[Node, ...], final: Any) -> Any:
        """`and` and `or` stop at the first argument that decides."""
        value: Any = None
        for word in words:
            value = self.argument(dot, "any", word)
            if true(value) == wanted:
                return value
        return value if final is _MISSING else final

    def apply(self, dot: Any, found: Signature, name: str, node: Node, words: tuple[Node, ...], final: Any) -> Any:
        count, fixed = len(words) + (final is not _MISSING), len(found.takes)
        if found.rest and count < fixed:
            raise self.stop(f"wrong number of args for {name}: want at least {fixed} got {len(words)}")
        if not found.rest and count != fixed:
            raise self.stop(f"wrong number of args for {name}: want {fixed} got {count}")
        kinds = found.takes + (found.rest,) * (count - fixed)
        args = [self.argument(dot, kind, word) for kind, word in zip(kinds, words, strict=False)]
        if final is not _MISSING:
            args.append(self.fitting(final, kinds[-1]))
        self.spend(found.steps)
        for arg in args:
            if isinstance(arg, str):
                self.spend(int(len(arg) / found.letters))
        try:
            value = found.run(self.around, *args) if found.around else found.run(*args)
        except Failure as err:
            self.node = node
            raise self.stop(f"error calling {name}: {err}") from None
        if isinstance(value, Results):
            self.spend(_RESULT * len(value))
        return value

    def argument(self, dot: Any, kind: str, word: Node) -> Any:
        """The value of one argument, which must be of a kind."""
        self.node = word
        if isinstance(word, Constant):
            if kind in ("any", word.kind):
                return word.value
            if kind == "string":
                raise self.stop(f"expected string; found {word.written()}")
            raise self.stop(f"can't handle {word.written()} for arg of type {_TYPES[kind]}")
        if isinstance(word, Nil):
            if kind == "string":
                raise self.stop("cannot assign nil to string")
            return None
        if isinstance(word, Dot):
            return self.fitting(dot, kind)
        if isinstance(word, Field):
            return self.fitting(self.fields(dot, dot, word.names, (), _MISSING), kind)
        if isinstance(word, Variable):
            return self.fitting(self.named(dot, word), kind)
        if isinstance(word, Function):
            return self.fitting(self.call(dot, word.name, word, (), _MISSING), kind)
        if isinstance(word, Chain):
            return self.fitting(self.chained(dot, word), kind)
        assert isinstance(word, Pipe)
        return self.fitting(self.pipe(dot, word), kind)

    def fitting(self, value: Any, kind: str) -> Any:
        """The value, if a function that wants this kind takes it."""
        if value is None:
            if kind == "string":
                raise self.stop("invalid value; expected string")
            return None
        if kind == "any" or (isinstance(value, _FITS[kind]) and type(value) is _FITS[kind]):
            return value
        raise self.stop(f"wrong type for value; expected {_TYPES[kind]}; got {type_name(value)}")
