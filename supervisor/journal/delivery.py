"""What became of public rows as messages: waiting, delivered, unheard, dead …

Used by `Journal`; the marks come from the message pump. A public row without an entry waits, and so does one whose
state is `waiting` (tried, not settled). Marks are written without a flush of their own: a power cut may lose the last
ones, and then a message is sent twice, never lost.
"""

import sqlite3
from collections.abc import Sequence

from supervisor.journal.rows import Row

Mark = tuple[int, str, int, str]
"""(seq, state, attempts, reason)"""
WAITING = "waiting"
_WAITS = f"NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = rows.seq AND delivery.state <> '{WAITING}')"  # noqa: S608


class Deliveries:
    """The delivery table, with counts kept beside it. `floor`: every row up to it is settled."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        found = db.execute("SELECT value FROM inner WHERE key = 'settled'").fetchone()
        self._floor = int(found[0]) if found else 0
        self._counts: dict[str, int] = {}
        self.count()

    def counts(self) -> dict[str, int]:
        """How many public rows are in each state, `waiting` among them."""
        return {state: count for state, count in sorted(self._counts.items()) if count or state == WAITING}

    def committed(self, rows: Sequence[Row]) -> None:
        """These rows were just made durable."""
        self._counts[WAITING] += len([row for row in rows if row.public])

    def waiting(self, limit: int) -> list[int]:
        """The lowest rows that wait."""
        sql = f"SELECT seq FROM rows WHERE public AND seq > ? AND {_WAITS} ORDER BY seq LIMIT ?"  # noqa: S608
        return [int(row[0]) for row in self._db.execute(sql, (self._floor, limit))]

    def write(self, marks: Sequence[Mark]) -> None:
        """Store marks in one transaction; marks for rows that are gone or not public are dropped. sqlite3.Error
        leaves everything as it was."""
        db, counts = self._db, dict(self._counts)
        db.execute("PRAGMA synchronous = NORMAL")
        try:
            db.execute("BEGIN IMMEDIATE")
            for seq, state, attempts, reason in marks:
                if not db.execute("SELECT 1 FROM rows WHERE seq = ? AND public", (seq,)).fetchone():
                    continue
                before = db.execute("SELECT state FROM delivery WHERE seq = ?", (seq,)).fetchone()
                was = str(before[0]) if before else WAITING
                counts[was] = counts.get(was, 0) - 1
                counts[state] = counts.get(state, 0) + 1
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
        self._counts, self._floor = counts, floor

    def forget(self, upto: int) -> None:
        """Drop the entries of rows that are being pruned (inside the caller's transaction)."""
        self._db.execute("DELETE FROM delivery WHERE seq <= ?", (upto,))

    def count(self) -> None:
        """Count anew, from the tables: at the start, and after a prune."""
        settled = "SELECT state, count(*) FROM delivery WHERE state <> ? GROUP BY state"
        waits = f"SELECT count(*) FROM rows WHERE public AND seq > ? AND {_WAITS}"  # noqa: S608 - a constant
        self._counts = {str(state): int(count) for state, count in self._db.execute(settled, (WAITING,))}
        self._counts[WAITING] = int(self._db.execute(waits, (self._floor,)).fetchone()[0])

    def _settled(self) -> int:
        """The last row before the first that waits."""
        first = self.waiting(1)
        if first:
            return first[0] - 1
        last = self._db.execute("SELECT max(seq) FROM rows").fetchone()[0]
        return max(self._floor, int(last or 0))
