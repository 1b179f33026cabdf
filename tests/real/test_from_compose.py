"""`resurgam phoenix --from-compose` on a real engine, beside Debian's docker-compose: the file is applied, `up -d`
leaves the result alone afterwards, what widens rights waits for a word, and a bad file changes nothing.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import OURS, Daemon, Hands, Nursery, hands, until

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE": 0.5, "supervisor.actions.probation:SETTLE_PLAIN": 0.5}


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("fc") as made:
        yield made


class Stack:
    """A folder with a compose file, its containers, and a daemon that looks after them."""

    def __init__(self, person: Hands, word: str, nursery: Nursery) -> None:
        self.person, self.project = person, f"{person.prefix}{word}"
        ours = {f"{self.project}.{name}": dict(OURS) for name in ("web", "api")}
        self.daemon = Daemon({"consent": "listed", "services": ours, "rules": []}, nursery)
        self.file = Path(self.daemon.folder, "docker-compose.yml")
        self.image = f"{person.prefix}/good:1"

    def write(self, services: dict[str, dict[str, Any]], **more: Any) -> None:
        networks = {"net": {"external": True, "name": self.person.network}}
        base = {"image": self.image, "stop_grace_period": "2s"}
        full = {name: {**base, "networks": ["net"], **service} for name, service in services.items()}
        self.file.write_text(yaml.safe_dump({"version": "3.8", "services": full, "networks": networks, **more}))

    def compose(self, *words: str) -> str:
        done = subprocess.run(
            ["docker-compose", "-p", self.project, *words],
            cwd=self.daemon.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    def id_of(self, service: str) -> str:
        seen = self.person.look(f"{self.project}_{service}_1")
        assert seen is not None
        return str(seen["Id"])

    def raw(self, service: str) -> dict[str, Any]:
        seen = self.person.look(f"{self.project}_{service}_1")
        assert seen is not None
        return seen


@pytest.fixture(scope="module")
def stack(person: Hands) -> Iterator[Stack]:
    nursery = Nursery()
    made = Stack(person, "a", nursery)
    made.write({"web": {"environment": {"LOG": "info", "DB_PASSWORD": "old"}}, "api": {}})
    made.compose("up", "-d")
    made.daemon.start(patience=PATIENCE)
    made.daemon.ready()
    for name in ("web", "api"):
        until(lambda name=name: (made.daemon.service(f"{made.project}.{name}") or {}).get("healthy"), 20, name)
    try:
        yield made
    finally:
        made.daemon.close()
        nursery.close()
        person.remove(made.project)


def test_the_file_is_applied_and_compose_leaves_the_result_alone(stack: Stack) -> None:
    before = stack.id_of("web")
    Path(stack.daemon.folder, ".env").write_text("LEVEL=debug\n")
    stack.write(
        {
            "web": {
                "environment": {"LOG": "${LEVEL}", "DB_PASSWORD": "s3cr3t-new"},
                "ulimits": {"nofile": 2048},
                "mem_limit": "64m",
                "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
                "labels": {"team": "a$$b"},
            },
            "api": {},
            "extra": {},
        }
    )
    done = stack.daemon.cli("phoenix", f"{stack.project}.web", "--from-compose", str(stack.file), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr + stack.daemon.said()
    assert "LOG: info → debug" in done.stdout
    assert "s3cr3t" not in done.stdout
    assert "only in the file, and not made: extra" in done.stdout
    raw = stack.raw("web")
    assert raw["Id"] != before
    assert {"LOG=debug", "DB_PASSWORD=s3cr3t-new"} <= set(raw["Config"]["Env"])
    assert raw["Config"]["Labels"]["team"] == "a$b"
    assert raw["HostConfig"]["Memory"] == 64 << 20
    web, api = stack.id_of("web"), stack.id_of("api")
    said = stack.compose("up", "-d", "web", "api")
    assert (stack.id_of("web"), stack.id_of("api")) == (web, api), said


def test_what_widens_waits_for_a_word_and_a_yes_does_exactly_that(stack: Stack) -> None:
    before = stack.id_of("api")
    stack.write({"web": {}, "api": {"cap_add": ["NET_ADMIN"]}})
    words = ("phoenix", f"{stack.project}.api", "--from-compose", str(stack.file), "--yes")
    done = stack.daemon.cli(*words)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "NET_ADMIN" in done.stderr
    assert "resurgam approve ap-" in done.stderr
    assert stack.id_of("api") == before
    done = stack.daemon.cli("approve", "ap-1")
    assert done.returncode == 0, done.stdout + done.stderr
    stack.daemon.outcome("phoenix", f"{stack.project}.api")
    assert stack.raw("api")["HostConfig"]["CapAdd"] == ["NET_ADMIN"]


def test_a_bad_file_and_a_missing_image_change_nothing(stack: Stack) -> None:
    before = (stack.id_of("web"), stack.id_of("api"))
    stack.write({"web": {"porst": ["80"]}, "api": {"ports": ["99999:1"]}})
    done = stack.daemon.cli("phoenix", stack.project, "--from-compose", str(stack.file), "--yes")
    assert done.returncode == 2
    assert "porst" in done.stderr
    assert "99999" in done.stderr
    stack.write({"web": {"image": f"{stack.person.prefix}/nowhere:1"}, "api": {}})
    done = stack.daemon.cli("phoenix", stack.project, "--from-compose", str(stack.file), "--yes")
    assert done.returncode == 3
    assert "not on this machine" in done.stderr
    assert (stack.id_of("web"), stack.id_of("api")) == before


def test_a_whole_project_is_asked_about_once_and_recreated_in_order_with_its_inline_secrets(stack: Stack) -> None:
    secret = {"token": {"content": "t0p-token"}}
    stack.write({"web": {"depends_on": ["api"], "secrets": ["token"]}, "api": {}}, secrets=secret)
    done = stack.daemon.cli("phoenix", stack.project, "--from-compose", str(stack.file), "--yes")
    # a compose of the 1.x line knows no `content`: without its hash, the old label stays, and that is said
    assert "The next `compose up` makes it anew once." in done.stdout
    # the limits of the first test are lost: one question for the whole command, and nothing is begun without the yes
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Its limit of memory would be lost" in done.stderr
    assert stack.daemon.cli("approve", "ap-2").returncode == 0
    end = until(
        lambda: [row for row in stack.daemon.rows("action.rollout") if "verified" in row["body"]["state"]], 60, ""
    )
    assert "2 of 2 verified" in end[-1]["body"]["text"]
    assert "t0p-token" not in str(stack.daemon.rows())
    started = [stack.raw(name)["State"]["StartedAt"] for name in ("api", "web")]
    assert started == sorted(started)
    read = stack.person.api.exec_create(stack.id_of("web"), ["cat", "/run/secrets/token"])
    assert stack.person.api.exec_start(read["Id"]) == b"t0p-token"
