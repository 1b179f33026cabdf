"""Probes on the real engine: every way of asking, each in a Phoenix of a real daemon, and by hand in a container.

The gRPC servers and the model servers run in this process; the configuration names the host.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import pytest

from supervisor.clock import SystemClock
from supervisor.engines.docker import DockerEngine
from supervisor.facts import Needs
from supervisor.signals.probes import ServiceProber
from tests.support import grpc_server, models
from tests.support.daemon import PORT, Daemon, Hands, Nursery, hands, until
from tests.support.grpc_server import NOT_SERVING, SERVING, GrpcServer
from tests.support.models import ModelServer

pytestmark = pytest.mark.real

AT_ONCE = 4
METHOD = "/skills.Health/Check"
PATIENCE = {"supervisor.actions.probation:SETTLE": 0.5, "supervisor.actions.probation:SETTLE_PLAIN": 0.8}
SERVE = f"echo fine > /tmp/health; trap 'exit 0' TERM; sleep 0.4; httpd -f -p {PORT} -h /tmp & wait"
"""it takes a moment to load"""
WGET = ["wget", "-q", "-O", "-", f"http://127.0.0.1:{PORT}/health"]


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("p") as made:
        made.image("slow", SERVE)
        yield made


class Aside:
    """An event loop in a thread of its own, for servers that a daemon asks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.stack = AsyncExitStack()

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(10)

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


class Waking(GrpcServer):
    """A health service that says SERVING from the second question on, and again from the second after `dozes`."""

    dozed = 0

    def service(self, call: Any) -> Any:
        self.health = {"": SERVING if len(self.asked) > self.dozed else NOT_SERVING}
        return super().service(call)

    def dozes(self) -> None:
        self.dozed = len(self.asked)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Any]]:
    aside = Aside()
    made: dict[str, Any] = {
        "waking": Waking(health={}),
        "method": GrpcServer(methods={METHOD: b""}),
        "bare": GrpcServer(),
        "model": ModelServer(takes=0.001),
        "slow": ModelServer(takes=0.02),
    }

    async def up() -> None:
        for server in made.values():
            serve: Any = models.served if isinstance(server, ModelServer) else grpc_server.served
            await aside.stack.enter_async_context(serve(server))

    aside.run(up())
    yield made
    aside.close()


def entries(person: Hands, servers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """One service for each way of asking."""
    at = {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}
    found: dict[str, dict[str, Any]] = {
        "http": {"probe": f"http://:{PORT}/health"},
        "exec": {"probe-exec": WGET},
        "grpc": {"probe": f"grpc://{at['waking']}", "probe-interval": "1h"},
        "method": {"probe": f"grpc://{at['method']}", "probe-method": METHOD},
        "bare": {"probe": f"grpc://{at['bare']}"},
        "model": {"probe": f"completion://{at['model']}", "benchmark": {"at-least": 12, "tokens": 16}},
        "slow": {"probe": f"completion://{at['slow']}", "benchmark": {"at-least": 500, "tokens": 8}},
    }
    return {
        f"{person.prefix}.{word}": {"enable": True, "stop-grace": "1s", "startup": "15s", **entry}
        for word, entry in found.items()
    }


def play(
    person: Hands, nursery: Nursery, word: str, entry: dict[str, Any], before: Callable[[], None]
) -> dict[str, Any]:
    """A Phoenix of one service by a daemon of its own; the last row of its plan. `before`: called when all is well,
    since its permanent probe has asked by then."""
    service = f"{person.prefix}.{word}"
    daemon = Daemon({"host": "box", "consent": "listed", "rules": [], "services": {service: entry}}, nursery)
    try:
        person.up(word, f"{person.prefix}/slow:1")
        daemon.start(patience=PATIENCE, view=word)
        daemon.ready(60)
        until(lambda: (daemon.service(service) or {}).get("healthy"), 20, f"{service} is healthy")
        before()  # nobody else asks meanwhile: the permanent probe has its answer for the hour
        found = daemon.command("phoenix", service, image="current")
        assert found["plan"], found["decision"]["text"]
        return daemon.outcome("phoenix", service)
    finally:
        daemon.close()
        person.remove(f"{person.prefix}-{word}")


@pytest.fixture(scope="module")
def ended(person: Hands, servers: dict[str, Any]) -> Iterator[dict[str, dict[str, Any]]]:
    """How a Phoenix of each service ended, by the service's word; played side by side."""
    nursery, dozes = Nursery(), servers["waking"].dozes
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            under_way = {
                word: pool.submit(play, person, nursery, word, entry, dozes if word == "grpc" else lambda: None)
                for word, entry in ((name.rpartition(".")[2], one) for name, one in entries(person, servers).items())
            }
            yield {word: future.result(300) for word, future in under_way.items()}
    finally:
        nursery.close()


def said(ended: dict[str, dict[str, Any]], word: str, outcome: str) -> str:
    """What the end of a plan says, once it ended so."""
    row = ended[word]
    assert row["kind"] == f"action.{outcome}", row["body"]["text"]
    return str(row["body"]["text"])


@pytest.mark.parametrize(
    ("word", "proof"),
    [
        ("http", "its probe says: 200 OK"),
        ("exec", "its probe says: wget ended with 0"),
        ("grpc", "its probe says: SERVING"),
        ("method", f"its probe says: {METHOD} answered OK"),
        ("model", "its probe says: completed '6, 7'"),
    ],
)
def test_a_phoenix_is_proved_by_its_probe(ended: dict[str, dict[str, Any]], word: str, proof: str) -> None:
    assert proof in said(ended, word, "verified")


def test_one_that_can_never_be_asked_is_judged_by_its_running_and_it_is_said(ended: dict[str, dict[str, Any]]) -> None:
    text = said(ended, "bare", "verified")
    assert "its probe cannot run" in text
    assert "declare the method to call: probe-method:" in text
    assert "and it runs" in text


def test_a_model_that_is_fast_enough_says_how_fast(ended: dict[str, dict[str, Any]]) -> None:
    assert "tokens/s, wanted 12" in said(ended, "model", "verified")


def test_a_model_that_is_too_slow_is_taken_back(ended: dict[str, dict[str, Any]]) -> None:
    text = said(ended, "slow", "rolled_back")
    assert "tokens/s, wanted 500" in text


def test_not_serving_was_waited_for(ended: dict[str, dict[str, Any]], servers: dict[str, Any]) -> None:
    said(ended, "grpc", "verified")
    probe = ended["grpc"]["body"]["probes"]["probe"]
    assert probe["failed"] == 1
    assert probe["first_ok_after"] > 0.4
    asked = len(servers["waking"].asked) - servers["waking"].dozed
    assert asked - probe["ok"] - probe["failed"] in (0, 1), "the permanent probe goes on once the plan is over"


async def test_commands_in_a_container(person: Hands) -> None:
    name = person.up("commands", f"{person.prefix}/good:1")
    engine = DockerEngine(None, SystemClock())
    prober = ServiceProber(SystemClock(), {"docker": engine})
    try:
        seen = await engine.inspect(name)
        assert seen is not None

        async def ask(*argv: str) -> tuple[bool, bool, str]:
            found = await prober.probe(Needs(probe_argv=argv), seen, 2.0)
            return found.ok, found.broken, found.text

        for _try in range(50):
            if (await ask(*WGET))[0]:
                break
            await asyncio.sleep(0.1)
        assert (await ask(*WGET))[:2] == (True, False)
        assert (await ask("false"))[:2] == (False, False)
        assert (await ask("sh", "-c", "echo no; exit 3")) == (False, False, "sh ended with 3: no")
        for missing in (("nosuchtool",), ("sh", "-c", "nosuchtool -x"), ("/etc",)):
            ok, broken, text = await ask(*missing)
            assert (ok, broken) == (False, True), text
        ok, broken, text = await ask("sleep", "30")
        assert (ok, broken) == (False, False)
        assert "did not end within 2s" in text
        reached = await prober.probe(Needs(probe=f"http://:{PORT}/health", probe_from_label=True), seen, 2.0)
        assert reached.ok
    finally:
        await prober.close()
        await engine.close()
        person.remove(name)
    gone = await ServiceProber(SystemClock(), {"docker": engine}).probe(Needs(probe_argv=("true",)), seen, 2.0)
    assert not gone.ok


def test_a_daemon_that_asks_no_grpc_server_does_not_load_grpc() -> None:
    """The extra may be missing, and costs half a second and 30 MB where it is not."""
    code = "import sys, supervisor.daemon, supervisor.cli.check; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
