"""The transaction on a real engine: a backup first, a port that somebody holds, `rollback --retag`, data that is not
handed back without a word."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import docker.errors
import pytest

from supervisor.services import is_temp
from tests.support.daemon import BAD, GOOD, OURS, Daemon, Hands, Nursery, hands, until

pytestmark = pytest.mark.real

PORT = 18_931


PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0, "supervisor.actions.probation:SETTLE_PLAIN": 1.0}


@dataclass(frozen=True, slots=True)
class Stage:
    """What the plays share."""

    person: Hands
    nursery: Nursery

    def daemon(self, word: str, **said: object) -> Daemon:
        """A daemon that looks after one service, ready."""
        service = f"{self.person.prefix}.{word}"
        settings = {"host": "tx", "consent": "listed", "services": {service: {**OURS, **said}}, "rules": []}
        daemon = Daemon(settings, self.nursery)
        daemon.start(patience=PATIENCE)
        daemon.ready()
        return daemon


def backup(stage: Stage) -> None:
    person = stage.person
    ref, service = f"{person.prefix}/db:1", f"{person.prefix}.db"
    first, second = person.good, person.image("second", GOOD + " # 2")
    person.tag(first, ref)
    before = {
        "exec": ["sh", "-c", "echo rows > /tmp/dump; echo password=hunter2"],
        "within": "10s",
        "file": "/tmp/dump",
    }
    daemon = stage.daemon("db", before=before)
    try:
        name = person.up("db", ref)
        daemon.heard("drift.proved", service)
        person.tag(second, ref)
        moved = daemon.cli("phoenix", service, "--image", "current")
        assert moved.returncode == 0, moved.stdout + moved.stderr
        told = daemon.outcome("phoenix", service)["body"]
        assert told["backup"]["exit_code"] == 0
        assert told["backup"]["output"] == ["password=***"]
        assert (told["old_image"], told["new_image"]) == (first, second)
        assert 0 < told["load_seconds"] < told["downtime"] < 10
        assert [each["step"] for each in told["steps"]][:3] == ["look", "before", "create"]
        shown = daemon.cli("show", str(told["plan"])).stdout
        for word in ("wrote /tmp/dump", "away", "steps", "stop "):
            assert word in shown, shown
        until(lambda: len(daemon.rows("drift.proved", service)) == 2, 20, "the second image is proved")

        back = daemon.cli("rollback", service, "--retag")
        assert back.returncode == 0, back.stdout + back.stderr
        assert (person.look(name) or {})["Image"] == first
        assert person.api.inspect_image(ref)["Id"] == first
        assert f"{ref} stands for it now" in daemon.outcome("rollback", service)["body"]["text"]

        empty = {**before, "exec": ["true"], "file": "/tmp/nothing"}
        daemon.stop()
        daemon.configure({"host": "tx", "consent": "listed", "services": {service: {**OURS, "before": empty}}})
        daemon.start(patience=PATIENCE)
        daemon.ready()
        refused = daemon.cli("phoenix", service, "--image", f"{person.prefix}/second:1")
        assert refused.returncode == 1
        assert "there is no file /tmp/nothing" in refused.stdout
        assert (person.look(name) or {})["Image"] == first
    finally:
        daemon.close()


def held_port(stage: Stage) -> None:
    person = stage.person
    service, name = f"{person.prefix}.web", f"{person.prefix}-web"
    daemon = stage.daemon("web", **{"stop-grace": "1s"})
    try:
        host = person.api.create_host_config(network_mode=person.network, port_bindings={8000: ("127.0.0.1", PORT)})
        labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": "web"}
        for each in (name, f"{person.prefix}-thief"):
            mine = labels if each == name else {}
            person.api.create_container(
                f"{person.prefix}/good:1", name=each, labels=mine, host_config=host, ports=[8000]
            )
        person.api.start(name)
        daemon.heard("drift.proved", service)
        plan = daemon.command("phoenix", service, image="current")["plan"]
        # it takes the port in the moment in which nobody has it
        for event in person.api.events(decode=True, filters={"container": name, "event": "stop"}):
            assert event["Action"] == "stop"
            break
        try:
            person.api.start(f"{person.prefix}-thief")
        except docker.errors.APIError:
            stolen = False  # the new one was faster
        else:
            stolen = True
        if stolen:
            waits = daemon.heard("action.end", service)
            while "Waits" not in waits["body"]["text"]:
                waits = daemon.heard("action.end", service, after=waits["seq"])
            assert str(PORT) in waits["body"]["text"]
            person.api.stop(f"{person.prefix}-thief", timeout=1)
        told = daemon.outcome("phoenix", service)
        assert told["kind"] == "action.verified", json.dumps(told["body"])
        assert told["body"]["plan"] == plan
    finally:
        daemon.close()


def changed_data(stage: Stage) -> None:
    person = stage.person
    service = f"{person.prefix}.state"
    person.image("crash", BAD)
    daemon = stage.daemon("state", stateful=True)
    try:
        name = person.up("state", f"{person.prefix}/good:1")
        daemon.heard("drift.proved", service)
        old = (person.look(name) or {})["Id"]
        daemon.command("phoenix", service, image=f"{person.prefix}/crash:1")
        asked = daemon.heard("action.approval", service, limit=40)["body"]["approval"]
        boxes = {each: person.look(each) or {} for each in person.names(name)}
        assert len(boxes) == 2
        assert not any(box["State"]["Running"] for box in boxes.values())
        assert {box["HostConfig"]["RestartPolicy"]["Name"] for box in boxes.values()} == {"no"}
        daemon.cli("approve", asked)
        told = daemon.outcome("phoenix", service)
        assert told["kind"] == "action.rolled_back"
        assert told["body"]["failed"]["exit_code"] == 139
        assert (person.look(name) or {})["Id"] == old
        assert person.answers(name)
        assert not [each for each in person.names(name) if is_temp(each)], "compose would start the failed one"
    finally:
        daemon.close()


PLAYS = (backup, held_port, changed_data)


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Future[None]]]:
    """All of them, side by side."""
    nursery = Nursery()
    try:
        with hands("tx") as person, ThreadPoolExecutor(len(PLAYS)) as pool:
            yield {play.__name__: pool.submit(play, Stage(person, nursery)) for play in PLAYS}
    finally:
        nursery.close()


def test_a_backup_comes_first_and_a_rollback_takes_the_tag_along(played: dict[str, Future[None]]) -> None:
    played["backup"].result(300)


def test_a_published_port_that_somebody_holds_is_waited_for(played: dict[str, Future[None]]) -> None:
    played["held_port"].result(300)


def test_data_that_may_have_changed_is_handed_back_by_a_persons_word_only(played: dict[str, Future[None]]) -> None:
    played["changed_data"].result(300)
