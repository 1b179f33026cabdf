"""Asked questions beside the turns: one at a time, in slices, given up when late or when nobody waits."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from supervisor.clock import ManualClock, SystemClock
from supervisor.core.asked import LIMIT, MOST_WAITING, TORN, Asked, TooLate, TooManyAsked
from supervisor.facts import Sample, labels
from supervisor.lab.loop import SimLoop
from supervisor.rules.answers import Answer, Question
from supervisor.rules.promql.evaluate import EvaluationError
from supervisor.rules.promql.parse import compile_expr
from supervisor.samples import Store
from supervisor.units import Matcher
from tests.support.rules import filled

PATIENCE = 5.0


def question(text: str, at: int = 60_000) -> Question:
    return Question(compile_expr(text), at)


def whole(found: Answer) -> Answer:
    return found


def values(found: Answer) -> list[float]:
    return [values[-1] for _labels, _times, values in found.series]


@pytest.fixture
def store() -> Store:
    return filled({'x{n="a"}': "1 2 3 4 5", 'x{n="b"}': "5x4"}, 15)


class Gate(ManualClock):
    """A clock at which the evaluating thread, and it alone, waits until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.there, self.visits = threading.Event(), threading.Event(), 0

    def mono(self) -> float:
        if threading.current_thread() is not threading.main_thread():
            self.visits += 1
            self.there.set()
            assert self.open.wait(PATIENCE), "nobody opened the gate: the loop stands still"
        return super().mono()

    async def arrived(self) -> None:
        """Wait until the thread stands at the gate."""
        while not self.there.is_set():
            await asyncio.sleep(0)


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.open.set()


async def test_the_answer_is_shaped_on_the_thread(store: Store) -> None:
    asked = Asked(store, ManualClock())
    where = await asked.answer(question("x"), lambda found: (values(found), threading.current_thread().name))
    assert where[0] == [5.0, 5.0]
    assert where[1].startswith("asked")


async def test_the_loop_turns_while_an_expression_is_evaluated(store: Store, gate: Gate) -> None:
    asked = Asked(store, gate)
    waiting = asyncio.ensure_future(asked.answer(question("sum(x)"), values))
    passes = 0
    while not waiting.done():
        await asyncio.sleep(0)
        passes += 1
        if passes == 1000:
            gate.open.set()
    assert passes >= 1000
    assert await waiting == [10.0]


async def test_a_heavy_question_leaves_the_loop_its_turns() -> None:
    store = filled({f'x{{n="{number}"}}': "0+1x400" for number in range(20)}, 15)
    asked = Asked(store, SystemClock())
    heavy = Question(compile_expr("sum(deriv(x[2h]))"), 0, 6_000_000, 300_000)
    waiting = asyncio.ensure_future(asked.answer(heavy, whole))
    passes = 0
    while not waiting.done():
        await asyncio.sleep(0)
        passes += 1
    assert len((await waiting).series[0][1]) == 20
    assert passes >= 4


async def test_what_arrives_meanwhile_does_not_change_the_answer(store: Store, gate: Gate) -> None:
    asked = Asked(store, gate)
    waiting = asyncio.ensure_future(asked.answer(question("sum(x)"), values))
    await gate.arrived()
    store.append(60.0, [Sample(labels("x", n="a"), 1000.0), Sample(labels("x", n="c"), 1000.0)])
    store.prune(10_000.0)
    gate.open.set()
    assert await waiting == [10.0]


async def test_a_question_nobody_waits_for_any_more_is_given_up(store: Store, gate: Gate) -> None:
    asked = Asked(store, gate)
    long = Question(compile_expr("x"), 0, 600_000, 1000)
    waiting = asyncio.ensure_future(asked.answer(long, whole))
    await gate.arrived()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open.set()
    assert values(await asked.answer(question("sum(x)"), whole)) == [10.0]
    assert gate.visits < 10, "it went on although nobody waited"


async def test_one_that_waits_in_the_queue_can_go_away(store: Store, gate: Gate) -> None:
    asked = Asked(store, gate)
    first = asyncio.ensure_future(asked.answer(question("sum(x)"), values))
    await gate.arrived()
    second = asyncio.ensure_future(asked.answer(question("x"), values))
    third = asyncio.ensure_future(asked.answer(question("count(x)"), values))
    await asyncio.sleep(0)
    second.cancel()
    gate.open.set()
    assert await first == [10.0]
    assert await third == [2.0]


class Racing(ManualClock):
    """A clock that goes on by `step` seconds whenever anybody looks at it."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self._step = step

    def mono(self) -> float:
        self.advance(self._step)
        return super().mono()


async def test_a_question_that_takes_too_long_is_given_up(store: Store) -> None:
    long = Question(compile_expr("x"), 0, 600_000, 1000)
    with pytest.raises(TooLate, match="timed out"):
        await Asked(store, Racing(0.5)).answer(long, whole)
    with pytest.raises(TooLate):
        await Asked(store, Racing(0.5)).answer(question("x"), whole, limit=0.1)
    assert issubclass(TooLate, EvaluationError)


async def test_nobody_may_have_more_than_the_limit(store: Store) -> None:
    with pytest.raises(TooLate):
        await Asked(store, Racing(LIMIT / 3)).answer(Question(compile_expr("x"), 0, 9000, 1000), whole, limit=1e9)


async def test_questions_are_answered_in_the_order_they_came_and_only_so_many_wait(store: Store, gate: Gate) -> None:
    asked = Asked(store, gate)
    order: list[int] = []

    async def one(number: int) -> None:
        await asked.answer(question("x"), whole)
        order.append(number)

    tasks = [asyncio.ensure_future(one(number)) for number in range(MOST_WAITING + 1)]
    await gate.arrived()
    with pytest.raises(TooManyAsked, match="32 questions wait already"):
        await asked.answer(question("x"), whole)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert order == list(range(MOST_WAITING + 1))
    assert values(await asked.answer(question("sum(x)"), whole)) == [10.0]


async def test_an_error_of_the_expression_is_the_callers(store: Store) -> None:
    with pytest.raises(EvaluationError, match="same labelset"):
        await Asked(store, ManualClock()).answer(question('label_replace(x, "n", "", "", "")'), whole)


def crowd(count: int) -> Store:
    store = Store()
    store.append(60.0, [Sample(labels("x", n=str(number)), 1.0) for number in range(count)])
    return store


async def test_many_series_are_gathered_in_slices() -> None:
    asked = Asked(crowd(2000), Racing(0.001))
    waiting = asyncio.ensure_future(asked.answer(question("count(x)"), values))
    passes = 0
    while not waiting.done():
        await asyncio.sleep(0)
        passes += 1
    assert await waiting == [2000.0]
    assert passes >= 10


async def test_a_turn_in_between_makes_it_gather_again_and_a_busy_box_is_said() -> None:
    turns = 0
    asked = Asked(crowd(2000), Racing(0.001), lambda: turns)
    waiting = asyncio.ensure_future(asked.answer(question("count(x)"), whole))
    while not waiting.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await waiting).infos == (TORN,)

    turns, once = 0, asyncio.ensure_future(asked.answer(question("count(x)"), whole))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    turns += 1
    assert (await once).infos == ()


async def test_series_by_their_matchers_and_by_time(store: Store) -> None:
    store.append(1000.0, [Sample(labels("late"), 1.0)])
    asked = Asked(store, ManualClock())
    name = (Matcher("__name__", "=", "x"), Matcher("n", "=~", "a|c"))
    assert await asked.series([name], 0, 1 << 60) == [labels("x", n="a")]
    everything = [labels("late"), labels("x", n="a"), labels("x", n="b")]
    assert await asked.series([], 0, 1 << 60) == everything
    assert await asked.series([name, (Matcher("__name__", "=~", "x|late"),)], 0, 1 << 60) == everything
    assert await asked.series([], 900_000, 2_000_000) == [labels("late")]
    assert await asked.series([], 61_000, 2_000_000) == [labels("late")]
    assert await asked.series([], 0, 999_000) == everything[1:]


async def test_now_is_never_before_what_arrived(store: Store) -> None:
    clock = ManualClock(50.0)
    assert Asked(store, clock).now() == 60_000
    clock.advance(100)
    assert Asked(store, clock).now() == 150_000


async def test_an_end_of_the_daemon_ends_what_runs(store: Store, gate: Gate) -> None:
    asked = Asked(store, gate)
    waiting = asyncio.ensure_future(asked.answer(Question(compile_expr("x"), 0, 600_000, 1000), whole))
    await gate.arrived()
    asked.close()
    gate.open.set()
    with pytest.raises(TooLate, match="the daemon ends"):
        await waiting
    assert gate.visits < 10
    with pytest.raises(TooManyAsked, match="the daemon ends"):
        await asked.answer(question("x"), whole)


def test_under_the_virtual_clock_there_is_no_thread_and_no_slice() -> None:
    loop = SimLoop()
    asked = Asked(crowd(2000), loop.clock)
    threads: list[str] = []

    def shape(found: Answer) -> list[float]:
        threads.append(threading.current_thread().name)
        return values(found)

    assert loop.run_until_complete(asked.answer(question("count(x)"), shape)) == [2000.0]
    assert threads == [threading.main_thread().name]
    loop.close()
