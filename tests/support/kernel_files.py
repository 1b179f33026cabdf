"""The kernel's files out of memory: what was recorded of a real kernel, or what a test says.

`Files` is a kernel.tree.Tree; paths that are not there raise ENOENT, values that are errors are raised.
"""

import errno
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

RECORDED = Path(__file__).parent / "kernel"
"""v1: of Linux 6.18, a process with 25 MiB of anonymous memory (6 locked), 5 of shared memory (2 locked), 32 of a file
(8 locked). v2: as Linux 6.8 writes it, 50 GiB anonymous, 4 shared, 96 more of files (31 locked); v2-old: the same
before 5.18"""


class Files:
    """A Tree. `files`: path -> text, bytes or the OSError that reading it raises."""

    def __init__(self, files: dict[str, str | bytes | OSError] | None = None) -> None:
        self.files = dict(files or {})
        self.reads: Counter[str] = Counter()
        self.forgotten: list[str] = []

    def put(self, folder: str, recorded: str) -> "Files":
        """Let a folder be what was recorded."""
        for path in (RECORDED / recorded).iterdir():
            self.files[f"{folder}/{path.name}"] = path.read_bytes()
        return self

    def gone(self, folder: str) -> None:
        """Remove a folder."""
        for path in [path for path in self.files if path.startswith(f"{folder}/")]:
            del self.files[path]

    def read(self, path: str) -> bytes:
        self.reads[path] += 1
        found = self.files.get(path, OSError(errno.ENOENT, os.strerror(errno.ENOENT), path))
        if isinstance(found, OSError):
            raise found
        return found.encode() if isinstance(found, str) else found

    def write(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(
            sorted({rest.split("/")[0] for one in self.files if (rest := one.removeprefix(f"{path}/")) != one})
        )

    def exists(self, path: str) -> bool:
        return path in self.files

    def forget(self, prefixes: Iterable[str]) -> None:
        self.forgotten += prefixes
