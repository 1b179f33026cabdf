"""The journal: durable memory. Nothing outside this package speaks SQL.

`store.py` is the journal, `rows.py` its rows and batches, `thread.py` the thread it lives on, `disk.py` the state
folder's lock and reserve, `ledger.py` the images that proved good or bad, `codec.py` facts as JSON and back,
`recorder.py` the readings (a second, disposable file).
"""

from supervisor.journal.delivery import Backlog, Mark
from supervisor.journal.disk import StateLock, lock_state
from supervisor.journal.prune import Pruned
from supervisor.journal.rows import Batch, Row
from supervisor.journal.store import Journal
from supervisor.journal.thread import JournalThread

__all__ = ["Backlog", "Batch", "Journal", "JournalThread", "Mark", "Pruned", "Row", "StateLock", "lock_state"]
