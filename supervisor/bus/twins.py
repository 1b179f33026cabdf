"""Two machines with one `host`: at most one of them may speak under that name.

In: what the broker keeps of our own topics (the watermark on `journal`, which names the machine that wrote it, and
`availability`), read on every new connection before anything of ours is published, and what arrives there later. Out:
the pump's guard (why nothing may be published; '' lets it go on), a wish to give the connection up, and a sentence for
`status` and the alert.

Who speaks already stays. Where two begin at the same instant both find nothing and both publish; each hears the other's
watermark, and the one with the smaller node id stays. A name whose owner is `offline` is free; one whose owner says
`online` but has not moved for five minutes has lost its last will with its broker, and is free, too.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from supervisor.bus.delivery.watermark import machine_of
from supervisor.bus.link.connection import Connection, next_until
from supervisor.bus.messages import topic
from supervisor.clock import Clock
from supervisor.errors import BrokerError
from supervisor.ports import Received

LOOK = 0.5
"""seconds to wait for what the broker keeps; where it has what we ask for, none are waited"""
STANDS_STILL = 300.0
"""seconds without a move after which one that says `online` is held for dead: a living one tells of its memory twice a
minute"""
GRACE = 60.0
"""seconds that an owner we have seen has to come back to a broker which forgot everything, before its name is free"""
AGAIN = 2.0
"""seconds between two times that we tell everything again because another one spoke on our topics"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the broker keeps under our name."""

    machine: str = ""
    """the node that wrote the watermark; '' for none, or one that cannot be read"""
    online: bool = False
    there: bool = False
    """something is kept there at all"""
    mark: str = ""
    """changes whenever the writer moves"""


class Twins:
    """The pump's guard and one of its listeners."""

    def __init__(self, host: str, node: str, clock: Clock) -> None:
        self._host, self._node, self._clock = host, node, clock
        self._journal, self._availability = topic(host, "journal"), topic(host, "availability")
        self._host_document = topic(host, "state", "host")
        self._other = ""
        """the node that has our name, as far as we know"""
        self._mark: tuple[str, float] = ("", 0.0)
        self._vacant: float | None = None
        self._found = b""
        """the watermark that was there when we came: it comes once more with every subscription"""
        self._told_at: float | None = None
        self._again: asyncio.TimerHandle | None = None
        self.trouble = ""
        """why nothing is published, for a person; '' if nothing stands in the way"""
        self.give_up: Callable[[str], None] = lambda _why: None
        self.refresh: Callable[[], None] = lambda: None
        self.say_online: Callable[[], None] = lambda: None
        self.put_back: Callable[[Sequence[Received]], None] = lambda _messages: None
        self.found: Callable[[bytes], Awaitable[None]] = _nothing
        """hears the watermark that was there, once we may speak; a JournalError of it ends the connection"""

    # ------------------------------------------------------------ before anything is published

    async def __call__(self, broker: Connection) -> str:
        """Why nothing may be published on this connection; '' if it may. BrokerError where it is lost."""
        seen = await self._look(broker)
        self.trouble = self._judge(seen, self._clock.mono())
        if not self.trouble and seen.machine:
            await self.found(self._found)
        return self.trouble

    async def _look(self, broker: Connection) -> Seen:
        wanted = (self._host_document, self._availability, self._journal)
        # The answer to a repeated question comes after what the broker keeps: so nothing of it can be late, however
        # busy either side is. The wait is for brokers that look for what they keep beside answering.
        for where in (*wanted, self._journal):
            try:
                await broker.subscribe(where)
            except BrokerError as err:
                if not err.answered:
                    raise
                return Seen()  # we may not read our own topics: nobody can tell us, so nothing stands in the way
        kept: dict[str, bytes] = {}
        others: list[Received] = []
        until = self._clock.mono() + LOOK
        while not {self._journal, self._availability} <= kept.keys():
            message = await next_until(broker, self._clock, until, LOOK)
            if message is None:
                break
            if message.topic in wanted:
                kept[message.topic] = message.payload
            else:
                others.append(message)  # a session of ours went on: what it kept for us belongs to somebody else
        self.put_back(others)
        mark = hashlib.sha256(kept.get(self._journal, b"") + b"\0" + kept.get(self._host_document, b"")).hexdigest()
        self._found = kept.get(self._journal, b"")
        machine = machine_of(self._found)
        return Seen(machine, kept.get(self._availability) == b"online", bool(kept), mark)

    def _judge(self, seen: Seen, now: float) -> str:
        if seen.machine == self._node:
            self._other, self._vacant = "", None
            return ""
        if seen.machine and seen.online:
            self._vacant = None
            if self._other != seen.machine or self._mark[0] != seen.mark:
                self._other, self._mark = seen.machine, (seen.mark, now)
            if now - self._mark[1] < STANDS_STILL:
                return self._taken()
        elif self._other and not seen.there:
            self._vacant = now if self._vacant is None else self._vacant
            if now - self._vacant < GRACE:
                return self._taken()
        self._other, self._vacant = "", None
        return ""

    def _taken(self) -> str:
        return (
            f"nothing is published, because another machine (node {self._other}; we are {self._node}) speaks as "
            f"{self._host!r} at this broker; give one of the two another `host` in resurgam.yaml and start it again"
        )

    # ------------------------------------------------------------ while we are connected (an inbox.Listener)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Our own topics that only we should write to."""
        return (self._journal, self._availability)

    def refused(self, pattern: str, why: str) -> None:
        """Without these topics a twin cannot be found: no trouble as long as there is none."""

    async def heard(self, broker: Connection, message: Received) -> None:
        """Something was written under our name."""
        if message.topic == self._availability:
            if message.payload == b"offline":
                self.say_online()  # the last will of one that spoke for us, or of an earlier connection: we are here
            return
        other, now = machine_of(message.payload), self._clock.mono()
        if not other or other == self._node or message.payload == self._found:
            return
        if other < self._node:
            self._other, self._mark, self._vacant = other, ("", now), None
            self.trouble = self._taken()
            self.give_up(self.trouble)
        elif self._again is None:
            # it will hear our watermark and go; what it wrote over ours is put right
            wait = max(0.0, self._told_at + AGAIN - now) if self._told_at is not None else 0.0
            self._again = asyncio.get_running_loop().call_later(wait, self._restate)

    def _restate(self) -> None:
        self._again, self._told_at = None, self._clock.mono()
        self.refresh()
        self.say_online()


async def _nothing(_payload: bytes) -> None:
    """Nobody listens."""
