"""Scrapes over real sockets: servers on loopback that are slow, hang, never end, lie, redirect or close; and a real
daemon that reads a container, a listed address and a folder of text files."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from supervisor.clock import SystemClock
from supervisor.config.settings import ScrapeSettings
from supervisor.core.made import ours
from supervisor.facts import Readings, TargetState, labels
from supervisor.signals.scrapes import watch
from supervisor.signals.scrapes.watch import Scrapes
from tests.support.daemon import Daemon, Nursery, hands, until

pytestmark = pytest.mark.real

PAGE = b"# TYPE kpi gauge\nkpi 42\n"
PLAIN = b"Content-Type: text/plain; version=0.0.4\r\n"
LIMIT = 60.0
"""seconds: that something hangs, no more"""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first scrape is not spread over seconds."""
    monkeypatch.setattr(watch, "SOON", 0.01)


def answer(body: bytes, status: bytes = b"200 OK", more: bytes = PLAIN) -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, more, len(body), body)


class Server:
    """Answers every request by `how`, which may do anything to the connection; `asked` is each request's head."""

    def __init__(self, how: Callable[["Server", asyncio.StreamWriter], Any]) -> None:
        self.how, self.asked, self.port = how, list[bytes](), 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            await self.how(self, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def served(how: Callable[[Server, asyncio.StreamWriter], Any]) -> AsyncIterator[Server]:
    made = Server(how)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def says(data: bytes) -> Callable[[Server, asyncio.StreamWriter], Any]:
    async def how(_server: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return how


async def endless(_server: Server, writer: asyncio.StreamWriter) -> None:
    """A page without an end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\n" + PLAIN + b"\r\n")
    while True:
        writer.write(b"kpi 1\n" * 10_000)
        await writer.drain()


async def dripping(_server: Server, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\n" + PLAIN + b"\r\n")
    while True:
        writer.write(b"#")
        await writer.drain()
        await asyncio.sleep(0.05)


async def hanging(_server: Server, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


WAYS = ["hangs", "drips", "endless", "long", "malformed", "html", "bytes", "many", "500", "packed"]
WAYS += ["closes", "half", "no-http", "heads"]


async def scraped(port: int, path: str = "/metrics", **more: Any) -> tuple[TargetState, dict[Any, float]]:
    """How one target is after its first scrape, and what was taken."""
    facts: asyncio.Queue[Any] = asyncio.Queue()
    url = f"http://127.0.0.1:{port}{path}"
    entry = ScrapeSettings(job="t", url=url, **{"interval": "1s", "timeout": "1s"} | more)
    scrapes = Scrapes([entry], facts.put_nowait, SystemClock(), list, ours)
    task = asyncio.create_task(scrapes.run())
    try:
        fact: Readings = await asyncio.wait_for(facts.get(), LIMIT)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert fact.target is not None
    assert fact.whole
    about = {"job": "t", "instance": f"127.0.0.1:{port}"}
    assert fact.samples[0].labels == labels("up", **about)
    assert fact.samples[0].value == float(fact.target.up)
    return fact.target, {dict(sample.labels)["__name__"]: sample.value for sample in fact.brought}


async def test_a_page_is_taken() -> None:
    async with served(says(answer(PAGE))) as server:
        target, found = await scraped(server.port)
        assert (target.up, target.samples, target.text, found) == (True, 1, "", {"kpi": 42.0})
        head = server.asked[0].lower()
        assert b"accept-encoding: identity" in head
        assert b"authorization" not in head


async def test_a_token_goes_along_and_is_guarded_and_never_told(tmp_path: Path) -> None:
    token = tmp_path / "kpi.token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    async with served(says(answer(PAGE))) as server:
        target, _found = await scraped(server.port, token_file=str(token))
        assert target.up
        assert b"authorization: bearer s3cret" in server.asked[0].lower()
        token.chmod(0o644)
        target, _found = await scraped(server.port, token_file=str(token))
        assert "everyone can read this secret" in target.text
        assert len(server.asked) == 1
    async with served(says(answer(b"s3cret?", b"401 Unauthorized"))) as server:
        token.chmod(0o600)
        target, _found = await scraped(server.port, token_file=str(token))
        assert "it answers 401" in target.text
        assert "s3cret" not in target.text


@pytest.mark.parametrize(
    ("how", "more", "said"),
    [
        (hanging, {}, "no whole answer within 1s"),
        (dripping, {}, "no whole answer within 1s"),
        (endless, {"size": "100kB", "timeout": "10s", "interval": "10s"}, "its page is longer than"),
        (says(answer(b"x" * 200_000)), {"size": "100kB"}, "its page is longer than"),
        (says(answer(PAGE + b"kpi{ 43\n")), {}, "line 3 is not Prometheus text"),
        (says(answer(b"<html>", more=b"Content-Type: text/html\r\n")), {}, "a web page; is the path right?"),
        (says(answer(b"\xff\xfe")), {}, "not UTF-8"),
        (says(answer(b"a 1\nb 1\nc 1\n")), {"series": 2}, "it offers more than 2 series"),
        (says(answer(PAGE, b"500 Internal Server Error")), {}, "it answers 500 Internal Server Error"),
        (says(answer(b"\x1f\x8b", more=PLAIN + b"Content-Encoding: gzip\r\n")), {}, "it answers packed (gzip)"),
        (says(b""), {}, "disconnected"),
        (says(answer(PAGE)[:-4]), {}, "not completed"),
        (says(b"kpi 42\n" * 10), {}, "HTTP"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"), {}, ""),
    ],
    ids=WAYS,
)
async def test_whatever_a_server_does_it_is_down_with_a_sentence_and_nothing_is_taken(
    how: Any, more: dict[str, Any], said: str
) -> None:
    async with served(how) as server:
        target, found = await scraped(server.port, **more)
    assert (target.up, found) == (False, {})
    assert said.lower() in target.text.lower()
    assert len(target.text) <= 300
    assert target.text.isprintable()


async def test_a_redirect_is_never_followed() -> None:
    async with served(says(answer(PAGE))) as other:
        where = b"Location: http://127.0.0.1:%d/metrics\r\n" % other.port
        async with served(says(answer(b"", b"302 Found", where))) as server:
            target, found = await scraped(server.port)
        assert (target.up, found, other.asked) == (False, {}, [])
    assert f"it redirects to 'http://127.0.0.1:{other.port}/metrics', which is not followed" in target.text


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    target, _found = await scraped(port)
    assert target.text == f"nothing listens on 127.0.0.1:{port}"


async def test_one_that_is_slow_but_in_time_is_taken() -> None:
    async def slow(_server: Server, writer: asyncio.StreamWriter) -> None:
        for byte in answer(PAGE):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)

    async with served(slow) as server:
        target, found = await scraped(server.port, timeout="30s", interval="30s")
    assert (target.up, found) == (True, {"kpi": 42.0})


# ------------------------------------------------------------ a whole daemon

RULES = """\
groups:
- name: own
  rules:
  - {alert: QueueLong, expr: 'fake_queue > 5'}
  - {alert: TargetGone, expr: 'up == 0'}
"""
SERVE = (
    'printf \'fake_queue{name="letta"} 9\\nup 0\\nresurgam_service_healthy{name="letta"} 0\\n\' > /tmp/metrics; '
    "trap 'exit 0' TERM; httpd -f -p 8000 -h /tmp & wait"
)


class Elsewhere(BaseHTTPRequestHandler):
    """An address that no container's label may reach."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


def test_a_daemon_reads_a_container_an_address_a_folder_and_its_disks(elsewhere: int) -> None:
    with hands("s") as person:
        nursery = Nursery()
        daemon = Daemon({}, nursery)
        try:
            person.image("pages", SERVE)
            good, bad = (f"{person.prefix}-{word}" for word in ("pages", "liar"))
            mine = {"rsgr.view": "s"}
            person.up("pages", f"{person.prefix}/pages:1", {**mine, "resurgam.metrics": "http://:8000/metrics"})
            person.up("liar", person.good, {**mine, "resurgam.metrics": f"http://127.0.0.1:{elsewhere}/metrics"})
            rules, texts = daemon.folder / "rules", daemon.folder / "texts"
            for folder in (rules, texts):
                folder.mkdir(mode=0o700)
            (rules / "own.yaml").write_text(RULES)
            (texts / "backup.prom").write_text("backup_bytes 17\n")
            listed = {"job": "kpis", "url": f"http://127.0.0.1:{elsewhere}/metrics", "interval": "1s", "timeout": "1s"}
            settings = {"host": "sim", "consent": "listed", "rules": [str(rules)], "scrape": [listed]}
            daemon.configure({**settings, "textfile": str(texts), "disk": {"folders": [str(texts)]}})
            daemon.start(view="s", patience={"supervisor.signals.scrapes.watch:SOON": 0.2})
            daemon.ready()
            about = {"name": good, "container_label_com_docker_compose_project": person.prefix}
            about |= {"container_label_com_docker_compose_service": "pages"}
            about |= {"job": f"{person.prefix}.pages", "instance": f"{good}:8000"}

            def query(text: str) -> list[Any]:
                found: list[Any] = daemon.client.prometheus("query", {"query": text})["data"]["result"]
                return found

            queue = until(lambda: query("fake_queue"), 30, lambda: f"the queue is known: {daemon.said()}")
            assert [(one["metric"], one["value"][1]) for one in queue] == [
                ({"__name__": "fake_queue", "exported_name": "letta", **about}, "9")
            ]
            assert [one["value"][1] for one in query(f'up{{name="{good}"}}')] == ["1"], "its own `up` is not heard"
            until(lambda: query('kpi{job="kpis"}'), 30, "the listed address is read")
            (entry,) = query("kpi")
            assert "name" not in entry["metric"], "nothing was read in the liar's name"
            assert query(f'up{{name="{bad}"}}') == []
            said = json.dumps(daemon.status())
            assert "metrics in a label may only be its own container's" in said
            assert until(lambda: query("backup_bytes"), 30, "the text file is read")[0]["value"][1] == "17"
            folder = until(lambda: query(f'resurgam_disk_folder{{folder="{texts}"}}'), 60, "its disk is looked at")
            where = folder[0]["metric"]["mountpoint"]
            (size,) = query(f'node_filesystem_size_bytes{{mountpoint="{where}"}}')
            assert float(size["value"][1]) > 1e6
            fired = daemon.heard("alert.firing", limit=30)
            assert "QueueLong" in json.dumps(fired)
            person.api.stop(good, timeout=1)
            until(lambda: not query("fake_queue"), 30, "its series ended with it")
            until(lambda: not query(f'up{{name="{good}"}}'), 30, "and its target with them")
        finally:
            daemon.close()
            nursery.close()
