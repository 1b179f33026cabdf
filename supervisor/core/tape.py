"""Samples older than those in memory, from the recorder: the past that `explain` tells of.

In: the recorder's blocks, packed as they are kept, through the journal's thread. Out: a copy of some samples that
begins earlier (`explaining/` works on it). They are unpacked on the thread of asked questions, the newest first,
as far as the bounds allow; nothing is unpacked on the loop.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.facts import Labels
from supervisor.journal import JournalThread
from supervisor.journal.recorder import Recorder, unpack
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import Series, Store
from supervisor.units import Matcher

BLOCKS = 32
"""blocks that are read at once: some ten seconds of readings each"""
MOST_BYTES = 16 * 1024 * 1024
MOST_READINGS = 3_000_000


@dataclass(frozen=True, slots=True)
class Older:
    """Packed readings, the oldest first: all that was recorded from `since` (ms) on. `names`: the series' numbers."""

    since: int
    blocks: Sequence[tuple[int, bytes]] = ()
    names: Mapping[int, Labels] = field(default_factory=dict)

    def extend(self, store: Store, wanted: Sequence[tuple[Matcher, ...]]) -> int:
        """Give the store what was recorded of the wanted series before the samples that it has. Answers from when on
        (ms) all is there."""
        names = {number: labels for number, labels in self.names.items() if _wanted(labels, wanted)}
        found: list[list[tuple[int, int, float]]] = []
        begin, count = NEVER, 0
        for first, data in reversed(self.blocks):
            try:
                readings = list(unpack(first, data))
            except ValueError:  # damaged: what was before it is as good as lost
                break
            count += len(readings)
            if count > MOST_READINGS:
                break
            found.append([reading for reading in readings if reading[0] in names])
            begin = first
        else:
            begin = self.since
        _join(store, wanted, [(names[number], ms, value) for part in reversed(found) for number, ms, value in part])
        return max(begin, self.since)


def _join(store: Store, wanted: Sequence[tuple[Matcher, ...]], readings: Sequence[tuple[Labels, int, float]]) -> None:
    known = {series.labels: series for matchers in wanted for series in store.select(matchers)}
    older: dict[Labels, Series] = {}
    for labels, ms, value in readings:
        there = known.get(labels)
        if there is None or ms < there.times[0]:
            older.setdefault(labels, Series(labels)).put(ms, value)
    for labels, series in older.items():
        if labels in known:
            _append(series, known[labels])
        store.hold(series)


def _append(series: Series, later: Series) -> None:
    count = len(series.times)
    series.times.extend(later.times)
    series.values.extend(later.values)
    series.holes.extend(count + hole - later.gone for hole in later.holes)


def _wanted(labels: Labels, wanted: Sequence[tuple[Matcher, ...]]) -> bool:
    have = dict(labels)
    return any(all(matcher.matches(have) for matcher in matchers) for matchers in wanted)


class Tape:
    """One daemon's recorder, for reading back. `thread`: where it lives."""

    def __init__(self, recorder: Recorder, thread: JournalThread) -> None:
        self._recorder, self._thread = recorder, thread

    async def read(self, since: int, until: int) -> Older:
        """What was recorded between two instants (ms); where that is too much only the newer part."""
        first, last = await self._thread.run(self._recorder.span)
        since = max(since, first)
        blocks: deque[tuple[int, bytes]] = deque()
        names: Mapping[int, Labels] = {}
        after = size = 0
        while first and since <= last:
            page = await self._thread.run(self._recorder.page, after, since, until, BLOCKS)
            if not page.blocks:
                break
            blocks += page.blocks
            names, after = page.names, page.last
            for _first, data in page.blocks:
                size += len(data)
            while size > MOST_BYTES and len(blocks) > 1:
                size -= len(blocks.popleft()[1])
                since = max(since, blocks[0][0])
        return Older(since if blocks else until, tuple(blocks), names)
