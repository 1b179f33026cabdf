"""What the GPUs of this machine have free, and who uses them, as the child process told it.

From: a line of `child.py`, which is not trusted to be one. To: `vram.py`, and the words of trouble to `told.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor import units

Said = Mapping[str, Any]
"""one line of the child process, read; not checked any further"""

MOST_GPUS, MOST_USERS = 64, 4_096
_TROUBLES = {
    "no_library": "the Python package nvidia-ml-py is missing",
    "no_driver": "no NVIDIA driver answers on this machine",
    "no_gpu": "NVIDIA's driver shows us no GPU; look whether `nvidia-smi -L` has one, and let us open /dev/nvidia0",
    "refused": "we may not open NVIDIA's device files, /dev/nvidia*; in a service unit see PrivateDevices, DeviceAllow",
    "no_nvml": "NVIDIA's driver is loaded, but its library, libnvidia-ml.so.1, cannot be loaded here",
    "mismatch": "NVIDIA's library and its kernel module are of two versions; reboot, or load the new module",
}
_OURS = ("hung", "stopped", "broken")
"""troubles that our side of the pipe found, whose text is ours"""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. Sizes in bytes."""

    index: int
    uuid: str = ""
    """`GPU-8f6e…`; '' where not even that could be read"""
    total: int = 0
    free: int = 0
    users: tuple[tuple[int, int], ...] = ()
    """(pid, bytes) by pid; 0 bytes where the driver does not say"""
    error: str = ""
    """why it could not be read; '' where it could"""
    reserved: int = 0
    """what the driver keeps for itself, of the total; 0 where it does not say"""

    @property
    def most(self) -> int:
        """What can be free at all."""
        return max(0, self.total - self.reserved)


@dataclass(frozen=True, slots=True)
class Usage:
    """Every GPU by index; or `trouble`: why none could be asked, as the end of a sentence."""

    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""


def read_line(line: bytes) -> Said:
    """One line of the child process. ValueError where it is none."""
    try:
        said = json.loads(line)
    except RecursionError:
        raise ValueError("no answer: too deep") from None
    if not isinstance(said, dict):
        raise ValueError("no answer: not an object")
    return said


def usage_from(said: Said) -> Usage:
    """What was answered. ValueError where that makes no sense."""
    try:
        kind, phrase = trouble_from(said)
        return Usage(trouble=phrase) if kind else Usage(tuple(_gpu(each) for each in said["gpus"][:MOST_GPUS]))
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"no answer: {type(err).__name__}") from None


def trouble_from(said: Said) -> tuple[str, str]:
    """(one of facts.GpuReading.trouble, why, as the end of a sentence); ('', '') where all is well."""
    if "trouble" not in said:
        return "", ""
    kind, text = str(said["trouble"]), _phrase(said.get("text") or "without a reason")
    if kind in _TROUBLES:
        return kind, _TROUBLES[kind]
    if kind in _OURS:
        return "error" if kind == "broken" else kind, text
    return "error", f"NVIDIA's driver says: {text}"


def _gpu(said: Any) -> Gpu:
    uuid, error = units.plain(str(said["uuid"]), 100), _phrase(said["error"])
    total, free, reserved = (whole(said[size]) for size in ("total", "free", "reserved"))
    return Gpu(whole(said["index"]), uuid, total, free, users_from(said), error, reserved)


def users_from(said: Any) -> tuple[tuple[int, int], ...]:
    """(pid, bytes) of one GPU, by pid."""
    return tuple((whole(pid), whole(used)) for pid, used in said["users"][:MOST_USERS])


def _phrase(value: Any) -> str:
    """The driver's words, some of which are sentences, as a part of one of ours."""
    return units.plain(str(value), 300).rstrip(". ")


def whole(value: Any) -> int:
    """A whole number, not below 0. ValueError where it is none."""
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
