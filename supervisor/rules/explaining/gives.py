"""What a sub-expression gives at one instant, in a form that can be compared; and what all that looking may cost.

Used by `past.py`, `ahead.py` and `reasons.py`, which explain a rule. Pure: reads the store it is given.
"""

from collections.abc import Callable
from dataclasses import dataclass

from supervisor.facts import Labels
from supervisor.rules.alerts import same
from supervisor.rules.promql.evaluate import PURSE, EvaluationError, Frame, Options
from supervisor.rules.promql.nodes import Binary, Kind, Node, Number, Selector, Subquery, Text, Window, children
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.rules.promql.show import show
from supervisor.samples import Store, exact_name

MOST_PARTS = 64
"""Sub-expressions of one rule that are looked at."""
_LOOK = 32
"""What it costs to look once at all, in sample visits."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A sub-expression, and how deep it stands in the whole."""

    node: Node
    text: str
    depth: int
    flows: bool
    """whether its value moves with time alone"""
    metrics: tuple[str, ...]
    """the metrics that it names"""

    @property
    def valued(self) -> bool:
        """Whether `since` is about its values; for others it is about which series it gives."""
        return self.node.kind is Kind.SCALAR or (isinstance(self.node, Binary) and self.node.as_bool)


def pieces(node: Node) -> tuple[tuple[Piece, ...], int]:
    """The sub-expressions, each before its own, left to right, and how many there are; of very many only the first.
    Plain numbers and strings are left out, and the selector of a range, which says nothing that the range does not."""
    found: list[Piece] = []
    count = 0

    def add(node: Node, depth: int) -> None:
        nonlocal count
        if isinstance(node, Number | Text):
            return
        count += 1
        if count <= MOST_PARTS:
            expr = CompiledExpr(show(node), node)
            names = [exact_name(selector.matchers) or "" for selector, _span in expr.selectors]
            found.append(Piece(node, expr.text, depth, expr.flows, tuple(dict.fromkeys(filter(None, names)))))
        for child in () if isinstance(node, Window) else children(node):
            add(child, depth + 1)

    add(node, 0)
    return tuple(found), count


@dataclass(frozen=True, slots=True)
class Gives:
    """Rows in the evaluator's order (a scalar has one without labels), or why there are none. Of a range vector each
    row is the newest sample, and `extents` are the first and the last instant of its samples."""

    rows: tuple[tuple[Labels, float], ...]
    error: str = ""
    extents: tuple[tuple[int, int], ...] = ()

    def like(self, other: "Gives", values: bool) -> bool:
        """Whether both give the same series, with the same `values` if wanted, or fail alike."""
        if self.error or other.error:
            return self.error == other.error
        if not values:
            ours, theirs = [labels for labels, _value in self.rows], [labels for labels, _value in other.rows]
            return ours == theirs or (len(ours) == len(theirs) and sorted(ours) == sorted(theirs))
        if len(self.rows) != len(other.rows) or self.extents != other.extents:
            return False
        pairs = zip(self.rows, other.rows, strict=True)
        return all(a == b and same(x, y) for (a, x), (b, y) in pairs)


@dataclass(frozen=True, slots=True)
class Known:
    """What a piece gives now, when (in the expression's time) it can give something else though no sample comes, and
    how many visits it takes to look."""

    piece: Piece
    gives: Gives
    until: int
    cost: int


class Limits:
    """What is left for looking into the past or ahead. `pace` raises where nobody waits for the answer any more, or an
    EvaluationError where it is late: then what was found so far must do."""

    def __init__(self, visits: int, pace: Callable[[], None]) -> None:
        self.visits, self._pace, self._late = visits, pace, False

    def more(self, cost: int = 0) -> bool:
        """Whether one may go on, and look at something that takes so many visits."""
        if not self._late:
            try:
                self._pace()
            except EvaluationError:
                self._late = True
        return not self._late and self.visits > cost

    def share(self, count: int) -> "Limits":
        """One of `count` equal shares of what is left; take it back with `settle`."""
        found = Limits(self.visits // max(count, 1), self._pace)
        found._late = self._late
        return found

    def settle(self, share: "Limits", before: int) -> None:
        """A share that had `before` visits was used."""
        self.visits -= before - share.visits
        self._late = self._late or share._late


def look(
    node: Node, store: Store, at: int, options: Options, limits: Limits | None = None, purse: int = PURSE
) -> tuple[Gives, int]:
    """What a node gives at `at` (ms, in the expression's own time), and when that can be another though no sample
    comes (NEVER: at no time); what moves with time itself is not told of."""
    frame = Frame(store, at, purse, options)
    try:
        found = _gives(node, frame)
    except EvaluationError as err:
        found = Gives((), str(err))
    except Exception as err:  # noqa: BLE001 - as in the engine: one bad expression must not spoil the answer
        found = Gives((), f"the evaluation failed: {type(err).__name__}: {err}")
    if limits is not None:
        limits.visits -= purse - frame.purse + _LOOK
    return found, frame.until


def _gives(node: Node, frame: Frame) -> Gives:
    match node:
        case Window():
            spans = [(series, series.times, series.values, low, high) for series, low, high in frame.ranges(node)]
            rows = tuple((series.labels, values[high - 1]) for series, _times, values, _low, high in spans)
            return Gives(rows, "", tuple((times[low], times[high - 1]) for _series, times, _values, low, high in spans))
        case Subquery():
            made = frame.spans(node)
            rows = tuple((source.labels, values[-1]) for source, _times, values in made)
            return Gives(rows, "", tuple((times[0], times[-1]) for _source, times, _values in made))
        case Selector():
            return Gives(tuple((series.labels, value) for series, _time, value in frame.points(node)))
    value = frame.result(node)
    if isinstance(value, str):
        return Gives(())
    return Gives(tuple(value) if isinstance(value, list) else (((), float(value)),))
