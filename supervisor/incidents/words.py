"""Words that the sentences of this folder share: times of day, lists.

In: numbers and names from snapshots. Out: text for verdicts, incident titles and causes.
"""

from datetime import datetime

from supervisor import units

_LATEST = 253_402_214_400.0


def time_of_day(at: float, now: float) -> str:
    """`12:40` on the machine's own clock, with the day (`on 21 Nov at 12:40`) where it is not within 12 hours."""
    moment = datetime.fromtimestamp(min(max(at, 0.0), _LATEST)).astimezone()
    if abs(at - now) <= 12 * 3600:
        return f"at {moment:%H:%M}"
    return f"on {moment.day} {moment:%b} at {moment:%H:%M}"


def until(at: float, now: float) -> str:
    """`at 12:40 (in 25m)`: when something becomes possible."""
    return f"{time_of_day(at, now)} (in {units.show_duration(max(0.0, at - now))})"


def listed(words: tuple[str, ...], most: int = 5) -> str:
    """`a, b and c`; beyond `most` the rest is only counted."""
    shown = words[:most] if len(words) <= most else (*words[: most - 1], f"{len(words) - most + 1} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
