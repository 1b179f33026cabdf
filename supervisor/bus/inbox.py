"""What comes to us over the bus, handed to those who asked for it.

In: the messages of one connection after another. Out: each to the first listener whose patterns take its topic, one
after the other per listener, so that a slow one holds up nobody else. Used by `bus/pump.py`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from supervisor.bus.connection import Connection
from supervisor.errors import BrokerError
from supervisor.ports import Received

WAITING = 64
"""messages that may wait for one listener; what comes then is dropped and counted"""


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
        self._early: tuple[Received, ...] = ()
        self.dropped = 0
        """messages that came while too many waited"""
        self.crashes = 0
        """errors that no one had foreseen, at the edge of a listener"""

    def put_back(self, messages: Sequence[Received]) -> None:
        """What came before anybody was served (on a session that goes on), to be handed out first."""
        self._early = tuple(messages)

    async def subscribe(self, broker: Connection) -> bool:
        """Ask for everything; False where nobody listens. BrokerError where the connection is lost."""
        everything = [pattern for listener in self._listeners for pattern in listener.patterns]
        for listener in self._listeners:
            for pattern in listener.patterns:
                if any(other != pattern and takes(other, pattern) for other in everything):
                    continue  # a broker may send a message once for each subscription that takes it
                try:
                    await broker.subscribe(pattern)
                except BrokerError as err:
                    if err.code < 0x80:
                        raise
                    listener.refused(pattern, str(err))
                else:
                    listener.refused(pattern, "")
        return bool(self._listeners)

    async def serve(self, broker: Connection) -> None:
        """Hand out what comes until the connection is gone."""
        desks = [_Desk(listener, asyncio.Queue(WAITING)) for listener in self._listeners]
        tasks = [asyncio.create_task(self._work(broker, desk)) for desk in desks]
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
        for desk in desks:
            if any(takes(pattern, message.topic) for pattern in desk.listener.patterns):
                if desk.queue.full():
                    self.dropped += 1
                else:
                    desk.queue.put_nowait(message)
                return

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
