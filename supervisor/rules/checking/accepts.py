"""Which Prometheus takes a rule file: the newest of what it uses, and the features that must be switched on there.

A pure function of a good file, asked by `resurgam check`. Versions are those in which upstream's changelog has the
feature; 2.42 is the oldest one that this was tried with.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from supervisor.config.yaml import Document
from supervisor.rules.model import RecordRule, Rule, RuleFile
from supervisor.rules.promql.lexer import LAST, Token, tokens
from supervisor.rules.promql.nodes import Aggregate, Call, walk

OLDEST = (2, 42)
_LEGACY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_FUNCTIONS = "promql-experimental-functions"
EXPERIMENTAL = {
    "mad_over_time": (2, 49),
    "sort_by_label": (2, 49),
    "sort_by_label_desc": (2, 49),
    "limitk": (2, 54),
    "limit_ratio": (2, 54),
    "double_exponential_smoothing": (3, 0),
    "ts_of_min_over_time": (3, 5),
    "ts_of_max_over_time": (3, 5),
    "ts_of_last_over_time": (3, 5),
    "first_over_time": (3, 7),
    "ts_of_first_over_time": (3, 7),
    "histogram_quantiles": (3, 11),
}
"""functions and aggregations behind a switch, with the version that has them"""
_FILLS = ("fill", "fill_left", "fill_right")
_GROUPINGS = ("by", "without", "on", "ignoring", "group_left", "group_right")


@dataclass(frozen=True, slots=True)
class Need:
    """Something in a file that not every Prometheus takes."""

    what: str
    version: tuple[int, int]
    flag: str = ""
    """the `--enable-feature` it wants; '' for none"""
    place: tuple[int, int] = (0, 0)
    """line and column in the file"""


def needs(file: RuleFile, document: Document) -> tuple[Need, ...]:
    """What in this file asks for more than the oldest Prometheus, in the order of the file, each kind once."""
    found: dict[tuple[str, tuple[int, int], str], Need] = {}
    for need in sorted((*_of_groups(document), *_of_rules(file, document)), key=lambda need: need.place):
        found.setdefault((need.what, need.version, need.flag), need)
    return tuple(found.values())


def sentence(found: tuple[Need, ...]) -> str:
    """`Prometheus >= 3.0`, with the flags it needs there."""
    version = max([OLDEST, *(need.version for need in found)])
    flags = sorted({need.flag for need in found if need.flag})
    switched = f" with --enable-feature={','.join(flags)}" if flags else ""
    return f"Prometheus >= {version[0]}.{version[1]}{switched}"


def _of_groups(document: Document) -> Iterator[Need]:
    data = document.data if isinstance(document.data, dict) else {}
    for index, group in enumerate(data.get("groups") or []):
        here = ("groups", index)
        if group.get("query_offset"):
            yield Need("query_offset", (2, 53), place=document.key_place((*here, "query_offset")))
        if group.get("labels"):
            yield Need("labels of a group", (3, 0), place=document.key_place((*here, "labels")))
        for name in group.get("labels") or {}:
            yield from _odd_name(document, (*here, "labels", name), name, "label")
        for at, rule in enumerate(group.get("rules") or []):
            for key, what in (("labels", "label"), ("annotations", "annotation")):
                for name in rule.get(key) or {}:
                    yield from _odd_name(document, (*here, "rules", at, key, name), name, what)


def _odd_name(document: Document, path: tuple[str | int, ...], name: str, what: str) -> Iterator[Need]:
    if not _LEGACY.fullmatch(name):
        said = "the name of a label" if what == "label" else "the name of an annotation"
        yield Need(said, (3, 0), "", document.key_place(path))


def _of_rules(file: RuleFile, document: Document) -> Iterator[Need]:
    for rule in file.rules:
        path = ("groups", rule.order[1], "rules", rule.order[2])
        if isinstance(rule, RecordRule) and not _LEGACY_METRIC.fullmatch(rule.name):
            yield Need("the name of a recording rule", (3, 2), "", document.place((*path, "record")))
        for what, version, flag, at in _of_expression(rule):
            place = document.place_in((*path, "expr"), rule.expr.text, at)
            yield Need(what, version, flag, place)


def _of_expression(rule: Rule) -> Iterator[tuple[str, tuple[int, int], str, int]]:
    """(what, version, flag, character) of an expression."""
    for node in walk(rule.expr.node):
        name = node.function.name if isinstance(node, Call) else node.op if isinstance(node, Aggregate) else ""
        if name in EXPERIMENTAL:
            yield f"{name}()", EXPERIMENTAL[name], _FUNCTIONS, node.pos[0]
    yield from _of_words(tokens(rule.expr.text))


def _of_words(words: list[Token]) -> Iterator[tuple[str, tuple[int, int], str, int]]:
    """What only the words tell: names in quotes, durations without a unit and units without a duration."""
    braces = grouping = False
    before, bracket = words[-1], -1
    for index, word in enumerate(words):
        if word.kind in ("{", "}"):
            braces = word.kind == "{"
        elif word.kind == "(" and before.kind in _GROUPINGS:
            grouping = True
        elif word.kind == ")":
            grouping = False
        elif word.kind == "string" and ((braces and before.kind in ("{", ",")) or grouping):
            yield "a quoted name", (3, 0), "", word.at
        elif word.text.lower() in _FILLS and words[min(index + 1, len(words) - 1)].kind == "(":
            yield f"{word.text}()", (3, 10), "promql-binop-fill-modifiers", word.at
        if word.kind == "[":
            bracket = index
        elif word.kind == "]":
            yield from _of_bracket(words[bracket + 1 : index])
            bracket = -1
        elif bracket < 0:
            yield from _of_offset(words, index, before)
        if word.kind != LAST:
            before = word


def _of_bracket(inside: list[Token]) -> Iterator[tuple[str, tuple[int, int], str, int]]:
    """The words between brackets: durations, with a colon between them in a subquery."""
    for word in inside:
        if word.kind not in (":", "number", "duration"):
            yield "arithmetic on durations", (3, 14), "", word.at
            return
    for word in inside:
        if word.kind == "number":
            yield "a duration without a unit", (3, 0), "", word.at


def _of_offset(words: list[Token], index: int, before: Token) -> Iterator[tuple[str, tuple[int, int], str, int]]:
    """A word outside brackets: what follows `offset`, or a duration that stands for its seconds."""
    word = words[index]
    signed = before.kind in ("-", "+") and index > 1 and words[index - 2].kind == "offset"
    if before.kind == "offset" and word.kind == "(":
        yield "arithmetic on durations", (3, 14), "", word.at
    elif word.kind == "number" and (before.kind == "offset" or signed):
        yield "a duration without a unit", (3, 0), "", word.at
    elif word.kind == "duration" and before.kind != "offset" and not signed:
        yield "a duration as a number", (3, 0), "", word.at
