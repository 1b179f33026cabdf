"""What the core hears of the pump: soon, not often, and never long something that is not so any more."""

import asyncio

from supervisor.bus.delivery.hearing import Hearing
from supervisor.bus.delivery.outbox import Outbox
from supervisor.bus.delivery.reporting import TELL_AGAIN, Reporter
from supervisor.facts import BusState, Fact
from supervisor.journal import Journal, JournalThread
from supervisor.lab.loop import SimLoop


def test_that_nothing_waits_any_more_is_told_and_a_message_on_its_way_is_not() -> None:
    loop = SimLoop()
    journal = Journal.open(None, loop.clock)
    thread = JournalThread(journal)
    outbox = Outbox(thread)
    told: list[int] = []

    def submit(fact: Fact) -> None:
        assert isinstance(fact, BusState)
        told.append(fact.waiting)

    async def wait(number: int) -> None:
        batch = journal.batch()
        for _ in range(number):
            batch.row("container.died", "x", {}, loop.clock.wall(), True)
        journal.commit(batch)

    async def story() -> None:
        reporter = Reporter(thread, outbox, loop.clock, submit, "box", Hearing())
        await wait(1)
        await reporter.report(True, "connected to box")
        assert told == [1]
        journal.deliver([(journal.last_seq, "done", 1, "")])
        await asyncio.sleep(TELL_AGAIN)
        await reporter.again()
        assert told == [1, 0]
        await wait(1)
        await asyncio.sleep(TELL_AGAIN)
        await reporter.again()
        assert told == [1, 0]

    loop.run_until_complete(story())
