"""The journal's own thread: everything that reads or writes the journal runs here, one thing after another.

The event loop hands a function over and awaits its result. Under the virtual clock (`lab.loop.SimLoop`) the loop runs
it inline, since threads are not reproducible.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from supervisor.journal.store import Journal

P = ParamSpec("P")
T = TypeVar("T")


class JournalThread:
    """One thread. `journal` is for those who are given only the thread; it may be left out."""

    def __init__(self, journal: "Journal | None" = None) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._journal = journal

    @property
    def journal(self) -> "Journal":
        """The journal this thread was made for."""
        if self._journal is None:
            raise RuntimeError("this JournalThread was made without a journal")
        return self._journal

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` there. Once handed over it is always carried out, even if the caller is cancelled: half a turn
        must not depend on who still waits for it."""
        call = functools.partial(fn, *args, **kwargs)
        done = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(_heard)
            raise

    def close(self) -> None:
        """Wait for what was handed over, then end the thread."""
        self._pool.shutdown(wait=True)


def _heard(done: "asyncio.Future[T]") -> None:
    """Nobody waits any more: take the error, so that asyncio does not report it as forgotten."""
    if not done.cancelled():
        done.exception()
