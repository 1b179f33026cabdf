"""What is read beside containers, memory and GPUs: scrapes, text files and disks, kept together for who wires them.

From: the settings and the newest snapshot. To: the core, by each watch for itself.
"""

from collections.abc import Awaitable, Callable, Mapping

from supervisor.clock import Clock
from supervisor.config import Settings
from supervisor.facts import Snapshot
from supervisor.ports import Engine, Submit
from supervisor.signals.disk import Disks
from supervisor.signals.scrapes.textfile import TextFiles
from supervisor.signals.scrapes.watch import Scrapes


class Elsewhere:
    """The watches, each a part of its own that may break alone."""

    def __init__(
        self,
        settings: Settings,
        engines: Mapping[str, Engine],
        submit: Submit,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        ours: Callable[[str], bool],
    ) -> None:
        """`ours`: tells the names of metrics that are made here, which nobody else may speak."""
        self.scrapes = Scrapes(settings.scrape, submit, clock, lambda: snapshot().services, ours)
        self.textfiles = TextFiles(settings.textfile, submit, clock, ours) if settings.textfile else None
        about = (settings.disk, settings.state_dir, engines, lambda: snapshot().services, submit, clock)
        self.disks = Disks(*about, busy=lambda: bool(snapshot().plans))

    def open(self, keep: Callable[[str, Callable[[], Awaitable[None]]], None]) -> None:
        """Start them. `keep(name, body)`: runs a part, and again where it breaks."""
        keep("scrapes", self.scrapes.run)
        if self.textfiles is not None:
            keep("text files", self.textfiles.run)
        keep("disks", self.disks.run)
        keep("engine disks", self.disks.ask)

    def changed(self) -> None:
        """There is a new snapshot."""
        self.scrapes.changed()

    @property
    def trouble(self) -> str:
        """What cannot be looked at as the configuration says; '' for nothing."""
        return self.disks.trouble

    @property
    def faults(self) -> int:
        """Defects of our own that spoiled a reading."""
        return self.scrapes.faults
