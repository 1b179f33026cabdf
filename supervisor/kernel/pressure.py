"""Pressure stall triggers: the kernel tells when too much time was lost waiting for memory.

From: /proc/pressure/memory and a control group's memory.pressure (also on a machine whose memory controller is still
version 1: the empty version 2 group of a container has it). To: signals/memory/sources.py, through `watches.Urgent`.
"""

import errno
import os
from dataclasses import dataclass

from supervisor.kernel.watches import Cannot, refused

MACHINE = "/proc/pressure/memory"


@dataclass(frozen=True, slots=True)
class Spec:
    """Tell when so many microseconds of a window were lost by at least one process."""

    stall: int
    window: int

    def written(self) -> bytes:
        """As the kernel wants it. It overwrites the last byte: without one to spare 2000000 becomes 200000."""
        return f"some {self.stall} {self.window}\0".encode()


LADDER = (Spec(50_000, 500_000), Spec(100_000, 2_000_000))
"""the better one needs CAP_SYS_RESOURCE: without it the kernel takes only windows that are a multiple of 2 s"""


@dataclass(frozen=True, slots=True)
class Armed:
    """A trigger that stands. `number`: the open file, for watches.Urgent, which closes it."""

    number: int
    spec: Spec


_CURE = "Put `psi=1` on the kernel command line and start the machine anew."


def arm(path: str, ladder: tuple[Spec, ...] = LADDER) -> Armed | Cannot:
    """Set the first trigger that the kernel takes here. One write per open file: it takes no second one."""
    for spec in ladder:
        try:
            number = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as err:
            return _cannot(err, path)
        try:
            os.write(number, spec.written())
        except OSError as err:
            os.close(number)
            if err.errno != errno.EINVAL:
                return _cannot(err, path)
        else:
            return Armed(number, spec)
    return Cannot(f"{path} takes none of our triggers; its kernel is too old for them (5.2 has them).")


def stalled(number: int) -> int:
    """Microseconds lost by at least one process since it began: it grows between two pieces of news. OSError (ENODEV)
    when the control group is gone."""
    first = os.pread(number, 256, 0).partition(b"\n")[0]
    total = first.rpartition(b"total=")[2]
    return int(total) if total.isdigit() else 0


def _cannot(err: OSError, path: str) -> Cannot:
    if path.startswith("/proc/") and err.errno in (errno.ENOENT, errno.EOPNOTSUPP):
        return Cannot(
            "This kernel does not measure pressure.",
            _CURE,
        )
    if err.errno == errno.EOPNOTSUPP:
        return Cannot(f"{path} is switched off.", _CURE)
    if path.startswith("/proc/"):
        return Cannot(f"{path} cannot be used ({err.strerror}).", "Let us write it: mount /proc writable for us.")
    return refused(err, path)
