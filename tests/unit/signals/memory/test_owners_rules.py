"""The owner's alert file, word for word, on the readings that we make of the kernel's own files."""

import asyncio
from pathlib import Path

import pytest

from supervisor.facts import Fact, Readings
from supervisor.kernel.host import MEMINFO, Machine
from supervisor.lab.loop import SimLoop
from supervisor.signals.memory.watch import COLLECTOR, MemoryWatch
from tests.support.kernel_files import Files
from tests.support.rules import Box

OWNER = Path(__file__).parents[3] / "support" / "owner-alerts.yaml"
TOTAL, SWAP = 402_653_184, 67_108_864
"""kB: 384 and 64 GiB"""


class Owners:
    """The machine of the owner, read every five seconds, with the owner's rules on it."""

    def __init__(self) -> None:
        self.loop, self.files, self.facts = SimLoop(), Files(), list[Fact]()
        clock = self.loop.clock
        self.watch = MemoryWatch(Machine(self.files), self.files, self.facts.append, clock, lambda: ())
        self.box = Box(OWNER.read_text("utf-8"), start=clock.wall())

    def lives(self, seconds: float, available: float, swap_free: float = 1.0) -> list[tuple[str, str]]:
        """So long, with such shares left; what became of the alerts: (name, state)."""
        self.files.files[MEMINFO] = (
            f"MemTotal: {TOTAL} kB\nMemAvailable: {int(TOTAL * available)} kB\n"
            f"SwapTotal: {SWAP} kB\nSwapFree: {int(SWAP * swap_free)} kB\n"
        )
        known = len(self.box.log)
        for _ in range(int(seconds / 5)):
            self.loop.run_until_complete(asyncio.sleep(5))
            self.box.wait(5)
            self.watch.read()
            reading = self.facts[-1]
            assert isinstance(reading, Readings)
            touched = self.box.store.append(self.box.now, reading.samples)
            self.box.engine.arrived(COLLECTOR, touched, self.box.now)
            self.box.settle()
        return [(name, state) for _at, name, _before, state in self.box.log[known:]]


@pytest.fixture
def owners() -> Owners:
    return Owners()


def test_ninety_four_per_cent_is_the_plan_and_ninety_six_for_two_minutes_is_an_alert(owners: Owners) -> None:
    assert owners.lives(300, 0.06) == []
    assert owners.lives(115, 0.04) == [("HighMemoryPressure", "pending")]
    assert owners.lives(15, 0.04) == [("HighMemoryPressure", "firing")]
    assert owners.lives(10, 0.06) == [("HighMemoryPressure", "resolved")]


def test_swap_above_half_for_five_minutes_is_one_too(owners: Owners) -> None:
    assert owners.lives(300, 0.06, 0.51) == []
    assert owners.lives(295, 0.06, 0.49) == [("SwapInUse", "pending")]
    assert owners.lives(15, 0.06, 0.49) == [("SwapInUse", "firing")]
    (alert,) = owners.box.engine.active()
    assert alert.annotations["summary"] == "Swap usage above 50% - memory pressure detected"
    assert owners.lives(10, 0.06, 0.51) == [("SwapInUse", "resolved")]
