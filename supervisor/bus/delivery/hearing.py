"""Critical alerts that fire and that nobody heard of over MQTT (PUBACK reason 0x10).

In: the acknowledgement of every row (`sending.py`), and once, at the start, what the journal has of the latest ones.
Out: their fingerprints, which the core is told (`reporting.py`) so that the alert says so wherever it is shown. Who
tells people all the same is `bus/notify`.
"""

from supervisor.bus.delivery.flow import fingerprint
from supervisor.bus.messages import severity
from supervisor.journal import Journal, Row

MOST = 100
"""alerts that are kept; the oldest goes first"""
LATEST, BACK = 500, 20_000
"""rows about alerts that are looked at after a restart, and of how many rows in all: a turn waits for it"""


class Hearing:
    """By fingerprint, oldest first."""

    def __init__(self) -> None:
        self._alerts: dict[str, None] = {}
        self.count = 0
        """how often that happened since this process began"""

    @property
    def unheard(self) -> tuple[str, ...]:
        """The alerts of whose firing nobody heard."""
        return tuple(self._alerts)

    def told(self, row: Row, heard: bool) -> None:
        """The broker took a row."""
        if _is_critical(row):
            self.count += not heard
            self._note(row, heard)

    def restore(self, journal: Journal) -> None:
        """What an earlier process knew. On the journal's thread; JournalError."""
        after = max(0, journal.last_seq - BACK)
        rows = journal.rows(after=after, kinds=("alert.",), public=True, limit=LATEST, newest_first=True)
        states = journal.delivery_of(row.seq for row in rows)
        for row in reversed(rows):
            if _is_critical(row):
                self._note(row, states.get(row.seq) != "unheard")

    def _note(self, row: Row, heard: bool) -> None:
        mark = fingerprint(row)
        self._alerts.pop(mark, None)
        if row.kind == "alert.firing" and not heard:
            self._alerts[mark] = None
            if len(self._alerts) > MOST:
                del self._alerts[next(iter(self._alerts))]


def _is_critical(row: Row) -> bool:
    return bool(fingerprint(row)) and severity(row) == "critical"
