"""What still has to be published: journal rows in the order of their seq, and what became of them.

Rows come two ways: handed over by the core with its knock, right after the turn that committed them (no reading), or
read from the journal's delivery table (after a start, an outage, an overrun). Verdicts are written back in batches on
the journal's thread. Used by `bus/pump.py` alone.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from supervisor.clock import Clock
from supervisor.errors import JournalError
from supervisor.facts import Json
from supervisor.journal import JournalThread, Mark, Row

CHUNK = 256
"""rows read at once; four times as many are held before the journal is trusted to keep them instead"""
STALE = 7 * 86_400.0
"""seconds: an event older than this is marked `expired`, not told, when a broker is reached at last"""


class Outbox:
    """The queue before the window. Everything runs on the event loop but reading and marking."""

    def __init__(self, thread: JournalThread, clock: Clock) -> None:
        self._thread, self._clock = thread, clock
        self._queue: deque[Row] = deque()
        self._known = 0
        self._complete = False
        self._knocks = 0
        self._marks: dict[int, Mark] = {}
        self._writing = asyncio.Lock()

    @property
    def epoch(self) -> str:
        """The journal's life: part of every message id."""
        return self._thread.journal.epoch

    @property
    def must_read(self) -> bool:
        """There may be rows in the journal that are neither queued nor in flight, and there is room for them."""
        return not self._complete and not self._queue

    @property
    def empty(self) -> bool:
        """Nothing is left to send."""
        return self._complete and not self._queue

    @property
    def unwritten(self) -> int:
        """Marks that are not yet in the journal."""
        return len(self._marks)

    def hand(self, rows: Sequence[Row]) -> None:
        """Rows that were just committed: the public ones of one or more turns, in order. None given means 'look'."""
        self._knocks += 1
        if not rows or len(self._queue) > 4 * CHUNK:
            self._complete = False
        if not self._complete:
            return
        for row in rows:
            if row.public and row.seq > self._known:
                self._queue.append(row)
                self._known = row.seq

    def take(self) -> Row | None:
        """The next row, lowest seq first; None when the queue is empty."""
        return self._queue.popleft() if self._queue else None

    def rewind(self) -> None:
        """The connection is gone: begin again at the lowest row without a mark."""
        self._queue.clear()
        self._known = 0
        self._complete = False

    async def read(self) -> None:
        """Fill the queue from the journal."""
        knocks = self._knocks
        limit = CHUNK + len(self._marks) + 64
        rows = await self._thread.run(self._thread.journal.undelivered, limit)
        horizon = self._clock.wall() - STALE
        for row in rows:
            if row.seq <= self._known or row.seq in self._marks:
                continue
            self._known = row.seq
            if row.at < horizon:
                self.mark(row.seq, "expired", 0, "older than 7 days when a broker was reached")
            else:
                self._queue.append(row)
        self._complete = len(rows) < limit and knocks == self._knocks

    def mark(self, seq: int, state: str, attempts: int, reason: str = "") -> None:
        """Remember what became of a row; `flush` makes it durable."""
        self._marks[seq] = (seq, state, attempts, reason)

    async def flush(self) -> None:
        """Write all marks in one transaction. JournalError leaves them for the next time."""
        async with self._writing:
            marks = list(self._marks.values())
            if marks:
                await self._thread.run(self._thread.journal.deliver, marks)
                for mark in marks:
                    if self._marks.get(mark[0]) is mark:
                        del self._marks[mark[0]]

    async def waiting(self) -> int:
        """How many public rows wait, by the journal's count."""
        try:
            await self.flush()
        except JournalError:
            return len(self._queue)
        counts: Json = await self._thread.run(self._thread.journal.delivery_counts)
        return int(counts.get("waiting", 0))
