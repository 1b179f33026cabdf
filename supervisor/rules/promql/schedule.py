"""How far back expressions look, and the instant that does not come.

Used by `model.py` and the core, which keep as many samples as the loaded rules need. When a value can change next
though no sample comes is noted by `evaluate.py` while it evaluates.
"""

from collections.abc import Sequence

from supervisor.rules.promql.nodes import Selector
from supervisor.samples import LOOKBACK, to_ms

_LOOKBACK = to_ms(LOOKBACK)
NEVER = 1 << 62
"""An instant (ms) that does not come."""


def needed(selectors: Sequence[tuple[Selector, int]]) -> float:
    """Seconds of samples these selectors look back to. The span (ms) of each is that of its window, 0 if it has none;
    of a selector inside a subquery it is how far back the subquery makes it look, its own offset left aside."""
    reach = _LOOKBACK
    for selector, span in selectors:
        reach = max(reach, (span or _LOOKBACK) + max(selector.offset, 0))
    return reach / 1000
