"""Faults of GPUs, heard the moment the driver tells of them: in the kernel's log, else by events of its library.

From: kernel/log.py, through kernel/xidlines.py (also what was written before we began: a fault does not go away by our
restart), and reader.py's events where the log cannot be read. To: the core, as XidSeen; and to the reader, which is
told to let go of the driver at once where asking would hang. Only the kernel's own messages are faults. What a person
wrote into the log counts while a drill is on, and is marked as that.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from supervisor.clock import Clock
from supervisor.facts import MemorySource, XidSeen
from supervisor.gpu.xids import Table
from supervisor.kernel.log import PATH, Heard, Line
from supervisor.kernel.watches import Cannot
from supervisor.kernel.xidlines import LOST, VERDICT, XidLine, XidLines, address
from supervisor.ports import GpuDriver, Submit
from supervisor.signals.gpu.told import NvmlEvent

NAME = "gpu-faults"
EVERY = 10.0
"""seconds between two looks at whether the log is read; where it is not, the driver's events are asked for"""
FRESH = 180.0
"""seconds for which the pid in an old message still means the process it meant"""
COMES_BACK = 2.0
"""seconds within which what a drill wrote into the log is read from it; else it goes to the core without it"""
UNKNOWN = 999
"""the XID that the driver's library tells where it knows none"""
_PRIORITY = b"<12>"
"""of what a drill writes: a warning of a user's program, which the kernel never takes for its own"""


class Log(Protocol):
    """The kernel's log (kernel/log.py; simulated: lab/kernel/log.py)."""

    @property
    def live(self) -> bool: ...

    @property
    def gone(self) -> Cannot: ...

    def listen(
        self,
        heard: Heard,
        lost: Callable[[], None] | None = None,
        *,
        past: bool = False,
        foreign: Heard | None = None,
    ) -> Callable[[], None]: ...


class Driver(GpuDriver, Protocol):
    """One that tells of faults by itself, too (reader.py; simulated: lab/gpu.py)."""

    def listen(self, heard: Callable[[NvmlEvent], None]) -> None: ...

    async def events(self, on: bool) -> str: ...


class GpuFaults:
    """Listens for faults, for ever."""

    def __init__(
        self,
        log: Log,
        driver: Driver,
        owner_of: Callable[[int], str],
        submit: Submit,
        clock: Clock,
        table: Callable[[], Table],
        *,
        since: int = -1,
        write: Callable[[bytes], None] | None = None,
    ) -> None:
        """`owner_of`: pid -> the container it is or was in; `table`: what each fault means; `since`: the last message
        of this boot's log that the core decided on; `write`: how one message is written into the log."""
        self._log, self._driver, self._owner_of = log, driver, owner_of
        self._submit, self._clock, self._table = submit, clock, table
        self._write = write or _write
        self._lines, self._theirs = XidLines(), XidLines()
        self._since = since
        self._holding = ""
        """why we told the reader to let go"""
        self._holds: dict[str, None] = {}
        """the cards for which it was"""
        self._events = False
        self._why = ""
        self._drill = 0.0
        """until when (monotonic) what a person writes counts"""
        self._awaited: dict[str, asyncio.TimerHandle] = {}
        log.listen(self._heard, past=True, foreign=self._foreign)
        driver.listen(self._told)

    async def run(self) -> None:
        """Ask for the driver's events while the log cannot be read. Opens nothing that is not open anyway."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """One look."""
        wanted = not self._log.live and not self._driver.held
        if wanted and self._driver.running:
            self._why = await self._driver.events(True)
            self._events = not self._why
        elif self._events and self._log.live:
            self._events = False
            await self._driver.events(False)

    def source(self) -> MemorySource:
        """How faults are heard, for people."""
        if self._log.live:
            return MemorySource(NAME, True, "Faults of GPUs are heard from the kernel's log.")
        gone = self._log.gone
        if self._events:
            text = f"Faults of GPUs are heard by the driver's events, without whose they are: {gone.text}"
            return MemorySource(NAME, True, text, gone.cure)
        return MemorySource(NAME, False, f"Faults of GPUs are not heard: {gone.text}", gone.cure)

    # ------------------------------------------------------------ the kernel's log

    def _heard(self, line: Line) -> None:
        found = self._lines.feed(line.raw, line.stamp)
        if line.sequence <= self._since:
            return  # decided on; what it said of UUIDs is known now
        self._since = line.sequence
        if found is not None:
            self._tell(found, line, drill=False)

    def _foreign(self, line: Line) -> None:
        """A process wrote it: a drill, or nothing."""
        if self._clock.mono() >= self._drill:
            return
        waiting = self._awaited.pop(line.text, None)
        if waiting is not None:
            waiting.cancel()
        found = self._theirs.feed(line.raw, line.stamp)
        if found is not None:
            self._tell(found, line, drill=True)

    def _tell(self, found: XidLine, line: Line, *, drill: bool) -> None:
        stale = line.past and self._clock.wall() - line.at > FRESH
        owner = self._owner_of(found.pid) if found.pid and not stale else ""
        uuid = found.uuid or self._lines.uuid(found.bus_id)
        fact = _fact(found, uuid, owner, line.at, line.mono, line.sequence, line.past, drill)
        if not drill:
            self._hands_off(fact)
        self._submit(fact)

    # ------------------------------------------------------------ the driver's own events

    def _told(self, event: NvmlEvent) -> None:
        if self._log.live:
            return  # the log says more, and says it once
        fact = XidSeen(self._clock.wall(), self._clock.mono(), "nvml", 0, bus_id=address(event.bus_id), uuid=event.uuid)
        if event.kind == "xid":
            fact = replace(fact, xid=event.xid or UNKNOWN)
        elif event.kind == "unavailable":
            fact = replace(fact, kind=LOST)
        elif event.kind == "recovery" and event.recovery:
            fact = replace(fact, xid=VERDICT, recovery=event.recovery)
        else:
            return  # memory errors have an XID of their own
        self._hands_off(fact)
        self._submit(fact)

    # ------------------------------------------------------------ hands off

    def _hands_off(self, fact: XidSeen) -> None:
        """Let go of the driver before the core had its turn: the next question may be the one that hangs."""
        if self._table().quiets(fact.xid, fact.kind):
            self._holds[fact.bus_id] = None
            if not self._driver.held:
                named = f"XID {fact.xid}" if fact.xid else "a lost card"
                self._holding = f"NVIDIA's driver is not asked any more since {named}, because asking could hang."
                self._driver.hold(self._holding)
        elif fact.recovery == "none" and self._holds:
            self._holds.pop(fact.bus_id, None)
            self._holds.pop("", None)
            if not self._holds and self._driver.held == self._holding:
                self._driver.resume()

    # ------------------------------------------------------------ drills

    def drill(self, text: str, until: float) -> None:
        """Write a message into the kernel's log for practice, and obey such messages until then (unix seconds)."""
        left = max(0.0, until - self._clock.wall())
        self._drill = max(self._drill, self._clock.mono() + left)
        try:
            if not self._log.live:
                raise OSError
            self._awaited[text] = asyncio.get_running_loop().call_later(COMES_BACK, self._in_spite, text)
            self._write(_PRIORITY + text.encode() + b"\n")
        except OSError:
            self._in_spite(text)

    def _in_spite(self, text: str) -> None:
        """The log did not take it, or did not give it back: practise what comes after it."""
        waiting = self._awaited.pop(text, None)
        if waiting is not None:
            waiting.cancel()
        mono = self._clock.mono()
        found = XidLines().feed(text.encode(), mono)
        if found is not None:
            owner = self._owner_of(found.pid) if found.pid else ""
            uuid = self._lines.uuid(found.bus_id)
            self._submit(_fact(found, uuid, owner, self._clock.wall(), mono, -1, False, True))


def _fact(
    found: XidLine, uuid: str, owner: str, at: float, mono: float, sequence: int, past: bool, drill: bool
) -> XidSeen:
    return XidSeen(
        at,
        mono,
        "kernel-log",
        found.xid,
        bus_id=found.bus_id,
        uuid=uuid,
        pid=found.pid,
        process=found.process,
        container_id=owner,
        kind=found.kind,
        caused_by=found.caused_by,
        recovery=found.recovery,
        text=" ".join(part for part in (found.slice, found.text) if part),
        sequence=sequence,
        past=past,
        drill=drill,
    )


def _write(message: bytes) -> None:
    """One message into the kernel's log. OSError where that may not be."""
    number = os.open(PATH, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.write(number, message)
    finally:
        os.close(number)
