"""What we remember: bounded series of samples, one per label set.

Readings (from signals and services, through the core) come in as transactions; rules read them back by matchers;
`/metrics` shows the newest ones; the recorder takes what is new since it last asked. Nothing here reads a clock.
Timestamps are integer milliseconds of unix time, values are floats. `series.py` is one series, `store.py` all of them.
"""

from supervisor.facts import STALE
from supervisor.samples.series import LOOKBACK, METADATA, Series, Turns, is_stale, newest_before, to_ms
from supervisor.samples.store import Store, exact_name

__all__ = [
    "LOOKBACK",
    "METADATA",
    "STALE",
    "Series",
    "Store",
    "Turns",
    "exact_name",
    "is_stale",
    "newest_before",
    "to_ms",
]
