"""The whole house on a virtual clock, over series that somebody gave: what fires, what is done, and what is refused.

In: settings, rules and playbooks; transactions of samples, recorded or written down; containers to simulate, and what
happens to them. Out: the alerts and the deeds in order, each with its time. `actions_test.py` compares them with what
is expected, `replay.py` prints them. The rule engine, the incident book, the guard, budgets, locks and plans are the
real ones; engine, broker and host are the lab's; nothing real is touched.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from supervisor import verbs
from supervisor.clock import ManualClock
from supervisor.config.slots import slots_of
from supervisor.core.standing import Loaded
from supervisor.errors import ResurgamError
from supervisor.facts import Readings, Sample
from supervisor.journal import Row
from supervisor.lab.house import SimWorld
from supervisor.lab.loop import SimLoop
from supervisor.lab.troupe import Actor, Troupe
from supervisor.rules.promql.evaluate import Options
from supervisor.samples import Series, Store
from supervisor.signals.memory.series import EVERY
from supervisor.verdicts import Reason

SETTLED = 30.0
"""Seconds before the first sample in which the house comes to rest, besides the time an image needs to prove itself."""
PATIENCE = 3600.0
"""Seconds after the end in which plans that are under way may still come to theirs."""
CLOSE = 1.0
"""Seconds between two readings of memory at least, in a piece that is about memory."""
ENDS = ("action.verified", "action.rolled_back", "action.degraded", "action.failed", "action.ended_early")


@dataclass(frozen=True, slots=True)
class GivenSample(Sample):
    """A sample that somebody gave: it counts even where our own of that name are muted."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one collector gave at one instant (unix seconds)."""

    at: float
    collector: str
    samples: tuple[GivenSample, ...]


@dataclass(frozen=True, slots=True)
class Cue:
    """Something that happens in the simulated world `at` (unix seconds)."""

    at: float
    act: Callable[[Troupe], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done or refused. `at` is when it was decided, in seconds after the start."""

    at: float
    verb: str
    target: str
    outcome: str
    """verified | rolled_back | degraded | failed | ended_early | refused, or `open` where it came to no end"""
    reason: str
    """a verdicts.Reason"""
    by: str
    cause: str
    text: str
    plan: int = 0
    ended: float = 0.0
    """seconds after the start; 0 for a refusal"""
    quiet: bool = False
    """a refusal that is no news for people: something else is being done"""


@dataclass(frozen=True, slots=True)
class Fired:
    """One alert that fired. Seconds after the start, below 0 before it; `until` None: it fired to the end."""

    at: float
    until: float | None
    labels: tuple[tuple[str, str], ...]
    subject: str
    text: str

    @property
    def name(self) -> str:
        """What it is called."""
        return dict(self.labels).get("alertname", "")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is to be played. `start` and `end` are unix seconds."""

    loaded: Loaded
    transactions: Iterable[Transaction]
    """in time order; some may lie before the start, so that rules see their windows"""
    start: float
    end: float
    muted: Callable[[str], bool]
    """which metrics of our own are not heard, since they are given"""
    actors: tuple[Actor, ...] = ()
    cues: tuple[Cue, ...] = ()
    lead: float = 0.0
    """seconds before the start at which the first transaction may come"""
    delayed_names: bool = False
    memory: bool = False
    """it is about memory, so that is read often"""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    fired: tuple[Fired, ...]
    deeds: tuple[Deed, ...]
    troubles: tuple[str, ...]
    """rules that erred, and what broke"""


class HeardStore(Store):
    """A store that does not hear some of our own metrics."""

    def __init__(self, muted: Callable[[str], bool]) -> None:
        super().__init__()
        self._muted = muted
        self._deaf: dict[str, bool] = {}

    def append(
        self, at: float, samples: Iterable[Sample], made: bool = False, brought: bool = False
    ) -> tuple[Series, ...]:
        return super().append(at, [sample for sample in samples if made or self._hears(sample)], made, brought)

    def _hears(self, sample: Sample) -> bool:
        if isinstance(sample, GivenSample):
            return True
        name = next((text for key, text in sample.labels if key == "__name__"), "")
        if name not in self._deaf:
            self._deaf[name] = self._muted(name)
        return not self._deaf[name]


def play(piece: Rehearsal) -> Played:
    """Play it from its start to its end. ResurgamError where the house itself broke."""
    before = piece.loaded.settings.proof + SETTLED + piece.lead
    loop = SimLoop(ManualClock(wall=piece.start - before))
    try:
        return loop.run_until_complete(_Stage(loop, piece).play())
    finally:
        loop.close()


class _Stage:
    def __init__(self, loop: SimLoop, piece: Rehearsal) -> None:
        self.piece, self.clock = piece, loop.clock
        options = Options(delayed_names=piece.delayed_names)
        self.world = SimWorld(loop, piece.loaded, store=lambda: HeardStore(piece.muted), options=options)
        self.world.kernel.machine.declared = True  # what is available follows from what the services take
        if piece.memory:
            self.world.every, self.world.least = EVERY, CLOSE
        self.troupe = Troupe(self.world, piece.actors, _waiting(piece.loaded))

    async def play(self) -> Played:
        """The house comes up and to rest; then the piece, to its end; then what is under way ends."""
        self.troupe.enter()
        life = await self.world.begin()
        feeding = asyncio.ensure_future(self._feed())
        await self._until(self.piece.start)
        for cue in sorted(self.piece.cues, key=lambda cue: cue.at):
            await self._until(cue.at)
            await cue.act(self.troupe)
        await self._until(self.piece.end)
        await feeding
        deadline = self.clock.mono() + PATIENCE
        while self._under_way() and self.clock.mono() < deadline:
            await self._until(self.clock.wall() + 5.0)
        if life.trouble:
            raise ResurgamError(f"the rehearsal broke: {life.trouble[0]!r}")
        rows = self.world.disk.rows(limit=10_000_000)
        played = score(rows, self.piece.start, self.piece.end)
        await life.die()
        return played

    async def _until(self, at: float) -> None:
        """Until this wall time."""
        left = at - self.clock.wall()
        if left > 0:
            await asyncio.sleep(left)

    async def _feed(self) -> None:
        assert self.world.life is not None
        core = self.world.life.core
        for one in self.piece.transactions:
            await self._until(one.at)
            core.submit(Readings(one.at, self.clock.mono(), one.collector, one.samples))

    def _under_way(self) -> bool:
        assert self.world.life is not None
        plans = self.world.life.core.snapshot.plans
        return any(not verbs.VERBS[plan.verb].internal for plan in plans)


def _waiting(loaded: Loaded) -> frozenset[str]:
    """The services of models that are not the first choice of any slot: something else holds it at the beginning."""
    slots = slots_of(loaded.settings)
    first = {slot.models[0].service for slot in slots}
    return frozenset(one.service for slot in slots for one in slot.models if not one.inside) - first


# ---------------------------------------------------------------- what the journal says of it


def score(rows: Sequence[Row], start: float, end: float) -> Played:
    """What the journal's rows say: alerts that fired between `start` and `end` (some since before), and what was
    decided then."""
    mine = [row for row in rows if row.at >= start]
    return Played(_fired(rows, start, end), _deeds(mine, start, end), _troubles(mine, start, end))


def _fired(rows: Sequence[Row], start: float, end: float) -> tuple[Fired, ...]:
    since: dict[str, Row] = {}
    found: list[Fired] = []

    def close(row: Row, until: float | None) -> None:
        if until is not None and until < 0:
            return
        labels = tuple(sorted(row.body["alert"]["labels"].items()))
        found.append(Fired(row.at - start, until, labels, row.subject, str(row.body["text"])))

    for row in rows:
        if row.kind == "alert.firing" and row.at <= end:
            since.setdefault(row.body["alert"]["fingerprint"], row)
        elif row.kind == "alert.resolved" and row.body["alert"]["fingerprint"] in since:
            close(since.pop(row.body["alert"]["fingerprint"]), row.at - start if row.at <= end else None)
    for row in since.values():
        close(row, None)
    return tuple(sorted(found, key=lambda one: (one.at, one.labels)))


def _deeds(rows: Sequence[Row], start: float, end: float) -> tuple[Deed, ...]:
    ended = {row.body["plan"]: row for row in rows if row.kind in ENDS and row.body.get("plan")}
    found = []
    for row in rows:
        known = verbs.VERBS.get(str(row.body.get("verb", "")))
        if row.at > end or not row.kind.startswith("action.") or (known is not None and known.internal):
            continue
        if row.kind == "action.planned":
            last = ended.get(row.body["plan"])
            found.append(_deed(row, start, last, "open" if last is None else last.kind.partition(".")[2]))
        elif row.kind == "action.refused":
            found.append(_deed(row, start, None, "refused"))
        elif row.kind == "action.verified" and not row.body.get("plan"):  # `notify` needs no plan
            found.append(_deed(row, start, row, "verified"))
    return tuple(found)


def _deed(row: Row, start: float, last: Row | None, outcome: str) -> Deed:
    body, said = row.body, (last or row).body
    return Deed(
        at=row.at - start,
        verb=str(body["verb"]),
        target=str(body["service"]) or "host",
        outcome=outcome,
        reason=str(said.get("reason", "")),
        by=str(body["by"]),
        cause=str(body["cause"]),
        text=str(said.get("text", "")),
        plan=int(body.get("plan") or 0),
        ended=last.at - start if last is not None else 0.0,
        quiet=outcome == "refused" and not row.public and said.get("reason") != Reason.NEEDS_APPROVAL,
    )


def _troubles(rows: Sequence[Row], start: float, end: float) -> tuple[str, ...]:
    bad = [row.body for row in rows if row.kind == "daemon.rules_bad" and row.at <= end and not row.body.get("ok")]
    return tuple(dict.fromkeys(str(body["text"]) for body in bad))
