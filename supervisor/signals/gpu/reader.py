"""Keeps the child process that asks NVIDIA's driver: starts it on demand, asks with a deadline, lets it go when idle.

From: `vram.py` (the gate inside plans) and `watch.py`, which ask. To: `child.py`, by `process.py`; what it said is read
in `usage.py` and `told.py`. With the driver open the child is a user of every GPU (no reset, no reload while it lives),
so it ends when nobody asked for a while, when the driver's handles are dead, and when the driver is *held*: after a
fault that makes calls hang, or because a person wants the card. One that does not go hangs in the driver: it is left,
and no second one is started beside it until it went, or each question would leave one more stuck process.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from supervisor.facts import GpuReading
from supervisor.signals.gpu.process import ChildProcess, EndedError, HangsError
from supervisor.signals.gpu.told import NvmlEvent, event_from, reading_from
from supervisor.signals.gpu.usage import Said, Usage, trouble_from, usage_from

DEPTHS = ("fast", "slow", "rare")
"""fast: memory, processes, load, heat, clocks · slow: that, and errors, link, limits · rare: all, names anew"""
DEADLINE = 5.0
"""seconds for one call into the driver; the first has the driver's start in it"""
IDLE = 60.0
"""seconds without a question after which it is let go"""
LASTING = 60.0
"""seconds for which it is remembered that the driver cannot be asked"""
BACKOFF = (1.0, 30.0)
"""seconds before another child is tried after one that ended, or whose handles died: the first, and the most"""
GOES = 1.0
"""seconds in which it is gone after it was asked to go, unless it hangs"""
SIGNS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""Without any of them there is no driver to ask, and no child is started (the last is Windows')"""

_DEAD = (1, 2, 9, 15, 999)
"""NVML: not initialised, a handle that is none, not loaded, lost, unknown. All cards so: the handles are of a driver
that is gone, and only a new process gets new ones"""
_STUCK: Said = {"trouble": "hung", "text": "an earlier question to NVIDIA's driver still hangs"}
_BROKEN: Said = {"trouble": "broken", "text": "the process that asks NVIDIA's driver ended, or made no sense"}
_NOTHING: Said = {"trouble": "no_driver"}
_SHORT = ("broken", "error")
"""troubles that may pass soon"""
_CHILD = (sys.executable, "-P", str(Path(__file__).with_name("child.py")))
_FIRST_NAMESPACE = 0xEFFFFFFC
"""the number that the kernel gives to the PID namespace of the machine itself"""

Found = TypeVar("Found")


class GpuReader:
    """Asks the driver, one question at a time, and never raises: what went wrong is the answer's trouble.
    `environment`: of the child, None for ours."""

    def __init__(
        self,
        *,
        deadline: float = DEADLINE,
        idle: float = IDLE,
        goes: float = GOES,
        lasting: float = LASTING,
        backoff: tuple[float, float] = BACKOFF,
        signs: Sequence[Path] = SIGNS,
        command: Sequence[str] = _CHILD,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._deadline, self._idle, self._goes, self._lasting = deadline, idle, goes, lasting
        self._backoff, self._pause = backoff, backoff[0]
        self._signs = tuple(signs)
        self._command, self._environment = tuple(command), environment
        self._turn = asyncio.Lock()
        self._child: ChildProcess | None = None
        self._going: ChildProcess | None = None
        """the one before, which was asked to go"""
        self._goodbyes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._held: str = ""
        self._heard: list[Callable[[NvmlEvent], None]] = []
        self._telling = False
        """somebody wants the driver's events"""
        self._said: Said = {}
        self._until = 0.0
        """the answer that stands until then, without asking"""
        self.children = 0
        """how many were started"""

    # ------------------------------------------------------------ questions

    async def usage(self) -> Usage:
        """What they have free now, within about the deadline. Never raises. That the driver cannot be asked is
        remembered for a while: a service may be down while somebody waits for us."""
        return await self._ask("usage", usage_from)

    async def snapshot(self, depth: str) -> GpuReading:
        """What there is to know of the cards, `depth`: one of DEPTHS. Never raises. Processes come as nobody's."""
        assert depth in DEPTHS, depth
        full = depth != "fast"
        return await self._ask(
            f"snapshot {depth}", lambda said: reading_from(said, full=full, foreign=in_a_namespace())
        )

    def listen(self, heard: Callable[[NvmlEvent], None]) -> None:
        """Call this with every event that the driver tells by itself; it may not raise."""
        self._heard.append(heard)

    async def events(self, on: bool) -> str:
        """Have the driver tell its events (XIDs, memory errors, lost cards, its verdict), or no more. They go on with
        the next child where one ends; such a child is not let go when idle. Why they do not come; '' for all well."""
        self._telling = on
        if not on and self._child is None:
            return ""
        return await self._ask("events on" if on else "events off", _answered)

    async def _ask(self, question: str, read: Callable[[Said], Found]) -> Found:
        """One question; `read`: makes the answer of it, ValueError where it is none."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            if stopped := self._stopped():
                return read(stopped)
            if self._said and loop.time() < self._until:
                return read(self._said)
            if not any(sign.exists() for sign in self._signs):
                return read(_NOTHING)
            self._put_off()
            try:
                said, found = await self._talk(question, read)
            finally:
                if not self._telling:
                    self._timer = loop.call_later(self._idle, self._say_goodbye)
            if stopped := self._stopped():  # meanwhile
                return read(stopped)
            await self._rest(said)
            return found

    async def _talk(self, question: str, read: Callable[[Said], Found]) -> tuple[Said, Found]:
        said = _STUCK
        if self._child is not None and not self._child.usable:
            self._say_goodbye()
        if await self._gone():
            try:
                child = await self._running(question)
                said = await child.ask(question, self._deadline)
                return said, read(said)
            except HangsError as err:
                self._say_goodbye(hangs=True)
                said = {"trouble": "hung" if err.driver else "broken", "text": str(err)}
            except (EndedError, OSError, ValueError):
                said = _BROKEN
        return said, read(said)

    async def _running(self, question: str) -> ChildProcess:
        """The child, started if there is none. A new one is told first that events are wanted. EndedError where it is
        to go before it was asked anything."""
        if self._child is None:
            goodbyes = self._goodbyes
            self._child = await ChildProcess.start(self._command, self._environment, self._goes, self._hear)
            self.children += 1
            if goodbyes != self._goodbyes:  # held, or closed, while it started
                self._say_goodbye()
                raise EndedError
            if self._telling and not question.startswith("events"):
                await self._child.ask("events on", self._deadline)
        return self._child

    async def _rest(self, said: Said) -> None:
        """After an answer: whether the next question may come at once, with this child."""
        loop = asyncio.get_running_loop()
        kind, _ = trouble_from(said)
        if not kind and not _dead(said):
            self._said, self._pause = {}, self._backoff[0]
            return
        await self._let_go()
        if said is _STUCK:
            return  # costs nothing to find out again
        self._said = said
        if kind in _SHORT or not kind:
            self._until = loop.time() + self._pause
            self._pause = min(2.0 * self._pause, self._backoff[1])
        else:
            self._until = loop.time() + self._lasting

    def _hear(self, said: Any) -> None:
        try:
            event = event_from(said)
        except ValueError:
            return
        if event is not None:
            for heard in self._heard:
                heard(event)

    # ------------------------------------------------------------ hands off

    @property
    def held(self) -> str:
        """Why the driver is not asked, a sentence; '' while it is."""
        return self._held

    @property
    def running(self) -> bool:
        """Whether we have the driver open, so that a question does not open it."""
        return self._child is not None and self._child.usable

    @property
    def pid(self) -> int:
        """The process that has the driver open for us, or hangs in it; 0 for none."""
        child = self._child or self._going
        return child.pid if child is not None and not child.gone else 0

    def hold(self, why: str) -> None:
        """From now on no call is made, and the child is let go of, also in the middle of a question: every question
        answers the trouble `stopped`, with `why`, a sentence."""
        self._held = why or "Nobody asks NVIDIA's driver now."
        self._put_off()
        self._say_goodbye()

    def resume(self) -> None:
        """The driver may be asked again, with the next question."""
        self._held, self._said, self._pause = "", {}, self._backoff[0]

    async def release(self, why: str) -> bool:
        """Hold, and wait (two moments at most) until we have the driver open no more. Whether that is so: False where
        our process hangs in it."""
        self.hold(why)
        return await self._gone()

    async def close(self) -> None:
        """Let go of the driver, also in the middle of a question. Returns within two moments, though the child hangs.
        Never raises."""
        self._put_off()
        await self._let_go()

    def _stopped(self) -> Said:
        return {"trouble": "stopped", "text": self._held} if self._held else {}

    def _put_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say_goodbye(self, *, hangs: bool = False) -> None:
        """Ask the child to go: it shuts the driver down and ends, unless it hangs."""
        self._goodbyes += 1
        child, self._child = self._child, None
        if child is not None:
            child.leave(hangs=hangs)
            self._going = child

    async def _let_go(self) -> None:
        self._say_goodbye()
        await self._gone()

    async def _gone(self) -> bool:
        """Whether the one before is out of the way. It is given a moment, then SIGTERM and a last moment, once."""
        going = self._going
        if going is not None and await going.settled() and self._going is going:
            self._going = None
        return self._going is None


def in_a_namespace() -> bool:
    """Whether we live in another PID namespace than the machine itself, so that the driver names us no processes."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino != _FIRST_NAMESPACE
    except OSError:
        return False


def _dead(said: Said) -> bool:
    """Whether the handles of all the cards are dead."""
    cards = said.get("gpus") or ()
    return bool(cards) and all(isinstance(card, dict) and card.get("code") in _DEAD for card in cards)


def _answered(said: Said) -> str:
    return trouble_from(said)[1] or str(said.get("text", ""))
