"""Opening: damaged, newer and foreign files are set aside, older ones copied and migrated, good ones left alone."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import JournalError
from supervisor.journal import opening, schema
from tests.support.journals import add, open_journal, put


def made(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    journal = open_journal(path)
    add(journal, ["alert.firing"], text="before")
    journal.close()
    return path


def alter(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def stamp(path: Path, word: str) -> Path:
    return path.with_name(f"{path.name}.{word}-20251009T085320Z")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda path: path.write_bytes(b"not a database, but long enough to be one" * 100), "not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged|malformed"),
        (lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192), "damaged|malformed"),
        (lambda path: alter(path, "PRAGMA user_version = 99"), r"newer Resurgam wrote it \(version 99"),
        (lambda path: alter(path, "PRAGMA application_id = 5"), "some other program's database"),
        (lambda path: alter(path, "DROP TABLE kept"), "no table kept"),
    ],
    ids=["text", "cut", "overwritten", "newer", "foreign", "incomplete"],
)
def test_an_unusable_journal_is_set_aside_and_never_overwritten(tmp_path: Path, harm, why: str) -> None:  # type: ignore[no-untyped-def]
    path = made(tmp_path)
    harm(path)
    content = path.read_bytes()
    journal = open_journal(path)
    assert journal.set_aside == stamp(path, "set-aside")
    assert journal.set_aside.stat().st_mode & 0o777 == 0o600
    assert journal.set_aside.stat().st_size == len(content)
    assert str(journal.set_aside) in journal.why
    assert re.search(why, journal.why)
    assert (journal.last_seq, journal.rows()) == (0, [])
    add(journal)
    journal.close()
    assert open_journal(path).set_aside is None, "the fresh one is fine"


def test_a_second_file_set_aside_in_the_same_second_gets_a_name_of_its_own(tmp_path: Path) -> None:
    path = made(tmp_path)
    for _ in range(2):
        path.write_bytes(b"x" * 5000)
        open_journal(path).close()
    names = sorted(found.name for found in tmp_path.glob("*set-aside*"))
    assert names == [stamp(path, "set-aside").name, stamp(path, "set-aside").name + "-1"]


def test_what_only_stands_in_the_write_ahead_log_is_set_aside_too(tmp_path: Path) -> None:
    writer = open_journal(tmp_path / "journal.db")
    add(writer, text="only in the log")
    writer._db.execute("PRAGMA user_version = 99")
    path = tmp_path / "killed" / "journal.db"
    path.parent.mkdir()
    for tail in ("", "-wal"):
        shutil.copy(f"{tmp_path}/journal.db{tail}", f"{path}{tail}")
    writer.close()
    journal = open_journal(path)
    assert journal.set_aside is not None
    assert journal.rows() == []
    kept = sqlite3.connect(journal.set_aside)
    assert kept.execute("SELECT body FROM rows").fetchall() == [('{"text":"only in the log"}',)]
    kept.close()


def test_an_older_journal_is_copied_then_migrated(tmp_path: Path) -> None:
    path = made(tmp_path)
    newer = (*schema.MIGRATIONS, ("ALTER TABLE kept ADD COLUMN since REAL NOT NULL DEFAULT 0",))
    opened = opening.open_file(path, ManualClock(), newer)
    assert opened.set_aside is None
    assert schema.version(opened.db) == 2
    assert opened.db.execute("SELECT count(*), (SELECT count(since) FROM kept) FROM rows").fetchone() == (1, 0)
    opened.db.close()
    copy = stamp(path, "v1")
    assert copy.stat().st_mode & 0o777 == 0o600
    old = open_journal(copy)
    assert [row.body for row in old.rows()] == [{"text": "before"}], "the copy is a whole journal of the old version"
    old.close()
    again = opening.open_file(path, ManualClock(), newer)
    assert len(list(tmp_path.glob("*.v1-*"))) == 1, "migrated once"
    again.db.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = made(tmp_path)
    broken = (*schema.MIGRATIONS, ("CREATE TABLE fine(x)", "ALTER TABLE nowhere ADD COLUMN y"))
    with pytest.raises(JournalError, match="cannot be opened"):
        opening.open_file(path, ManualClock(), broken)
    journal = open_journal(path)
    assert journal.set_aside is None
    assert len(journal.rows()) == 1


def test_version_0_is_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(mode=0o644)
    journal = open_journal(path)
    assert journal.set_aside is None
    assert path.stat().st_mode & 0o777 == 0o600
    put(journal, "meta", "x", {"y": 1})
    assert journal.space("meta") == {"x": {"y": 1}}


def test_what_cannot_be_reached_is_not_set_aside(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal(tmp_path / "absent" / "journal.db")
    folder = tmp_path / "journal.db"
    folder.mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal(folder)
    assert folder.is_dir()
