"""The kernel's log, as it is written: one reader for everybody who listens (who was killed, what a GPU driver says).

From: /dev/kmsg, from now on; a listener that asks for it is first given what the kernel still has of before. To: every
listener, one call per message of the kernel itself. What a process wrote there is marked by the kernel, which cannot be
forged, and is handed on only to who listens to such messages (a drill), and never as the kernel's.
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
    past: bool = False
    """it was written before we began to read; `at` may be off by some seconds then"""

    @property
    def text(self) -> str:
        """For reading; not for showing to people before units.plain."""
        return self.raw.decode("utf-8", "replace")


Heard = Callable[[Line], None]


@dataclass(frozen=True, slots=True)
class _Listener:
    heard: Heard
    lost: Callable[[], None] | None
    past: bool
    foreign: Heard | None


class KernelLog:
    """Reads the log on the event loop, for any number of listeners. `open` where it is wanted, `close` at the end."""

    def __init__(
        self,
        clock: Clock,
        path: str = PATH,
        opened: Callable[[str], int] | None = None,
        read: Callable[[int, int], bytes] = os.read,
    ) -> None:
        """`opened` and `read`: how a file that is no /dev/kmsg is opened, at its end (it has no past then), and one
        record is read of it."""
        self._clock, self._path, self._opened, self._read_one = clock, path, opened or _open, read
        self._begins = opened is None
        """it can be read from its beginning"""
        self._listeners: list[_Listener] = []
        self._watch: Ready | None = None
        self._next = -1
        """the file at its end, which is read once the past was"""
        self._past_to = -1
        """the number of the last message of the past: some of it comes again"""
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

    def listen(
        self,
        heard: Heard,
        lost: Callable[[], None] | None = None,
        *,
        past: bool = False,
        foreign: Heard | None = None,
    ) -> Callable[[], None]:
        """Call `heard` for every message from now on, and `lost` where some were overwritten unread. `past`: also for
        those that the kernel still has of before, each time the log is opened. `foreign`: called for messages that a
        process wrote, from now on. Returns how to end that."""
        entry = _Listener(heard, lost, past, foreign)
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
            number = self._opened(self._path)
            if self._begins and any(one.past for one in self._listeners):
                # the end is held on to first, so that nothing falls between the past and it
                self._next = number
                number = _open(self._path, os.SEEK_SET)
            self._watch = Ready(number, self._read, self._ended, rest=0.0)
        except OSError as err:
            self._let_go()
            self.gone = _cannot(err, self._path)
            return self.gone
        return None

    def close(self) -> None:
        """Read no more. Fine if it is closed; it may be opened again."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._let_go()

    def _let_go(self) -> None:
        if self._next >= 0:
            os.close(self._next)
            self._next = -1

    def _ended(self, why: Cannot) -> None:
        self._watch, self.gone = None, why
        self._let_go()

    def _goes_on(self) -> None:
        """The past was read to its end: from here on, what is written now."""
        if self._watch is not None:
            self._watch.close()
        number, self._next = self._next, -1
        try:
            self._watch = Ready(number, self._read, self._ended, rest=0.0)
        except OSError as err:
            self._watch, self.gone = None, _cannot(err, self._path)

    def _read(self, number: int) -> bool:
        for count in range(_BATCH):
            try:
                record = self._read_one(number, _RECORD)
            except BlockingIOError:
                if self._next >= 0:
                    self._goes_on()
                    return False
                return count > 0
            except BrokenPipeError:
                if self._next < 0:  # of the past, nobody was promised all
                    self.overruns += 1
                    for one in tuple(self._listeners):
                        self._call(one.lost)
                continue
            self._take(record)
            if self._watch is None or not record:
                return False  # closed by a listener, or no log at all
        return True

    def _take(self, record: bytes) -> None:
        past = self._next >= 0
        found = self._line(record, past)
        if found is None:
            return
        line, own = found
        if past:
            self._past_to = line.sequence
        again = not past and line.sequence <= self._past_to
        for one in tuple(self._listeners):
            if not own:
                self._call(None if past else one.foreign, line)
            elif one.past if past else not (again and one.past):
                self._call(one.heard, line)

    def _call(self, listener: Callable[..., None] | None, *arguments: Line) -> None:
        if listener is None:
            return
        try:
            listener(*arguments)
        except Exception:  # noqa: BLE001 - one listener's defect is not the others'; counted
            self.faults += 1

    def _line(self, record: bytes, past: bool) -> tuple[Line, bool] | None:
        """`PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];MESSAGE`, then lines about the device: the message, and whether it
        is the kernel's own. None for what is none, or what nobody wants."""
        head, _, rest = record.partition(b";")
        fields = head.split(b",")
        if len(fields) < 3 or not all(field.isdigit() for field in fields[:3]):
            return None
        priority, sequence, stamp = int(fields[0]), int(fields[1]), int(fields[2]) / 1e6
        own = priority >> 3 == 0
        if not own:
            self.foreign += not past
            if past or all(one.foreign is None for one in self._listeners):
                return None
        mono, wall = self._clock.mono(), self._clock.wall()
        raw = plain_bytes(rest.partition(b"\n")[0])
        lag = mono - stamp
        if past:
            return Line(sequence, stamp, wall - max(0.0, lag), mono, priority & 7, raw, past=True), own
        if lag < self._lag or mono - self._lag_at > _WINDOW:
            self._lag, self._lag_at = lag, mono
        return Line(sequence, stamp, wall - (lag - self._lag), mono, priority & 7, raw), own


def plain_bytes(written: bytes) -> bytes:
    r"""The bytes that the kernel wrote as `\xNN`: what cannot be printed, and the backslash itself."""
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), written)


def _open(path: str, whence: int = os.SEEK_END) -> int:
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.lseek(number, 0, whence)
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
