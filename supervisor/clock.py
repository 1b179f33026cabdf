"""The only reader of time, and the only maker of ids and randomness.

Everything else takes a `Clock` as an argument, so that a whole box can be run on a virtual one (`lab/loop.py`).
"""

import random
import time
from typing import Protocol


class Clock(Protocol):
    """Where time, ids and chance come from."""

    def wall(self) -> float:
        """Unix time in seconds: stamps what people read. It can jump."""

    def mono(self) -> float:
        """Seconds that never go back and never jump: deadlines run on it."""

    def token(self, size: int = 4) -> str:
        """A fresh random id of `size` bytes, as hex."""

    def chance(self) -> float:
        """A random number in [0, 1): jitter for retries at the edges."""


class SystemClock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def wall(self) -> float:
        return time.time()

    def mono(self) -> float:
        return time.monotonic()

    def token(self, size: int = 4) -> str:
        return self._random.randbytes(size).hex()

    def chance(self) -> float:
        return self._random.random()


class ManualClock:
    """A clock that moves only when told, with repeatable ids: for tests and the lab."""

    def __init__(self, wall: float = 1_760_000_000.0, mono: float = 0.0, seed: int = 0) -> None:
        self._wall, self._mono = wall, mono
        self._random = random.Random(seed)

    def wall(self) -> float:
        return self._wall

    def mono(self) -> float:
        return self._mono

    def token(self, size: int = 4) -> str:
        return self._random.randbytes(size).hex()

    def chance(self) -> float:
        return self._random.random()

    def advance(self, seconds: float) -> None:
        """Let `seconds` go by on both hands."""
        self._wall += seconds
        self._mono += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall hand alone forward (or back): what an NTP step or a suspend does."""
        self._wall += seconds
