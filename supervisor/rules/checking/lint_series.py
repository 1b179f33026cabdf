"""What can be told of a rule by what is known of its metrics: their kind, their labels, how often they come.

Called by `lint.py`. Knows only the metrics that are made here and those that rules record; of others nothing is said
but that they need a scrape, once for each file: most rules that people take over are about more than one box has.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from supervisor.facts import Metric
from supervisor.rules.checking.shape import ANY, COMPARISONS, Carries, always
from supervisor.rules.model import AlertRule, RecordRule, Rule, RuleFile
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE
from supervisor.rules.promql.nodes import Aggregate, Binary, Call, Kind, Node, Selector, Subquery, Window, walk
from supervisor.samples import exact_name
from supervisor.units import show_duration

OURS = "resurgam_"
_RATES = ("rate", "increase", "irate")
_PAIRED = (*_RATES, "delta", "idelta", "deriv", "predict_linear")
"""functions that say nothing of fewer than two samples"""
_WEIGHTED = tuple(f"{name}_over_time" for name in ("avg", "sum", "count", "quantile", "stddev", "stdvar", "mad"))
_NAMED = 6
"""metrics that are named in one sentence"""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing to say about a rule. `part`: where in the rule, with the text `value` that stands there (the
    expression's own text is known). `same`: what makes it the same finding as others in the file; '' for none."""

    level: Literal["error", "warning", "hint"]
    lint: str
    offset: int
    text: str
    part: tuple[str, ...] = ("expr",)
    value: str = ""
    same: str = ""


@dataclass(slots=True)
class Known:
    """What is known of series: metrics that are made here, by name, and what rules record, by name."""

    metrics: Mapping[str, Metric]
    recorded: Mapping[str, Sequence[RecordRule]]
    kept: float
    """seconds of readings that a restart leaves"""
    _open: dict[str, bool] = field(default_factory=dict)

    def metric(self, node: Node) -> Metric | None:
        """The metric that a selector (or the window of one) asks for by name, if it is made here."""
        selector = node.selector if isinstance(node, Window) else node
        name = exact_name(selector.matchers) if isinstance(selector, Selector) else None
        return self.metrics.get(name) if name is not None and name not in self.recorded else None

    def carries(self, selector: Selector) -> Carries:
        """The labels that its series can carry."""
        metric = self.metric(selector)
        return ANY if metric is None or metric.free else Carries(frozenset(metric.labels))

    def always_there(self, selector: Selector) -> bool:
        """Whether its series are there whatever happens: not alerts, nor what a rule records on a condition."""
        name = exact_name(selector.matchers)
        if name is None or name in (ALERTS, ALERTS_FOR_STATE):
            return False
        if name not in self._open:
            self._open[name] = True  # a rule that reads itself
            rules = self.recorded.get(name, ())
            self._open[name] = all(always(rule.expr.node, self.always_there) for rule in rules)
        return self._open[name]


def of_node(node: Node, rule: Rule, known: Known) -> Iterator[Said]:
    """What there is to say about one part of an expression."""
    if isinstance(node, Selector):
        yield from _labels(node, known)
    elif isinstance(node, Call) and node.args:
        yield from _ranged(node, rule, known)
    elif isinstance(node, Binary) and node.op in COMPARISONS:
        yield from _raw_counter(node, known)
    if isinstance(node, Window | Subquery):
        yield from _reach(node, known)


def _labels(node: Selector, known: Known) -> Iterator[Said]:
    """Matchers on labels that the metric never carries."""
    metric = known.metric(node)
    for matcher in node.matchers if metric is not None and not metric.free else ():
        if metric is None or matcher.name in (*metric.labels, "__name__") or matcher.matches({}):
            continue
        close = difflib.get_close_matches(matcher.name, metric.labels, n=1, cutoff=0.6)
        has = f"it has {', '.join(metric.labels)}" if metric.labels else "it has no labels"
        fix = f"did you mean {close[0]!r}?" if close else f"{has}; leave {matcher.name!r} out"
        text = f"{metric.name} never carries the label {matcher.name!r}, so nothing is selected; {fix}"
        yield Said("warning", "unknown-label", node.pos[0], text, same=matcher.name if not close else "")


def _ranged(node: Call, rule: Rule, known: Known) -> Iterator[Said]:
    """Functions over a range of a metric that is made here."""
    name = node.function.name
    window = next((arg for arg in node.args if isinstance(arg, Window)), None)
    metric = known.metric(window) if window is not None else None
    if window is None or metric is None:
        return
    at, span = node.pos[0], window.span / 1000
    if name in _RATES and metric.kind == "gauge":
        text = f"{metric.name} goes up and down, and {name}() takes every fall for a restart; use delta() or deriv()"
        yield Said("warning", "rate-of-gauge", at, text)
    if name in _PAIRED and span < 2 * metric.every:
        text = f"[{show_duration(span)}] may hold fewer than two samples of {metric.name}, which come every "
        text += f"{show_duration(metric.every)}; use [{show_duration(2 * metric.every)}] or more"
        yield Said("warning", "short-range", at, text)
    if metric.events and name in _WEIGHTED:
        text = f"{metric.name} also has a sample at every change, so {name}() weighs busy moments more; "
        text += "use max_over_time(), changes() or increase()"
        yield Said("hint", "uneven-samples", at, text)
    once = name in ("changes", "increase", "resets") and metric.events and metric.kind == "counter"
    if once and isinstance(rule, AlertRule) and rule.hold >= span:
        text = (
            f"one event is seen here for {show_duration(span)}; with for: {show_duration(rule.hold)} it takes one at "
        )
        text += "least that often; make the range longer than 'for'"
        yield Said("hint", "for-too-long", at, text)


def _raw_counter(node: Binary, known: Known) -> Iterator[Said]:
    """A counter compared as it stands."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        inner = side.expr if isinstance(side, Aggregate) and side.op in ("sum", "max", "min", "avg") else side
        metric = known.metric(inner) if isinstance(inner, Selector) else None
        if metric is not None and metric.kind == "counter" and other.kind is Kind.SCALAR:
            text = f"{metric.name} only grows: once true, this stays true; compare increase({metric.name}[10m])"
            yield Said("warning", "raw-counter", node.pos[0], text)


def _reach(node: Window | Subquery, known: Known) -> Iterator[Said]:
    """A range that goes further back than a restart leaves readings."""
    offset = node.selector.offset if isinstance(node, Window) else node.offset
    reach = (node.span + max(offset, 0)) / 1000
    if reach > known.kept:
        text = f"this looks back {show_duration(reach)}; a restart leaves readings of {show_duration(known.kept)} only"
        yield Said("hint", "long-range", node.pos[0], text, same="reach")


# ------------------------------------------------------------ metrics that nobody makes


def unmade(file: RuleFile, known: Known) -> Iterator[tuple[Rule, Said]]:
    """Metrics of a file that neither a collector makes nor a rule records: names that look misspelt, each where it
    stands; the others in one sentence for the whole file."""
    asked: dict[str, tuple[Rule, int]] = {}
    for rule in file.rules:
        for node in walk(rule.expr.node):
            name = exact_name(node.matchers) if isinstance(node, Selector) else None
            if name is not None and name not in (ALERTS, ALERTS_FOR_STATE):
                asked.setdefault(name, (rule, node.pos[0]))
    others: list[str] = []
    for name, (rule, at) in asked.items():
        if name in known.metrics or name in known.recorded:
            continue
        close = difflib.get_close_matches(name, known.metrics, n=1, cutoff=0.6 if name.startswith(OURS) else 0.93)
        if close or name.startswith(OURS):
            guess = f"; did you mean {close[0]!r}?" if close else ""
            yield rule, Said("warning", "unknown-metric", at, f"no collector here makes {name}{guess}")
        else:
            others.append(name)
    if others:
        rule, at = asked[others[0]]
        shown = ", ".join(others[:_NAMED]) + (", …" if len(others) > _NAMED else "")
        share = "all" if len(others) == len(asked) else f"{len(others)} of the"
        which = "the only metric" if len(asked) == 1 else f"{share} {len(asked)} metrics"
        text = f"{which} in this file {'is' if len(others) == 1 else 'are'} made by no collector here: {shown}; "
        text += "such rules stay silent until something scrapes them"
        yield rule, Said("hint", "unmade-metrics", at, text)
