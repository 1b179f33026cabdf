"""The queue into the core: four lanes, taken in order, each with its own answer to overflow.

Facts come from every edge through `Core.submit`; the turn takes them from here.
"""

import asyncio
from collections import Counter, deque
from typing import Any

from supervisor.facts import (
    Command,
    EngineEvent,
    EngineState,
    Fact,
    ImageRef,
    Lane,
    Looked,
    OomSeen,
    Outside,
    Probed,
    Readings,
    Sweep,
    XidSeen,
)

Reply = asyncio.Future[Any] | None
Entry = tuple[Fact, Reply]

MOST_ANSWERS = 256
MOST_EVENTS = 10_000
_MOST_FAULTS = 256
"""different faults of GPUs that outlive a flood: nobody can be asked for them again"""


def lane_of(fact: Fact) -> Lane:
    """Which lane a fact takes."""
    if isinstance(fact, EngineEvent | Looked | ImageRef | EngineState | OomSeen | XidSeen):
        return Lane.EVENTS
    if isinstance(fact, Sweep):
        return Lane.SWEEPS
    if isinstance(fact, Readings | Probed):
        return Lane.READINGS
    return Lane.ANSWERS


class Lanes:
    """Bounded and never blocking. `counts` tells what was refused, dropped or overtaken."""

    def __init__(self) -> None:
        self._answers: deque[Entry] = deque()
        self._events: deque[Entry] = deque()
        self._sweeps: dict[str, Entry] = {}
        self._readings: dict[str, Entry] = {}
        self.counts: Counter[str] = Counter()
        self.resweep: list[str] = []
        """engines whose events were dropped: they must be listed again"""

    def put(self, fact: Fact, reply: Reply = None) -> bool:
        """Queue a fact; False if it is refused (a command while too many wait)."""
        lane = lane_of(fact)
        if lane is Lane.ANSWERS:
            if isinstance(fact, Command | Outside) and len(self._answers) >= MOST_ANSWERS:
                self.counts["commands_refused"] += 1
                return False
            self._answers.append((fact, reply))
        elif lane is Lane.EVENTS:
            if len(self._events) >= MOST_EVENTS:
                self._overflow()
            self._events.append((fact, reply))
        elif lane is Lane.SWEEPS:
            assert isinstance(fact, Sweep)
            self._newest(self._sweeps, fact.engine, (fact, reply), "sweeps_overtaken")
        else:
            assert isinstance(fact, Readings | Probed)
            source = fact.collector if isinstance(fact, Readings) else f"probed {fact.service or '-'} {fact.name}"
            self._newest(self._readings, source, (fact, reply), "readings_overtaken")
        return True

    def _newest(self, lane: dict[str, Entry], source: str, entry: Entry, count: str) -> None:
        if lane.pop(source, None) is not None:
            self.counts[count] += 1
        lane[source] = entry

    def _overflow(self) -> None:
        """Empty the lane: a full list is worth more than the tail of a flood. News of the engine itself are kept, and
        the last of each sort of fault."""
        faults: dict[tuple[object, ...], int] = {}
        for at, (fact, _reply) in enumerate(self._events):
            if isinstance(fact, XidSeen):
                sort = (fact.xid, fact.kind, fact.bus_id, fact.recovery, fact.drill)
                if sort in faults or len(faults) < _MOST_FAULTS:
                    faults[sort] = at
        last = set(faults.values())
        kept = [entry for at, entry in enumerate(self._events) if at in last or isinstance(entry[0], EngineState)]
        self.counts["events_dropped"] += len(self._events) - len(kept)
        for fact, _reply in self._events:
            engine = getattr(fact, "engine", "")
            if engine and engine not in self.resweep:
                self.resweep.append(engine)
        self._events = deque(kept)

    def take(self, most: int) -> list[Entry]:
        """Up to `most` facts, lane by lane."""
        taken: list[Entry] = []
        for lane in (self._answers, self._events):
            while lane and len(taken) < most:
                taken.append(lane.popleft())
        for newest in (self._sweeps, self._readings):
            while newest and len(taken) < most:
                taken.append(newest.pop(next(iter(newest))))
        return taken

    def __len__(self) -> int:
        return len(self._answers) + len(self._events) + len(self._sweeps) + len(self._readings)
