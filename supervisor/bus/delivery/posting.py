"""Sends the retained documents: all of them on every new connection, and then what changed.

In: the newest snapshot (from the core, through `pump.py`) and the journal's watermark. Out: retained messages, at
most four in flight; together with the window of events that is the 20 that brokers allow by default.
"""

import asyncio
from collections.abc import Callable, Sequence

from supervisor.bus.delivery.line import DEAD_CODES, Line
from supervisor.bus.delivery.watermark import EVERY, Watermark
from supervisor.bus.link.connack import NOT_AUTHORIZED
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import Message, availability
from supervisor.bus.state import Board, Document, documents
from supervisor.clock import Clock
from supervisor.errors import BrokerError
from supervisor.facts import Snapshot

POSTS = 4
"""retained documents in flight"""
SETTLE = 0.1
"""seconds from a snapshot to its documents, so that a burst is one message per topic and no event waits for them"""
WATERMARK = "watermark"

Show = Callable[[Snapshot], dict[str, Document]]
"""retained documents of a snapshot, by topic"""


class Posting:
    """What hangs on the broker's wall, and what is on its way there."""

    def __init__(
        self, clock: Clock, host: str, name: str, line: Line, watermark: Watermark, boards: Sequence[Show]
    ) -> None:
        """`name` is how the broker is called in sentences for people; `boards` make documents beside our own."""
        self._clock, self._host, self._name, self._line = clock, host, name, line
        self._boards: tuple[Show, ...] = (documents, *boards)
        self._board = Board()
        self._watermark = watermark
        self._snapshot: Snapshot | None = None
        self._posts: dict[str, Message] = {}
        self._flying: dict[str, asyncio.Task[None]] = {}
        self._armed = self._due = False
        self._marked = self._mark_due = False

    @property
    def busy(self) -> bool:
        """Something is on its way."""
        return bool(self._flying)

    def show(self, snapshot: Snapshot) -> None:
        """How things stand now; the newest wins."""
        self._snapshot = snapshot
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(SETTLE, self._settled)

    def refresh(self) -> None:
        """Tell every document again, whatever the broker has."""
        self._board.forget()
        self._watermark.forget()
        self._mark_due = True
        self._settled()

    def say_online(self) -> None:
        """Tell `online` again."""
        online = availability(self._host, online=True)
        self._posts[online.topic] = online
        self._line.wake()

    def grown(self) -> None:
        """The journal has newer rows."""
        if not self._marked:
            self._marked = True
            asyncio.get_running_loop().call_later(EVERY, self._mark)

    async def birth(self, broker: Connection) -> None:
        """All documents, then `online`: who sees us arrive finds everything in place."""
        self._board.forget()
        self._posts.clear()
        self._watermark.forget()
        await self._post_watermark(broker)
        self._line.check()
        if self._snapshot is not None:
            due = self._board.due(self._documents(self._snapshot), self._clock.mono())
            for first in range(0, len(due), POSTS):
                await asyncio.gather(*(self._post(broker, message) for message in due[first : first + POSTS]))
                self._line.check()
        try:
            await self._put(broker, availability(self._host, online=True))
        except BrokerError as err:
            if err.code != NOT_AUTHORIZED:
                raise
            raise BrokerError(
                f"{self._name} does not let us publish to {availability(self._host, online=True).topic}; "
                "allow this user to write resurgam/#",
                err.code,
            ) from None

    def launch(self, broker: Connection, *, closing: bool) -> None:
        """Start as many posts as there is room for."""
        loop = asyncio.get_running_loop()
        if self._snapshot is not None and self._due and not closing:
            self._due = False
            for message in self._board.due(self._documents(self._snapshot), self._clock.mono()):
                self._posts[message.topic] = message
        if self._mark_due and WATERMARK not in self._flying:
            self._mark_due = False
            if self._watermark.stale:
                self._flying[WATERMARK] = loop.create_task(self._post_watermark(broker))
        for where in list(self._posts):
            if len(self._flying) < POSTS and where not in self._flying:
                self._flying[where] = loop.create_task(self._post(broker, self._posts.pop(where)))

    async def farewell(self, broker: Connection) -> None:
        """The last words: how far the journal is, the daemon's document says `stopped`, availability `offline`."""
        if self._watermark.stale:
            await self._post_watermark(broker)
        if self._snapshot is not None:
            last = next(iter(documents(self._snapshot, status="stopped").values())).message
            await self._post(broker, last)
        await self._post(broker, availability(self._host, online=False))

    async def drop(self) -> None:
        """The connection is gone."""
        tasks = list(self._flying.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._flying.clear()

    def _documents(self, snapshot: Snapshot) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for show in self._boards:
            found |= show(snapshot)
        return found

    async def _put(self, broker: Connection, message: Message) -> None:
        await broker.publish(
            message.topic, message.payload, message.qos, message.retain, message.expiry, message.properties
        )

    async def _post(self, broker: Connection, message: Message) -> None:
        """One retained document. A refused one is not tried again until it changes."""
        try:
            await self._put(broker, message)
        except BrokerError as err:
            self._board.missed(message)
            if err.code not in DEAD_CODES:
                self._line.breaks(err)
        except Exception as err:  # noqa: BLE001 - the edge of one send: ends the connection, which counts it
            self._line.tripped(err)
        finally:
            self._flying.pop(message.topic, None)
            self._line.wake()

    async def _post_watermark(self, broker: Connection) -> None:
        try:
            await self._put(broker, await self._watermark.message())
        except BrokerError as err:
            if err.code not in DEAD_CODES:
                self._line.breaks(err)
        except Exception as err:  # noqa: BLE001 - as above
            self._line.tripped(err)
        finally:
            self._flying.pop(WATERMARK, None)
            self._line.wake()

    def _settled(self) -> None:
        self._armed, self._due = False, True
        self._line.wake()

    def _mark(self) -> None:
        self._marked, self._mark_due = False, True
        self._line.wake()
