"""One suite for both gates (ports.Gate): the real one over loopback, and the simulated one. What maneuvers and the
lab's stories build on must hold of both.

A check is `async def check(make: Make)`; `make(hold=…, held=…)` opens a lab whose slot SLOT has these bounds.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from supervisor.facts import GateState
from supervisor.ports import Gate

SLOT = "oracle"
OK, TURNED, CUT, FAILED = "ok", "turned", "cut", "failed"
"""how a request ended: a whole answer | 503 | ended by the gate, which said so | its model server broke off, told so"""


class Lab(Protocol):
    """A gate before model servers, and callers."""

    gate: Gate
    answered: list[str]
    """the names of the model servers that got a request, in order"""

    def ask(self) -> Callable[[], Awaitable[tuple[str, str]]]:
        """A request is on its way. What it returns waits for its end: (OK …, the model that answered)."""

    async def serve(self, model: str, *, busy: bool = False) -> str:
        """A model server; where it is. `busy`: each answer waits for `release`."""

    async def leave(self, model: str) -> None:
        """Nobody listens there any more; what it works on breaks off."""

    def release(self) -> None:
        """Answers need not wait any longer."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for that."""

    async def hang_up(self) -> None:
        """One more caller comes, whose request waits, and goes away."""


Make = Callable[..., AbstractAsyncContextManager[Lab]]
Check = Callable[[Make], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Make it part of the suite."""
    CHECKS.append(function)
    return function


def stands(lab: Lab) -> GateState:
    found = lab.gate.state(SLOT)
    assert found is not None
    return found


@check
async def a_door_that_was_told_nothing_holds(make: Make) -> None:
    async with make() as lab:
        ends = lab.ask()
        await lab.until(lambda: stands(lab).held == 1)
        assert not stands(lab).open
        assert stands(lab).upstream == ""
        where = await lab.serve("a")
        lab.gate.open(SLOT, where)
        assert await ends() == (OK, "a")
        assert (stands(lab).open, stands(lab).upstream, stands(lab).held) == (True, where, 0)


@check
async def new_requests_wait_while_those_inside_go_on(make: Make) -> None:
    async with make() as lab:
        lab.gate.open(SLOT, await lab.serve("a", busy=True))
        first = lab.ask()
        await lab.until(lambda: lab.answered == ["a"])
        lab.gate.hold(SLOT, "it is swapped")
        second = lab.ask()
        await lab.until(lambda: (stands(lab).in_flight, stands(lab).held) == (1, 1))
        lab.release()
        assert await first() == (OK, "a")
        await lab.until(lambda: stands(lab).in_flight == 0)
        assert stands(lab).held == 1
        await lab.leave("a")
        lab.gate.open(SLOT, await lab.serve("b"))
        assert await second() == (OK, "b")
        assert (stands(lab).requests, stands(lab).errors, stands(lab).refused) == (2, 0, 0)
        assert stands(lab).longest_hold > 0


@check
async def those_that_wait_go_in_as_they_came(make: Make) -> None:
    async with make(in_flight=1) as lab:
        ends = []
        for number in range(4):
            ends.append(lab.ask())
            await lab.until(lambda number=number: stands(lab).held == number + 1)
        lab.gate.open(SLOT, await lab.serve("a", busy=True))
        await lab.until(lambda: stands(lab).in_flight == 1 and stands(lab).held == 3)
        lab.release()
        assert [await end() for end in ends] == [(OK, "a")] * 4
        assert len(lab.answered) == 4


@check
async def a_door_that_leads_elsewhere_leaves_those_inside_where_they_are(make: Make) -> None:
    async with make() as lab:
        lab.gate.open(SLOT, await lab.serve("a", busy=True))
        first = lab.ask()
        await lab.until(lambda: lab.answered == ["a"])
        lab.gate.open(SLOT, await lab.serve("b"))
        second = lab.ask()
        assert await second() == (OK, "b")
        assert stands(lab).in_flight == 1
        lab.release()
        assert await first() == (OK, "a")


@check
async def who_finds_nobody_waits_until_somebody_is_there(make: Make) -> None:
    async with make() as lab:
        where = await lab.serve("a")
        await lab.leave("a")
        lab.gate.open(SLOT, where)
        ends = [lab.ask(), lab.ask()]
        await lab.until(lambda: stands(lab).held == 2)
        lab.gate.open(SLOT, await lab.serve("b"))
        assert [await end() for end in ends] == [(OK, "b")] * 2
        assert (stands(lab).errors, stands(lab).refused) == (0, 0)


@check
async def who_finds_nobody_knocks_again_by_itself(make: Make) -> None:
    async with make() as lab:
        where = await lab.serve("a")
        await lab.leave("a")
        lab.gate.open(SLOT, where)
        ends = [lab.ask(), lab.ask(), lab.ask()]
        await lab.until(lambda: stands(lab).held == 3)
        assert await lab.serve("a") == where  # it was only started anew
        assert [await end() for end in ends] == [(OK, "a")] * 3


@check
async def nobody_waits_longer_than_he_may(make: Make) -> None:
    async with make(hold=0.3) as lab:
        ends = lab.ask()
        assert (await ends())[0] == TURNED
        assert (stands(lab).refused, stands(lab).held) == (1, 0)


@check
async def no_more_wait_than_may(make: Make) -> None:
    async with make(held=2) as lab:
        ends = [lab.ask(), lab.ask()]
        await lab.until(lambda: stands(lab).held == 2)
        assert (await lab.ask()())[0] == TURNED
        lab.gate.open(SLOT, await lab.serve("a"))
        assert [await end() for end in ends] == [(OK, "a")] * 2
        assert stands(lab).refused == 1


@check
async def a_slot_that_nobody_holds_sends_everybody_away_at_once(make: Make) -> None:
    async with make() as lab:
        waits = lab.ask()
        await lab.until(lambda: stands(lab).held == 1)
        lab.gate.refuse(SLOT, "its model could not be brought back", 30.0)
        assert (await waits())[0] == TURNED
        assert (await lab.ask()())[0] == TURNED
        assert (stands(lab).refused, stands(lab).open) == (2, False)
        lab.gate.open(SLOT, await lab.serve("a"))
        assert await lab.ask()() == (OK, "a")


@check
async def what_is_inside_can_be_cut_and_is_told_so(make: Make) -> None:
    async with make() as lab:
        lab.gate.open(SLOT, await lab.serve("a", busy=True))
        inside = [lab.ask(), lab.ask()]
        await lab.until(lambda: len(lab.answered) == 2)
        lab.gate.hold(SLOT, "it is swapped")
        waits = lab.ask()
        await lab.until(lambda: stands(lab).held == 1)
        assert lab.gate.cut(SLOT) == 2
        assert [(await end())[0] for end in inside] == [CUT] * 2
        await lab.until(lambda: stands(lab).in_flight == 0)
        assert (stands(lab).cut, stands(lab).errors, stands(lab).held) == (2, 0, 1)
        lab.release()
        lab.gate.open(SLOT, await lab.serve("b"))
        assert await waits() == (OK, "b")
        assert lab.gate.cut(SLOT) == 0


@check
async def a_model_that_dies_with_a_request_is_an_error_and_it_is_not_asked_twice(make: Make) -> None:
    async with make() as lab:
        lab.gate.open(SLOT, await lab.serve("a", busy=True))
        ends = lab.ask()
        await lab.until(lambda: lab.answered == ["a"])
        await lab.leave("a")
        assert (await ends())[0] == FAILED
        await lab.until(lambda: (stands(lab).errors, stands(lab).in_flight) == (1, 0))
        lab.release()
        await lab.serve("a")
        assert await lab.ask()() == (OK, "a")
        assert lab.answered == ["a", "a"]


@check
async def a_caller_that_goes_away_waits_no_longer(make: Make) -> None:
    async with make() as lab:
        await lab.hang_up()
        await lab.until(lambda: stands(lab).requests == 1 and stands(lab).held == 0)
        lab.gate.open(SLOT, await lab.serve("a"))
        assert await lab.ask()() == (OK, "a")
        assert lab.answered == ["a"]


@check
async def a_slot_without_a_gate_has_none_of_it(make: Make) -> None:
    async with make() as lab:
        for slot in ("other", "nobody's"):
            assert lab.gate.state(slot) is None
            lab.gate.hold(slot, "x")
            lab.gate.open(slot, "http://127.0.0.1:1")
            lab.gate.refuse(slot, "x", 1.0)
            assert lab.gate.cut(slot) == 0
