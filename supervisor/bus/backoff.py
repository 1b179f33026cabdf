"""How long to wait before the next try: full jitter, so that many boxes do not knock at one broker in step.

Used by the pump between connections, and by the notifiers between posts. Chance comes from the clock.
"""

from supervisor.clock import Clock

FLOOR = 0.2
CEILING = 30.0


class FullJitter:
    """A random time between `floor` and a bound that doubles with every failure up to `ceiling` (all in seconds)."""

    def __init__(self, clock: Clock, floor: float = FLOOR, ceiling: float = CEILING) -> None:
        self._clock, self._floor, self._ceiling = clock, floor, ceiling

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1 or more)."""
        bound = min(self._ceiling, self._floor * 2.0 ** min(max(failures, 1), 32))
        return self._floor + (bound - self._floor) * self._clock.chance()
