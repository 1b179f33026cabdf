"""What a real card answered, given to the child process, to the reader of its answers and to the gate.

From: support/nvml/nvml_h200.json, which says what it was recorded on.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from supervisor.facts import Container, Needs
from supervisor.signals.gpu import VramGate, child
from supervisor.signals.gpu.usage import Gpu, Usage, parse
from supervisor.signals.gpu.vram import doubts

FILE = Path(__file__).parents[3] / "support" / "nvml" / "nvml_h200.json"
CARD = json.loads(FILE.read_text())
UUID = "GPU-6e1b7a52-0000-4000-8000-000000000001"
GIB, MIB = 2**30, 2**20
OLD = "a1" * 32
TOTAL, RESERVED, IDLE_FREE, BUSY_FREE = 150_754_820_096, 644_939_776, 150_109_880_320, 131_186_884_608
HELD = ((4711, 17_723_031_552), (4712, 1_184_890_880))


class NVMLError(Exception):
    """As the real one: `value` is the code."""

    def __init__(self, code, _name, text):
        super().__init__(text)
        self.value = code


class Card:
    """A pynvml that says what the card said. `told`: what is different, by call."""

    NVMLError, nvmlMemory_v2 = NVMLError, 0x02000028

    def __init__(self, state="idle", told=()):
        self._calls = {**CARD["idle"], **CARD[state], "nvmlInit": {"value": None}, **dict(told)}

    def _said(self, call):
        found = self._calls[call]
        if "error" in found:
            raise NVMLError(*found["error"])
        return found["value"]

    def nvmlInit(self):
        self._said("nvmlInit")

    def nvmlDeviceGetCount(self):
        return self._said("nvmlDeviceGetCount")

    def nvmlDeviceGetHandleByIndex(self, index):
        return self._said("nvmlDeviceGetHandleByIndex(1)") if index else object()

    def nvmlDeviceGetUUID(self, _handle):
        return UUID

    def nvmlDeviceGetMemoryInfo(self, _handle, version=None):
        return SimpleNamespace(**self._said(f"nvmlDeviceGetMemoryInfo(v{2 if version else 1})"))

    def nvmlDeviceGetComputeRunningProcesses(self, _handle):
        return [SimpleNamespace(**each) for each in self._said("nvmlDeviceGetComputeRunningProcesses")]

    def nvmlDeviceGetGraphicsRunningProcesses(self, _handle):
        return [SimpleNamespace(**each) for each in self._said("nvmlDeviceGetGraphicsRunningProcesses")]


@pytest.fixture
def read(monkeypatch):
    """What our side of the pipe makes of it."""

    def usage(card):
        monkeypatch.setitem(sys.modules, "pynvml", card)
        driver, wrong = child.start()
        said = wrong if driver is None else driver.usage()
        return parse(json.dumps({"n": 1, **said}).encode())[1]

    return usage


def test_an_idle_card_has_all_free_but_what_the_driver_keeps(read):
    usage = read(Card())
    assert usage == Usage((Gpu(0, UUID, TOTAL, IDLE_FREE, reserved=RESERVED),))
    assert usage.gpus[0].most == IDLE_FREE


def test_a_card_with_two_users(read):
    assert read(Card("busy")) == Usage((Gpu(0, UUID, TOTAL, BUSY_FREE, HELD, reserved=RESERVED),))


def test_an_amount_between_what_it_has_and_what_it_ever_has_free_is_a_doubt(read):
    usage = read(Card())
    assert doubts((("0", IDLE_FREE),), usage) == ()
    said = "GPU 0 never has more than 139.8 GiB free, and it needs 140 GiB: it is not waited for."
    assert doubts((("0", 140 * GIB),), usage) == (said,)


def test_a_library_without_the_newer_call_is_asked_the_older_one(read):
    usage = read(Card("busy", CARD["situations"]["a library without the newer memory call"].items()))
    assert usage == Usage((Gpu(0, UUID, TOTAL, BUSY_FREE, HELD),))


@pytest.mark.parametrize(
    ("situation", "said"),
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
def test_what_keeps_us_from_the_card_is_named(read, monkeypatch, situation, said):
    monkeypatch.setattr(child, "_MODULE", str(FILE))  # the kernel module is loaded
    usage = read(Card(told=CARD["situations"][situation].items()))
    assert usage.trouble.startswith(said)
    assert usage.gpus == ()
    assert not usage.trouble.endswith(".")


@pytest.mark.parametrize("situation", ["no /dev/nvidia* (as with PrivateDevices=yes)", "a library that is none"])
def test_where_the_kernel_module_is_not_loaded_there_is_no_driver(read, monkeypatch, tmp_path, situation):
    monkeypatch.setattr(child, "_MODULE", str(tmp_path / "version"))
    assert read(Card(told=CARD["situations"][situation].items())).trouble == "no NVIDIA driver answers on this machine"


def test_a_sentence_of_the_driver_becomes_a_part_of_ours():
    said = {"trouble": "error", "text": CARD["situations"]["/dev/nvidiactl is something else"]["nvmlInit"]["error"][2]}
    usage = parse(json.dumps({"n": 1, **said}).encode())[1]
    expected = "nobody waits for it: NVIDIA's driver says: The operating system has blocked the request."
    assert doubts((("0", 1),), usage)[0].endswith(expected)


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
