"""State documents of services and slots that vanished while we were away: the broker would keep them for another day.

In: snapshots. Out: retained messages without a payload, for the pump's board. What vanishes while we live the board
clears by itself. Used by `bus/telling.py`.
"""

from supervisor.bus.messages import topic
from supervisor.bus.state import Document, cleared
from supervisor.bus.told import Told
from supervisor.clock import Clock
from supervisor.facts import Snapshot
from supervisor.journal import JournalThread

SPACE = "container_topics"
"""of the journal: the topics of services and slots that the broker was told of"""


class Vanished:
    """Knows, over restarts, which services and slots the broker was told of."""

    def __init__(self, host: str, thread: JournalThread, clock: Clock) -> None:
        self._host, self._told = host, Told(thread, clock, SPACE)

    def show(self, snapshot: Snapshot) -> dict[str, Document]:
        """What is to be cleared, by topic (pump.Show)."""
        wanted = [topic(self._host, "state", "container", service=one.id) for one in snapshot.services]
        wanted += [topic(self._host, "state", "slot", one.name) for one in snapshot.slots]
        # Under another name that we once had another machine may speak by now.
        bases = tuple(topic(self._host, "state", kind) + "/" for kind in ("container", "slot"))
        return {where: cleared(where) for where in self._told.leftovers(wanted, snapshot) if where.startswith(bases)}

    async def run(self) -> None:
        """Keep the list of what was told, for as long as we live."""
        await self._told.run()
