"""Which events are told one by one, and which go into a digest: token buckets over what happens. Pure.

In: journal rows in their order, and the time. Out: `send` or `digest` for each; to `sending.py`. Two buckets decide:
one of the whole host (`mqtt.flood`), and one per thing, so that whatever flaps is told a handful of times at once and
then every 10 s. What people must have goes singly whatever the buckets say: critical rows, our own digests, and the
end of an alert whose beginning was told singly, so that nobody is left with an alert that is long over.
"""

from dataclasses import dataclass

from supervisor.bus.messages import is_alert, severity
from supervisor.journal.rows import Row

SEND, DIGEST = "send", "digest"
SUMMARIES = ("daemon.digest", "daemon.shed")
"""rows that tell of many others"""
ONE_BURST, ONE_RATE = 5, 0.1
"""of one thing: so many at once, then so many a second"""
THINGS = 4096
"""things whose bucket is remembered; the one that was quiet longest is forgotten first"""
UNTOLD = 10_000
"""alerts whose firing is only in a digest, likewise; the end of a forgotten one is told singly"""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float

    def refill(self, rate: float, burst: float, now: float) -> None:
        self.left = min(burst, self.left + max(0.0, now - self.at) * rate)
        self.at = now

    def spend(self) -> None:
        """Also what goes in any case costs: then there is less for the rest."""
        self.left = max(0.0, self.left - 1.0)


class Flow:
    """Decides row by row. `now` is monotonic seconds, and never goes back."""

    def __init__(self, rate: float, burst: int) -> None:
        """`rate` events a second of the whole host, over time; `burst` at once."""
        self._rate, self._burst = rate, float(burst)
        self._all = _Bucket(self._burst, 0.0)
        self._things: dict[str, _Bucket] = {}
        self._untold: dict[str, None] = {}

    def decide(self, row: Row, now: float) -> str:
        """`send` or `digest`."""
        thing = self._thing(subject_of(row), now)
        self._all.refill(self._rate, self._burst, now)
        free = self._all.left >= 1.0 and thing.left >= 1.0
        found = SEND if free or self._must(row) else DIGEST
        if found == SEND:
            self._all.spend()
            thing.spend()
        self.note(row, told=found == SEND)
        return found

    def note(self, row: Row, *, told: bool) -> None:
        """What became of an alert's row, where it was decided elsewhere."""
        mark = fingerprint(row)
        if not mark:
            return
        self._untold.pop(mark, None)
        if row.kind == "alert.firing" and not told:
            self._untold[mark] = None
            if len(self._untold) > UNTOLD:
                del self._untold[next(iter(self._untold))]

    def _must(self, row: Row) -> bool:
        if row.kind in SUMMARIES or severity(row) == "critical":
            return True
        return row.kind == "alert.resolved" and fingerprint(row) not in self._untold

    def _thing(self, name: str, now: float) -> _Bucket:
        found = self._things.pop(name, None) or _Bucket(float(ONE_BURST), now)
        found.refill(ONE_RATE, float(ONE_BURST), now)
        self._things[name] = found
        if len(self._things) > THINGS:
            del self._things[next(iter(self._things))]
        return found


def fingerprint(row: Row) -> str:
    """The label set of an alert's row by its name; '' for other rows."""
    alert = row.body.get("alert") if is_alert(row) else None
    return str(alert.get("fingerprint", "")) if isinstance(alert, dict) else ""


def subject_of(row: Row) -> str:
    """What a row is about, finely: the alert, else its kind and subject."""
    return fingerprint(row) or f"{row.kind} {row.subject}"
