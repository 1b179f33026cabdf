"""Files of the kernel that tell by themselves, on the event loop: urgent ones, eventfds of version 1 groups, inotify.

From: the kernel. To: signals/memory/sources.py, as a call per piece of news. Needs no thread and forks nothing.
Found by trying (a plain `add_reader` on such files calls 290,000 times a second for nothing):
- a file of pressure, and /proc/swaps, is urgent (EPOLLPRI), not readable: it goes into an epoll of its own, and that
  into the loop. The kernel takes the news back while the outer one looks, so the inner one then has none to show: the
  call itself is the news. Such a watch is never taken off the loop and put back: that loses what came meanwhile.
- what belonged to a control group that is gone is ready for ever: such a watch ends at once.
"""

import asyncio
import ctypes
import errno
import os
import select
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REST = 0.02
"""seconds after a call in which the same eventfd or inotify is left alone"""
MOST = 20
"""calls in a row, each less than a second after the one before, without anything having changed: a storm"""
IN_MODIFY, IN_IGNORED, IN_Q_OVERFLOW = 0x2, 0x8000, 0x4000
_EVENT = struct.Struct("iIII")

Happened = Callable[[int], bool]
"""called with the file's number when it has news; whether anything was new. OSError: it is gone"""
Gone = Callable[["Cannot"], None]
"""called once, after the file was closed, with why it is watched no more"""


@dataclass(frozen=True, slots=True)
class Cannot:
    """Why something cannot be watched, and what a person can do about it ('' for nothing)."""

    text: str
    cure: str = ""
    over: bool = False
    """what was watched is gone: nothing is wrong"""


class Ready:
    """One file that becomes readable. It is ours: closed when the watch ends."""

    def __init__(self, number: int, happened: Happened, gone: Gone, rest: float = REST) -> None:
        """Within a running loop. OSError where it cannot be watched; then it is closed, too."""
        self._number, self._happened, self._gone, self._rest = number, happened, gone, rest
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._idle, self._last = 0, float("-inf")
        self._over = False
        self.calls = 0
        """how often the loop called, since it began"""
        try:
            self._outer = self._open(number)
            self._loop.add_reader(self._outer, self._call)
        except OSError:
            self._let_go()
            raise

    def close(self) -> None:
        """End the watch. May be called again."""
        if self._over:
            return
        self._over = True
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._outer)
        self._let_go()

    def _open(self, number: int) -> int:
        """What the loop is given."""
        return number

    def _let_go(self) -> None:
        os.close(self._number)

    def _look(self) -> None:
        """Raise OSError where the file itself says that it is dead."""

    def _call(self) -> None:
        self.calls += 1
        try:
            self._look()
            new = self._happened(self._number)
        except BlockingIOError:
            new = False
        except OSError as err:
            self._end(Cannot(f"It is gone ({err.strerror}).", over=True))
            return
        except Exception as err:  # noqa: BLE001 - the loop's edge: it would be called again and again; told as the reason
            self._end(Cannot(f"What follows its news failed ({type(err).__name__}: {err})."))
            return
        if self._over:
            return
        now = self._loop.time()
        self._idle = 0 if new or now - self._last > 1.0 else self._idle + 1
        self._last = now
        if self._idle >= MOST:
            self._end(Cannot(f"It called {MOST} times in a row without any news, so it is watched no more."))
        elif self._rest > 0:
            self._loop.remove_reader(self._outer)
            self._pause = self._loop.call_later(self._rest, self._again)

    def _again(self) -> None:
        self._loop.add_reader(self._outer, self._call)

    def _end(self, why: Cannot) -> None:
        self.close()
        self._gone(why)


class Urgent(Ready):
    """One file with urgent news (EPOLLPRI). `dies`: an error of it (EPOLLERR) means that it is dead; of /proc/swaps it
    is part of the news."""

    def __init__(self, number: int, happened: Happened, gone: Gone, dies: bool = True) -> None:
        self._inner = select.epoll()
        self._dies = dies
        super().__init__(number, happened, gone, rest=0.0)

    def _open(self, number: int) -> int:
        self._inner.register(number, select.EPOLLPRI | select.EPOLLERR)
        return self._inner.fileno()

    def _let_go(self) -> None:
        self._inner.close()
        super()._let_go()

    def _look(self) -> None:
        if any(seen & select.EPOLLERR for _, seen in self._inner.poll(0)) and self._dies:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


class Inotify:
    """Files that are watched for being written (`memory.events` counts). Raises OSError as the kernel does."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.number = self._said(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, path: str) -> int:
        """Watch a file; what it is called in `take`."""
        return self._said(self._libc.inotify_add_watch(self.number, os.fsencode(path), IN_MODIFY))

    def remove(self, watch: int) -> None:
        """Watch it no more; fine if it is gone."""
        self._libc.inotify_rm_watch(self.number, watch)

    def take(self) -> list[tuple[int, int]]:
        """What happened: (file, IN_… bits). BlockingIOError where nothing did."""
        raw = os.read(self.number, 65_536)
        found = []
        at = 0
        while at + _EVENT.size <= len(raw):
            watch, mask, _cookie, length = _EVENT.unpack_from(raw, at)
            found.append((watch, mask))
            at += _EVENT.size + length
        return found

    @staticmethod
    def _said(answer: int) -> int:
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return answer


def group_events(folder: str, file: str, arguments: Sequence[str]) -> int | Cannot:
    """An eventfd that a version 1 control group signals about `file`, once per argument asked for: thresholds in bytes
    for `memory.usage_in_bytes`, '' for `memory.oom_control`. Closing it takes all of that back. It is also signalled
    on the way down, and when the group is removed: read the file again, never believe the count."""
    number = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        target = os.open(f"{folder}/{file}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for argument in arguments:
                _write(f"{folder}/cgroup.event_control", f"{number} {target} {argument}".rstrip().encode())
        finally:
            os.close(target)
    except OSError as err:
        os.close(number)
        return refused(err, f"{folder}/cgroup.event_control")
    return number


def refused(err: OSError, path: str) -> Cannot:
    """What the kernel said about a file of a control group, in words, with the cure."""
    if err.errno in (errno.ENOENT, errno.ENODEV):
        return Cannot(f"There is no {path}.")
    text = f"{path} cannot be used ({err.strerror})."
    if err.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Cannot(text, "Let the unit write control groups (ProtectControlGroups=no, no watch-only.conf), as root.")
    if err.errno in (errno.EMFILE, errno.ENFILE):
        return Cannot(text, "Let the unit have more open files (LimitNOFILE=).")
    if err.errno == errno.ENOSPC:
        return Cannot(text, "Raise the sysctl fs.inotify.max_user_watches.")
    return Cannot(text)


def _write(path: str, data: bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(number, data)
    finally:
        os.close(number)
