"""Calls that the kernel may keep for as long as it likes: each in a thread of its own.

From: kernel/hands.py, through the loop's run_in_executor. To: the kernel. A pool would be used up by a few of them, and
the end of the process would wait for its threads: a disk that does not answer would keep us from ending.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Aside(Executor):
    """As many threads as there are calls: whoever calls sees to it that those are few."""

    def __init__(self, name: str) -> None:
        self._name, self._closed = name, False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Begin a call. RuntimeError where no thread can be started, or all is over."""
        if self._closed:
            raise RuntimeError("no thread is started any more")
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as err:  # noqa: BLE001 - the edge of the thread: it belongs to the caller
                future.set_exception(err)

        threading.Thread(target=run, name=self._name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin nothing more; what is under way is not waited for."""
        self._closed = True
