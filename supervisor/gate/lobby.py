"""Who may go in, who waits and who is sent away at a slot's door; and what is counted of it. No byte is seen here.

From: the core and maneuvers (hold, open, refuse, cut), and whoever carries requests: door.py over HTTP, lab/gate.py in
a simulated world. To: a Visit for each request. Those that wait go in as they came. A request that finds nobody behind
an open door waits, too: one at a time knocks, with growing pauses, until somebody is there.
"""

import asyncio
import bisect
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import GateState, Slot
from supervisor.gate.series import Histogram
from supervisor.gate.visit import Visit

HOLD, OPEN, REFUSE = "hold", "open", "refuse"
AGAIN = 5.0
"""seconds after which a caller that was sent away may try again, where nobody said better"""
KNOCK, SLOWEST_KNOCK = 0.25, 2.0
"""seconds between two tries to reach a model that is not there; they double"""


@dataclass(slots=True)
class Counts:
    """Since this process began."""

    requests: int = 0
    errors: int = 0
    refused: int = 0
    cut: int = 0
    last_at: float = 0.0
    longest_hold: float = 0.0


class Lobby:
    """One slot's. `changed` is called when the door was told something."""

    def __init__(self, slot: Slot, clock: Clock, changed: Callable[[], None] = lambda: None) -> None:
        self.slot, self.clock, self._changed = slot, clock, changed
        self.mode, self.why, self.upstream = HOLD, "nobody knows yet which model holds it", ""
        self._after = AGAIN
        self.inside: dict[int, Visit] = {}
        """those that were let in, by number"""
        self.counts = Counts()
        self.duration, self.first_byte, self.held_for = Histogram(), Histogram(), Histogram()
        self._queue: list[Visit] = []
        """by number: as they came"""
        self._number = 0
        self._deserted = False
        """nobody was there when the latest one came in"""
        self._pause = KNOCK
        self._knock: asyncio.TimerHandle | None = None
        self._trial: Visit | None = None

    # ------------------------------------------------------------ what it is told

    def hold(self, why: str) -> None:
        """New requests wait; those inside go on."""
        self.mode, self.why = HOLD, why
        self._forget()
        self._changed()

    def open(self, upstream: str) -> None:
        """Requests go there from now on, those that wait first."""
        if self.mode == OPEN and self.upstream == upstream and not self._deserted:
            return
        self.mode, self.why, self.upstream = OPEN, "", upstream
        self._forget()
        self._call()
        self._changed()

    def refuse(self, why: str, after: float) -> None:
        """Everybody is sent away, those that wait, too."""
        self.mode, self.why, self._after = REFUSE, why, after if after > 0 else AGAIN
        self._forget()
        for visit in tuple(self._queue):
            visit.turn_away(*self.sent_away())
        self._changed()

    def cut(self) -> int:
        """End what is inside; how many."""
        ended = [visit for visit in tuple(self.inside.values()) if visit.on_cut is not None]
        for visit in ended:
            assert visit.on_cut is not None
            visit.on_cut()
        return len(ended)

    def arrive(self) -> Visit:
        """A request came."""
        self._number += 1
        self.counts.requests += 1
        self.counts.last_at = self.clock.wall()
        return Visit(self, self._number)

    def close(self) -> None:
        """No timer stays."""
        self._forget()

    # ------------------------------------------------------------ how it stands

    def state(self, listening: bool = True, text: str = "") -> GateState:
        """Now."""
        counts, now = self.counts, self.clock.mono()
        longest = max((now - visit.since for visit in self._queue), default=0.0)
        return GateState(
            self.slot.name,
            listening,
            text,
            self.mode == OPEN,
            self.upstream if self.mode == OPEN else "",
            len(self._queue),
            len(self.inside),
            counts.requests,
            counts.errors,
            counts.refused,
            counts.cut,
            counts.last_at,
            max(counts.longest_hold, longest),
        )

    # ------------------------------------------------------------ what visits ask

    def welcomes(self) -> bool:
        """Whether one that comes now goes in at once."""
        return self.mode == OPEN and not self._deserted and not self._queue and self._room()

    @property
    def refuses(self) -> bool:
        """Whether everybody is sent away."""
        return self.mode == REFUSE

    def leads_to(self, upstream: str) -> bool:
        """Whether the door stands open, and leads there."""
        return self.mode == OPEN and self.upstream == upstream

    def why_not(self) -> tuple[str, float] | None:
        """Why it may not even wait, and when to try again; None if it may."""
        if self.refuses:
            return self.sent_away()
        if len(self._queue) >= self.slot.held:
            return f"{self._said()} {len(self._queue)} requests wait already. Try again later.", AGAIN
        return None

    def too_long(self) -> tuple[str, float]:
        """What is said to one that waited as long as it may."""
        return f"{self._said()} The request waited for {units.show_duration(self.slot.hold)}. Try again later.", AGAIN

    def join(self, visit: Visit) -> None:
        """It waits."""
        bisect.insort(self._queue, visit)
        if self._deserted and self._trial is None:
            self._knock_later()
        self._call()

    def quit(self, visit: Visit) -> None:
        """It waits no longer."""
        with contextlib.suppress(ValueError):
            self._queue.remove(visit)

    def absent(self, visit: Visit) -> None:
        """It went in and found nobody there."""
        if not self.leads_to(visit.upstream):
            return  # the door leads elsewhere by now
        if self._trial is visit:
            self._trial, self._pause = None, min(self._pause * 2, SLOWEST_KNOCK)
        self._deserted = True

    def present(self, visit: Visit) -> None:
        """It went in and found somebody."""
        if self._trial is visit:
            self._trial = None
        if self._deserted and self.leads_to(visit.upstream):
            self._deserted, self._pause = False, KNOCK
            self._stop_knocking()
            self._call()

    def over(self, visit: Visit) -> None:
        """It left."""
        took = self.clock.mono() - visit.began
        self.duration.add(took)
        if visit.waited > 0:
            self.held_for.add(visit.waited)
            self.counts.longest_hold = max(self.counts.longest_hold, visit.waited)
        if self._trial is visit:
            self._trial = None
        if self._deserted and self._trial is None and self._queue:
            self._knock_later()  # it may have been the one that knocked for all
        self._call()

    # ------------------------------------------------------------ inner

    def _room(self) -> bool:
        return not self.slot.in_flight or len(self.inside) < self.slot.in_flight

    def _call(self) -> None:
        """Let in those that wait, as many as may."""
        while self._queue and self.mode == OPEN and not self._deserted and self._room():
            visit = self._queue.pop(0)
            visit.let_in(self.upstream)

    def _knock_later(self) -> None:
        if self._knock is None:
            self._knock = asyncio.get_running_loop().call_later(self._pause, self._try)

    def _try(self) -> None:
        self._knock = None
        if self.mode == OPEN and self._deserted and self._trial is None:
            while self._queue and self._trial is None:
                visit = self._queue.pop(0)
                if visit.waits:
                    self._trial = visit
                    visit.let_in(self.upstream)

    def _forget(self) -> None:
        """What was found behind the door counts no longer."""
        self._deserted, self._pause, self._trial = False, KNOCK, None
        self._stop_knocking()

    def _stop_knocking(self) -> None:
        if self._knock is not None:
            self._knock.cancel()
            self._knock = None

    def _said(self) -> str:
        if self.mode == OPEN:
            why = "its model does not answer" if self._deserted else "it is busy"
        else:
            why = self.why.rstrip(". ") or "no model holds it"
        return f"{self.slot.name} cannot answer now: {why}."

    def sent_away(self) -> tuple[str, float]:
        """What is said to one that comes while nobody holds the slot."""
        return f"{self._said()} Try again later.", self._after
