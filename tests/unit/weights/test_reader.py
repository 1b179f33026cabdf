"""The reader with disks that do not answer: it comes back in time, and does not pile up threads."""

import asyncio
import threading

import pytest

from supervisor.clock import SystemClock
from supervisor.facts import SlotModel, WeightsLook
from supervisor.weights import local, reader
from supervisor.weights.reader import WeightsReader


async def test_a_dead_disk_holds_its_thread_and_not_us(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun = threading.Event(), []

    def hangs(paths: tuple[str, ...]) -> WeightsLook:
        begun.append(paths)
        gate.wait(60)
        return WeightsLook("gguf")

    monkeypatch.setattr(local, "look", hangs)
    clock = SystemClock()
    one = WeightsReader(clock)
    dead = SlotModel("m", files=("/nfs/m.gguf",))
    assert (await one.look(dead, 0.01)).troubles == ("/nfs/m.gguf could not be read within 10ms",)
    again = await one.look(dead, 0.01)
    assert "its disk does not answer" in again.troubles[0]
    assert len(begun) == 1, "the same disk is not asked twice"
    for number in range(reader.MOST_AT_ONCE - 1):
        await one.look(SlotModel("m", files=(f"/nfs/{number}",)), 0.01)
    assert "others have not answered yet" in (await one.look(SlotModel("m", files=("/other",)), 0.01)).notes[0]
    gate.set()
    async with asyncio.timeout(60):
        while one._busy:
            await asyncio.sleep(0)
    assert (await one.look(dead, 60.0)).kind == "gguf"
    one.close()
    assert "no thread is started" in (await one.look(dead, 60.0)).notes[0]
