"""Kills for want of memory at a real engine and a real kernel: one verdict each, whether the container lives on or not.

A process grows only as far as a test lets it; then the kernel has no choice.
"""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from supervisor.services.oom.kill import DOUBT
from tests.support.daemon import Daemon, Hands, Nursery, hands, until
from tests.support.killable import VIEW
from tests.support.ramps import FIRST, Box

pytestmark = pytest.mark.real

LIMIT = 64 << 20
LONG = 60.0
"""seconds: who has to wait for so long waits for ever"""
WAIT = "while [ ! -e /tmp/go$1 ]; do sleep 0.1; done"
GROW = 'BEGIN { for (;; i++) a[i] = sprintf("%1048000s", "x") }'
PARENT = f"w() {{ {WAIT}; }}; w 1; awk '{GROW}'; w 2; awk '{GROW}'; echo done; sleep 600"
"""the shell lives on, whatever becomes of what it starts"""
MAIN = f"w() {{ {WAIT}; }}; w 1; echo begun; exec awk '{GROW}'"


def run(person: Hands, word: str, script: str) -> str:
    """A container with 64 MiB, as compose would make it; its name."""
    name = f"{person.prefix}-{word}"
    labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": word, VIEW: "oom"}
    host = {"NetworkMode": "none", "Memory": LIMIT, "MemorySwap": LIMIT}
    given = {"Image": person.good, "Cmd": ["sh", "-c", script], "Labels": labels, "HostConfig": host}
    person.api.create_container_from_config(given, name)
    person.api.start(name)
    return name


def let_on(person: Hands, name: str, number: int) -> None:
    person.api.exec_start(person.api.exec_create(name, ["touch", f"/tmp/go{number}"])["Id"])


def told(daemon: Daemon, service: str, count: int) -> list[dict[str, Any]]:
    """The bodies of so many rows about kills."""
    rows: list[dict[str, Any]] = until(
        lambda: found if len(found := daemon.rows("container.oom", service)) >= count else None,
        LONG,
        lambda: f"{count} kills in {service}: {daemon.rows('container', service)} {daemon.said()}",
    )
    return [row["body"] for row in rows]


def by_the_kernel(verdict: dict[str, Any]) -> None:
    """Named by the kernel's own log, and by nobody twice."""
    assert (verdict["process"], verdict["kills"]) == ("awk", 1)
    assert (verdict["constraint"], verdict["confidence"]) == ("own_limit", "certain")
    assert "kernel-log" in verdict["sources"]
    assert verdict["pid"] > 1


def child(person: Hands, daemon: Daemon, name: str) -> None:
    service = f"{person.prefix}.child"
    for number in (1, 2):
        let_on(person, name, number)
        told(daemon, service, number)
    until(lambda: b"done" in person.api.logs(name), LONG, "the shell goes on")
    daemon.heard("container.died", f"{person.prefix}.main", limit=LONG)
    bodies = told(daemon, service, 2)
    assert len(bodies) == 2, bodies
    first, second = (body["oom_verdict"] for body in bodies)
    for verdict in (first, second):
        by_the_kernel(verdict)
        assert (verdict["victim"], verdict["ended"]) == ("child", False)
    assert first["pid"] != second["pid"]
    assert "which runs on without it: its own limit of memory was met" in bodies[0]["text"]
    assert daemon.rows("container.died", service) == []
    shown = daemon.service(service) or {}
    assert (shown["state"], shown["trouble"]) == ("running", "oom")
    assert "one of its processes (awk (pid" in shown["trouble_text"]


def main(person: Hands, daemon: Daemon, name: str) -> None:
    service = f"{person.prefix}.main"
    let_on(person, name, 1)
    died = daemon.heard("container.died", service, limit=LONG)["body"]
    assert (died["exit_code"], died["oom"]) == (137, True)
    assert "the kernel killed it for want of memory" in died["text"]
    (body,) = told(daemon, service, 1)
    by_the_kernel(body["oom_verdict"])
    assert body["oom_verdict"]["victim"] == "main"
    evidence = daemon.heard("container.evidence", service, limit=LONG)["body"]
    assert (evidence["oom"], evidence["oom_verdict"]["ended"]) == (True, True)
    assert "exit-code" in evidence["oom_verdict"]["sources"]
    shown = daemon.service(service) or {}
    assert shown["trouble"] == "oom"
    assert "its own limit of memory was met" in shown["trouble_text"]


def beside(person: Hands, daemon: Daemon, box: Box) -> None:
    """Below one limit version 1 makes the engine tell of both; only one is to lose a process."""
    calm, leak = box.service("calm"), box.service("leak")
    life = box.life("calm")
    began = time.time()
    box.did("calm", "take=8@400")
    box.let_on("on")
    (body,) = told(daemon, leak, 1)
    assert body["oom_verdict"]["process"].startswith("python")
    assert (body["oom_verdict"]["constraint"], body["oom_verdict"]["victim"]) == ("parent_limit", "main")
    assert "the limit of the control group" in body["text"]
    died = daemon.heard("container.died", leak, limit=LONG)["body"]
    assert (died["exit_code"], died["oom"]) == (137, True)
    span = {"since": int(began), "until": int(time.time()) + 1}
    heard = list(person.api.events(**span, decode=True, filters={"event": "oom"}))
    names = {one["Actor"]["Attributes"]["name"] for one in heard}
    assert box.name("leak") in names
    assert not FIRST or box.name("calm") in names, "the engine tells of the innocent one, too"
    last = max(one["timeNano"] for one in heard) / 1e9
    until(lambda: time.time() > last + DOUBT + 0.5, LONG, "nobody waits for its counter any more")
    assert daemon.rows("container.oom", calm) == []
    shown = daemon.service(calm) or {}
    assert (shown["state"], shown["trouble"], box.life("calm")) == ("running", "", life)


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Future[None]]]:
    """All side by side, under one daemon that only watches."""
    nursery = Nursery()
    with hands("oom") as person, contextlib.closing(Box(person, "oom", 96)) as box:
        box.start("calm", "take=8@400", most=16)
        box.start("leak", "wait=/go/on", "take=160@400", most=160)
        names = {word: run(person, word, script) for word, script in (("child", PARENT), ("main", MAIN))}
        daemon = Daemon({"consent": "listed", "services": {}, "proof": "10m"}, nursery)
        try:
            daemon.start(view="oom")
            daemon.ready()
            for word in names:
                until(lambda one=word: daemon.service(f"{person.prefix}.{one}"), LONG, "both are known")
            until(lambda: daemon.service(box.service("leak")), LONG, "the third is known")
            with ThreadPoolExecutor(3) as pool:
                two = {what.__name__: pool.submit(what, person, daemon, names[what.__name__]) for what in (child, main)}
                yield {**two, "beside": pool.submit(beside, person, daemon, box)}
        finally:
            daemon.close()
            nursery.close()


def test_a_killed_child_of_a_living_container_is_told_once_by_name(played: dict[str, Future[None]]) -> None:
    played["child"].result(300)


def test_a_killed_first_process_is_one_verdict_with_its_death(played: dict[str, Future[None]]) -> None:
    played["main"].result(300)


def test_who_stands_beside_a_leak_below_one_limit_lost_nothing(played: dict[str, Future[None]]) -> None:
    played["beside"].result(300)
