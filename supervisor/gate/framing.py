"""Where the body of an HTTP/1 message ends. The bytes themselves are somebody else's: they pass as they came.

From: the head of a request or an answer (heads.py). To: passing.py, which asks how many of the bytes at hand belong to
the message. Strict: what two readers could understand differently is refused, because the gate and the model server
behind it must never disagree about where the next request begins.
"""

import re
from typing import Protocol

LONGEST_LINE = 4096
"""bytes of a line between two chunks"""
LONGEST_TRAILER = 16_384
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\x00]*)?\r\n")
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\x00]*\r\n")


class Broken(Exception):
    """The other end does not keep to HTTP/1; the text says how, for a person."""


class Framing(Protocol):
    """How far a body has come."""

    done: bool

    @property
    def reach(self) -> int:
        """So many bytes can be read that surely belong to this body; 0: the rest of a line."""

    @property
    def clean(self) -> bool:
        """Whether a piece of our own could stand here without spoiling the framing."""

    def take(self, data: bytes) -> int:
        """How many of these next bytes belong to it. Raises Broken."""

    def end(self) -> bool:
        """The connection ended here; whether the body was whole."""


class Sized:
    """A body of so many bytes; 0 for none at all."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    @property
    def reach(self) -> int:
        return self.left

    @property
    def clean(self) -> bool:
        return False

    def take(self, data: bytes) -> int:
        count = min(self.left, len(data))
        self.left -= count
        self.done = self.left == 0
        return count

    def end(self) -> bool:
        return self.done


class UntilClose:
    """A body that the end of its connection ends: answers of HTTP/1.0 servers."""

    reach = 65_536
    clean = True

    def __init__(self) -> None:
        self.done = False

    def take(self, data: bytes) -> int:
        return len(data)

    def end(self) -> bool:
        self.done = True
        return True


class Chunked:
    """A body in chunks, each with its size before it."""

    def __init__(self) -> None:
        self.done = False
        self._left = 0
        """bytes of the chunk that are still to come"""
        self._line = b""
        """what is there of the line that comes next"""
        self._after = self._size
        self._trailer = 0

    @property
    def reach(self) -> int:
        return self._left

    @property
    def clean(self) -> bool:
        return not self.done and not self._left and not self._line and self._after == self._size

    def take(self, data: bytes) -> int:
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            stop = data.find(b"\n", at) + 1
            piece = data[at : stop or end]
            at += len(piece)
            self._line += piece
            if len(self._line) > LONGEST_LINE:
                raise Broken("a line between two chunks is too long")
            if stop:
                line, self._line = self._line, b""
                self._after(line)
        return at

    def end(self) -> bool:
        return self.done

    def _size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Broken("the size of a chunk is no number")
        self._left = int(match[1], 16)
        self._after = self._gap if self._left else self._last

    def _gap(self, line: bytes) -> None:
        if line != b"\r\n":
            raise Broken("a chunk is longer than its size")
        self._after = self._size

    def _last(self, line: bytes) -> None:
        """A line after the last chunk."""
        if line == b"\r\n":
            self.done = True
            return
        self._trailer += len(line)
        if self._trailer > LONGEST_TRAILER or not _FIELD.fullmatch(line):
            raise Broken("what comes after the last chunk is no header")
