"""Small journals for tests: on disk or in memory, without the 4 MB reserve."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.clock import ManualClock
from supervisor.journal import Journal
from supervisor.journal.disk import Reserve


def open_journal(path: Path | None = None, clock: ManualClock | None = None, **limits: Any) -> Journal:
    """A journal at `path`, or in memory."""
    reserve = Reserve(path.parent, size=0, room=0) if path else None
    return Journal.open(path, clock or ManualClock(), reserve=reserve, **limits)


def add(
    journal: Journal,
    kinds: Iterable[str] = ("decision",),
    *,
    at: float = 1.0,
    subject: str = "host",
    public: bool = False,
    **body: Any,
) -> int:
    """One turn with a row of each kind; returns the last seq."""
    batch = journal.batch()
    for kind in kinds:
        batch.row(kind, subject, body, at, public)
    journal.commit(batch)
    return journal.last_seq


def put(journal: Journal, space: str, key: str, value: dict[str, Any] | None) -> None:
    """One turn with one put."""
    batch = journal.batch()
    batch.put(space, key, value)
    journal.commit(batch)
