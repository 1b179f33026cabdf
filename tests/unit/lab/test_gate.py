"""The simulated gate: the suite of gates, what dies with the daemon, and the callers that count."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.support.gate_suite")

from supervisor.clock import ManualClock  # noqa: E402
from supervisor.errors import ServerError  # noqa: E402
from supervisor.facts import Completion, Fact, Readings, Slot, SlotModel  # noqa: E402
from supervisor.lab import gate as sim  # noqa: E402
from supervisor.lab.gate import CutShort, SimCallers, SimGate  # noqa: E402
from supervisor.lab.loop import SimLoop  # noqa: E402
from tests.support.gate_suite import CHECKS, CUT, FAILED, OK, SLOT, TURNED, Check  # noqa: E402

LIMIT = 60.0


class Lab:
    """Implements gate_suite.Lab."""

    def __init__(self, clock: ManualClock, **bounds: Any) -> None:
        slots = (
            Slot(SLOT, (SlotModel("a"),), listen="127.0.0.1:8000", **bounds),
            Slot("other", (SlotModel("a"),)),
        )
        self.facts: list[Fact] = []
        self.gate = SimGate(slots, clock, self.facts.append, self._answer)
        self.answered: list[str] = []
        self._busy: set[str] = set()
        self._there: dict[str, asyncio.Event] = {}
        self._released = asyncio.Event()

    async def _answer(self, upstream: str, tokens: int) -> Completion:
        model = upstream.removeprefix("http://").removesuffix(":8000")
        if model not in self._there:
            raise ConnectionRefusedError(upstream)
        life = self._there[model]
        self.answered.append(model)
        while model in self._busy and not self._released.is_set() and not life.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        if life.is_set():
            raise ServerError("it broke off")
        return Completion("x", 0.0, 0.0, tokens, model=model)

    def ask(self) -> Callable[[], Awaitable[tuple[str, str]]]:
        task = asyncio.get_running_loop().create_task(self._ask())

        async def end() -> tuple[str, str]:
            return await asyncio.wait_for(task, LIMIT)

        return end

    async def _ask(self) -> tuple[str, str]:
        try:
            return OK, (await self.gate.call(SLOT)).model
        except sim.Turned:
            return TURNED, ""
        except CutShort:
            return CUT, ""
        except ServerError:
            return FAILED, ""

    async def serve(self, model: str, *, busy: bool = False) -> str:
        self._there[model] = asyncio.Event()
        if busy:
            self._busy.add(model)
        return f"http://{model}:8000"

    async def leave(self, model: str) -> None:
        self._there.pop(model).set()

    def release(self) -> None:
        self._released.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.01)

    async def hang_up(self) -> None:
        task = asyncio.get_running_loop().create_task(self.gate.call(SLOT))
        await asyncio.sleep(0.01)
        task.cancel()


@asynccontextmanager
async def lab(clock: ManualClock, **bounds: Any) -> AsyncIterator[Lab]:
    made = Lab(clock, **bounds)
    running = asyncio.get_running_loop().create_task(made.gate.run())
    try:
        yield made
    finally:
        running.cancel()
        made.gate.end()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_suite(check: Check) -> None:
    clock = ManualClock()
    SimLoop(clock).run_until_complete(check(lambda **bounds: lab(clock, **bounds)))


def run(story: Callable[[ManualClock], Awaitable[None]]) -> None:
    clock = ManualClock()
    SimLoop(clock).run_until_complete(story(clock))  # type: ignore[arg-type]


def test_when_the_daemon_dies_those_inside_and_those_that_wait_are_reset_and_nobody_listens() -> None:
    async def story(clock: ManualClock) -> None:
        async with lab(clock) as made:
            callers = SimCallers(SLOT, lambda: made.gate, clock, every=0.5)
            made.gate.open(SLOT, await made.serve("a", busy=True))
            coming = asyncio.get_running_loop().create_task(callers.run())
            await asyncio.sleep(1.1)
            made.gate.hold(SLOT, "it is swapped")
            await asyncio.sleep(1.0)
            made.gate.end()
            await asyncio.sleep(1.0)
            assert [call.kind for call in callers.calls] == [sim.RESET] * 5 + [sim.AWAY] * 2
            coming.cancel()

    run(story)


def test_callers_come_at_their_rate_and_count_who_answered() -> None:
    async def story(clock: ManualClock) -> None:
        async with lab(clock) as made:
            callers = SimCallers(SLOT, lambda: made.gate, clock, every=1.0)
            made.gate.open(SLOT, await made.serve("a"))
            coming = asyncio.get_running_loop().create_task(callers.run())
            await asyncio.sleep(2.5)
            made.gate.hold(SLOT, "it is swapped")
            await asyncio.sleep(3)
            assert callers.waiting == 3
            made.gate.open(SLOT, await made.serve("b"))
            await asyncio.sleep(1)
            assert callers.models == ("a", "b")
            assert (callers.count(sim.OK), callers.unanswered, callers.waiting) == (7, (), 0)
            coming.cancel()

    run(story)


def test_the_core_hears_of_each_change_at_once_and_of_the_rest_every_few_seconds() -> None:
    async def story(clock: ManualClock) -> None:
        async with lab(clock) as made:
            await asyncio.sleep(0.1)
            made.gate.open(SLOT, await made.serve("a"))
            await asyncio.sleep(0.1)
            assert await made.ask()() == (OK, "a")
            await asyncio.sleep(120)
        told = [fact for fact in made.facts if isinstance(fact, Readings)]
        assert [(fact.gates[0].open, fact.gates[0].requests) for fact in told[:3]] == [(False, 0), (True, 0), (True, 1)]
        assert told[1].mono - told[0].mono < 0.2
        assert 2 < told[2].mono - told[1].mono <= 10
        assert len(told) == 3 + 3  # and then only so that everybody knows that nothing happens
        assert {fact.collector for fact in told} == {"gate"}

    run(story)


def test_a_life_that_is_over_moves_no_door() -> None:
    class Dead(BaseException):
        pass

    def check() -> None:
        raise Dead

    gate = SimGate((Slot(SLOT, (), listen="x:1"),), ManualClock(), lambda _fact: None, None, check)  # type: ignore[arg-type]
    for effect in (lambda: gate.hold(SLOT, "x"), lambda: gate.open(SLOT, "x"), lambda: gate.cut(SLOT)):
        with pytest.raises(Dead):
            effect()
    assert gate.told == []


def test_each_effect_that_changes_something_is_a_place_to_be_killed_in() -> None:
    async def story(clock: ManualClock) -> None:
        points: list[int] = []
        slots = (Slot(SLOT, (), listen="x:1"),)
        gate = SimGate(slots, clock, lambda _fact: None, None, point=lambda: points.append(1))  # type: ignore[arg-type]
        gate.open(SLOT, "http://a:1")
        gate.open(SLOT, "http://a:1")
        gate.hold(SLOT, "x")
        assert len(points) == 4
        assert gate.told == [("open", SLOT, "http://a:1"), ("hold", SLOT, "x")]

    run(story)
