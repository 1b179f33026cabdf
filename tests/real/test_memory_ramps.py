"""Memory that runs out at a real engine and a real kernel: the one that leaks is held, the innocent one lives.

Each story has a box of its own, a control group with a limit that stands for the machine (tests/support/ramps.py), and
a daemon for which that box is all there is, with the shipped rules. Several play side by side. What is asserted is who
was touched, what was said and in which order; a rate only decides how much time there is, and there are seconds of it.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, Hands, Nursery, hands, until
from tests.support.ramps import FIRST, MIB, Box

pytestmark = pytest.mark.real

SOAK = bool(os.environ.get("RESURGAM_SOAK"))
LONG = 60.0
"""seconds: who has to wait for so long waits for ever"""
LANES = 3
RISK = ("MemoryWillRunOut", "MemoryAlmostGone", "SwapWillRunOut")
SWAP = 256
"""MiB"""


@dataclass(frozen=True)
class Leak:
    """A box of so many MiB, an innocent service that takes so many, and one that leaks so many per second."""

    mib: int
    model: int
    rate: int


LEAKS = [Leak(1200, 760, 20), Leak(1200, 760, 48), Leak(900, 520, 14), Leak(900, 520, 32)]
if SOAK:  # 40: more sizes of the innocent one, and rates in between
    LARGE = [Leak(1200, 680 + 20 * step, rate) for rate in (16, 28, 48, 72) for step in range(5)]
    SMALL = [Leak(900, 440 + 20 * step, rate) for rate in (11, 20, 32, 48) for step in range(5)]
    LEAKS = LARGE + SMALL
STORIES = [f"{leak.model} of {leak.mib}, {leak.rate} a second" for leak in LEAKS]


class Stage:
    """What the stories share. Each gets a box and a daemon that are taken away at its end."""

    def __init__(self, person: Hands, nursery: Nursery) -> None:
        self.person, self.nursery = person, nursery

    def box(self, word: str, mib: int, *, swap: bool = False) -> contextlib.closing[Box]:
        return contextlib.closing(Box(self.person, word, mib, swap=swap))

    @contextlib.contextmanager
    def daemon(self, box: Box, services: dict[str, Any], there: Sequence[str] = ()) -> Iterator[Daemon]:
        """A daemon that knows these services, once those that are `there` (all, if none is named) are healthy and
        their memory was read."""
        made = Daemon(box.settings(services), self.nursery)
        try:
            made.start(view=box.word)
            made.ready()
            for word in there or services:
                made.settled(box.service(word), LONG)
                uses(made, box, word, 1)
            yield made
        finally:
            made.close()


def memory(daemon: Daemon) -> dict[str, Any]:
    """What its status says of the machine's memory."""
    found: dict[str, Any] = (daemon.status() or {}).get("host", {}).get("budget") or {}
    return found


def ever_at_risk(daemon: Daemon) -> dict[str, float]:
    """Kind of memory -> 1 if it was at risk at any time of this story, however shortly."""
    done = daemon.cli("query", "-o", "json", "max_over_time(resurgam_memory_at_risk[10m])")
    assert done.returncode == 0, done
    (found,) = json.loads(done.stdout)
    return {one["metric"]["resource"]: float(one["value"][1]) for one in found["data"]["result"]}


def uses(daemon: Daemon, box: Box, word: str, mib: float) -> None:
    """Wait until its status says that a service uses so much."""

    def look() -> bool:
        part = (daemon.service(box.service(word)) or {}).get("budget") or {}
        return bool((part.get("used") or 0) >= mib * MIB)

    until(look, LONG, lambda: f"{word} uses {mib} MiB: {daemon.service(box.service(word))} {daemon.said()}")


def told(daemon: Daemon, *kinds: str) -> list[dict[str, Any]]:
    """All rows of these kinds, in their order."""
    return [row for row in daemon.rows() if row["kind"] in kinds]


def fired(daemon: Daemon) -> list[dict[str, Any]]:
    """The alerts about memory that runs out."""
    return [row for row in told(daemon, "alert.firing") if row["body"]["alert"]["labels"]["alertname"] in RISK]


def touched(daemon: Daemon) -> list[tuple[str, str]]:
    """(verb, service) of what was begun; not that an image is kept, which touches no container."""
    found = [(row["body"].get("verb"), row["subject"]) for row in told(daemon, "action.planned")]
    return [(verb, subject) for verb, subject in found if verb != "protect"]


# ------------------------------------------------------------ stories


def leak(stage: Stage, number: int, leak: Leak, *, swap: bool = False) -> None:
    """The big one keeps to its plan, the small one does not."""
    plan = leak.model + 40
    services = {"model": {"memory": f"{plan}MiB"}, "leak": {"memory": "64MiB"}}
    with stage.box(f"leak{number}{'s' if swap else ''}", leak.mib, swap=swap) as box:
        box.start("model", f"take={leak.model}@500", most=plan)
        box.start("leak", "take=24@100", "wait=/go/on", f"take={leak.mib}@{leak.rate}", most=leak.mib)
        box.did("model", f"take={leak.model}@500")
        box.did("leak", "take=24@100")
        with stage.daemon(box, services) as daemon:
            if swap:
                assert memory(daemon)["swap"]["total"] > 0
            innocent, guilty = box.life("model"), box.life("leak")
            assert fired(daemon) == []
            box.let_on("on")
            until(lambda: held(daemon, box), LONG, lambda: f"it is held: {story(daemon)}")
            check(daemon, box)
            assert box.life("model") == innocent, "the innocent one lives its own life"
            assert box.look("leak")["State"]["OOMKilled"] is False
            if box.frozen("leak"):
                assert box.life("leak") == guilty
            if swap:  # free swap is no free memory
                parts = [(daemon.service(box.service(word)) or {})["budget"]["swap"] for word in services]
                assert max(parts) < 32 * MIB, story(daemon)


def held(daemon: Daemon, box: Box) -> bool:
    """What was done to the one that leaks is verified."""
    ends = [row for row in told(daemon, "action.verified") if row["subject"] == box.service("leak")]
    verbs = [row["body"]["verb"] for row in ends]
    return ("freeze" in verbs and box.frozen("leak")) or "stop" in verbs


def check(daemon: Daemon, box: Box) -> None:
    """Alert before action, the right name with figures, nobody else touched, nobody killed."""
    first = fired(daemon)[0]
    begun = [row for row in told(daemon, "action.begin") if row["body"].get("verb") in ("freeze", "stop")]
    assert first["seq"] < begun[0]["seq"]
    assert {row["subject"] for row in fired(daemon)} == {box.service("leak")}, story(daemon)
    assert {subject for _verb, subject in touched(daemon)} == {box.service("leak")}, story(daemon)
    texts = [row["body"]["alert"]["annotations"]["description"] for row in fired(daemon)]
    assert any(box.name("leak") in text and "above its plan of 64" in text for text in texts), texts
    assert told(daemon, "container.oom", "container.died") == []
    said = memory(daemon)
    if said["culprit"]:  # until the risk is over
        assert said["culprit"] == box.service("leak")
        assert "over its plan of 64 MiB" in said["text"]


def story(daemon: Daemon) -> str:
    """The latest rows, for the message of a failure."""
    rows = daemon.rows()[-25:]
    return "\n".join(
        f"{row['at'][11:23]} {row['kind']} {row['subject']}: {row['body'].get('text', '')}" for row in rows
    )


def swapped(stage: Stage) -> None:
    """The same with swap; where the machine allows none, the daemon says that there is none."""
    with swapon(Path(f"/var/tmp/{stage.person.prefix}-swap")) as allowed:
        if allowed:
            leak(stage, 0, LEAKS[0], swap=True)
            return
        with stage.box("noswap", 256) as box:
            box.start("side", "take=24@100", most=64)
            with stage.daemon(box, {"side": {"memory": "64MiB"}}) as daemon:
                (source,) = [one for one in (daemon.status() or {})["sources"] if one["name"] == "swaps"]
                assert source["live"], source
                assert "No swap is switched on" in source["text"]


@contextlib.contextmanager
def swapon(file: Path) -> Iterator[bool]:
    """So much swap, if the machine allows it; off again in the end."""

    def off() -> bool:
        # It cannot be done while somebody's pages in it have no place in memory: a group that stands at its limit.
        return subprocess.run(["swapoff", str(file)], check=False, capture_output=True).returncode == 0

    try:
        subprocess.run(["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={SWAP}"], check=True, capture_output=True)
        file.chmod(0o600)
        subprocess.run(["mkswap", str(file)], check=True, capture_output=True)
        done = subprocess.run(["swapon", str(file)], check=False, capture_output=True)
        try:
            yield done.returncode == 0
        finally:
            if done.returncode == 0:
                until(off, LONG, f"{file} is no swap any more: swapoff {file}", pause=0.5)
    finally:
        file.unlink(missing_ok=True)


def quiet(stage: Stage) -> None:
    """One loads to its plan and is stopped, the next loads: nothing is said and nothing is done."""
    services = {"one": {"memory": "640MiB"}, "two": {"memory": "700MiB"}, "side": {"memory": "64MiB"}}
    with stage.box("quiet", 900) as box:
        box.start("side", "take=24@100", most=64)
        with stage.daemon(box, services, there=["side"]) as daemon:
            box.start("one", "take=600@120", most=640)
            box.did("one", "take=600@120")
            uses(daemon, box, "one", 590)
            stage.person.api.stop(box.name("one"), timeout=10)
            box.start("two", "take=660@120", most=700)
            box.did("two", "take=660@120")
            uses(daemon, box, "two", 650)
            assert fired(daemon) == [], story(daemon)
            assert touched(daemon) == [], story(daemon)
            assert memory(daemon)["at_risk"] == []
            assert ever_at_risk(daemon) == {"ram": 0, "swap": 0}
            assert told(daemon, "container.oom", "container.died") == []


def by_hand(stage: Stage) -> None:
    """What a person may do with memory, on the command line."""
    services = {"work": {"memory": "200MiB", "startup": "1s"}, "wall": {"memory": "160MiB", "startup": "1s"}}
    with stage.box("hand", 512) as box:
        box.start("work", "take=60@400", "wait=/go/more", "take=20@100", most=100)
        box.start("wall", "take=80@200", "wait=/go/on", "take=60@100", most=160, limit=96)
        box.did("work", "take=60@400")
        box.did("wall", "take=80@200")
        with stage.daemon(box, services) as daemon:
            freezes(box, daemon)
            refuses(box, daemon)
            raises(box, daemon)
            ends_frozen(stage.person, box, daemon)
            assert told(daemon, "container.oom", "container.died") == []


def ask(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return daemon.cli(*words, limit=300)


def freezes(box: Box, daemon: Daemon) -> None:
    """It stands still, goes on by itself, and is the same."""
    life = box.life("work")
    done = ask(daemon, "freeze", box.service("work"), "--for", "2s")
    assert done.returncode == 0, done
    box.let_on("more")
    daemon.outcome("thaw", box.service("work"), limit=LONG)
    assert not box.frozen("work")
    box.did("work", "take=20@100")
    assert box.life("work") == life


def refuses(box: Box, daemon: Daemon) -> None:
    """What version 1 of control groups cannot do is refused, with what to do about it."""
    for verb in ("reclaim", "fuse"):
        done = ask(daemon, verb, box.service("work"))
        if FIRST:
            assert done.returncode != 0, done
            assert "systemd.unified_cgroup_hierarchy=1" in done.stdout + done.stderr, done
        else:
            assert done.returncode == 0, done


def raises(box: Box, daemon: Daemon) -> None:
    """It stands a little below its limit and needs far more; given a higher one it takes it and lives."""
    life = box.life("wall")
    done = ask(daemon, "raise-limit", box.service("wall"), "--to", "192MiB")
    assert done.returncode == 0, done
    box.let_on("on")
    box.did("wall", "take=60@100")
    assert box.life("wall") == life


def ends_frozen(person: Hands, box: Box, daemon: Daemon) -> None:
    """A person stops what stands frozen: it is let go, and ends as it was asked to."""
    done = ask(daemon, "freeze", box.service("work"), "--for", "10m")
    assert done.returncode == 0, done
    assert box.frozen("work")
    person.api.stop(box.name("work"), timeout=50)
    state = box.look("work")["State"]
    assert (state["Running"], state["ExitCode"]) == (False, 143)
    daemon.heard("container.stopped", box.service("work"), limit=LONG)


# ------------------------------------------------------------ the tests


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Future[None]]]:
    """All stories, some side by side."""
    with contextlib.ExitStack() as stack:
        nursery = Nursery()
        stack.callback(nursery.close)
        stage = Stage(stack.enter_context(hands("ramp")), nursery)
        pool = stack.enter_context(ThreadPoolExecutor(LANES))
        found: dict[str, Future[None]] = {}

        def play(name: str, what: Callable[..., None], *given: Any) -> None:
            found[name] = pool.submit(what, stage, *given)

        for each in (swapped, by_hand, quiet):
            play(each.__name__, each)
        for number, (name, one) in enumerate(zip(STORIES, LEAKS, strict=True), 1):
            play(name, leak, number, one)
        yield found


@pytest.mark.parametrize("name", STORIES)
def test_who_leaks_is_held_and_the_big_innocent_one_lives(played: dict[str, Future[None]], name: str) -> None:
    played[name].result(1800)


def test_so_it_is_with_swap(played: dict[str, Future[None]]) -> None:
    played["swapped"].result(1800)


def test_a_load_to_its_plan_and_a_hot_swap_are_no_risk(played: dict[str, Future[None]]) -> None:
    played["quiet"].result(1800)


def test_freeze_raise_limit_and_what_cannot_be_done_here(played: dict[str, Future[None]]) -> None:
    played["by_hand"].result(1800)
