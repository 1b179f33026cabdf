"""The child on a real card, against `nvidia-smi`. Runs where there is one; it changes nothing about the card.

Memory is taken through the driver's own library, libcuda, by a process that the test starts and ends.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from supervisor.facts import Container, GpuCard, Needs
from supervisor.signals.gpu import GpuReader, VramGate
from supervisor.signals.gpu.reader import in_a_namespace

_HERE = Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is not None
pytestmark = [
    pytest.mark.real,
    pytest.mark.gpu,
    pytest.mark.skipif(not _HERE, reason="needs a machine with an NVIDIA GPU and nvidia-smi"),
]

GIB, MIB = 2**30, 2**20
TAKEN = 2 * GIB
WIDE = 60.0
_TAKES = f"""
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, place, device = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_int()
for wrong in (cuda.cuInit(0), cuda.cuDeviceGet(ctypes.byref(device), 0),
              cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device),
              cuda.cuMemAlloc_v2(ctypes.byref(place), ctypes.c_size_t({TAKEN}))):
    if wrong:
        sys.exit(f"libcuda says {{wrong}}")
print("taken", flush=True)
sys.stdin.read()
"""
"""a program that holds memory of GPU 0 until its stdin ends"""


@pytest.fixture
async def reader() -> AsyncIterator[GpuReader]:
    reader = GpuReader()
    yield reader
    await reader.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """The process that holds TAKEN bytes of GPU 0."""
    with subprocess.Popen([sys.executable, "-c", _TAKES], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def smi(*columns: str) -> list[list[str]]:
    """What nvidia-smi says, a row for each card."""
    query = ["nvidia-smi", f"--query-gpu={','.join(columns)}", "--format=csv,noheader,nounits"]
    said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=WIDE).stdout
    return [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]


def number(cell: str) -> float | None:
    """None where it says `[N/A]` or `[Not Supported]`."""
    with contextlib.suppress(ValueError):
        return float(cell)
    return None


async def cards_of(reader: GpuReader, depth: str = "slow") -> tuple[GpuCard, ...]:
    reading = await reader.snapshot(depth)
    assert (reading.trouble, reading.text) == ("", "")
    assert reading.cards
    return reading.cards


async def test_names_sizes_and_versions_are_those_of_nvidia_smi(reader: GpuReader) -> None:
    cards = await cards_of(reader, "rare")
    rows = smi("index", "uuid", "pci.bus_id", "name", "memory.total", "driver_version")
    assert len(rows) == len(cards)
    for card, (index, uuid, bus, name, total, driver) in zip(cards, rows, strict=True):
        assert (card.index, card.uuid, card.bus_id, card.name) == (int(index), uuid, bus.lower(), name)
        assert card.values["DCGM_FI_DEV_FB_TOTAL"] == float(total)
        reading = await reader.snapshot("fast")
        assert (reading.driver, reading.library) == (driver, driver)


EXACT = {
    "memory.reserved": "DCGM_FI_DEV_FB_RESERVED",
    "pcie.link.gen.max": "DCGM_FI_DEV_PCIE_MAX_LINK_GEN",
    "pcie.link.width.max": "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH",
    "pcie.link.width.current": "DCGM_FI_DEV_PCIE_LINK_WIDTH",
    "ecc.errors.corrected.volatile.total": "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
    "ecc.errors.uncorrected.volatile.total": "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
}
NEAR = {
    "memory.free": ("DCGM_FI_DEV_FB_FREE", 512.0),
    "memory.used": ("DCGM_FI_DEV_FB_USED", 512.0),
    "temperature.gpu": ("DCGM_FI_DEV_GPU_TEMP", 8.0),
    "temperature.memory": ("DCGM_FI_DEV_MEMORY_TEMP", 8.0),
    "power.draw": ("DCGM_FI_DEV_POWER_USAGE", 150.0),
}
"""what may move between two looks, and how far"""


async def test_values_are_those_of_nvidia_smi(reader: GpuReader) -> None:
    cards = await cards_of(reader)
    rows = smi(*EXACT, *NEAR)
    compared = 0
    for card, row in zip(cards, rows, strict=True):
        for (column, metric), cell in zip(EXACT.items(), row, strict=False):
            if (expected := number(cell)) is not None:
                assert card.values[metric] == expected, column
                compared += 1
        for (column, (metric, apart)), cell in zip(NEAR.items(), row[len(EXACT) :], strict=True):
            if (expected := number(cell)) is not None:
                assert card.values[metric] == pytest.approx(expected, abs=apart), column
                compared += 1
    assert compared >= 4 * len(cards)


async def test_words_are_those_of_nvidia_smi(reader: GpuReader) -> None:
    cards = await cards_of(reader)
    for card, (state, persistence) in zip(cards, smi("pstate", "persistence_mode"), strict=True):
        assert card.values["resurgam_gpu_persistence_mode"] == (persistence == "Enabled")
        assert 0 <= card.values["DCGM_FI_DEV_PSTATE"] <= 15
        assert state.startswith("P")
        assert card.values["DCGM_FI_DEV_SM_CLOCK"] > 0
        assert -10 < card.values.get("resurgam_gpu_thermal_margin_celsius", 50.0) < 120


async def test_a_process_that_takes_memory_is_seen_with_it(reader: GpuReader, taken: int) -> None:
    (before, *_) = await cards_of(reader, "fast")
    assert before.total - before.reserved - before.free >= TAKEN
    if in_a_namespace() and not before.users:
        assert (await reader.snapshot("fast")).namespaced
        return
    assert {user.pid: user.used >= TAKEN for user in before.users}.get(taken) is True
    usage = await reader.usage()
    assert dict(usage.gpus[0].users)[taken] >= TAKEN
    held = await VramGate(reader).held(Needs(vram=(("0", before.free + MIB),)), Container("c", "c", "i", "r"), "")
    assert "GPU 0 has" in held


async def test_events_can_be_waited_for_and_an_idle_card_tells_none(reader: GpuReader) -> None:
    heard: list[object] = []
    reader.listen(heard.append)
    assert await reader.events(True) == ""
    await asyncio.sleep(1.0)
    assert heard == [], "clock events alone would be ten by now"
    assert await reader.events(False) == ""


async def test_released_nothing_of_ours_has_the_card_open(reader: GpuReader) -> None:
    await cards_of(reader, "fast")
    child = reader.pid
    assert any(path.startswith("/dev/nvidia") for path in opened(child))
    assert await reader.release("A test.")
    assert opened(child) == []
    assert not any(path.startswith("/dev/nvidia") for path in opened(os.getpid()))


async def test_the_child_is_small(reader: GpuReader) -> None:
    for depth in ("rare", "slow", "fast"):
        await cards_of(reader, depth)
    lines = Path(f"/proc/{reader.pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    assert resident * 1024 <= 25e6


def opened(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(fd))
    return found
