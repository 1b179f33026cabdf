"""Why TLS to a broker failed: each cause one sentence that says what to do."""

import ssl
from pathlib import Path

import pytest
from aiomqtt.exceptions import MqttError

from supervisor.bus.link.address import Address, parse
from supervisor.bus.link.connack import refusal_of
from supervisor.bus.link.tls import context
from supervisor.errors import BrokerError

HERE = Address("tls", "broker.lan", 8883)
WITH_CA = Address("tls", "broker.lan", 8883, ca_file="/etc/ca.pem")
WITH_CERT = Address("tls", "broker.lan", 8883, cert_file="/etc/me.pem")


def refused(cause: OSError, address: Address) -> str:
    err = MqttError(str(cause))
    err.__context__ = cause  # as aiomqtt leaves it with `raise … from None`
    return refusal_of(err, False, True, address).text


def distrusted(code: int, message: str = "") -> ssl.SSLCertVerificationError:
    err = ssl.SSLCertVerificationError(1, "certificate verify failed")
    err.verify_code, err.verify_message = code, message
    return err


@pytest.mark.parametrize(
    ("code", "address", "words"),
    [
        (10, WITH_CA, "has expired; renew it on the broker"),
        (9, WITH_CA, "is not valid yet; check the clocks"),
        (62, WITH_CA, "is for another name; write in mqtt.url the name"),
        (64, WITH_CA, "is for another name"),
        (18, HERE, "is signed by itself; set mqtt.ca_file to a copy"),
        (20, HERE, "signed by an authority that this machine does not know; set mqtt.ca_file"),
        (20, WITH_CA, "is not signed by the authority in mqtt.ca_file /etc/ca.pem"),
    ],
)
def test_a_certificate_that_is_not_believed(code: int, address: Address, words: str) -> None:
    text = refused(distrusted(code), address)
    assert text.startswith("the certificate of mqtts://broker.lan:8883 ")
    assert words in text


@pytest.mark.parametrize(
    ("reason", "address", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", HERE, "wants a certificate of ours; set mqtt.cert_file"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", HERE, "wants a certificate of ours"),
        ("TLSV1_ALERT_UNKNOWN_CA", WITH_CERT, "does not accept our certificate /etc/me.pem: unknown ca"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", WITH_CERT, "does not accept our certificate /etc/me.pem"),
    ],
)
def test_what_the_broker_says_of_ours_is_told_and_no_older_protocol_is_tried(
    reason: str, address: Address, words: str
) -> None:
    refusal = refusal_of(MqttError("closed"), True, True, address, reason)
    assert words in refusal.text
    assert not refusal.old_protocol


def test_a_hang_up_within_tls_does_not_ask_for_tls() -> None:
    assert refusal_of(MqttError("closed"), True, True, HERE).old_protocol
    text = refusal_of(MqttError("closed"), True, False, HERE).text
    assert "mqtts://)" not in text
    assert "if it wants a certificate of ours, set mqtt.cert_file" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ca_file": "/no/ca.pem"}, "mqtt.ca_file /no/ca.pem cannot be used: No such file"),
        ({"cert_file": "/no/me.pem"}, "mqtt.cert_file /no/me.pem cannot be used: No such file"),
        ({"key_file": "/no/me.key"}, "mqtt.key_file is set without mqtt.cert_file"),
    ],
)
def test_files_that_cannot_be_used_are_named(changes: dict[str, str], words: str) -> None:
    with pytest.raises(BrokerError, match=words):
        context(parse("mqtts://broker.lan", **changes))


def test_a_file_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("not at all\n")
    with pytest.raises(BrokerError, match="no certificate"):
        context(Address("tls", "h", 1, ca_file=str(tmp_path / "x.pem")))
