"""A Mac in the words of Linux, by what an M3 Ultra with a large Metal model says."""

import struct

import pytest

from supervisor.errors import UsageError
from supervisor.facts import labels
from supervisor.lab.loop import SimLoop
from supervisor.signals.memory import series
from supervisor.signals.memory.mac import LEVEL, PAGE, SWAP, TOTAL, WIRED_LIMIT, MacMachine
from supervisor.signals.memory.watch import MemoryWatch
from tests.support.kernel_files import Files

GIB = 2.0**30
PAGES = 16384


def pages(gib: float) -> int:
    return int(gib * GIB / PAGES)


class Recorded:
    """A Mac with 512 GiB: 300 wired, 60 in programs (4 of that purgeable), 10 compressed."""

    def __init__(self) -> None:
        self.values = {
            TOTAL: struct.pack("<Q", 512 * 2**30),
            PAGE: struct.pack("<Q", PAGES),
            SWAP: struct.pack("<QQQIi", 8 * 2**30, 5 * 2**30, 3 * 2**30, PAGES, 1),
            LEVEL: struct.pack("<i", 2),
            WIRED_LIMIT: struct.pack("<i", 491520),
        }
        first = struct.pack("<4I", pages(20), pages(70), pages(60), pages(300))
        counts = struct.pack("<9Q", 1, 2, 33, 4, 5, 6, 7, 8, 9)
        more = struct.pack("<2I4Q", pages(4), pages(2), 11, 12, 13, 14)
        self.vm = first + counts + more + struct.pack("<4IQ", pages(10), 0, pages(122), pages(60), 99)

    def value(self, name: str, size: int) -> bytes:
        if name not in self.values:
            raise OSError(2, f"sysctl {name}")
        return self.values[name][:size]

    def statistics(self) -> bytes:
        return self.vm


def test_what_is_wired_can_be_had_by_nobody_else() -> None:
    found = MacMachine(Recorded()).meminfo()
    assert found["MemTotal"] == 512 * GIB
    assert found["wired"] == 300 * GIB
    assert found["MemAvailable"] == (512 - 300 - (60 - 4) - 10) * GIB
    assert (found["MemFree"], found["compressed"], found["purgeable"]) == (20 * GIB, 10 * GIB, 4 * GIB)
    assert (found["SwapTotal"], found["SwapFree"]) == (8 * GIB, 5 * GIB)
    assert (found["PressureLevel"], found["WiredLimit"]) == (2.0, 480 * GIB)


def test_what_a_version_of_macos_does_not_tell_is_left_out() -> None:
    recorded = Recorded()
    del recorded.values[LEVEL]
    recorded.values[WIRED_LIMIT] = struct.pack("<i", 0)
    found = MacMachine(recorded).meminfo()
    assert "PressureLevel" not in found
    assert "WiredLimit" not in found, "0 is Apple's own limit"


def test_counters_swap_nodes_and_pressure() -> None:
    machine = MacMachine(Recorded())
    assert machine.vmstat() == {"pswpin": 13.0, "pswpout": 14.0, "pgmajfault": 33.0}
    assert [(one.size, one.used) for one in machine.swaps()] == [(8 * GIB, 3 * GIB)]
    assert machine.nodes() == {}
    with pytest.raises(UsageError, match="level"):
        machine.pressure()


def test_a_mac_that_tells_nothing_is_said_in_words() -> None:
    recorded = Recorded()
    recorded.values.clear()
    machine = MacMachine(recorded)
    with pytest.raises(UsageError, match="cannot read the machine's memory from sysctl"):
        machine.meminfo()
    with pytest.raises(UsageError, match=r"vm\.swapusage"):
        machine.swaps()
    recorded.vm = b"short"
    with pytest.raises(UsageError, match="counters of macOS"):
        machine.vmstat()


def test_the_watch_makes_series_and_a_source_of_it() -> None:
    loop, facts = SimLoop(), []
    watch = MemoryWatch(MacMachine(Recorded()), Files(), facts.append, loop.clock, tuple)
    watch.read()
    values = {sample.labels: sample.value for sample in facts[-1].samples}
    assert values[labels("node_memory_wired_bytes")] == 300 * GIB
    assert values[labels(series.LEVEL)] == 2.0
    assert values[labels("node_memory_MemTotal_bytes")] == 512 * GIB
    assert values[labels(series.LIVE, source="level")] == 1.0
    assert {name for name, _ in ((dict(one)["__name__"], one) for one in values)} <= {m.name for m in series.METRICS}
    loop.close()
