"""llama.cpp's own HTTP server: the suite of hands on model servers, and what only a real one shows."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support.model_server_suite")

from supervisor.clock import SystemClock  # noqa: E402
from supervisor.errors import ServerError  # noqa: E402
from supervisor.facts import ServerLook, SlotModel  # noqa: E402
from supervisor.facts.slots import ASLEEP, LOADED, UNKNOWN  # noqa: E402
from supervisor.ports import ModelAt  # noqa: E402
from supervisor.servers.hands import ModelServers  # noqa: E402
from tests.support import gguf_models  # noqa: E402
from tests.support.daemon import free_port  # noqa: E402
from tests.support.model_server_suite import CHECKS, LIMIT, LONG, Check  # noqa: E402

pytestmark = pytest.mark.real


class Lab:
    """Implements model_server_suite.Lab: a process, and the hands on it."""

    def __init__(self, process: "subprocess.Popen[bytes]", at: ModelAt) -> None:
        self.process, self.at = process, at
        self.server = ModelServers(SystemClock())

    async def kill(self) -> None:
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(LIMIT):
            while not await condition():
                await asyncio.sleep(0.002)

    async def state(self, state: str) -> ServerLook:
        """Wait until it stands so."""
        async with asyncio.timeout(LIMIT):
            while (seen := await self.server.look(self.at)).state != state:
                assert self.process.poll() is None, "the server ended"
                await asyncio.sleep(0.01)
            return seen


@asynccontextmanager
async def lab(model: Path, *options: str, key: Path | None = None) -> AsyncIterator[Lab]:
    """A server with this model that has come up."""
    port = free_port()
    words = [sys.executable, "-m", "tests.support.llama", str(model), str(port), "alias=tiny", *options]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    declared = SlotModel(
        "oracle", service="oracle", url=f"http://127.0.0.1:{port}", model="tiny", key_file=str(key) if key else ""
    )
    made = Lab(process, ModelAt(declared))
    try:
        if key is None:
            await made.state(LOADED)
        yield made
    finally:
        await made.server.close()
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is good."""
    return gguf_models.tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose answers take long enough for something to happen meanwhile."""
    return gguf_models.slow(tmp_path_factory.mktemp("models") / "slow.gguf")


@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
async def test_suite(check: Check, slow: Path) -> None:
    await check(lambda: lab(slow))


async def test_it_says_which_file_and_how_much_context(tiny: Path) -> None:
    async with lab(tiny) as it:
        seen = await it.state(LOADED)
        assert seen.server == "llama-server"
        assert seen.identity.path == str(tiny)
        assert seen.identity.context > 0
        assert seen.loaded == ("tiny",)


async def test_looks_let_it_fall_asleep_and_do_not_wake_it(tiny: Path) -> None:
    async with lab(tiny, "sleep=1") as it:
        await it.state(ASLEEP)  # though it is looked at all the time
        for _ in range(5):
            seen = await it.server.look(it.at)
            assert (seen.state, seen.loaded, seen.in_flight) == (ASLEEP, (), 0)
        found = await it.server.complete(it.at, "Count.", 4, LIMIT)
        assert found.text
        assert (await it.server.look(it.at)).state == LOADED


async def test_one_that_does_not_count_is_judged_by_its_connections(slow: Path) -> None:
    async with lab(slow) as it:
        plain = replace(it.at, model=replace(it.at.model, server="openai"))

        async def is_busy(count: int) -> bool:
            return (await it.server.look(plain)).in_flight == count

        await it.until(lambda: is_busy(0))
        works = asyncio.ensure_future(it.server.complete(it.at, "Count.", LONG, LIMIT))
        await it.until(lambda: is_busy(1))
        await works
        await it.until(lambda: is_busy(0))


async def test_without_its_key_it_is_unknown_and_with_it_it_answers(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("wrong\n")
    file.chmod(0o600)
    async with lab(tiny, "key=right", key=file) as it:
        async with asyncio.timeout(LIMIT):
            while "key" not in (seen := await it.server.look(it.at)).text:
                await asyncio.sleep(0.01)
        assert seen.state == UNKNOWN
        with pytest.raises(ServerError, match="key-file"):
            await it.server.complete(it.at, "Count.", 4, LIMIT)
        file.write_text("right\n")
        assert (await it.state(LOADED)).identity.model == "tiny"
        assert (await it.server.complete(it.at, "Count.", 4, LIMIT)).text


async def test_a_model_in_parts_is_one_model(tmp_path: Path) -> None:
    first, *_others = gguf_models.sharded(tmp_path)
    async with lab(first) as it:
        assert (await it.server.complete(it.at, "Count.", 4, LIMIT)).text


@pytest.mark.parametrize("make", [gguf_models.unknown_architecture, gguf_models.truncated])
async def test_a_model_that_it_does_not_take_ends_it(make: Callable[[Path], Path], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.support.llama", str(make(tmp_path / "bad.gguf")), str(free_port())]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert await asyncio.to_thread(process.wait, LIMIT) != 0
