"""Opening journal.db: checked, migrated after a copy, or set aside; never overwritten.

Comes from the disk; goes to store.py as one open connection. A file that is corrupt, newer than we are, or not a
journal at all is renamed (with its -wal and -shm) and a fresh one takes its place; the caller is told, since a lost
journal must not refill any budget. A file that merely cannot be reached (rights, a full disk, a lock) is a
JournalError instead: it may be fine.
"""

import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from supervisor.clock import Clock
from supervisor.errors import JournalError
from supervisor.journal import schema

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_MISMATCH)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_FSYNC)


class Unusable(Exception):
    """This file is no journal we can go on with; the text says why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open connection, and what had to be set aside for it."""

    db: sqlite3.Connection
    set_aside: Path | None = None
    why: str = ""


def open_file(path: Path, clock: Clock, migrations: tuple[tuple[str, ...], ...] = schema.MIGRATIONS) -> Opened:
    """A connection to the journal at `path`, made (0600) where there is none. JournalError if it cannot be reached."""
    try:
        return Opened(_open(path, clock, migrations))
    except Unusable as err:
        try:
            aside = _set_aside(path, clock)
        except OSError as problem:
            raise JournalError(f"The journal {path} is unusable ({err}) and cannot be set aside: {problem}") from None
        why = f"The journal was unusable ({err}); it is kept as {aside}, and an empty one was begun."
    return Opened(_open(path, clock, migrations), aside, why)


def open_ram(image: bytes = b"") -> sqlite3.Connection:
    """A journal that lives in memory, for the lab; `image` is one that `Journal.image()` gave."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if image:
        db.deserialize(image)
    else:
        schema.migrate(db, schema.MIGRATIONS)
    return db


def is_full(err: sqlite3.Error) -> bool:
    """Whether an error may come from want of space (some file systems report a full quota as a failed write)."""
    return getattr(err, "sqlite_errorcode", 0) in _FULL


def _open(path: Path, clock: Clock, migrations: tuple[tuple[str, ...], ...]) -> sqlite3.Connection:
    db: sqlite3.Connection | None = None
    try:
        fresh = _make_private(path)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        _settle(db)
        if not fresh:
            _check(db, migrations)
            if 0 < schema.version(db) < len(migrations):
                _copy(db, path, clock)
        if schema.version(db) < len(migrations):
            schema.migrate(db, migrations)
        return db
    except (sqlite3.Error, OSError, Unusable) as err:
        if db is not None:
            db.close()
        if isinstance(err, Unusable):
            raise
        if isinstance(err, sqlite3.Error) and (getattr(err, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED:
            raise Unusable(str(err)) from None
        full = isinstance(err, sqlite3.Error) and is_full(err)
        raise JournalError(f"The journal {path} cannot be opened: {err}", full=full) from None


def _make_private(path: Path) -> bool:
    """Make the file, readable by us only, before SQLite makes it readable by all. True if it was not there."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        return path.stat().st_size == 0
    os.close(handle)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _settle(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA busy_timeout = 5000")
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    if schema.is_empty(db):
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise JournalError(f"The journal cannot use a write-ahead log on this file system (it offers {mode!r}).")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute(f"PRAGMA journal_size_limit = {4 * 1024 * 1024}")


def _check(db: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...]) -> None:
    """Unusable where the file is damaged, newer than this program, or somebody else's."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Unusable(f"SQLite finds it damaged: {' '.join(str(found).split())[:200]}")
    if schema.is_empty(db):
        return
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    if owner != schema.APPLICATION_ID:
        raise Unusable("it is some other program's database")
    version = schema.version(db)
    if version > len(migrations):
        raise Unusable(f"a newer Resurgam wrote it (version {version}; this one knows {len(migrations)})")
    missing = schema.missing_tables(db)
    if missing:
        raise Unusable(f"it has no table {missing[0]}")


def _copy(db: sqlite3.Connection, path: Path, clock: Clock) -> None:
    """Keep the file as it is before a migration changes it."""
    kept = _free_name(path, f"v{schema.version(db)}", clock)
    os.close(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    copy = sqlite3.connect(kept)
    try:
        db.backup(copy)
    finally:
        copy.close()


def _set_aside(path: Path, clock: Clock) -> Path:
    aside = _free_name(path, "set-aside", clock)
    for tail in ("-wal", "-shm", ""):
        part = Path(f"{path}{tail}")
        if part.exists():
            part.rename(f"{aside}{tail}")
    aside.chmod(0o600)
    return aside


def _free_name(path: Path, word: str, clock: Clock) -> Path:
    stamp = datetime.fromtimestamp(clock.wall(), UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1000):
        name = path.with_name(f"{path.name}.{word}-{stamp}{f'-{number}' if number else ''}")
        if not name.exists():
            return name
    raise FileExistsError(f"there are a thousand copies beside {path} already; move some away")
