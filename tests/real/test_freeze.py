"""A real daemon freezes a real container: it ends by itself, whoever ends first: its time, the daemon, or a person.

Control groups are written to directly, so the engine knows nothing of it and says `running` all along.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, Hands, hands, until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("frz") as made:
        yield made


def still(person: Hands, name: str) -> bool:
    """Whether its main process stands still now, as the kernel tells it: it takes no CPU, and is in the freezer."""
    seen = person.look(name)
    pid = seen["State"]["Pid"] if seen else 0
    if not pid:
        return False
    table = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    paths = {names: path for _number, names, path in (line.split(":", 2) for line in table)}
    v1 = Path(f"/sys/fs/cgroup/freezer{paths.get('freezer', '')}/freezer.state")
    root = "/sys/fs/cgroup" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "/sys/fs/cgroup/unified"
    v2 = Path(f"{root}{paths.get('', '')}/cgroup.events")
    first = "freezer" in paths and v1.exists() and v1.read_text().strip() == "FROZEN"
    return first or (v2.exists() and "frozen 1" in v2.read_text().splitlines())


def frozen(daemon: Daemon, service: str, lasts: str) -> None:
    """Freeze it, and wait until it is done."""
    answer = daemon.command("freeze", service, **{"for": lasts})
    assert answer["decision"]["allowed"], answer
    end = daemon.outcome("freeze", service)
    assert end["body"]["reason"] == "verified", end


def by_time(person: Hands, daemon: Daemon, name: str, service: str) -> None:
    frozen(daemon, service, "2s")
    end = daemon.outcome("thaw", service)
    assert end["body"]["reason"] == "verified", end
    assert "the time of the freeze is over" in end["body"]["cause"]
    assert not still(person, name)
    until(lambda: person.answers(name), 20, "it serves again")


def by_an_orderly_end_of_ours(person: Hands, daemon: Daemon, name: str, service: str) -> None:
    frozen(daemon, service, "1h")
    assert still(person, name)
    assert daemon.stop() == 0
    assert not still(person, name)


def by_the_next_start(person: Hands, daemon: Daemon, name: str, service: str) -> None:
    frozen(daemon, service, "1h")
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    assert still(person, name), "nobody is there to let it go"
    assert not person.answers(name)
    daemon.start()
    daemon.ready(40)
    assert daemon.cli("thaw", service).returncode == 0
    assert not still(person, name)
    until(lambda: person.answers(name), 20, "it serves again")


def by_a_person_who_stops_it(person: Hands, daemon: Daemon, name: str, service: str) -> None:
    frozen(daemon, service, "1h")
    stopper = threading.Thread(target=lambda: person.api.stop(name, timeout=5))
    stopper.start()
    stopper.join(60)
    assert not stopper.is_alive(), "what stands frozen cannot end"
    until(
        lambda: (daemon.service(service) or {}).get("wanted", {}).get("state") == "stopped", 20, "their wish is known"
    )


def by_our_own_stop(person: Hands, daemon: Daemon, name: str, service: str) -> None:
    frozen(daemon, service, "1h")
    daemon.command("stop", service)
    assert daemon.outcome("stop", service)["body"]["reason"] == "verified"
    seen = person.look(name)
    assert seen is not None
    assert seen["State"]["Status"] == "exited"


WAYS: dict[str, Callable[[Hands, Daemon, str, str], None]] = {
    "time": by_time,
    "sigterm": by_an_orderly_end_of_ours,
    "start": by_the_next_start,
    "person": by_a_person_who_stops_it,
    "stop": by_our_own_stop,
}


def played(person: Hands, word: str) -> None:
    name, service = person.up(word, f"{person.prefix}/good:1"), f"{person.prefix}.{word}"
    daemon = Daemon({"consent": "listed", "rules": [], "services": {service: {"enable": True, "stop-grace": "3s"}}})
    try:
        daemon.start()
        daemon.ready(40)
        until(lambda: person.answers(name), 20, "it serves")
        daemon.settled(service)
        WAYS[word](person, daemon, name, service)
    finally:
        daemon.close()


@pytest.fixture(scope="module")
def tellings(person: Hands) -> Iterator[dict[str, Future[None]]]:
    """All of them at once: each waits most of its time."""
    with ThreadPoolExecutor(len(WAYS)) as pool:
        yield {word: pool.submit(played, person, word) for word in WAYS}


@pytest.mark.parametrize("word", WAYS)
def test_what_stands_frozen_goes_on(tellings: dict[str, Future[None]], word: str) -> None:
    tellings[word].result()
