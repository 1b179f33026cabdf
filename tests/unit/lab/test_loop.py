"""The virtual clock: time passes only when nothing else can happen."""

import asyncio

import pytest

from supervisor.lab.loop import Deadlock, SimLoop


def test_an_hour_of_sleep_takes_no_time_and_moves_both_hands() -> None:
    loop = SimLoop()
    wall = loop.clock.wall()

    async def hour() -> None:
        for _ in range(60):
            await asyncio.sleep(60)

    loop.run_until_complete(hour())
    assert loop.clock.mono() == 3600.0
    assert loop.clock.wall() == wall + 3600.0
    loop.close()


def test_sleepers_wake_in_order_of_their_time() -> None:
    loop, woken = SimLoop(), []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    async def both() -> None:
        await asyncio.gather(sleeper(5), sleeper(2), sleeper(9))

    loop.run_until_complete(both())
    assert woken == [2, 5, 9]
    loop.close()


def test_a_world_in_which_nothing_can_happen_is_a_finding_not_a_hang() -> None:
    loop = SimLoop()

    async def wait_for_nothing() -> None:
        await asyncio.Event().wait()

    task = loop.create_task(wait_for_nothing())
    with pytest.raises(Deadlock):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_executor_work_runs_in_place_and_its_error_reaches_the_caller() -> None:
    loop = SimLoop()

    def broken() -> None:
        raise ValueError("no")

    async def work() -> int:
        with pytest.raises(ValueError, match="no"):
            await loop.run_in_executor(None, broken)
        return await loop.run_in_executor(None, lambda: 7)

    assert loop.run_until_complete(work()) == 7
    loop.close()
