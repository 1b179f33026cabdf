"""recorder.db: the readings of the last 48 hours, so that rules see their windows again after a restart.

Comes from the sample store every few seconds (on the journal's thread); goes back to it at start. It is
disposable: a file that is damaged is deleted and begun anew, a write that fails is counted and lost, and nothing here
ever raises. One write is one row: the numbers of all its samples in columns, compressed.
"""

import contextlib
import json
import os
import sqlite3
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.clock import Clock
from supervisor.facts import Labels
from supervisor.journal.prune import give_back, used_bytes

KEEP_MS = 48 * 3600 * 1000
MAX_BYTES = 256 * 1024 * 1024
PRUNE_EVERY = 600.0
"""seconds"""
_VERSION = 1
_TABLES = f"""
PRAGMA page_size = 1024;
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN;
CREATE TABLE series(id INTEGER PRIMARY KEY, labels TEXT NOT NULL UNIQUE);
CREATE TABLE blocks(id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, data BLOB NOT NULL);
PRAGMA user_version = {_VERSION};
COMMIT;
"""

Reading = tuple[Labels, int, float]
"""(labels, unix milliseconds, value)"""


@dataclass(frozen=True, slots=True)
class Page:
    """Some blocks as they are kept: (ms of the first reading, packed). `last`: where to go on; `names`: the label set
    of each number in them."""

    blocks: tuple[tuple[int, bytes], ...]
    last: int
    names: Mapping[int, Labels]


class Recorder:
    """The readings on disk. `dropped` samples were lost to failed writes; `trouble` says why, '' if all is well."""

    def __init__(self, path: Path, clock: Clock, keep_ms: int, max_bytes: int) -> None:
        self._path, self._clock = path, clock
        self._keep_ms, self._max_bytes = keep_ms, max_bytes
        self._db: sqlite3.Connection | None = None
        self._ids: dict[Labels, int] = {}
        self._used: dict[int, int] = {}
        self._pruned_at = clock.mono()
        self.dropped = 0
        self.remade = 0
        """how often the file was damaged and begun anew"""
        self.trouble = ""

    @classmethod
    def open(cls, path: Path, clock: Clock, *, keep_ms: int = KEEP_MS, max_bytes: int = MAX_BYTES) -> "Recorder":
        """Open the recorder at `path` (0600), or begin it anew. Never fails: without a file it only counts."""
        recorder = cls(path, clock, keep_ms, max_bytes)
        recorder._connect()
        return recorder

    def write(self, readings: Iterable[Reading]) -> int:
        """Keep these; returns how many were kept."""
        batch = list(readings)
        if not batch:
            return 0
        kept = 0
        try:
            kept = self._write(batch)
            self.trouble = "" if kept else self.trouble
            if self._clock.mono() - self._pruned_at >= PRUNE_EVERY:
                self.prune(int(self._clock.wall() * 1000))
        except sqlite3.Error as err:
            self._failed(err)
        self.dropped += len(batch) - kept
        return kept

    def read(self, since_ms: int = 0) -> Iterator[Reading]:
        """Everything kept from `since_ms` on, in the order it was written."""
        try:
            yield from self._read(since_ms)
        except (sqlite3.Error, ValueError) as err:
            self._failed(err)

    def page(self, after: int, since_ms: int, until_ms: int, most: int) -> Page:
        """The next `most` blocks after the block `after` (0: from the first) that touch this time, still packed, for
        one who reads on later. Reading them in pieces holds nothing open in between."""
        if self._db is None:
            return Page((), after, {})
        asked = "SELECT id, first, data FROM blocks WHERE id > ? AND last >= ? AND first <= ? ORDER BY id LIMIT ?"
        try:
            found = self._db.execute(asked, (after, since_ms, until_ms, most)).fetchall()
        except sqlite3.Error as err:
            self._failed(err)
            return Page((), after, {})
        blocks = tuple((int(first), bytes(data)) for _number, first, data in found)
        return Page(blocks, int(found[-1][0]) if found else after, {number: name for name, number in self._ids.items()})

    def span(self) -> tuple[int, int]:
        """The first and the last instant (ms) of what is kept; (0, 0) where nothing is."""
        try:
            row = self._db.execute("SELECT min(first), max(last) FROM blocks").fetchone() if self._db else None
        except sqlite3.Error as err:
            self._failed(err)
            row = None
        return (int(row[0]), int(row[1])) if row is not None and row[0] is not None else (0, 0)

    def prune(self, now_ms: int) -> int:
        """Forget what is older than 48 h, and the oldest while the file is over its size; returns the blocks cut."""
        self._pruned_at = self._clock.mono()
        if self._db is None:
            return 0
        try:
            return self._prune(self._db, now_ms)
        except sqlite3.Error as err:
            self._failed(err)
            return 0

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    # ------------------------------------------------------------ the file

    def _connect(self) -> None:
        for attempt in (1, 2):
            try:
                self._db = self._open()
                return
            except (sqlite3.Error, OSError) as err:
                self.trouble = f"the recorder {self._path} cannot be used: {err}"
                if isinstance(err, sqlite3.DatabaseError) and not isinstance(err, sqlite3.OperationalError):
                    self.remade += 1
                    self._delete()
                elif attempt == 2 or isinstance(err, OSError):
                    return

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=2.0)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            empty = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
            if empty:
                db.executescript(_TABLES)
            elif version != _VERSION or db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("it is damaged or of another version")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA journal_size_limit = {4 * 1024 * 1024}")
            found = db.execute("SELECT id, labels FROM series").fetchall()
            self._ids = {labels_of(text): int(number) for number, text in found}
        except (sqlite3.Error, ValueError) as err:
            db.close()
            if isinstance(err, ValueError):
                raise sqlite3.DatabaseError(str(err)) from None
            raise
        now = int(self._clock.wall() * 1000)
        self._used = dict.fromkeys(self._ids.values(), now)
        return db

    def _failed(self, err: Exception) -> None:
        """Note it; a damaged file is begun anew."""
        self.trouble = f"the recorder {self._path} failed: {err}"
        if isinstance(err, sqlite3.OperationalError) and "malformed" not in str(err):
            return
        self.close()
        self.remade += 1
        self._delete()
        trouble = self.trouble
        self._connect()
        self.trouble = self.trouble or trouble

    def _delete(self) -> None:
        self._ids, self._used = {}, {}
        for tail in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self._path}{tail}").unlink()

    # ------------------------------------------------------------ blocks

    def _write(self, batch: list[Reading]) -> int:
        if self._db is None:
            self._connect()
        db = self._db
        if db is None:
            return 0
        fresh: dict[Labels, int] = {}
        db.execute("BEGIN IMMEDIATE")
        try:
            for labels, _, _ in batch:
                if labels not in self._ids and labels not in fresh:
                    text = json.dumps(labels, separators=(",", ":"))
                    fresh[labels] = int(db.execute("INSERT INTO series(labels) VALUES (?)", (text,)).lastrowid or 0)
            ids = [self._ids.get(labels) or fresh[labels] for labels, _, _ in batch]
            times = [ms for _, ms, _ in batch]
            data = _pack(ids, times, [value for _, _, value in batch])
            db.execute("INSERT INTO blocks(first, last, data) VALUES (?, ?, ?)", (min(times), max(times), data))
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._ids.update(fresh)
        self._used.update(zip(ids, times, strict=True))
        return len(batch)

    def _read(self, since_ms: int) -> Iterator[Reading]:
        if self._db is None:
            return
        names = {number: labels for labels, number in self._ids.items()}
        for first, data in self._db.execute("SELECT first, data FROM blocks WHERE last >= ? ORDER BY id", (since_ms,)):
            for number, ms, value in unpack(first, data):
                if ms >= since_ms and number in names:
                    yield names[number], ms, value

    def _prune(self, db: sqlite3.Connection, now_ms: int) -> int:
        horizon = now_ms - self._keep_ms
        cut = db.execute("DELETE FROM blocks WHERE last < ?", (horizon,)).rowcount
        while used_bytes(db) > self._max_bytes:
            tenth = "SELECT id FROM blocks ORDER BY id LIMIT 1 + (SELECT count(*) FROM blocks) / 10"
            gone = db.execute(f"DELETE FROM blocks WHERE id IN ({tenth})").rowcount  # noqa: S608 - a constant
            if not gone:
                break
            cut += gone
        old = sorted(number for number, last in self._used.items() if last < horizon)
        if old:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM series WHERE id = ?", ((number,) for number in old))
            db.execute("COMMIT")
            gone_ids = frozenset(old)
            self._ids = {labels: number for labels, number in self._ids.items() if number not in gone_ids}
            self._used = {number: last for number, last in self._used.items() if number not in gone_ids}
        if cut:
            give_back(db)
        return cut


def _pack(ids: list[int], times: list[int], values: list[float]) -> bytes:
    """Columns of series numbers, milliseconds after the first, and values (bit for bit: a staleness marker is a NaN
    of its own), little-endian, compressed."""
    start = min(times)
    columns = (array("Q", ids), array("Q", (ms - start for ms in times)), array("d", values))
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    raw = b"".join(column.tobytes() for column in columns)
    # the first bytes of all numbers, then the second ones …: neighbours that are alike compress
    return zlib.compress(b"".join(raw[plane::8] for plane in range(8)), 1)


def labels_of(text: str) -> Labels:
    """A label set as a series carries it in the file."""
    return tuple((str(name), str(value)) for name, value in json.loads(text))


def unpack(start: int, data: bytes) -> Iterator[tuple[int, int, float]]:
    """The (series number, ms, value) of one block. ValueError where it is damaged."""
    try:
        planes = zlib.decompress(data)
    except zlib.error as err:
        raise ValueError(f"a block of the recorder is damaged: {err}") from None
    if len(planes) % 24:
        raise ValueError("a block of the recorder has a wrong length")
    raw, eighth = bytearray(len(planes)), len(planes) // 8
    for plane in range(8):
        raw[plane::8] = planes[plane * eighth : (plane + 1) * eighth]
    third = len(raw) // 3
    ids, offsets, values = array("Q"), array("Q"), array("d")
    for column, start_byte in ((ids, 0), (offsets, third), (values, 2 * third)):
        column.frombytes(bytes(raw[start_byte : start_byte + third]))
        if sys.byteorder == "big":
            column.byteswap()
    return ((number, start + offset, value) for number, offset, value in zip(ids, offsets, values, strict=True))
