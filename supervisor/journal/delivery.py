"""What became of public rows as messages: waiting, delivered, unheard, dead …

Used by `Journal`; the marks come from the message pump. A public row without an entry waits, and so does one whose
state is `waiting` (tried, not settled). Marks are written without a flush of their own: a power cut may lose the last
ones, and then a message is sent twice, never lost.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supervisor.journal.rows import Row

Mark = tuple[int, str, int, str]
"""(seq, state, attempts, reason)"""
WAITING = "waiting"
ASKED_AT_ONCE = 500
_WAITS = f"NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = rows.seq AND delivery.state <> '{WAITING}')"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be told."""

    rows: int = 0
    size: int = 0
    """bytes of their bodies"""
    oldest: int = 0
    """the lowest seq that waits; 0 for none"""
    since: float = 0.0
    """its time, unix seconds"""


class Deliveries:
    """The delivery table, with counts kept beside it. `floor`: every row up to it is settled."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        found = db.execute("SELECT value FROM inner WHERE key = 'settled'").fetchone()
        self._floor = int(found[0]) if found else 0
        self._counts: dict[str, int] = {}
        self._size = 0
        self.count()

    def counts(self) -> dict[str, int]:
        """How many public rows are in each state, `waiting` among them."""
        return {state: count for state, count in sorted(self._counts.items()) if count or state == WAITING}

    def backlog(self) -> Backlog:
        """How much waits, and since when."""
        first = self.waiting(1) if self._counts[WAITING] else []
        if not first:
            return Backlog()
        since = self._db.execute("SELECT at FROM rows WHERE seq = ?", (first[0],)).fetchone()[0]
        return Backlog(self._counts[WAITING], self._size, first[0], float(since))

    def committed(self, rows: Sequence[Row], texts: Sequence[str]) -> None:
        """These rows were just made durable; `texts` are their bodies."""
        for row, text in zip(rows, texts, strict=True):
            if row.public:
                self._counts[WAITING] += 1
                self._size += len(text)

    def waiting(self, limit: int, after: int = 0) -> list[int]:
        """The lowest rows that wait, those above `after`."""
        sql = f"SELECT seq FROM rows WHERE public AND seq > ? AND {_WAITS} ORDER BY seq LIMIT ?"  # noqa: S608
        return [int(row[0]) for row in self._db.execute(sql, (max(self._floor, after), limit))]

    def states(self, seqs: Iterable[int]) -> dict[int, str]:
        """What became of these rows: `waiting`, or the state they were marked with. Rows that are not public, or not
        there (any more), are left out."""
        asked, found = list(seqs), {}
        for first in range(0, len(asked), ASKED_AT_ONCE):
            some = asked[first : first + ASKED_AT_ONCE]
            both = "rows LEFT JOIN delivery ON delivery.seq = rows.seq"
            these = f"rows.public AND rows.seq IN ({', '.join('?' * len(some))})"
            sql = f"SELECT rows.seq, coalesce(delivery.state, ?) FROM {both} WHERE {these} ORDER BY rows.seq"  # noqa: S608
            found.update({int(seq): str(state) for seq, state in self._db.execute(sql, (WAITING, *some))})
        return found

    def write(self, marks: Sequence[Mark]) -> None:
        """Store marks in one transaction; marks for rows that are gone or not public are dropped. sqlite3.Error
        leaves everything as it was."""
        db, counts, size = self._db, dict(self._counts), self._size
        db.execute("PRAGMA synchronous = NORMAL")
        try:
            db.execute("BEGIN IMMEDIATE")
            for seq, state, attempts, reason in marks:
                there = db.execute("SELECT length(body) FROM rows WHERE seq = ? AND public", (seq,)).fetchone()
                if not there:
                    continue
                before = db.execute("SELECT state FROM delivery WHERE seq = ?", (seq,)).fetchone()
                was = str(before[0]) if before else WAITING
                counts[was] = counts.get(was, 0) - 1
                counts[state] = counts.get(state, 0) + 1
                size += int(there[0]) * ((state == WAITING) - (was == WAITING))
                db.execute("INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)", (seq, state, attempts, reason[:500]))
            floor = self._settled()
            db.execute("INSERT OR REPLACE INTO inner VALUES ('settled', ?)", (str(floor),))
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        finally:
            db.execute("PRAGMA synchronous = FULL")
        self._counts, self._size, self._floor = counts, size, floor

    def forget(self, upto: int) -> None:
        """Drop the entries of rows that are being pruned (inside the caller's transaction)."""
        self._db.execute("DELETE FROM delivery WHERE seq <= ?", (upto,))

    def count(self) -> None:
        """Count anew, from the tables: at the start, and after a prune."""
        settled = "SELECT state, count(*) FROM delivery WHERE state <> ? GROUP BY state"
        waits = f"SELECT count(*), total(length(body)) FROM rows WHERE public AND seq > ? AND {_WAITS}"  # noqa: S608
        self._counts = {str(state): int(count) for state, count in self._db.execute(settled, (WAITING,))}
        rows, size = self._db.execute(waits, (self._floor,)).fetchone()
        self._counts[WAITING], self._size = int(rows), int(size)

    def _settled(self) -> int:
        """The last row before the first that waits."""
        first = self.waiting(1)
        if first:
            return first[0] - 1
        last = self._db.execute("SELECT max(seq) FROM rows").fetchone()[0]
        return max(self._floor, int(last or 0))
