"""The journal's thread: one call after another, off the loop, and never dropped half-way."""

import asyncio
import threading

import pytest

from supervisor.journal import JournalThread
from supervisor.lab.loop import SimLoop
from tests.support.journals import add, open_journal


async def test_calls_run_on_one_other_thread_in_order() -> None:
    thread, order = JournalThread(), []

    def note(n: int, *, name: str) -> str:
        order.append(n)
        return f"{name}{threading.get_ident()}"

    found = [await one for one in [asyncio.ensure_future(thread.run(note, n, name="t")) for n in range(20)]]
    assert order == list(range(20))
    assert len(set(found)) == 1
    assert found[0] != f"t{threading.get_ident()}"
    thread.close()


async def test_what_was_handed_over_is_done_though_the_caller_is_cancelled() -> None:
    thread, gate, done = JournalThread(), threading.Event(), []
    blocked = asyncio.ensure_future(thread.run(gate.wait, 5))
    queued = asyncio.ensure_future(thread.run(done.append, 1))
    await asyncio.sleep(0)
    queued.cancel()
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    gate.set()
    thread.close()
    assert done == [1]


async def test_an_error_comes_to_the_caller() -> None:
    journal = open_journal()
    thread = JournalThread(journal)
    assert thread.journal is journal
    with pytest.raises(TypeError):
        await thread.run(journal.space)  # type: ignore[call-arg]
    assert await thread.run(add, journal, ["decision"], subject="x") == 1
    assert (await thread.run(journal.rows, kinds=("decision",)))[0].subject == "x"
    thread.close()


def test_under_the_virtual_clock_it_runs_inline() -> None:
    thread = JournalThread()
    loop = SimLoop()
    assert loop.run_until_complete(thread.run(threading.get_ident)) == threading.get_ident()
    loop.close()


def test_without_a_journal_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="without a journal"):
        _ = JournalThread().journal
