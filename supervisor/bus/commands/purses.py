"""How much each may say: nobody can talk another one down, or fill the journal.

Asked by listener.py for every message before anything else is done with it. There are as many purses as principals in
the settings, and one for all strangers together, so memory is bounded whatever names they give themselves.
"""

from supervisor.clock import Clock

BURST, REFILL = 20.0, 2.0
"""messages of one principal taken at once, and for each second that goes by; what is beyond is dropped and counted"""
STRANGERS = 1 / 30
"""the same for all together who may not command at all: one line in the journal tells enough"""


class Purses:
    """What each may still say at an instant."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, who: str) -> bool:
        """Whether one more message of a principal ('' for a stranger) is heard now."""
        now = self._clock.mono()
        left, at = self._left.get(who, (BURST, now))
        left = min(BURST, left + (now - at) * (REFILL if who else STRANGERS))
        self._left[who] = (left - 1.0 if left >= 1.0 else left, now)
        return left >= 1.0
