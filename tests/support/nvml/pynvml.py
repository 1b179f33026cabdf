"""A pynvml whose GPUs are a text file, the one that RESURGAM_FAKE_GPU names. Lines, read again at every call:

init 9                           opening the driver fails with this NVML code (`init mismatch`: 18)
count 999                        as does asking how many GPUs there are
hang                             every call waits until this line is gone
deaf                             SIGTERM does nothing, as for a process that is stuck in the kernel
crash                            the next call ends the process
print TEXT                       the library writes to stdout
gpu INDEX UUID TOTAL FREE PID:USED …    a GPU, sizes in GiB; USED `?`: the driver does not say
gpu INDEX UUID lost              a GPU that fell off the bus
kept SIZE                        what the driver keeps of each GPU for itself, in GiB
old                              the library does not know the newer calls
closed                           (written by us) the driver was let go of
"""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

nvmlMemory_v2 = 0x02000028
_WORDS = {
    9: "Driver Not Loaded",
    12: "NVML Shared Library Not Found",
    13: "Function Not Found",
    15: "GPU is lost",
    18: "RM/NVML mismatch",
}


class NVMLError(Exception):
    """As the real one: `value` is the code."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return _WORDS.get(self.value, f"Unknown Error {self.value}")


def _file() -> Path:
    return Path(os.environ["RESURGAM_FAKE_GPU"])


def _lines() -> list[list[str]]:
    while True:
        lines = [line.split() for line in _file().read_text().splitlines() if line.split()]
        words = [line[0] for line in lines]
        if "deaf" in words:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if "crash" in words:
            os._exit(3)
        if "hang" not in words:
            return lines
        time.sleep(0.01)


def _gpus() -> list[list[str]]:
    return [line for line in _lines() if line[0] == "gpu"]


def _fail(word: str) -> None:
    for line in _lines():
        if line[0] == word:
            raise NVMLError(int(line[1]))


def nvmlInit() -> None:
    for line in _lines():
        if line[0] == "print":
            os.write(1, (" ".join(line[1:]) + "\n").encode())
    _fail("init")


def nvmlShutdown() -> None:
    with _file().open("a") as file:
        file.write("closed\n")


def nvmlDeviceGetCount() -> int:
    _fail("count")
    return len(_gpus())


def nvmlDeviceGetHandleByIndex(index: int) -> list[str]:
    found = _gpus()[index]
    if found[3] == "lost":
        raise NVMLError(15)
    return found


def nvmlDeviceGetUUID(handle: list[str]) -> str:
    return handle[2]


def nvmlDeviceGetMemoryInfo(handle: list[str], version: int | None = None) -> SimpleNamespace:
    total, free = (int(float(size) * 2**30) for size in handle[3:5])
    if version is None:
        return SimpleNamespace(total=total, free=free, used=total - free)
    lines = _lines()
    if ["old"] in lines:
        raise NVMLError(13)
    kept = next((int(float(line[1]) * 2**30) for line in lines if line[0] == "kept"), 0)
    return SimpleNamespace(total=total, free=free, reserved=kept, used=total - free - kept)


def _process(text: str) -> SimpleNamespace:
    pid, _, used = text.partition(":")
    return SimpleNamespace(pid=int(pid), usedGpuMemory=None if used == "?" else int(float(used) * 2**30))


def nvmlDeviceGetComputeRunningProcesses(handle: list[str]) -> list[SimpleNamespace]:
    return [_process(text) for text in handle[5:]]


def nvmlDeviceGetGraphicsRunningProcesses(handle: list[str]) -> list[SimpleNamespace]:
    if handle[1] == "1":
        raise NVMLError(3)  # not supported: a card for computing only
    return [_process(text) for text in handle[5:6]]
