"""What an evaluation is given and what it may answer: its options, its error, and the samples of a range vector.

Used by `evaluate.py`, which is where everybody else takes these names from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from supervisor.errors import ResurgamError
from supervisor.facts import Labels
from supervisor.rules.promql.labelsets import without
from supervisor.rules.promql.nodes import Pos, Vector

PURSE = 2_000_000
"""Sample visits that one evaluation may spend: about half a second of one core, the longest that a turn may be held.
What takes longer than a look at a sample (an element that is matched, grouped, relabelled, sorted) costs several."""

DEFAULT_STEP = 60_000
"""ms between the instants of a subquery that names no step: Prometheus' default evaluation interval."""


class EvaluationError(ResurgamError):
    """The expression has no value now; the text says why, in Prometheus' words where it has words for it."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an expression is evaluated. `start` and `end` (ms): the range of the query it belongs to, what `@ start()`
    and `@ end()` mean; None for the instant itself, as in rules."""

    delayed_names: bool = False
    """upstream's `promql-delayed-name-removal`: names are dropped at the very end"""
    step: int = DEFAULT_STEP
    start: int | None = None
    end: int | None = None
    annotate: bool = False
    """collect what Prometheus would warn of (`Frame.notes`)"""


PLAIN = Options()
"""As Prometheus without any feature flag."""


class Source(Protocol):
    """Where the samples of a range vector come from: a series, or one element of a subquery."""

    @property
    def labels(self) -> Labels: ...
    @property
    def bare(self) -> Labels: ...


Span = tuple[Source, Sequence[int], Sequence[float]]
"""One series of a range vector: its timestamps (ms) and values inside the window, never empty."""


class Made:
    """One element of a subquery over its instants."""

    __slots__ = ("labels", "times", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.times: list[int] = []
        self.values: list[float] = []

    @property
    def bare(self) -> Labels:
        """Its labels without the name."""
        return without(self.labels)


SAME = "vector cannot contain metrics with the same labelset"


def distinct(vector: Vector) -> None:
    """EvaluationError if two elements have the same labels."""
    if len({labels for labels, _value in vector}) != len(vector):
        raise EvaluationError(SAME)


def placed(notes: dict[str, Pos], text: str) -> list[str]:
    """An evaluation's notes as Prometheus' API words them, with line and column in the expression's text."""
    found = []
    for note, (start, _end) in notes.items():
        line = text.count("\n", 0, start) + 1
        found.append(f"{note} ({line}:{start - text.rfind(chr(10), 0, start)})")
    return found
