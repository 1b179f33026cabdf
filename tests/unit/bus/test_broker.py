"""Which broker is chosen, what the managed one is told, and how refusals read."""

from pathlib import Path

import pytest
from aiomqtt.exceptions import MqttConnectError, MqttError

from supervisor.bus.broker import choose
from supervisor.bus.identity import client_id
from supervisor.bus.link.address import Address, parse
from supervisor.bus.link.connack import refusal_of
from supervisor.bus.link.mqtt import Door
from supervisor.clock import ManualClock
from supervisor.config import Settings
from supervisor.config.settings import MqttSettings

HERE = Address("tcp", "broker.lan", 1883, "resurgam")


def settings(state_dir: Path, **mqtt: str) -> Settings:
    return Settings(host="box", state_dir=state_dir, mqtt=MqttSettings(**mqtt))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://broker.lan", "mqtt://broker.lan:1883"),
        ("mqtts://broker.lan", "mqtts://broker.lan:8883"),
        ("mqtt://[::1]:1884", "mqtt://[::1]:1884"),
        ("unix:///run/mqtt.sock", "unix:///run/mqtt.sock"),
    ],
)
def test_an_address_is_read_and_shown_without_its_secrets(url: str, shown: str) -> None:
    address = parse(url, "me", "/secret/file", "/ca")
    assert str(address) == shown
    assert address.password_file == "/secret/file"


def test_an_external_broker_is_used_as_it_is(tmp_path: Path) -> None:
    choice = choose(settings(tmp_path, url="mqtt://broker.lan", username="me"), ManualClock())
    assert (choice.name, choice.managed) == ("mqtt://broker.lan:1883", None)
    assert isinstance(choice.make, Door)
    assert (choice.make.client_id, choice.make.will.topic) == (
        client_id(tmp_path, ManualClock()),
        "resurgam/box/availability",
    )


def test_without_a_broker_it_says_what_to_do(tmp_path: Path) -> None:
    none = choose(settings(tmp_path, url="none"), ManualClock())
    missing = choose(settings(tmp_path), ManualClock(), program="")
    assert (none.make, missing.make) == (None, None)
    assert "install it, or set mqtt.url" in missing.text


def test_auto_manages_a_mosquitto_of_our_own(tmp_path: Path) -> None:
    choice = choose(settings(tmp_path), ManualClock(), program="/usr/sbin/mosquitto")
    assert choice.make is not None
    assert choice.managed is not None
    assert str(choice.managed.address) == f"unix://{tmp_path}/bus/mqtt.sock"


@pytest.mark.parametrize(
    ("code", "five", "words", "old"),
    [
        (0x86, True, "check mqtt.username (resurgam) and mqtt.password_file", False),
        (5, False, "check mqtt.username (resurgam) and mqtt.password_file", False),
        (0x84, True, "does not speak MQTT 5", True),
        (1, True, "does not speak MQTT 5", True),
        (3, False, "it is not ready", False),
        (0x97, True, "our quota is spent (0x97)", False),
        (0xFE, True, "an unknown reason (0xFE)", False),
    ],
)
def test_what_a_broker_answers_is_said_in_words(code: int, five: bool, words: str, old: bool) -> None:
    refusal = refusal_of(MqttConnectError(code), False, five, HERE)
    assert words in refusal.text
    assert refusal.old_protocol is old


def test_a_silent_hang_up_may_be_an_old_broker() -> None:
    assert refusal_of(MqttError("x"), True, True, HERE).old_protocol
    assert not refusal_of(MqttError("x"), True, False, HERE).old_protocol


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "nothing listens at mqtt://broker.lan:1883"),
        (TimeoutError(), "does not answer"),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
    ],
)
def test_a_broker_that_cannot_be_reached_is_said_in_words(cause: OSError, words: str) -> None:
    err = MqttError(str(cause))
    err.__context__ = cause  # as aiomqtt leaves it with `raise … from None`
    assert words in refusal_of(err, False, True, HERE).text
