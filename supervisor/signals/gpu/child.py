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

_NO_DRIVER = (9, 12)
"""driver not loaded; its library not found"""
_MISMATCH = 18
"""the library is of another version than the kernel's part"""


class Driver:
    """One opened driver. `nvml`: the module pynvml."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def usage(self) -> dict[str, Any]:
        """`gpus`: every GPU by index, one that does not answer with its `error`; or the trouble of them all."""
        try:
            return {"gpus": [self._gpu(index) for index in range(self._nvml.nvmlDeviceGetCount())]}
        except self._nvml.NVMLError as err:
            return trouble(err)

    def _gpu(self, index: int) -> dict[str, Any]:
        nvml = self._nvml
        found: dict[str, Any] = {"index": index, "uuid": "", "total": 0, "free": 0, "users": [], "error": ""}
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            found["uuid"] = uuid.decode("ascii", "replace") if isinstance(uuid, bytes) else str(uuid)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
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
        return {**found, "total": memory.total, "free": memory.free, "users": sorted(users.items())}

    def close(self) -> None:
        """Let go of the driver: an open one is a user of every GPU."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return


def start() -> tuple[Driver | None, dict[str, Any]]:
    """The driver, or what is wrong with it: `trouble` no_library | no_driver | mismatch | error, and its own `text`."""
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
    """What an NVMLError says of the whole driver."""
    code = getattr(err, "value", 0)
    kind = "no_driver" if code in _NO_DRIVER else "mismatch" if code == _MISMATCH else "error"
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
