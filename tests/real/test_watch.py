"""The watch over a real engine, through a proxy that loses connections and answers. The engine itself is left alone."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from supervisor.clock import SystemClock
from supervisor.engines.docker import DockerEngine
from supervisor.engines.docker import engine as engine_module
from supervisor.errors import EngineGone, EngineTimeout
from supervisor.facts import EngineEvent, EngineState, ImageRef, Looked, Readings, Sweep
from supervisor.signals.docker import Watch
from tests.support.images import import_busybox, remove_image
from tests.support.proxy import ChaosProxy

pytestmark = pytest.mark.real

SOCKET = "/var/run/docker.sock"
PREFIX = f"rsgw{os.getpid()}"
SERVE = f"{PREFIX}/serve:1"


class Hands:
    """A person at the engine, past the proxy."""

    def __init__(self) -> None:
        self.client = docker.APIClient(base_url=f"unix://{SOCKET}", version="auto")
        self.serve = import_busybox(
            SERVE, ["""CMD ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]"""], self.client
        )
        self.client.create_network(PREFIX)

    def run(self, word: str, command: list[str] | None = None, image: str = SERVE, start: bool = True) -> str:
        body: dict[str, Any] = {"Image": image, "HostConfig": {"NetworkMode": PREFIX}}
        if command:
            body["Cmd"] = command
        made = str(self.client.create_container_from_config(body, f"{PREFIX}-{word}")["Id"])
        if start:
            self.client.start(made)
        return made

    def sweep(self) -> None:
        for row in self.client.containers(all=True, filters={"name": PREFIX}):
            self.client.remove_container(row["Id"], force=True, v=True)

    def close(self) -> None:
        self.sweep()
        self.client.remove_network(PREFIX)
        for ref in (SERVE, f"{PREFIX}/moved:1"):
            remove_image(ref, self.client)
        self.client.close()


class Core:
    """Where facts go: what the core would be handed, and a way to wait for one."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self._bell = asyncio.Event()

    def submit(self, fact: Any) -> None:
        self.facts.append(fact)
        self._bell.set()

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def until(self, wanted: Callable[[], Any], limit: float = 90.0) -> Any:
        """Wait until `wanted()` is true, looking again at every fact."""
        async with asyncio.timeout(limit):
            while not (found := wanted()):
                self._bell.clear()
                await self._bell.wait()
            return found


@pytest.fixture(scope="module")
def hands() -> Iterator[Hands]:
    made = Hands()
    yield made
    made.close()


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy(SOCKET, str(tmp_path / "d.sock")) as made:
        yield made


@pytest.fixture
async def engine(proxy: ChaosProxy, hands: Hands) -> AsyncIterator[DockerEngine]:
    made = DockerEngine(f"unix://{proxy.path}", SystemClock())
    yield made
    await made.close()
    hands.sweep()


@pytest.fixture
async def core(engine: DockerEngine) -> AsyncIterator[Core]:
    """A watch that runs; its first sweep is in."""
    made = Core()
    watch = Watch(engine, made.submit, SystemClock(), stats_every=1)
    task = asyncio.ensure_future(watch.run())
    await made.until(lambda: made.of(Sweep))
    yield made
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def kinds(core: Core, container_id: str) -> list[str]:
    return [event.kind for event in core.of(EngineEvent) if event.object_id == container_id]


async def test_the_subscription_stands_before_the_list(core: Core, proxy: ChaosProxy) -> None:
    lines = [line for line in proxy.requests if "/events" in line or "/containers/json" in line]
    assert "/events" in lines[0]
    assert "/containers/json" in lines[1]
    assert core.of(EngineState)[0].up


async def test_a_death_comes_with_its_evidence(core: Core, hands: Hands) -> None:
    made = await asyncio.to_thread(hands.run, "a", ["sh", "-c", "echo PASSWORD=hush; echo boom; exit 139"])
    looked = await core.until(lambda: [f for f in core.of(Looked) if f.object_id == made and f.log])
    assert (looked[-1].container.exit_code, looked[-1].log) == (139, ("PASSWORD=***", "boom"))
    assert kinds(core, made) == ["create", "start", "die"]


async def test_a_tag_that_moves_is_told(core: Core, hands: Hands) -> None:
    ref = f"{PREFIX}/moved:1"
    await asyncio.to_thread(hands.client.tag, hands.serve, f"{PREFIX}/moved", "1")
    await core.until(lambda: [f for f in core.of(ImageRef) if (f.ref, f.image_id) == (ref, hands.serve)])
    await asyncio.to_thread(hands.client.remove_image, ref)
    await core.until(lambda: [f for f in core.of(ImageRef) if (f.ref, f.image_id) == (ref, "")])


async def test_stats_come_for_what_runs(core: Core, hands: Hands) -> None:
    await asyncio.to_thread(hands.run, "a")

    def mine() -> dict[str, float]:
        found = {}
        for reading in core.of(Readings):
            for sample in reading.samples:
                pairs = dict(sample.labels)
                if pairs.get("name") == f"{PREFIX}-a":
                    found[pairs["__name__"]] = sample.value
        return found

    found = await core.until(mine)
    assert found["container_memory_working_set_bytes"] > 0
    assert found["container_spec_memory_limit_bytes"] == 0
    assert found["container_cpu_usage_seconds_total"] > 0


async def test_what_happened_while_the_socket_was_gone_is_not_lost(core: Core, hands: Hands, proxy: ChaosProxy) -> None:
    made = await asyncio.to_thread(hands.run, "a")
    await core.until(lambda: "start" in kinds(core, made))
    await proxy.vanish()
    await core.until(lambda: not core.of(EngineState)[-1].up)
    await asyncio.to_thread(hands.client.kill, made)
    await asyncio.to_thread(hands.client.wait, made)
    sweeps = len(core.of(Sweep))
    await proxy.listen()
    await core.until(lambda: core.of(EngineState)[-1].up)
    await core.until(lambda: "die" in kinds(core, made))
    swept = await core.until(lambda: core.of(Sweep)[sweeps:])
    assert next(one for one in swept[-1].containers if one.id == made).exit_code == 137


async def test_a_cut_stream_is_taken_up_where_it_was(core: Core, hands: Hands, proxy: ChaosProxy) -> None:
    proxy.cut()
    await core.until(lambda: [state.up for state in core.of(EngineState)] == [True, False, True])
    made = await asyncio.to_thread(hands.run, "a", ["true"])
    await core.until(lambda: kinds(core, made)[-3:] == ["create", "start", "die"])


async def test_300_events_and_a_slow_consumer_lose_no_state(core: Core, hands: Hands) -> None:
    """The loop is blocked again and again while a burst arrives, far beyond the engine's patience with one reader."""

    def burst() -> str:
        made = hands.run("a", start=False)
        for number in range(300):
            hands.client.rename(made, f"{PREFIX}-a{number}")
        return made

    work = asyncio.ensure_future(asyncio.to_thread(burst))
    while not work.done():
        time.sleep(0.2)  # a loop that is busy elsewhere
        await asyncio.sleep(0)
    made = await work
    await core.until(lambda: kinds(core, made).count("rename") == 300)
    last = await core.until(
        lambda: [f for f in core.of(Looked) if f.object_id == made and f.container.name.endswith("a299")]
    )
    assert last[-1].container.status == "created"
    assert len(core.of(EngineState)) == 1


async def test_a_burst_across_a_cut_stream_loses_no_state(core: Core, hands: Hands, proxy: ChaosProxy) -> None:
    """More happens than the engine remembers, the stream breaks again and again meanwhile, and the consumer is slow."""

    def burst() -> list[str]:
        made = [hands.run(f"c{number}", start=False) for number in range(4)]
        for number in range(75):
            for word, one in enumerate(made):
                hands.client.rename(one, f"{PREFIX}-c{word}x{number}")
        return made

    work = asyncio.ensure_future(asyncio.to_thread(burst))
    while not work.done():
        time.sleep(0.2)  # a loop that is busy elsewhere
        proxy.cut("/events")
        await asyncio.sleep(0.05)
    made = await work

    def known() -> set[tuple[str, str]]:
        latest = {one.id: one.name for one in core.of(Sweep)[-1].containers}
        return {(one, latest.get(one, "")) for one in made}

    await core.until(lambda: known() == {(one, f"{PREFIX}-c{word}x74") for word, one in enumerate(made)})
    await core.until(lambda: core.of(EngineState)[-1].up)


async def test_a_stream_that_overflows_ends_and_a_sweep_follows(
    engine: DockerEngine, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.engines.docker.stream.LIMIT", 5)
    made = await asyncio.to_thread(hands.run, "a", None, SERVE, False)
    stream = engine.events()
    assert (await anext(stream)).kind == "subscribed"

    def burst() -> None:
        for number in range(20):
            hands.client.rename(made, f"{PREFIX}-a{number}")

    await asyncio.to_thread(burst)
    async with asyncio.timeout(10):
        assert len([event async for event in stream]) < 20


async def test_an_answer_that_is_lost_is_not_an_effect_that_is_lost(
    engine: DockerEngine, hands: Hands, proxy: ChaosProxy
) -> None:
    made = await asyncio.to_thread(hands.run, "a")
    await engine.list()
    proxy.lose_answer_to = "/rename"
    with pytest.raises(EngineGone):
        await engine.rename(made, f"{PREFIX}-b")
    found = await engine.inspect(made)
    assert found is not None
    assert found.name == f"{PREFIX}-b"
    proxy.lose_answer_to = ""
    await engine.rename(made, f"{PREFIX}-b")


async def test_a_late_answer_is_a_timeout_and_the_next_call_is_not_confused(
    engine: DockerEngine, hands: Hands, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await asyncio.to_thread(hands.run, "a")
    monkeypatch.setattr(engine_module, "STOP_MARGIN", 1.0)
    proxy.hold_answer_to = "/stop"
    with pytest.raises(EngineTimeout, match="what it did is not known"):
        await engine.stop(made, 1)
    proxy.hold_answer_to = ""
    found = await engine.inspect(made)
    assert found is not None
    assert (found.id, found.status) == (made, "exited")


async def test_an_engine_that_comes_later_is_found(tmp_path: Path, hands: Hands) -> None:
    late = DockerEngine(f"unix://{tmp_path}/late.sock", SystemClock())
    with pytest.raises(EngineGone, match=r"late\.sock"):
        await late.info()
    async with ChaosProxy(SOCKET, str(tmp_path / "late.sock")):
        assert (await late.info()).version
        await late.close()


async def test_closing_does_not_wait_for_a_call_under_way(tmp_path: Path, hands: Hands) -> None:
    engine = DockerEngine(None, SystemClock())
    made = await asyncio.to_thread(hands.run, "a", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    stop = asyncio.ensure_future(engine.stop(made, 3))
    stream = engine.events()
    await anext(stream)
    began = SystemClock().mono()
    stop.cancel()
    await engine.close()
    async with asyncio.timeout(2):
        assert [event async for event in stream if event.kind == "subscribed"] == []
    assert SystemClock().mono() - began < 1.0
    assert not [thread for thread in threading.enumerate() if not thread.daemon and thread.name.startswith("docker")]
    hands.sweep()


async def test_a_check_whose_tool_is_missing_is_broken_and_a_hanging_one_late(
    engine: DockerEngine, hands: Hands
) -> None:
    made = await asyncio.to_thread(hands.run, "a")
    ran = await engine.exec(made, ("sh", "-c", "echo out; echo err >&2; exit 3"), 5)
    assert (ran.code, set(ran.output.split()), ran.broken) == (3, {"out", "err"}, "")
    missing = await engine.exec(made, ("curl", "-f", "http://localhost"), 5)
    assert "executable file not found" in missing.broken
    late = await engine.exec(made, ("sleep", "30"), 0.5)
    assert (late.code, late.broken) == (124, "")


async def test_a_death_is_told_while_every_look_hangs(core: Core, hands: Hands, proxy: ChaosProxy) -> None:
    await asyncio.to_thread(hands.run, "before")
    proxy.hold_answer_to = "/containers/"
    made = [await asyncio.to_thread(hands.run, f"d{number}", ["true"]) for number in range(4)]
    await core.until(lambda: all("die" in kinds(core, one) for one in made))
    assert not [looked for looked in core.of(Looked) if looked.object_id in made]
