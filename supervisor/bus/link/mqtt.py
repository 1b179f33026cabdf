"""One connection to an MQTT broker (implements ports.Broker) with aiomqtt, by seven rules that each come from a fault.

1 a new client object for every connection, with a fixed client id and keepalive 15: an old one resends what failed
2 a publish is raced against the disconnect: aiomqtt alone waits out its timeout
3 the reason code of every acknowledgement is kept: aiomqtt drops it, and `not authorized` looks like success
4 at most 20 unacknowledged (fewer if the broker says so): paho never gets to queue anything
5 bounded queues both ways
6 the warning about pending calls is out of the way
7 MQTT 5 first, then 3.1.1, remembered; a silent hang-up counts as a refusal, since some brokers refuse that way

In: messages from `bus/delivery/pump.py`. Out: acknowledgements, and the messages to us. The password is read
from its file at every connect.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from dataclasses import dataclass

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from supervisor.bus.link.address import Address
from supervisor.bus.link.client import IN_FLIGHT, LARGEST_PACKET, QUEUE, Client, properties_for
from supervisor.bus.link.connack import NO_SUBSCRIBER, TOO_LARGE, Refusal, explain, refusal_of
from supervisor.bus.link.tls import context
from supervisor.bus.messages import Message
from supervisor.config.files import read_secret
from supervisor.errors import BrokerError, ConfigError
from supervisor.ports import LARGEST_RECEIVED, PLAIN, Ack, Received
from supervisor.ports import Properties as Beside

CONNECT_LIMIT = 10.0
ACK_LIMIT = 10.0
CLOSE_LIMIT = 0.4
SILENT_LIMIT = 2
"""silent hang-ups in a row (with 3.1.1 then accepted) before 3.1.1 is tried first: one may be a restarting broker"""


@dataclass(slots=True)
class Door:
    """The way to one broker: makes a fresh connection each time, and remembers which protocol it speaks."""

    address: Address
    client_id: str
    will: Message | None
    """None: nothing is said for us when we are lost"""
    ack_limit: float = ACK_LIMIT
    connect_limit: float = CONNECT_LIMIT
    queue: int = QUEUE
    """messages to us that may wait"""
    largest: int = LARGEST_PACKET
    """bytes of a message to us (MQTT 5)"""
    kept: int = LARGEST_RECEIVED + 1
    """bytes of its payload that are handed on"""
    old: bool = False
    """the broker speaks 3.1.1 only"""
    silent: int = 0

    def __call__(self) -> "MqttBroker":
        return MqttBroker(self)

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, made anew each time: certificates are renewed under us. BrokerError if a file cannot be
        used. Blocking, so called on a thread."""
        return context(self.address) if self.address.transport == "tls" else None

    def secret(self) -> str | None:
        """The password, None where there is none; ConfigError if the file cannot be used."""
        return read_secret(self.address.password_file) if self.address.password_file else None


class MqttBroker:
    """One connection: `connect` once, `publish` many times, `close` once."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._client: Client | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._why = ""
        self._acks: dict[int, asyncio.Future[int]] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._five = True
        self._largest = 0
        self._inbox: deque[Received] = deque()
        self._came = asyncio.Event()
        self.dropped = 0
        """messages to us that nobody had room for"""

    async def connect(self) -> None:
        """Connect with MQTT 5, else 3.1.1. BrokerError says in a sentence what is wrong and what to do."""
        door = self._door
        try:
            secret, tls = await asyncio.get_running_loop().run_in_executor(None, lambda: (door.secret(), door.tls()))
        except ConfigError as err:
            raise BrokerError(f"the broker's password cannot be used: {err}") from None
        if door.old:
            await self._attempt(False, secret, tls)
            return
        try:
            await self._attempt(True, secret, tls)
            door.silent = 0
        except _Old as err:
            try:
                await self._attempt(False, secret, tls)
            except _Old:
                raise BrokerError(str(err)) from None
            door.silent += 1
            door.old = err.said or door.silent >= SILENT_LIMIT

    @property
    def five(self) -> bool:
        """Whether this connection speaks MQTT 5."""
        return self._five

    @property
    def largest(self) -> int:
        """Bytes of a message that the broker takes; 0 where it does not tell."""
        return self._largest

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, properties: Beside = PLAIN
    ) -> Ack:
        """Publish; with QoS 1 wait for the acknowledgement. BrokerError if refused, lost or late."""
        if self._client is None or self._lost.done():
            raise BrokerError(self._why or "there is no connection to the broker")
        if self._largest and len(topic) + len(payload) + 100 > self._largest:
            raise BrokerError(f"this message is larger than the {self._largest} bytes the broker takes", TOO_LARGE)
        if qos == 0:
            self._hand(topic, payload, 0, retain, expiry, properties)
            return Ack()
        async with self._slots:
            if self._lost.done():
                raise BrokerError(self._why)
            mid = self._hand(topic, payload, qos, retain, expiry, properties)
            waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._acks[mid] = waiter
            try:
                code = await asyncio.wait_for(waiter, self._door.ack_limit)
            except TimeoutError:
                late = f"{self._door.address} did not acknowledge a message within {self._door.ack_limit:.0f}s"
                self._lose(late)
                raise BrokerError(late) from None
            finally:
                self._acks.pop(mid, None)
        if code >= 0x80:
            raise BrokerError(f"the broker refused {topic}: {explain(code)}", code)
        return Ack(code, heard=code != NO_SUBSCRIBER)

    async def subscribe(self, pattern: str, qos: int = 1) -> None:
        """Ask for messages. BrokerError if refused or lost."""
        if self._client is None or self._lost.done():
            raise BrokerError(self._why or "there is no connection to the broker")
        try:
            code = await self._client.ask_for(pattern, qos, self._door.ack_limit)
        except aiomqtt.MqttError as err:
            raise BrokerError(f"{self._door.address} did not answer our subscription: {err}") from None
        if code >= 0x80:
            raise BrokerError(f"the broker does not let us read {pattern}: {explain(code)}", code)

    async def unsubscribe(self, pattern: str) -> None:
        """Ask for these messages no more; BrokerError where the connection is lost. The answer is not awaited: it comes
        after all that is on its way, and we may be asking because that is too much."""
        if self._client is None or self._lost.done():
            raise BrokerError(self._why or "there is no connection to the broker")
        self._client.paho.unsubscribe(pattern)

    async def received(self) -> Received:
        """The next message to us. BrokerError when the connection is gone and nothing waits."""
        while not self._inbox:
            if self._lost.done():
                raise BrokerError(self._why)
            self._came.clear()
            await self._came.wait()
        return self._inbox.popleft()

    async def closed(self) -> str:
        """Return when the connection is gone, with why."""
        await asyncio.shield(self._lost)
        return self._why

    async def close(self) -> None:
        """Say goodbye if there is still someone to say it to; else only let go of the socket."""
        client, self._client = self._client, None
        if client is None:
            return
        if not self._lost.done():
            with contextlib.suppress(TimeoutError, aiomqtt.MqttError):
                await asyncio.wait_for(client.__aexit__(None, None, None), CLOSE_LIMIT)
        client.abort()
        self._lose("closed")

    async def abort(self) -> None:
        """Let go without a goodbye."""
        client, self._client = self._client, None
        if client is not None:
            client.abort()
            self._lose("given up")

    async def _attempt(self, five: bool, secret: str | None, tls: ssl.SSLContext | None) -> None:
        address = self._door.address
        if address.transport == "unix":
            _knock_on(address.host)
        client = Client(
            address,
            self._door.client_id,
            self._door.will,
            five=five,
            secret=secret,
            tls=tls,
            limit=self._door.connect_limit,
            queue=self._door.queue,
            largest=self._door.largest,
            kept=self._door.kept,
            told=self._acknowledged,
            heard=self._heard,
        )
        try:
            await client.__aenter__()
        except aiomqtt.MqttError as err:
            client.abort()
            refusal = refusal_of(err, client.hung_up, five, address, client.tls_alert)
            if refusal.old_protocol:
                raise _Old(refusal) from None
            raise BrokerError(refusal.text, refusal.code) from None
        except asyncio.CancelledError:
            client.abort()
            raise
        self._client, self._five = client, five
        self._slots = asyncio.Semaphore(min(IN_FLIGHT, client.limit("ReceiveMaximum") or IN_FLIGHT))
        self._largest = client.limit("MaximumPacketSize")
        client.on_lost(self._lose)

    def _hand(self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, beside: Beside) -> int:
        assert self._client is not None
        info = self._client.paho.publish(topic, payload, qos, retain, self._properties(topic, payload, expiry, beside))
        if info.rc != 0:
            raise BrokerError(self._why or f"the connection to {self._door.address} was lost")
        return int(info.mid)

    def _properties(self, topic: str, payload: bytes, expiry: float, beside: Beside) -> Properties | None:
        if not self._five:
            return None
        properties = properties_for(PacketTypes.PUBLISH)
        if payload:
            properties.PayloadFormatIndicator = 1
            if payload[:1] in b"{[":
                event = topic.split("/")[2:3] == ["event"]
                properties.ContentType = "application/cloudevents+json" if event else "application/json"
        if expiry > 0:
            properties.MessageExpiryInterval = int(expiry)
        if beside.user:
            properties.UserProperty = list(beside.user)
        if beside.response:
            properties.ResponseTopic = beside.response
        if beside.correlation:
            properties.CorrelationData = beside.correlation
        return properties

    def _heard(self, message: Received) -> None:
        if len(self._inbox) >= self._door.queue:
            self.dropped += 1
            return
        self._inbox.append(message)
        self._came.set()

    def _acknowledged(self, mid: int, code: int) -> None:
        waiter = self._acks.pop(mid, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(code)

    def _lose(self, why: str) -> None:
        """The connection is gone, or given up: everyone who waits is told at once."""
        if self._lost.done():
            return
        self._why = why
        self._lost.set_result(None)
        self._came.set()
        for waiter in self._acks.values():
            if not waiter.done():
                waiter.set_exception(BrokerError(why))


class _Old(Exception):
    """The broker does not speak MQTT 5. `said`: it said so; else it hung up."""

    def __init__(self, refusal: Refusal) -> None:
        self.said = refusal.code != 0
        super().__init__(refusal.text)


def _knock_on(path: str) -> None:
    """Refuse at once where a blocking connect to a unix socket would hang a thread (a stopped broker's full queue),
    or where the reason can be told better."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)
    try:
        probe.connect(path)
    except BlockingIOError:
        raise BrokerError(f"the broker at unix://{path} does not take connections; it may be stopped") from None
    except OSError as err:
        raise BrokerError(f"no broker at unix://{path} ({err.strerror or err}); is it running?") from None
    finally:
        probe.close()
