"""The value of an expression at one instant: a pure function of the expression, the stored samples and the time.

Reads `samples.Store`, writes nothing. The semantics are those of Prometheus 3: lookback and ranges are open on the
left, stale markers end a series, names are dropped where a value is no longer that metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.errors import ResurgamError
from supervisor.facts import Labels
from supervisor.rules.promql import aggregate, operators
from supervisor.rules.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Kind,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Vector,
    Window,
)
from supervisor.samples import LOOKBACK, Series, Store, exact_name, is_stale, newest_before, to_ms

PURSE = 2_000_000
"""Sample visits that one evaluation may spend."""

_LOOKBACK = to_ms(LOOKBACK)


class EvaluationError(ResurgamError):
    """The expression has no value now; the text says why, in Prometheus' words where it has words for it."""


DEFAULT_STEP = 60_000
"""ms between the instants of a subquery that names no step: Prometheus' default evaluation interval."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an expression is evaluated. `start` and `end` (ms): the range of the query it belongs to, what `@ start()`
    and `@ end()` mean; None for the instant itself, as in rules."""

    delayed_names: bool = False
    """upstream's `promql-delayed-name-removal`: names are dropped at the very end"""
    step: int = DEFAULT_STEP
    start: int | None = None
    end: int | None = None


class Source(Protocol):
    """Where the samples of a range vector come from: a series, or one element of a subquery."""

    @property
    def labels(self) -> Labels: ...
    @property
    def bare(self) -> Labels: ...


Span = tuple[Source, Sequence[int], Sequence[float]]
"""One series of a range vector: its timestamps (ms) and values inside the window, never empty."""


class Frame:
    """One evaluation: the instant, the samples, and what is left in the purse."""

    __slots__ = ("at", "notes", "options", "purse", "store")

    def __init__(self, store: Store, at: int, purse: int = PURSE, options: Options = Options()) -> None:
        self.store, self.at, self.purse, self.options = store, at, purse, options
        self.notes: dict[str, None] = {}
        """what Prometheus would annotate the result with (`PromQL warning: …`, `PromQL info: …`), each once"""

    def nameless(self, labels: Labels) -> Labels:
        """The labels of a value that is no longer that metric."""
        return operators.without(labels)

    def bare(self, source: Source) -> Labels:
        """As `nameless`, of a range vector's source."""
        return source.bare

    def spend(self, visits: int) -> None:
        """Pay for sample visits; EvaluationError once the purse is empty."""
        self.purse -= visits
        if self.purse < 0:
            raise EvaluationError(
                f"the expression looks at more than {PURSE} samples; use a shorter range or a narrower selector"
            )

    def value(self, node: Node) -> Any:
        """A float, a Vector or a str, by the node's kind."""
        match node:
            case Number() | Text():
                return node.value
            case Selector():
                return [(series.labels, value) for series, _time, value in self.points(node)]
            case Call():
                return self._call(node)
            case Binary():
                return self._binary(node)
            case Aggregate():
                vector = self.vector(node.expr)
                self.spend(len(vector))
                return aggregate.aggregate(node, vector)
            case Negate():
                if node.kind is Kind.SCALAR:
                    return -self.scalar(node.expr)
                return unique(
                    node.expr, [(operators.without(labels), -value) for labels, value in self.vector(node.expr)]
                )
            case Window() | Subquery():
                raise EvaluationError("a range vector has no value of its own; put it into a function such as rate()")

    def vector(self, node: Node) -> Vector:
        """The value of a node that gives an instant vector."""
        value = self.value(node)
        assert isinstance(value, list)
        return value

    def scalar(self, node: Node) -> float:
        """The value of a node that gives a scalar."""
        value = self.value(node)
        assert isinstance(value, float | int)
        return float(value)

    def reference(self, node: Selector | Subquery) -> int:
        """The instant (ms) at which the samples are looked for."""
        at = node.at
        if at == "start":
            at = self.options.start
        elif at == "end":
            at = self.options.end
        return (self.at if at is None else at) - node.offset

    def points(self, node: Selector) -> list[tuple[Series, int, float]]:
        """The sample (series, ms, value) that speaks for each selected series."""
        reference = self.reference(node)
        oldest = reference - _LOOKBACK
        found = self.store.select(node.matchers)
        self.spend(len(found))
        points = []
        for series in found:
            index = newest_before(series.times, reference)
            if index < 0 or series.times[index] <= oldest:
                continue
            value = series.values[index]
            if value == value or not is_stale(value):
                points.append((series, series.times[index], value))
        return points

    def spans(self, node: Window) -> list[Span]:
        """The samples of each selected series inside the window; series without any are left out."""
        start, end = self.bounds(node)
        spans: list[Span] = []
        for series in self.store.select(node.selector.matchers):
            high = newest_before(series.times, end) + 1
            low = newest_before(series.times, start) + 1
            self.spend(high - low + 1)
            if high <= low:
                continue
            times, values = series.times[low:high], series.values[low:high]
            if not series.stales:
                spans.append((series, times, values))
                continue
            kept = [pair for pair in zip(times, values, strict=True) if not is_stale(pair[1])]
            if kept:
                spans.append((series, [pair[0] for pair in kept], [pair[1] for pair in kept]))
        return spans

    def bounds(self, node: Window) -> tuple[int, int]:
        """The window as (start, end] in ms."""
        end = self.reference(node.selector)
        return end - node.span, end

    def _call(self, node: Call) -> Any:
        value = node.function.run(self, node.args)
        if isinstance(value, list) and node.args:
            return unique(node.args[0], value)
        return value

    def _binary(self, node: Binary) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(left, list) and isinstance(right, list):
            self.spend(len(left) + len(right))
            try:
                return operators.vectors(node, left, right)
            except operators.MatchingError as err:
                raise EvaluationError(str(err)) from None
        if isinstance(left, list) or isinstance(right, list):
            self.spend(len(left) if isinstance(left, list) else len(right))
            mixed = operators.mixed(node, left, right)
            return unique(node.left if isinstance(left, list) else node.right, mixed)
        return operators.scalars(node.op, left, right)


def evaluate(
    node: Node,
    store: Store,
    at_ms: int,
    purse: int = PURSE,
    options: Options = Options(),
) -> Vector | float | str:
    """The value of an expression at `at_ms`. EvaluationError where it has none."""
    value: Vector | float | str = Frame(store, at_ms, purse, options).value(node)
    return value


def unique(source: Node, vector: Vector) -> Vector:
    """The vector; EvaluationError if dropping names has made two elements one. One metric's series cannot collide, so
    those are not looked at."""
    if len(vector) < 2:
        return vector
    selector = source.selector if isinstance(source, Window) else source
    if isinstance(selector, Selector) and exact_name(selector.matchers) is not None:
        return vector
    if len({labels for labels, _value in vector}) != len(vector):
        raise EvaluationError("vector cannot contain metrics with the same labelset")
    return vector
