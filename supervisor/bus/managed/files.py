"""Files of the managed broker: written whole or not at all, for its user alone, and a lock that outlives its taker.

Used by users.py and process.py. The lock is the kernel's (flock): whoever starts a mosquitto hands the open lock on to
it, so that it is held as long as that mosquitto lives, whatever became of the one who started it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def put(path: Path, text: str) -> None:
    """Write a file only its owner can read. As root it belongs to whoever owns the folder: the broker may run as
    another user than the one who adds a user to it with sudo."""
    new = path.with_name(path.name + ".new")
    # What lies there is of a write that was cut short, or a link to a file of somebody else's: it is not written to.
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        give(descriptor, path.parent)
    os.replace(new, path)


def give(descriptor: int, folder: Path) -> None:
    """Let an open file belong to the folder's owner, where that is not us and we are root."""
    if os.geteuid() == 0:
        owner = folder.stat()
        if (owner.st_uid, owner.st_gid) != (0, 0):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def private_folder(folder: Path) -> None:
    """Make it, for one user alone: the owner of the folder it lies in, if we are root."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            owner = folder.parent.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
    if folder.stat().st_uid in (os.geteuid(), 0) or os.geteuid() == 0:
        folder.chmod(0o700)


def take(path: Path, *, wait: bool = False) -> int | None:
    """Take the lock: an open file to be closed (or handed on); None where another one has it. `wait`: until it is
    free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give(descriptor, path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def holding(path: Path) -> Iterator[None]:
    """With the lock; waits for it."""
    descriptor = take(path, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sign(descriptor: int, who: str) -> None:
    """Write into a lock that is held who holds it."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{who}\n".encode(), 0)
