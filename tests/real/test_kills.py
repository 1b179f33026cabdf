"""SIGKILL of the daemon at every commit and every engine write of a Phoenix: the next start makes it whole.

To a good image it is story 1 on a real engine: a service with a proved image is recreated from one that exits 139; it
loops, the shipped rule fires, the shipped playbook goes back to the proved image. To an image that dies at once, that
never gets healthy, or that dies in probation it is a person who moves a healthy service there. An undisturbed run
of each gives the points. Then each point gets a service, a journal and a daemon of its own, which dies there; what a
person then finds is looked at from outside.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from supervisor.errors import DaemonAbsent, ResurgamError
from supervisor.rules import shipped_folder
from supervisor.services import is_temp
from tests.support.daemon import BAD, ENDS, OURS, PORT, Daemon, Hands, Nursery, hands, until

pytestmark = pytest.mark.real

AT_ONCE = 10
"""services that are broken, killed and healed side by side"""
PATIENCE = {
    "supervisor.actions.probation:SETTLE": 1.0,
    "supervisor.incidents.deciding:SETTLE": 0.5,
    "supervisor.incidents.ladder:RETRY": 0.5,
}
"""seconds, instead of 5, 30 and 60: eighty services wait for them"""
LIMIT = 45.0
SOAK = bool(os.environ.get("RESURGAM_SOAK"))
"""take every single point"""
FEWEST, FEWEST_BACK = 30, 40
"""points that the story and each way back have at the very least; fewer means that the counting is broken"""
UNFIT = {
    "bad": BAD,
    "sick": "trap 'exit 0' TERM; sleep 3600 & wait",
    "late": f"echo fine > /tmp/health; httpd -p {PORT} -h /tmp; sleep 0.7; exit 3",
}
"""images that no service can live on: one dies at once, one is never healthy, one dies in probation"""
SHARE = 6
"""short of a soak one in so many of their points is taken, which is a matter of the seed"""
SEED = int(os.environ.get("RESURGAM_KILL_SEED", "4"))


Begin = Callable[[str, str], tuple[Daemon, str]]
"""sets up one play, (word, point) -> (daemon, name of the container)"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the points share."""

    hands: Hands
    nursery: Nursery
    rules: Path

    @property
    def ref(self) -> str:
        """The reference that moved: it stands for the bad image."""
        return f"{self.hands.prefix}/oracle:1"

    def unfit(self, kind: str) -> str:
        """The reference of an image that no service can live on."""
        self.hands.image(kind, UNFIT[kind])
        return f"{self.hands.prefix}/{kind}:1"

    def breaks(self, word: str, point: str = "") -> tuple[Daemon, str]:
        """A daemon that knows what proved good for a service `word`, to die at `point`; and then the service, recreated
        from the image that does not work. (daemon, name of the container)"""
        service = f"{self.hands.prefix}.{word}"
        # the time of proof as it is: within the second that other tests take, a bad image on a busy box proves itself
        settings = {"host": word, "services": {service: OURS}, "rules": [str(self.rules)], "proof": "10m"}
        daemon = Daemon(settings, self.nursery)
        try:
            daemon.seed_proof(service, self.hands.good, self.ref)
            daemon.start(point, counted=True, patience=PATIENCE, view=word)
            daemon.ready(60)
            return daemon, self.hands.up(word, self.ref, secret=True)
        except BaseException:
            daemon.close()
            raise

    def moves(self, kind: str, word: str, point: str = "") -> tuple[Daemon, str]:
        """A service in good health, a daemon that is to die at `point`, and a person who moves it to an unfit image."""
        service = f"{self.hands.prefix}.{word}"
        daemon = Daemon({"host": word, "services": {service: OURS}, "rules": []}, self.nursery)
        try:
            name = self.hands.up(word, f"{self.hands.prefix}/good:1", secret=True)
            daemon.start(point, counted=True, patience=PATIENCE, view=word)
            daemon.ready(60)
            until(lambda: (daemon.service(service) or {}).get("healthy"), 30, f"{service} is healthy")
            with contextlib.suppress(*((DaemonAbsent,) if point else ())):  # it may die before it answers
                daemon.command("phoenix", service, image=self.unfit(kind), within="6s")
            return daemon, name
        except BaseException:
            daemon.close()
            raise


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    rules, nursery = tmp_path_factory.mktemp("rules"), Nursery()
    for name in ("containers.yaml", "containers.playbooks.yaml"):
        # as shipped, but at the second death: the engine waits longer before each restart, and so would eighty services
        text = (shipped_folder() / name).read_text()
        (rules / name).write_text(
            text.replace("resurgam_container_death_streak >= 3", "resurgam_container_death_streak >= 2")
        )
        (rules / name).chmod(0o600)
    try:
        with hands("k") as made:
            made.tag(made.bad, f"{made.prefix}/oracle:1")
            yield Stage(made, nursery, rules)
    finally:
        nursery.close()


def whole(stage: Stage, daemon: Daemon, name: str) -> str:
    """What is not as it should be with one service, seen from outside; '' if all is well."""
    found = stage.hands.look(name)
    if found is None:
        return "nothing has the canonical name"
    state, host = found["State"], found["HostConfig"]
    if found["Image"] != stage.hands.good:
        return f"it runs image {found['Image'][:19]}"
    if not state["Running"] or state["Restarting"]:
        return f"it is {state['Status']}"
    if host["RestartPolicy"]["Name"] != "unless-stopped":
        return f"its restart policy is {host['RestartPolicy']}"
    if not stage.hands.answers(name):
        return "it does not answer"
    if not stage.hands.has_secret(name):
        return "the file that compose put there is gone"
    status = daemon.status()
    if status is None:
        return f"the daemon does not answer: {daemon.said()}"
    if status["plans"]:
        return f"plan {status['plans'][0]['id']} is open: {status['plans'][0]['steps']}"
    return leftovers(stage, daemon, name)


def leftovers(stage: Stage, daemon: Daemon, name: str) -> str:
    """Containers with a temporary name that the journal does not list as kept."""
    there = [each for each in stage.hands.names(name) if each == name or each.startswith(f"{name}.")]
    ends = [row for row in daemon.rows("action") if row["kind"] in ENDS and row["body"].get("verb") == "phoenix"]
    kept = set(ends[-1]["body"]["left"]) if ends else set()
    loose = [each for each in there if each != name and each not in kept]
    if loose:
        return f"left over, and nowhere said: {loose} (said: {sorted(kept)})"
    running = [each for each in there if is_temp(each) and (stage.hands.look(each) or {})["State"]["Running"]]
    return f"these run beside it: {running}" if running else ""


def healed(stage: Stage, daemon: Daemon, name: str) -> str:
    """Wait until all is well; '' then, else the last complaint."""
    complaint, end = "not looked at", time.monotonic() + LIMIT
    while complaint and time.monotonic() < end:
        complaint = whole(stage, daemon, name)
        time.sleep(0.3)
    return complaint


def story(daemon: Daemon) -> str:
    """What the daemon has to say about it, for whoever reads a failure."""
    if daemon.status() is None:
        return daemon.said()
    rows = [(row["kind"], row["body"].get("step", ""), row["body"].get("text", "")[:160]) for row in daemon.rows()]
    return "\n  ".join(map(str, rows[-40:]))


def scene(stage: Stage, name: str) -> str:
    """The containers of one service as the engine shows them, for whoever reads a failure."""
    lines = []
    for each in stage.hands.names(name):
        one = stage.hands.look(each)
        if one is not None:
            state = f"{one['State']['Status']} ({one['State']['ExitCode']})"
            lines.append(f"{one['Name']} {state} of {one['Image'][:19]}: {one['Config']['Cmd']}")
    return "\n  ".join(lines)


def killed(daemon: Daemon) -> int | None:
    """Wait for its death; None where the phoenix ended without it."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        assert daemon.process is not None
        code = daemon.process.poll()
        if code is not None:
            return code
        with contextlib.suppress(ResurgamError, OSError):
            ends = [row for row in daemon.rows("action") if row["kind"] in ENDS and row["body"]["verb"] == "phoenix"]
            if ends and time.time() - ends[-1]["time"] > 2.0:
                return None
        time.sleep(0.2)
    return None


def die_and_rise(stage: Stage, begin: Begin, number: int, point: str) -> str:
    """One point: killed there, started again. What was wrong afterwards, '' for nothing."""
    word = f"p{number:03}"
    daemon, name = begin(word, point)
    try:
        code = killed(daemon)
        if code is None and certain(point):
            return f"{point}: was not reached\n  {story(daemon)}"
        if code not in (None, -signal.SIGKILL):
            return f"{point}: the daemon ended by itself ({code}): {daemon.said()}"
        if code is not None:
            daemon.start(patience=PATIENCE, view=word)
        complaint = healed(stage, daemon, name)
        return f"{point}: {complaint}\n  {story(daemon)}\n  {scene(stage, name)}" if complaint else ""
    finally:
        daemon.close()
        stage.hands.remove(name)


def undisturbed(stage: Stage) -> list[str]:
    """The story as a person sees it: shipped rules, nothing seeded, nothing shortened but the time of proof. Its
    points."""
    person, word = stage.hands, "story"
    service, ref = f"{person.prefix}.{word}", f"{person.prefix}/{word}:1"
    daemon = Daemon({"host": word, "services": {service: OURS}, "proof": "3s"}, stage.nursery)
    try:
        daemon.start(counted=True, view=word)
        daemon.ready(60)
        person.tag(person.good, ref)
        person.up(word, ref)
        daemon.heard("drift.proved", service)
        person.tag(person.bad, ref)
        name = person.up(word, ref, secret=True)
        assert daemon.outcome("phoenix", service)["kind"] == "action.verified"
        complaint = healed(stage, daemon, name)
        assert not complaint, f"{complaint}\n  {story(daemon)}"
        planned = [row["body"]["verb"] for row in daemon.rows("action.planned", service)]
        assert planned.count("phoenix") == 1
        assert daemon.rows("drift.quarantined", service)
        daemon.heard("alert.resolved", limit=LIMIT)
        return points_of(daemon)
    finally:
        daemon.close()
        person.remove(f"{person.prefix}-{word}")


def put_back(stage: Stage, kind: str) -> list[str]:
    """The points of a Phoenix to an unfit image, there and back."""
    daemon, name = stage.moves(kind, f"back{kind}")
    try:
        assert daemon.outcome("phoenix", f"{stage.hands.prefix}.back{kind}")["kind"] == "action.rolled_back"
        complaint = healed(stage, daemon, name)
        assert not complaint, f"{complaint}\n  {story(daemon)}"
        return points_of(daemon)
    finally:
        daemon.close()
        stage.hands.remove(name)


def some(points: list[str], kind: str) -> list[str]:
    """Those of an unfit image's points that are taken, in their order."""
    if SOAK:
        return points
    chance = random.Random(f"{SEED} {kind}")
    return [point for point in points if chance.randrange(SHARE) == 0]


def points_of(daemon: Daemon) -> list[str]:
    """Where to kill: every point that was passed, in order, less those at which nothing has changed since the one
    before: after one step and before the next is the same world and the same journal. Where one commit has several
    names, the first of them."""
    passed = [line.split(" | ")[0] for line in daemon.record.read_text().splitlines()]
    return [
        point
        for before, point in zip(["", *passed], passed, strict=False)
        if SOAK or not (before.startswith("after") and point.startswith("before"))
    ]


def certain(point: str) -> bool:
    """Whether every run comes by this point: what the maneuver itself does. What the engine tells meanwhile may come
    in other turns, or after the end."""
    return " write " in point or point.split()[2] in ("begin", "end", "action.planned", *ENDS)


def test_killed_at_any_point_it_ends_whole(stage: Stage) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        story_of = pool.submit(undisturbed, stage)
        ways = {kind: pool.submit(put_back, stage, kind) for kind in UNFIT}
        forward, back = story_of.result(), {kind: way.result() for kind, way in ways.items()}
        assert len(forward) >= FEWEST, forward
        assert all(len(points) >= FEWEST_BACK for points in back.values()), back
        plays: list[tuple[Begin, str]] = [(stage.breaks, point) for point in forward]
        for kind, points in back.items():
            plays += [(partial(stage.moves, kind), point) for point in some(points, kind)]
        print(
            f"{len(plays)} plays: {len(forward)} points to a good image, seed {SEED} of",
            {k: len(p) for k, p in back.items()},
        )
        runs = [pool.submit(die_and_rise, stage, play, n, point) for n, (play, point) in enumerate(plays)]
        complaints = [run.result() for run in runs]
    wrong = [each for each in complaints if each]
    assert not wrong, f"{len(wrong)} of {len(plays)} points:\n" + "\n".join(wrong)
