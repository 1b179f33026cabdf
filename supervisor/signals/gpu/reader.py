"""Keeps the child process that asks NVIDIA's driver: starts it on demand, asks with a deadline, lets it go when idle.

From: `vram.py`, which asks. To: `child.py`. With the driver open it is a user of every GPU (no reset, no reload while
it lives), so it ends when nobody asked for a while: by the end of its stdin, else by SIGTERM, never by SIGKILL, which
has frozen cards. One that does not go hangs in the driver: it is left, and no second one is started beside it until it
went, or each question would leave one more stuck process.
"""

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor import units
from supervisor.signals.gpu.usage import Usage, parse

DEADLINE = 5.0
"""seconds for one answer; the first has the driver's start in it"""
IDLE = 60.0
"""seconds without a question after which it is let go"""
GOES = 1.0
"""seconds in which it is gone after it was asked to go, unless it hangs"""
_LONGEST = 1 << 20
"""bytes of one answer"""
_STUCK = Usage(trouble="an earlier question to NVIDIA's driver still hangs")
_BROKEN = Usage(trouble="the process that asks NVIDIA's driver ended, or made no sense")
_CHILD = (sys.executable, "-P", str(Path(__file__).with_name("child.py")))

_Process = asyncio.subprocess.Process


class GpuReader:
    """What the GPUs of this machine have free. One question at a time; `environment`: of the child, None for ours."""

    def __init__(
        self,
        *,
        deadline: float = DEADLINE,
        idle: float = IDLE,
        goes: float = GOES,
        command: Sequence[str] = _CHILD,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._deadline, self._idle, self._goes = deadline, idle, goes
        self._command, self._environment = tuple(command), environment
        self._turn = asyncio.Lock()
        self._child: _Process | None = None
        self._going: _Process | None = None
        """the one before, which was asked to go"""
        self._moments = 0
        """how often that one is still waited for; with the last comes SIGTERM"""
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._trouble, self._trouble_until = Usage(), 0.0

    async def usage(self) -> Usage:
        """What they have free now, within about the deadline. Never raises: what went wrong is its `trouble`. That the
        driver cannot be asked is remembered for a while: a service may be down while somebody waits for us."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            if self._trouble.trouble and loop.time() < self._trouble_until:
                return self._trouble
            self._put_off()
            try:
                found = await self._ask()
            finally:
                self._timer = loop.call_later(self._idle, self._say_goodbye)
            if found.trouble:
                await self._let_go()
            if found is not _STUCK:
                self._trouble, self._trouble_until = found, loop.time() + self._idle
            return found

    async def close(self) -> None:
        """Let go of the driver, also in the middle of a question. Returns within two moments, though the child hangs.
        Never raises."""
        self._put_off()
        await self._let_go()

    async def _ask(self) -> Usage:
        if not await self._gone():
            return _STUCK
        try:
            return await asyncio.wait_for(self._talk(), self._deadline)
        except TimeoutError:
            self._say_goodbye(hangs=True)
            return Usage(trouble=f"NVIDIA's driver did not answer within {units.show_duration(self._deadline)}")
        except (OSError, ValueError):
            return _BROKEN

    async def _talk(self) -> Usage:
        """One question, one answer. ValueError where it is none; an answer to a question that was given up is passed
        over."""
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=_LONGEST,
                env=self._environment,
            )
        assert child.stdin is not None and child.stdout is not None  # noqa: PT018 - pipes, as asked for
        self._number += 1
        child.stdin.write(f"{self._number} usage\n".encode())
        await child.stdin.drain()
        while True:
            number, found = parse(await child.stdout.readline())
            if number == self._number:
                return found

    # ------------------------------------------------------------ letting go

    def _put_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say_goodbye(self, *, hangs: bool = False) -> None:
        """Close its stdin: it shuts the driver down and ends, unless it hangs."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            self._going, self._moments = child, 1 if hangs else 2
            if child.stdin is not None:
                child.stdin.close()

    async def _let_go(self) -> None:
        self._say_goodbye()
        await self._gone()

    async def _gone(self) -> bool:
        """Whether the one before is out of the way. It is given a moment, then SIGTERM and a last moment, once."""
        going = self._going
        while going is not None and going.returncode is None and self._moments:
            self._moments -= 1
            if not self._moments:
                with contextlib.suppress(ProcessLookupError):
                    going.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(going.wait(), self._goes)
        if going is None or going.returncode is not None:
            self._going = None
        return self._going is None
