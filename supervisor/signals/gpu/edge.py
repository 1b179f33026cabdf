"""Everything that looks at the GPUs, put together: one reader of the driver, whose processes are whose, watch, faults.

From: daemon.py. To: the core, through `submit`; and to the hands that ask the driver, or need it let go of (`driver`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from supervisor.clock import Clock
from supervisor.config import Settings
from supervisor.facts import Fact, Readings, Snapshot
from supervisor.gpu.xids import Table
from supervisor.kernel.tree import Tree
from supervisor.ports import Submit
from supervisor.signals.gpu.boards import Boards
from supervisor.signals.gpu.faults import GpuFaults, Log
from supervisor.signals.gpu.owners import NamedDriver, Owners
from supervisor.signals.gpu.reader import GpuReader
from supervisor.signals.gpu.watch import GpuWatch

Keep = Callable[[str, Callable[[], Awaitable[None]]], None]


class GpuEdge:
    """The GPUs' part of the house."""

    def __init__(
        self,
        tree: Tree,
        log: Log,
        submit: Submit,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        settings: Settings,
        table: Callable[[], Table],
        *,
        since: int,
        turn: str,
    ) -> None:
        """`log`: the kernel's; `table`, `since`: as GpuFaults has them; `turn`: as GpuWatch has it."""
        self.reader, self.owners = GpuReader(), Owners(tree, clock)
        self.driver = NamedDriver(self.reader, self.owners)
        about = (self.owners, self._with_source(submit), clock, snapshot, settings.gpu)
        self.watch = GpuWatch(self.reader, Boards(), *about, host=settings.host, turn=turn)
        self.faults = GpuFaults(log, self.reader, self.owners.owner_of, submit, clock, table, since=since)

    def _with_source(self, submit: Submit) -> Submit:
        """What the watch tells, with how faults are heard."""

        def told(fact: Fact) -> None:
            if isinstance(fact, Readings) and fact.gpu is not None:
                fact = replace(fact, sources=(self.faults.source(),))
            submit(fact)

        return told

    def heard(self, submit: Submit) -> Submit:
        """The same for who listens to an engine: which containers there are, is known here."""
        return self.owners.heard(submit)

    def open(self, keep: Keep) -> None:
        """Begin. `keep`: runs a part for ever, by name."""
        keep("gpus", self.watch.run)
        keep("gpu faults", self.faults.run)
