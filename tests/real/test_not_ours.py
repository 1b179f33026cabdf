"""What is not ours is never written to on a real engine, whatever fires and whoever asks: what nobody listed, what
another orchestrator made, the broker we talk through. They crash, shipped rules want to heal them, a person asks."""

from typing import Any

import pytest

from tests.support.daemon import BAD, Daemon, Hands, hands, until

pytestmark = pytest.mark.real

BROKER = 28_499
KINDS: dict[str, dict[str, str]] = {
    "theirs": {},
    "swarm": {"com.docker.swarm.service.id": "x"},
    "pod": {"io.kubernetes.pod.name": "x"},
    "bus": {},
}
LISTED = ("swarm", "pod", "bus")


def made(person: Hands, word: str) -> str:
    """A container that dies again and again; its name."""
    labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": word, **KINDS[word]}
    host: dict[str, Any] = {"NetworkMode": person.network, "RestartPolicy": {"Name": "always"}}
    given = {"Image": person.bad, "Cmd": ["sh", "-c", BAD], "Labels": labels, "HostConfig": host}
    if word == "bus":
        given["ExposedPorts"] = {"1883/tcp": {}}
        host["PortBindings"] = {"1883/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(BROKER)}]}
    name = f"{person.prefix}-{word}"
    person.api.start(person.api.create_container_from_config(given, name)["Id"])
    return name


def look(person: Hands, name: str) -> tuple[str, str, str]:
    """What a write of ours would change."""
    seen = person.look(name) or {}
    return seen["Id"], seen["Name"], seen["HostConfig"]["RestartPolicy"]["Name"]


def test_nothing_of_it_is_touched_by_rules_or_by_a_command() -> None:
    with hands("n") as person:
        services = {f"{person.prefix}.{word}": {"enable": True} for word in LISTED}
        settings = {"host": "n", "consent": "listed", "services": services, "proof": "10m"}
        daemon = Daemon({**settings, "mqtt": {"url": f"mqtt://127.0.0.1:{BROKER}"}})
        try:
            daemon.start()
            daemon.ready()
            names = {word: made(person, word) for word in KINDS}
            before = {word: look(person, name) for word, name in names.items()}
            for word in KINDS:
                service = f"{person.prefix}.{word}"
                daemon.heard("action.refused", service, limit=40)
                first = daemon.rows("action.refused", service)[0]["body"]
                assert first["reason"] == ("not_owned" if word == "theirs" else "unsupported"), first
            for word in KINDS:
                for verb in ("stop", "restart", "phoenix"):
                    answer = daemon.command(verb, f"{person.prefix}.{word}")
                    assert not answer["plan"], answer
            until(
                lambda: all((person.look(name) or {})["RestartCount"] >= 3 for name in names.values()), 20, "3 deaths"
            )
            assert {word: look(person, name) for word, name in names.items()} == before
            assert sorted(person.names(person.prefix)) == sorted(names.values())
            assert not daemon.rows("action.planned")
        finally:
            daemon.close()
