"""aiomqtt with what it drops: reason codes, the broker's limits, a hang-up before the answer.

Used by `mqtt.py` alone; everything that reaches into aiomqtt's or paho's private parts is in this file, so that
a new version of them is one file's work.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from supervisor.bus.link.address import Address
from supervisor.bus.link.connack import TAKEN_OVER, explain
from supervisor.bus.messages import Message
from supervisor.ports import LARGEST_RECEIVED, PLAIN, Received
from supervisor.ports import Properties as Beside

KEEPALIVE = 15
IN_FLIGHT = 20
QUEUE = 64
LARGEST_PACKET = 65_536
"""bytes (MQTT 5): what is larger the broker keeps to itself"""
WILL_DELAY = 10
"""seconds (MQTT 5): a restart of ours shows nobody an `offline`"""
SESSION = 60
"""seconds the broker keeps our session (MQTT 5); it must outlast the will's delay"""


_QUIET = logging.getLogger("resurgam.mqtt")
_QUIET.setLevel(logging.CRITICAL)
# What paho has to say about a lost socket ends in our own sentences; twice would be noise on the journal.


def properties_for(packet: int) -> Properties:
    """Empty MQTT 5 properties for a kind of packet."""
    return Properties(packet)  # type: ignore[no-untyped-call]


class Client(aiomqtt.Client):
    """One client object for one connection."""

    def __init__(
        self,
        address: Address,
        client_id: str,
        will: Message | None,
        *,
        five: bool,
        secret: str | None,
        tls: ssl.SSLContext | None,
        limit: float,
        queue: int = QUEUE,
        largest: int = LARGEST_PACKET,
        kept: int = LARGEST_RECEIVED + 1,
        told: Callable[[int, int], None],
        heard: Callable[[Received], None],
    ) -> None:
        """`five`: speak MQTT 5; `limit`: seconds to connect; `queue` and `largest`: messages to us that may wait, and
        their bytes, of which `kept` are handed on; `told(mid, reason code)` hears every acknowledgement, `heard` every
        message to us."""
        self.hung_up, self._five = False, five
        self._opening = True
        self._told, self._heard, self._kept = told, heard, kept
        self._limits: Any = None
        self._thread = threading.get_ident()
        session = properties_for(PacketTypes.CONNECT)
        session.SessionExpiryInterval = SESSION if will is not None else 0  # a visitor leaves nothing behind
        session.MaximumPacketSize = largest
        delay = properties_for(PacketTypes.WILLMESSAGE)
        delay.WillDelayInterval = WILL_DELAY
        delay.PayloadFormatIndicator = 1
        last = None
        if will is not None:
            last = aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, delay if five else None)
        super().__init__(
            address.host,
            address.port or 1883,
            username=address.username or None,
            password=secret,
            logger=_QUIET,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
            will=last,
            clean_session=None if five else True,
            clean_start=False if five else MQTT_CLEAN_START_FIRST_ONLY,
            properties=session if five else None,
            transport="unix" if address.transport == "unix" else "tcp",
            timeout=limit,
            keepalive=KEEPALIVE,
            max_queued_incoming_messages=queue,
            max_queued_outgoing_messages=QUEUE,
            max_inflight_messages=IN_FLIGHT,
            tls_context=tls,
            # Without it the second of two messages waits up to 40 ms for the first one's TCP acknowledgement.
            socket_options=() if address.transport == "unix" else ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )
        self.pending_calls_threshold = QUEUE
        self.paho = self._client
        self.tls_alert = ""
        """what the broker's TLS said when it hung up, in OpenSSL's words"""
        self._receive: Any = self.paho._sock_recv
        self.paho._sock_recv = self._recv  # type: ignore[method-assign]

    async def __aenter__(self) -> "Client":
        try:
            return await super().__aenter__()
        finally:
            self._opening = False

    def _recv(self, bufsize: int) -> bytes:
        # With TLS 1.3 a broker that wants a certificate says so only after the handshake, and paho drops it.
        try:
            data: bytes = self._receive(bufsize)
        except ssl.SSLError as err:
            self.tls_alert = err.reason or ""
            raise
        return data

    def limit(self, name: str) -> int:
        """A number from the broker's CONNACK (MQTT 5); 0 if it set none."""
        return int(getattr(self._limits, name, 0) or 0)

    def on_lost(self, lose: Callable[[str], None]) -> None:
        """Call `lose(why)` once when this connection ends in whatever way."""

        def ended(future: "asyncio.Future[None]") -> None:
            err = None if future.cancelled() else future.exception()
            code = getattr(err, "rc", 0)
            if TAKEN_OVER in (code, getattr(code, "value", 0)):
                lose(explain(TAKEN_OVER))
            else:
                lose(f"the connection to the broker was lost ({err})" if err else "the broker closed the connection")

        self._disconnected.add_done_callback(ended)

    def abort(self) -> None:
        """Let go of the socket without a goodbye."""
        found: Any = self.paho.socket()
        if found is not None:
            with contextlib.suppress(OSError, AttributeError):
                found.shutdown(socket.SHUT_RDWR)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self._limits = properties
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if self._opening and not self._connected.done():
            self.hung_up = True
            self._connected.set_exception(aiomqtt.MqttError("closed before it answered"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        self._told(mid, int(getattr(reason_code, "value", 0)))
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        # aiomqtt would make an object of its own and log a line where its queue is full; what we keep is bounded
        with contextlib.suppress(UnicodeDecodeError):
            payload = bytes(message.payload[: self._kept])
            found = getattr(message, "properties", None)
            left = float(getattr(found, "MessageExpiryInterval", 0) or 0)
            self._heard(Received(message.topic, payload, bool(message.retain), _beside(found), left))

    async def ask_for(self, pattern: str, qos: int, limit: float) -> int:
        """Subscribe; the broker's reason code. With MQTT 5 the retain flag stays as it was sent."""
        five = self._five
        options = SubscribeOptions(qos=qos, retainAsPublished=True) if five else None
        codes: Any = await self.subscribe(pattern, 0 if five else qos, options, timeout=limit)
        return int(getattr(codes[0], "value", codes[0])) if codes else 0

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        # aiomqtt always goes through call_soon_threadsafe: a system call more for every message, and by then the
        # descriptor may belong to another socket. On the loop's own thread it can be done at once.
        if threading.get_ident() != self._thread:
            super()._on_socket_register_write(client, userdata, sock)
        elif sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._write)

    def _write(self) -> None:
        try:
            self.paho.loop_write()
        except Exception as err:  # noqa: BLE001 - as aiomqtt does: whatever it is, the connection is over
            if not self._disconnected.done():
                self._disconnected.set_exception(err)


def _beside(found: Any) -> Beside:
    """What came beside a message, within bounds: whoever may write to us chooses it."""
    if found is None:
        return PLAIN
    user = tuple((str(name)[:200], str(value)[:1000]) for name, value in getattr(found, "UserProperty", ())[:16])
    response = str(getattr(found, "ResponseTopic", ""))[:1000]
    correlation = bytes(getattr(found, "CorrelationData", b""))
    # A cut correlation would be another one: a sender who needs more than this is not one we know.
    return Beside(user, response, correlation if len(correlation) <= 1000 else b"")
