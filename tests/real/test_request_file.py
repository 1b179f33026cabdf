"""Story 7 on a real engine: a container leaves a file in a folder it shares, and its whole project is recreated as the
compose file in that folder says, in the order of its dependencies, the container that asked among the recreated.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import OURS, Daemon, Hands, Nursery, hands, until

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE": 0.5, "supervisor.actions.probation:SETTLE_PLAIN": 0.5}


def compose(project: str, folder: Path, *words: str) -> None:
    command = ["docker-compose", "-p", project, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def write(person: Hands, shared: Path, level: str) -> None:
    base = {"image": f"{person.prefix}/good:1", "stop_grace_period": "2s", "environment": {"LEVEL": level}}
    services: dict[str, Any] = {
        "db": {**base, "networks": ["net"]},
        "agent": {**base, "networks": ["net"], "depends_on": ["db"], "volumes": ["./:/state"]},
    }
    networks = {"net": {"external": True, "name": person.network}}
    shared.joinpath("docker-compose.yml").write_text(
        yaml.safe_dump({"version": "3.8", "services": services, "networks": networks})
    )


def test_the_requester_is_recreated_with_its_project_and_the_request_is_obeyed_once() -> None:
    with hands("rf") as person:
        project = f"{person.prefix}p"
        nursery = Nursery()
        daemon = Daemon(None, nursery)
        daemon.config = daemon.folder / "resurgam.yaml"
        shared = daemon.folder / "shared"
        shared.mkdir()
        listed = {f"{project}.db": dict(OURS), f"{project}.agent": {**OURS, "depends": [f"{project}.db"]}}
        request = {"folder": str(shared), "project": project, "compose": "docker-compose.yml", "grace": "1s"}
        daemon.configure({"consent": "listed", "services": listed, "rules": [], "requests": [request]})
        try:
            write(person, shared, "one")
            compose(project, shared, "up", "-d")
            before = {name: person.look(f"{project}_{name}_1") for name in ("db", "agent")}
            daemon.start(patience=PATIENCE)
            daemon.ready()
            for name in before:
                until(lambda name=name: (daemon.service(f"{project}.{name}") or {}).get("healthy"), 30, name)
            write(person, shared, "two")
            agent = before["agent"]
            assert agent is not None
            asked = person.api.exec_create(agent["Id"], ["touch", "/state/restart-requested"])
            person.api.exec_start(asked["Id"])

            def over() -> list[dict[str, Any]]:
                return [row for row in daemon.rows("action.rollout") if row["body"]["state"] != "planned"]

            end = until(over, 90, "the end of the rollout")[-1]["body"]
            assert end["state"] == "verified", end["text"]
            assert end["by"] == f"request:{project}"
            ends = [row["subject"] for row in daemon.rows("action.verified") if row["body"]["verb"] == "phoenix"]
            assert ends == [f"{project}.db", f"{project}.agent"]
            for name, was in before.items():
                now = person.look(f"{project}_{name}_1")
                assert now is not None
                assert was is not None
                assert now["Id"] != was["Id"]
                assert "LEVEL=two" in now["Config"]["Env"]
                assert now["State"]["Running"]
            until(lambda: not os.path.lexists(shared / "restart-requested"), 5, "the file is gone")
            assert len(over()) == 1
        finally:
            daemon.close()
            nursery.close()
            person.remove(project)
