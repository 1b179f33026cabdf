"""What a simulated world still has in store: one heap of timers that outlives the event loop.

A kill drops the loop, not the world: an engine call that was under way still has its effect, a restart that was due
still happens. So the timers are kept here and armed on whatever loop runs now.
From: lab/dockerd.py. To: the running loop (one timer, the earliest).
"""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from supervisor.clock import Clock

_SLACK = 1e-6
"""seconds: sums of floats may fall this short of the instant"""


@dataclass(order=True, slots=True)
class Timer:
    """One thing that will happen at `due` (monotonic seconds)."""

    due: float
    order: int
    act: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """It will not happen."""
        self.act = None


class Timers:
    """Due things in order of (instant, when they were asked for)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Timer] = []
        self._count = 0
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._armed_for = 0.0
        self._running = False

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Let `act` happen in so many seconds. Infinity: never."""
        self._count += 1
        timer = Timer(self._clock.mono() + seconds, self._count, act)
        if seconds != float("inf"):
            heapq.heappush(self._heap, timer)
            self.arm()
        return timer

    def run_due(self) -> None:
        """Let everything happen that is due by now. Called before each look at the world, too."""
        if self._running:
            return
        self._running = True
        try:
            while self._heap and self._heap[0].due <= self._clock.mono() + _SLACK:
                act = heapq.heappop(self._heap).act
                if act:
                    act()
        finally:
            self._running = False

    def arm(self) -> None:
        """See to it that the running loop wakes at the earliest instant. Without a loop nothing is done."""
        while self._heap and self._heap[0].act is None:
            heapq.heappop(self._heap)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        due = self._heap[0].due if self._heap else -1.0
        if self._loop is loop and self._armed_for == due and self._handle:
            return
        if self._handle and self._loop is loop:
            self._handle.cancel()
        self._loop, self._armed_for, self._handle = loop, due, None
        if self._heap:
            self._handle = loop.call_later(max(0.0, due - self._clock.mono()), self._fire)

    def _fire(self) -> None:
        self._handle = None
        self.run_due()
        self.arm()
