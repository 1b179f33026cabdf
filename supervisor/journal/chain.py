"""Walking the hash chain: whether the rows are still those that were written.

Used by `Journal.verify()`. A changed, missing or added row is found, also at the end (the head is kept apart). Who can
write the file and knows this code can forge all of it: evident up to the moment of compromise, no further.
"""

import sqlite3
from collections.abc import Iterator

from supervisor.journal.rows import digest

MOST = 100
"""problems told of one journal"""


def problems(db: sqlite3.Connection) -> tuple[str, ...]:
    """A sentence for everything that is wrong with the chain; empty if nothing is."""
    found: list[str] = []
    try:
        for problem in _walk(db):
            found.append(problem)
            if len(found) >= MOST:
                found.append("there may be more; this list ends here")
                break
    except (sqlite3.Error, ValueError, UnicodeDecodeError) as err:
        found.append(f"the file is damaged: {err}")
    return tuple(found)


def mark(db: sqlite3.Connection, key: str) -> tuple[int, str]:
    """(seq, digest) kept under `head` (the last row) or `cut` (the last row that was pruned); (0, '') for none."""
    row = db.execute("SELECT value FROM inner WHERE key = ?", (key,)).fetchone()
    if row is None:
        return 0, ""
    seq, _, hexed = str(row[0]).partition(":")
    return int(seq), hexed


def _walk(db: sqlite3.Connection) -> Iterator[str]:
    seq, before = mark(db, "cut")
    rows = db.execute("SELECT seq, at, kind, subject, body, public, digest FROM rows ORDER BY seq")
    for number, at, kind, subject, text, public, stored in rows:
        if number != seq + 1:
            yield (
                f"rows {seq + 1} to {number - 1} are missing" if number > seq else f"row {number} does not belong here"
            )
        else:
            try:
                expected = digest(before, number, at, kind, subject, public == 1, text)
                same = expected == bytes(stored).hex() and public in (0, 1)
            except (TypeError, ValueError):
                same = False
            if not same:
                yield f"row {number} is not what was written"
        seq, before = number, bytes(stored).hex() if isinstance(stored, bytes) else ""
    head, hexed = mark(db, "head")
    if head > seq:
        yield f"rows {seq + 1} to {head} are missing at the end"
    elif head < seq:
        yield f"rows {head + 1} to {seq} were added by somebody else"
    elif hexed != before:
        yield f"row {seq} is not what was written"
