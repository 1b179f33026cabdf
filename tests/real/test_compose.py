"""A person's docker-compose after a Phoenix: `up -d`, `stop`, `start` and `down` find exactly the serving container.

Debian's docker-compose on a real engine, after each outcome: verified, rolled back, and killed in the middle and
recovered. What Resurgam keeps beside the service (a spare, a failed one) must not look like compose's own.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from supervisor.services import is_temp
from tests.support.daemon import GOOD, OURS, Daemon, Hands, Nursery, hands, until
from tests.support.killable import VIEW

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0}
OUTCOMES = {
    "verified": ("", "good"),
    "rolled-back": ("", "bad"),
    "killed-before-the-commit": ("before commit begin commit", "good"),
    "killed-while-parked": ("after write rename", "good"),
    "killed-on-the-way-back": ("after commit begin back_name", "bad"),
}
"""where the daemon dies, and the image that the tag is moved to"""


@dataclass
class Story:
    """One project: a folder with a compose file, a service in it, a daemon that looks after it."""

    person: Hands
    daemon: Daemon
    word: str
    trouble: list[str] = field(default_factory=list)

    @property
    def project(self) -> str:
        return f"{self.person.prefix}{self.word.replace('-', '')}"

    @property
    def name(self) -> str:
        return f"{self.project}_oracle_1"

    def compose(self, *words: str) -> None:
        """docker-compose, as a person types it."""
        command = ["docker-compose", "-p", self.project, *words]
        done = subprocess.run(command, cwd=self.daemon.folder, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            self.trouble.append(f"{' '.join(words)}: {done.stderr[-400:]}")

    def write(self, ref: str) -> None:
        """The compose file."""
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

    def composed(self) -> dict[str, str]:
        """The containers that compose takes for its own: name -> state."""
        label = f"com.docker.compose.project={self.project}"
        rows = self.person.api.containers(all=True, filters={"label": label})
        return {row["Names"][0].lstrip("/"): row["State"] for row in rows}

    def expect(self, after: str, state: str) -> None:
        """Exactly the serving container, in this state ('' for none), and nothing else runs."""
        wanted = {self.name: state} if state else {}
        try:
            until(lambda: self.composed() == wanted, 15, "")
            if state == "running":
                until(lambda: self.person.answers(self.name), 15, "")
        except AssertionError:
            self.trouble.append(f"after {after}: {self.composed()}, wanted {wanted}, answering")
        for other in self.person.names(self.project):
            seen = self.person.look(other)
            if is_temp(other) and seen is not None and seen["State"]["Running"]:
                self.trouble.append(f"after {after}: {other} runs")


def play(person: Hands, nursery: Nursery, word: str) -> list[str]:
    """One outcome, then a person's day. What was wrong."""
    point, kind = OUTCOMES[word]
    story = Story(person, Daemon(None, nursery), word)
    daemon, service, ref = story.daemon, f"{story.project}.oracle", f"{person.prefix}/{word}:1"
    try:
        daemon.config = daemon.folder / "resurgam.yaml"
        daemon.configure({"host": word, "services": {service: OURS}, "rules": []})
        person.tag(person.good, ref)
        story.write(ref)
        story.compose("up", "-d")
        daemon.start(point, counted=True, patience=PATIENCE, view=word)
        daemon.ready(60)
        until(lambda: (daemon.service(service) or {}).get("healthy"), 20, "the service is healthy")
        person.tag(person.image("next", f": next; {GOOD}") if kind == "good" else person.bad, ref)
        daemon.command("phoenix", service, image=ref)
        if point:
            assert daemon.ended(30) == -signal.SIGKILL
            daemon.start(patience=PATIENCE, view=word)
            daemon.ready(60)
        end = daemon.outcome("phoenix", service)
        assert end["kind"] == ("action.verified" if kind == "good" else "action.rolled_back"), end["body"]["text"]
        story.expect("the phoenix", "running")
        if kind == "bad":
            person.tag(person.good, ref)  # who reads the message takes the bad image back
        story.compose("up", "-d")
        story.expect("up -d", "running")
        story.compose("stop")
        story.expect("stop", "exited")
        daemon.heard("container.stopped", service)
        story.compose("start")
        story.expect("start", "running")
        story.compose("down")
        story.expect("down", "")
        strangers = [name for name in person.names(story.project) if not is_temp(name)]
        return story.trouble + [f"{name} is left after down" for name in strangers]
    finally:
        daemon.close()
        person.remove(story.project)


@pytest.fixture(scope="module")
def stories() -> Iterator[dict[str, Future[list[str]]]]:
    """All outcomes, played side by side."""
    nursery = Nursery()
    try:
        with hands("c") as person, ThreadPoolExecutor(len(OUTCOMES)) as pool:
            yield {word: pool.submit(play, person, nursery, word) for word in OUTCOMES}
    finally:
        nursery.close()


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_compose_finds_exactly_the_serving_container(outcome: str, stories: dict[str, Future[list[str]]]) -> None:
    assert stories[outcome].result(300) == []


def test_debians_compose_is_here() -> None:
    said = subprocess.run(["docker-compose", "version", "--short"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("1."), os.environ["PATH"]
