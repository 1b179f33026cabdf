"""The daemon as a person runs it: started, asked, told, reloaded and ended, on a real engine, through the real CLI."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import GOOD, OURS, Daemon, Hands, Nursery, hands, until
from tests.support.proxy import ChaosProxy

pytestmark = pytest.mark.real

DEADLINE = 60.0
"""seconds in which SIGTERM ends the daemon on a machine that has a lot to do; else it hangs"""
PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0}
"""seconds of health before an action counts as verified, instead of 5"""
UP = """\
groups:
- name: own
  rules:
  - alert: Up
    expr: resurgam_container_running == 1
    labels: {severity: info}
"""
WORSE = UP.replace("resurgam_container_running == 1", "rate_of_nothing(resurgam_container_running[5m])")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("d") as made:
        yield made


@pytest.fixture
def box(person: Hands, nursery: Nursery) -> Iterator["Box"]:
    """A service `a` that is ours and a service `b` that is only watched, and a ready daemon."""
    made = Box(person, nursery)
    yield made
    made.daemon.close()
    person.remove(person.prefix)


class Box:
    """One daemon that sees two containers."""

    def __init__(self, person: Hands, nursery: Nursery) -> None:
        self.person = person
        self.ours, self.theirs = f"{person.prefix}.a", f"{person.prefix}.b"
        self.rules = Path()
        self.daemon = Daemon({}, nursery)
        self.rules = self.daemon.folder / "rules"
        self.rules.mkdir(mode=0o700)
        self.rule(UP)
        # stop-grace: a plan that stays a little in its irreversible part
        entry = {**OURS, "stop-grace": "1s"}
        self.daemon.configure({"host": "box", "services": {self.ours: entry}, "rules": [str(self.rules)]})
        self.name = person.up("a", f"{person.prefix}/good:1", VIEWED)
        person.up("b", f"{person.prefix}/good:1", VIEWED)
        self.start()

    def start(self) -> None:
        self.daemon.start(view="box", patience=PATIENCE)
        self.daemon.ready()
        until(lambda: (self.daemon.service(self.ours) or {}).get("healthy"), 20, "the service is healthy")

    def rule(self, text: str) -> None:
        """Write the one rule file."""
        file = self.rules / "own.yaml"
        file.write_text(text)
        file.chmod(0o600)


VIEWED = {"rsgr.view": "box"}


def lines(done: "subprocess.CompletedProcess[str]") -> list[str]:
    return (done.stdout + done.stderr).splitlines()


# ------------------------------------------------------------ life


def test_with_no_configuration_it_watches_everything_and_heals_nothing(person: Hands, nursery: Nursery) -> None:
    daemon = Daemon(None, nursery)
    try:
        name = person.up("a", f"{person.prefix}/good:1", VIEWED)
        daemon.start(view="box")
        daemon.ready()
        said = daemon.heard("daemon.ready")["body"]["text"]
        assert said == "1 container is watched, none is healed: none says `resurgam.enable=true`."
        refused = daemon.cli("restart", name)
        assert refused.returncode == 3, lines(refused)
        assert "resurgam.enable=true" in refused.stderr
        assert daemon.stop() == 0
        assert person.answers(name)
        assert not (daemon.state / "control.sock").exists()
    finally:
        daemon.close()
        person.remove(person.prefix)


def test_a_second_daemon_on_the_same_state_folder_is_refused_in_one_sentence(box: Box) -> None:
    second = box.daemon.cli("run")
    assert second.returncode == 1
    assert len(lines(second)) == 1, lines(second)
    assert f"(process {box.daemon.process.pid})" in second.stderr  # type: ignore[union-attr]
    assert (box.daemon.status() or {})["status"] != "recovering", "the first is not disturbed"
    assert box.daemon.stop() == 0


def test_without_a_daemon_the_command_line_says_how_to_start_one(nursery: Nursery) -> None:
    daemon = Daemon({}, nursery)
    try:
        asked = daemon.cli("status")
        assert asked.returncode == 4
        assert "resurgam run" in asked.stderr
    finally:
        daemon.close()


def test_a_plan_that_sigterm_left_open_is_finished_by_the_next_start(box: Box) -> None:
    old = (box.person.look(box.name) or {})["Id"]
    box.person.tag(box.person.image("next", f"sleep 3; {GOOD}"), f"{box.person.prefix}/next:1")
    box.daemon.command("phoenix", box.ours, image=f"{box.person.prefix}/next:1")
    until(lambda: any(row["body"]["step"] == "probation" for row in box.daemon.rows("action.begin")), 60, "probation")
    box.daemon.signal(signal.SIGTERM)
    assert box.daemon.ended(DEADLINE) == 0
    box.start()
    box.daemon.heard("action.recovered")
    assert box.daemon.outcome("phoenix", box.ours)["kind"] == "action.verified"
    now = box.person.look(box.name)
    assert now is not None
    assert now["Id"] != old
    assert box.person.answers(box.name)
    until(lambda: (box.daemon.status() or {})["plans"] == [], 60, "nothing is open (its proof leads to a plan, too)")


# ------------------------------------------------------------ rules


def test_sighup_takes_good_rules_and_leaves_bad_ones(box: Box) -> None:
    box.rule(UP.replace("Up", "StillUp"))
    box.daemon.signal(signal.SIGHUP)
    box.daemon.heard("daemon.reloaded")

    def firing() -> set[str]:
        return {alert["labels"]["alertname"] for alert in (box.daemon.status() or {})["alerts"]}

    until(lambda: firing() == {"StillUp"}, 10, "the new rule fires and the old one is gone")
    box.rule(WORSE)
    box.daemon.signal(signal.SIGHUP)
    text = box.daemon.heard("daemon.rules_bad")["body"]["text"]
    assert "own.yaml:5:" in text, text
    assert "rate_of_nothing" in text
    assert firing() == {"StillUp"}
    assert len(box.daemon.rows("daemon.reloaded")) == 1
    box.rule(UP)
    box.daemon.signal(signal.SIGHUP)
    until(lambda: firing() == {"Up"}, 10, "a repaired file is taken")
    assert (box.daemon.status() or {})["daemon"]["problems"] == []


# ------------------------------------------------------------ the command line


def test_the_command_line_tells_what_is(box: Box) -> None:
    daemon = box.daemon
    until(lambda: (daemon.status() or {})["alerts"], 10, "an alert")
    status = daemon.cli("status", "-o", "json")
    assert status.returncode == 1, "alerts fire"
    assert [each["service"] for each in json.loads(status.stdout)["services"]] == [box.ours, box.theirs]
    assert "box: " in daemon.cli("status").stdout.splitlines()[0]
    events = daemon.cli("events", "-o", "json", "--kind", "alert.firing")
    assert events.returncode == 0
    assert {event["body"]["alert"]["labels"]["alertname"] for event in json.loads(events.stdout)} == {"Up"}
    explained = daemon.cli("explain", "Up")
    assert explained.returncode == 0
    assert " by resurgam_container_running{" in explained.stdout, "which sample moved it"
    assert daemon.cli("explain", "Nothing").returncode == 2


def test_the_command_line_acts_and_its_exit_code_says_how_it_went(box: Box) -> None:
    daemon, person, ours = box.daemon, box.person, box.ours
    before = (person.look(box.name) or {})["State"]["StartedAt"]
    restarted = daemon.cli("restart", ours)
    assert restarted.returncode == 0, lines(restarted)
    told = re.search(r"plan (\d+)", restarted.stdout)
    assert told, "its number at once; it need not be the first one: a proof leads to a plan, too"
    assert (person.look(box.name) or {})["State"]["StartedAt"] != before
    shown = daemon.cli("show", told[1])
    assert (shown.returncode, "restart" in shown.stdout) == (0, True), lines(shown)
    assert "restart" in daemon.cli("history").stdout
    stopped = daemon.cli("stop", ours)
    assert stopped.returncode == 0, lines(stopped)
    seen = person.look(box.name) or {}
    assert (seen["State"]["Status"], seen["HostConfig"]["RestartPolicy"]["Name"]) == ("exited", "no")
    assert daemon.cli("start", ours).returncode == 0
    seen = person.look(box.name) or {}
    assert (seen["State"]["Status"], seen["HostConfig"]["RestartPolicy"]["Name"]) == ("running", "unless-stopped")


def test_a_phoenix_that_does_not_rise_is_put_back_and_says_so(box: Box) -> None:
    done = box.daemon.cli("phoenix", box.ours, "--image", f"{box.person.prefix}/bad:1")
    assert done.returncode == 1, lines(done)
    assert "exit code 139" in done.stdout
    assert (box.person.look(box.name) or {})["Image"] == box.person.good
    until(lambda: box.person.answers(box.name), 10, "it answers again")
    again = box.daemon.cli("phoenix", box.ours, "--image", f"{box.person.prefix}/bad:1")
    assert again.returncode in (1, 3), "an image that failed is quarantined"
    assert "quarantine" in again.stdout + again.stderr


def test_what_may_not_be_done_is_refused_with_a_reason(box: Box) -> None:
    daemon = box.daemon
    unowned = daemon.cli("restart", box.theirs)
    assert (unowned.returncode, len(lines(unowned))) == (3, 1), lines(unowned)
    assert "resurgam.enable=true" in unowned.stderr
    assert daemon.cli("restart", "nobody").returncode == 3
    assert daemon.cli("pause", "--reason", "a test", "--for", "1h").returncode == 0
    paused = daemon.cli("restart", box.ours)
    assert paused.returncode == 3
    assert "a test" in paused.stderr
    assert daemon.cli("resume").returncode == 0
    assert box.person.answers(box.name)
    told = [row["kind"] for row in daemon.rows("action") if row["body"]["verb"] == "restart"]
    assert told == ["action.refused"] * 3


# ------------------------------------------------------------ what may be missing


async def test_an_engine_that_comes_later_is_watched_when_it_comes(person: Hands, nursery: Nursery) -> None:
    daemon = Daemon({}, nursery)
    socket = str(daemon.folder / "engine.sock")
    daemon.configure({"host": "late", "docker": {"endpoint": f"unix://{socket}"}})
    proxy = ChaosProxy("/var/run/docker.sock", socket)
    try:
        await asyncio.to_thread(person.up, "a", f"{person.prefix}/good:1", VIEWED)
        daemon.start(view="box")
        status = await asyncio.to_thread(daemon.ready)
        assert status["services"] == []
        lost = await asyncio.to_thread(daemon.heard, "daemon.engine_lost")
        assert "does not answer" in lost["body"]["text"]

        def memory() -> object:
            return (daemon.status() or {})["host"]["memory"]["total"]

        assert await asyncio.to_thread(until, memory, 20, "the host is watched without an engine")
        await proxy.listen()
        await asyncio.to_thread(daemon.heard, "daemon.engine_back", limit=40)
        seen = await asyncio.to_thread(
            until, lambda: daemon.service(f"{person.prefix}.a"), 20, "its containers are seen"
        )
        assert seen["state"] == "running"
        assert (await asyncio.to_thread(daemon.stop)) == 0
    finally:
        await proxy.vanish()
        await asyncio.to_thread(daemon.close)
        await asyncio.to_thread(person.remove, person.prefix)


def test_the_plain_command_starts_and_ends(person: Hands) -> None:
    daemon = Daemon({"host": "plain", "mode": "observe"})
    try:
        daemon.start()
        daemon.ready(30)
        assert os.getpgid(daemon.process.pid) > 0  # type: ignore[union-attr]
        daemon.signal(signal.SIGTERM)
        assert daemon.ended(DEADLINE) == 0, daemon.said()
        assert "Traceback" not in daemon.said()
    finally:
        daemon.close()
