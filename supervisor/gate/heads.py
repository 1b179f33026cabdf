"""The heads of HTTP/1 messages: what the gate must know of them to pass them on, and what it refuses.

From: door.py, the bytes of a head. To: Request and Answer. A head goes on as it came; only a wish to speak another
protocol on the connection is taken out of a request (a server may ignore it), because what follows would be no HTTP.
Refused is what two readers could understand differently: two lengths, a length and chunks, folded lines, bare ends of
lines. A hostile caller could hide a second request in such a one.
"""

import re
from dataclasses import dataclass

from supervisor.gate.framing import Broken, Chunked, Framing, Sized, UntilClose

LONGEST_HEAD = 65_536
MOST_FIELDS = 256
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
_ANSWER = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n\x00]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_DROPPED = (b"upgrade", b"http2-settings")

Fields = tuple[tuple[bytes, bytes], ...]
"""(name in lower case, value), in order"""


class Bad(Exception):
    """A request that is not passed on. `status` is what is answered."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Request:
    """What counts of a request's head."""

    method: str
    path: str
    """without the question"""
    head: bytes
    """what goes to the model server"""
    keeps: bool
    """the caller wants to use its connection again"""
    length: int
    """bytes of its body; -1: in chunks"""

    def framing(self) -> Framing:
        """Where its body ends."""
        return Chunked() if self.length < 0 else Sized(self.length)


@dataclass(frozen=True, slots=True)
class Answer:
    """What counts of an answer's head."""

    status: int
    keeps: bool
    """the caller can use its connection again"""
    type: str
    """its content type, without parameters; '' for none"""
    plain: bool
    """its body is not packed"""
    framing: Framing


def request(head: bytes) -> Request:
    """Read the head of a request, its empty line included. Raises Bad."""
    lines = head[:-4].split(b"\r\n")
    first = _REQUEST.fullmatch(lines[0])
    if first is None:
        if lines[0].rpartition(b" ")[2].startswith(b"HTTP/") and b"HTTP/1." not in lines[0]:
            raise Bad(505, "This address speaks HTTP/1.1 only.")
        raise Bad(400, "This is no HTTP request: its first line cannot be read.")
    method, target, minor = first[1].decode("ascii"), first[2].decode("latin-1"), first[3]
    if method == "CONNECT":
        raise Bad(501, "This address passes requests to one model server; it opens no tunnels.")
    try:
        fields = _fields(lines[1:])
        length = _length(fields, old=minor == b"0") or 0
    except Broken as err:
        raise Bad(400, f"The request's head cannot be read: {err}.") from None
    if len(_all(fields, b"host")) > 1:
        raise Bad(400, "The request names two hosts.")
    return Request(
        method,
        target.partition("?")[0],
        _without_upgrade(head, lines, fields),
        _keeps(fields, minor),
        length,
    )


def answer(head: bytes, method: str) -> Answer:
    """Read the head of the answer to a request of that method. Raises Broken."""
    lines = head[:-4].split(b"\r\n")
    first = _ANSWER.fullmatch(lines[0])
    if first is None:
        raise Broken("its first line is no HTTP/1 answer")
    fields, status = _fields(lines[1:]), int(first[2])
    if status < 200 or status in (204, 304) or method == "HEAD":
        framing: Framing = Sized(0)
    elif (length := _length(fields, old=False)) is None:
        framing = UntilClose()
    else:
        framing = Chunked() if length < 0 else Sized(length)
    keeps = _keeps(fields, first[1]) and not isinstance(framing, UntilClose)
    kind = (_all(fields, b"content-type") or [b""])[0].partition(b";")[0].strip().lower().decode("latin-1")
    packed = any(value.lower() != b"identity" for value in _all(fields, b"content-encoding"))
    return Answer(status, keeps, kind, not packed, framing)


def _fields(lines: list[bytes]) -> Fields:
    if len(lines) > MOST_FIELDS:
        raise Broken(f"it has more than {MOST_FIELDS} lines")
    found = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Broken(f"{line[:60].decode('ascii', 'backslashreplace')!r} is no header")
        found.append((match[1].lower(), match[2]))
    return tuple(found)


def _all(fields: Fields, name: bytes) -> list[bytes]:
    return [value for key, value in fields if key == name]


def _words(fields: Fields, name: bytes) -> list[bytes]:
    """The words of a list that may stand in several lines, in lower case."""
    listed = b",".join(_all(fields, name)).lower()
    return [word.strip() for word in listed.split(b",") if word.strip()]


def _length(fields: Fields, *, old: bool) -> int | None:
    """The length of the body, -1 for chunks, None where nothing says."""
    lengths, codings = _all(fields, b"content-length"), _all(fields, b"transfer-encoding")
    if codings:
        if lengths:
            raise Broken("it has a length and chunks")
        if [coding.lower() for coding in codings] != [b"chunked"] or old:  # to the byte: a reader may overlook another
            raise Broken("its transfer encoding is not the one of HTTP/1.1, chunked")
        return -1
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Broken("its length is not one number")
    return int(lengths[0])


def _keeps(fields: Fields, minor: bytes) -> bool:
    words = _words(fields, b"connection")
    return b"close" not in words and (minor == b"1" or b"keep-alive" in words)


def _without_upgrade(head: bytes, lines: list[bytes], fields: Fields) -> bytes:
    """The head without its wish for another protocol. Bad for a WebSocket: its caller would not understand an answer
    in HTTP. Some libraries wish for HTTP/2 with each first request, and go on well without it."""
    wishes = _words(fields, b"upgrade")
    if b"websocket" in wishes:
        raise Bad(501, "WebSockets do not pass this gate; ask over HTTP, or the model server itself.")
    if not wishes:
        return head
    kept = [lines[0]]
    for line, (name, _value) in zip(lines[1:], fields, strict=True):
        if name == b"connection":
            words = [word for word in _words(((name, _value),), name) if word not in _DROPPED]
            kept += [b"Connection: " + b", ".join(words)] if words else []
        elif name not in _DROPPED:
            kept.append(line)
    return b"\r\n".join(kept) + b"\r\n\r\n"
