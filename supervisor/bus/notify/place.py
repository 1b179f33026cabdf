"""Where a notifier stands, kept in the journal (space `meta`, key `notify/<name>`), so that a restart neither loses
nor repeats a message.

Rows are kept by their number only; at the start they are read again. Everything is bounded by what groups.py and
watch.py hold. Everything here runs on the journal's thread.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from supervisor.facts import Json
from supervisor.journal import Journal, Row

GAVE_UP = 200
"""rows remembered as given up, for the notifiers that come after"""


@dataclass(slots=True)
class Place:
    """What is kept. Times are unix seconds."""

    seq: int = 0
    """every row up to it was taken in"""
    singles: list[int] = field(default_factory=list)
    """rows that wait to be told, each by itself"""
    members: list[tuple[int, bool, float, float]] = field(default_factory=list)
    """alerts in groups: (row, told, news, escalated)"""
    groups: list[tuple[str, float, int]] = field(default_factory=list)
    """(key, told at, how often)"""
    watched: list[tuple[int, float]] = field(default_factory=list)
    """(row, since)"""
    gave_up: list[int] = field(default_factory=list)


def load(journal: Journal, key: str) -> Place:
    """The place; at the first start ever it is here and now, and that is written down."""
    found = journal.space("meta").get(key)
    if found is None:
        save(journal, key, Place(journal.last_seq))
        return Place(journal.last_seq)
    return Place(
        int(found["seq"]),
        [int(seq) for seq in found.get("singles", ())],
        [(int(seq), bool(told), float(news), float(at)) for seq, told, news, at in found.get("members", ())],
        [(str(name), float(at), int(count)) for name, at, count in found.get("groups", ())],
        [(int(seq), float(since)) for seq, since in found.get("watched", ())],
        [int(seq) for seq in found.get("gave_up", ())],
    )


def save(journal: Journal, key: str, place: Place) -> None:
    """Make it durable. JournalError."""
    value: Json = {"seq": place.seq}
    for name in ("singles", "members", "groups", "watched"):
        if getattr(place, name):
            value[name] = getattr(place, name)
    if place.gave_up:
        value["gave_up"] = place.gave_up[-GAVE_UP:]
    batch = journal.batch()
    batch.put("meta", key, value)
    journal.commit(batch)


def rows_of(journal: Journal, seqs: Iterable[int]) -> dict[int, Row]:
    """These rows, as far as they are still there."""
    found: Sequence[Row] = [row for seq in seqs for row in journal.rows(after=seq - 1, before=seq + 1, limit=1)]
    return {row.seq: row for row in found}
