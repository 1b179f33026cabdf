"""The line to the broker as its users share it: whether it holds, and the bell that wakes the pump.

Set by the parts that send (`sending.py`, `posting.py`) when something goes wrong; read by `pump.py`, which
throws the connection away and begins again.
"""

import asyncio

from supervisor.bus.link.connack import BAD_PAYLOAD, NOT_AUTHORIZED, TOO_LARGE, TOPIC_INVALID
from supervisor.errors import BrokerError
from supervisor.units import plain

DEAD_CODES = (NOT_AUTHORIZED, TOPIC_INVALID, TOO_LARGE, BAD_PAYLOAD)
"""answers that a repeat would only get again: the message goes to the dead letters and the rest goes on"""


class Line:
    """One after another, many connections; `broken` is about the present one."""

    def __init__(self) -> None:
        self.awake = asyncio.Event()
        self.broken: BrokerError | None = None
        self.crashes = 0
        """errors that no one had foreseen, at the edge of a loop or of one send"""

    def wake(self) -> None:
        """There is something to do."""
        self.awake.set()

    def check(self) -> None:
        """Raise what broke the connection, if anything did."""
        if self.broken is not None:
            raise self.broken

    def breaks(self, err: BrokerError) -> None:
        """The connection is of no use any more; the first reason counts."""
        self.broken = self.broken or err
        self.awake.set()

    def tripped(self, err: Exception) -> None:
        """An error that no one had foreseen ends the connection."""
        self.crashes += 1
        self.breaks(BrokerError(plain(f"publishing tripped over {type(err).__name__}: {err}", 300)))
