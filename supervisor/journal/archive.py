"""A state folder at rest: what was recorded and what happened there, read without changing anything.

In: the state folder of a stopped daemon, or a copy of one. Out: the readings, block by block, and which service each
container was; for `lab/recording.py`. The folder is locked for as long as its files are copied, and nothing is written
into it. The files may be open in nobody's hands, so the copies carry along what a killed daemon had not folded in.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from supervisor.errors import AlreadyRunning, UsageError
from supervisor.facts import Labels
from supervisor.journal.recorder import Reading, labels_of, unpack

_FOLDED = ("", "-wal")
RUNNING = (
    "a daemon uses {folder} right now; leave the folder out and `resurgam replay` asks that daemon for its recording, "
    "or stop it first"
)


class Archive:
    """The recording of one state folder. `services`: canonical container name -> service id, as last seen."""

    def __init__(self, folder: Path, copies: tempfile.TemporaryDirectory[str]) -> None:
        self.folder = folder
        self._copies = copies
        self._db = _connect(Path(copies.name, "recorder.db"), folder / "recorder.db")
        self.services: dict[str, str] = _services(Path(copies.name, "journal.db"))

    @classmethod
    def open(cls, folder: Path) -> "Archive":
        """Copy what is there and open the copies. UsageError where it is no state folder, AlreadyRunning where a
        daemon uses it."""
        if not (folder / "recorder.db").is_file():
            raise UsageError(f"{folder} holds no recorder.db, so there is nothing to replay; name a state folder")
        copies = tempfile.TemporaryDirectory(prefix="resurgam-replay-")
        try:
            with _at_rest(folder):
                for name in ("recorder.db", "journal.db"):
                    for tail in _FOLDED:
                        if (folder / (name + tail)).is_file():
                            shutil.copyfile(folder / (name + tail), Path(copies.name, name + tail))
            return cls(folder, copies)
        except OSError as err:
            copies.cleanup()
            raise UsageError(f"{err.filename or folder} cannot be copied: {err.strerror}") from None
        except BaseException:
            copies.cleanup()
            raise

    def close(self) -> None:
        """Drop the copies."""
        self._db.close()
        self._copies.cleanup()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def span(self) -> tuple[int, int]:
        """The first and the last instant (ms) of what was recorded; (0, 0) where nothing was."""
        first, last = self._db.execute("SELECT min(first), max(last) FROM blocks").fetchone()
        return (int(first), int(last)) if first is not None else (0, 0)

    def series(self) -> list[Labels]:
        """Every label set that was recorded, sorted."""
        return sorted(self._names().values())

    def blocks(self, since: int, until: int) -> Iterator[list[Reading]]:
        """The readings from `since` to `until` (ms), some seconds at a time, in the order in which they were kept."""
        names = self._names()
        asked = "SELECT first, data FROM blocks WHERE last >= ? AND first <= ? ORDER BY id"
        try:
            for first, data in self._db.execute(asked, (since, until)):
                yield [
                    (names[number], ms, value)
                    for number, ms, value in unpack(first, data)
                    if number in names and since <= ms <= until
                ]
        except (sqlite3.Error, ValueError) as err:
            raise UsageError(f"{self.folder / 'recorder.db'} is damaged: {err}") from None

    def _names(self) -> dict[int, Labels]:
        return {int(number): labels_of(text) for number, text in self._db.execute("SELECT id, labels FROM series")}


def _connect(copy: Path, original: Path) -> sqlite3.Connection:
    """The copied recorder, in which nobody else writes."""
    db = sqlite3.connect(copy, isolation_level=None)
    try:
        db.execute("SELECT first, last, data FROM blocks LIMIT 1").fetchone()
    except sqlite3.Error as err:
        db.close()
        raise UsageError(f"{original} is no recording that this version can read: {err}") from None
    return db


def _services(copy: Path) -> dict[str, str]:
    """Which service each container was, by the journal; nothing where it cannot be read."""
    if not copy.is_file():
        return {}
    asked = (
        "SELECT json_extract(body, '$.container'), json_extract(body, '$.service') FROM rows "
        "WHERE kind >= 'container.' AND kind < 'container/' ORDER BY seq"
    )
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as db:
        try:
            return {str(name): str(service) for name, service in db.execute(asked) if name and service}
        except sqlite3.Error:
            return {}


@contextlib.contextmanager
def _at_rest(folder: Path) -> Iterator[None]:
    """Nobody starts a daemon here as long as this lasts. AlreadyRunning where one runs."""
    try:
        handle = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield  # a copy has no lock
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(RUNNING.format(folder=folder)) from None
        yield
    finally:
        os.close(handle)
