"""The machine comes up again (story 20), on an engine of the test's own: what was stopped on purpose and what stands
parked stays down, what is ours to start comes back one at a time, in order, and a plan that was cut is brought to its
end."""

import signal
from collections.abc import Iterator, Sequence

import docker
import pytest

from supervisor.services import is_temp
from tests.support.daemon import ENDS, Daemon, Nursery, until
from tests.support.images import import_busybox
from tests.support.own_engine import OwnEngine

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE_PLAIN": 1.0, "supervisor.actions.probation:SETTLE": 1.0}
SERVE = 'CMD ["sh","-c","trap \'exit 0\' TERM; sleep 3600 & wait"]'
ORDERED = {"enable": True, "boot": "ordered", "stop-grace": "1s"}
SERVICES = {
    "plain": {"enable": True},
    "swapped": {"enable": True, "stop-grace": "1s"},
    "mid": {**ORDERED, "memory": "20GiB"},
    "small": {**ORDERED, "memory": "1MiB", "depends": ["huge"]},
    "large": {**ORDERED, "memory": "3MiB"},
    "huge": {**ORDERED, "memory": "4MiB"},
}


@pytest.fixture
def engine() -> Iterator[OwnEngine]:
    made = OwnEngine()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def running(api: docker.APIClient) -> list[str]:
    return sorted(row["Names"][0].lstrip("/") for row in api.containers())


def people_start(api: docker.APIClient, words: Sequence[str]) -> None:
    for word in words:
        policy = "no" if word in ("small", "huge") else "unless-stopped"
        host = api.create_host_config(network_mode="none", restart_policy={"Name": policy})
        api.create_container("local/app:1", name=word, host_config=host)
        api.start(word)


def test_after_a_boot_what_is_wanted_comes_back_in_order_and_nothing_else(engine: OwnEngine, nursery: Nursery) -> None:
    api = engine.start()
    import_busybox("local/app:1", [SERVE], api)
    new = import_busybox("local/app:2", [SERVE, "LABEL v=2"], api)
    people_start(api, list(SERVICES))
    always = api.create_host_config(network_mode="none", restart_policy={"Name": "always"})
    api.create_container("local/app:1", name="never", host_config=always)  # as a new one stands before its turn
    settings = {"host": "b", "docker": {"endpoint": engine.endpoint}, "services": SERVICES, "rules": []}
    daemon = Daemon({**settings, "consent": "listed"}, nursery)
    try:
        daemon.start(patience=PATIENCE)
        daemon.ready()
        until(lambda: all((daemon.service(word) or {}).get("healthy") for word in SERVICES), 20, "all are healthy")
        for words in (("stop", "mid"), ("stop", "large"), ("start", "large")):  # by us: large's policy is ours now
            done = daemon.cli(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        assert api.inspect_container("large")["HostConfig"]["RestartPolicy"]["Name"] == "no"
        daemon.stop()
        daemon.start("after write start", patience=PATIENCE)
        daemon.ready()
        daemon.settled("swapped")
        assert daemon.command("phoenix", "swapped", image="local/app:2")["plan"]
        assert daemon.ended(30) == -signal.SIGKILL, "in the middle of a plan, one of its containers parked"

        engine.end(signal.SIGTERM)
        api = engine.start()
        until(lambda: "plain" in running(api), 20, "the engine starts what is its own to start")
        assert [name for name in running(api) if name not in ("plain", "swapped")] == [], "nothing else is up"
        parked = [row["Names"][0].lstrip("/") for row in api.containers(all=True) if "parked" in row["Names"][0]]
        assert [api.inspect_container(each)["HostConfig"]["RestartPolicy"]["Name"] for each in parked] == ["no"]
        daemon.start(patience=PATIENCE)
        daemon.ready()

        def over() -> bool:
            ends = [row for row in daemon.rows("action") if row["kind"] in ENDS]
            mine = [row for row in ends if (row["body"]["verb"], row["body"]["by"]) == ("start", "resurgam")]
            starts = [row["subject"] for row in mine]
            cut = [row for row in ends if row["body"]["verb"] == "phoenix"]
            return starts == ["huge", "large", "small"] and bool(cut)

        until(over, 60, "all came back, in order, and the plan that was cut has ended")
        assert running(api) == ["huge", "large", "plain", "small", "swapped"]
        assert api.inspect_container("mid")["HostConfig"]["RestartPolicy"]["Name"] == "no"
        assert api.inspect_container("swapped")["Image"] == new
        kept = [row["Names"][0].lstrip("/") for row in api.containers(all=True) if is_temp(row["Names"][0].lstrip("/"))]
        assert {api.inspect_container(each)["HostConfig"]["RestartPolicy"]["Name"] for each in kept} <= {"no"}
        given = daemon.cli("release", "--all")
        assert "Given back: mid (unless-stopped)" in given.stdout, given.stdout + given.stderr
        assert "docker update --restart unless-stopped large" in given.stdout
    finally:
        daemon.close()
