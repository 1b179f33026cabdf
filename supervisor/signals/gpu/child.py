"""The child process that talks to NVIDIA's driver. It is run as a file, and imports nothing of ours.

From: questions on stdin, one line each: `7 usage`. To: stdout, one line of JSON per question, with the same number (see
`usage.py`). It ends at the end of stdin, letting go of the driver; and after an answer with a `trouble` of the whole
driver, since a process that has loaded an old library cannot heal. It has no handler for SIGTERM on purpose: that would
wait for a call that hangs, while the kernel's own way ends us in the middle of one.
"""

import importlib
import json
import os
import sys
from typing import Any

_NOT_LOADED, _NO_LIBRARY = 9, 12
_MODULE = "/proc/driver/nvidia/version"
"""It is there while the driver is loaded. Where the device files are hidden from us, the library says `not loaded`"""
_REFUSED = (4, 17)
"""no permission; the operating system has blocked it"""
_MISMATCH = 18
"""the library is of another version than the kernel's part"""
_NONE_SEEN = {"trouble": "no_gpu", "text": "0 GPUs"}
"""A GPU whose device file we may not open is not counted; and who opened the driver so, goes on not counting it"""


class Driver:
    """One opened driver. `nvml`: the module pynvml."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def usage(self) -> dict[str, Any]:
        """`gpus`: every GPU by index, one that does not answer with its `error`; or the trouble of them all."""
        try:
            count = self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError as err:
            return trouble(err)
        return {"gpus": [self._gpu(index) for index in range(count)]} if count else _NONE_SEEN

    def _gpu(self, index: int) -> dict[str, Any]:
        nvml = self._nvml
        found: dict[str, Any] = {"index": index, "uuid": "", "users": [], "error": ""}
        found |= {"total": 0, "free": 0, "reserved": 0}
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            found["uuid"] = uuid.decode("ascii", "replace") if isinstance(uuid, bytes) else str(uuid)
            memory = self._memory(handle)
        except nvml.NVMLError as err:
            return {**found, "error": str(err)}
        users: dict[int, int] = {}
        for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            try:
                listed = ask(handle)
            except nvml.NVMLError:
                continue  # not on this card, or not with this driver: only less is known of who holds it
            for process in listed:  # one process may be in both lists, with the same memory
                users[process.pid] = max(users.get(process.pid) or 0, process.usedGpuMemory or 0)
        return {**found, **memory, "users": sorted(users.items())}

    def _memory(self, handle: Any) -> dict[str, int]:
        """The newer call tells what the driver keeps for itself; the older one counts that as used by somebody."""
        nvml = self._nvml
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        except nvml.NVMLError:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return {"total": memory.total, "free": memory.free, "reserved": getattr(memory, "reserved", 0)}

    def close(self) -> None:
        """Let go of the driver: an open one is a user of every GPU."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return


def start() -> tuple[Driver | None, dict[str, Any]]:
    """The driver, or what is wrong with it: `trouble` no_library, or as `trouble` says it."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as err:
        return None, {"trouble": "no_library", "text": str(err)}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as err:
        return None, trouble(err)
    return Driver(nvml), {}


def trouble(err: Any) -> dict[str, Any]:
    """What an NVMLError says of the whole driver: no_driver | refused | no_nvml | mismatch | error, and its `text`."""
    code, kind = getattr(err, "value", 0), "error"
    if code in _REFUSED:
        kind = "refused"
    elif code in (_NOT_LOADED, _NO_LIBRARY):
        hidden = "refused" if code == _NOT_LOADED else "no_nvml"
        kind = hidden if os.path.exists(_MODULE) else "no_driver"
    elif code == _MISMATCH:
        kind = "mismatch"
    return {"trouble": kind, "text": str(err)}


def main() -> int:
    """Answer until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a driver's library prints is no answer of ours
    driver: Driver | None = None
    wrong: dict[str, Any] = {}
    for line in sys.stdin:
        number, _, _what = line.strip().partition(" ")
        if driver is None:
            driver, wrong = start()
        said = wrong if driver is None else driver.usage()
        print(json.dumps({"n": int(number), **said}), file=out, flush=True)
        if "trouble" in said:
            break
    if driver is not None:
        driver.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
