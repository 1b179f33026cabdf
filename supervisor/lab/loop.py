"""A virtual clock for asyncio: time stands still while anything runs, and jumps to the next timer when nothing does.

A simulated day takes as long as its events take to decide. A world in which nothing can ever happen again is a
finding (`Deadlock`), not a hang.
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any

from supervisor.clock import ManualClock
from supervisor.errors import ResurgamError


class Deadlock(ResurgamError):
    """Every task waits for something that cannot happen any more."""


class _Jump(selectors.DefaultSelector):
    """A selector that never waits: it moves the clock instead."""

    loop: "SimLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Deadlock("nothing can ever run again in this world")
        self.loop.clock.advance(timeout)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a ManualClock."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    @property
    def _clock_resolution(self) -> float:
        """No timer fires early: whoever then looks at the clock would wait again, for ever, at the same instant."""
        return math.ulp(self.clock.mono())

    @_clock_resolution.setter
    def _clock_resolution(self, _seconds: float) -> None:
        """asyncio would like that of the real clock."""

    def time(self) -> float:
        return self.clock.mono()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it here and now: threads are not reproducible."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as err:  # noqa: BLE001 - handed to the caller, as an executor does
            future.set_exception(err)
        return future
