"""What comes to us over the bus, handed to those who asked for it.

In: the messages of one connection after another. Out: each to the first listener whose patterns take its topic, one
after the other per listener, so that a slow one holds up nobody else. Used by `bus/delivery/pump.py`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from supervisor.bus.link.connection import Connection
from supervisor.errors import BrokerError
from supervisor.ports import Received

WAITING = 64
"""messages that may wait for one listener; what comes then is dropped and counted"""
LOUD = 200
"""messages within a second on one of our subscriptions; with more it is given up for a while. Acknowledgements of what
we publish come on the same connection, behind all that is sent to us: who may write anywhere could keep every alert
from getting through"""
LEFT_ALONE = 60.0
"""seconds until it is listened to again"""
AGAIN = 5.0
"""seconds until a subscription that got no answer is tried again"""


class Listener(Protocol):
    """Somebody who wants messages: commands, Home Assistant's birth, the watch for a twin."""

    @property
    def patterns(self) -> Sequence[str]:
        """The topics to ask the broker for."""

    def refused(self, pattern: str, why: str) -> None:
        """The broker does not let us read that; '' means it does (again)."""

    async def heard(self, broker: Connection, message: Received) -> None:
        """One message."""


@dataclass(slots=True)
class _Desk:
    listener: Listener
    queue: "asyncio.Queue[Received]"


class Inbox:
    """Subscribes for all listeners, and serves them while the connection lasts."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._patterns = tuple(pattern for listener in self._listeners for pattern in listener.patterns)
        self._early: tuple[Received, ...] = ()
        self._asked: dict[str, None] = {}
        """the patterns that this connection is subscribed to, or was refused"""
        self._counts: dict[str, int] = {}
        self._since = 0.0
        self._loud: dict[str, float] = {}
        """pattern -> when (the loop's time) it is listened to again"""
        self._stirred = asyncio.Event()
        self.dropped = 0
        """messages that came while too many waited, or on what is left alone"""
        self.crashes = 0
        """errors that no one had foreseen, at the edge of a listener"""

    @property
    def trouble(self) -> str:
        """Where nobody is heard now, for a person; '' where everybody is."""
        if not self._loud:
            return ""
        return (
            f"More than {LOUD} messages a second came on {', '.join(self._loud)}, so nothing is heard there for a "
            "minute; find out who sends them."
        )

    def put_back(self, messages: Sequence[Received]) -> None:
        """What came before anybody was served (on a session that goes on), to be handed out first."""
        self._early = tuple(messages)

    async def subscribe(self, broker: Connection) -> bool:
        """Ask for everything; False where nobody listens. BrokerError where the connection is lost."""
        self._asked.clear()
        await self._settle(broker)
        return bool(self._listeners)

    async def _settle(self, broker: Connection) -> None:
        """Be subscribed to what is wanted now. What another pattern takes in is asked for where that one is left
        alone: a broker may send a message once for each subscription that takes it."""
        owners = {pattern: listener for listener in self._listeners for pattern in listener.patterns}
        open_ones = [pattern for pattern in owners if pattern not in self._loud]
        wanted = [
            pattern
            for pattern in open_ones
            if not any(other != pattern and takes(other, pattern) for other in open_ones)
        ]
        for pattern in [known for known in self._asked if known not in wanted]:
            del self._asked[pattern]
            await broker.unsubscribe(pattern)
        for pattern in [fresh for fresh in wanted if fresh not in self._asked]:
            self._asked[pattern] = None
            try:
                await broker.subscribe(pattern)
            except BrokerError as err:
                if not err.answered:
                    del self._asked[pattern]
                    raise
                owners[pattern].refused(pattern, str(err))
            else:
                owners[pattern].refused(pattern, "")

    async def serve(self, broker: Connection) -> None:
        """Hand out what comes until the connection is gone."""
        desks = [_Desk(listener, asyncio.Queue(WAITING)) for listener in self._listeners]
        tasks = [asyncio.create_task(self._work(broker, desk)) for desk in desks]
        tasks.append(asyncio.create_task(self._mind(broker)))
        try:
            early, self._early = self._early, ()
            for message in early:
                self._hand_out(desks, message)
            while True:
                self._hand_out(desks, await broker.received())
        except BrokerError:
            return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hand_out(self, desks: Sequence[_Desk], message: Received) -> None:
        self._count(message.topic)
        for desk in desks:
            if any(takes(pattern, message.topic) for pattern in desk.listener.patterns):
                quiet = [pattern for pattern in self._asked if pattern not in self._loud]
                if desk.queue.full() or not any(takes(pattern, message.topic) for pattern in quiet):
                    self.dropped += 1
                else:
                    desk.queue.put_nowait(message)
                return

    def _count(self, topic: str) -> None:
        """Leave alone on what too much comes: also what would be asked for in the place of that."""
        now = asyncio.get_running_loop().time()
        if now - self._since >= 1.0:
            self._since = now
            self._counts.clear()
        for pattern in self._patterns:
            if pattern not in self._loud and takes(pattern, topic):
                self._counts[pattern] = self._counts.get(pattern, 0) + 1
                if self._counts[pattern] > LOUD:
                    self._loud[pattern] = now + LEFT_ALONE
                    self._stirred.set()

    async def _mind(self, broker: Connection) -> None:
        """Give subscriptions up, and take them up again."""
        loop = asyncio.get_running_loop()
        while True:
            soonest = min(self._loud.values(), default=None)
            try:
                await asyncio.wait_for(self._stirred.wait(), None if soonest is None else soonest - loop.time())
            except TimeoutError:
                now = loop.time()
                self._loud = {pattern: until for pattern, until in self._loud.items() if until > now}
            self._stirred.clear()
            try:
                await self._settle(broker)
            except BrokerError:  # the connection is gone, and so are we; or the answer is behind all that was sent
                self._stirred.set()
                await asyncio.sleep(AGAIN)

    async def _work(self, broker: Connection, desk: _Desk) -> None:
        while True:
            message = await desk.queue.get()
            try:
                await desk.listener.heard(broker, message)
            except Exception:  # noqa: BLE001 - the edge of this loop: counted, and the next one is served
                self.crashes += 1


def takes(pattern: str, topic: str) -> bool:
    """Whether an MQTT filter takes a topic (`+` one level, `#` the rest)."""
    wanted, given = pattern.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(given) or level not in ("+", given[place]):
            return False
    return len(wanted) == len(given)
