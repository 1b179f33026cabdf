"""Reads a whole file, but never more of it than may be: what people name can be a pipe, a device, or two gigabytes.

Used by everything that reads a file a person wrote: configuration, rules, playbooks, tests, series, exports.
"""

import errno
import os
import stat
from pathlib import Path

_STREAMS = ("/dev/stdin", "/dev/fd/")
"""a shell's `<(…)` and a pipe into the command: whoever names one means it"""


def read_bytes(path: Path, most: int) -> bytes:
    """The file's bytes: `most` and one more where it is longer. OSError where it cannot be read, or is none: opening
    a pipe that nobody writes to would wait for ever, and a device has no end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as handle:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode) and not str(path).startswith(_STREAMS):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        os.set_blocking(descriptor, True)
        return handle.read(most + 1)


def read_text(path: Path, most: int) -> str:
    """As `read_bytes`, as text: UnicodeDecodeError where it is not UTF-8. What is too long stays too long."""
    data = read_bytes(path, most)
    return data.decode("utf-8", "replace" if len(data) > most else "strict")
