"""The kernel's log, as it is written: one reader for everybody who listens (who was killed, what a GPU driver says).

From: /dev/kmsg, from now on (what was written before we looked is no news). To: every listener, one call per message of
the kernel itself. What a process wrote there is never handed on: the kernel marks it, and it cannot be forged.
"""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.clock import Clock
from supervisor.kernel.watches import Cannot, Ready

PATH = "/dev/kmsg"
_RECORD = 1 << 14
"""bytes: no record is larger"""
_BATCH = 256
"""records in one go: a flood does not keep the loop from its other work"""
_WINDOW = 600.0
"""seconds for which the log's clock is taken to keep pace with ours; in a day it can be seconds off"""
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Line:
    """One message of the kernel."""

    sequence: int
    stamp: float
    """seconds since the boot, by the log's own clock"""
    at: float
    """unix seconds"""
    mono: float
    """when it reached us, by our clock"""
    level: int
    """0 emergency … 7 debug"""
    raw: bytes
    """as it was written, escapes undone: names in it may hold any byte"""

    @property
    def text(self) -> str:
        """For reading; not for showing to people before units.plain."""
        return self.raw.decode("utf-8", "replace")


Heard = Callable[[Line], None]


class KernelLog:
    """Reads the log on the event loop, for any number of listeners. `open` where it is wanted, `close` at the end."""

    def __init__(
        self,
        clock: Clock,
        path: str = PATH,
        opened: Callable[[str], int] | None = None,
        read: Callable[[int, int], bytes] = os.read,
    ) -> None:
        """`opened` and `read`: how a file that is no /dev/kmsg is opened, at its end, and one record is read of it."""
        self._clock, self._path, self._opened, self._read_one = clock, path, opened or _open, read
        self._listeners: list[tuple[Heard, Callable[[], None] | None]] = []
        self._watch: Ready | None = None
        self._lag, self._lag_at = float("inf"), float("-inf")
        self.overruns = 0
        """how often the kernel wrote faster than we read, and overwrote what we had not"""
        self.foreign = 0
        """messages that a process wrote, not the kernel"""
        self.faults = 0
        """listeners that failed: defects of our own"""
        self.gone = Cannot("It was not opened yet.")
        """why it is not read; of no meaning while it is"""

    @property
    def live(self) -> bool:
        """It is read."""
        return self._watch is not None

    def listen(self, heard: Heard, lost: Callable[[], None] | None = None) -> Callable[[], None]:
        """Call `heard` for every message from now on, and `lost` where some were overwritten unread. Returns how to
        end that."""
        entry = (heard, lost)
        self._listeners.append(entry)

        def end() -> None:
            if entry in self._listeners:
                self._listeners.remove(entry)

        return end

    def open(self) -> Cannot | None:
        """Begin to read, within a running loop; why it cannot be done, else None. Fine if it is open."""
        if self._watch is not None:
            return None
        try:
            self._watch = Ready(self._opened(self._path), self._read, self._ended, rest=0.0)
        except OSError as err:
            self.gone = _cannot(err, self._path)
            return self.gone
        return None

    def close(self) -> None:
        """Read no more. Fine if it is closed; it may be opened again."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _ended(self, why: Cannot) -> None:
        self._watch, self.gone = None, why

    def _read(self, number: int) -> bool:
        for count in range(_BATCH):
            try:
                record = self._read_one(number, _RECORD)
            except BlockingIOError:
                return count > 0
            except BrokenPipeError:
                self.overruns += 1
                for _, lost in tuple(self._listeners):
                    self._call(lost)
                continue
            self._take(record)
            if self._watch is None or not record:
                return False  # closed by a listener, or no log at all
        return True

    def _take(self, record: bytes) -> None:
        line = self._line(record)
        if line is not None:
            for heard, _ in tuple(self._listeners):
                self._call(heard, line)

    def _call(self, listener: Callable[..., None] | None, *arguments: Line) -> None:
        if listener is None:
            return
        try:
            listener(*arguments)
        except Exception:  # noqa: BLE001 - one listener's defect is not the others'; counted
            self.faults += 1

    def _line(self, record: bytes) -> Line | None:
        """`PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];MESSAGE`, then lines about the device. None for what is not the
        kernel's own."""
        head, _, rest = record.partition(b";")
        fields = head.split(b",")
        if len(fields) < 3 or not all(field.isdigit() for field in fields[:3]):
            return None
        priority, sequence, stamp = int(fields[0]), int(fields[1]), int(fields[2]) / 1e6
        if priority >> 3:
            self.foreign += 1
            return None
        mono, wall = self._clock.mono(), self._clock.wall()
        lag = mono - stamp
        if lag < self._lag or mono - self._lag_at > _WINDOW:
            self._lag, self._lag_at = lag, mono
        raw = plain_bytes(rest.partition(b"\n")[0])
        return Line(sequence, stamp, wall - (lag - self._lag), mono, priority & 7, raw)


def plain_bytes(written: bytes) -> bytes:
    r"""The bytes that the kernel wrote as `\xNN`: what cannot be printed, and the backslash itself."""
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), written)


def _open(path: str) -> int:
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.lseek(number, 0, os.SEEK_END)
    except OSError:
        os.close(number)
        raise
    return number


def _cannot(err: OSError, path: str) -> Cannot:
    if err.errno == errno.ENOENT:
        text = f"There is no {path}: in a container the kernel's log is not to be seen."
        return Cannot(text, "Run on the machine itself, or give the container --device /dev/kmsg and CAP_SYSLOG.")
    if err.errno in (errno.EPERM, errno.EACCES):
        text = f"{path} may not be read ({err.strerror})."
        cure = "The unit needs CAP_SYSLOG and ProtectKernelLogs=no (no watch-only.conf); by hand, run as root."
        return Cannot(text, cure)
    return Cannot(f"{path} cannot be read ({err.strerror}).")
