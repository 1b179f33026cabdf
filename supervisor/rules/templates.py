"""The part of Go's text/template that alerting rules use: labels and annotations with `{{ $labels.name }}`.

Parsed once, at load (a mistake there is a load error); run at every evaluation of a firing or pending alert. A failure
while running gives `<error expanding template: …>`, as Prometheus does, and never breaks the rule.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.rules import gofmt
from supervisor.units import regex

_TAG = re.compile(r"\{\{(-\s+)?\s*(.*?)\s*(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?P<number>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+))
    |(?P<field>(?:\$[A-Za-z_]\w*|\$)?(?:\.[A-Za-z_]\w*)+|\$[A-Za-z_]\w*|\.)|(?P<word>[A-Za-z_]\w*)|(?P<mark>[|()]))""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_HINT = "what is understood: $labels.NAME, $value, humanize, humanize1024, humanizeDuration, humanizePercentage, printf"
LIMIT = 4096
"""Characters that an expansion may have."""


class TemplateError(ValueError):
    """The template cannot be used (at load) or expanded (when run)."""


Data = Mapping[str, Any]
Part = Callable[[Data, Any], Any]
"""A compiled piece: (variables, dot) -> its value."""


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled template. `text` is as written."""

    text: str
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read a template; TemplateError (a ValueError) if it needs what we do not understand."""
        if "{{" not in text:
            return cls(text, (lambda data, dot: text,))
        return cls(text, _Blocks(text).all())

    def expand(self, labels: Mapping[str, str], value: float) -> str:
        """The text for an alert with these labels and this value."""
        data = {"labels": labels, "value": value, "externalLabels": {}, "externalURL": ""}
        root = {"Labels": labels, "Value": value, "ExternalLabels": {}, "ExternalURL": ""}
        try:
            expanded = "".join(gofmt.show(part(data, root)) for part in self.parts)
        except (ValueError, TypeError, KeyError, OverflowError, ArithmeticError) as err:
            return f"<error expanding template: {err}>"
        return expanded if len(expanded) <= LIMIT else expanded[: LIMIT - 1] + "…"


class _Blocks:
    """Splits a template into text, actions and the blocks `if` and `with`."""

    def __init__(self, text: str) -> None:
        self.items: list[tuple[str, str]] = []
        at, trim = 0, False
        for tag in _TAG.finditer(text):
            plain = text[at : tag.start()]
            plain = plain.lstrip() if trim else plain
            self.items.append(("text", plain.rstrip() if tag[1] else plain))
            if not tag[2].startswith("/*"):
                self.items.append(("tag", tag[2]))
            at, trim = tag.end(), bool(tag[3])
        rest = text[at:]
        if "{{" in rest:
            raise TemplateError("the template has a '{{' without its '}}'")
        self.items.append(("text", rest.lstrip() if trim else rest))
        self.at = 0

    def all(self) -> tuple[Part, ...]:
        parts, end = self.until()
        if end:
            raise TemplateError(f"the template has an '{end}' that ends nothing")
        return tuple(parts)

    def until(self) -> tuple[list[Part], str]:
        """Parts up to the end of the block, and what ended it ('' for the end of the text)."""
        parts: list[Part] = []
        while self.at < len(self.items):
            kind, text = self.items[self.at]
            self.at += 1
            if kind == "text":
                if text:
                    parts.append(_constant(text))
                continue
            word, _, rest = text.partition(" ")
            if word in ("end", "else"):
                return parts, text
            if word in ("if", "with"):
                parts.append(self.block(word, rest))
            elif word in ("range", "define", "template", "block", "break", "continue"):
                raise TemplateError(f"'{word}' in a template is not supported yet; {_HINT}")
            else:
                parts.append(_pipeline(text))
        return parts, ""

    def block(self, word: str, condition: str) -> Part:
        test = _pipeline(condition)
        then, end = self.until()
        other: list[Part] = []
        if end.startswith("else "):
            kind, _, rest = end.removeprefix("else").strip().partition(" ")
            if kind != word:
                raise TemplateError(f"the template has an '{end}' inside '{word}'")
            other = [self.block(kind, rest)]
        elif end == "else":
            other, end = self.until()
            if end != "end":
                raise TemplateError(f"the template's '{word}' has no '{{{{ end }}}}'")
        elif end != "end":
            raise TemplateError(f"the template's '{word}' has no '{{{{ end }}}}'")

        def run(data: Data, dot: Any) -> str:
            found = test(data, dot)
            inner = found if word == "with" and found else dot
            return "".join(gofmt.show(part(data, inner)) for part in (then if _true(found) else other))

        return run


def _true(value: Any) -> bool:
    return bool(value)


def _constant(value: Any) -> Part:
    return lambda data, dot: value


def _pipeline(text: str) -> Part:
    """Compile `a b | f c`."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise TemplateError(f"the template's {{{{ {text} }}}} is not understood; {_HINT}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    part, rest = _commands(tokens, text)
    if rest:
        raise TemplateError(f"the template's {{{{ {text} }}}} has a ')' too many")
    return part


def _commands(tokens: list[tuple[str, str]], text: str) -> tuple[Part, list[tuple[str, str]]]:
    """Compile commands joined by `|` up to a `)` or the end; what is left comes back."""
    value: Part | None = None
    while True:
        words: list[Part | str] = []
        while tokens and tokens[0] not in (("mark", "|"), ("mark", ")")):
            kind, token = tokens[0]
            if (kind, token) == ("mark", "("):
                inner, after = _commands(tokens[1:], text)
                if not after:
                    raise TemplateError(f"the template's {{{{ {text} }}}} has no ')'")
                words.append(inner)
                tokens = after[1:]
                continue
            words.append(_operand(kind, token))
            tokens = tokens[1:]
        value = _command(words, value, text)
        if not tokens or tokens[0][1] == ")":
            return value, tokens
        tokens = tokens[1:]


def _command(words: list[Part | str], piped: Part | None, text: str) -> Part:
    if not words:
        raise TemplateError(f"the template's {{{{ {text} }}}} has nothing where a value or a function must be")
    head, rest = words[0], words[1:]
    args = [_bare_call(word) if isinstance(word, str) else word for word in rest]
    if piped is not None:
        args.append(piped)
    if not isinstance(head, str):
        if args:
            raise TemplateError(f"the template's {{{{ {text} }}}} gives arguments to a value")
        return head
    run, low, high = _function(head)
    if not low <= len(args) <= high:
        raise TemplateError(f"the template's function {head} does not take {len(args)} arguments")
    return lambda data, dot: run(*[arg(data, dot) for arg in args])


def _operand(kind: str, token: str) -> Part | str:
    """A compiled value, or the name of a function."""
    if kind == "string":
        if token[0] == "`":
            return _constant(token[1:-1])
        return _constant(_ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), token[1:-1]))
    if kind == "number":
        return _constant(float(token) if any(letter in token for letter in ".eE") else int(token))
    if kind == "field":
        return _field(token)
    if token in ("true", "false"):
        return _constant(token == "true")  # noqa: S105 - a word of the template, no password
    return token


def _field(token: str) -> Part:
    variable, *path = token.split(".")
    if variable and variable != "$" and variable[1:] not in ("labels", "value", "externalLabels", "externalURL"):
        raise TemplateError(f"the template's variable {variable} is not known; {_HINT}")
    path = [step for step in path if step]
    if not variable and path and path[0] not in ("Labels", "Value", "ExternalLabels", "ExternalURL"):
        raise TemplateError(f"the template's .{'.'.join(path)} is not known; {_HINT}")

    def read(data: Data, dot: Any) -> Any:
        found: Any = dot if not variable or variable == "$" else data[variable[1:]]
        for step in path:
            if not isinstance(found, Mapping):
                raise TemplateError(f"{token} does not exist: there is nothing called {step} in a value")
            found = found.get(step, "")
        return found

    return read


def _function(name: str) -> tuple[Callable[..., Any], int, int]:
    found = FUNCTIONS.get(name)
    if found is None:
        raise TemplateError(f"the template's function {name} is not supported yet; {_HINT}")
    return found


def _bare_call(name: str) -> Part:
    run, low, _high = _function(name)
    if low:
        raise TemplateError(f"the template's function {name} stands where a value must be; put it in brackets")
    return lambda data, dot: run()


def _replace(pattern: str, into: str, text: str) -> str:
    return str(regex(pattern).sub(re.sub(r"\$(?:\{(\d)\}|(\d))", r"\\\1\2", into), text))


def _compare(test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def run(left: Any, right: Any) -> bool:
        if isinstance(left, str) != isinstance(right, str) or isinstance(left, float) != isinstance(right, float):
            raise TemplateError("incompatible types for comparison")
        return test(left, right)

    return run


def _either(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


def _both(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "humanize": (gofmt.humanize, 1, 1),
    "humanize1024": (gofmt.humanize1024, 1, 1),
    "humanizeDuration": (gofmt.humanize_duration, 1, 1),
    "humanizePercentage": (gofmt.humanize_percentage, 1, 1),
    "printf": (gofmt.sprintf, 1, 20),
    "print": (gofmt.sprint, 1, 20),
    "title": (lambda text: re.sub(r"\b[a-z]", lambda match: match[0].upper(), text), 1, 1),
    "toUpper": (lambda text: text.upper(), 1, 1),
    "toLower": (lambda text: text.lower(), 1, 1),
    "match": (lambda pattern, text: regex(pattern).search(text) is not None, 2, 2),
    "reReplaceAll": (_replace, 3, 3),
    "stripPort": (lambda text: re.sub(r":\d+$", "", text), 1, 1),
    "len": (len, 1, 1),
    "not": (lambda value: not value, 1, 1),
    "and": (_both, 1, 20),
    "or": (_either, 1, 20),
    "eq": (_compare(lambda left, right: left == right), 2, 2),
    "ne": (_compare(lambda left, right: left != right), 2, 2),
    "lt": (_compare(lambda left, right: left < right), 2, 2),
    "le": (_compare(lambda left, right: left <= right), 2, 2),
    "gt": (_compare(lambda left, right: not left <= right), 2, 2),
    "ge": (_compare(lambda left, right: not left < right), 2, 2),
}
"""name -> (function, fewest, most arguments). As in Go, `gt` is 'not le': NaN is greater than everything."""
