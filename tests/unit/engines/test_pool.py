"""The threads behind the calls: a slow call holds up nobody, a dropped caller does no harm, closing does not hang."""

import asyncio
import threading

import pytest

from supervisor.engines.docker.pool import Pool
from supervisor.errors import EngineGone


async def test_results_and_errors_reach_the_caller():
    pool = Pool("t", 2)
    assert await pool.run(lambda: 41 + 1) == 42

    def bad():
        raise KeyError("x")

    with pytest.raises(KeyError):
        await pool.run(bad)
    pool.close()


async def test_a_hanging_call_leaves_room_for_others():
    pool, gate = Pool("t", 2), threading.Event()
    hanging = asyncio.ensure_future(pool.run(gate.wait))
    assert await pool.run(lambda: "quick") == "quick"
    gate.set()
    assert await hanging is True
    pool.close()


async def test_a_dropped_caller_leaves_the_call_to_end_by_itself():
    pool, gate, done = Pool("t", 1), threading.Event(), threading.Event()

    def work():
        gate.wait()
        done.set()

    call = asyncio.ensure_future(pool.run(work))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.set()
    assert await pool.run(done.is_set)
    pool.close()


async def test_closing_waits_for_nobody_and_takes_no_more():
    pool, gate = Pool("t", 1), threading.Event()
    hanging = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    pool.close()
    with pytest.raises(EngineGone):
        await pool.run(lambda: 1)
    gate.set()
    assert await hanging is True


async def test_threads_are_made_as_they_are_needed():
    pool = Pool("made-as-needed", 4)
    for _ in range(5):
        await pool.run(lambda: None)
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("made-as-needed")]
    assert names == ["made-as-needed-1"]
    pool.close()
