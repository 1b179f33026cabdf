"""Settings of the bus that would have no effect are mistakes, each with what to write instead."""

import pytest
from pydantic import ValidationError

from supervisor.config.telling import MqttSettings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"gateway": "ai"},
        {"url": "mqtts://broker.lan", "ca_file": "/ca.pem", "cert_file": "/me.pem", "key_file": "/me.key"},
        {"url": "mqtts://broker.lan", "cert_file": "/both.pem"},
        {"url": "unix:///run/mqtt.sock", "username": "me", "password_file": "/secret"},
    ],
)
def test_what_belongs_together_is_taken(given: dict[str, str]) -> None:
    assert MqttSettings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "mqtt://broker.lan", "ca_file": "/ca.pem"}, "write mqtt.url as mqtts://host"),
        ({"ca_file": "/ca.pem", "cert_file": "/me.pem"}, "ca_file and cert_file is for TLS"),
        ({"url": "mqtts://broker.lan", "key_file": "/me.key"}, "key_file is the key of cert_file"),
        ({"url": "mqtt://broker.lan", "gateway": "ai"}, "gateway is for the managed broker"),
        ({"gateway": "a b"}, "pattern"),
        (
            {"username": "me", "password_file": "/secret"},
            "username and password_file .* our own mosquitto makes its own",
        ),
    ],
)
def test_what_would_have_no_effect_is_a_mistake(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MqttSettings.model_validate(given)
