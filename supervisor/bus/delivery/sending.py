"""Sends the events: a window of 16 in flight, in the order of the journal, each marked once the broker has it.

In: rows from `outbox.py`. Out: messages on the broker, and marks in the journal's delivery table; what comes too
fast goes to `piles.py` instead. After a lost connection the first row goes alone, so that one message which makes
the broker hang up every time is found, buried, and holds up nobody.
"""

import asyncio

from supervisor.bus.delivery.backlog import Brief
from supervisor.bus.delivery.flow import DIGEST, Flow
from supervisor.bus.delivery.hearing import Hearing
from supervisor.bus.delivery.line import DEAD_CODES, Line
from supervisor.bus.delivery.outbox import Outbox
from supervisor.bus.delivery.piles import Piles
from supervisor.bus.link.connack import QUOTA
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import Message, render
from supervisor.clock import Clock
from supervisor.errors import BrokerError, JournalError
from supervisor.journal import JournalThread, Row
from supervisor.units import plain

WINDOW = 16
MARK_AFTER = 0.25
"""seconds that marks are gathered before they are written; after a kill these messages are sent twice"""
MARKS = 32
"""marks that are written at once, without waiting for more"""
UNSURE = 128
"""rows that an earlier process may have sent without a mark, at most: they are told as if they had been"""
LAST_TRY = 5


class Sending:
    """The window of events on one connection after another."""

    def __init__(
        self,
        thread: JournalThread,
        outbox: Outbox,
        clock: Clock,
        host: str,
        line: Line,
        piles: Piles,
        flow: Flow | None,
    ) -> None:
        """`flow` decides what is told one by one; None: everything is."""
        self._thread, self._outbox, self._clock, self._host = thread, outbox, clock, host
        self._line, self._piles, self._flow = line, piles, flow
        self._flying: dict[int, asyncio.Task[None]] = {}
        self._tries: dict[int, int] = {}
        self._tried: dict[int, None] = {}
        """rows that may have reached the broker, though nothing is known of them"""
        self._alone = False
        self._marker: asyncio.Task[None] | None = None
        self._earlier = thread.journal.last_public
        self._unsure: int | None = None
        """the last row that an earlier process may have sent without a mark; None: not looked yet"""
        self._pauses: set[str] = set()
        self.unheard = 0
        """messages that nobody had subscribed to"""
        self.hearing = Hearing()

    @property
    def busy(self) -> bool:
        """Something is on its way."""
        return bool(self._flying)

    @property
    def paused(self) -> bool:
        """Nothing new is taken: it is just being decided what of the backlog is told at all."""
        return bool(self._pauses)

    def pause(self, why: str) -> None:
        """Take nothing new until `resume` for the same reason."""
        self._pauses.add(why)

    def resume(self, why: str) -> None:
        """It is decided."""
        self._pauses.discard(why)
        self._outbox.purge()
        self._line.wake()

    def under_way(self, seq: int) -> bool:
        """The row is in flight, or what became of it is known."""
        return seq in self._flying or self._outbox.settled(seq) or self._piles.holds(seq)

    def maybe_told(self, one: Brief) -> bool:
        """The row may have reached listeners: it was tried, or an earlier process may have been killed right after."""
        return one.seq in self._tried or one.seq <= (self._unsure or 0)

    async def begin(self) -> None:
        """A connection stands. JournalError where the journal cannot be read."""
        self._outbox.rewind()
        if self._unsure is None:
            rows = await self._thread.run(self._thread.journal.undelivered, UNSURE)
            await self._thread.run(self.hearing.restore, self._thread.journal)
            self._unsure = max([row.seq for row in rows if row.seq <= self._earlier], default=0)

    def launch(self, broker: Connection) -> None:
        """Start as many sends as the window allows."""
        loop = asyncio.get_running_loop()
        window = 1 if self._alone else WINDOW
        while not self._pauses and len(self._flying) < window and (row := self._outbox.take()) is not None:
            self._piles.seen((row,))
            message = render(row, self._host, self._outbox.epoch)
            if message is None:
                self.mark(row.seq, "skipped", "not a message")
            elif self._goes(row):
                self._flying[row.seq] = loop.create_task(self._send(broker, row, message))
            else:
                self._piles.gather(row)

    def _goes(self, row: Row) -> bool:
        """Whether it is told by itself. What may have been told before is: a repeat, which listeners drop."""
        if self._flow is None:
            return True
        if row.seq in self._tried or row.seq <= (self._unsure or 0):
            self._flow.note(row, told=True)
            return True
        return self._flow.decide(row, self._clock.mono()) != DIGEST

    async def _send(self, broker: Connection, row: Row, message: Message) -> None:
        """One event, to its acknowledgement or to the end of this connection."""
        try:
            ack = await broker.publish(
                message.topic, message.payload, message.qos, message.retain, message.expiry, message.properties
            )
        except BrokerError as err:
            if err.code in DEAD_CODES:
                self.mark(row.seq, "dead", plain(str(err), 300))
            else:
                self._failed(row.seq, err)
        except Exception as err:  # noqa: BLE001 - the edge of one send: ends the connection, which counts it
            self._try_again(row.seq)
            self._line.tripped(err)
        else:
            self._alone = False
            self.unheard += not ack.heard
            self.hearing.told(row, ack.heard)
            self.mark(row.seq, "done" if ack.heard else "unheard", "" if ack.heard else "nobody had subscribed")
        finally:
            self._flying.pop(row.seq, None)
            self._line.wake()

    def _failed(self, seq: int, err: BrokerError) -> None:
        """An event got no answer: it may have arrived or not. One that fails alone again and again is given up."""
        self._try_again(seq)
        if self._alone and err.code != QUOTA:
            self._tries[seq] = self._tries.get(seq, 0) + 1
            if self._tries[seq] >= LAST_TRY:
                self.mark(seq, "dead", plain(f"it failed {LAST_TRY} times on its own; last: {err}", 300))
        self._alone = True
        self._line.breaks(err)

    def _try_again(self, seq: int) -> None:
        self._tried[seq] = None
        if len(self._tried) > UNSURE:
            del self._tried[next(iter(self._tried))]

    async def drop(self) -> None:
        """The connection is gone: nothing of it may act any more once this returns."""
        for seq in list(self._flying):
            self._failed(seq, self._line.broken or BrokerError("the connection was given up"))
        tasks = list(self._flying.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._flying.clear()

    # ------------------------------------------------------------ marks

    def mark(self, seq: int, state: str, reason: str) -> None:
        """What became of a row; written soon."""
        self._tried.pop(seq, None)
        self._outbox.mark(seq, state, self._tries.pop(seq, 0) + 1, reason)
        if self._marker is None or self._marker.done():
            self._marker = asyncio.get_running_loop().create_task(self._mark_soon())
        elif self._outbox.unwritten == MARKS:
            self._marker.cancel()
            self._marker = asyncio.get_running_loop().create_task(self.flush())

    async def _mark_soon(self) -> None:
        await asyncio.sleep(MARK_AFTER)
        await self.flush()

    async def flush(self) -> None:
        """Write what is known. Marks that cannot be written stay, and are written with the next ones."""
        try:
            await self._outbox.flush()
        except JournalError:
            self._line.crashes += 1  # the core tells of a lost journal

    def end(self) -> None:
        """Nothing is sent any more."""
        if self._marker is not None:
            self._marker.cancel()
