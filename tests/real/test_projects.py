"""Several plans in a row on a real engine: a compose project in its order, containers in another one's network.

Debian's docker-compose makes the project. Whoever lives in a network is made anew (or restarted) after the one that
made it, also when a person restarted that one; a later `compose up -d` leaves it all alone.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import OURS, ROOT, Daemon, Hands, Nursery, hands, until
from tests.support.killable import VIEW

pytestmark = pytest.mark.real

PATIENCE = {
    "supervisor.actions.probation:SETTLE": 0.5,
    "supervisor.actions.probation:SETTLE_PLAIN": 0.5,
    "supervisor.incidents.deciding:SETTLE": 0.1,
}
QUICKER = {"namespaces.yaml": ("for: 15s", "for: 1s"), "namespaces.playbooks.yaml": ("cooldown: 1m", "cooldown: 0s")}
"""the shipped files, with shorter waits"""
SIDE = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
ORDER = ["db", "vpn", "torrent", "web"]


class Project:
    """vpn needs db, torrent lives in vpn's network, web needs vpn. `looker` is not ours."""

    def __init__(self, person: Hands, nursery: Nursery) -> None:
        self.person, self.name = person, f"{person.prefix}p"
        self.daemon = Daemon({}, nursery)
        rules = self.daemon.folder / "rules"
        rules.mkdir(mode=0o700)
        for file, changes in QUICKER.items():
            made = rules / file
            made.write_text((ROOT / "rules" / file).read_text("utf-8").replace(*changes))
            made.chmod(0o600)
        self.up()
        web = {**OURS, "stop-grace": "1s"}
        services = {
            self.id("db"): web,
            self.id("vpn"): {**web, "depends": ["db"]},
            self.id("torrent"): {"enable": True, "stop-grace": "1s"},
            self.id("web"): {**web, "depends": ["vpn"]},
        }
        settings = {"host": "box", "consent": "listed", "services": services, "rules": [str(rules)]}
        self.daemon.configure({**settings, "budget": {"service": ["99 in 1h"], "host": ["99 in 1d"]}})
        self.daemon.start(view="projects", patience=PATIENCE)
        self.daemon.ready(60)
        for word in ORDER:
            until(lambda word=word: (self.daemon.service(self.id(word)) or {}).get("healthy"), 20, f"{word} is healthy")

    def id(self, word: str) -> str:
        return f"{self.name}.{word}"

    def box(self, word: str) -> str:
        return f"{self.name}_{word}_1"

    def up(self) -> None:
        """`docker-compose up -d`."""
        good, side = f"{self.person.prefix}/good:1", f"{self.person.prefix}/side:1"
        both = {"restart": "unless-stopped", "stop_grace_period": "1s", "labels": {VIEW: "projects"}}
        services = {
            "db": {**both, "image": good, "networks": ["net"]},
            "vpn": {**both, "image": good, "networks": ["net"], "depends_on": ["db"]},
            "torrent": {**both, "image": side, "network_mode": "service:vpn"},
            "web": {**both, "image": good, "networks": ["net"], "depends_on": ["vpn"]},
            "looker": {**both, "image": side, "networks": ["net"]},
        }
        networks = {"net": {"external": True, "name": self.person.network}}
        file = {"version": "3.8", "services": services, "networks": networks}
        Path(self.daemon.folder, "docker-compose.yml").write_text(yaml.safe_dump(file))
        command = ["docker-compose", "-p", self.name, "up", "-d"]
        done = subprocess.run(command, cwd=self.daemon.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def ids(self) -> dict[str, str]:
        return {word: (self.person.look(self.box(word)) or {}).get("Id", "") for word in (*ORDER, "looker")}

    def started(self, word: str) -> str:
        return str((self.person.look(self.box(word)) or {})["State"]["StartedAt"])

    def connected(self) -> bool:
        """Whether torrent has more than a loopback: it lives in a network that works."""
        api = self.person.api
        seen = self.person.look(self.box("torrent"))
        if seen is None or not seen["State"]["Running"]:
            return False
        made = api.exec_create(self.box("torrent"), ["cat", "/proc/net/dev"])
        said: bytes = api.exec_start(made["Id"])
        return b"eth0:" in said

    def ended(self, after: int, verb: str) -> list[str]:
        """The services whose plans of this verb were verified after that row, in order."""
        rows = [row for row in self.daemon.rows("action.verified", after=after) if row["body"]["verb"] == verb]
        return [row["subject"].rpartition(".")[2] for row in rows]

    def seq(self) -> int:
        return max(row["seq"] for row in self.daemon.rows())


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    nursery = Nursery()
    with hands("j") as person:
        person.image("side", SIDE)
        made = Project(person, nursery)
        try:
            yield made
        finally:
            made.daemon.close()
            person.remove(made.name)
            nursery.close()


def test_a_compose_project_is_recreated_in_order_and_compose_leaves_it_alone(project: Project) -> None:
    before, since = project.ids(), project.seq()
    done = project.daemon.cli("phoenix", project.name, "--image", "current")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "looker (not owned)" in done.stdout
    assert "4 of 4 verified" in done.stdout
    assert project.ended(since, "phoenix") == ORDER
    after = project.ids()
    assert [word for word in before if before[word] == after[word]] == ["looker"]
    assert project.connected()
    mode = (project.person.look(project.box("torrent")) or {})["HostConfig"]["NetworkMode"]
    assert mode == f"container:{after['vpn']}", "the engine writes the id for the name it was given"
    project.up()
    assert project.ids() == after


def test_whoever_lives_in_a_network_is_restarted_after_it(project: Project) -> None:
    before, since, started = project.ids(), project.seq(), project.started("torrent")
    done = project.daemon.cli("restart", project.id("vpn"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.ended(since, "restart") == ["vpn", "torrent"]
    assert project.ids() == before
    assert project.started("torrent") > started
    assert project.connected()


def test_a_docker_restart_of_the_parent_is_seen_and_healed(project: Project) -> None:
    since, before = project.seq(), project.ids()
    project.person.api.restart(project.box("vpn"), timeout=1)
    until(lambda: not project.connected(), 10, "torrent is cut off")
    until(lambda: project.ended(since, "restart") == ["torrent"], 30, "torrent is restarted")
    assert project.connected()
    assert project.ids() == before


def test_a_parent_that_compose_makes_anew_takes_its_child_along(project: Project) -> None:
    """compose 1.29 recreates what shares the network itself; a person who removes and makes one by hand does not."""
    since = project.seq()
    seen = project.person.look(project.box("vpn"))
    assert seen is not None
    api, name = project.person.api, project.box("vpn")
    api.stop(name, timeout=1)
    api.remove_container(name)
    host = api.create_host_config(network_mode=project.person.network, restart_policy={"Name": "unless-stopped"})
    api.create_container(seen["Config"]["Image"], name=name, labels=seen["Config"]["Labels"], host_config=host)
    api.start(name)
    until(lambda: project.ended(since, "phoenix") == ["torrent"], 30, "torrent is made anew")
    until(project.connected, 10, "torrent is connected")


def test_a_project_stops_and_starts_in_order(project: Project) -> None:
    since = project.seq()
    done = project.daemon.cli("stop", project.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.ended(since, "stop") == ORDER[::-1]
    policy = {
        word: (project.person.look(project.box(word)) or {})["HostConfig"]["RestartPolicy"]["Name"] for word in ORDER
    }
    assert set(policy.values()) == {"no"}
    given = project.daemon.cli("release", project.id("db"))
    assert f"Given back: {project.id('db')} (unless-stopped)" in given.stdout, given.stdout + given.stderr
    name = project.box("db")
    until(
        lambda: (project.person.look(name) or {})["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped",
        5,
        "policy",
    )
    done = project.daemon.cli("start", project.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.ended(since, "start") == ORDER
    assert project.connected()
