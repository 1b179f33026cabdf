"""A shared folder of a simulated box: where a container leaves its request file, and what became of it.

From: tests and worlds, which put requests there. To: signals/request_file.py, as its Folder. It outlives every life of
the daemon, as a disk does.
"""

from collections.abc import Callable

from supervisor.errors import ConfigError
from supervisor.facts import Json
from supervisor.signals.request_file import Found


class SimFolder:
    """One folder. `locked`: nothing in it can be removed by us. `point` is called around every removal: a place where
    the daemon may be killed."""

    def __init__(self, name: str, point: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.locked = False
        self.file: Found | None = None
        self.services: Json | ConfigError = {}
        """what the compose file beside it says"""
        self.removed = 0
        self._point, self._count = point, 0

    def request(self, at: float, *, is_file: bool = True) -> Found:
        """Somebody writes the file (anew)."""
        self._count += 1
        self.file = Found(f"1:{self._count}:{at:.0f}:0", at, is_file)
        return self.file

    async def look(self) -> Found | None:
        return self.file

    async def remove(self, found: Found) -> None:
        self._point()
        if self.file == found and not self.locked:
            self.file = None
            self.removed += 1
        self._point()

    async def compose(self) -> Json:
        if isinstance(self.services, ConfigError):
            raise self.services
        return self.services
