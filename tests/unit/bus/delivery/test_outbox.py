"""The queue before the window: handed rows and read rows make one line, in order, without gaps or repeats."""

import asyncio
from collections.abc import Callable
from typing import Any

from supervisor.bus.delivery.outbox import CHUNK, Outbox
from supervisor.journal import Row
from tests.support.bus import BusHouse


def taken(outbox: Outbox) -> list[int]:
    found = []
    while (row := outbox.take()) is not None:
        found.append(row.seq)
    return found


def rows(house: BusHouse, count: int) -> list[Row]:
    return house.write(count)


def test_a_row_handed_over_before_the_first_read_does_not_hide_the_older_ones() -> None:
    house = BusHouse()
    outbox = Outbox(house.thread)
    rows(house, 3)
    outbox.hand(rows(house, 1))
    assert outbox.take() is None
    house.loop.run_until_complete(outbox.read())
    outbox.hand(rows(house, 1))
    assert taken(outbox) == [1, 2, 3, 4, 5]
    assert outbox.empty


def test_a_row_committed_while_the_journal_is_read_is_not_forgotten() -> None:
    house = BusHouse()
    outbox = Outbox(house.thread)
    rows(house, 2)

    async def slowly(fn: Callable[..., Any], *args: Any) -> Any:
        answer = fn(*args)
        await asyncio.sleep(0)
        outbox.hand(rows(house, 1))
        return answer

    house.thread.run = slowly  # type: ignore[method-assign]
    house.loop.run_until_complete(outbox.read())
    del house.thread.run
    assert taken(outbox) == [1, 2]
    assert outbox.must_read
    house.loop.run_until_complete(outbox.read())
    assert taken(outbox) == [3]  # 1 and 2 are in flight: not marked yet, and not given out again
    assert outbox.empty


def test_an_overrun_is_left_to_the_journal_and_loses_nothing() -> None:
    house = BusHouse()
    outbox = Outbox(house.thread)
    house.loop.run_until_complete(outbox.read())
    for _ in range(60):
        outbox.hand(rows(house, 20))
    assert outbox._complete is False
    found = []
    while not outbox.empty:
        found += taken(outbox)
        for seq in found:
            outbox.mark(seq, "done", 1)
        house.loop.run_until_complete(outbox.flush())
        if outbox.must_read:
            house.loop.run_until_complete(outbox.read())
    assert found == list(range(1, 1201))
    assert len(found) > 4 * CHUNK


def test_a_batch_of_marks_is_one_write_and_a_newer_mark_wins() -> None:
    house = BusHouse()
    outbox = Outbox(house.thread)
    rows(house, 3)
    calls = []
    deliver = house.journal.deliver
    house.journal.deliver = lambda marks: (calls.append(len(marks)), deliver(marks))  # type: ignore[method-assign,func-returns-value]
    for seq in (1, 2, 3):
        outbox.mark(seq, "done", 1)
    outbox.mark(3, "dead", 5, "why")
    house.loop.run_until_complete(outbox.flush())
    house.loop.run_until_complete(outbox.flush())
    assert calls == [3]
    assert house.journal.delivery_counts() == {"dead": 1, "done": 2, "waiting": 0}
    assert outbox.unwritten == 0
