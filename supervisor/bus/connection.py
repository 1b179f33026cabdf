"""What the pump needs of a connection beyond ports.Broker: a way to let go without a goodbye.

Implemented by `bus/mqtt.py`, `bus/managed` (Managed) and `lab/broker.py`; used by `bus/pump.py`.
"""

from typing import Protocol

from supervisor.ports import Broker


class Connection(Broker, Protocol):
    """One connection to a broker that can end in two ways: `close` (all was said) and `abort`."""

    async def abort(self) -> None:
        """Let go at once and without a goodbye, so that the broker sends our last will if we do not come back."""
