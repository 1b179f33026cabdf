"""What the GPUs of this machine have free, and who uses them, as the child process told it.

From: a line of `child.py`, which is not trusted to be one. To: `vram.py`.
"""

import json
from dataclasses import dataclass
from typing import Any

from supervisor import units

_MOST_GPUS, _MOST_USERS = 64, 4_096
_TROUBLES = {
    "no_library": "the Python package nvidia-ml-py is missing",
    "no_driver": "no NVIDIA driver answers on this machine",
    "no_gpu": "NVIDIA's driver shows us no GPU; look whether `nvidia-smi -L` has one, and let us open /dev/nvidia0",
    "refused": "we may not open NVIDIA's device files, /dev/nvidia*; in a service unit see PrivateDevices, DeviceAllow",
    "no_nvml": "NVIDIA's driver is loaded, but its library, libnvidia-ml.so.1, cannot be loaded here",
    "mismatch": "NVIDIA's library and its kernel module are of two versions; reboot, or load the new module",
}


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


def parse(line: bytes) -> tuple[int, Usage]:
    """(the number of the question, what was answered). ValueError where the line is no answer."""
    try:
        said = json.loads(line)
        number = _whole(said["n"])
        if "trouble" in said:
            text = _phrase(said.get("text") or "without a reason")
            return number, Usage(trouble=_TROUBLES.get(str(said["trouble"]), f"NVIDIA's driver says: {text}"))
        return number, Usage(tuple(_gpu(each) for each in said["gpus"][:_MOST_GPUS]))
    except (KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ValueError(f"no answer: {type(err).__name__}") from None


def _gpu(said: Any) -> Gpu:
    users = tuple((_whole(pid), _whole(used)) for pid, used in said["users"][:_MOST_USERS])
    uuid, error = units.plain(str(said["uuid"]), 100), _phrase(said["error"])
    total, free, reserved = (_whole(said[size]) for size in ("total", "free", "reserved"))
    return Gpu(_whole(said["index"]), uuid, total, free, users, error, reserved)


def _phrase(value: Any) -> str:
    """The driver's words, some of which are sentences, as a part of one of ours."""
    return units.plain(str(value), 200).rstrip(". ")


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
