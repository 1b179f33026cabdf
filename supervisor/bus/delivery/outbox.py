"""What still has to be published: journal rows in the order of their seq, and what became of them.

Rows come two ways: handed over by the core with its knock, right after the turn that committed them (no reading), or
read from the journal's delivery table (after a start, an outage, an overrun). Verdicts are written back in batches on
the journal's thread. Rows that a digest tells of (`piles.py`) are left out. Used by `sending.py`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from supervisor.errors import JournalError
from supervisor.journal import JournalThread, Mark, Row

CHUNK = 256
"""rows read at once; four times as many are held before the journal is trusted to keep them instead"""


class Outbox:
    """The queue before the window. Everything runs on the event loop but reading and marking."""

    def __init__(self, thread: JournalThread, holds: Callable[[int], bool] = lambda _seq: False) -> None:
        """`holds`: whether a row belongs to a message about many, and is not to be told by itself."""
        self._thread, self._holds = thread, holds
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

    def purge(self) -> None:
        """Some of the rows belong to a message about many by now: leave them out."""
        self._queue = deque(row for row in self._queue if not self._holds(row.seq))

    def rewind(self) -> None:
        """The connection is gone: begin again at the lowest row without a mark."""
        self._queue.clear()
        self._known = 0
        self._complete = False

    async def read(self) -> None:
        """Fill the queue from the journal."""
        knocks = self._knocks
        rows = await self._thread.run(self._thread.journal.undelivered, CHUNK, self._known)
        for row in rows:
            if row.seq <= self._known:
                continue
            self._known = row.seq
            if row.seq not in self._marks and not self._holds(row.seq):
                self._queue.append(row)
        self._complete = len(rows) < CHUNK and knocks == self._knocks

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

    async def counts(self) -> dict[str, int]:
        """How many public rows are in which state, by the journal's count."""
        try:
            await self.flush()
        except JournalError:
            return {"waiting": len(self._queue)}
        return await self._thread.run(self._thread.journal.delivery_counts)

    def settled(self, seq: int) -> bool:
        """What became of the row is known, though it may not be written yet."""
        return seq in self._marks
