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
            text = units.plain(str(said.get("text") or "without a reason"), 200)
            return number, Usage(trouble=_TROUBLES.get(str(said["trouble"]), f"NVIDIA's driver says: {text}"))
        return number, Usage(tuple(_gpu(each) for each in said["gpus"][:_MOST_GPUS]))
    except (KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ValueError(f"no answer: {type(err).__name__}") from None


def _gpu(said: Any) -> Gpu:
    users = tuple((_whole(pid), _whole(used)) for pid, used in said["users"][:_MOST_USERS])
    uuid, error = units.plain(str(said["uuid"]), 100), units.plain(str(said["error"]), 200)
    return Gpu(_whole(said["index"]), uuid, _whole(said["total"]), _whole(said["free"]), users, error)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
