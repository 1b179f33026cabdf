"""In which order rules are evaluated: each after those whose series it reads; and rules that read each other.

Comes from `files.py`, which leaves out the file that closes a circle; goes to the engine as `RuleSet.arranged`. A rule
reads another one if one of its selectors can match what that one writes: a recording rule writes its name with its
labels, an alert writes ALERTS and ALERTS_FOR_STATE with its name, its state and its untemplated labels. Of other labels
only that is known which the shape of the expression tells (`sum by (job)` leaves no other); what may be, counts.

A selector that looks only into the past (a positive offset) cannot see what is written at the same instant: it makes
neither an order nor a circle. One that asks for series of any name (`{job="x"}`, `{__name__=~".+"}`) was hardly written
to read its own rule's ALERTS: it orders where it can, and makes no circle.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from supervisor.rules.checking.shape import ANY, Carries, carries
from supervisor.rules.model import RecordRule, Rule
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE
from supervisor.rules.promql.nodes import Node, Selector, Subquery, children
from supervisor.samples import exact_name
from supervisor.units import Matcher

_NOBODYS = "a name that no series has"
_SHOWN = 8
"""rules of a circle that are named"""


@dataclass(frozen=True, slots=True)
class Cycle:
    """Rules that read each other: each the next one, the last one the first."""

    rules: tuple[Rule, ...]

    @property
    def closes(self) -> Rule:
        """The last of them in the order of the files: without it there was no circle."""
        return max(self.rules, key=lambda rule: rule.order)

    @property
    def text(self) -> str:
        """A sentence that names the chain and what to do."""
        first = self.rules.index(self.closes)
        chain = [rule.name for rule in (*self.rules[first:], *self.rules[: first + 1])]
        if len(chain) > _SHOWN:
            chain = [*chain[: _SHOWN - 2], "…", chain[-1]]
        shown = " → ".join(chain)
        if len(self.rules) == 1:
            return f"the rule reads what it writes itself ({shown}); read the past only (offset), or another series"
        return f"these rules read each other in a circle: {shown}; take one of them out of it"


def arrange(rules: Sequence[Rule]) -> tuple[tuple[Rule, ...], tuple[Cycle, ...]]:
    """The rules, each after those whose series it reads, else as written; and circles among them, no two of which
    share a rule. Where there are circles the first answer is the rules as written."""
    named, loose = _reads(rules)
    done = _sorted(named, [() for _ in rules])
    if len(done) < len(rules):
        stuck = set(range(len(rules))).difference(done)
        return tuple(rules), tuple(_cycles(rules, named, stuck))
    return tuple(rules[index] for index in (_sorted(named, loose) if any(loose) else done)), ()


def reads_itself(rule: Rule) -> bool:
    """Whether a selector of the rule that asks for series of any name can match what the rule writes."""
    return bool(_reads([rule])[1][0])


def _sorted(named: Sequence[Sequence[int]], loose: Sequence[Sequence[int]]) -> list[int]:
    """Every rule after those it reads, the first ones first; what is only loosely read gives way in a circle. Rules in
    a circle of named reads, and those behind it, are left out."""
    readers: list[list[tuple[int, int]]] = [[] for _ in named]
    waits = [[len(named[index]), len(loose[index])] for index in range(len(named))]
    for kind, reads in enumerate((named, loose)):
        for index, found in enumerate(reads):
            for other in found:
                readers[other].append((index, kind))
    free = [index for index, (must, may) in enumerate(waits) if not must and not may]
    ready = [index for index, (must, _may) in enumerate(waits) if not must]
    taken = [False] * len(named)
    done: list[int] = []
    while free or ready:
        index = heapq.heappop(free) if free else heapq.heappop(ready)
        if taken[index]:
            continue
        taken[index] = True
        done.append(index)
        for reader, kind in readers[index]:
            waits[reader][kind] -= 1
            must, may = waits[reader]
            if not must and not may:
                heapq.heappush(free, reader)
            elif not must and kind == 0:
                heapq.heappush(ready, reader)
    return done


def _cycles(rules: Sequence[Rule], reads: Sequence[Sequence[int]], stuck: set[int]) -> Iterator[Cycle]:
    """Circles among the rules that could not be put in order, no two of which share a rule."""
    gone: set[int] = set()  # leads to no circle that was not told
    for start in sorted(stuck):
        trail: list[tuple[int, Iterator[int]]] = []
        on_trail: dict[int, int] = {}
        following = start if start not in gone else -1
        while following >= 0 or trail:
            if following >= 0:
                on_trail[following] = len(trail)
                trail.append((following, iter(reads[following])))
            index, rest = trail[-1]
            following = next((other for other in rest if other in stuck and other not in gone), -1)
            if following in on_trail:
                circle = [node for node, _rest in trail[on_trail[following] :]]
                yield Cycle(tuple(rules[node] for node in circle))
                gone.update(node for node, _rest in trail)
                break
            if following < 0:
                trail.pop()
                del on_trail[index]
                gone.add(index)


# ------------------------------------------------------------ who reads whom


@dataclass(frozen=True, slots=True)
class _Sort:
    """What is known of the series that a rule writes, besides their name; most rules share theirs with others."""

    fixed: tuple[tuple[str, str], ...]
    """labels whose value is known beforehand"""
    other: Carries
    """the labels there may be"""
    states: tuple[str, ...]
    """of an alert: the values that `alertstate` takes in ALERTS"""

    def can_match(self, matchers: Sequence[Matcher], state: str | None = None) -> bool:
        """Whether a series can have what the matchers ask. `state`: its alertstate, '' for none."""
        fixed = dict(self.fixed)
        if state is not None:
            fixed["alertstate"] = state
        for matcher in matchers:
            if matcher.name in fixed:
                if not matcher.matches(fixed):
                    return False
            elif not matcher.matches({}) and not self.other.can(matcher.name):
                return False
        return True


class _Written:
    """What rules write, found by name, and by sort where no name is asked for."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._sorts = [_sort(rule) for rule in rules]
        self._recorded: dict[str, list[int]] = {}
        self._alerts: dict[str, list[int]] = {}
        self._records_by_sort: dict[_Sort, list[int]] = {}
        self._alerts_by_sort: dict[_Sort, list[int]] = {}
        self._known: dict[tuple[Matcher, ...], tuple[int, ...]] = {}
        for index, rule in enumerate(rules):
            records = isinstance(rule, RecordRule)
            (self._recorded if records else self._alerts).setdefault(rule.name, []).append(index)
            by_sort = self._records_by_sort if records else self._alerts_by_sort
            by_sort.setdefault(self._sorts[index], []).append(index)

    def read_by(self, matchers: tuple[Matcher, ...]) -> tuple[int, ...]:
        """The rules that write something these matchers can accept, in order."""
        found = self._known.get(matchers)
        if found is None:
            found = self._known[matchers] = tuple(sorted(self._find(matchers)))
        return found

    def _find(self, matchers: tuple[Matcher, ...]) -> Iterator[int]:
        by_name = [matcher for matcher in matchers if matcher.name == "__name__"]
        rest = [matcher for matcher in matchers if matcher.name != "__name__"]
        name = exact_name(matchers)
        if name is not None:
            pool = [(self._sorts[index], [index]) for index in self._recorded.get(name, ())]
        else:
            pool = list(self._records_by_sort.items())
        for sort, indexes in pool:
            if sort.can_match(rest):
                yield from self._called(indexes, "__name__", by_name)
        plain, aged = _accept(by_name, "__name__", ALERTS), _accept(by_name, "__name__", ALERTS_FOR_STATE)
        if plain or aged:
            yield from self._find_alerts(rest, plain, aged)

    def _find_alerts(self, matchers: Sequence[Matcher], plain: bool, aged: bool) -> Iterator[int]:
        """Alerts whose ALERTS (`plain`) or ALERTS_FOR_STATE (`aged`) these matchers can accept."""
        by_alert = [matcher for matcher in matchers if matcher.name == "alertname"]
        rest = [matcher for matcher in matchers if matcher.name != "alertname"]
        named = next((matcher.value for matcher in by_alert if matcher.op == "="), None)
        if named is not None:
            pool = [(self._sorts[index], [index]) for index in self._alerts.get(named, ())]
        else:
            pool = list(self._alerts_by_sort.items())
        for sort, indexes in pool:
            states = [*(sort.states if plain else ()), *(("",) if aged else ())]
            if any(sort.can_match(rest, state) for state in states):
                yield from self._called(indexes, "alertname", by_alert)

    def _called(self, indexes: Sequence[int], label: str, matchers: Sequence[Matcher]) -> Sequence[int]:
        """Those rules whose name these matchers accept."""
        return (
            [index for index in indexes if _accept(matchers, label, self._rules[index].name)] if matchers else indexes
        )


def _accept(matchers: Sequence[Matcher], name: str, text: str) -> bool:
    return all(matcher.matches({name: text}) for matcher in matchers)


def _sort(rule: Rule) -> _Sort:
    other = carries(rule.expr.node, lambda selector: ANY)
    if isinstance(rule, RecordRule):
        return _Sort(rule.labels, other, ())
    fixed = tuple((name, text) for name, text in rule.labels if "{{" not in text)
    other = other.add(name for name, text in rule.labels if "{{" in text)
    return _Sort(fixed, other, ("pending", "firing") if rule.hold else ("firing",))


def _reads(rules: Sequence[Rule]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """For each rule the rules that it reads by name, and those that it reads because it asks for any name."""
    written = _Written(rules)
    named: list[tuple[int, ...]] = []
    loose: list[tuple[int, ...]] = []
    for rule in rules:
        by_name: dict[int, None] = {}
        by_any: dict[int, None] = {}
        for matchers in _present(rule.expr.node, 0):
            nameless = all(
                matcher.matches({"__name__": _NOBODYS}) for matcher in matchers if matcher.name == "__name__"
            )
            (by_any if nameless else by_name).update(dict.fromkeys(written.read_by(matchers)))
        named.append(tuple(sorted(by_name)))
        loose.append(tuple(sorted(index for index in by_any if index not in by_name)))
    return named, loose


def _present(node: Node, offset: int) -> Iterator[tuple[Matcher, ...]]:
    """The matchers of every selector that can see the instant of the evaluation itself."""
    if isinstance(node, Selector):
        if node.at is not None or node.offset + offset <= 0:
            yield node.matchers
        return
    moved = offset + node.offset if isinstance(node, Subquery) and node.at is None else offset
    for child in children(node):
        yield from _present(child, moved)
