"""The settings: defaults that work alone, and mistakes with their place."""

import pytest

from supervisor import units
from supervisor.config import Settings
from supervisor.config.settings import (
    default_state_dir,
    machine_name,
    waits_for_start,
)
from supervisor.config.yaml import load_yaml, validate
from supervisor.errors import ConfigError


def read(text: str) -> Settings:
    return validate(Settings, load_yaml(text, "resurgam.yaml"))


def mistake(text: str) -> str:
    with pytest.raises(ConfigError) as found:
        read(text)
    return str(found.value)


def test_nothing_at_all_is_a_working_configuration() -> None:
    settings = read("")
    assert settings == Settings()
    assert (settings.mode, settings.rules, settings.mqtt.url) == ("heal", ("shipped",), "auto")
    assert settings.http.address == ("127.0.0.1", 9464)
    assert settings.budget.service == (units.Budget(3, 3600.0), units.Budget(6, 86400.0))
    assert settings.budget.host == (units.Budget(10, 86400.0),)
    assert settings.proof == 600.0
    assert settings.host == machine_name() != ""


def test_every_key_of_a_service() -> None:
    entry = read(
        """
services:
  oracle.deepseek:
    enable: true
    service: oracle
    aliases: [deepseek, big]
    probe: completion://:8000
    startup: 25m
    memory: 300GiB
    vram: 0:90GiB,1:30GiB
    exclusive: gpu:0
    priority: 10
    depends: [qdrant]
    stop-grace: 2m
    stateful: true
    metrics: http://:8000/metrics
    boot: ordered
    kube: {namespace: ai, deployment: inference-engine, container: ktransformers}
"""
    ).services["oracle.deepseek"]
    assert entry.startup == 1500.0
    assert entry.stop_grace == 120.0
    assert entry.memory == 300 * 1024**3
    assert entry.vram == (("0", 90 * 1024**3), ("1", 30 * 1024**3))
    assert entry.exclusive == ("gpu:0",), "one word needs no list"
    assert entry.kube is not None
    assert entry.kube.names() == {
        "namespace": "ai",
        "deployment": "inference-engine",
        "container": "ktransformers",
    }


def test_what_is_not_said_is_none_so_that_labels_can_say_it() -> None:
    entry = read("services: {a: {}}").services["a"]
    assert set(entry.model_dump().values()) == {None}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("modus: heal", "resurgam.yaml:1:1: unknown key 'modus'; did you mean 'mode'?"),
        ("mode: heel", "1:7: mode: 'heel' is not one of heal, observe; did you mean 'heal'?"),
        ("host: a/b", "1:7: host: 'a/b' cannot be the host's name"),
        ("proof: 600", "1:8: proof: 600 is not a duration; write it with a unit, like 90s"),
        ("proof: 0", "1:8: proof: this must be longer than 0"),
        ("scrape: [{job: a, url: 'http://:9100'}]", "is not a web address"),
        ("scrape: [{job: a, url: 'http://x:1', timeout: 20s}]", "a scrape's timeout is not longer than its interval"),
        ("scrape: [{job: a, url: 'http://x:1'}, {job: a, url: 'http://x:1'}]", "'a http://x:1' is there twice"),
        ("scrape: [{job: a, url: 'http://u:p@x:1'}]", "a user or password may not stand in an address"),
        ("commands: {x: y}", "commands: unknown key 'x'"),
        ("commands: {principals: {phone: [format]}}", "'format' is no command; there are approve, deny"),
        ("commands: {principals: {a/b: [ack]}}", "'a/b' cannot be a principal"),
        ("mqtt: {password: x}", "unknown key 'password'; did you mean 'password_file'?"),
        ("mqtt: {url: 'mqtt://u:secret@h'}", "mqtt.url: a user or password may not stand in an address"),
        (
            "mqtt: {homeassistant: {prefix: a/b}}",
            "prefix: 'a/b' cannot stand here; use up to 64 of letters, digits, _ and -",
        ),
        ("notify: [{webhook: {url: 'http://h'}, name: a b}]", "use up to 64 of letters, digits, _, . and -"),
        ("commands: {principals: {phone: ack}}", "phone: this must be a list of verbs, like [ack]"),
        ("mqtt: {url: 'amqp://h'}", "mqtt.url: 'amqp://h' is not a broker; write auto, none, mqtt://"),
        ("mqtt: {url: 'unix://relative'}", "is not a socket's path"),
        ("http: {listen: 9464}", "http.listen: '9464' is not an address and port"),
        ("rules: [shipped, shipped]", "rules: the folder 'shipped' is listed twice"),
        ("budget: {service: 3 per hour}", "budget.service[0]: '3 per hour' is not a budget; write it like '3 in 1h'"),
        ("budget: {host: [3 in 0s]}", "budget.host[0]: the window of '3 in 0s' must be more than 0"),
        ("services: {'a b': {}}", "1:12: services.a b: 'a b' is not a service id"),
        ("services: {a: {probe: ':8000'}}", "services.a.probe: ':8000' is not a probe's address"),
        ("services: {a: {probe: 'tcp://x'}}", "services.a.probe: 'tcp://x' has no port"),
        ("services: {a: {probe: 'http://h:99999'}}", "services.a.probe: 'http://h:99999' is not a probe's address"),
        ("services: {a: {memory: lots}}", "services.a.memory: 'lots' is not a size; write it like 90GiB"),
        ("services: {a: {kube: {deploy: x}}}", "services.a.kube: unknown key 'deploy'; did you mean 'deployment'?"),
        ("services: {a: {aliases: [x]}, b: {aliases: [x]}}", "services: 'x' names both 'a' and 'b'"),
        ("notify: [{webhook: {url: 'ftp://x'}}]", "notify[0].webhook.url: 'ftp://x' is not a web address"),
        (
            "notify: [{severity: [critical]}]",
            "a notifier has exactly one of webhook, apprise and alertmanager",
        ),
    ],
)
def test_mistakes_are_sentences_with_a_place(text: str, wanted: str) -> None:
    assert wanted in mistake(text)


def test_a_password_never_stands_in_a_mistake() -> None:
    assert "secret" not in mistake("mqtt: {url: 'mqtt://u:secret@h'}")


@pytest.mark.parametrize(
    "url", ["auto", "none", "mqtt://box", "mqtts://box:8883", "unix:///run/mqtt.sock", "mqtt://[::1]:1883"]
)
def test_brokers(url: str) -> None:
    assert read(f"mqtt: {{url: '{url}'}}").mqtt.url == url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("none", None),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("'[::1]:9464'", ("::1", 9464)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_listen_addresses(text: str, address: tuple[str, int] | None) -> None:
    assert read(f"http: {{listen: {text}}}").http.address == address


def test_where_the_state_lives() -> None:
    assert str(default_state_dir({}, 0)) == "/var/lib/resurgam"
    assert str(default_state_dir({"HOME": "/home/u"}, 1000)) == "/home/u/.local/state/resurgam"
    assert str(default_state_dir({"HOME": "/home/u", "XDG_STATE_HOME": "/s"}, 1000)) == "/s/resurgam"
    assert str(default_state_dir({"RESURGAM_STATE_DIR": "/x/y"}, 0)) == "/x/y"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError):
        Settings().mode = "observe"  # type: ignore[misc]


def test_a_path_that_is_no_text_is_said_in_words() -> None:
    assert mistake("state_dir: [a]") == "resurgam.yaml:1:12: state_dir: this must be a path as text; it is a list"


def test_what_a_reload_cannot_change_says_so() -> None:
    running = read("host: a\nservices: {x: {enable: true}}\n")
    assert waits_for_start(running, read("host: a\nmode: observe\n")) == ""
    said = waits_for_start(running, read("host: b\nhttp: {listen: none}\n"))
    assert said == " What was changed in host, http counts from the next start."


def test_what_rules_are_told_of_this_box() -> None:
    text = "settle: {containers: 1s, host: 0}\nexternal_labels: {site: attic}\nexternal_url: https://box.lan/x\n"
    settings = validate(Settings, load_yaml(text, "f"))
    assert (dict(settings.settle), dict(settings.external_labels)) == (
        {"containers": 1.0, "host": 0.0},
        {"site": "attic"},
    )
    assert settings.external_url == "https://box.lan/x"
    assert (dict(Settings().settle), dict(Settings().external_labels), Settings().external_url) == ({}, {}, "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("settle: {g: 2h}\n", "would wait 2h; at most 1m"),
        ("settle: {'': 1s}\n", "an empty name is no group"),
        ("settle: {g: soon}\n", "'soon' is not a duration"),
        ("external_labels: {a-b: x}\n", "'a-b' cannot be a label"),
        ("external_labels: {__a: x}\n", "'__a' cannot be a label"),
        ("external_url: attic\n", "'attic' is not a web address"),
    ],
)
def test_what_rules_are_told_is_checked(text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Settings, load_yaml(text, "f"))
    assert wanted in str(caught.value)
