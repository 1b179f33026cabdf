"""The message pump: one connection at a time, everything in the order of the journal.

In: a knock with the rows a turn committed, and the newest snapshot. Out, through its parts: events (`sending.py`) and
retained documents (`posting.py`) on the broker, marks in the journal's delivery table, digests of what is too much to
be told one by one (`keeping.py`), and facts for the core about all this. What comes in goes to `bus/inbox.py`.
Publishing never holds up deciding: the core only ever knocks.

When anything goes wrong the connection object is thrown away, the pump waits (full jitter, 0.2 to 30 s) and begins
again at the lowest row without a mark. A repeat has the same id, so consumers drop it; a loss cannot happen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from supervisor.bus.backoff import FullJitter
from supervisor.bus.delivery.flow import Flow
from supervisor.bus.delivery.keeping import CATCH_UP, Keeper
from supervisor.bus.delivery.line import Line
from supervisor.bus.delivery.outbox import Outbox
from supervisor.bus.delivery.piles import Piles
from supervisor.bus.delivery.posting import Posting, Show
from supervisor.bus.delivery.reporting import Reporter
from supervisor.bus.delivery.sending import Sending
from supervisor.bus.delivery.shedding import BOUNDS, Bounds, Shedder
from supervisor.bus.delivery.watermark import Watermark
from supervisor.bus.inbox import Inbox, Listener
from supervisor.bus.link.connection import Connection
from supervisor.clock import Clock
from supervisor.config.telling import FloodSettings
from supervisor.errors import BrokerError, JournalError
from supervisor.facts import Snapshot
from supervisor.journal import JournalThread, Row
from supervisor.ports import Submit
from supervisor.units import plain

STEADY = 5.0
"""seconds a connection must hold before its failures are forgiven"""
THROWN = 4
"""connections in a row that were lost right after they stood: then somebody else may have our client id"""
CLONED = (
    "another client may use our client id; a cloned machine needs a state folder of its own, or another mqtt.client_id"
)
DRAIN = 0.8
"""seconds to send what is left when we end; the rest is sent by the next start"""
FAREWELL = 1.5
"""seconds for the last words; letting go of the connection may take half a second more"""

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
        flood: FloodSettings | None = None,
        bounds: Bounds = BOUNDS,
        machine: str = "",
    ) -> None:
        """`broker` is how the broker is called in sentences for people; `listeners` want what comes in; `boards` make
        further retained documents of a snapshot; `guard` is asked on every new connection, before anything is
        published, why nothing may be: '' lets us go on. `flood` says how fast events are told one by one (None: as
        fast as they come), `bounds` how much may wait, `machine` is our node id."""
        self._make, self._clock, self._name, self._guard = make_broker, clock, broker, guard
        self._inbox = Inbox(listeners)
        self._jitter = FullJitter(clock)
        self._line, self._stirred = Line(), asyncio.Event()
        self._piles = Piles(thread, clock, submit, self._stirred.set)
        self._outbox = Outbox(thread, self._piles.holds)
        flow = Flow(flood.rate, flood.burst) if flood is not None else None
        self._sending = Sending(thread, self._outbox, clock, host, self._line, self._piles, flow)
        watermark = Watermark(thread, clock, host, machine)
        self._posting = Posting(clock, host, broker, self._line, watermark, boards)
        self.found = watermark.found
        """for the guard: the watermark that was there"""
        self._reporter = Reporter(thread, self._outbox, clock, submit, broker, self._sending.hearing)
        shedder = Shedder(thread, self._piles, bounds)
        parts = (self._sending, self._piles, shedder, self._reporter)
        self._keeper = Keeper(thread, clock, self._line, *parts, self._stirred)
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []
        """what runs beside the present connection, and ends with it"""
        self._closing = self._hurry = self._said_goodbye = False
        self._failures = self._thrown = 0
        self._born = 0.0
        self._behind = True

    # ------------------------------------------------------------ what the core calls

    def knock(self, rows: Sequence[Row] = ()) -> None:
        """Rows were committed; handed over here they need not be read. Without rows: look into the journal."""
        self._piles.seen(rows)
        self._outbox.hand(rows)
        self._posting.grown()
        self._line.wake()

    def show(self, snapshot: Snapshot) -> None:
        """How things stand now; the newest wins."""
        self._posting.show(snapshot)

    def refresh(self) -> None:
        """Tell every retained document again, whatever the broker has."""
        self._posting.refresh()

    def give_up(self, why: str) -> None:
        """End this connection for a reason; the next one begins with the guard. It ends with a goodbye: our last will
        would speak for whoever has our name."""
        self._said_goodbye = True
        self._line.breaks(BrokerError(why))

    def say_online(self) -> None:
        """Tell `online` again, because somebody else said otherwise under our name."""
        if self._born and not self._closing and self._line.broken is None:
            self._posting.say_online()

    @property
    def inbox(self) -> Inbox:
        """Who listens, and what was dropped."""
        return self._inbox

    @property
    def unheard(self) -> int:
        """Messages that nobody had subscribed to."""
        return self._sending.unheard

    @property
    def crashes(self) -> int:
        """Errors that no one had foreseen, at the edge of the loop."""
        return self._line.crashes

    async def run(self) -> None:
        """Connect and publish until closed; after every failure wait and begin again."""
        self._task = asyncio.current_task()
        keeper = asyncio.get_running_loop().create_task(self._keeper.run())
        try:
            while not self._closing:
                broker = self._make()
                self._born = 0.0
                try:
                    why = await self._one_connection(broker)
                finally:
                    await self._drop(broker)
                held = self._clock.mono() - self._born if self._born else 0.0
                if self._born:
                    self._thrown = 0 if held > STEADY else self._thrown + 1
                if self._thrown >= THROWN and not self._said_goodbye:
                    why += f" ({self._thrown} times in a row right after connecting: {CLONED})"
                self._failures = 1 if held > STEADY else self._failures + 1
                if not self._closing:
                    await self._reporter.report(False, why)
                    await self._nap(self._jitter.after(self._failures))
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            self._sending.end()
            self._done.set()

    async def close(self) -> None:
        """Send what is left, say `stopped` and `offline`, and end `run`: within 2 s, whatever the broker does."""
        self._closing = True
        self._line.wake()
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
        self._line.broken, self._said_goodbye = None, False
        try:
            await broker.connect()
            self._run_beside(self._watch(broker))
            await self._sending.begin()
            why = await self._guard(broker) if self._guard is not None else ""
            if why:
                self._said_goodbye = True  # nothing of ours is there that a last will could take back
                raise BrokerError(why)
            if await self._inbox.subscribe(broker):
                self._run_beside(self._inbox.serve(broker))
            await self._posting.birth(broker)
            self._born = self._clock.mono()
            await self._reporter.report(True, f"connected to {self._name}")
            self._sending.pause(CATCH_UP)
            self._run_beside(self._catch_up())
            await self._serve(broker)
            await self._posting.farewell(broker)
            self._said_goodbye = self._line.broken is None
        except BrokerError as err:
            return str(err)
        except JournalError as err:
            return f"messages wait, because the journal cannot be read: {err}"
        except Exception as err:  # noqa: BLE001 - the edge of this loop: counted, told, begun again
            self._line.crashes += 1
            return plain(f"the message pump tripped over {type(err).__name__}: {err}", 300)
        return "stopped"

    async def _watch(self, broker: Connection) -> None:
        why = await broker.closed()
        lost = f"the connection to {self._name} was lost: {why}" if why else f"{self._name} is gone"
        self._line.breaks(BrokerError(lost))

    async def _catch_up(self) -> None:
        """Decide what of the backlog is told one by one; until then nothing of it is."""
        try:
            await self._keeper.catch_up()
        except JournalError as err:
            self._line.breaks(BrokerError(f"messages wait, because the journal cannot be read: {err}"))
        except Exception as err:  # noqa: BLE001 - the edge of this part: ends the connection, which counts it
            self._line.tripped(err)

    async def _serve(self, broker: Connection) -> None:
        """Keep the window full until the connection breaks, or until all is sent and we are closing."""
        while True:
            self._line.awake.clear()
            self._line.check()
            if self._hurry:
                return
            self._sending.launch(broker)
            self._posting.launch(broker, closing=self._closing)
            if self._outbox.must_read and not self._sending.paused:
                await self._outbox.read()
                continue
            idle = self._outbox.empty and not self._sending.busy
            if self._behind and idle:
                self._behind = False
                await self._reporter.report(True, f"connected to {self._name}")
                continue
            if self._closing and idle and not self._posting.busy:
                return
            await self._line.awake.wait()

    # ------------------------------------------------------------ the small parts

    def _run_beside(self, body: Awaitable[None]) -> None:
        self._beside.append(asyncio.ensure_future(body))

    async def _drop(self, broker: Connection) -> None:
        """Let go of a connection: nothing of it may act any more once this returns."""
        beside, self._beside = self._beside, []
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await self._sending.drop()
        await self._posting.drop()
        self._behind = True
        try:
            # Only who has said `offline` says goodbye: else the broker must say it for us, should we not come back.
            await (broker.close() if self._said_goodbye else broker.abort())
        except Exception:  # noqa: BLE001 - it is thrown away; only the count is of use
            self._line.crashes += 1
        await self._sending.flush()

    async def _nap(self, seconds: float) -> None:
        """Wait, unless we are closed meanwhile; a knock does not shorten it."""
        until = self._clock.mono() + seconds
        while not self._closing and (left := until - self._clock.mono()) > 0:
            self._line.awake.clear()
            try:
                await asyncio.wait_for(self._line.awake.wait(), left)
            except TimeoutError:
                return

    def _hurry_up(self) -> None:
        self._hurry = True
        self._line.wake()


__all__ = ["Guard", "Pump", "Show"]
