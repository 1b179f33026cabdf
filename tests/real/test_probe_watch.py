"""The permanent probes on real sockets, and in a real daemon: slow, hanging, huge, malformed, redirecting and closing
servers end in an answer of their own each; a label reaches nobody but its own container."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from supervisor.clock import SystemClock
from supervisor.facts import Container, EngineState, Needs, Probed, Service, Snapshot, Wanted
from supervisor.signals.probes import ProbeWatch, ServiceProber
from supervisor.verdicts import yes
from tests.support import model_servers
from tests.support.daemon import PORT, Daemon, Hands, Nursery, hands, until
from tests.support.model_servers import served

pytestmark = pytest.mark.real

WITHIN = 60.0
"""seconds after which something hangs"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Evil:
    """Servers by word, each on a port of its own; `hits` counts the connections of each."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.hits: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []

    async def open(self, word: str) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.hits[word] = self.hits.get(word, 0) + 1
            try:
                await reader.readuntil(b"\r\n\r\n")
                await self._answer(word, writer)
                await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        self.ports[word] = server.sockets[0].getsockname()[1]

    async def _answer(self, word: str, writer: asyncio.StreamWriter) -> None:
        if word == "slow":
            await asyncio.sleep(0.2)
        elif word == "hanging":
            await asyncio.sleep(WITHIN)
        elif word == "closing":
            return
        elif word == "malformed":
            writer.write(b"SMTP ready\r\n\r\n")
            return
        elif word == "redirecting":
            away = f"http://127.0.0.1:{self.ports['bystander']}/"
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        writer.write(HEAD + b"\r\n")
        if word == "huge":
            for _ in range(1000):
                writer.write(b"x" * 65_536)
                await writer.drain()

    def close(self) -> None:
        for server in self._servers:
            server.close()


def service(name: str, probe: str, **needs: Any) -> Service:
    """One that has been running for long, on this very machine."""
    box = Container(f"id-{name}", name, "sha256:1", "i", status="running", started_at=1.0, address="127.0.0.1")
    rhythm = {"probe_interval": 1.0, "probe_timeout": 1.0, "probe_retries": 1}
    return Service(name, "docker", box, yes("ours"), Needs(probe=probe, **{**rhythm, **needs}), Wanted(), True)


def snapshot(services: tuple[Service, ...]) -> Snapshot:
    blank: dict[str, Any] = {"at": 0.0, "mono": 0.0, "rev": 1, "seq": 1, "started_at": 0.0, "pauses": {}}
    blank |= {"host": "h", "version": "1", "epoch": "e", "mode": "heal", "status": "ok", "problems": ()}
    blank |= dict.fromkeys(("alerts", "incidents", "plans", "decisions", "rules"), ())
    return Snapshot(**blank, services=services, engines=(EngineState(0, 0, "docker", True, "", "", ""),))


async def watched(*services: Service, answers: int = 1) -> dict[str, list[Probed]]:
    """The answers of each, once there are so many of all."""
    told: dict[str, list[Probed]] = {one.id: [] for one in services}
    enough = asyncio.Event()
    clock = SystemClock()
    prober = ServiceProber(clock, {})

    def submit(fact: Any) -> None:
        told[fact.name].append(fact)
        if all(len(one) >= answers for one in told.values()):
            enough.set()

    shown = snapshot(services)
    watch = asyncio.ensure_future(ProbeWatch(prober, submit, clock, lambda: shown, every=0.5).run())
    try:
        await asyncio.wait_for(enough.wait(), WITHIN)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await prober.close()
    return told


async def test_each_server_comes_to_an_answer_of_its_own_and_none_keeps_the_others_out() -> None:
    evil = Evil()
    words = {
        "slow": (True, "200 OK"),
        "hanging": (False, "no answer within 1s"),
        "huge": (True, "200 OK"),
        "malformed": (False, ""),
        "redirecting": (True, "302 Found"),
        "closing": (False, ""),
    }
    for word in (*words, "bystander"):
        await evil.open(word)
    nobody = service("nobody", "http://127.0.0.1:9/")
    asked = [service(word, f"http://:{evil.ports[word]}/", probe_from_label=True) for word in words]
    try:
        told = await watched(*asked, nobody, answers=2)
    finally:
        evil.close()
    for word, (ok, text) in words.items():
        for fact in told[word]:
            assert (fact.ok, fact.failing, fact.broken) == (ok, not ok, False), fact
            assert text in fact.text
    assert "nothing listens" in told["nobody"][0].text
    assert evil.hits.get("bystander", 0) == 0, "nobody follows a redirect"


async def test_the_same_servers_asked_for_a_token() -> None:
    evil = Evil()
    words = ("hanging", "huge", "malformed", "closing", "redirecting")
    for word in (*words, "bystander"):
        await evil.open(word)
    try:
        told = await watched(*(service(word, f"completion://:{evil.ports[word]}") for word in words))
    finally:
        evil.close()
    assert not any(fact.ok or fact.asleep for facts in told.values() for fact in facts)
    assert [word for word in words if told[word][0].broken] == ["redirecting"]
    assert evil.hits.get("bystander", 0) == 0


async def test_a_label_reaches_its_own_container_and_nobody_else() -> None:
    evil = Evil()
    await evil.open("bystander")
    port = evil.ports["bystander"]
    probes = {
        "http": f"http://127.0.0.2:{port}/",
        "tcp": f"tcp://127.0.0.2:{port}",
        "completion": f"completion://[::ffff:127.0.0.1]:{port}",
        "name": f"http://some.name:{port}/",
        "user": f"http://me:pw@127.0.0.1:{port}/",
    }
    asked = [service(word, probe, probe_from_label=True) for word, probe in probes.items()]
    try:
        told = await watched(*asked)
    finally:
        evil.close()
    assert all(fact.broken and not fact.failing for facts in told.values() for fact in facts)
    assert evil.hits == {}


async def test_a_sleeping_model_stays_asleep_while_a_waking_one_answers() -> None:
    asleep, awake = model_servers.llama(sleeping=True), model_servers.llama()
    ollama = model_servers.ollama("a")
    async with AsyncExitStack() as stack:
        for server in (asleep, awake, ollama):
            await stack.enter_async_context(served(server))
        told = await watched(
            service("asleep", f"completion://:{asleep.port}"),
            service("awake", f"completion://:{awake.port}"),
            service("ollama", f"completion://:{ollama.port}"),
            answers=2,
        )
    assert all(fact.asleep for fact in (*told["asleep"], *told["ollama"]))
    assert all(fact.ok and fact.rate > 0 for fact in told["awake"])
    assert (asleep.asked, ollama.asked) == ([], [])
    assert len({json.dumps(body) for body in awake.asked}) == len(awake.asked)


# ------------------------------------------------------------ in a daemon

SERVE = f"echo fine > /tmp/health; trap 'exit 0' TERM; httpd -f -p {PORT} -h /tmp & wait"


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("pw") as made:
        made.image("serve", SERVE)
        yield made


def test_a_service_that_stops_answering_is_unhealthy_and_comes_back(person: Hands) -> None:
    name, word = f"{person.prefix}.serve", "serve"
    entry = {"enable": True, "probe": f"http://:{PORT}/health", "probe-interval": "1s", "probe-retries": 2}
    settings = {"host": "box", "consent": "listed", "rules": [], "services": {name: entry}}
    nursery = Nursery()
    daemon = Daemon(settings | {"probes": [{"name": "away", "probe": "tcp://127.0.0.1:9", "retries": 1}]}, nursery)

    def run(*argv: str) -> None:
        made = person.api.exec_create(f"{person.prefix}-{word}", list(argv))
        person.api.exec_start(made["Id"])

    def healthy() -> bool:
        return bool((daemon.service(name) or {}).get("healthy"))

    try:
        person.up(word, f"{person.prefix}/serve:1", {"resurgam.probe": "tcp://127.0.0.1:9"})
        daemon.start(view=word)
        daemon.ready(60)
        until(healthy, WITHIN, "it is healthy")
        run("mv", "/tmp/health", "/tmp/gone")
        row = daemon.heard("container.unhealthy", name, limit=WITHIN)
        assert "does not answer its probe: 404" in row["body"]["text"]
        until(lambda: not healthy(), WITHIN, "it is not healthy")
        run("mv", "/tmp/gone", "/tmp/health")
        after = row["seq"]
        assert "answers its probe" in daemon.heard("container.healthy", name, limit=WITHIN, after=after)["body"]["text"]
        until(healthy, WITHIN, "it is healthy again")
    finally:
        daemon.close()
        nursery.close()
        person.remove(f"{person.prefix}-{word}")
