"""Who goes in, who waits and who is sent away, on a virtual clock. The suite of gates says the rest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import Slot
from supervisor.gate.lobby import Lobby
from supervisor.gate.visit import Gone, Turned, Visit
from supervisor.lab.loop import SimLoop

A, B = "http://a:1", "http://b:1"


def run(story: Callable[[Lobby], Awaitable[None]], **bounds: Any) -> None:
    clock = ManualClock()

    async def life() -> None:
        await story(Lobby(Slot("oracle", (), listen="x:1", **bounds), clock))

    SimLoop(clock).run_until_complete(life())


def enters(visit: Visit) -> "asyncio.Task[str]":
    return asyncio.get_running_loop().create_task(visit.enter())


def test_one_that_gives_up_while_it_knocks_leaves_the_knocking_to_the_next() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        first, second = lobby.arrive(), lobby.arrive()
        await first.enter()
        first.missed()
        waiting = [asyncio.ensure_future(first.again()), enters(second)]
        assert await waiting[0] == A  # its turn to knock
        first.drop()
        first.missed()
        try:
            await first.again()
        except Gone:
            first.left()
        assert await asyncio.wait_for(waiting[1], 60) == A
        assert lobby.clock.mono() < 5

    run(story)


def test_knocks_come_slower_and_slower_and_one_at_a_time() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        knocks: list[tuple[int, float]] = []

        async def ask(visit: Visit) -> None:
            await visit.enter()
            while len(knocks) < 12:
                knocks.append((visit.number, round(lobby.clock.mono(), 2)))
                visit.missed()
                await visit.again()
            assert visit.reached()

        tasks = [asyncio.ensure_future(ask(lobby.arrive())) for _ in range(3)]
        for task in tasks:
            await task
        # the first one found nobody, and knocks for all of them
        assert [at for _number, at in knocks] == [
            0,
            0.25,
            0.75,
            1.75,
            3.75,
            5.75,
            7.75,
            9.75,
            11.75,
            13.75,
            15.75,
            17.75,
        ]
        assert {number for number, _at in knocks} == {1}

    run(story)


def test_when_the_one_who_knocks_goes_away_the_next_one_does() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        first, second = lobby.arrive(), lobby.arrive()
        for visit in (first, second):
            await visit.enter()
            visit.missed()
        waits = [asyncio.ensure_future(visit.again()) for visit in (first, second)]
        assert await waits[0] == A  # it knocks
        await asyncio.sleep(5)
        assert not waits[1].done()
        first.left()
        assert await waits[1] == A
        assert second.reached()
        assert await lobby.arrive().enter() == A

    run(story)


def test_time_that_was_waited_counts_from_the_first_moment_on() -> None:
    async def story(lobby: Lobby) -> None:
        visit = lobby.arrive()
        waits = enters(visit)
        await asyncio.sleep(6)
        lobby.open(A)
        await waits

        async def knocks() -> None:
            while True:
                visit.missed()
                await visit.again()

        with pytest.raises(Turned) as caught:
            await knocks()
        assert lobby.clock.mono() == pytest.approx(10.0)
        assert "waited for 10s" in str(caught.value)
        visit.left()
        assert lobby.state().longest_hold == pytest.approx(10.0)
        assert lobby.held_for.count == 1

    run(story, hold=10.0)


def test_a_door_that_was_closed_while_somebody_connected_sends_nothing_through() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        visit = lobby.arrive()
        await visit.enter()
        lobby.hold("it is swapped")
        assert not visit.reached()
        waits = asyncio.ensure_future(visit.again())
        await asyncio.sleep(1)
        assert (lobby.state().held, lobby.state().in_flight) == (1, 0)
        lobby.open(B)
        assert await waits == B
        assert visit.reached()

    run(story)


def test_what_is_learnt_of_a_model_that_left_says_nothing_of_the_next() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        late = lobby.arrive()
        await late.enter()
        lobby.open(B)
        late.missed()
        assert await late.again() == B
        assert await lobby.arrive().enter() == B

    run(story)


def test_in_flight_is_bounded_and_the_next_goes_in_when_one_leaves() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        inside = [lobby.arrive(), lobby.arrive()]
        for visit in inside:
            await visit.enter()
        third, fourth = lobby.arrive(), lobby.arrive()
        waits = [enters(third), enters(fourth)]
        await asyncio.sleep(1)
        assert (lobby.state().in_flight, lobby.state().held) == (2, 2)
        inside[0].left()
        inside[0].left()  # once is enough
        assert await waits[0] == A
        await asyncio.sleep(1)
        assert (lobby.state().in_flight, lobby.state().held) == (2, 1)
        waits[1].cancel()

    run(story, in_flight=2)


def test_no_request_waits_where_none_may() -> None:
    async def story(lobby: Lobby) -> None:
        with pytest.raises(Turned):
            await lobby.arrive().enter()
        lobby.open(A)
        assert await lobby.arrive().enter() == A

    run(story, held=0)


def test_who_is_sent_away_hears_why_and_when_to_come_again() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.refuse("its model could not be brought back", 30.0)
        with pytest.raises(Turned) as caught:
            await lobby.arrive().enter()
        assert str(caught.value) == ("oracle cannot answer now: its model could not be brought back. Try again later.")
        assert caught.value.after == 30.0
        for why, said in (("Both models are down.", "Both models are down. Try"), ("", "no model holds it. Try")):
            lobby.refuse(why, 0.0)
            with pytest.raises(Turned, match=said):
                await lobby.arrive().enter()

    run(story)


def test_a_request_that_found_nobody_is_sent_away_with_the_others() -> None:
    async def story(lobby: Lobby) -> None:
        lobby.open(A)
        visit = lobby.arrive()
        await visit.enter()
        lobby.refuse("nobody holds it", 0.0)
        visit.missed()
        with pytest.raises(Turned):
            await visit.again()
        assert lobby.state().refused == 1

    run(story)


def test_who_went_away_before_it_waited_does_not_wait() -> None:
    async def story(lobby: Lobby) -> None:
        visit = lobby.arrive()
        visit.drop()
        with pytest.raises(Gone):
            await visit.enter()
        visit.left()
        assert (lobby.state().held, lobby.state().requests) == (0, 1)

    run(story)


def test_those_that_were_told_to_go_leave_no_timer_behind() -> None:
    async def story(lobby: Lobby) -> None:
        waits = [enters(lobby.arrive()) for _ in range(3)]
        await asyncio.sleep(1)
        assert lobby.state().longest_hold == pytest.approx(1.0)
        lobby.close()
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert lobby.state().held == 0

    run(story)
