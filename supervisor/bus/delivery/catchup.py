"""After an outage: what of a long backlog is still worth a message of its own.

In: what waits when a connection comes back (`backlog.py`). Out: one digest of what is old (`piles.py`); what is
left is told one by one: critical rows, what is younger than a minute, and of every alert how it stands at last, if
listeners would be wrong without it. A small backlog is simply told.
"""

from collections.abc import Callable

from supervisor.bus.delivery.backlog import Brief, waiting
from supervisor.bus.delivery.piles import Piles
from supervisor.bus.delivery.sift import Sift
from supervisor.clock import Clock
from supervisor.journal import JournalThread

OLD = 60.0
"""seconds: what waited longer is no news"""
MANY = 100
"""so many old messages are simply told"""


async def catch_up(
    thread: JournalThread,
    clock: Clock,
    piles: Piles,
    skip: Callable[[int], bool],
    maybe_told: Callable[[Brief], bool],
) -> None:
    """Let one digest tell of a long and old backlog. `skip`: rows that do not wait any more. JournalError where the
    journal cannot be read."""
    backlog = await thread.run(thread.journal.backlog)
    horizon = clock.wall() - OLD
    if backlog.rows <= MANY or backlog.since >= horizon:
        return
    sift = Sift(lambda one: one.severity != "critical" and one.at < horizon, maybe_told, firing=False)
    async for one in waiting(thread, skip):
        sift.add(one)
    tally = sift.finish()
    if len(tally.seqs) > MANY:
        piles.hand_in("digest", tally, "outage", "waited for a broker and are old by now; this one tells of them")
