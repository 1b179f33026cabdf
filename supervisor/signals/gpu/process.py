"""One child process that asks NVIDIA's driver, from its start until it went: questions, answers, and its farewell.

From: `reader.py`, which has at most one. To: `child.py`, over two pipes. A question has a deadline for each call into
the driver: while it is open the child tells how far it is, so a call that hangs, a child that does not run (no memory,
stopped) and one that is gone are told apart. It goes by the end of its stdin, else by SIGTERM, never by SIGKILL, which
has frozen cards.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from supervisor import units
from supervisor.signals.gpu.usage import Said, read_line

Heard = Callable[[Any], None]

_LONGEST = 1 << 20
"""bytes of one answer"""
_MOST_DEADLINES = 4
"""a question whose calls go on may last so many deadlines"""
_SILENT = 2.0
"""seconds without a sign after which the child itself does not run: it gives four a second while a question is open"""


class EndedError(Exception):
    """It ended, or made no sense."""


class HangsError(Exception):
    """No answer in time; the text says why, as the end of a sentence. `driver`: it is the driver that hangs."""

    def __init__(self, text: str, *, driver: bool) -> None:
        super().__init__(text)
        self.driver = driver


class ChildProcess:
    """One that runs, or ran. `goes`: seconds in which it is gone after it was asked to go, unless it hangs."""

    def __init__(self, process: asyncio.subprocess.Process, goes: float, heard: Heard) -> None:
        self._process, self._goes, self._heard = process, goes, heard
        self._number = 0
        self._answer: asyncio.Future[Said] | None = None
        self._calls, self._at = 0, ""
        """how many calls of the open question were made, and which is under way"""
        self._moved = self._seen = 0.0
        """when that changed last, and when there was any sign"""
        self._patience = asyncio.Event()
        """it is gone, or known not to go soon"""
        self._farewell: asyncio.Task[None] | None = None
        self._listening = asyncio.create_task(self._listen(), name="gpu child")

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str] | None, goes: float, heard: Heard
    ) -> "ChildProcess":
        """Start one. OSError where that cannot be done. `heard`: is given what the driver tells by itself."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=_LONGEST,
            env=environment,
        )
        return cls(process, goes, heard)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether it is out of the way."""
        return self._process.returncode is not None

    @property
    def usable(self) -> bool:
        """Whether it can be asked."""
        return not (self.gone or self._listening.done() or self._farewell)

    async def ask(self, question: str, deadline: float) -> Said:
        """One question, one answer; no two at a time. EndedError, HangsError, OSError. An answer to a question that
        was given up is passed over."""
        assert self._process.stdin is not None  # a pipe, as asked for
        loop = asyncio.get_running_loop()
        self._number += 1
        answer = self._answer = loop.create_future()
        began = since = loop.time()
        self._moved = self._seen = began
        self._calls, self._at = 0, ""
        self._process.stdin.write(f"{self._number} {question}\n".encode())
        while True:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(answer), since + deadline - loop.time())
            if self._moved > since and loop.time() < began + _MOST_DEADLINES * deadline:
                since = self._moved  # slow, and it goes on
                continue
            raise self._hangs(deadline, runs=loop.time() - self._seen < _SILENT and self._seen > began)

    def _hangs(self, deadline: float, *, runs: bool) -> HangsError:
        within = f"within {units.show_duration(deadline)}"
        if not runs:
            text = f"the process that asks NVIDIA's driver gave no sign {within}: it does not run (stopped, no memory)"
            return HangsError(text, driver=False)
        where = f" ({self._at})" if self._at else ""
        return HangsError(f"NVIDIA's driver did not answer {within}{where}", driver=True)

    async def _listen(self) -> None:
        """Read its lines until it ends, or says what is none."""
        assert self._process.stdout is not None  # a pipe, as asked for
        try:
            while line := await self._process.stdout.readline():
                self._take(read_line(line))
        except (OSError, ValueError):
            pass
        finally:
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(EndedError())
                self._answer.exception()  # nobody may wait for it any more
            self._answer = None

    def _take(self, said: Said) -> None:
        self._seen = asyncio.get_running_loop().time()
        if "event" in said:
            self._heard(said["event"])
        elif "beat" in said:
            calls = said["beat"]
            if calls != self._calls:
                self._calls, self._moved = calls, self._seen
            self._at = units.plain(str(said.get("at", "")), 80)
        elif said.get("n") == self._number and self._answer is not None and not self._answer.done():
            self._answer.set_result(said)

    # ------------------------------------------------------------ farewell

    def leave(self, *, hangs: bool = False) -> None:
        """Ask it to go: it shuts the driver down and ends. `hangs`: it cannot, so the signal comes at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._farewell is None:
            self._farewell = asyncio.create_task(self._see_off(hangs=hangs), name="gpu child's farewell")

    async def settled(self) -> bool:
        """Whether it is gone, once that is known: after a moment, or two where the first did not help."""
        if self._farewell is None:
            return self.gone
        await self._patience.wait()
        return self.gone

    async def _see_off(self, *, hangs: bool) -> None:
        try:
            if hangs or not await self._goes_within(self._goes):
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()
                await self._goes_within(self._goes)
        finally:
            self._patience.set()
        await self._process.wait()  # for hours, where it is stuck in the kernel; nobody waits for us

    async def _goes_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self.gone
