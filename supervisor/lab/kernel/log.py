"""The simulated kernel's log: what was written to it in this boot, and who reads it.

From: tests, as the kernel (`write`), or as a process (`own=False`), and a daemon's drill. To: `SimLog.reader`, one
daemon's kernel/log.KernelLog: it is given what is still there of before, and then every message as it comes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from supervisor.clock import Clock
from supervisor.kernel.log import Heard, Line
from supervisor.kernel.watches import Cannot

_RING = 1_000
"""messages that the kernel keeps"""


@dataclass(frozen=True, slots=True)
class _Listener:
    heard: Heard
    past: bool
    foreign: Heard | None


class SimLog:
    """The log of a simulated machine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: list[tuple[Line, bool]] = []
        self._next = 0
        self.readers: list[SimLogReader] = []
        self.readable = True
        """whether a daemon may read it"""

    def write(self, text: str, *, own: bool = True) -> None:
        """One message, by the kernel or (not `own`) by a process."""
        mono = self._clock.mono()
        line = Line(self._next, mono, self._clock.wall(), mono, 4, text.encode("utf-8", "replace"))
        self._next += 1
        self._written = [*self._written[1 - _RING :], (line, own)]
        for reader in tuple(self.readers):
            reader.take(line, own)

    def write_raw(self, message: bytes) -> None:
        """As a process writes to /dev/kmsg."""
        self.write(re.sub(r"^<\d+>", "", message.decode("utf-8", "replace")).rstrip("\n"), own=False)

    def boot(self) -> None:
        """The machine was restarted."""
        self._written, self._next = [], 0

    def past(self) -> tuple[Line, ...]:
        """What the kernel itself wrote, and still has."""
        return tuple(replace(line, past=True) for line, own in self._written if own)


class SimLogReader:
    """One daemon's eyes on it."""

    def __init__(self, log: SimLog) -> None:
        self._log = log
        self._listeners: list[_Listener] = []
        self.live = False
        self.gone = Cannot("It was not opened yet.")

    def listen(
        self,
        heard: Heard,
        lost: Callable[[], None] | None = None,
        *,
        past: bool = False,
        foreign: Heard | None = None,
    ) -> Callable[[], None]:
        """As kernel.log.KernelLog.listen; nothing is ever lost."""
        entry = _Listener(heard, past, foreign)
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry)

    def open(self) -> Cannot | None:
        """Begin to read, with what is still there."""
        if not self._log.readable:
            self.gone = Cannot("/dev/kmsg may not be read (Operation not permitted).")
            return self.gone
        if not self.live:
            self.live = True
            for line in self._log.past():
                for one in self._listeners:
                    if one.past:
                        one.heard(line)
            self._log.readers.append(self)
        return None

    def close(self) -> None:
        """Read no more."""
        if self.live:
            self.live = False
            self._log.readers.remove(self)

    def take(self, line: Line, own: bool) -> None:
        """One message."""
        for one in tuple(self._listeners):
            listener = one.heard if own else one.foreign
            if listener is not None:
                listener(line)
