"""A connection to the managed broker (implements link/connection.py): starts it where it does not run, then connects.

In: what `bus/delivery/pump.py` sends. Out: the same, to the broker. Beside it: a broker of ours that answers nobody is
replaced after a few tries, and one that listens without the containers' gateway is started again once that is there.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.bus.link.connection import Connection
from supervisor.bus.managed.process import Mosquitto
from supervisor.errors import BrokerError
from supervisor.ports import PLAIN, Ack, Properties, Received

TRIES = 3
"""connections in a row that a running broker of ours may fail"""
LOOK_AGAIN = 30.0
"""seconds between two looks for the gateway"""


@dataclass(slots=True)
class Patience:
    """What is remembered from one connection to the next."""

    failed: int = 0


class Managed:
    """One connection; a new object each time."""

    def __init__(self, mosquitto: Mosquitto, inner: Callable[[], Connection], patience: Patience) -> None:
        self._mosquitto, self._make, self._patience = mosquitto, inner, patience
        self._inner: Connection | None = None
        self._looking: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        await self._mosquitto.ensure()
        inner = self._make()
        try:
            await inner.connect()
        except BrokerError:
            self._patience.failed += 1
            if self._patience.failed >= TRIES:
                self._patience.failed = 0
                await self._mosquitto.replace()
            raise
        self._patience.failed = 0
        self._inner = inner
        if self._mosquitto.trouble:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, properties: Properties = PLAIN
    ) -> Ack:
        return await self._open().publish(topic, payload, qos, retain, expiry, properties)

    async def subscribe(self, pattern: str, qos: int = 1) -> None:
        await self._open().subscribe(pattern, qos)

    async def unsubscribe(self, pattern: str) -> None:
        await self._open().unsubscribe(pattern)

    async def received(self) -> Received:
        return await self._open().received()

    async def closed(self) -> str:
        return await self._inner.closed() if self._inner is not None else ""

    async def close(self) -> None:
        inner = self._let_go()
        if inner is not None:
            await inner.close()

    async def abort(self) -> None:
        inner = self._let_go()
        if inner is not None:
            await inner.abort()

    def _open(self) -> Connection:
        if self._inner is None:
            raise BrokerError("there is no connection to the broker")
        return self._inner

    def _let_go(self) -> Connection | None:
        inner, self._inner = self._inner, None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        return inner

    async def _look(self) -> None:
        """Start the broker again, with the gateway, once it can be listened at. What was published is kept, and the
        pump connects anew."""
        while not await self._mosquitto.could_listen_for_containers():  # noqa: ASYNC110 - nothing tells of a network
            await asyncio.sleep(LOOK_AGAIN)
        await self._mosquitto.close()
