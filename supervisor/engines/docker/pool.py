"""A few daemon threads that make blocking engine calls, so that one slow call holds up neither the loop nor the rest.

From: engines/docker/link.py (one pool for short calls, one for long ones). To: the awaiting task, on its own loop.
The threads are not those of `concurrent.futures`: Python joins those at exit, and a stop that takes two minutes would
keep the daemon from ending. A call whose caller was cancelled goes on by itself; its answer is thrown away.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from supervisor.errors import EngineGone

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Pool:
    """At most `size` threads, started when there is work that no idle one can take."""

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        """jobs handed in and not finished"""
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, made on one of the threads; what it raises is raised here."""
        if self._closed:
            raise EngineGone("the connection to the engine was closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._busy += 1
            if self._busy > self._threads and self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put((work, future))
        return await future

    def close(self) -> None:
        """Take no more work; idle threads end, busy ones end after their call. Waits for none of them."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future = job
            result, error = None, None
            try:
                result = work()
            except BaseException as err:  # noqa: BLE001 - the edge of the thread: it belongs to the caller
                error = err
            with self._lock:
                self._busy -= 1
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                continue  # the loop is closed: nobody waits any more
            del job, work, future, result, error


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
