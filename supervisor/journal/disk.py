"""The state folder: private, locked by one daemon, with a little disk held in reserve.

Used by daemon.py before anything else is opened (the lock) and by store.py (the reserve).
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType

from supervisor.errors import AlreadyRunning, UsageError

RESERVE = 4 * 1024 * 1024
"""bytes kept free for bringing begun plans to their end"""
ROOM = 64 * 1024 * 1024
"""bytes that must be free besides, before the reserve is made again"""


class StateLock:
    """Held while a daemon uses the state folder; the kernel lets go of it when the process dies."""

    def __init__(self, handle: int, path: Path) -> None:
        self._handle = handle
        self.path = path

    def close(self) -> None:
        """Let go. The file stays: taking it away would let two daemons lock two files."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> "StateLock":
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def lock_state(folder: Path) -> StateLock:
    """Make the state folder where it is missing (0700) and lock it.

    AlreadyRunning names the process that holds it; UsageError where the folder cannot be made or is not private.
    """
    _private_folder(folder)
    path = folder / "lock"
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as err:
        raise UsageError(f"The lock {path} cannot be opened: {err.strerror}.") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = os.read(handle, 32).decode("ascii", "replace").strip()
        os.close(handle)
        raise AlreadyRunning(
            f"Another Resurgam{f' (process {pid})' if pid.isdigit() else ''} already looks after {folder}. "
            "Stop it first (`systemctl stop resurgam`, or Ctrl-C in its terminal), "
            "or give this one a state_dir of its own."
        ) from None
    # A full disk must not keep us from starting: the number is only for the sentence above.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return StateLock(handle, path)


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError as err:
        raise UsageError(
            f"The state folder {folder} cannot be used: {err.strerror}. Run as root, or set RESURGAM_STATE_DIR."
        ) from None
    if facts.st_uid not in (0, os.geteuid()):
        raise UsageError(f"The state folder {folder} belongs to user {facts.st_uid}; choose another state_dir.")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"The state folder {folder} can be changed by others; run: chmod 0700 {folder}")


class Reserve:
    """A file that only takes up room, so that there is some when the disk is full."""

    def __init__(self, folder: Path, size: int = RESERVE, room: int = ROOM) -> None:
        self.path = folder / "reserve"
        self._size, self._room = size, room

    @property
    def held(self) -> bool:
        """Whether the room is taken."""
        try:
            return self.path.stat().st_size >= self._size
        except OSError:
            return False

    def release(self) -> bool:
        """Give the room back to the disk; False if there was none to give."""
        held = self.held
        with contextlib.suppress(OSError):
            self.path.unlink()
        return held

    def make(self) -> bool:
        """Take the room, if the disk has enough besides; True if it is held now."""
        if self.held:
            return True
        try:
            facts = os.statvfs(self.path.parent)
            if facts.f_bavail * facts.f_frsize < self._size + self._room:
                return False
            handle = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._fill(handle)
            finally:
                os.close(handle)
        except OSError:
            self.release()
            return False
        return True

    def _fill(self, handle: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, self._size)
        else:  # macOS
            for start in range(0, self._size, 65536):
                os.pwrite(handle, bytes(min(65536, self._size - start)), start)
        os.fsync(handle)
