"""The gate before real model servers (llama.cpp's own), under load: one takes over from the other, and nobody fails."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from supervisor.clock import SystemClock
from supervisor.facts import GateState, Slot, SlotModel
from supervisor.gate import Gates
from tests.support.gguf_models import tiny
from tests.support.openloop import OK, Load

pytestmark = pytest.mark.real

LIMIT = 60.0
"""seconds: that something hangs, no more"""
SLOT = "oracle"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.asynccontextmanager
async def llama(model: Path, alias: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A server that has loaded its model: where it is, and its process."""
    port = free_port()
    words = (sys.executable, "-m", "tests.support.llama", str(model), str(port), f"alias={alias}")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=quiet)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            assert b"listening" in await process.stdout.readline()
        yield f"http://127.0.0.1:{port}", process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), LIMIT)


@contextlib.asynccontextmanager
async def gate() -> AsyncIterator[tuple[Gates, int]]:
    port = free_port()
    slots = [Slot(SLOT, (SlotModel("a"), SlotModel("b")), listen=f"127.0.0.1:{port}")]
    gates = Gates(slots, SystemClock(), lambda _fact: None)
    await gates.start()
    running = asyncio.get_running_loop().create_task(gates.run())
    try:
        yield gates, port
        assert gates.faults == 0
    finally:
        running.cancel()
        await gates.close()


def stands(gates: Gates) -> GateState:
    found = gates.state(SLOT)
    assert found is not None
    return found


async def until_ok(load: Load, model: str, count: int = 1) -> None:
    async with asyncio.timeout(LIMIT):
        while len([one for one in load.answers if one.kind == OK and one.model == model]) < count:
            await asyncio.sleep(0.01)


async def test_an_exclusive_swap_under_load_fails_and_cuts_nobody(tmp_path: Path) -> None:
    model = tiny(tmp_path / "tiny.gguf")
    async with gate() as (gates, port):
        load = Load("127.0.0.1", port)
        asking = asyncio.ensure_future(load.run())
        async with llama(model, "a") as (where, _process):
            gates.open(SLOT, where)
            await until_ok(load, "a", 12)
            began = time.monotonic()
            gates.hold(SLOT, "b takes over")
            async with asyncio.timeout(LIMIT):
                while stands(gates).in_flight:
                    await asyncio.sleep(0.005)
        async with llama(model, "b") as (where, _process):
            gates.open(SLOT, where)
            await until_ok(load, "b")
            ended = time.monotonic()
            await until_ok(load, "b", 20)
            load.stop()
            await asyncio.wait_for(asking, LIMIT)
        found = load.summary(began, ended)
        state = stands(gates)
    assert found.wrong == ()
    assert (found.failed, found.cut) == (0, 0)
    assert set(found.models) == {"a", "b"}
    models = [one.model for one in sorted(load.answers, key=lambda one: one.first)]
    assert models == sorted(models)  # nobody is answered by the one before once the next one has answered
    assert (state.errors, state.refused, state.cut) == (0, 0, 0)


async def test_a_model_that_is_killed_with_streams_ends_none_of_them_in_silence(tmp_path: Path) -> None:
    model = tiny(tmp_path / "tiny.gguf")
    async with gate() as (gates, port):
        load = Load("127.0.0.1", port, tokens=1500)
        async with llama(model, "a") as (where, process):
            gates.open(SLOT, where)
            asking = asyncio.ensure_future(load.run())
            async with asyncio.timeout(LIMIT):
                while stands(gates).in_flight < 4:
                    await asyncio.sleep(0.005)
            load.stop()
            process.kill()
        while stands(gates).in_flight:
            await asyncio.sleep(0.005)
        gates.refuse(SLOT, "it died", 1.0)
        await asyncio.wait_for(asking, LIMIT)
        state = stands(gates)
    ended = [one for one in load.answers if one.kind != OK]
    assert len(ended) >= 4
    assert {one.kind for one in ended} <= {"503", "other", "cut"}  # no reset, no silence
    assert all(one.status in (200, 502, 503) for one in ended)
    assert all("broke off" in one.text or "it died" in one.text for one in ended), [one.text for one in ended]
    assert state.errors + state.refused == len(ended)
