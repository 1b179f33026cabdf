"""Where a compose file and the files beside it are read from: as a person on the command line, or inside one folder.

From: the disk. To: reading.py, as its Source. The daemon never opens a path that it was sent: it reads only in a folder
that its configuration names, by names without a folder in them or below it, through no link, and nothing but plain
files; whoever writes there can be hostile.
"""

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from supervisor.actions.compose import reading
from supervisor.actions.compose.model import MOST_DOCUMENT
from supervisor.config.reading import read_bytes
from supervisor.errors import ConfigError, Mistake
from supervisor.facts import Json

LARGEST = 1 << 20
"""bytes of one file"""
MOST_FILES, MOST_BYTES = 1_000, 8 << 20
"""of all files that one compose file of a shared folder names: it may name the same one again and again"""


class AsPerson:
    """Every file that this process may read, with its environment."""

    def __init__(self, environment: Mapping[str, str], home: str) -> None:
        self.environment, self.home = environment, home

    def read(self, path: str) -> str:
        """OSError where it cannot be read, ValueError where it is too long or no text."""
        return _text(read_bytes(Path(path), LARGEST), path)


class InFolder:
    """Plain files in one folder and below, no link followed on the way; no environment, no home."""

    environment: Mapping[str, str] = {}
    home = "~"

    def __init__(self, folder: str) -> None:
        self.folder = os.path.normpath(folder)
        self._files, self._bytes = 0, 0

    def read(self, path: str) -> str:
        """OSError where it cannot be read, ValueError where it is outside, a link, no plain file or too long."""
        inside = os.path.relpath(os.path.normpath(path), self.folder)
        parts = inside.split(os.sep)
        if os.pardir in parts or inside == os.curdir:
            raise ValueError(f"{path} is outside {self.folder}")
        self._files += 1
        if self._files > MOST_FILES or self._bytes > MOST_BYTES:
            raise ValueError(f"more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB are named in all")
        data = _read_below(self.folder, parts)
        self._bytes += len(data)
        return _text(data, path)


def _read_below(folder: str, parts: list[str]) -> bytes:
    opened = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened.append(_open(part, flags, opened[-1]))
        # without waiting: opening a pipe would wait for its writer, and a tape for its tape
        opened.append(_open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise ValueError(f"{parts[-1]} is no plain file")
        with os.fdopen(opened.pop(), "rb") as handle:
            return handle.read(LARGEST + 1)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as err:
        if err.errno in (errno.ELOOP, errno.ENXIO, errno.EMLINK):
            raise ValueError(f"{name} is a link or no plain file") from None
        raise


def _text(data: bytes, path: str) -> str:
    if len(data) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def read_file(path: str, source: reading.Source) -> reading.Project:
    """The project in the compose file at an absolute path. ConfigError carries every mistake, also that it cannot be
    read."""
    try:
        text = source.read(path)
    except OSError as err:
        raise ConfigError([Mistake(path, 0, 0, f"it cannot be read: {err.strerror or err}")]) from None
    except ValueError as err:
        raise ConfigError([Mistake(path, 0, 0, str(err))]) from None
    return reading.read(text, path, source)


def in_folder(path: str) -> Json:
    """What a compose file in a shared folder says: compose service name -> service, read as `InFolder` reads."""
    found = read_file(path, InFolder(os.path.dirname(path))).documents()
    if len(json.dumps(found)) > MOST_DOCUMENT:
        raise ConfigError([Mistake(path, 0, 0, f"its services come to more than {MOST_DOCUMENT // 1000} kB")])
    return found
