"""After an outage: what of a long backlog is still worth a message of its own.

In: what waits when a connection comes back (`bus/backlog.py`). Out: one digest of what is old (`bus/piles.py`); what is
left is told one by one: critical rows, what is younger than a minute, and of every alert how it stands at last, if
listeners would be wrong without it. A small backlog is simply told.
"""

from collections.abc import Callable

from supervisor.bus.backlog import Brief, waiting
from supervisor.bus.flow import SUMMARIES
from supervisor.bus.piles import Piles, Tally
from supervisor.clock import Clock
from supervisor.journal import JournalThread

OLD = 60.0
"""seconds: what waited longer is no news"""
MANY = 100
"""so many old messages are simply told"""


class Sift:
    """Parts old rows into those that a digest may tell of (`tally`) and those that are told singly. Rows come in the
    order of their seq."""

    def __init__(self, maybe_told: Callable[[Brief], bool]) -> None:
        """`maybe_told`: whether a row may have reached listeners though it is not marked."""
        self._maybe_told = maybe_told
        self._heard: dict[str, bool] = {}
        """fingerprint -> listeners may believe that it fires"""
        self._last: dict[str, Brief] = {}
        self.tally = Tally()

    def add(self, one: Brief) -> None:
        """The next row."""
        if one.severity == "critical" or one.kind in SUMMARIES:
            return
        if not one.alert:
            self.tally.add(one)
            return
        # the first row tells what listeners believe: who hears of an end first was told of the beginning
        heard = self._heard.setdefault(one.alert, one.kind == "alert.resolved")
        self._heard[one.alert] = heard or self._maybe_told(one)
        before = self._last.pop(one.alert, None)
        if before is not None:
            self.tally.add(before)
        self._last[one.alert] = one

    def finish(self) -> Tally:
        """That was the last row. What is over, and of which nobody heard, need not be told by itself."""
        for mark, one in self._last.items():
            if one.kind == "alert.resolved" and not self._heard[mark]:
                self.tally.add(one)
        self.tally.firing.clear()  # what fires still is told by itself
        return self.tally


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
    sift = Sift(maybe_told)
    async for one in waiting(thread, skip):
        if one.at < horizon:
            sift.add(one)
    tally = sift.finish()
    if len(tally.seqs) > MANY:
        piles.hand_in("digest", tally, "outage", "waited for a broker and are old by now; this one tells of them")
