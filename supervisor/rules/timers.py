"""Which rules are due, the earliest first: one heap, whatever the number of rules.

Used by `engine.py` alone. An instant that moves on is noticed when the old one comes up, so that a rule which is
looked at again and again costs nothing here.
"""

import heapq
from collections.abc import Callable

from supervisor.rules.promql.schedule import NEVER
from supervisor.rules.running import Running

_SPARE = 256


class Timers:
    """The rules that wait for an instant (ms). `when` answers the true one; call `set` when it moves nearer."""

    def __init__(self, when: Callable[[Running], int]) -> None:
        self._when = when
        self._heap: list[tuple[int, int, Running]] = []
        self._most = _SPARE

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, running: Running) -> None:
        """Notice this rule's instant, if it is nearer than the one that is known."""
        when = self._when(running)
        if when < running.queued:
            running.queued = when
            heapq.heappush(self._heap, (when, running.place, running))
            if len(self._heap) > self._most:
                self._tidy()

    def first(self) -> int:
        """The nearest instant; NEVER if no rule waits for any."""
        while self._heap:
            when, _place, running = self._heap[0]
            if running.queued != when:
                heapq.heappop(self._heap)  # overtaken by a nearer one
            elif self._when(running) > when:
                heapq.heappop(self._heap)
                running.queued = NEVER
                self.set(running)
            else:
                return when
        return NEVER

    def take(self, ms: int) -> list[Running]:
        """The rules whose instant has come by `ms`; each must be `set` again to be heard of again."""
        found: list[Running] = []
        while self.first() <= ms:
            running = heapq.heappop(self._heap)[2]
            running.queued = NEVER
            found.append(running)
        return found

    def _tidy(self) -> None:
        live = {running: when for when, _place, running in self._heap if running.queued == when}
        self._heap = [(when, running.place, running) for running, when in live.items()]
        heapq.heapify(self._heap)
        self._most = 2 * len(live) + _SPARE
