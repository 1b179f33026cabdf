"""What slots need of the world, put together: model servers, gates, model files, and the watches of both.

From: the declared slots and the newest snapshot. To: maneuvers and effects, as ports.Models; the core, by each watch
for itself. Where no slot is declared there is none of it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from supervisor.clock import Clock
from supervisor.facts import Slot, Snapshot
from supervisor.gate.doors import Gates
from supervisor.kernel.tree import Tree
from supervisor.ports import Models, Submit
from supervisor.servers.hands import ModelServers
from supervisor.signals.models import ModelWatch
from supervisor.weights.reader import WeightsReader


class SlotEdges:
    """One for the life of a process: slots that are declared later count from the next start."""

    def __init__(
        self, slots: Sequence[Slot], submit: Submit, clock: Clock, snapshot: Callable[[], Snapshot], tree: Tree
    ) -> None:
        """`tree`: the kernel's files, for connections to servers that do not count their requests."""
        self.models: Models | None = None
        self._gates: Gates | None = None
        self._watch: ModelWatch | None = None
        if slots:
            server, self._gates = ModelServers(clock, tree), Gates(slots, clock, submit)
            self.models = Models(server, self._gates, WeightsReader(clock))
            self._watch = ModelWatch(server, submit, clock, snapshot, lambda: slots)

    def open(self, keep: Callable[[str, Callable[[], Awaitable[None]]], None]) -> None:
        """Start them. `keep(name, body)`: runs a part, and again where it breaks."""
        if self._gates is not None:
            keep("gates", self._gates.run)
        if self._watch is not None:
            keep("models", self._watch.run)

    def changed(self) -> None:
        """There is a new snapshot."""
        if self._watch is not None:
            self._watch.changed()

    def counts(self) -> Mapping[str, int]:
        """Defects of our own, by where they were met."""
        if self._gates is None or self._watch is None:
            return {}
        return {"gates_faults": self._gates.faults, "models_faults": self._watch.faults}

    async def close(self) -> None:
        """Let go of callers and servers."""
        if self._gates is not None:
            await self._gates.close()
        if self.models is not None:
            await self.models.server.close()
