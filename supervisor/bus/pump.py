"""The message pump: one connection at a time, a window of 16 in flight, everything in the order of the journal.

In: a knock with the rows a turn committed, and the newest snapshot. Out: events and retained documents on the broker,
marks in the journal's delivery table, and a `BusState` fact for the core whenever the connection changes. What comes in
goes to `bus/inbox.py`. Publishing never holds up deciding: the core only ever knocks.

When anything goes wrong the connection object is thrown away, the pump waits (full jitter, 0.2 to 30 s) and begins
again at the lowest row without a mark. A repeat has the same id, so consumers drop it; a loss cannot happen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from supervisor.bus.backoff import FullJitter
from supervisor.bus.connection import Connection
from supervisor.bus.inbox import Inbox, Listener
from supervisor.bus.messages import Message, availability, render
from supervisor.bus.outbox import Outbox
from supervisor.bus.state import Board, Document, documents
from supervisor.clock import Clock
from supervisor.errors import BrokerError, JournalError
from supervisor.facts import BusState, Snapshot
from supervisor.journal import JournalThread, Row
from supervisor.ports import Submit
from supervisor.units import plain

WINDOW = 16
POSTS = 4
"""retained documents in flight; with the window this is the 20 that brokers allow by default"""
SETTLE = 0.1
"""seconds from a snapshot to its documents, so that a burst is one message per topic and no event waits for them"""
MARK_AFTER = 0.25
"""seconds that marks are gathered before they are written; after a kill these messages are sent twice"""
STEADY = 5.0
"""seconds a connection must hold before its failures are forgiven"""
DRAIN = 0.8
"""seconds to send what is left when we end; the rest is sent by the next start"""
FAREWELL = 1.5
"""seconds for the last words; letting go of the connection may take half a second more"""
TELL_AGAIN = 10.0
"""seconds between two reports of an outage that only grows"""
LAST_TRY = 5
NOT_AUTHORIZED, TOPIC_INVALID, TOO_LARGE, QUOTA, BAD_PAYLOAD = 0x87, 0x90, 0x95, 0x97, 0x99
DEAD_CODES = (NOT_AUTHORIZED, TOPIC_INVALID, TOO_LARGE, BAD_PAYLOAD)
"""answers that a repeat would only get again: the message goes to the dead letters and the rest goes on"""


Show = Callable[[Snapshot], dict[str, Document]]
"""retained documents of a snapshot, by topic"""
Guard = Callable[[Connection], Awaitable[str]]


class Pump:
    """Publishes what the journal holds and how things stand. `knock` and `show` may be called at any time."""

    def __init__(
        self,
        thread: JournalThread,
        make_broker: Callable[[], Connection],
        clock: Clock,
        host: str,
        submit: Submit,
        *,
        broker: str = "the broker",
        listeners: Sequence[Listener] = (),
        boards: Sequence[Show] = (),
        guard: Guard | None = None,
    ) -> None:
        """`broker` is how the broker is called in sentences for people; `listeners` want what comes in; `boards` make
        further retained documents of a snapshot; `guard` is asked on every new connection, before anything is
        published, why nothing may be: '' lets us go on."""
        self._inbox, self._boards, self._guard = Inbox(listeners), (documents, *boards), guard
        self._listener: asyncio.Task[None] | None = None
        self._make, self._clock, self._host, self._submit, self._name = make_broker, clock, host, submit, broker
        self._outbox = Outbox(thread, clock)
        self._jitter = FullJitter(clock)
        self._board = Board()
        self._snapshot: Snapshot | None = None
        self._posts: dict[str, Message] = {}
        self._wake = asyncio.Event()
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._hurry = False
        self._said_goodbye = False
        self._flying: dict[int, asyncio.Task[None]] = {}
        self._posting: dict[str, asyncio.Task[None]] = {}
        self._tries: dict[int, int] = {}
        self._broken: BrokerError | None = None
        self._alone = False
        self._failures = 0
        self._born = 0.0
        self._post_armed = False
        self._post_due = False
        self._marker: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._told: tuple[bool, str] | None = None
        self._told_at = 0.0
        self._told_waiting = 0
        self._behind = True
        self.unheard = 0
        """messages that nobody had subscribed to"""
        self.crashes = 0
        """errors that no one had foreseen, at the edge of the loop"""

    # ------------------------------------------------------------ what the core calls

    def knock(self, rows: Sequence[Row] = ()) -> None:
        """Rows were committed; handed over here they need not be read. Without rows: look into the journal."""
        self._outbox.hand(rows)
        self._wake.set()

    def show(self, snapshot: Snapshot) -> None:
        """How things stand now; the newest wins."""
        self._snapshot = snapshot
        if not self._post_armed:
            self._post_armed = True
            asyncio.get_running_loop().call_later(SETTLE, self._settled)

    def refresh(self) -> None:
        """Tell every retained document again, whatever the broker has."""
        self._board.forget()
        self._settled()

    def give_up(self, why: str) -> None:
        """End this connection for a reason; the next one begins with the guard."""
        self._break(BrokerError(why))

    @property
    def inbox(self) -> Inbox:
        """Who listens, and what was dropped."""
        return self._inbox

    async def run(self) -> None:
        """Connect and publish until closed; after every failure wait and begin again."""
        self._task = asyncio.current_task()
        try:
            while not self._closing:
                broker = self._make()
                self._born = 0.0
                try:
                    why = await self._one_connection(broker)
                finally:
                    await self._drop(broker)
                held = self._clock.mono() - self._born if self._born else 0.0
                self._failures = 1 if held > STEADY else self._failures + 1
                if not self._closing:
                    await self._report(False, why)
                    await self._nap(self._jitter.after(self._failures))
        finally:
            if self._marker is not None:
                self._marker.cancel()
            self._done.set()

    async def close(self) -> None:
        """Send what is left, say `stopped` and `offline`, and end `run`: within 2 s, whatever the broker does."""
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        asyncio.get_running_loop().call_later(DRAIN, self._hurry_up)
        try:
            await asyncio.wait_for(self._done.wait(), FAREWELL)
        except TimeoutError:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # ------------------------------------------------------------ one connection

    async def _one_connection(self, broker: Connection) -> str:
        """Serve one connection to its end; says in one sentence why it ended."""
        self._broken, self._said_goodbye = None, False
        try:
            await broker.connect()
            self._watcher = asyncio.get_running_loop().create_task(self._watch(broker))
            self._outbox.rewind()
            why = await self._guard(broker) if self._guard is not None else ""
            if why:
                raise BrokerError(why)
            if await self._inbox.subscribe(broker):
                self._listener = asyncio.get_running_loop().create_task(self._inbox.serve(broker))
            await self._birth(broker)
            self._born = self._clock.mono()
            await self._report(True, f"connected to {self._name}")
            await self._serve(broker)
            await self._farewell(broker)
        except BrokerError as err:
            return str(err)
        except JournalError as err:
            return f"messages wait, because the journal cannot be read: {err}"
        except Exception as err:  # noqa: BLE001 - the edge of this loop: counted, told, begun again
            self.crashes += 1
            return plain(f"the message pump tripped over {type(err).__name__}: {err}", 300)
        return "stopped"

    async def _watch(self, broker: Connection) -> None:
        await broker.closed()
        self._break(BrokerError(f"the connection to {self._name} was lost"))

    async def _birth(self, broker: Connection) -> None:
        """All documents, then `online`: who sees us arrive finds everything in place."""
        self._board.forget()
        self._posts.clear()
        if self._snapshot is not None:
            due = self._board.due(self._documents(self._snapshot), self._clock.mono())
            for first in range(0, len(due), POSTS):
                await asyncio.gather(*(self._post(broker, message) for message in due[first : first + POSTS]))
                self._check()
        online = availability(self._host, online=True)
        try:
            await broker.publish(online.topic, online.payload, online.qos, online.retain, online.expiry)
        except BrokerError as err:
            if err.code != NOT_AUTHORIZED:
                raise
            raise BrokerError(
                f"{self._name} does not let us publish to {online.topic}; allow this user to write resurgam/#", err.code
            ) from None

    async def _serve(self, broker: Connection) -> None:
        """Keep the window full until the connection breaks, or until all is sent and we are closing."""
        while True:
            self._wake.clear()
            self._check()
            if self._hurry:
                return
            self._launch(broker)
            if self._outbox.must_read:
                await self._outbox.read()
                continue
            if self._behind and self._outbox.empty and not self._flying:
                self._behind = False
                await self._report(True, f"connected to {self._name}")
                continue
            if self._closing and self._outbox.empty and not self._flying and not self._posting:
                return
            await self._wake.wait()

    def _launch(self, broker: Connection) -> None:
        """Start as many sends as the windows allow: events first, documents after them."""
        loop = asyncio.get_running_loop()
        window = 1 if self._alone else WINDOW
        while len(self._flying) < window and (row := self._outbox.take()) is not None:
            message = render(row, self._host, self._outbox.epoch)
            if message is None:
                self._mark(row.seq, "skipped", "not a message")
            else:
                self._flying[row.seq] = loop.create_task(self._send(broker, row.seq, message))
        self._post_what_changed()
        for where in list(self._posts):
            if len(self._posting) < POSTS and where not in self._posting:
                self._posting[where] = loop.create_task(self._post(broker, self._posts.pop(where)))

    def _post_what_changed(self) -> None:
        if self._snapshot is None or not self._post_due or self._closing:
            return
        self._post_due = False
        for message in self._board.due(self._documents(self._snapshot), self._clock.mono()):
            self._posts[message.topic] = message

    async def _send(self, broker: Connection, seq: int, message: Message) -> None:
        """One event, to its acknowledgement or to the end of this connection."""
        try:
            ack = await broker.publish(message.topic, message.payload, message.qos, message.retain, message.expiry)
        except BrokerError as err:
            if err.code in DEAD_CODES:
                self._bury(seq, str(err))
            else:
                self._failed(seq, err)
        except Exception as err:  # noqa: BLE001 - the edge of one send: ends the connection, which counts it
            self.crashes += 1
            self._break(BrokerError(plain(f"publishing tripped over {type(err).__name__}: {err}", 300)))
        else:
            self._alone = False
            self.unheard += 0 if ack.heard else 1
            self._mark(seq, "done" if ack.heard else "unheard", "" if ack.heard else "nobody had subscribed")
        finally:
            self._flying.pop(seq, None)
            self._wake.set()

    async def _post(self, broker: Connection, message: Message) -> None:
        """One retained document. A refused one is not tried again until it changes."""
        try:
            await broker.publish(message.topic, message.payload, message.qos, message.retain, message.expiry)
        except BrokerError as err:
            self._board.missed(message)
            if err.code not in DEAD_CODES:
                self._break(err)
        except Exception as err:  # noqa: BLE001 - the edge of one send, as above
            self.crashes += 1
            self._break(BrokerError(plain(f"publishing tripped over {type(err).__name__}: {err}", 300)))
        finally:
            self._posting.pop(message.topic, None)
            self._wake.set()

    async def _farewell(self, broker: Connection) -> None:
        """The last words: the daemon's document says `stopped`, availability `offline`."""
        if self._snapshot is not None:
            last = next(iter(documents(self._snapshot, status="stopped").values())).message
            await self._post(broker, last)
        await self._post(broker, availability(self._host, online=False))
        self._said_goodbye = self._broken is None

    # ------------------------------------------------------------ the small parts

    def _documents(self, snapshot: Snapshot) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for show in self._boards:
            found |= show(snapshot)
        return found

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _break(self, err: BrokerError) -> None:
        self._broken = self._broken or err
        self._wake.set()

    async def _drop(self, broker: Connection) -> None:
        """Let go of a connection: nothing of it may act any more once this returns."""
        for seq in list(self._flying):
            self._failed(seq, self._broken or BrokerError("the connection was given up"))
        beside = [task for task in (self._watcher, self._listener) if task is not None]
        tasks = [*self._flying.values(), *self._posting.values(), *beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._flying.clear()
        self._posting.clear()
        self._watcher = self._listener = None
        self._behind = True
        try:
            # Only who has said `offline` says goodbye: else the broker must say it for us, should we not come back.
            await (broker.close() if self._said_goodbye else broker.abort())
        except Exception:  # noqa: BLE001 - it is thrown away; only the count is of use
            self.crashes += 1
        await self._flush()

    def _failed(self, seq: int, err: BrokerError) -> None:
        """An event got no answer. After a loss the first one goes alone, so that one message which makes the broker
        hang up every time is found (and buried) and does not hold up the rest for ever."""
        if self._alone and err.code != QUOTA:
            self._tries[seq] = self._tries.get(seq, 0) + 1
            if self._tries[seq] >= LAST_TRY:
                self._bury(seq, f"it failed {LAST_TRY} times on its own; last: {err}")
        self._alone = True
        self._break(err)

    def _bury(self, seq: int, why: str) -> None:
        self._mark(seq, "dead", plain(why, 300))

    def _mark(self, seq: int, state: str, reason: str) -> None:
        self._outbox.mark(seq, state, self._tries.pop(seq, 0) + 1, reason)
        if self._marker is None or self._marker.done():
            self._marker = asyncio.get_running_loop().create_task(self._mark_soon())

    async def _mark_soon(self) -> None:
        await asyncio.sleep(MARK_AFTER)
        await self._flush()

    async def _flush(self) -> None:
        try:
            await self._outbox.flush()
        except JournalError:
            self.crashes += 1  # the marks stay and are written with the next ones; the core tells of a lost journal

    async def _report(self, connected: bool, text: str) -> None:
        now = self._clock.mono()
        known = self._told == (connected, text)
        if known and (not self._told_waiting if connected else now - self._told_at < TELL_AGAIN):
            return
        self._told, self._told_at = (connected, text), now
        try:
            self._told_waiting = await self._outbox.waiting()
        except JournalError:
            self._told_waiting = 0
        self._submit(BusState(self._clock.wall(), now, connected, self._name, text, self._told_waiting))

    async def _nap(self, seconds: float) -> None:
        """Wait, unless we are closed meanwhile; a knock does not shorten it."""
        until = self._clock.mono() + seconds
        while not self._closing and (left := until - self._clock.mono()) > 0:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), left)
            except TimeoutError:
                return

    def _hurry_up(self) -> None:
        self._hurry = True
        self._wake.set()

    def _settled(self) -> None:
        self._post_armed, self._post_due = False, True
        self._wake.set()
