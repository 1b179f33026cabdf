"""Looks at a broker as the daemon would use it, and as somebody who should not be able to do anything.

In: the broker's address and what is known of our own house. Out: a `Seen` for judging.py. What is published to find
out what may be published has no payload and is not kept, so nobody obeys it and nobody stores it: below `cmd` and
`reply` under the name `doctor`, below `state/container` under a name that no service can have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from supervisor.bus.inbox import takes
from supervisor.bus.link.address import Address
from supervisor.bus.link.connection import next_until
from supervisor.bus.link.mqtt import Door, MqttBroker
from supervisor.bus.managed.configuration import READER
from supervisor.bus.messages import BASE, topic
from supervisor.clock import Clock
from supervisor.errors import BrokerError

QUIET = 0.4
"""seconds without another kept message after which all were seen"""
LONGEST = 5.0
"""seconds in which kept messages are read"""
ROOM = 50_000
"""messages that may wait; a broker with more is large enough to have people of its own"""
LARGEST = 16_777_216
CONNECT_LIMIT = 5.0
CANARY = "~doctor"
"""a level that no service has: `~` is always followed by two hex digits"""
SYS = {"version": "$SYS/broker/version", "retained": "$SYS/broker/retained messages/count"}


@dataclass(frozen=True, slots=True)
class House:
    """What is known on our side."""

    host: str
    node: str = ""
    """who we are (identity.py); '' where it is not known"""
    commands: bool = False
    """somebody may command over the bus"""
    services: tuple[str, ...] | None = None
    """the ids of the services there are; None where no daemon answers"""
    connected: bool | None = None
    """whether the daemon is connected; None where no daemon answers"""
    text: str = ""
    """what the daemon says of its connection"""
    prefix: str = "homeassistant"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found. `trouble`: why we could not even connect, '' if we could."""

    address: Address
    house: House
    trouble: str = ""
    configuration: str | None = None
    """the managed broker's; None for an external one"""
    five: bool = True
    largest: int = 0
    kept: Mapping[str, bytes] = field(default_factory=dict)
    """kept messages below `resurgam/`, by topic, cut"""
    discovery: tuple[str, ...] = ()
    """topics of Home Assistant's discovery on which something is kept"""
    said: Mapping[str, str] = field(default_factory=dict)
    """what the broker tells of itself, by the keys of SYS"""
    unwritable: Mapping[str, str] = field(default_factory=dict)
    """what of ours we may not write -> why"""
    unreadable: str = ""
    """why we may not read our own topics"""
    anonymous: str = ""
    """refused | connects | commands | forges | '' (was not tried)"""
    reader: Mapping[str, bool] | None = None
    """what the managed broker's `listener` could do: `write state`, `write event`, `write cmd`, `read reply`,
    `read state`; None where it was not tried"""


async def look(address: Address, house: House, clock: Clock, configuration: str | None = None, port: int = 0) -> Seen:
    """Everything that can be seen; never raises BrokerError. `port`: the managed broker's loopback port."""
    eyes = _Eyes(address, house, clock)
    try:
        await eyes.open()
    except BrokerError as err:
        return Seen(address, house, str(err), configuration)
    try:
        seen = await eyes.see(Seen(address, house, configuration=configuration, five=eyes.five, largest=eyes.largest))
        if configuration is not None:
            stranger = Address("tcp", "127.0.0.1", port)
            own = replace(stranger, username=READER, password_file=_beside(address.password_file))
            return replace(seen, anonymous=await eyes.tried(stranger), reader=await eyes.tried_as_reader(own))
        if address.transport == "unix":
            return seen
        bare = replace(address, username="", password_file="", cert_file="", key_file="")
        return replace(seen, anonymous=await eyes.tried(bare))
    except BrokerError as err:
        return Seen(address, house, f"the connection was lost while we looked: {err}", configuration)
    finally:
        await eyes.close()


async def look_at_kept(address: Address, house: House, clock: Clock) -> Seen:
    """Only what is kept, and what we may do. BrokerError where the broker cannot be reached."""
    eyes = _Eyes(address, house, clock)
    await eyes.open()
    try:
        return await eyes.see(Seen(address, house, five=eyes.five, largest=eyes.largest))
    finally:
        await eyes.close()


class _Eyes:
    """Our own connection, and others beside it."""

    def __init__(self, address: Address, house: House, clock: Clock) -> None:
        self._address, self._clock, self._token = address, clock, clock.token(4)
        self._house, host = house, house.host
        self._state = topic(host, "state", "container", service=CANARY)
        self._event = topic(host, "event") + "/doctor"
        self._command, self._reply = topic(host, "cmd", "doctor", "canary"), topic(host, "reply", "doctor", "canary")
        self._broker: MqttBroker
        self._overhears = False

    async def open(self) -> None:
        self._broker = await self._connect(self._address, "")

    @property
    def five(self) -> bool:
        return self._broker.five

    @property
    def largest(self) -> int:
        return self._broker.largest

    async def see(self, seen: Seen) -> Seen:
        """What our own user sees and may do."""
        try:
            await self._broker.subscribe(f"{BASE}/#", 0)
            unreadable, self._overhears = "", True
        except BrokerError as err:
            if not err.answered:
                raise
            unreadable = str(err)
        for pattern in (*SYS.values(), f"{self._house.prefix}/#"):
            await self._maybe_subscribe(pattern)
        kept = await self._kept()
        said = {key: kept[where].decode("utf-8", "replace") for key, where in SYS.items() if where in kept}
        ours = {where: payload for where, payload in kept.items() if takes(f"{BASE}/#", where)}
        discovery = tuple(where for where in kept if takes(f"{self._house.prefix}/#", where))
        unwritable = await self._unwritable()
        seen = replace(seen, kept=ours, discovery=discovery, said=said)
        return replace(seen, unreadable=unreadable, unwritable=unwritable)

    async def tried(self, stranger: Address) -> str:
        """How far somebody without an account comes."""
        try:
            other = await self._connect(stranger, "-stranger")
        except BrokerError:
            return "refused"
        try:
            if await self._may_write(other, self._command):
                return "commands"
            return "forges" if await self._may_write(other, self._state) else "connects"
        except BrokerError:
            return "connects"
        finally:
            await other.close()

    async def tried_as_reader(self, account: Address) -> Mapping[str, bool] | None:
        """What the account that only reads can do."""
        try:
            other = await self._connect(account, "-reader")
        except BrokerError:
            return None
        try:
            found = {
                "write state": await self._may_write(other, self._state),
                "write event": await self._may_write(other, self._event),
                "write cmd": await self._may_write(other, self._command),
            }
            await other.subscribe(topic(self._house.host) + "/#", 0)
            for where in (self._reply, self._state):
                await self._broker.publish(where, b"", 1, False, 1.0)
            heard = await _heard(other, self._clock, (self._reply, self._state))
            return found | {"read reply": self._reply in heard, "read state": self._state in heard}
        except BrokerError:
            return None
        finally:
            await other.close()

    async def close(self) -> None:
        await self._broker.close()

    async def _connect(self, address: Address, suffix: str) -> MqttBroker:
        door = Door(
            address,
            f"resurgam-doctor-{self._token}{suffix}",
            None,
            ack_limit=CONNECT_LIMIT,
            connect_limit=CONNECT_LIMIT,
            queue=ROOM,
            largest=LARGEST,
        )
        broker = door()
        await broker.connect()
        return broker

    async def _maybe_subscribe(self, pattern: str) -> None:
        try:
            await self._broker.subscribe(pattern, 0)
        except BrokerError as err:
            if not err.answered:
                raise

    async def _kept(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        until = self._clock.mono() + LONGEST
        while (message := await next_until(self._broker, self._clock, until, QUIET)) is not None:
            if message.retained and message.payload:
                found[message.topic] = message.payload
            elif message.retained:
                found.pop(message.topic, None)
        return dict(sorted(found.items()))

    async def _unwritable(self) -> dict[str, str]:
        found = {}
        for name, where in (("state", self._state), ("reply", self._reply)):
            try:
                await self._broker.publish(where, b"", 1, False, 1.0)
            except BrokerError as err:
                if not err.answered:
                    raise
                found[name] = str(err)
        return found

    async def _may_write(self, other: MqttBroker, where: str) -> bool:
        """Whether a message of another client on a topic of ours arrives; where we cannot hear it, whether it was
        acknowledged (which with 3.1.1 says little)."""
        if self._overhears:
            await _heard(self._broker, self._clock, ())
        try:
            await other.publish(where, b"", 1, False, 1.0)
        except BrokerError as err:
            if not err.answered:
                raise
            return False
        return where in await _heard(self._broker, self._clock, (where,)) if self._overhears else True


async def _heard(broker: MqttBroker, clock: Clock, wanted: tuple[str, ...]) -> set[str]:
    """Which of these topics something came on: until all did, or nothing more comes. Without any, what waits is
    read."""
    found: set[str] = set()
    until = clock.mono() + LONGEST
    while not (wanted and found.issuperset(wanted)):
        message = await next_until(broker, clock, until, QUIET if wanted else 0.01)
        if message is None:
            break
        if message.topic in wanted:
            found.add(message.topic)
    return found


def _beside(password_file: str) -> str:
    """The password file of the user that only reads, in the folder of ours."""
    return password_file.rpartition("/")[0] + f"/{READER}.password"
