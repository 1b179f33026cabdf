"""The journal: what happened (rows) and what is true now (spaces), durable before its effects.

Comes from the core, one `Batch` a turn, through the journal's thread; goes to whoever must know after a restart, to the
message pump, to `history`, `show` and `explain`. One file, `journal.db`, one connection, one writer. Opening is in
opening.py, the tables in schema.py, the hash chain in rows.py and chain.py.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from supervisor.clock import Clock
from supervisor.errors import JournalError
from supervisor.facts import Json
from supervisor.journal import chain, prune
from supervisor.journal.delivery import Backlog, Deliveries, Mark
from supervisor.journal.disk import Reserve
from supervisor.journal.opening import Opened, is_full, open_file, open_ram
from supervisor.journal.rows import Batch, Row

KillPoint = Callable[[str], None]

MAX_AGE = 90 * 86400.0
MAX_BYTES = 512 * 1024 * 1024
_COLUMNS = "seq, at, kind, subject, body, public, digest"
_PRIOR = "(SELECT max(b.seq) FROM rows AS b WHERE b.public AND b.seq < rows.seq)"
"""the public row before a row: by it a listener sees that one is missing"""


class Journal:
    """An open journal. Not for two threads at once: a daemon uses it on its JournalThread only."""

    def __init__(self, opened: Opened, clock: Clock, reserve: Reserve | None, max_age: float, max_bytes: int) -> None:
        self._db = opened.db
        self._reserve = reserve
        self._max_age, self._max_bytes = max_age, max_bytes
        self.set_aside: Path | None = opened.set_aside
        """the unusable file that was found, renamed"""
        self.why: str = opened.why
        """one sentence about it"""
        self.on_commit: KillPoint | None = None
        """called with `before` and `after` around each commit: where the lab kills"""
        self.last_seq, self._head = self._last()
        self.last_public = int(self._db.execute("SELECT max(seq) FROM rows WHERE public").fetchone()[0] or 0)
        """the newest row that is a message"""
        self.epoch: str = self._begin(clock)
        self._deliveries = Deliveries(self._db)

    @classmethod
    def open(
        cls,
        path: Path | None,
        clock: Clock,
        *,
        image: bytes = b"",
        max_age: float = MAX_AGE,
        max_bytes: int = MAX_BYTES,
        reserve: Reserve | None = None,
    ) -> "Journal":
        """Open the journal at `path`, made where there is none; None is one in memory (`image`: what it starts with).

        A file that cannot be used is set aside (`set_aside`, `why`). JournalError where the disk says no.
        """
        if path is None:
            opened = Opened(open_ram(image))
        else:
            opened = open_file(path, clock)
            reserve = reserve or Reserve(path.parent)
            reserve.make()
        try:
            return cls(opened, clock, reserve, max_age, max_bytes)
        except sqlite3.Error as err:
            opened.db.close()
            raise _failed(err) from None

    # ------------------------------------------------------------ writing

    def batch(self) -> Batch:
        """An empty batch that follows the last row. Only one may be under way."""
        return Batch(self.last_seq, self._head, self.last_public)

    def commit(self, batch: Batch) -> None:
        """Make a batch durable, in one transaction. JournalError: nothing of it is; it may be committed again."""
        if batch.empty:
            return
        if batch.after != self.last_seq:
            raise JournalError(f"A batch made after row {batch.after} came when row {self.last_seq} was the last.")
        if self.on_commit:
            self.on_commit("before")
        try:
            self._write(batch)
        except sqlite3.Error as err:
            self._roll_back()
            raise _failed(err) from None
        if batch.rows:
            self.last_seq, self._head = batch.rows[-1].seq, batch.rows[-1].digest
            self.last_public = max([row.seq for row in batch.rows if row.public], default=self.last_public)
            self._deliveries.committed(batch.rows, batch.texts)
        if self.on_commit:
            self.on_commit("after")

    def _write(self, batch: Batch) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        if batch.rows:
            db.executemany(
                f"INSERT INTO rows({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (
                    (row.seq, row.at, row.kind, row.subject, text, int(row.public), bytes.fromhex(row.digest))
                    for row, text in zip(batch.rows, batch.texts, strict=True)
                ),
            )
            last = batch.rows[-1]
            db.execute("INSERT OR REPLACE INTO inner VALUES ('head', ?)", (f"{last.seq}:{last.digest}",))
        for (space, key), text in batch.puts.items():
            if text is None:
                db.execute("DELETE FROM kept WHERE space = ? AND key = ?", (space, key))
            else:
                db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (space, key, text))
        db.execute("COMMIT")

    # ------------------------------------------------------------ reading

    def rows(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        public: bool | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Row]:
        """Rows with after < seq < before, by seq. `kinds` are prefixes (`alert.` or a whole kind); all conditions
        must hold."""
        where: list[str] = ["seq > ?"]
        values: list[Any] = [after]
        if before is not None:
            where.append("seq < ?")
            values.append(before)
        if kinds:
            where.append("(" + " OR ".join("(kind >= ? AND kind < ?)" for _ in kinds) + ")")
            for kind in kinds:
                values += [kind, kind + "\U0010ffff"]
        if subject is not None:
            where.append("subject = ?")
            values.append(subject)
        if public is not None:
            where.append("public" if public else "NOT public")
        order = "DESC" if newest_first else "ASC"
        return self._rows(f"WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?", (*values, max(0, limit)))

    def revisions(self) -> dict[str, int]:
        """The newest public row about each subject, by subject: what has not changed has the same number."""
        sql = "SELECT subject, max(seq) FROM rows WHERE public GROUP BY subject ORDER BY subject"
        try:
            return {str(subject): int(seq) for subject, seq in self._db.execute(sql)}
        except sqlite3.Error as err:
            raise JournalError(f"The journal cannot be read: {err}") from None

    def span(self) -> tuple[int, int]:
        """(oldest, newest) public row; zeros where there is none."""
        try:
            # two questions: SQLite looks into the index for one end, but walks along it for both
            ends = (f"(SELECT {end}(seq) FROM rows WHERE public)" for end in ("min", "max"))  # noqa: S608 - constants
            found = self._db.execute(f"SELECT {', '.join(ends)}").fetchone()
            return int(found[0] or 0), int(found[1] or 0)
        except sqlite3.Error as err:
            raise JournalError(f"The journal cannot be read: {err}") from None

    def space(self, name: str) -> dict[str, Json]:
        """What is true now in one space, by key, in the order of the keys."""
        try:
            found = self._db.execute("SELECT key, value FROM kept WHERE space = ? ORDER BY key", (name,)).fetchall()
            return {str(key): json.loads(value) for key, value in found}
        except (sqlite3.Error, ValueError) as err:
            raise JournalError(f"The journal's space {name!r} cannot be read: {err}") from None

    def _rows(self, tail: str, values: Iterable[Any]) -> list[Row]:
        try:
            sql = f"SELECT {_COLUMNS}, {_PRIOR} FROM rows {tail}"  # noqa: S608 - constants
            return [
                Row(seq, at, kind, subject, json.loads(body), bool(public), bytes(digest).hex(), int(prior or 0))
                for seq, at, kind, subject, body, public, digest, prior in self._db.execute(sql, tuple(values))
            ]
        except (sqlite3.Error, ValueError, TypeError) as err:
            raise JournalError(f"The journal cannot be read: {err}") from None

    # ------------------------------------------------------------ delivery

    def undelivered(self, limit: int, after: int = 0) -> list[Row]:
        """The lowest public rows above `after` that wait to be told."""
        try:
            waiting = self._deliveries.waiting(limit, after)
        except sqlite3.Error as err:
            raise _failed(err) from None
        marks = ", ".join("?" * len(waiting))
        return self._rows(f"WHERE seq IN ({marks}) ORDER BY seq", waiting) if waiting else []

    def deliver(self, marks: Sequence[Mark]) -> None:
        """Keep what became of public rows: (seq, state, attempts, reason). Any state but `waiting` settles a row."""
        try:
            self._deliveries.write(marks)
        except sqlite3.Error as err:
            raise _failed(err) from None

    def begin_epoch(self, epoch: str) -> None:
        """From now on rows are told under another epoch, since their numbers were used before. JournalError."""
        try:
            self._db.execute("UPDATE inner SET value = ? WHERE key = 'epoch'", (epoch,))
        except sqlite3.Error as err:
            raise _failed(err) from None
        self.epoch = epoch

    def delivery_counts(self) -> dict[str, int]:
        """How many public rows are in each delivery state; `waiting` is always there."""
        return self._deliveries.counts()

    def delivery_of(self, seqs: Iterable[int]) -> dict[int, str]:
        """What became of these public rows as messages: seq -> waiting | done | unheard | dead | digested | shed |
        skipped. Rows that are not there (any more) are left out."""
        try:
            return self._deliveries.states(seqs)
        except sqlite3.Error as err:
            raise JournalError(f"The journal cannot be read: {err}") from None

    def backlog(self) -> Backlog:
        """How much waits to be told, and since when."""
        try:
            return self._deliveries.backlog()
        except sqlite3.Error as err:
            raise JournalError(f"The journal cannot be read: {err}") from None

    # ------------------------------------------------------------ care

    def prune(self, now: float, *, keep_waiting: bool = True) -> prune.Pruned:
        """Cut old rows (90 days, 512 MB), a bounded piece a call; spaces are never cut. Rows that wait for delivery
        stay unless the file is over its size or `keep_waiting` is False (nobody will ever fetch them)."""
        try:
            done = prune.prune(self._db, self._deliveries, now - self._max_age, self._max_bytes, keep_waiting)
        except sqlite3.Error as err:
            self._roll_back()
            raise _failed(err) from None
        self.restore_reserve()
        return done

    def verify(self) -> tuple[str, ...]:
        """Walk the hash chain: a sentence for everything that is not as it was written."""
        return chain.problems(self._db)

    def release_reserve(self) -> bool:
        """Give the 4 MB held back to a full disk; False if there were none."""
        return self._reserve is not None and self._reserve.release()

    def restore_reserve(self) -> bool:
        """Hold 4 MB back again, if the disk has room; True if they are held."""
        return self._reserve is not None and self._reserve.make()

    def image(self) -> bytes:
        """A journal in memory as it stands, committed turns only: what `open(None, image=…)` goes on from."""
        self._roll_back()
        return self._db.serialize()

    def close(self) -> None:
        """Close it; an unfinished transaction is gone, as after a kill."""
        self._db.close()

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has done it already; the error we came for is the one to tell

    def _begin(self, clock: Clock) -> str:
        """The epoch; made with the journal."""
        found = self._db.execute("SELECT value FROM inner WHERE key = 'epoch'").fetchone()
        if found:
            return str(found[0])
        epoch = clock.token(8)
        self._db.execute("INSERT INTO inner VALUES ('epoch', ?)", (epoch,))
        return epoch

    def _last(self) -> tuple[int, str]:
        """(seq, digest) to go on from: the last row's, or what is left of it after a prune. A number is never given
        twice, even where rows were taken out by force; `verify` tells of that."""
        row = self._db.execute("SELECT seq, digest FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
        head, cut = chain.mark(self._db, "head"), chain.mark(self._db, "cut")
        last = (int(row[0]), bytes(row[1]).hex()) if row else cut
        return (head[0], last[1]) if head[0] > last[0] else last


def _failed(err: sqlite3.Error) -> JournalError:
    full = is_full(err)
    advice = "free some disk space below the state folder" if full else "look after the disk and the state folder"
    return JournalError(f"The journal cannot be written ({err}); {advice}.", full=full)
