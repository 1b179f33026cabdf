"""Cutting old rows: a prefix, a bounded piece at a time, and never what is true now.

Used by `Journal.prune()`, which the daemon calls now and then. Only the tables `rows` and `delivery` are cut; the hash
of the last row cut stays, so that the chain can still be walked.
"""

import sqlite3
from dataclasses import dataclass

from supervisor.journal.delivery import Deliveries

CHUNK = 5000
"""rows cut in one call: the journal's thread is not held up, and a clock that jumped ahead costs little"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one call cut. `undelivered` rows had not been told to anybody; `more`: call again."""

    rows: int = 0
    upto: int = 0
    undelivered: int = 0
    more: bool = False


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes that the file's content takes (free pages are not counted)."""
    pages = db.execute("PRAGMA page_count").fetchone()[0] - db.execute("PRAGMA freelist_count").fetchone()[0]
    return int(pages) * int(db.execute("PRAGMA page_size").fetchone()[0])


def give_back(db: sqlite3.Connection) -> None:
    """Give up to 4000 free pages back to the disk. (A script, since this pragma frees one page for every step, and
    `execute` takes only one.)"""
    db.executescript("PRAGMA incremental_vacuum(4000)")


def prune(db: sqlite3.Connection, deliveries: Deliveries, horizon: float, max_bytes: int, keep_waiting: bool) -> Pruned:
    """Cut up to CHUNK of the oldest rows: those before `horizon` (unix seconds) that do not wait for delivery, and any
    while the file holds more than `max_bytes`. sqlite3.Error leaves everything as it was."""
    rows = db.execute("SELECT seq, at FROM rows ORDER BY seq LIMIT ?", (CHUNK + 1,)).fetchall()
    old = 0
    for seq, at in rows[:CHUNK]:
        if at >= horizon:
            break
        old = int(seq)
    waiting = deliveries.waiting(1)
    if keep_waiting and waiting:
        old = min(old, waiting[0] - 1)
    too_big = used_bytes(db) > max_bytes
    if too_big and rows:
        # about a tenth at a time: the rows are not of one size, so look again after each piece
        old = max(old, int(rows[min(len(rows), CHUNK, max(1, len(rows) // 10)) - 1][0]))
    if not rows or old < int(rows[0][0]):
        return Pruned()
    lost = [seq for seq in deliveries.waiting(CHUNK) if seq <= old]
    db.execute("BEGIN IMMEDIATE")
    try:
        stored = db.execute("SELECT digest FROM rows WHERE seq = ?", (old,)).fetchone()[0]
        cut = db.execute("DELETE FROM rows WHERE seq <= ?", (old,)).rowcount
        deliveries.forget(old)
        db.execute("INSERT OR REPLACE INTO inner VALUES ('cut', ?)", (f"{old}:{bytes(stored).hex()}",))
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    give_back(db)
    deliveries.count()
    left = rows[-1] if len(rows) > CHUNK else None
    more = used_bytes(db) > max_bytes or (left is not None and old == int(rows[CHUNK - 1][0]) and left[1] < horizon)
    return Pruned(cut, old, len(lost), more)
