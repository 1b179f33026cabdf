"""A simulated message broker: everything a real one may do to us, on a virtual clock.

`SimBrokerWorld` is the broker's machine: it keeps retained messages and durable subscribers over its own deaths, as
mosquitto with persistence does. `SimBroker` is one connection to it (implements ports.Broker). Tests and simulated
worlds set the faults; everything that was delivered is remembered per subscriber. It passes the same suite as the
real one (tests/support/broker.py).
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from supervisor.bus.inbox import takes
from supervisor.bus.link.client import QUEUE, WILL_DELAY
from supervisor.bus.link.connack import NO_SUBSCRIBER, NOT_AUTHORIZED
from supervisor.bus.messages import Message
from supervisor.errors import BrokerError
from supervisor.ports import LARGEST_RECEIVED, PLAIN, Ack, Properties, Received


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as a subscriber got it. `at` is the virtual loop's time in seconds."""

    at: float
    topic: str
    payload: bytes
    retained: bool = False
    """given at subscription, from the retained messages"""
    properties: Properties = PLAIN


@dataclass(slots=True)
class Subscriber:
    """One durable subscriber and everything it ever got, repeats included."""

    filter: str
    got: list[Delivery] = field(default_factory=list)

    def payloads(self, prefix: str = "") -> list[bytes]:
        """The payloads on topics that begin with `prefix`, in the order they came."""
        return [delivery.payload for delivery in self.got if delivery.topic.startswith(prefix)]


@dataclass(slots=True)
class SimBrokerWorld:
    """The broker itself and the faults it has now."""

    will: Message | None = None
    """the last will of every connection made here"""
    latency: float = 0.001
    """seconds from a publish to its acknowledgement"""
    up: bool = True
    refusal: BrokerError | None = None
    """what every connect is answered with"""
    ack_limit: float = 10.0
    die_unread: int = 0
    """so many of the next publishes cut the connection before the broker has them"""
    die_unacked: int = 0
    """so many of the next publishes are delivered, then the connection is cut before the acknowledgement"""
    die_acked: int = 0
    """so many of the next publishes are acknowledged, then the connection is cut"""
    denied: tuple[str, ...] = ()
    """beginnings of topics we may not publish to"""
    poison: bytes = b""
    """a payload that contains this makes the broker hang up every time"""
    codes: dict[bytes, int] = field(default_factory=dict)
    """a payload that contains the key is answered with this reason code"""
    retained: dict[str, bytes] = field(default_factory=dict)
    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    """every publish the broker took, in order"""
    connects: int = 0
    _connections: list["SimBroker"] = field(default_factory=list)
    _pending_will: asyncio.TimerHandle | None = None
    _thawed: asyncio.Event | None = None

    def __call__(self) -> "SimBroker":
        return SimBroker(self)

    def subscribe(self, name: str, pattern: str = "#") -> Subscriber:
        """A durable subscriber; it gets matching retained messages first."""
        found = self.subscribers.setdefault(name, Subscriber(pattern))
        now = asyncio.get_running_loop().time()
        for topic, payload in self.retained.items():
            if takes(pattern, topic):
                found.got.append(Delivery(now, topic, payload, retained=True))
        return found

    @property
    def frozen(self) -> bool:
        """Whether it takes nothing and answers nothing now."""
        return self._thawed is not None

    def freeze(self) -> None:
        """A stopped process: it keeps connections and answers nothing."""
        self._thawed = self._thawed or asyncio.Event()

    def thaw(self) -> None:
        """It goes on; what was sent to it meanwhile is taken first, in order."""
        if self._thawed is not None:
            self._thawed.set()
            self._thawed = None

    async def thawed(self) -> None:
        """Wait until it goes on; BrokerError when that takes longer than anyone waits for an acknowledgement."""
        while self._thawed is not None:
            try:
                await asyncio.wait_for(self._thawed.wait(), self.ack_limit)
            except TimeoutError:
                raise BrokerError("the simulated broker does not answer") from None

    def cut(self) -> None:
        """The network drops every connection; the broker lives and sends the last will when its delay is over."""
        for connection in list(self._connections):
            connection.lose("the connection was cut")
        self.will_soon()

    def will_soon(self) -> None:
        """A connection ended without a goodbye: its last will is sent after the delay, unless it comes back."""
        self._forget_will()
        if self.will is not None and self.up:
            will = self.will
            self._pending_will = asyncio.get_running_loop().call_later(WILL_DELAY, self._send_will, will)

    def kill(self) -> None:
        """The broker dies; what it has taken is on its disk."""
        self.up = False
        self._thawed = None
        self._forget_will()
        for connection in list(self._connections):
            connection.lose("the broker died")

    def start(self) -> None:
        """It is back."""
        self.up = True

    def take(self, topic: str, payload: bytes, retain: bool, properties: Properties = PLAIN) -> int:
        """A publish arrives: kept, delivered, answered with a reason code."""
        self.taken.append((topic, payload))
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)
        now, heard = asyncio.get_running_loop().time(), False
        for subscriber in self.subscribers.values():
            if takes(subscriber.filter, topic):
                subscriber.got.append(Delivery(now, topic, payload, properties=properties))
                heard = True
        for connection in self._connections:
            heard = connection.hear(Received(topic, payload[: LARGEST_RECEIVED + 1], retain, properties)) or heard
        return 0 if heard else NO_SUBSCRIBER

    def entered(self, connection: "SimBroker") -> None:
        """A connection stands: a will that waits is not sent (same client id)."""
        self.connects += 1
        self._forget_will()
        self._connections.append(connection)

    def left(self, connection: "SimBroker") -> None:
        """A connection is gone."""
        if connection in self._connections:
            self._connections.remove(connection)

    def _send_will(self, will: Message) -> None:
        self._pending_will = None
        self.take(will.topic, will.payload, will.retain)

    def _forget_will(self) -> None:
        if self._pending_will is not None:
            self._pending_will.cancel()
            self._pending_will = None


class SimBroker:
    """One connection to a simulated broker."""

    def __init__(self, world: SimBrokerWorld) -> None:
        self._world = world
        self._gone = asyncio.Event()
        self._open = False
        self._why = "there is no connection"
        self._last_ack = 0.0
        self._inlet = asyncio.Lock()
        self._patterns: dict[str, None] = {}
        self._inbox: deque[Received] = deque()
        self._came = asyncio.Event()

    async def connect(self) -> None:
        """Connect, unless the world is down, frozen or refuses."""
        world = self._world
        await world.thawed()
        await asyncio.sleep(world.latency)
        if not world.up:
            raise BrokerError("nothing listens at the simulated broker")
        if world.refusal is not None:
            raise world.refusal
        self._open = True
        world.entered(self)

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, properties: Properties = PLAIN
    ) -> Ack:
        """Publish, with whatever fault comes next."""
        self._alive()
        world = self._world
        if qos == 0 and world.frozen:
            return Ack()
        async with self._inlet:
            await self._until_thawed()
            self._alive()
            code = self._arrive(topic, payload, retain, properties)
        if qos:
            await self._answer(code)
        if world.die_acked:
            world.die_acked -= 1
            world.cut()
        return Ack(code, heard=code != NO_SUBSCRIBER) if qos else Ack()

    def _arrive(self, topic: str, payload: bytes, retain: bool, properties: Properties) -> int:
        """The broker reads it, or dies of it; its reason code."""
        world = self._world
        if world.die_unread or (world.poison and world.poison in payload):
            world.die_unread = max(0, world.die_unread - 1)
            world.cut()
            self._alive()
        code = next((code for part, code in world.codes.items() if part in payload), 0)
        if any(topic.startswith(prefix) for prefix in world.denied):
            code = NOT_AUTHORIZED
        if code < 0x80:
            code = world.take(topic, payload, retain, properties)
        if world.die_unacked:
            world.die_unacked -= 1
            world.cut()
        self._alive()
        return code

    async def subscribe(self, pattern: str, qos: int = 1) -> None:
        """Ask for messages; what is retained comes first."""
        self._alive()
        world = self._world
        await self._until_thawed()
        self._alive()
        if any(pattern.startswith(prefix) for prefix in world.denied):
            raise BrokerError("the simulated broker does not let us read that", NOT_AUTHORIZED)
        self._patterns[pattern] = None
        for topic, payload in world.retained.items():
            self.hear(Received(topic, payload, True))

    async def unsubscribe(self, pattern: str) -> None:
        """Ask for them no more."""
        self._alive()
        self._patterns.pop(pattern, None)

    def hear(self, message: Received) -> bool:
        """A message arrives at the broker; True where we had asked for it."""
        wanted = self._open and any(takes(pattern, message.topic) for pattern in self._patterns)
        if wanted and len(self._inbox) < QUEUE:
            self._inbox.append(message)
            self._came.set()
        return wanted

    async def received(self) -> Received:
        """The next message to us."""
        while not self._inbox:
            self._alive()
            self._came.clear()
            await self._came.wait()
        return self._inbox.popleft()

    async def closed(self) -> str:
        """Return when the connection is gone, with why."""
        await self._gone.wait()
        return self._why

    async def close(self) -> None:
        """Say goodbye; no will is sent."""
        self._open = False
        self._why = "closed"
        self._world.left(self)
        self._gone.set()
        self._came.set()

    async def abort(self) -> None:
        """Let go without a goodbye."""
        if self._open:
            self.lose("given up")
            self._world.will_soon()

    def lose(self, why: str) -> None:
        """The connection is gone without a goodbye."""
        self._why = why
        self._open = False
        self._world.left(self)
        self._gone.set()
        self._came.set()

    def _alive(self) -> None:
        if not self._open:
            raise BrokerError(self._why)

    async def _answer(self, code: int) -> None:
        # acknowledgements come in the order of the publishes, each `latency` after its own
        loop = asyncio.get_running_loop()
        self._last_ack = max(self._last_ack, loop.time() + self._world.latency)
        await self._wait(self._last_ack - loop.time())
        self._alive()
        await self._until_thawed()
        if code >= 0x80:
            raise BrokerError(f"the simulated broker refuses with 0x{code:02X}", code)

    async def _until_thawed(self) -> None:
        """What is sent to a stopped broker waits in its socket, unless the connection is lost meanwhile."""
        if not self._world.frozen:
            return
        gone = asyncio.ensure_future(self._gone.wait())
        thawed = asyncio.ensure_future(self._world.thawed())
        gone.add_done_callback(lambda _: thawed.cancel())
        try:
            await thawed
        except asyncio.CancelledError:
            self._alive()
            raise
        finally:
            gone.cancel()
        self._alive()

    async def _wait(self, seconds: float) -> None:
        """Time goes by, unless the connection is lost meanwhile."""
        try:
            await asyncio.wait_for(self._gone.wait(), max(seconds, 0.0) or None) if seconds > 0 else None
        except TimeoutError:
            return
