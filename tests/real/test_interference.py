"""A person in the middle of a Phoenix: docker-compose commands and `docker rm -f`, at any step of it.

The daemon is made to stand still at a step; the person's command runs to its end, or begins; then the daemon goes on.
Whatever was typed, afterwards exactly one container serves (or none, where the person wanted none), never two ran at
once, what is left beside it is said, and the next `up -d` finds a project in order.
"""

import contextlib
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import yaml

from supervisor.services import is_temp
from tests.support.daemon import ENDS, GOOD, OURS, Daemon, Hands, Nursery, hands, until
from tests.support.killable import VIEW

pytestmark = pytest.mark.real

SOAK = bool(os.environ.get("RESURGAM_SOAK"))
SEED = int(os.environ.get("RESURGAM_KILL_SEED", "4"))
AT_ONCE = 10
PATIENCE = {
    "supervisor.actions.probation:SETTLE": 1.0,
    "supervisor.actions.probation:SETTLE_PLAIN": 1.0,
    "supervisor.actions.common:ROOM": 3.0,
}
STEPS = (
    "before write create",
    "after write create",
    "before write stop",
    "after write stop",
    "after write rename",
    "after write rename#2",
    "after write start",
    "before commit begin commit",
    "after commit begin commit",
    "after write create#2",
    "before write remove",
)
"""where the daemon stands still, in their order"""
COMMANDS = {
    "up": ("up", "-d"),
    "recreate": ("up", "-d", "--force-recreate"),
    "stop": ("stop",),
    "rm": ("rm", "-sf"),
    "down": ("down",),
    "rm-old": (),
    "rm-new": (),
}
"""what the person types: docker-compose's words; none for `docker rm -f` of the old or the new one"""
WISHES = {"stop": "exited", "rm": "", "down": ""}
"""what the person wants of it: its state, '' for no container at all. The others want it to run"""
MEANWHILE = ("recreate", "stop", "down")
"""played a second time with the daemon going on while the command is under way"""


def plays() -> list[tuple[str, str, bool]]:
    """(command, step, whether the daemon goes on at once): in a soak all, else each command at some step."""
    kinds = [*((word, False) for word in COMMANDS), *((word, True) for word in MEANWHILE)]
    if SOAK:
        return [(word, step, goes_on) for word, goes_on in kinds for step in STEPS]
    chance = random.Random(SEED)
    steps = [*STEPS, *STEPS]
    chance.shuffle(steps)
    return [(word, step, goes_on) for (word, goes_on), step in zip(kinds, steps, strict=False)]


@dataclass
class Ledger:
    """Who ran when, as the engine told it while it happened: name of the service's container -> what ran at once."""

    api: docker.APIClient
    prefix: str
    running: dict[str, set[str]] = field(default_factory=dict)
    twice: dict[str, list[str]] = field(default_factory=dict)

    def listen(self) -> None:
        """Until the stream is closed."""
        self.stream = self.api.events(decode=True, filters={"type": "container", "event": ["start", "die"]})
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(Exception):  # the stream is closed in mid-read at the end
            for event in self.stream:
                said = event["Actor"]["Attributes"]
                project = said.get(VIEW, "")
                if not said.get("name", "").startswith(self.prefix) or not project:
                    continue
                there = self.running.setdefault(project, set())
                if event["Action"] == "die":
                    there.discard(event["Actor"]["ID"])
                    continue
                there.add(event["Actor"]["ID"])
                if len(there) > 1:
                    self.twice.setdefault(project, []).append(said["name"])


@dataclass
class Play:
    """One project: a folder with a compose file, one service, a daemon that looks after it, a person."""

    person: Hands
    daemon: Daemon
    word: str
    trouble: list[str] = field(default_factory=list)

    @property
    def project(self) -> str:
        return f"{self.person.prefix}{self.word}"

    @property
    def name(self) -> str:
        return f"{self.project}_oracle_1"

    def write(self, ref: str) -> None:
        service = {
            "image": ref,
            "restart": "unless-stopped",
            "stop_grace_period": "3s",
            "labels": {VIEW: self.word},
            "networks": ["net"],
        }
        networks = {"net": {"external": True, "name": self.person.network}}
        file = {"version": "3.8", "services": {"oracle": service}, "networks": networks}
        Path(self.daemon.folder, "docker-compose.yml").write_text(yaml.safe_dump(file))

    def compose(self, *words: str) -> subprocess.Popen[str]:
        command = ["docker-compose", "-p", self.project, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.daemon.folder, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def types(self, command: str, old: str) -> "subprocess.Popen[str] | None":
        """The person's command, begun; None where it is done already."""
        if COMMANDS[command]:
            return self.compose(*COMMANDS[command])
        rows = self.person.api.containers(all=True, filters={"label": f"{VIEW}={self.word}"})
        others = [row["Id"] for row in rows if row["Id"] != old]
        for each in [old] if command == "rm-old" else others:
            with contextlib.suppress(docker.errors.NotFound):
                self.person.api.remove_container(each, force=True)
        return None

    def composed(self) -> dict[str, str]:
        """The containers that compose takes for its own: name -> state."""
        label = f"com.docker.compose.project={self.project}"
        rows = self.person.api.containers(all=True, filters={"label": label})
        return {row["Names"][0].lstrip("/"): row["State"] for row in rows}

    def scene(self) -> str:
        rows = self.daemon.rows()
        said = [(row["kind"], row["body"].get("step", ""), row["body"].get("text", "")[:200]) for row in rows]
        boxes = [
            (each, (self.person.look(each) or {}).get("State", {}).get("Status"))
            for each in self.person.names(self.project)
        ]
        return "\n    ".join(map(str, [*said[-30:], *boxes]))


def play(person: Hands, nursery: Nursery, ledger: Ledger, number: int, what: tuple[str, str, bool]) -> str:
    """One play; what was wrong, '' for nothing."""
    command, step, meanwhile = what
    one = Play(person, Daemon(None, nursery), f"i{number:03}")
    daemon, service, ref = one.daemon, f"{one.project}.oracle", f"{person.prefix}/{one.word}:1"
    title = f"{command} {'from' if meanwhile else 'at'} {step}"
    try:
        daemon.config = daemon.folder / "resurgam.yaml"
        daemon.configure({"host": one.word, "consent": "listed", "services": {service: OURS}, "rules": []})
        person.tag(person.good, ref)
        one.write(ref)
        assert one.compose("up", "-d").wait(60) == 0
        old = (person.look(one.name) or {})["Id"]
        daemon.start(step, counted=True, patience=PATIENCE, view=one.word, number=signal.SIGSTOP)
        daemon.ready(60)
        daemon.settled(service)
        person.tag(person.image("next", f": next; {GOOD}"), ref)
        with contextlib.suppress(Exception):  # the answer may come only once it goes on
            daemon.client.command("phoenix", service, {"image": ref})
        until(daemon.stands, 30, f"the daemon stands still {step}")
        typed = one.types(command, old)
        if typed is not None and not meanwhile:
            typed.wait(60)
        daemon.signal(signal.SIGCONT)
        if typed is not None:
            typed.wait(60)
        failed = typed is not None and bool(typed.returncode)
        complaint = ended(one, service, command, failed) or finds_order(one, ledger)
        return f"{title}: {complaint}\n    {one.scene()}" if complaint else ""
    except AssertionError as err:
        return f"{title}: {err}\n    {one.daemon.said()}"
    finally:
        daemon.signal(signal.SIGCONT)
        daemon.close()
        person.remove(one.project)


def last_end(one: Play, service: str) -> dict[str, Any] | None:
    ends = [row for row in one.daemon.rows("action", service) if row["kind"] in ENDS]
    return next((row for row in reversed(ends) if row["body"].get("verb") == "phoenix"), None)


def ended(one: Play, service: str, command: str, failed: bool) -> str:
    """Wait until the plan is over and the world stands as somebody wanted it; what is wrong, '' for nothing. `failed`:
    the person's command itself ended with an error, so that a second one will follow."""
    person, daemon = one.person, one.daemon

    def wrong() -> str:
        end, status = last_end(one, service), daemon.status()
        if end is None or status is None or status["plans"]:
            return "the plan has not ended"
        boxes = {each: person.look(each) or {} for each in person.names(one.project)}
        kept = [each for each in boxes if is_temp(each)]
        if loose := sorted(set(kept) - set(end["body"]["left"])):
            return f"left over, and nowhere said: {loose}"
        if [each for each in kept if boxes[each].get("State", {}).get("Running")]:
            return "a kept one runs"
        state = boxes.get(one.name, {}).get("State", {}).get("Status", "")
        if state == "running" and person.answers(one.name):
            return ""
        if command in WISHES and state in ("", WISHES[command]):
            return ""
        if command == "rm-old" and not state and end["kind"] in ("action.failed", "action.ended_early"):
            return ""  # it was all there was, and a person removed it
        if (command == "rm-new" or failed) and "was removed since" in end["body"]["text"]:
            return ""  # it proved healthy, and then a person removed it
        return f"{one.name} is {state or 'gone'} after {end['kind']}: {end['body']['text']}"

    with contextlib.suppress(AssertionError):
        until(lambda: not wrong(), 40, "", pause=0.2)
    return wrong()


def finds_order(one: Play, ledger: Ledger) -> str:
    """The next `up -d`: exactly one container, serving; and never did two run at once. What is wrong."""
    again = one.compose("up", "-d")
    said, _ = again.communicate(timeout=60)
    if again.returncode:
        return f"up -d afterwards failed: {said[-400:]}"
    with contextlib.suppress(AssertionError):
        until(lambda: one.composed() == {one.name: "running"} and one.person.answers(one.name), 15, "")
    if one.composed() != {one.name: "running"}:
        return f"after the next up -d compose has {one.composed()}"
    if not one.person.answers(one.name):
        return "after the next up -d it does not answer"
    if twice := ledger.twice.get(one.word):
        return f"two ran at once: {twice}"
    return ""


@pytest.fixture(scope="module")
def played() -> Iterator[dict[tuple[str, str, bool], Future[str]]]:
    """All of them, side by side."""
    nursery = Nursery()
    try:
        with hands("i") as person, ThreadPoolExecutor(AT_ONCE) as pool:
            ledger = Ledger(docker.APIClient(version="auto"), person.prefix)
            ledger.listen()
            person.image("next", f": next; {GOOD}")
            yield {what: pool.submit(play, person, nursery, ledger, n, what) for n, what in enumerate(plays())}
            ledger.stream.close()
    finally:
        nursery.close()


def test_whatever_a_person_types_in_the_middle_nothing_is_lost_and_nothing_runs_twice(
    played: dict[tuple[str, str, bool], Future[str]],
) -> None:
    complaints = [future.result(300) for future in played.values()]
    wrong = [each for each in complaints if each]
    assert not wrong, f"{len(wrong)} of {len(complaints)}:\n" + "\n".join(wrong)
