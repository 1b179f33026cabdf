"""When the value of an expression can change although no sample comes: the exact next instant.

Used by `engine.py` after every evaluation. A sample leaves a window at its time plus the span (windows are open on the
left), speaks for its series until its time plus the lookback, and enters a selector with an offset that much later.
Expressions that move with time itself (`time()`, `rate()` …) are evaluated on a tick instead.
"""

from collections.abc import Sequence

from supervisor.rules.promql.nodes import Selector
from supervisor.samples import LOOKBACK, Store, is_stale, newest_before, to_ms

_LOOKBACK = to_ms(LOOKBACK)
NEVER = 1 << 62


def next_change(selectors: Sequence[tuple[Selector, int]], store: Store, at: int) -> int:
    """The first instant (ms) after `at` at which what the selectors see can differ; NEVER if samples alone decide."""
    first = NEVER
    for selector, span in selectors:
        if selector.at is not None:
            continue  # a fixed instant: only a new sample can change what is seen there
        reference = at - selector.offset
        for series in store.select(selector.matchers):
            times = series.times
            newest = newest_before(times, reference)
            if newest + 1 < len(times):
                first = min(first, times[newest + 1] + selector.offset)
            if newest < 0:
                continue
            if span:
                oldest = newest_before(times, reference - span) + 1
                if oldest <= newest:
                    first = min(first, times[oldest] + span + selector.offset)
            elif times[newest] > reference - _LOOKBACK and not is_stale(series.values[newest]):
                first = min(first, times[newest] + _LOOKBACK + selector.offset)
    return first


def needed(selectors: Sequence[tuple[Selector, int]]) -> float:
    """Seconds of samples these selectors look back to."""
    reach = _LOOKBACK
    for selector, span in selectors:
        reach = max(reach, (span or _LOOKBACK) + max(selector.offset, 0))
    return reach / 1000
