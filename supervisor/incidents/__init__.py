"""What matters and what is done about it. Pure: no await, no clock, no file in a turn.

`playbooks` reads ladders from files (at the edge), `binding` reads annotations; `target` finds the service meant,
`choose` who goes first, `ladder` which rung is next, `guard` (with `veto` and `budget`) whether it may run, `deciding`
puts these together, `permit` answers for each step, `locks` who waits for whom, and `book` keeps the incidents.
"""

from supervisor.incidents.book import Book
from supervisor.incidents.guard import may_run
from supervisor.incidents.locks import Locks
from supervisor.incidents.permit import may_step
from supervisor.incidents.world import Review, Spend, World

__all__ = ["Book", "Locks", "Review", "Spend", "World", "may_run", "may_step"]
