"""The engine itself ends in the middle of a Phoenix, in order or by SIGKILL, and comes back: the plan is brought to its
end, one container serves, nothing is lost. On an engine of the test's own."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from supervisor.services import is_temp
from tests.support.daemon import ENDS, Daemon, Nursery, until
from tests.support.images import import_busybox
from tests.support.own_engine import OwnEngine

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE_PLAIN": 2.0, "supervisor.actions.probation:SETTLE": 2.0}
SERVE = 'CMD ["sh","-c","trap \'exit 0\' TERM; sleep 3600 & wait"]'
NAME = "oracle"
MOMENTS = [(step, signal.SIGTERM) for step in ("create", "hold", "probation")]
if os.environ.get("RESURGAM_SOAK"):  # an engine that was killed takes a quarter of a minute to come back
    MOMENTS += [(step, signal.SIGKILL) for step in ("create", "hold", "probation")]


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    made = OwnEngine()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def serving(api: docker.APIClient) -> list[dict[str, Any]]:
    """Every container, inspected."""
    return [api.inspect_container(row["Id"]) for row in api.containers(all=True)]


@pytest.mark.parametrize(("step", "number"), MOMENTS)
def test_the_plan_is_brought_to_its_end(engine: OwnEngine, nursery: Nursery, step: str, number: int) -> None:
    api = docker.APIClient(base_url=engine.endpoint, version="auto")
    for one in serving(api):
        api.remove_container(one["Id"], force=True)
    old, new = (import_busybox(f"local/oracle:{word}", [SERVE, f"LABEL v={word}"], api) for word in ("1", "2"))
    host = api.create_host_config(network_mode="none", restart_policy={"Name": "unless-stopped"})
    api.create_container("local/oracle:1", name=NAME, host_config=host)
    api.start(NAME)
    settings = {"host": "e", "docker": {"endpoint": engine.endpoint}, "services": {NAME: {"enable": True}}, "rules": []}
    daemon = Daemon({**settings, "consent": "listed"}, nursery)
    try:
        daemon.start(patience=PATIENCE)
        daemon.ready()
        until(lambda: (daemon.service(NAME) or {}).get("healthy"), 20, "the service is healthy")
        plan = daemon.command("phoenix", NAME, image="local/oracle:2")["plan"]

        def begun() -> bool:
            return any(row["body"].get("step") == step for row in daemon.rows("action.begin"))

        until(begun, 20, f"{step} has begun", pause=0.005)
        engine.end(number)
        daemon.heard("daemon.engine_lost")
        api = engine.start()
        daemon.heard("daemon.engine_back", limit=60)

        def end() -> list[dict[str, Any]]:
            return [row for row in daemon.rows("action") if row["kind"] in ENDS and row["body"].get("plan") == plan]

        ended = until(end, 60, f"plan {plan} has ended: {daemon.rows('action')[-3:]}")[-1]
        assert ended["kind"] in ("action.verified", "action.rolled_back", "action.ended_early"), ended["body"]["text"]
        wanted = new if ended["kind"] == "action.verified" else old
        until(lambda: api.inspect_container(NAME)["State"]["Running"], 20, f"it runs after {ended['body']['text']}")
        there = serving(api)
        running = [one["Name"] for one in there if one["State"]["Running"]]
        assert running == [f"/{NAME}"]
        assert api.inspect_container(NAME)["Image"] == wanted
        assert api.inspect_container(NAME)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert all(one["HostConfig"]["RestartPolicy"]["Name"] == "no" for one in there if is_temp(one["Name"][1:]))
        status = daemon.status()
        assert status is not None
        assert status["plans"] == []
        assert next(one for one in status["services"] if one["service"] == NAME)["wanted"] != "stopped"
    finally:
        daemon.close()
