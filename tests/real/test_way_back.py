"""What cannot start, on a real engine: the old container is back at once, the image is not tried again, and an address
that somebody took in the middle is waited for."""

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import docker
import pytest

from supervisor.services import is_temp
from tests.support.daemon import GOOD, OURS, Daemon, Hands, Nursery, hands, until
from tests.support.images import import_busybox
from tests.support.killable import VIEW
from tests.support.remade import NET

pytestmark = pytest.mark.real

PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0}


def cannot_start(person: Hands, nursery: Nursery) -> None:
    ref, service = f"{person.prefix}/app:1", f"{person.prefix}.app"
    person.tag(person.good, ref)
    services = {service: {**OURS, "stop-grace": "1s"}}
    daemon = Daemon({"host": "w", "consent": "listed", "services": services}, nursery)
    try:
        name = person.up("app", ref)
        daemon.start(patience=PATIENCE, view="app")
        daemon.ready()
        daemon.settled(service)
        old = (person.look(name) or {})["Id"]
        unfit = import_busybox(f"{person.prefix}/unfit:1", ['CMD ["/no/such/program"]'], person.api)
        person.tag(unfit, ref)
        asked = daemon.cli("phoenix", service, "--image", "current")
        assert asked.returncode == 1, asked.stdout + asked.stderr
        told = daemon.outcome("phoenix", service)
        assert told["kind"] == "action.rolled_back"
        assert "/no/such/program" in told["body"]["text"]
        assert 0 < told["body"]["downtime"] < 15
        assert (person.look(name) or {})["Id"] == old
        assert person.answers(name)
        again = daemon.cli("phoenix", service, "--image", "current")
        assert again.returncode != 0
        assert "quarantine" in again.stdout + again.stderr
        assert (person.look(name) or {})["Id"] == old
        begun = [row for row in daemon.rows("action.begin", service) if row["body"]["step"] == "stop"]
        assert len(begun) == 1, "it was away once"
        assert not [each for each in person.names(name) if is_temp(each)], "it never ran, so there is nothing to study"
    finally:
        daemon.close()


def address_taken(person: Hands, nursery: Nursery) -> None:
    service, name, word = f"{person.prefix}.fixed", f"{person.prefix}-fixed", "fixed"
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=f"{NET}.79.0/24")])
    network = f"{person.prefix}-fixed"
    person.api.create_network(network, driver="bridge", ipam=pool)
    labels = {"com.docker.compose.project": person.prefix, "com.docker.compose.service": word, VIEW: word}
    for each, mine in ((name, labels), (f"{person.prefix}-thief", {})):
        ends = {network: {"IPAMConfig": {"IPv4Address": f"{NET}.79.9"}}}
        given = {"Image": person.good, "Labels": mine, "NetworkingConfig": {"EndpointsConfig": ends}}
        made = {**given, "HostConfig": {"NetworkMode": network}}
        person.api.create_container_from_config(made, each)
    person.api.start(name)
    person.image("later", f": later; {GOOD}")
    services = {service: {**OURS, "stop-grace": "1s"}}
    daemon = Daemon({"host": "w", "consent": "listed", "services": services, "rules": []}, nursery)
    try:
        daemon.start("after write rename#2", patience=PATIENCE, view=word, number=signal.SIGSTOP)
        daemon.ready()
        daemon.settled(service)
        assert daemon.command("phoenix", service, image=f"{person.prefix}/later:1")["plan"]
        until(daemon.stands, 20, "it stands still between the stop and the start")
        person.api.start(f"{person.prefix}-thief")
        daemon.signal(signal.SIGCONT)

        def waits() -> bool:
            said = [row["body"].get("text", "") for row in daemon.rows("action.end", service)]
            return any("Address already in use" in text for text in said)

        until(waits, 20, "it waits for its address")
        person.api.stop(f"{person.prefix}-thief", timeout=1)
        told = daemon.outcome("phoenix", service)
        assert told["kind"] == "action.verified", told["body"]["text"]
        ends = (person.look(name) or {})["NetworkSettings"]["Networks"]
        assert ends[network]["IPAddress"] == f"{NET}.79.9"
    finally:
        daemon.signal(signal.SIGCONT)
        daemon.close()
        person.remove(f"{person.prefix}-thief")
        person.remove(name)
        person.api.remove_network(network)


PLAYS = (cannot_start, address_taken)


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Future[None]]]:
    """Side by side."""
    nursery = Nursery()
    try:
        with hands("w") as person, ThreadPoolExecutor(len(PLAYS)) as pool:
            yield {play.__name__: pool.submit(play, person, nursery) for play in PLAYS}
    finally:
        nursery.close()


def test_an_image_that_cannot_even_start_is_put_back_and_not_tried_again(played: dict[str, Future[None]]) -> None:
    played["cannot_start"].result(300)


def test_a_fixed_address_that_somebody_took_is_waited_for(played: dict[str, Future[None]]) -> None:
    played["address_taken"].result(300)
