"""The core's hand on what others offer to be read: ends the series that are gone, keeps how each target is.

From: Readings that hold the whole of what their collector has (scrapes, text files). To: stale markers, in the very
transaction of the samples, and TargetState, for the snapshot. What is kept here is what the last reading had, so that a
reading which overtakes another loses nobody's end.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.facts import Labels, Readings, Sample, TargetState
from supervisor.samples import STALE, Series

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


class Targets:
    """What each such collector had last. One for the life of a process: after a restart the first reading begins anew,
    and what ended meanwhile goes quietly, as it does in a Prometheus."""

    def __init__(self) -> None:
        self._had: dict[str, tuple[Labels, ...]] = {}
        self._states: dict[str, TargetState] = {}

    def read(self, core: "Decider", fact: Readings, at: float) -> tuple[Series, ...]:
        """Take one reading into the store; the series that took a sample. `at`: its unix seconds, as stamped."""
        now = dict.fromkeys(sample.labels for sample in (*fact.samples, *fact.brought))
        ended = [Sample(labels, STALE) for labels in self._had.get(fact.collector, ()) if labels not in now]
        ours = core.store.append(at, (*ended, *fact.samples))
        taken = core.store.append(at, fact.brought, brought=True)
        if now:
            self._had[fact.collector] = tuple(now)
        else:
            self._had.pop(fact.collector, None)
        self._keep(core, fact, len(fact.brought) - len(taken))
        return (*ours, *taken)

    def open(self) -> tuple[TargetState, ...]:
        """Every target, by job and instance."""
        return tuple(sorted(self._states.values(), key=lambda one: (one.job, one.instance)))

    def _keep(self, core: "Decider", fact: Readings, refused: int) -> None:
        before, now = self._states.get(fact.collector), fact.target
        if now is None:
            self._states.pop(fact.collector, None)
            core.stale_snapshot = core.stale_snapshot or before is not None
            return
        if refused > 0:
            text = f"{refused} of its series found no room in the store; offer fewer, or with fewer labels"
            now = replace(now, left_out=now.left_out + refused, text="; ".join(one for one in (now.text, text) if one))
        self._states[fact.collector] = now
        if before is None or (before.up, before.text, before.left_out) != (now.up, now.text, now.left_out):
            core.stale_snapshot = True
