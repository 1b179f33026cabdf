"""A service on the real engine, run by its safe profile and as before again: its variables, arguments and labels come
back exactly, compose's hash stays, nothing is touched by a preview and no value is told."""

from typing import Any

import pytest

from tests.support.daemon import GOOD, OURS, Daemon, Hands, Nursery, hands, until

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0}
SAFE = {"env": {"GGML_CUDA_DISABLE_GRAPHS": "gently7", "MODE": "slow7"}, "args": ["careful7"]}
HASH = "com.docker.compose.config-hash"
OF_PLANS = ("resurgam.op", "resurgam.ref")
COMMAND = ["sh", "-c", GOOD, "serve"]


def stands(person: Hands, name: str) -> dict[str, Any]:
    """What a profile could change, by the engine's inspect."""
    config = (person.look(name) or {})["Config"]
    labels = {label: value for label, value in config["Labels"].items() if label not in OF_PLANS}
    return {"Env": config["Env"], "Cmd": config["Cmd"], "Entrypoint": config["Entrypoint"], "Labels": labels}


def made(person: Hands) -> str:
    """A service as compose makes it, with variables and arguments of its own."""
    labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": "model", HASH: "f00d"}
    labels |= {"com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False", "mine": "1"}
    name, host = f"{person.prefix}-model", person.api.create_host_config(network_mode=person.network)
    given = {"name": name, "labels": labels, "host_config": host, "environment": ["MODE=fast", "FOO=a=b"]}
    person.api.create_container(f"{person.prefix}/good:1", COMMAND, **given)
    person.api.start(name)
    return name


def goes(daemon: Daemon, service: str, profile: str) -> None:
    asked = daemon.cli("phoenix", service, "--profile", profile, "--image", "current")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    until(lambda: not (daemon.status() or {"plans": [""]})["plans"], 30, "nothing is left open")


def test_there_and_back_it_is_exactly_as_before() -> None:
    with hands("safe") as person:
        nursery = Nursery()
        service = f"{person.prefix}.model"
        services = {service: {**OURS, "stop-grace": "1s", "safe": SAFE}}
        daemon = Daemon({"host": "w", "consent": "listed", "services": services, "rules": []}, nursery)
        try:
            name = made(person)
            daemon.start(patience=PATIENCE)
            daemon.ready()
            daemon.settled(service)
            before = stands(person, name)
            shown = daemon.cli("plan", "phoenix", service, "--profile", "safe", "--image", "current")
            assert "GGML_CUDA_DISABLE_GRAPHS" in shown.stdout, shown.stdout + shown.stderr
            assert "by its safe profile" in shown.stdout
            assert stands(person, name) == before, "nothing is touched by a preview"
            goes(daemon, service, "safe")
            there = stands(person, name)
            assert set(there["Env"]) == {*before["Env"], *("GGML_CUDA_DISABLE_GRAPHS=gently7", "MODE=slow7")} - {
                "MODE=fast"
            }
            assert there["Cmd"] == [*COMMAND, "careful7"]
            assert there["Labels"] == {**before["Labels"], "resurgam.profile": "safe"}
            assert there["Labels"][HASH] == "f00d"
            assert "safe profile" in daemon.cli("status").stdout
            goes(daemon, service, "normal")
            assert stands(person, name) == before
            assert person.answers(name)
            told = repr([*daemon.rows(), shown.stdout, daemon.status()])
            assert not [word for word in ("gently7", "slow7", "careful7") if word in told], "a value was told"
        finally:
            daemon.close()
            nursery.close()
