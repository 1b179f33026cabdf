"""Page cache of files that nobody needs any more: the kernel is told to forget it. Needs no right but to read them.

From: kernel/hands.py (drop-cache), in a thread. To: posix_fadvise. What is mapped or not yet written stays.
"""

import os
import stat
from collections.abc import Callable, Iterator

from supervisor.errors import GroupError

MOST = 100_000
"""files of one call"""
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


def drop(paths: tuple[str, ...], late: Callable[[], bool]) -> float:
    """Forget the page cache of these files, and of every file below these folders; links are not followed, and only
    plain files are opened. Ends early once it is `late`. Returns the bytes of the files it went through. GroupError
    where this system cannot, or where a path is not there."""
    if not hasattr(os, "posix_fadvise"):
        raise GroupError("this system has no call that lets the kernel forget the page cache of a file")
    looked, count = 0.0, 0
    for path in paths:
        for folder, name in _files(path):
            if late() or count >= MOST:
                return looked
            looked += _forget(folder, name)
            count += 1
    return looked


def _files(path: str) -> Iterator[tuple[int | None, str]]:
    """(an open folder or None, the file's name in it), in order of name."""
    try:
        mode = os.stat(path).st_mode  # what is configured may itself be a link; what it leads to is meant
    except OSError as err:
        raise GroupError(f"{path} cannot be read ({err.strerror}); see `weights` of the service") from err
    if not stat.S_ISDIR(mode):
        yield None, os.path.realpath(path)
        return
    for _folder, folders, files, number in os.fwalk(os.path.realpath(path)):
        folders.sort()
        for name in sorted(files):
            yield number, name


def _forget(folder: int | None, name: str) -> float:
    """One file; 0 for what is none, or vanished, or may not be read."""
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return 0.0
        number = os.open(name, _READ, dir_fd=folder)
    except OSError:
        return 0.0
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            return 0.0
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        return float(found.st_size)
    except OSError:
        return 0.0
    finally:
        os.close(number)
