"""What all kinds of headers come to, and how their bytes are fetched: in pieces, and never more than a bound.

From: gguf.py and safetensors.py, which read; local.py and remote.py, which fetch. A file can be hostile, cut or still
growing: every length and count in it is held against what is there before it is believed.
"""

from collections.abc import Callable
from dataclasses import dataclass

ReadAt = Callable[[int, int], bytes]
"""(offset, size) -> the bytes there; fewer at the end of the file. OSError where it cannot be read"""
PIECE = 1 << 20
MOST = 512 << 20
"""bytes of one header that are read; what is only skipped does not count"""


class BadHeader(ValueError):
    """The file is not what it should be; its text goes on after the file's name: `is cut: …`."""


class Short(BadHeader):
    """More bytes are needed than were fetched: up to `needed`, or the file is cut there."""

    def __init__(self, needed: int) -> None:
        self.needed = needed
        super().__init__("is cut: it ends within its header")


@dataclass(frozen=True, slots=True)
class Header:
    """One file."""

    kind: str
    architecture: str = ""
    quant: str = ""
    context: int = 0
    layers: int = 0
    cache: float = 0.0
    cache_most: float = 0.0
    tensors: int = 0
    end: int = 0
    """bytes that the file must have; 0 where it cannot be told"""
    part: int = 0
    """which of `parts` this is, from 1; 0 for a file of its own"""
    parts: int = 0
    all_tensors: int = 0
    """of all parts; 0 where it does not say"""
    aside: str = ""
    """what it is beside a model: a projector, an adapter; '' for a model"""
    notes: tuple[str, ...] = ()


class Window:
    """A file, read forward: `take` gives bytes, `skip` passes over them unread. `size`: of the whole file."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at, self.size = read_at, size
        self.at = 0
        self._held, self._from, self._read = b"", 0, 0

    def take(self, count: int) -> bytes:
        """The next bytes. Short where the file ends before."""
        begin = self.at - self._from
        if begin < 0 or begin + count > len(self._held):
            self._fetch(count)
            begin = 0
        self.at += count
        return self._held[begin : begin + count]

    def skip(self, count: int) -> None:
        """Pass over bytes. Short where the file ends before."""
        if self.at + count > self.size:
            raise Short(self.at + count)
        self.at += count

    def _fetch(self, count: int) -> None:
        if self.at + count > self.size:
            raise Short(self.at + count)
        wanted = min(max(count, PIECE), self.size - self.at)
        self._read += wanted
        if self._read > MOST:
            raise BadHeader(f"has a header of more than {MOST >> 20} MiB, which no model has")
        self._held, self._from = self._read_at(self.at, wanted), self.at
        if len(self._held) < count:
            raise Short(self.at + count)
