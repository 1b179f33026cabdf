"""Which rows of a long backlog one message may tell of, so that nobody is left with an alert that is over.

In: what waits, row by row (`backlog.py`). Out: a tally for `piles.py`. Of every alert the newest row decides: its end
is told by itself where listeners may believe that it fires. Used by `catchup.py` and `shedding.py`. Pure.
"""

from collections.abc import Callable

from supervisor.bus.delivery.backlog import Brief
from supervisor.bus.delivery.flow import SUMMARIES
from supervisor.bus.delivery.piles import Tally


class Sift:
    """Parts rows into those that one message tells of (`finish`) and those that are told singly. Rows come in the order
    of their seq."""

    def __init__(self, may: Callable[[Brief], bool], maybe_told: Callable[[Brief], bool], *, firing: bool) -> None:
        """`may`: which rows it may take at all; it takes no digest. `maybe_told`: whether a row may have reached
        listeners though it is not marked. `firing`: whether it takes the newest row of an alert that fires still."""
        self._may, self._maybe_told, self._firing = may, maybe_told, firing
        self._heard: dict[str, bool] = {}
        """fingerprint -> listeners may believe that it fires"""
        self._last: dict[str, Brief] = {}
        self._tally = Tally()

    def add(self, one: Brief) -> None:
        """The next row."""
        if one.kind in SUMMARIES or not self._may(one):
            return
        if not one.alert:
            self._tally.add(one)
            return
        # the first row tells what listeners believe: who hears of an end first was told of the beginning
        heard = self._heard.setdefault(one.alert, one.kind == "alert.resolved")
        self._heard[one.alert] = heard or self._maybe_told(one)
        before = self._last.pop(one.alert, None)
        if before is not None:
            self._tally.add(before)
        self._last[one.alert] = one

    def finish(self) -> Tally:
        """That was the last row. What is over, and of which nobody heard, need not be told by itself."""
        for mark, one in self._last.items():
            over = one.kind == "alert.resolved"
            if not self._heard[mark] if over else self._firing:
                self._tally.add(one)
        self._tally.firing.clear()  # these rows do not say how it stands now
        return self._tally
