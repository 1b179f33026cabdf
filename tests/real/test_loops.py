"""The loop breaker at a real engine: what keeps dying is stopped in the end, and what cannot start is told with why."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.daemon import Daemon, Hands, Nursery, free_port, hands, until

pytestmark = pytest.mark.real

DIES = "sleep 0.4; echo 'Traceback: no'; exit 1"
RUNS = "trap 'exit 0' TERM; sleep 3600 & wait"
BROKEN = {"Test": ["CMD-SHELL", "curl -f http://localhost:8000/"], "Interval": 10**9, "Retries": 1}
OURS = {"enable": True, "stop-grace": "1s"}


PATIENCE = {
    "supervisor.actions.probation:SETTLE": 1.0,
    "supervisor.actions.probation:SETTLE_PLAIN": 1.0,
    "supervisor.incidents.deciding:SETTLE": 0.5,
    "supervisor.incidents.ladder:RETRY": 0.5,
}


def run(person: Hands, word: str, script: str, policy: str = "no", **body: Any) -> str:
    """A container of project and service, whatever its create body says; its name."""
    name = f"{person.prefix}-{word}"
    labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": word}
    host = {"NetworkMode": person.network, "RestartPolicy": {"Name": policy}, **body.pop("host", {})}
    given = {"Image": person.good, "Cmd": ["sh", "-c", script], "Labels": labels, "HostConfig": host, **body}
    made = person.api.create_container_from_config(given, name)
    person.api.start(made["Id"])
    return name


def loop(person: Hands, daemon: Daemon) -> None:
    service = f"{person.prefix}.loops"
    name = run(person, "loops", DIES, "always")
    end = daemon.outcome("stop", service)
    assert end["kind"] == "action.verified", end
    phoenix = daemon.outcome("phoenix", service)
    assert phoenix["kind"] == "action.rolled_back", "made anew once, in vain"
    assert "exit 1" in end["body"]["cause"]
    seen = person.look(name)
    assert seen is not None
    assert (seen["State"]["Status"], seen["HostConfig"]["RestartPolicy"]["Name"]) == ("exited", "no")
    shown = daemon.service(service)
    assert shown is not None
    assert (shown["wanted"]["state"], shown["trouble"]) == ("stopped", "app")
    said = daemon.cli("explain", service).stdout
    assert "It ended by itself with an error: exit 1" in said


def held_port(person: Hands, daemon: Daemon) -> None:
    port, broken = f"{person.prefix}.port", f"{person.prefix}.check"
    number = free_port()
    publish = {"host": {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(number)}]}}}
    exposed = {"ExposedPorts": {"8000/tcp": {}}}
    run(person, "check", RUNS, Healthcheck=BROKEN)
    mine = run(person, "port", RUNS, **exposed, **publish)
    until(lambda: (daemon.service(port) or {}).get("state") == "running", 10, "it is seen running")
    person.api.kill(mine, "KILL")
    until(lambda: (daemon.service(port) or {}).get("state") == "exited", 10, "its death is seen")
    other = run(person, "holder", RUNS, **exposed, **publish)
    with pytest.raises(Exception, match="port is already allocated"):
        person.api.start(mine)  # no event tells of it: the next look at everything does
    daemon.stop()
    daemon.start(patience=PATIENCE)
    daemon.ready()

    def told() -> bool:
        found = daemon.service(port) or {}
        return found.get("trouble") == "port_held"

    until(told, 10, "the held port")
    shown = daemon.service(port) or {}
    assert f"Port {number} of this machine is held by {person.prefix}.holder" in shown["trouble_text"]
    refusal = daemon.heard("action.refused", port)
    assert (refusal["body"]["reason"], refusal["body"]["by"]) == ("no_use", "playbook:cannot-start")
    person.api.stop(other, timeout=1)
    end = daemon.outcome("restart", port)
    assert end["kind"] == "action.verified", end
    check = daemon.service(broken) or {}
    assert (check["trouble"], check["health"]) == ("check_broken", "unhealthy")
    assert "curl: not found" in check["trouble_text"]


PLAYS = {loop: ("loops",), held_port: ("port", "check")}
"""each with the services that its daemon looks after"""


def play(what: Callable[[Hands, Daemon], None], person: Hands, nursery: Nursery) -> None:
    services = {f"{person.prefix}.{word}": dict(OURS) for word in PLAYS[what]}
    daemon = Daemon({"consent": "listed", "services": services, "proof": "10m"}, nursery)
    try:
        daemon.start(patience=PATIENCE)
        daemon.ready()
        what(person, daemon)
    finally:
        daemon.close()


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Future[None]]]:
    """Side by side."""
    nursery = Nursery()
    try:
        with hands("loop") as person, ThreadPoolExecutor(len(PLAYS)) as pool:
            yield {what.__name__: pool.submit(play, what, person, nursery) for what in PLAYS}
    finally:
        nursery.close()


def test_a_loop_of_exit_1_with_policy_always_is_stopped_in_the_end(played: dict[str, Future[None]]) -> None:
    played["loop"].result(300)


def test_a_held_port_and_a_check_without_its_tool_are_told_with_what_to_do(played: dict[str, Future[None]]) -> None:
    played["held_port"].result(300)
