"""What containers print: the tail of a log, and the output of a command run inside. Always bounded.

From: engines/docker/engine.py, on one of its threads. To: evidence of a death, and probes.
docker-py reads such answers whole, and waits for a command without any limit; so both are read here, piece by piece.
"""

import struct
from collections import deque
from typing import Any

import docker.errors

from supervisor.clock import Clock
from supervisor.ports import ExecResult

LINE = 4096
"""characters kept of one line"""
OUTPUT = 16_384
"""bytes kept of a command's output"""
TIMED_OUT = 124
"""the exit code for a command that did not end in time, as `timeout` has it"""
_HEADER = 8


def tail(client: Any, key: str, lines: int) -> tuple[str, ...]:
    """The last lines of a container's log; empty where there is no container or its log driver cannot be read."""
    try:
        tty = bool(client.inspect_container(key)["Config"].get("Tty"))
        response = client._get(
            client._url("/containers/{0}/logs", key),
            params={"stdout": 1, "stderr": 1, "tail": lines, "follow": 0},
            stream=True,
        )
        client._raise_for_status(response)
    except docker.errors.APIError as err:
        if err.status_code in (404, 409) or "logging driver" in str(err.explanation):
            return ()
        raise
    found = Lines(lines)
    split = Frames(raw=tty)
    try:
        for chunk in client._stream_helper(response):
            for piece in split.feed(chunk):
                found.feed(piece)
    finally:
        response.close()
    return found.done()


def execute(client: Any, key: str, argv: tuple[str, ...], limit: float, clock: Clock) -> ExecResult:
    """Run a command inside and wait for it `limit` seconds at most."""
    until = clock.mono() + limit
    made = client.exec_create(key, list(argv), stdout=True, stderr=True)["Id"]
    split, kept = Frames(raw=False), bytearray()
    try:
        response = client._post_json(
            client._url("/exec/{0}/start", made),
            data={"Detach": False, "Tty": False},
            stream=True,
            timeout=limit,
        )
        client._raise_for_status(response)
    except docker.errors.APIError as err:
        sentence = str(err.explanation or err)
        if "exec failed" in sentence or "executable file not found" in sentence:
            return ExecResult(127, "", sentence)
        raise
    try:
        while chunk := response.raw._fp.read1(LINE):
            for piece in split.feed(chunk):
                kept += piece[: OUTPUT - len(kept)]
            if clock.mono() >= until:
                return ExecResult(TIMED_OUT, _text(kept))
    except TimeoutError:
        return ExecResult(TIMED_OUT, _text(kept))
    finally:
        response.close()
    code = int(client.exec_inspect(made).get("ExitCode") or 0)
    output = _text(kept)
    broken = code in (126, 127) and ("exec failed" in output or "executable file not found" in output)
    return ExecResult(code, output, output.strip() if broken else "")


class Frames:
    """Takes Docker's multiplexed stream apart: 8 bytes of header, then so many bytes. `raw`: there are no headers."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._head = b""
        self._left = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The payload bytes in this chunk."""
        if self._raw:
            return [chunk]
        found: list[bytes] = []
        while chunk:
            if self._left:
                found.append(chunk[: self._left])
                taken = len(found[-1])
                self._left -= taken
                chunk = chunk[taken:]
                continue
            need = _HEADER - len(self._head)
            self._head, chunk = self._head + chunk[:need], chunk[need:]
            if len(self._head) == _HEADER:
                self._left, self._head = int(struct.unpack(">BxxxL", self._head)[1]), b""
        return found


class Lines:
    """The last `count` lines of what is fed in, each cut."""

    def __init__(self, count: int) -> None:
        self._kept: deque[str] = deque(maxlen=max(0, count))
        self._open = b""

    def feed(self, piece: bytes) -> None:
        """More bytes of the log."""
        *whole, rest = piece.split(b"\n")
        for line in whole:
            self._kept.append(_text(self._open + line)[:LINE])
            self._open = b""
        self._open = (self._open + rest)[: LINE * 4]

    def done(self) -> tuple[str, ...]:
        """What was kept, oldest first."""
        if self._open:
            self._kept.append(_text(self._open)[:LINE])
            self._open = b""
        return tuple(self._kept)


def _text(raw: bytes | bytearray) -> str:
    return bytes(raw).decode("utf-8", "replace").rstrip("\r")
