"""Why a broker refuses, in sentences: MQTT reason codes and socket errors, each with what to do next.

In: the error that aiomqtt raised for a failed connect, or the reason code of an acknowledgement. Out: a `Refusal` for
`mqtt.py`, whose text ends in `status` and in the BusState fact. Pure.
"""

import socket
import ssl
from dataclasses import dataclass

from aiomqtt.exceptions import MqttConnectError, MqttError

from supervisor.bus.link import tls
from supervisor.bus.link.address import Address

NO_SUBSCRIBER = 0x10
NOT_AUTHORIZED, TAKEN_OVER, TOPIC_INVALID, TOO_LARGE, QUOTA, BAD_PAYLOAD = 0x87, 0x8E, 0x90, 0x95, 0x97, 0x99
_CODES = {
    0x80: "it gives no reason",
    0x81: "it cannot read our packets",
    0x82: "it says we broke the protocol",
    0x83: "its own rules forbid it",
    NOT_AUTHORIZED: "this user may not publish there; allow it to write resurgam/#",
    0x89: "it is busy",
    TAKEN_OVER: "another client took over our client id; a cloned machine needs a state folder of its own",
    TOPIC_INVALID: "it does not take this topic",
    TOO_LARGE: "the message is too large for it",
    QUOTA: "our quota is spent",
    BAD_PAYLOAD: "it does not take this payload",
}
_LOGIN = (0x86, NOT_AUTHORIZED, 0x8C)
_OLD_LOGIN = (4, 5)
_VERSION = 0x84
_OLD_CODES = {2: "it does not take our client id", 3: "it is not ready"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no connection. `old_protocol`: trying 3.1.1 may help."""

    text: str
    code: int = 0
    old_protocol: bool = False


def explain(code: int) -> str:
    """A reason code in words."""
    return f"{_CODES.get(code, 'it gives an unknown reason')} (0x{code:02X})"


def refusal_of(err: MqttError, hung_up: bool, five: bool, address: Address, tls_alert: str = "") -> Refusal:
    """What a failed connect means. `tls_alert`: what the broker's TLS said, in OpenSSL's words."""
    if tls_alert and (text := tls.alert(tls_alert, address)):
        return Refusal(text)
    if hung_up and address.transport == "tls" and not five:
        wants = "" if address.cert_file else "; if it wants a certificate of ours, set mqtt.cert_file and mqtt.key_file"
        return Refusal(f"{address} closed the connection without a word; is it a broker{wants}?")
    if hung_up:
        text = f"{address} closed the connection without a word"
        return Refusal(f"{text}; is it a broker, and does it want TLS (mqtts://)?", 0, old_protocol=five)
    if isinstance(err, MqttConnectError):
        return _answered(err, five, address)
    return Refusal(_unreachable(err.__context__, str(err), address))


def _answered(err: MqttConnectError, five: bool, address: Address) -> Refusal:
    code = err.rc if isinstance(err.rc, int) else (err.rc.value if err.rc is not None else 0)
    if five and code in (_VERSION, 1):
        return Refusal(f"{address} does not speak MQTT 5", _VERSION, old_protocol=True)
    if code in (_LOGIN if code >= 0x80 else _OLD_LOGIN):
        if address.username:
            fix = f"check mqtt.username ({address.username}) and mqtt.password_file"
        else:
            fix = "it wants a user; set mqtt.username and mqtt.password_file"
        return Refusal(f"{address} does not let us in: {fix}", code)
    why = explain(code) if code >= 0x80 else _OLD_CODES.get(code, f"code {code}")
    return Refusal(f"{address} refuses the connection: {why}", code)


def _unreachable(cause: BaseException | None, text: str, address: Address) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return tls.distrust(cause, address)
    if isinstance(cause, ssl.SSLError) or (address.transport == "tls" and isinstance(cause, ConnectionResetError)):
        why = getattr(cause, "reason", "") or "it hung up"
        if text := tls.alert(why, address):
            return text
        return f"{address} does not speak TLS as we do ({why}); check the port, or use mqtt://"
    if isinstance(cause, socket.gaierror):
        return f"the name {address.host} cannot be resolved; check mqtt.url"
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens at {address}; is the broker running, and not only on its own loopback?"
    if isinstance(cause, TimeoutError) or "timed out" in text:
        return f"{address} does not answer; is it reachable from here?"
    if isinstance(cause, OSError):
        return f"{address} cannot be reached: {cause.strerror or cause}"
    return f"{address} cannot be used: {text}"
