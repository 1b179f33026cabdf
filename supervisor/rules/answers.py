"""Whole answers to asked questions: an expression at one instant, or at each step of a range, as Prometheus answers.

Used by `core/asked.py` (the Prometheus API, `resurgam query`) and by `resurgam query --series`; `views/prometheus.py`
writes answers down. Pure: reads the store it is given, knows no clock. Times are integer milliseconds.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from supervisor.facts import Labels
from supervisor.rules.promql.evaluate import PURSE, EvaluationError, Frame, Options
from supervisor.rules.promql.nodes import Kind, Pos, Selector, Subquery, Window, walk
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.rules.promql.schedule import needed
from supervisor.samples import Store, to_ms
from supervisor.units import Matcher

MOST_STEPS = 11_000
"""Instants of one range question, as Prometheus allows."""
MOST_POINTS = 1_000_000
"""Samples that one answer may have."""

MOST_NOTES = 10
PLAIN = Options()

Found = tuple[Labels, Sequence[int], Sequence[float]]
"""One series of an answer: its labels, and the instants (ms) and values of its samples, side by side. No object is made
for each sample: hundreds of thousands of them would keep the garbage collector, and with it every turn, busy."""


@dataclass(frozen=True, slots=True)
class Question:
    """An expression, and when it is asked: at `start` alone, or (with a `step`) at every step from `start` to `end`.
    ValueError, in Prometheus' words, where it cannot be asked so."""

    expr: CompiledExpr
    start: int
    end: int = 0
    step: int = 0
    """ms; 0: at one instant"""

    def __post_init__(self) -> None:
        if not self.step:
            return
        kind = self.expr.node.kind
        if kind not in (Kind.SCALAR, Kind.VECTOR):
            raise ValueError(
                f'invalid parameter "query": invalid expression type "{kind.value}" for range query, '
                "must be Scalar or instant Vector"
            )
        if self.step < 0:
            raise ValueError(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if self.end < self.start:
            raise ValueError('invalid parameter "end": end timestamp must not be before start time')
        if (self.end - self.start) // self.step > MOST_STEPS:
            raise ValueError(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )

    @property
    def wanted(self) -> tuple[tuple[Matcher, ...], ...]:
        """What its selectors ask for, each once."""
        return tuple(dict.fromkeys(selector.matchers for selector, _span in self.expr.selectors))

    @property
    def since(self) -> int:
        """No sample at or before this instant is looked at."""
        for node in walk(self.expr.node):
            if isinstance(node, Selector | Subquery) and node.at is not None:
                return -(1 << 62)  # a fixed instant may lie anywhere
        return self.start - to_ms(needed(self.expr.selectors)) - 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gives. A scalar is one series without labels, with one sample."""

    kind: str
    """vector | matrix | scalar | string"""
    series: tuple[Found, ...] = ()
    """in the evaluator's order for a vector, by labels for a matrix"""
    at: int = 0
    text: str = ""
    """of a string"""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


def answer(
    question: Question,
    store: Store,
    options: Options = PLAIN,
    purse: int = PURSE,
    pace: Callable[[], None] | None = None,
) -> Answer:
    """The answer. EvaluationError where there is none, in Prometheus' words. `pace` is called again and again while
    samples are looked at: it ends the evaluation by raising."""
    run = _Run(question, store, replace(options, annotate=True), purse, pace)
    found = run.over() if question.step else run.instant()
    warnings: list[str] = []
    infos: list[str] = []
    for text, pos in run.notes.items():
        (infos if text.startswith("PromQL info:") else warnings).append(f"{text} ({_place(question.expr.text, pos)})")
    return replace(found, warnings=_few(warnings, "warning"), infos=_few(infos, "info"))


class _Paced(Frame):
    """A frame that asks now and then whether it may go on."""

    __slots__ = ("pace",)

    def __init__(self, store: Store, at: int, purse: int, options: Options, pace: Callable[[], None]) -> None:
        super().__init__(store, at, purse, options)
        self.pace = pace

    def spend(self, visits: int) -> None:
        super().spend(visits)
        self.pace()


class _Run:
    """One question at work."""

    def __init__(
        self, question: Question, store: Store, options: Options, purse: int, pace: Callable[[], None] | None
    ) -> None:
        self.question, self.store, self.purse, self.pace = question, store, purse, pace
        self.options = replace(options, start=question.start, end=question.end if question.step else question.start)
        self.notes: dict[str, Pos] = {}

    def frame(self, at: int) -> Frame:
        if self.pace is None:
            return Frame(self.store, at, self.purse, self.options)
        return _Paced(self.store, at, self.purse, self.options, self.pace)

    def instant(self) -> Answer:
        node, at = self.question.expr.node, self.question.start
        frame = self.frame(at)
        if isinstance(node, Window | Subquery):
            spans = frame.spans(node)
            self.notes.update(frame.notes)
            found = [(source.labels, times, values) for source, times, values in spans]
            return Answer("matrix", tuple(sorted(found, key=lambda one: one[0])), at)
        value = frame.result(node)
        self.notes.update(frame.notes)
        if isinstance(value, str):
            return Answer("string", at=at, text=value)
        if isinstance(value, list):
            return Answer("vector", tuple((labels, (at,), (number,)) for labels, number in value), at)
        return Answer("scalar", (((), (at,), (float(value),)),), at)

    def over(self) -> Answer:
        """Step by step; each step has a purse of its own, the answer as a whole is bounded."""
        question = self.question
        found: dict[Labels, tuple[array[int], array[float]]] = {}
        count = 0
        for at in range(question.start, question.end + 1, question.step):
            if self.pace is not None:
                self.pace()
            frame = self.frame(at)
            value = frame.result(question.expr.node)
            self.notes.update(frame.notes)
            vector = value if isinstance(value, list) else [((), float(value))]
            count += len(vector)
            if count > MOST_POINTS:
                raise EvaluationError(
                    f"the answer would have more than {MOST_POINTS} samples; ask for fewer series, or a longer step"
                )
            for labels, number in vector:
                kept = found.get(labels)
                if kept is None:
                    kept = found[labels] = (array("q"), array("d"))
                times, values = kept
                if times and times[-1] == at:
                    raise EvaluationError("vector cannot contain metrics with the same labelset")
                times.append(at)
                values.append(number)
        return Answer("matrix", tuple((labels, *found[labels]) for labels in sorted(found)), question.end)


def _place(text: str, pos: Pos) -> str:
    """`line:column`, from 1, of where a part of the expression starts."""
    at = pos[0]
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


def _few(notes: list[str], kind: str) -> tuple[str, ...]:
    """The first ten, as Prometheus' API tells them."""
    if len(notes) <= MOST_NOTES:
        return tuple(notes)
    return (*notes[:MOST_NOTES], f"{len(notes) - MOST_NOTES} more {kind} annotations omitted")
