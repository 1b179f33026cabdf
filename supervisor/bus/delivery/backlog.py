"""What waits, read through once: a few words about every row, in bounded pieces on the journal's thread.

From: the journal's delivery table. To: `catchup.py` and `shedding.py`, which decide what of it is told in one
message or given up, and `piles.py`, which counts it. The rows themselves are not kept: a hundred thousand may wait.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from supervisor.bus.delivery.flow import fingerprint
from supervisor.bus.messages import is_alert, severity
from supervisor.facts import Json
from supervisor.journal import Journal, JournalThread, Row

PIECE = 250
"""rows read at once: a turn that commits meanwhile waits a few milliseconds"""


@dataclass(frozen=True, slots=True)
class Brief:
    """A row in a few words."""

    seq: int
    at: float
    kind: str
    name: str
    """the alert's name, else what the row is about"""
    severity: str
    alert: str = ""
    """fingerprint, '' for what is no alert"""


def brief(row: Row) -> Brief:
    """A row in a few words."""
    name = _alertname(row.body) if is_alert(row) else str(row.body.get("service") or row.subject)
    return Brief(row.seq, row.at, row.kind, name[:200], severity(row), fingerprint(row))


async def waiting(thread: JournalThread, skip: Callable[[int], bool]) -> AsyncIterator[Brief]:
    """Every row that waits and is not skipped, lowest seq first. JournalError where it cannot be read."""
    after = 0
    while True:
        piece, last, more = await thread.run(_piece, thread.journal, after)
        for one in piece:
            if not skip(one.seq):
                yield one
        if not more:
            return
        after = last


def _piece(journal: Journal, after: int) -> tuple[list[Brief], int, bool]:
    rows = journal.undelivered(PIECE, after)
    return [brief(row) for row in rows], rows[-1].seq if rows else after, len(rows) == PIECE


def _alertname(body: Json) -> str:
    alert = body.get("alert")
    labels = alert.get("labels") if isinstance(alert, dict) else None
    return str(labels.get("alertname", "")) if isinstance(labels, dict) else ""
