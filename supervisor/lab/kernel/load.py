"""What a simulated container does with memory: how much it has, of what kind, and how it grows.

From: tests and simulated worlds. To: group.py, which lives by it under the kernel's rules.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

KINDS = ("anon", "shmem", "file", "locked", "kernel", "slab", "swap")
"""what memory can be"""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Growth of one kind of memory. A process that stands frozen does not grow, and grows on when it is let go."""

    rate: float
    """bytes per second; below 0 it gives back"""
    after: float = 0.0
    """seconds of the process's own time after which it begins"""
    upto: float = math.inf
    """bytes of this kind at which it ends (for a rate below 0: down to which)"""
    of: str = "anon"
    """anon | shmem | file | locked | kernel | slab"""


@dataclass(frozen=True, slots=True)
class SimLoad:
    """The memory of one container, in bytes, as its process has it from its start on."""

    anon: float = 0.0
    shmem: float = 0.0
    file: float = 0.0
    """page cache that the kernel can drop; mapped weights among it"""
    locked: float = 0.0
    """pages of files that are locked into RAM"""
    kernel: float = 0.0
    slab: float = 0.0
    """kernel memory that can be given up"""
    swap: float = 0.0
    hot: float = 0.0
    """so much of `file` is read again and again: what of it is dropped comes back as refaults, each second"""
    ramps: tuple[Ramp, ...] = ()
    child: bool = False
    """its memory is a child's: an OOM kill takes the child, and the container lives on without it"""
    stubborn: float = 0.0
    """seconds until all its processes stand still after they were told to freeze"""
    nodes: Mapping[int, float] = field(default_factory=dict)
    """NUMA node -> its part of the memory (they add up to 1); empty: the same on each"""

    def growing(self, rate: float, after: float = 0.0, upto: float = math.inf, of: str = "anon") -> "SimLoad":
        """The same, and it grows: a leak, or a load up to a size."""
        return replace(self, ramps=(*self.ramps, Ramp(rate, after, upto, of)))

    @classmethod
    def loading(cls, size: float, seconds: float, of: str = "anon") -> "SimLoad":
        """A model that takes `size` bytes over `seconds` from its start, and stays so."""
        return cls().growing(size / seconds, upto=size, of=of)
