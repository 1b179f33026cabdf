"""One request at a slot's door: it waits, goes in, is carried, leaves.

From: whoever carries requests (door.py, lab/gate.py). To: lobby.py, which says when it may go in, and counts it.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.gate.lobby import Lobby


class Turned(Exception):
    """A request is sent away: 503, with a sentence, to be tried again after so many seconds."""

    def __init__(self, text: str, after: float) -> None:
        self.after = after
        super().__init__(text)


class Gone(Exception):
    """The caller went away while its request waited."""


class Visit:
    """One request. `enter` and `again` wait; `missed`, `reached`, `first` and `left` tell how it went on."""

    def __init__(self, lobby: "Lobby", number: int) -> None:
        self.lobby, self.number = lobby, number
        self.began = lobby.clock.mono()
        self.waited = 0.0
        self.since = 0.0
        """when it began to wait; 0: it does not"""
        self.on_cut: Callable[[], None] | None = None
        self.answered = False
        self.gone = False
        """its caller went away"""
        self.upstream = ""
        """where it was sent to last"""
        self._future: asyncio.Future[str] | None = None
        self._inside = False
        self._over = False

    def __lt__(self, other: "Visit") -> bool:
        return self.number < other.number

    async def enter(self) -> str:
        """Where it goes to, `http://host:port`, once it may. Turned, or Gone."""
        if self.gone:
            raise Gone
        if self.lobby.welcomes():
            self._enlist(self.lobby.upstream)
            return self.upstream
        full = self.lobby.why_not()
        if full:
            self.lobby.counts.refused += 1
            raise Turned(*full)
        return await self._wait()

    async def again(self) -> str:
        """It was inside, and nothing of it was sent. Wait until it may go in, within its time. Turned, or Gone."""
        self._go_out()
        if self.lobby.refuses:
            self.lobby.counts.refused += 1
            raise Turned(*self.lobby.sent_away())
        return await self._wait()

    def missed(self) -> None:
        """Nobody is there."""
        self.lobby.absent(self)

    def reached(self) -> bool:
        """Somebody is there; whether it may still be sent to them."""
        self.lobby.present(self)
        return not self.gone and self.lobby.leads_to(self.upstream)

    def first(self) -> None:
        """The first byte of its answer came."""
        if not self.answered:
            self.answered = True
            self.lobby.first_byte.add(self.lobby.clock.mono() - self.began)

    def drop(self) -> None:
        """Its caller went away: it waits no longer."""
        self.gone = True
        if self._future is not None and not self._future.done():
            self._future.set_exception(Gone())

    def left(self) -> None:
        """It is over, however it ended."""
        if self._over:
            return
        self._over = True
        self._go_out()
        self.lobby.over(self)

    def let_in(self, upstream: str) -> None:
        """It may go in now (the lobby says so)."""
        if self._future is not None and not self._future.done():
            self._enlist(upstream)
            self._future.set_result(upstream)

    def turn_away(self, text: str, after: float) -> None:
        """It may not wait any longer."""
        if self._future is not None and not self._future.done():
            self.lobby.counts.refused += 1
            self._future.set_exception(Turned(text, after))

    @property
    def waits(self) -> bool:
        return self._future is not None and not self._future.done()

    def _enlist(self, upstream: str) -> None:
        self._inside, self.upstream = True, upstream
        self.lobby.inside[self.number] = self

    def _go_out(self) -> None:
        if self._inside:
            self._inside = False
            del self.lobby.inside[self.number]

    async def _wait(self) -> str:
        lobby, loop = self.lobby, asyncio.get_running_loop()
        if self.gone:
            raise Gone
        self._future = loop.create_future()
        self.since = lobby.clock.mono()
        left = max(0.0, self.began + lobby.slot.hold - self.since)
        alarm = loop.call_later(left, self._late)
        lobby.join(self)
        try:
            return await self._future
        finally:
            alarm.cancel()
            self.waited += lobby.clock.mono() - self.since
            self.since = 0.0
            lobby.quit(self)

    def _late(self) -> None:
        self.turn_away(*self.lobby.too_long())
