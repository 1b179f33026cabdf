"""The files of the kernel, by their absolute path: read as often as one likes through files that stay open.

Opening may fail when memory is short, and costs; reading again does not. The simulated kernel (lab/kernel) has the
same methods.
"""

import os
from collections.abc import Iterable
from typing import Protocol

MOST = 1 << 20
"""bytes of one file"""
PIECE, NEARLY = 8192, 3072
"""bytes asked for at once (a buffer for all of MOST costs twice the read), and from how many on there may be more:
files of many records are handed out a page of 4096 bytes at a time"""


class Tree(Protocol):
    """Files below /proc and /sys. Every method raises OSError as the kernel does."""

    def read(self, path: str) -> bytes:
        """The whole file, from its beginning."""

    def write(self, path: str, data: bytes) -> None:
        """One write(2) of all of it. Blocks as long as the kernel does."""

    def names(self, path: str) -> tuple[str, ...]:
        """What is in a folder, in order of name."""

    def exists(self, path: str) -> bool:
        """Whether it is there. Never raises."""

    def writable(self, path: str) -> bool:
        """Whether we may write to it: it is there, not read-only, and ours to write. Never raises."""

    def forget(self, prefixes: Iterable[str]) -> None:
        """Close the files that lie below these paths."""


class KernelFiles:
    """The real ones. Not safe for use by several threads at once, but for `write`."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def read(self, path: str) -> bytes:
        """The whole file; it stays open, and is opened again where it has gone and come back."""
        number = self._open.get(path)
        if number is not None:
            try:
                found = os.pread(number, PIECE, 0)
                return found if len(found) < NEARLY else _rest(number, found)
            except OSError:
                os.close(self._open.pop(path))  # the control group is gone (ENODEV); another may be there by now
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _rest(number, b"")
        except OSError:
            os.close(number)
            raise
        self._open[path] = number
        return found

    def write(self, path: str, data: bytes) -> None:
        number = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(number, data)
        finally:
            os.close(number)

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(path)))

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def writable(self, path: str) -> bool:
        return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)

    def forget(self, prefixes: Iterable[str]) -> None:
        gone = tuple(prefixes)
        for path in [path for path in self._open if path.startswith(gone)]:
            os.close(self._open.pop(path))

    def close(self) -> None:
        """Let go of every file."""
        self.forget(("",))


def _rest(number: int, found: bytes) -> bytes:
    """The whole file, of which this is read already."""
    more = True
    while more and len(found) < MOST:
        piece = os.pread(number, PIECE, len(found))
        more = bool(piece) and len(found) + len(piece) >= NEARLY
        found += piece
    return found
