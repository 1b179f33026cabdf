"""Functions of labels: rewriting them, joining them, sorting by them.

Part of the one table (`functions/__init__.py`). Templates are Go's (`$1`, `${name}`, `$$`); regular expressions are RE2
and must match the whole value. A label set once rewritten is remembered: series come again at every evaluation.
"""

import re
from functools import lru_cache

from supervisor.facts import Labels
from supervisor.rules.promql.costs import LABELLED, LETTERS, SORTED
from supervisor.rules.promql.evaluate import EvaluationError, Frame
from supervisor.rules.promql.functions.base import Args, T, V, text
from supervisor.rules.promql.labelsets import memo
from supervisor.rules.promql.nodes import Function, Vector
from supervisor.units import regex

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<plain>\w+))")
_DIGITS = re.compile(r"[0-9]+")
MAX_VALUE = 4096
"""characters of a label's value; the store does not take longer ones either"""


@lru_cache(maxsize=1000)
def parts(template: str, pattern: str) -> tuple[str | int, ...]:
    """A Go template, taken apart: text, and the groups of `pattern` it refers to. A name that is no group stands for
    nothing; a `$` that begins no name is text."""
    named = regex(pattern).groupindex
    count = regex(pattern).groups
    found: list[str | int] = []
    done = 0
    for match in _REFERENCE.finditer(template):
        found.append(template[done : match.start()])
        done = match.end()
        name = match["braced"] or match["plain"]
        if match["dollar"]:
            found.append("$")
        elif name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) < 10:
            if int(name) <= count:
                found.append(int(name))
        elif name in named:
            found.append(named[name])
    found.append(template[done:])
    return tuple(found)


def put(labels: Labels, name: str, value: str) -> Labels:
    """The labels with one of them set; "" takes it away. One that was to lose its name still is, unless that is what
    was set. EvaluationError where the value is too long: nested calls double it each time."""
    if len(value) > MAX_VALUE:
        raise EvaluationError(f"the label {name} would get a value of more than {MAX_VALUE} characters")
    found = [pair for pair in labels if pair[0] != name]
    if value:
        found.append((name, value))
        found.sort()
    return tuple(found) if name == "__name__" else type(labels)(found)


def get(labels: Labels, name: str) -> str:
    """The value of a label; "" if it has none."""
    for label, value in labels:
        if label == name:
            return value
    return ""


def _check(name: str, what: str) -> None:
    """Every text but the empty one names a label; bytes that were no text have become the replacement character."""
    if not name or "\ufffd" in name:
        raise EvaluationError(f"{what}: {name}")


def _label_replace(frame: Frame, args: Args) -> Vector:
    target, template, source, pattern = (text(arg) for arg in args[1:])
    try:
        compiled = regex(pattern)
    except ValueError:
        raise EvaluationError(f"invalid regular expression in label_replace(): {pattern}") from None
    _check(target, "invalid destination label name in label_replace()")

    def rewrite(labels: Labels) -> tuple[Labels]:
        match = compiled.fullmatch(get(labels, source))
        if match is None:
            return (labels,)
        filled = [part if isinstance(part, str) else match.group(part) or "" for part in parts(template, pattern)]
        return (put(labels, target, "".join(filled)),)

    known = memo(("label_replace", target, template, source, pattern), rewrite)
    vector = frame.vector(args[0])
    effort = 1 + compiled.groups
    for labels, _value in vector:
        frame.spend(LABELLED + effort * len(get(labels, source)) // LETTERS)
    return _distinct([((known.kept.get(id(labels)) or known.learn(labels))[1], value) for labels, value in vector])


def _label_join(frame: Frame, args: Args) -> Vector:
    target, separator, *sources = (text(arg) for arg in args[1:])
    for source in sources:
        _check(source, "invalid source label name in label_join()")
    _check(target, "invalid destination label name in label_join()")

    def join(labels: Labels) -> tuple[Labels]:
        return (put(labels, target, separator.join([get(labels, source) for source in sources])),)

    known = memo(("label_join", target, separator, *sources), join)
    vector = frame.vector(args[0])
    frame.spend((LABELLED + len(sources)) * len(vector))
    return _distinct([((known.kept.get(id(labels)) or known.learn(labels))[1], value) for labels, value in vector])


def _distinct(vector: Vector) -> Vector:
    if len({labels for labels, _value in vector}) != len(vector):
        raise EvaluationError("vector cannot contain metrics with the same labelset")
    return vector


# ---------------------------------------------------------------- order


def natural(value: str) -> str:
    """A key that sorts text as people do: `gpu2` before `gpu10`. Each number has its length before it, behind a zero:
    no other letter of a text is a digit, so numbers are compared with numbers, and the longer one is the larger."""
    return _DIGITS.sub(_measured, value)


def _measured(match: re.Match[str]) -> str:
    number = match[0].lstrip("0")
    return f"0{chr(len(number))}{number}"


def _sort_by_label(frame: Frame, args: Args) -> Vector:
    names = [text(arg) for arg in args[1:]]
    vector = frame.vector(args[0])
    for labels, _value in vector:
        for name in names:
            frame.spend(SORTED + len(get(labels, name)) // LETTERS)
    return sorted(vector, key=lambda element: ([natural(get(element[0], name)) for name in names], tuple(element[0])))


def _sort_by_label_desc(frame: Frame, args: Args) -> Vector:
    return _sort_by_label(frame, args)[::-1]


FUNCTIONS = (
    Function("label_replace", (V, T, T, T, T), V, _label_replace),
    Function("label_join", (V, T, T, T), V, _label_join, more=True),
    Function("sort_by_label", (V, T), V, _sort_by_label, more=True, experimental=True),
    Function("sort_by_label_desc", (V, T), V, _sort_by_label_desc, more=True, experimental=True),
)
