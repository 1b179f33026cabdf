"""The watermark: the retained document `resurgam/<host>/journal`, by which a listener knows what it has missed.

In: the span of the public rows in the journal. Out: one small document, told when the newest row changed (once a second
at most), at every birth and as one of the last words. `last` counts what was shed or only told in a digest, too:
whoever has less asks for a replay of the rest.
"""

import json

from supervisor.bus.messages import Message, to_bytes, topic
from supervisor.clock import Clock
from supervisor.facts import Json
from supervisor.journal import JournalThread
from supervisor.units import iso, plain

EVERY = 1.0
"""seconds between two messages, at least; so events come before the watermark that counts them"""


def journal_document(epoch: str, oldest: int, last: int, at: float, machine: str) -> Json:
    """`oldest` and `last` are public rows, 0 where there is none; `at` is when this was so, unix seconds; `machine` is
    the node that says so (identity.py), by which twins.py finds another one with our name."""
    return {"machine": machine, "epoch": epoch, "oldest": oldest, "last": last, "at": iso(at)}


def machine_of(payload: bytes) -> str:
    """The node that a watermark names, at most 64 characters of it; '' where it names none. Anybody may have written
    it."""
    found = _read(payload).get("machine")
    return plain(found, 64) if isinstance(found, str) else ""


def _read(payload: bytes) -> Json:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Watermark:
    """What the broker of this connection was told."""

    def __init__(self, thread: JournalThread, clock: Clock, host: str, machine: str) -> None:
        self._machine = machine
        self._thread, self._clock, self._topic = thread, clock, topic(host, "journal")
        self._told = -1
        self._began: int | None = thread.journal.last_seq
        """the last row of our earlier lives; None once this life has spoken"""

    @property
    def stale(self) -> bool:
        """There are newer rows than was told."""
        return self._thread.journal.last_public != self._told

    def forget(self) -> None:
        """A new connection: it must be told again."""
        self._told = -1

    async def found(self, payload: bytes) -> None:
        """What the broker kept until now. Where our last life had come further than the journal with which this one
        began, somebody put an older copy back: its numbers come anew and would be taken for repeats, so a new epoch
        begins. JournalError where it cannot."""
        journal, body = self._thread.journal, _read(payload)
        last = body.get("last")
        ours = (body.get("machine"), body.get("epoch")) == (self._machine, journal.epoch)
        if self._began is not None and ours and isinstance(last, int) and last > self._began:
            await self._thread.run(journal.begin_epoch, self._clock.token(8))
        self._began = None

    async def message(self) -> Message:
        """The document as it is now; it counts as told. JournalError where the journal cannot be read."""
        journal = self._thread.journal
        oldest, last = await self._thread.run(journal.span)
        self._told, self._began = last, None
        body = journal_document(journal.epoch, oldest, last, self._clock.wall(), self._machine)
        return Message(self._topic, to_bytes(body), retain=True)
