"""Asked questions: what people, dashboards and `resurgam query` ask of the samples, beside the turns and never in one.

In: questions from the doors. Out: answers (`rules/answers.py`). The samples that a question can see are copied in
slices of 5 ms on the loop; the evaluation then runs on a thread of its own, on that copy alone. So no sample is
touched by two threads, a turn never waits for a question longer than the interpreter's own 5 ms between threads,
and what is answered is one fixed instant whatever arrives meanwhile. Questions are answered one at a time, in the
order they came. Under the virtual clock a slice never ends and the thread is the loop itself: nothing is left to
chance.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

from supervisor.clock import Clock
from supervisor.errors import ResurgamError
from supervisor.facts import Labels
from supervisor.rules.answers import PLAIN, Answer, Question, answer
from supervisor.rules.promql.evaluate import EvaluationError, Options
from supervisor.samples import Series, Store, to_ms
from supervisor.units import Matcher


class Need(Protocol):
    """The samples that somebody asks about: of all series that one of the matcher sets accepts, later than `since`."""

    @property
    def wanted(self) -> Sequence[tuple[Matcher, ...]]: ...
    @property
    def since(self) -> int: ...


T = TypeVar("T")
N = TypeVar("N", bound=Need)
Pace = Callable[[], None]

SLICE = 0.005
"""seconds of copying before everything else gets its turn"""
LIMIT = 10.0
"""seconds that one question may take"""
MOST_WAITING = 32
"""questions that may wait"""
MOST_SAMPLES = 4_000_000
"""samples that one question may be about: 64 MB"""

_LOOK_AT_CLOCK = 32
_TRIES = 4
TORN = (
    "PromQL info: readings came in while this was gathered, so some series may be one reading ahead of others"
    " (ask again, or for fewer series)"
)


class TooMuchAsked(EvaluationError):
    """The question is about more samples than may be copied."""


class TooManyAsked(ResurgamError):
    """Enough questions wait already."""


class TooLate(EvaluationError):
    """The question took longer than it may."""


class _Dropped(Exception):
    """Nobody waits for the answer any more."""


class Asked:
    """Answers questions about one store. `turns` counts the turns of the core, in which alone the store changes."""

    def __init__(
        self, store: Store, clock: Clock, turns: Callable[[], int] = lambda: 0, options: Options = PLAIN
    ) -> None:
        self._store, self._clock, self._turns, self._options = store, clock, turns, options
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="asked")
        self._alone = asyncio.Lock()
        self._waiting = 0
        self._closed = False

    def now(self) -> int:
        """The instant (ms) of a question that names none: nothing that arrived is later."""
        return max(to_ms(self._clock.wall()), self._store.newest)

    async def answer(
        self, question: Question, shape: Callable[[Answer], T], limit: float = LIMIT, delayed_names: bool = False
    ) -> T:
        """What `shape` makes of the answer; it runs on the thread, too, so a large answer is written down there.
        EvaluationError where there is none, TooLate after `limit` seconds (LIMIT at most), TooManyAsked where too many
        wait. Given up at once when the caller is cancelled."""
        options = replace(self._options, delayed_names=True) if delayed_names else self._options

        def work(question: Question, frozen: Store, pace: Callable[[], None], notes: tuple[str, ...]) -> T:
            found = answer(question, frozen, options, pace=pace)
            return shape(replace(found, infos=(*found.infos, *notes)))

        return await self.over(lambda: question, work, limit)

    async def over(
        self, look: Callable[[], N], work: Callable[[N, Store, Pace, tuple[str, ...]], T], limit: float = LIMIT
    ) -> T:
        """What `work` makes, on the thread, of a copy of samples (its own: it may write to it). `look` says which; it
        is called on the loop at the very instant of the copy, so what it sees of the core belongs to these samples.
        `work` calls the pace again and again, which ends it by raising; it also gets what is to be noted of the copy.
        Errors as those of `answer`."""
        async with self._turn():
            deadline = self._clock.mono() + min(limit, LIMIT)
            need, frozen, torn = await self._freeze(look, deadline)
            ticket = _Ticket(self._clock, deadline, lambda: self._closed)
            loop = asyncio.get_running_loop()
            done = loop.run_in_executor(self._thread, work, need, frozen, ticket.pace, (TORN,) if torn else ())
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                ticket.dropped = True
                done.add_done_callback(_heard)
                raise
            except _Dropped:
                raise TooLate("the daemon ends; ask again when it runs") from None

    async def series(self, wanted: Sequence[tuple[Matcher, ...]], start: int, end: int) -> list[Labels]:
        """The label sets of all series that one of the matcher sets accepts and that have a sample within [start, end]
        (ms), ordered. No matcher set at all means every series."""
        async with self._turn():
            deadline = self._clock.mono() + LIMIT
            found: dict[Labels, None] = {}
            for matchers in wanted or [()]:
                async for series in self._matching(matchers, deadline):
                    if _within(series, start, end):
                        found[series.labels] = None
            return sorted(found)

    def close(self) -> None:
        """End what runs at the next sample it looks at; no new question is taken up."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until all who came before have their answer."""
        if self._waiting > MOST_WAITING:
            raise TooManyAsked(f"{MOST_WAITING} questions wait already; ask again in a moment")
        self._waiting += 1
        try:
            async with self._alone:
                if self._closed:
                    raise TooManyAsked("the daemon ends; ask again when it runs")
                yield
        finally:
            self._waiting -= 1

    # ------------------------------------------------------------ a copy of what the question can see

    async def _freeze(self, look: Callable[[], N], deadline: float) -> tuple[N, Store, bool]:
        """What is needed, those samples as a store of its own, and whether a turn came in between on every try."""
        torn = True
        for _ in range(_TRIES):
            before = self._turns()
            need = look()
            frozen = await self._copy(need, deadline)
            torn = self._turns() != before
            if not torn:
                break
        return need, frozen, torn

    async def _copy(self, need: Need, deadline: float) -> Store:
        frozen = Store(max_series=1 << 62, max_points=1 << 62)
        since, count = need.since, 0
        for matchers in need.wanted:
            async for series in self._matching(matchers, deadline):
                copy = series.since(since)
                count += len(copy.times)
                if count > MOST_SAMPLES:
                    raise TooMuchAsked(
                        f"the expression looks at more than {MOST_SAMPLES} samples; use a shorter range or a "
                        "narrower selector"
                    )
                if copy.times:
                    frozen.hold(copy)
        return frozen

    async def _matching(self, matchers: tuple[Matcher, ...], deadline: float) -> AsyncIterator[Series]:
        """Every series that all matchers accept, in no order; lets everything else have its turn every 5 ms."""
        begun = self._clock.mono()
        for index, series in enumerate(self._store.pool(matchers)):
            if index % _LOOK_AT_CLOCK == 0 and self._clock.mono() - begun >= SLICE:
                await asyncio.sleep(0)
                begun = self._clock.mono()
                if begun >= deadline:
                    raise _late()
            if _accepted(series.labels, matchers):
                yield series


class _Ticket:
    """One question at work on the thread: ends it where nobody waits any more, or it takes too long."""

    __slots__ = ("_clock", "_closed", "_deadline", "dropped")

    def __init__(self, clock: Clock, deadline: float, closed: Callable[[], bool]) -> None:
        self._clock, self._deadline, self._closed = clock, deadline, closed
        self.dropped = False

    def pace(self) -> None:
        """Called by the evaluation again and again."""
        if self.dropped or self._closed():
            raise _Dropped
        if self._clock.mono() >= self._deadline:
            raise _late()


def _late() -> TooLate:
    return TooLate("query timed out in expression evaluation")


def _accepted(labels: Labels, matchers: tuple[Matcher, ...]) -> bool:
    found = dict(labels)
    return all(matcher.matches(found) for matcher in matchers)


def _within(series: Series, start: int, end: int) -> bool:
    return bool(series.times) and series.times[0] <= end and series.times[-1] >= start


def _heard(done: "asyncio.Future[T]") -> None:
    """Nobody waits any more: take the error, so that asyncio does not report it as forgotten."""
    if not done.cancelled():
        done.exception()
