"""The tables of journal.db, and how an older file becomes a present one.

Used by opening.py alone. `MIGRATIONS[n]` turns a file of version n into one of version n + 1; version 0 is an empty
file. A step is never changed once it was released; a new version appends one.
"""

import sqlite3

APPLICATION_ID = 0x5273676D
"""`Rsgm` in the header of the file: tells our file from any other SQLite file"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # what happened; digest chains each row to the one before
        """CREATE TABLE rows(
            seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
            body TEXT NOT NULL, public INTEGER NOT NULL, digest BLOB NOT NULL)""",
        "CREATE INDEX rows_subject ON rows(subject)",
        "CREATE INDEX rows_public ON rows(seq) WHERE public",
        # what became of public rows as messages; no entry: it waits
        """CREATE TABLE delivery(
            seq INTEGER PRIMARY KEY, state TEXT NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL)""",
        # what is true now; never pruned
        """CREATE TABLE kept(
            space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(space, key)) WITHOUT ROWID""",
        # our own book-keeping: epoch, head, cut, settled
        "CREATE TABLE inner(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)


def version(db: sqlite3.Connection) -> int:
    """The version of an open file; 0 for an empty one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def is_empty(db: sqlite3.Connection) -> bool:
    """Whether the file has no tables at all."""
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def missing_tables(db: sqlite3.Connection) -> list[str]:
    """Tables that every version has and this file has not."""
    found = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [name for name in ("rows", "delivery", "kept", "inner") if name not in found]


def migrate(db: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...]) -> None:
    """Bring an open file to the newest version, in one transaction. sqlite3.Error leaves it as it was."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in migrations[version(db) :]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(migrations)}")
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
