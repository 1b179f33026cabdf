"""The value of an expression at one instant: a pure function of the expression, the stored samples and the time.

Reads `samples.Store`, writes nothing. The semantics are those of Prometheus 3: lookback and ranges are open on the
left, stale markers end a series, names are dropped where a value is no longer that metric. On the way it notes when
the value can change next although no sample comes (`Frame.until`).
"""

from bisect import bisect_right
from typing import Any

from supervisor.facts import Labels
from supervisor.rules.promql import aggregate, costs, operators
from supervisor.rules.promql.context import (
    DEFAULT_STEP,
    PLAIN,
    PURSE,
    SAME,
    EvaluationError,
    Made,
    Options,
    Source,
    Span,
    distinct,
    placed,
)
from supervisor.rules.promql.labelsets import BARE, DOOMED, Doomed, one_name, without
from supervisor.rules.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Kind,
    Negate,
    Node,
    Number,
    Pos,
    Selector,
    Subquery,
    Text,
    Vector,
    Window,
    walk,
)
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import LOOKBACK, Series, Store, is_stale, newest_before, to_ms

__all__ = [
    "DEFAULT_STEP",
    "PLAIN",
    "PURSE",
    "EvaluationError",
    "Frame",
    "Made",
    "Options",
    "Source",
    "Span",
    "evaluate",
    "evaluate_until",
    "placed",
]

_LOOKBACK = to_ms(LOOKBACK)


class Frame:
    """One evaluation: the instant, the samples, what is left in the purse, and what was noted on the way."""

    __slots__ = ("_budget", "_found", "_inside", "_names", "at", "notes", "options", "purse", "root", "store", "until")

    def __init__(self, store: Store, at: int, purse: int = PURSE, options: Options = PLAIN) -> None:
        self.store, self.at, self.purse, self.options = store, at, purse, options
        self.root = at
        """the instant of the whole expression; `at` is another inside a subquery"""
        self.notes: dict[str, Pos] = {}
        """what Prometheus would annotate the result with (`PromQL warning: …`, `PromQL info: …`), each once, and the
        part of the expression it is about; empty unless the options ask for it"""
        self.until = NEVER
        """the first instant (ms, after `root`) at which what the selectors saw can differ though no sample comes"""
        self._budget = purse
        self._inside = 0
        self._names = DOOMED if options.delayed_names else BARE
        self._found: dict[int, tuple[Selector, list[Series]]] = {}

    # ------------------------------------------------------------ for functions

    def nameless(self, labels: Labels) -> Labels:
        """The labels of a value that is no longer that metric."""
        found: Labels = (self._names.kept.get(id(labels)) or self._names.learn(labels))[1]
        return found

    def bare(self, source: Source) -> Labels:
        """As `nameless`, of a range vector's source."""
        return self.nameless(source.labels) if self.options.delayed_names else source.bare

    def spend(self, visits: int) -> None:
        """Pay for sample visits; EvaluationError once the purse is empty."""
        self.purse -= visits
        if self.purse < 0:
            raise EvaluationError(
                f"the expression looks at more than {self._budget} samples, or does the work of as many looks with "
                "them; use a shorter range, a longer step or a narrower selector"
            )

    def note(self, text: str, node: Node) -> None:
        """Annotate the result, if anybody wants to know."""
        if self.options.annotate:
            self.notes.setdefault(text, node.pos)

    # ------------------------------------------------------------ values

    def value(self, node: Node) -> Any:
        """A float, a Vector or a str, by the node's kind."""
        match node:
            case Selector():
                return [(series.labels, value) for series, _time, value in self.points(node)]
            case Number() | Text():
                return node.value
            case Call():
                return self._call(node)
            case Binary():
                return self._binary(node)
            case Aggregate():
                return self._aggregate(node)
            case Negate():
                if node.kind is Kind.SCALAR:
                    return -self.scalar(node.expr)
                negated = [(self.nameless(labels), -value) for labels, value in self.vector(node.expr)]
                return self._unique((node.expr,), negated)
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

    def text(self, node: Node) -> str:
        """The value of a string."""
        value = self.value(node)
        assert isinstance(value, str)
        return value

    def result(self, node: Node) -> Vector | float | str:
        """The value of a whole expression: names that were to be dropped at the end are."""
        value: Vector | float | str = self.value(node)
        if not self.options.delayed_names or not isinstance(value, list):
            return value
        dropped = [(without(labels) if type(labels) is Doomed else labels, number) for labels, number in value]
        distinct(dropped)
        return dropped

    def _call(self, node: Call) -> Any:
        value = node.function.run(self, node.args)
        if self.options.annotate and node.function.name in ("rate", "increase"):
            self._doubt(node.args[0])
        if not isinstance(value, list):
            return value
        self.spend(costs.MADE * len(value))
        return self._unique(node.args, value)

    def _binary(self, node: Binary) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        delayed = self.options.delayed_names
        if isinstance(left, list) and isinstance(right, list):
            self.spend(costs.operation(node, len(left), len(right)))
            try:
                joined = operators.vectors(node, left, right, delayed)
            except operators.MatchingError as err:
                raise EvaluationError(str(err)) from None
            by_name = node.matching.on and "__name__" in node.matching.labels  # and now the name is dropped
            return self._unique((node.left, node.right), joined) if by_name else joined
        if isinstance(left, list) or isinstance(right, list):
            self.spend(len(left) if isinstance(left, list) else len(right))
            return self._unique((node.left, node.right), operators.mixed(node, left, right, delayed))
        return operators.scalars(node.op, left, right)

    def _aggregate(self, node: Aggregate) -> Vector:
        param = None if node.param is None else self.value(node.param)
        vector = self.vector(node.expr)
        self.spend(costs.aggregation(node, vector, param))
        if self.options.annotate and node.param is not None:
            for text in aggregate.doubts(node.op, param):
                self.note(text, node.param)
        try:
            return aggregate.aggregate(node, vector, param)
        except aggregate.ParameterError as err:
            raise EvaluationError(str(err)) from None

    def _unique(self, sources: tuple[Node, ...], vector: Vector) -> Vector:
        """The vector; EvaluationError if dropping names has made two elements one. One metric's elements cannot
        collide, so those are not looked at; with delayed names nothing is dropped before the end."""
        if len(vector) < 2 or self.options.delayed_names:
            return vector
        for source in sources:
            if source.kind in (Kind.VECTOR, Kind.MATRIX) and one_name(source) is None:
                distinct(vector)
                break
        return vector

    def _doubt(self, node: Node) -> None:
        """Note metrics under rate() or increase() that are not called as counters are."""
        assert isinstance(node, Window | Subquery)
        if isinstance(node, Window):  # the edges tell enough; the samples would be paid for a second time
            seen = [(series.labels, high - low) for series, low, high in self.ranges(node)]
        else:
            seen = [(source.labels, len(times)) for source, times, _values in self.spans(node)]
        for labels, count in seen:
            name = next((value for label, value in labels if label == "__name__"), "")
            if count > 1 and name and not name.endswith(("_total", "_sum", "_count", "_bucket")):
                self.note(
                    "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                    f'"{name}"',
                    node,
                )

    # ------------------------------------------------------------ samples

    def reference(self, node: Selector | Subquery) -> int:
        """The instant (ms) at which the samples are looked for."""
        at = node.at
        if at is None:
            return self.at - node.offset
        if at == "start":
            at = self.root if self.options.start is None else self.options.start
        elif at == "end":
            at = self.root if self.options.end is None else self.options.end
        return at - node.offset

    def select(self, node: Selector) -> list[Series]:
        """The series that the selector's matchers accept; asked for once per evaluation."""
        found = self._found.get(id(node))
        if found is None:
            self.spend(costs.SOUGHT * self.store.unknown(node.matchers))
            found = self._found[id(node)] = (node, self.store.select(node.matchers))
        return found[1]

    def points(self, node: Selector) -> list[tuple[Series, int, float]]:
        """The sample (series, ms, value) that speaks for each selected series."""
        reference = self.reference(node)
        oldest = reference - _LOOKBACK
        found = self.select(node)
        self.spend(len(found))
        points = []
        first = entry = NEVER
        behind = 0
        for series in found:
            times = series.times
            index = len(times) - 1
            if index < 0:
                continue
            time = times[index]
            if time > reference:
                behind += 1
                index = newest_before(times, reference)
                entry = min(entry, times[index + 1])
                if index < 0:
                    continue
                time = times[index]
            if time <= oldest:
                continue
            value = series.values[index]
            if value == value or not is_stale(value):
                points.append((series, time, value))
                if time < first:
                    first = time
        self.spend(costs.FOUND * behind)
        self._watch(node, min(first + _LOOKBACK, entry))
        return points

    def ranges(self, node: Window) -> list[tuple[Series, int, int]]:
        """Each selected series with the indices [low, high) of its samples inside the window, without the stale
        markers at either end (some may be left inside); series without any are left out. Whoever reads all of them
        and not the edges alone spends for them as well."""
        start, end = self.bounds(node)
        selected = self.select(node.selector)
        self.spend(2 * len(selected))
        found: list[tuple[Series, int, int]] = []
        low = 0
        first = entry = NEVER
        for series in selected:
            times = series.times
            high = len(times)
            if not high or times[high - 1] > end:
                high = bisect_right(times, end)
                if high < len(times) and times[high] < entry:
                    entry = times[high]
            # series of one collector have the same times: where the last one's window began is the first guess
            if not (low < high and times[low] > start and (not low or times[low - 1] <= start)):
                low = bisect_right(times, start, 0, high)
                if low >= high:
                    continue
            if times[low] < first:
                first = times[low]
            if series.holes:
                begin, stop, _inside = series.trim(low, high)
                if begin < stop:
                    found.append((series, begin, stop))
            else:
                found.append((series, low, high))
        self._watch(node.selector, min(first + node.span, entry))
        return found

    def spans(self, node: Window | Subquery) -> list[Span]:
        """The samples of each series inside the window; series without any are left out."""
        if isinstance(node, Subquery):
            return self._made(node)
        found = self.ranges(node)
        visits = 0
        for _series, low, high in found:
            visits += high - low
        self.spend(visits)
        spans: list[Span] = []
        for series, low, high in found:
            times, values = series.times[low:high], series.values[low:high]
            if not series.holes:
                spans.append((series, times, values))
                continue
            kept = [pair for pair in zip(times, values, strict=True) if not is_stale(pair[1])]
            spans.append((series, [pair[0] for pair in kept], [pair[1] for pair in kept]))
        return spans

    def bounds(self, node: Window | Subquery) -> tuple[int, int]:
        """The window as (start, end] in ms."""
        end = self.reference(node if isinstance(node, Subquery) else node.selector)
        return end - node.span, end

    def _made(self, node: Subquery) -> list[Span]:
        """The elements of a subquery's expression at each multiple of its step inside the window."""
        start, end = self.bounds(node)
        step = node.step or self.options.step
        grid = range((start // step + 1) * step, end + 1, step)
        upcoming = (end // step + 1) * step
        self._watch(node, min(upcoming, grid[0] + node.span) if grid else upcoming)
        self.spend(len(grid) * len(list(walk(node.expr))) * costs.NODE)
        made: dict[Labels, Made] = {}
        known: dict[int, tuple[Labels, Made]] = {}
        at = self.at
        self._inside += 1
        for instant in grid:
            self.at = instant
            vector = self.vector(node.expr)
            self.spend(costs.KEPT * len(vector))
            for labels, value in vector:
                found = known.get(id(labels))
                if found is None:
                    plain: Labels = tuple(labels)  # the mark of a name to be dropped ends here, as upstream has it
                    found = known[id(labels)] = (labels, made.setdefault(plain, Made(plain)))
                if found[1].times and found[1].times[-1] == instant:
                    raise EvaluationError(SAME)
                found[1].times.append(instant)
                found[1].values.append(value)
        self._inside -= 1
        self.at = at
        return [(one, one.times, one.values) for one in made.values()]

    def _watch(self, node: Selector | Subquery, instant: int) -> None:
        """Note that what this node sees can change once it looks at `instant`. What is fixed by `@`, or looked at
        from the fixed instants of a subquery, changes by samples alone."""
        if node.at is None:
            if self._inside:
                return
        elif node.at == "start":
            if self.options.start is not None:
                return
        elif node.at != "end" or self.options.end is not None:
            return
        self.until = min(self.until, instant + node.offset)


def evaluate(
    node: Node, store: Store, at_ms: int, purse: int = PURSE, options: Options = PLAIN
) -> Vector | float | str:
    """The value of an expression at `at_ms`. EvaluationError where it has none."""
    return Frame(store, at_ms, purse, options).result(node)


def evaluate_until(
    node: Node, store: Store, at: int, purse: int = PURSE, options: Options = PLAIN
) -> tuple[Vector | float | str, int]:
    """The value at `at`, and the first later instant (ms) at which it can be another though no sample comes (NEVER if
    there is none). What moves with time itself (`time()`, `rate()` …) is not told of: that needs a tick."""
    frame = Frame(store, at, purse, options)
    value = frame.result(node)
    return value, frame.until
