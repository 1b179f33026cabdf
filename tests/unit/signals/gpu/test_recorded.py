"""What a real card answered, given to the child process, to the readers of its answers and to the gate.

From: support/nvml/nvml_h200.json, which says what it was recorded on.
"""

import json
import sys

import pytest

from supervisor.facts import Container, GpuProcess, Needs
from supervisor.signals.gpu import VramGate, child
from supervisor.signals.gpu.told import reading_from
from supervisor.signals.gpu.usage import Gpu, Usage, read_line, usage_from
from supervisor.signals.gpu.vram import doubts
from tests.support.nvml.recorded import BUS, CARD, UUID, Card, NVMLError, Recorded, recorded

GIB, MIB = 2**30, 2**20
OLD = "a1" * 32
TOTAL, RESERVED, IDLE_FREE, BUSY_FREE = 150_754_820_096, 644_939_776, 150_109_880_320, 131_186_884_608
HELD = ((4711, 17_723_031_552), (4712, 1_184_890_880))


@pytest.fixture
def said(monkeypatch):
    """What comes through the pipe."""

    def asks(library, depth="usage"):
        monkeypatch.setitem(sys.modules, "pynvml", library)
        driver, wrong = child.start()
        answer = wrong if driver is None else driver.snapshot(depth)
        return read_line(json.dumps({"n": 1, **answer}).encode())

    return asks


@pytest.fixture
def read(said):
    """What our side of the pipe makes of it."""
    return lambda *cards, **told: usage_from(said(Recorded(*cards, **told)))


def situation(name):
    return {call: recorded(entry) for call, entry in CARD["situations"][name].items()}


def test_an_idle_card_has_all_free_but_what_the_driver_keeps(read):
    usage = read()
    assert usage == Usage((Gpu(0, UUID, TOTAL, IDLE_FREE, reserved=RESERVED),))
    assert usage.gpus[0].most == IDLE_FREE


def test_a_card_with_two_users(read):
    assert read(Card("busy")) == Usage((Gpu(0, UUID, TOTAL, BUSY_FREE, HELD, reserved=RESERVED),))


def test_an_amount_between_what_it_has_and_what_it_ever_has_free_is_a_doubt(read):
    usage = read()
    assert doubts((("0", IDLE_FREE),), usage) == ()
    said = "GPU 0 never has more than 139.8 GiB free, and it needs 140 GiB: it is not waited for."
    assert doubts((("0", 140 * GIB),), usage) == (said,)


def test_a_library_without_the_newer_call_is_asked_the_older_one(read):
    usage = read(Card("busy", situation("a library without the newer memory call")))
    assert usage == Usage((Gpu(0, UUID, TOTAL, BUSY_FREE, HELD),))


@pytest.mark.parametrize(
    ("name", "said_so"),
    [
        ("/dev/nvidia0 cannot be opened", "NVIDIA's driver shows us no GPU; look whether"),
        ("/dev/nvidiactl may not be opened", "we may not open NVIDIA's device files"),
        ("/dev/nvidiactl is something else", "we may not open NVIDIA's device files"),
        ("/dev/nvidiactl is something else, and we are not root", "NVIDIA's driver says: Unknown Error"),
        ("no /dev/nvidia* (as with PrivateDevices=yes)", "we may not open NVIDIA's device files"),
        ("a library that is none", "NVIDIA's driver is loaded, but its library, libnvidia-ml.so.1"),
        ("a library of another version", "NVIDIA's library and its kernel module are of two versions; reboot"),
    ],
)
def test_what_keeps_us_from_the_card_is_named(read, monkeypatch, name, said_so):
    monkeypatch.setattr(child, "_MODULE", __file__)  # the kernel module is loaded
    usage = read(told=situation(name))
    assert usage.trouble.startswith(said_so)
    assert usage.gpus == ()
    assert not usage.trouble.endswith(".")


@pytest.mark.parametrize("name", ["no /dev/nvidia* (as with PrivateDevices=yes)", "a library that is none"])
def test_where_the_kernel_module_is_not_loaded_there_is_no_driver(read, monkeypatch, tmp_path, name):
    monkeypatch.setattr(child, "_MODULE", str(tmp_path / "version"))
    assert read(told=situation(name)).trouble == "no NVIDIA driver answers on this machine"


def test_a_sentence_of_the_driver_becomes_a_part_of_ours():
    text = CARD["situations"]["/dev/nvidiactl is something else"]["nvmlInit"]["error"][2]
    usage = usage_from({"n": 1, "trouble": "error", "text": text})
    expected = "nobody waits for it: NVIDIA's driver says: The operating system has blocked the request."
    assert doubts((("0", 1),), usage)[0].endswith(expected)


def test_a_busy_card_as_dcgm_exporter_would_name_what_it_said(said):
    reading = reading_from(said(Recorded(Card("busy")), "slow"), full=True)
    (card,) = reading.cards
    assert (reading.driver, reading.library, reading.full) == ("580.159.04", "580.159.04", True)
    assert (card.uuid, card.bus_id, card.name, card.most) == (UUID, BUS.lower(), "NVIDIA H200", IDLE_FREE)
    assert card.users == tuple(GpuProcess(pid, used) for pid, used in HELD)
    assert card.recovery == "none"
    assert dict(card.values) == {
        "DCGM_FI_DEV_GPU_UTIL": 100.0,
        "DCGM_FI_DEV_MEM_COPY_UTIL": 25.0,
        "DCGM_FI_DEV_GPU_TEMP": 56.0,
        "DCGM_FI_DEV_MEMORY_TEMP": 43.0,
        "DCGM_FI_DEV_POWER_USAGE": pytest.approx(693.816),  # W
        "DCGM_FI_DEV_SM_CLOCK": 1485.0,
        "DCGM_FI_DEV_MEM_CLOCK": 3201.0,
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": 4.0,
        "DCGM_FI_DEV_POWER_VIOLATION": 2328653952.0,  # ns
        "DCGM_FI_DEV_THERMAL_VIOLATION": 0.0,
        "DCGM_FI_DEV_PSTATE": 0.0,
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 0.0,
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 0.0,
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": 0.0,
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 0.0,
        "DCGM_FI_DEV_ROW_REMAP_PENDING": 0.0,
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0.0,
        "DCGM_FI_DEV_PCIE_LINK_GEN": 5.0,
        "DCGM_FI_DEV_PCIE_LINK_WIDTH": 16.0,
        "DCGM_FI_DEV_PCIE_MAX_LINK_GEN": 5.0,
        "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH": 16.0,
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 0.0,
        "DCGM_FI_DEV_GPU_RECOVERY_ACTION": 0.0,
        "DCGM_FI_DEV_FB_TOTAL": 143771.0,  # MiB
        "DCGM_FI_DEV_FB_FREE": 125109.0,
        "DCGM_FI_DEV_FB_USED": 18046.0,
        "DCGM_FI_DEV_FB_RESERVED": 615.0,
        "resurgam_gpu_persistence_mode": 1.0,
        "resurgam_gpu_thermal_margin_celsius": 28.0,  # 26 left, and it slows down 2 beyond
    }


def test_without_a_margin_of_its_own_the_distance_to_the_threshold_counts(said):
    card = Card("busy", {"nvmlDeviceGetMarginTemperature": NVMLError(3)})
    (found,) = reading_from(said(Recorded(card), "fast"), full=False).cards
    assert found.values["resurgam_gpu_thermal_margin_celsius"] == 89 - 56


def test_an_older_memory_call_does_not_tell_what_is_kept(said):
    card = Card("busy", situation("a library without the newer memory call"))
    (found,) = reading_from(said(Recorded(card), "fast"), full=False).cards
    assert "DCGM_FI_DEV_FB_RESERVED" not in found.values


@pytest.mark.parametrize(
    ("users", "foreign", "said_so"), [(True, True, False), (False, True, True), (False, False, False)]
)
def test_memory_in_use_that_nobody_is_named_for_tells_of_another_pid_namespace(said, users, foreign, said_so):
    nobody = {} if users else situation("asked from another PID namespace")
    answer = said(Recorded(Card("busy", nobody)), "fast")
    assert reading_from(answer, full=False, foreign=foreign).namespaced is said_so


def test_an_idle_card_tells_nothing_of_namespaces(said):
    assert not reading_from(said(Recorded(), "fast"), full=False, foreign=True).namespaced


async def test_the_gate_opens_when_the_process_has_left_and_its_memory_is_back(tmp_path):
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "comm").write_text("python3\n")
    (tmp_path / "4711" / "cgroup").write_text(f"0::/docker/{OLD}\n")  # a zombie keeps it while its threads end
    waited, memory_back = [], []
    for _ms, free, users in CARD["going"]:
        gpu = Gpu(0, UUID, TOTAL, free * MIB, tuple((pid, used * MIB) for pid, used in users), reserved=RESERVED)
        gate = VramGate(Said(Usage((gpu,))), tmp_path)
        waited.append(await gate.held(Needs(), Container("new", "o", "i", "r", gpu=True), OLD))
        memory_back.append(gpu.free > gpu.most - MIB)
    assert [bool(each) for each in waited] == [True] * (len(waited) - 1) + [False]
    assert waited[0] == "GPU 0 is still used by the container before: python3 (pid 4711, 16.5 GiB)"
    assert memory_back == [not each for each in waited]


class Said:
    def __init__(self, usage):
        self._usage = usage

    async def usage(self):
        return self._usage
