"""Many rows told by one: they are counted, the core writes the one row, and only then they are marked.

In: rows that `flow.py` keeps back, and those that `catchup.py` and `shedding.py` choose among what waits.
Out: a `Gathered` fact for the core per pile; and once its row (`daemon.digest`, `daemon.shed`) was seen to be durable,
marks in the delivery table. A kill in between leaves the rows waiting: they are told again, never forgotten.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from supervisor.bus.delivery.backlog import Brief, brief
from supervisor.bus.delivery.flow import SUMMARIES
from supervisor.clock import Clock
from supervisor.facts import Gathered, Json
from supervisor.journal import JournalThread, Row
from supervisor.ports import Submit
from supervisor.units import iso

EVERY = 5.0
"""seconds that a digest is gathered for"""
AGAIN = 30.0
"""seconds until a pile whose row is not seen is handed in again"""
PIECE = 250
"""marks written at once"""
SHOWN = 20
NAMED = 6
"""kinds that its sentence names"""
NAMES = 1000
"""names that are counted; what comes beyond counts as `others`"""
STATES = {"digest": "digested", "shed": "shed"}


@dataclass(slots=True)
class Tally:
    """Rows as they are counted."""

    seqs: "array[int]" = field(default_factory=lambda: array("q"))
    since: float = 0.0
    until: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    severities: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=dict)
    services: dict[str, int] = field(default_factory=dict)
    firing: dict[str, str] = field(default_factory=dict)
    """fingerprint -> name of the alerts whose last row here says that they fire"""

    def add(self, one: Brief) -> None:
        """Count a row; in any order."""
        self.since = min(self.since, one.at) if self.seqs else one.at
        self.until = max(self.until, one.at)
        self.seqs.append(one.seq)
        _count(self.kinds, one.kind)
        _count(self.severities, one.severity)
        _count(self.alerts if one.alert or one.kind.startswith("alert.") else self.services, one.name)
        if one.kind == "alert.firing" and len(self.firing) < NAMES:
            self.firing[one.alert] = one.name
        elif one.kind == "alert.resolved":
            self.firing.pop(one.alert, None)

    def body(self) -> Json:
        """What the row says of them; of the names, the most frequent."""
        grave = [name for name in ("critical", "warning", "info") if name in self.severities]
        return {
            "from": min(self.seqs),
            "to": max(self.seqs),
            "count": len(self.seqs),
            "kinds": _most(self.kinds, len(self.kinds)),
            "severities": {name: self.severities[name] for name in grave},
            "severity": grave[0],
            "alerts": _most(self.alerts, SHOWN),
            "services": _most(self.services, SHOWN),
            "firing": sorted(set(self.firing.values()))[:SHOWN],
            "since": iso(self.since),
            "until": iso(self.until),
        }


@dataclass(slots=True)
class Pile:
    """Rows that one row tells of. `seqs` is sorted."""

    what: str
    """digest | shed"""
    ident: str
    seqs: "array[int]"
    body: Json
    asked_at: float
    """when the core was asked last, monotonic seconds"""
    row: int = 0
    """the durable row that tells of them; 0 until it was seen"""
    marked: int = 0
    """so many of the rows are marked"""


class Piles:
    """The open digest, and the piles that wait for their row or their marks."""

    def __init__(self, thread: JournalThread, clock: Clock, submit: Submit, stir: Callable[[], None]) -> None:
        """`stir` is called when there is something to do earlier than was known."""
        self._thread, self._clock, self._submit, self._stir = thread, clock, submit, stir
        self._open: Tally | None = None
        self._since = 0.0
        self._piles: dict[str, Pile] = {}

    def holds(self, seq: int) -> bool:
        """Whether a row belongs to a pile: it is not to be told by itself."""
        if self._open is not None and _has(self._open.seqs, seq):
            return True
        return any(_has(pile.seqs, seq) for pile in self._piles.values())

    @property
    def shedding(self) -> bool:
        """Rows are being given up right now."""
        return any(pile.what == "shed" for pile in self._piles.values())

    def gather(self, row: Row) -> None:
        """Let the open digest tell of this row. Rows come in the order of their seq."""
        if self._open is None or (self._open.seqs and self._open.seqs[-1] > row.seq):
            self.close_open()
            self._open, self._since = Tally(), self._clock.mono()
            self._stir()
        self._open.add(brief(row))

    def close_open(self) -> None:
        """Hand the open digest in."""
        if self._open is not None:
            self.hand_in("digest", self._open, "flood", "came too fast to be told one by one")
            self._open = None

    def hand_in(self, what: str, tally: Tally, why: str, text: str) -> None:
        """Let one row tell of these; `text` goes on after `120 messages …`."""
        seqs = array("q", sorted(tally.seqs))
        body = tally.body()
        most_kinds = [f"{count} {kind}" for kind, count in body["kinds"].items()]
        kinds = ", ".join(most_kinds[:NAMED]) + (" and others" if len(most_kinds) > NAMED else "")
        most = sorted([*body["alerts"].items(), *body["services"].items()], key=lambda one: -one[1])[:3]
        names = ", ".join(f"{name} ({count})" for name, count in most)
        span = f"rows {seqs[0]} to {seqs[-1]}" if len(seqs) > 1 else f"row {seqs[0]}"
        when = body["since"] if len(seqs) == 1 else f"{body['since']} to {body['until']}"
        body["why"] = why
        body["text"] = (
            f"{len(seqs)} {'message' if len(seqs) == 1 else 'messages'} {text}, {when}: "
            f"{kinds}; most about {names}. All is in the journal ({span}): ask for a replay, or see `resurgam events`."
        )
        pile = Pile(what, self._clock.token(8), seqs, body, self._clock.mono())
        self._piles[pile.ident] = pile
        self._ask(pile)

    def seen(self, rows: Sequence[Row]) -> None:
        """These rows are durable; perhaps they are what we asked for."""
        for row in rows:
            if row.kind in SUMMARIES:
                pile = self._piles.get(str(row.body.get("pile", "")))
                if pile is not None and not pile.row:
                    pile.row = row.seq
                    self._stir()

    def due(self) -> float | None:
        """The next monotonic instant at which there is something to do."""
        found = [self._since + EVERY] if self._open is not None and not self._asking else []
        found += [0.0 if pile.row else pile.asked_at + AGAIN for pile in self._piles.values()]
        return min(found, default=None)

    async def work(self) -> None:
        """Hand in what is due, and mark what was told. JournalError: the rest is marked another time."""
        now = self._clock.mono()
        if self._open is not None and self._since + EVERY <= now and not self._asking:
            self.close_open()
        for pile in list(self._piles.values()):
            if not pile.row and pile.asked_at + AGAIN <= now:
                self._ask(pile)
            while pile.row and pile.marked < len(pile.seqs):
                state, why = STATES[pile.what], f"told by row {pile.row}"
                some = pile.seqs[pile.marked : pile.marked + PIECE]
                await self._thread.run(self._thread.journal.deliver, [(seq, state, 0, why) for seq in some])
                pile.marked += len(some)
            if pile.row:
                del self._piles[pile.ident]

    @property
    def _asking(self) -> bool:
        """The row of the digest before is not seen yet: meanwhile the next one grows."""
        return any(pile.what == "digest" and not pile.row for pile in self._piles.values())

    def _ask(self, pile: Pile) -> None:
        pile.asked_at = self._clock.mono()
        self._submit(Gathered(self._clock.wall(), pile.asked_at, pile.what, pile.ident, pile.body))


def _has(seqs: "array[int]", seq: int) -> bool:
    place = bisect_left(seqs, seq)
    return place < len(seqs) and seqs[place] == seq


def _count(counts: dict[str, int], name: str) -> None:
    name = name if name in counts or len(counts) < NAMES else "others"
    counts[name] = counts.get(name, 0) + 1


def _most(counts: dict[str, int], limit: int) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:limit])
