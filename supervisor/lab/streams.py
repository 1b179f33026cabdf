"""One subscriber of the simulated engine's events: a bounded buffer and one waiter.

From: lab/dockerd.py, synchronously. To: the consumer of `events()`, on whatever loop it runs.
"""

import asyncio
from collections import deque
from typing import Any

from supervisor.facts import EngineEvent

BUFFER = 1024
"""a subscriber that is further behind than this loses its stream, and has to sweep"""


class Stream:
    """Events on their way to one subscriber."""

    def __init__(self) -> None:
        self.items: deque[EngineEvent] = deque()
        self.over = False
        self._waiter: asyncio.Future[None] | None = None

    def push(self, event: EngineEvent) -> None:
        """One more event; nothing more is taken once the buffer was full."""
        if len(self.items) >= BUFFER:
            self.over = True
        if not self.over:
            self.items.append(event)
        self._wake()

    def end(self) -> None:
        """No more events will come; those in the buffer are still delivered."""
        self.over = True
        self._wake()

    async def wait(self) -> None:
        """Return when there is an event, or never will be one again."""
        if not self.items and not self.over:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done() and not self._waiter.get_loop().is_closed():
            self._waiter.set_result(None)


def give(future: "asyncio.Future[Any]", result: Any) -> None:
    """Answer a caller that may be gone, on a loop that may be closed."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(result)


def fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    """The same with an error."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_exception(error)
