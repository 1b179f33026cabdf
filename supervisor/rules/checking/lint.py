"""What is probably wrong with rules that load: findings with their places and the way to mend them.

Comes from: good rule files (`files.py`) and the tables of the metrics that are made here (`facts.Metric`). Goes to
`resurgam check`. Pure; nothing is refused because of it. A *warning* is a rule that will surprise its owner, a *hint*
something that may be meant. What a rule says about metrics stands in `lint_series.py`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from supervisor.config.yaml import Document
from supervisor.errors import Mistake
from supervisor.facts import Metric
from supervisor.rules import order
from supervisor.rules.checking import lint_series
from supervisor.rules.checking.accepts import EXPERIMENTAL
from supervisor.rules.checking.lint_series import Known, Said
from supervisor.rules.checking.shape import ANY, COMPARISONS, Carries, always, carries
from supervisor.rules.model import AlertRule, RecordRule, Rule, RuleFile
from supervisor.rules.promql.nodes import Aggregate, Binary, Call, Node, Number, Selector, walk
from supervisor.rules.promql.show import show
from supervisor.units import show_duration

Level = Literal["error", "warning", "hint"]
_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STRINGS = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`')
_VALUE = re.compile(r"\$value\b|(?<![\w$)])\.Value\b")
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)")
_OWN_LABEL = re.compile(r"\$labels\.([a-zA-Z_][a-zA-Z0-9_]*)")
"""the same where the dot may stand for something else than the alert"""
_MOVES_DOT = re.compile(r"\{\{-?\s*(?:range|with|define|block|template)\b")
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_MIRROR = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. Its place is a character of a text in the file."""

    level: Level
    lint: str
    """which lint: `absent-without-for` …"""
    file: str
    path: tuple[str | int, ...]
    """where in the document: ('groups', 0, 'rules', 2, 'expr')"""
    value: str
    """the text that stands there"""
    offset: int
    text: str

    def at(self, document: Document) -> Mistake:
        """The finding with its line and column."""
        if isinstance(self.path[-1], int):
            return document.mistake(self.path, self.text)
        return Mistake(self.file, *document.place_in(self.path, self.value, self.offset), self.text)


def lint(files: Sequence[RuleFile], metrics: Mapping[str, Metric], kept: float) -> tuple[Finding, ...]:
    """Every finding about these files, file after file, in the order of the rules. `metrics`: what is made here, by
    name; `kept`: seconds of readings that a restart leaves."""
    recorded: dict[str, list[RecordRule]] = {}
    for file in files:
        for rule in file.rules:
            if isinstance(rule, RecordRule):
                recorded.setdefault(rule.name, []).append(rule)
    known = Known(metrics, recorded, kept)
    found: list[Finding] = []
    seen: dict[object, str] = {}
    for file in files:
        said = [(rule, one) for rule in file.rules for one in _about(file, rule, known, seen)]
        found += _gathered(file, said)
        found += [_finding(file, rule, one) for rule, one in lint_series.unmade(file, known)]
    return tuple(found)


def _finding(file: RuleFile, rule: Rule, said: Said) -> Finding:
    path: tuple[str | int, ...] = ("groups", rule.order[1], "rules", rule.order[2], *said.part)
    value = said.value if said.part != ("expr",) else rule.expr.text
    return Finding(said.level, said.lint, file.path, path, value, said.offset, said.text)


def _gathered(file: RuleFile, said: Sequence[tuple[Rule, Said]]) -> list[Finding]:
    """The findings of one file; those that say the same of many rules are told once, at the first, with the count."""
    counts: dict[tuple[str, str, str], int] = {}
    for _rule, one in said:
        if one.same:
            counts[one.level, one.lint, one.same] = counts.get((one.level, one.lint, one.same), 0) + 1
    found: list[Finding] = []
    for rule, one in said:
        count = counts.pop((one.level, one.lint, one.same), 0) if one.same else 1
        if count > 1:
            one = replace(one, text=f"{one.text} (so in {count} places of this file)")
        if count:
            found.append(_finding(file, rule, one))
    return found


def _about(file: RuleFile, rule: Rule, known: Known, seen: dict[object, str]) -> Iterator[Said]:
    """Everything there is to say about one rule. `seen`: where each rule was met first."""
    key = (type(rule), rule.name, rule.labels, show(rule.expr.node))
    here = f"{file.path}:{rule.place[0]}:{rule.place[1]}"
    first = seen.setdefault(key, here)
    if first != here:
        yield Said("warning", "duplicate-rule", 0, f"the same rule stands at {first}; take one of them out", ())
    if isinstance(rule, AlertRule):
        for check in _OF_ALERTS:
            yield from check(rule, known)
    for node in walk(rule.expr.node):
        yield from _of_node(node)
        yield from lint_series.of_node(node, rule, known)


# ------------------------------------------------------------ alerts


def _absent(rule: AlertRule, known: Known) -> Iterator[Said]:
    for node in walk(rule.expr.node) if not rule.hold else ():
        if isinstance(node, Call) and node.function.name == "absent":
            text = "absent() without 'for' fires whenever something restarts or a reading is late; add for: 1m"
            yield Said("warning", "absent-without-for", node.pos[0], text)
        elif isinstance(node, Call) and node.function.name == "absent_over_time":
            text = "absent_over_time() without 'for' fires as soon as nobody has looked for that long; add for: 1m"
            yield Said("hint", "absent-without-for", node.pos[0], text)


def _value_in_label(rule: AlertRule, known: Known) -> Iterator[Said]:
    for name, template in rule.label_templates:
        match = next((m for m in _actions(template.text) if _VALUE.search(m[1])), None)
        if match is not None:
            text = f"the label {name!r} depends on the value, so a new value is a new alert that starts from pending; "
            text += "put the value into an annotation"
            yield Said("warning", "value-in-label", match[0], text, ("labels", name), template.text)


def _actions(text: str) -> Iterator[tuple[int, str]]:
    """The `{{ … }}` of a text: where each starts, and what is in it, without the strings."""
    for match in _ACTION.finditer(text):
        yield match.start(), _STRINGS.sub('""', match[1])


def _condition(rule: AlertRule, known: Known) -> Iterator[Said]:
    node = rule.expr.node
    if any(isinstance(one, Selector) for one in walk(node)) and always(node, known.always_there):
        text = "nothing is compared here: the alert fires for as long as the series is there; add a condition like > 0"
        yield Said("warning", "no-condition", node.pos[0], text)


def _lost_labels(rule: AlertRule, known: Known) -> Iterator[Said]:
    """Labels that texts ask for and the result cannot have."""
    by_shape = carries(rule.expr.node, lambda selector: ANY)
    by_metric = carries(rule.expr.node, known.carries)
    told: dict[str, None] = {}
    for part, templates in (("labels", rule.label_templates), ("annotations", rule.annotation_templates)):
        for key, template in templates:
            label = _OWN_LABEL if _MOVES_DOT.search(template.text) else _LABEL
            for at, inside in _actions(template.text):
                for name in label.findall(inside):
                    if name in told or by_metric.can(name) or name == "__name__":
                        continue
                    told[name] = None
                    yield _lost(name, by_shape, rule, (part, key), template.text, at)


def _lost(name: str, by_shape: Carries, rule: AlertRule, part: tuple[str, str], value: str, at: int) -> Said:
    if by_shape.can(name):
        text = f"$labels.{name} is empty: no series that is made here carries {name!r}"
        return Said("hint", "empty-label", at, text, part, value, same=name)
    if name in dict(rule.labels):
        text = f"$labels.{name} is empty: $labels has the labels of the series, not those that the rule adds"
    elif any(isinstance(node, Aggregate) for node in walk(rule.expr.node)):
        text = f"$labels.{name} is empty: the expression does not keep {name!r}; keep it with by ({name})"
    else:
        text = f"$labels.{name} is empty: what the expression gives has no label {name!r}"
    return Said("warning", "empty-label", at, text, part, value, same=name)


def _itself(rule: AlertRule, known: Known) -> Iterator[Said]:
    if order.reads_itself(rule):
        text = "this reads series of any name, the ALERTS of this very rule among them; name the metrics that are meant"
        yield Said("hint", "reads-itself", rule.expr.node.pos[0], text)


def _too_long(rule: AlertRule, known: Known) -> Iterator[Said]:
    """A `for` that the expression cannot outlast."""
    for node in walk(rule.expr.node):
        if not isinstance(node, Binary) or node.op != "unless" or not isinstance(node.right, Selector):
            continue
        lasts = node.right.offset / 1000
        if 0 < lasts <= rule.hold and replace(node.right, offset=0) == node.left:
            text = f"this holds for {show_duration(lasts)} after the series appeared, so it never fires with "
            text += f"for: {show_duration(rule.hold)}; make 'for' shorter or the offset longer"
            yield Said("warning", "for-too-long", node.pos[0], text)


_OF_ALERTS: Sequence[Callable[[AlertRule, Known], Iterator[Said]]] = (
    _absent,
    _value_in_label,
    _condition,
    _lost_labels,
    _too_long,
    _itself,
)


# ------------------------------------------------------------ any rule


def _of_node(node: Node) -> Iterator[Said]:
    """What one part of an expression says by itself."""
    if isinstance(node, Selector):
        yield from _patterns(node)
    elif isinstance(node, Binary) and node.op in COMPARISONS:
        yield from _whole_increase(node)
    name = node.function.name if isinstance(node, Call) else node.op if isinstance(node, Aggregate) else ""
    if name in EXPERIMENTAL:
        text = f"{name}() is experimental in Prometheus, which wants it switched on; here it always works"
        yield Said("hint", "experimental", node.pos[0], text)


def _patterns(node: Selector) -> Iterator[Said]:
    """Patterns that match everything, nothing, or one text only."""
    for matcher in node.matchers:
        if matcher.op not in ("=~", "!~"):
            continue
        yes = matcher.op == "=~"
        if matcher.value in (".*", "^.*$"):
            if yes:
                text = f"{matcher} matches everything, series without the label too; leave it out"
                yield Said("hint", "pattern-for-all", node.pos[0], text, same=str(matcher))
            else:
                text = f"{matcher} matches nothing, so nothing is selected; leave it out"
                yield Said("warning", "pattern-for-none", node.pos[0], text, same=str(matcher))
        elif matcher.value in (".+", "^.+$"):
            if matcher.name == "__name__":
                continue  # a selector must name something
            text = f'{matcher} asks only whether the label is there; write {matcher.name}{"!=" if yes else "="}""'
            yield Said("hint", "pattern-for-all", node.pos[0], text, same=str(matcher))
        elif not _META.search(matcher.value):
            text = f'{matcher} has no pattern in it; write {matcher.name}{"=" if yes else "!="}"{matcher.value}"'
            yield Said("hint", "pattern-is-text", node.pos[0], text, same=str(matcher))


def _whole_increase(node: Binary) -> Iterator[Said]:
    """increase() compared with a whole number."""
    for side, other, op in ((node.left, node.right, node.op), (node.right, node.left, _MIRROR[node.op])):
        if not isinstance(other, Number) or other.value <= 0 or not other.value.is_integer():
            continue
        call = next((one for one in walk(side) if isinstance(one, Call) and one.function.name == "increase"), None)
        if call is None or isinstance(side, Binary):
            continue
        near = "increase() extrapolates, so three steps may read as 2.97 or 3.2"
        if op in ("==", "!="):
            text = f"{near}: compared for equality this says nothing; write for example > {other.value - 0.5:g}"
            yield Said("warning", "whole-increase", node.pos[0], text)
        elif op in (">=", "<") and other.value <= 100 and _counts(call):
            text = f"{near}; write {'>' if op == '>=' else '<'} {other.value - 0.5:g} to mean {other.value:g}"
            yield Said("hint", "whole-increase", node.pos[0], text)


def _counts(call: Call) -> bool:
    """Whether what is increased counts things, as far as its name tells."""
    names = [m.value for one in walk(call) if isinstance(one, Selector) for m in one.matchers if m.name == "__name__"]
    return not any(re.search(r"_(seconds|bytes)(_total|_sum)?$", name) for name in names)
