"""Home Assistant was started: everything is told again.

In: `homeassistant/status` (`online`, when Home Assistant has connected). Out: a refresh of all retained documents. A
broker that keeps them gives them to Home Assistant by itself; this is for one that has lost them, and for devices that
were deleted there by hand.
"""

import asyncio
from collections.abc import Callable

from supervisor.bus.link.connection import Connection
from supervisor.clock import Clock
from supervisor.ports import Received

STATUS = "homeassistant/status"
"""Home Assistant's own, whatever the discovery prefix is"""
SOONEST, LATEST = 1.0, 10.0
"""seconds until everything is told again: many hosts on one broker do not all speak at once"""
PAUSE = 60.0
"""seconds between two times: every user of the broker may write there"""


class Birth:
    """Waits for Home Assistant (an inbox.Listener)."""

    def __init__(self, prefix: str, clock: Clock) -> None:
        self._clock = clock
        self._patterns = tuple(dict.fromkeys((STATUS, f"{prefix}/status")))
        self._armed: asyncio.TimerHandle | None = None
        self._told_at: float | None = None
        """monotonic"""
        self.refresh: Callable[[], None] = lambda: None
        """tells everything again"""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Where Home Assistant says that it is there."""
        return self._patterns

    def refused(self, pattern: str, why: str) -> None:
        """We may not read that: no trouble, since most people's broker keeps what it was given."""

    async def heard(self, broker: Connection, message: Received) -> None:
        """Home Assistant came or went. However often it says so, everything is told once for all of it."""
        if message.payload == b"online" and self._armed is None:
            delay = SOONEST + (LATEST - SOONEST) * self._clock.chance()
            if self._told_at is not None:
                delay = max(delay, self._told_at + PAUSE - self._clock.mono())
            self._armed = asyncio.get_running_loop().call_later(delay, self._now)

    def _now(self) -> None:
        self._armed, self._told_at = None, self._clock.mono()
        self.refresh()
