"""What the pump needs of a connection beyond ports.Broker: a way to let go without a goodbye; and reading with an end.

Implemented by `mqtt.py`, `bus/managed` (Managed) and `lab/broker.py`; used by `bus/delivery/pump.py`.
"""

import asyncio
from typing import Protocol

from supervisor.clock import Clock
from supervisor.ports import Broker, Received


class Connection(Broker, Protocol):
    """One connection to a broker that can end in two ways: `close` (all was said) and `abort`."""

    async def abort(self) -> None:
        """Let go at once and without a goodbye, so that the broker sends our last will if we do not come back."""


async def next_until(broker: Broker, clock: Clock, until: float, quiet: float) -> Received | None:
    """The next message; None where none comes within `quiet` seconds, or before `until` (monotonic). BrokerError where
    the connection is lost."""
    left = min(quiet, until - clock.mono())
    if left <= 0:
        return None
    try:
        return await asyncio.wait_for(broker.received(), left)
    except TimeoutError:
        return None
