"""What stands between one life of the daemon and the world: once it is closed, nothing gets through.

From: lab/house.py, which closes it when the daemon is killed. To: every port that a life has. So a dead life cannot
touch the world any more, not even in a `finally`, and no answer reaches it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from supervisor.facts import EngineEvent
from supervisor.kernel.tree import Tree


class Killed(BaseException):
    """The process is dead: nothing of it may run on. Not an Exception, so that no edge can catch it."""


def quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of a dead life end with Killed and nobody fetches that; anything else is worth a word."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


class Fence:
    """Stands between one life and the world; once closed, nothing gets through."""

    def __init__(self) -> None:
        self.closed = False

    def check(self) -> None:
        """Raise in a dead life."""
        if self.closed:
            raise Killed


class Fenced:
    """Any port behind a fence: calls of a dead life have no effect, and no answer reaches it."""

    def __init__(self, port: Any, fence: Fence) -> None:
        self._port, self._fence = port, fence
        if hasattr(port, "name"):
            self.name = port.name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            self._fence.check()
            answer = await found(*arguments, **named)
            self._fence.check()
            return answer

        return call

    async def events(self, since_ns: int = 0) -> AsyncIterator[EngineEvent]:
        """The engine's events, as long as this life lives."""
        self._fence.check()
        async for event in self._port.events(since_ns):
            self._fence.check()
            yield event


class FencedTree:
    """The kernel's files behind a fence: each write is a place at which the daemon may be killed."""

    def __init__(self, tree: Tree, fence: Fence, told: Callable[[str, str, str], None]) -> None:
        self._tree, self._fence, self._told = tree, fence, told
        self.read, self.names, self.exists, self.writable = tree.read, tree.names, tree.exists, tree.writable
        self.forget = tree.forget

    def write(self, path: str, data: bytes) -> None:
        """Told before and after, as the engine's writes are."""
        self._fence.check()
        self._told(path, data.decode("utf-8", "replace"), "before")
        self._tree.write(path, data)
        self._told(path, data.decode("utf-8", "replace"), "after")
