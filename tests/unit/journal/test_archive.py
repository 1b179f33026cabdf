"""A state folder at rest: read as it is, left as it is, and not touched while a daemon uses it."""

import sqlite3
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import AlreadyRunning, UsageError
from supervisor.journal import lock_state
from supervisor.journal.archive import Archive
from supervisor.journal.recorder import Reading, Recorder
from tests.support.recordings import BEGIN, MEMORY, STREAK, state_folder, story


def everything(archive: Archive, since: int = 0, until: int = 1 << 60) -> list[Reading]:
    return [reading for block in archive.blocks(since, until) for reading in block]


def test_all_that_was_recorded_comes_back(ram: Path) -> None:
    state_folder(ram, story(), {"oracle-1": "box.oracle"})
    with Archive.open(ram) as archive:
        assert everything(archive) == story()
        assert archive.span() == (BEGIN * 1000, story()[-1][1])
        assert archive.series() == sorted([MEMORY, STREAK])
        assert archive.services == {"oracle-1": "box.oracle"}
        ms = (BEGIN + 60) * 1000
        assert [reading[1] for reading in everything(archive, ms, ms + 15_000)] == [ms, ms + 3, ms + 15_000]


def test_the_folder_is_left_as_it_was(ram: Path) -> None:
    state_folder(ram, story())
    before = {path.name: (path.stat().st_size, path.read_bytes()) for path in ram.iterdir()}
    with Archive.open(ram) as archive:
        everything(archive)
    assert {path.name: (path.stat().st_size, path.read_bytes()) for path in ram.iterdir()} == before


def test_what_a_killed_daemon_left_in_its_log_is_read_too(ram: Path) -> None:
    recorder = Recorder.open(ram / "recorder.db", ManualClock())
    recorder.write([(STREAK, 1000, 1.0)])
    assert (ram / "recorder.db-wal").stat().st_size > 0, "it is still open, as after a kill"
    with Archive.open(ram) as archive:
        assert everything(archive) == [(STREAK, 1000, 1.0)]
    recorder.close()


def test_a_running_daemon_is_not_disturbed(ram: Path) -> None:
    state_folder(ram, story())
    ram.chmod(0o700)
    with lock_state(ram), pytest.raises(AlreadyRunning, match="leave the folder out"):
        Archive.open(ram)
    with Archive.open(ram), lock_state(ram):
        pass  # the copies are read; a daemon may start


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_recording_that_cannot_be_read_is_said(ram: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match=r"holds no recorder\.db"):
        Archive.open(ram)
    (ram / "recorder.db").write_bytes(content)
    with pytest.raises(UsageError, match="no recording that this version can read"):
        Archive.open(ram)


def test_a_damaged_block_is_said(ram: Path) -> None:
    state_folder(ram, story())
    db = sqlite3.connect(ram / "recorder.db")
    db.execute("UPDATE blocks SET data = x'00ff' WHERE id = 2")
    db.commit()
    db.close()
    with Archive.open(ram) as archive, pytest.raises(UsageError, match="damaged"):
        everything(archive)


def test_a_folder_without_a_journal_knows_no_services(ram: Path) -> None:
    state_folder(ram, story())
    (ram / "journal.db").write_bytes(b"x" * 5000)
    with Archive.open(ram) as archive:
        assert archive.services == {}
    (ram / "journal.db").unlink()
    with Archive.open(ram) as archive:
        assert archive.services == {}
