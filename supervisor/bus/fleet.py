"""Reads what all machines on a broker keep there: a short visit, for `resurgam fleet status`.

In: the broker's address. Out: a `Fleet` for views/fleet.py. It comes as a guest: a client id of its own, no last will,
no session, and it publishes nothing. It reads with QoS 0: a mosquitto with its usual limits gives a subscriber with
QoS 1 no more than some 1000 kept messages, and a large fleet has more.
"""

from supervisor.bus.link.address import Address
from supervisor.bus.link.connection import next_until
from supervisor.bus.link.mqtt import Door
from supervisor.bus.messages import BASE
from supervisor.clock import Clock
from supervisor.errors import BrokerError
from supervisor.views.fleet import Kept

WANTED = ("availability", "journal", "state/daemon", "state/alerts", "state/host")
QUIET = 0.5
"""seconds without a message after which everything was read"""
LONGEST = 8.0
"""seconds that are read at most: live messages may never let it become quiet"""
CONNECT_LIMIT = 5.0
ROOM = 100_000
"""messages that may wait for us"""
LARGEST = 16_777_216


async def visit(address: Address, clock: Clock) -> tuple[Kept, ...]:
    """Every kept message about the machines of a fleet, in the order they came; BrokerError says why not."""
    door = Door(
        address,
        f"resurgam-fleet-{clock.token(4)}",
        None,
        connect_limit=CONNECT_LIMIT,
        ack_limit=CONNECT_LIMIT,
        queue=ROOM,
        largest=LARGEST,
        kept=LARGEST,
    )
    broker = door()
    await broker.connect()
    try:
        for levels in WANTED:
            await broker.subscribe(f"{BASE}/+/{levels}", 0)
        until, found = clock.mono() + LONGEST, []
        while (message := await next_until(broker, clock, until, QUIET)) is not None:
            found.append(Kept(message.topic, message.payload, message.left))
        if broker.dropped:
            raise BrokerError(f"this broker keeps more than can be read at once ({broker.dropped} messages were lost)")
        return tuple(found)
    finally:
        await broker.close()
