"""Page cache of files that nobody needs any more: the kernel is told to forget it. Needs no right but to read them.

From: kernel/hands.py (drop-cache), in a thread. To: posix_fadvise. What is mapped or not yet written stays.
"""

import os
import stat
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice

from supervisor.errors import GroupError

MOST = 100_000
"""files and folders of one call"""
DEEPEST = 32
"""folders in each other: whoever runs there may have made thousands, and each is an open file of ours"""
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def drop(paths: tuple[str, ...], late: Callable[[], bool]) -> float:
    """Forget the page cache of these files, and of every file below these folders; links are not followed, and only
    plain files are opened. Ends early once it is `late`. Returns the bytes of the files it went through. GroupError
    where this system cannot, or where a path is not there."""
    if not hasattr(os, "posix_fadvise"):
        raise GroupError("this system has no call that lets the kernel forget the page cache of a file")
    looked, count = 0.0, 0
    for path in paths:
        with closing(_files(path)) as found:
            for folder, name in found:
                if late() or count >= MOST:
                    return looked
                looked += _forget(folder, name)
                count += 1
    return looked


def _files(path: str) -> Generator[tuple[int | None, str], None, None]:
    """(an open folder or None, the file's name in it), in order of name; folders come, too, and are no files."""
    try:
        mode = os.stat(path).st_mode  # what is configured may itself be a link; what it leads to is meant
    except OSError as err:
        raise GroupError(f"{path} cannot be read ({err.strerror}); see `weights` of the service") from err
    if not stat.S_ISDIR(mode):
        yield None, os.path.realpath(path)
        return
    yield from _below(None, os.path.realpath(path), 0)


def _below(above: int | None, folder: str, deep: int) -> Generator[tuple[int | None, str], None, None]:
    """What is in a folder, then in those in it. Nothing where it cannot be read, or is none by now."""
    try:
        number = os.open(folder, _FOLDER, dir_fd=above)
    except OSError:
        return
    try:
        with os.scandir(number) as found:
            entries = sorted((one for one in islice(found, MOST) if not one.is_symlink()), key=lambda one: one.name)
        folders = [one.name for one in entries if one.is_dir(follow_symlinks=False)]
        for one in entries:
            if not one.is_dir(follow_symlinks=False):
                yield number, one.name
        for name in folders:
            yield number, name
            if deep < DEEPEST:
                yield from _below(number, name, deep + 1)
    except OSError:
        return
    finally:
        os.close(number)


def _forget(folder: int | None, name: str) -> float:
    """One file; 0 for what is none, or vanished, or may not be read. It is held first, looked at, and only then opened,
    by what is held: whoever runs there may swap it for a device at any moment, and to open one can do harm."""
    try:
        held = os.open(name, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return 0.0
    try:
        found = os.fstat(held)
        if not stat.S_ISREG(found.st_mode):
            return 0.0
        number = os.open(f"/proc/self/fd/{held}", _READ)
        try:
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(number)
        return float(found.st_size)
    except OSError:
        return 0.0
    finally:
        os.close(held)
