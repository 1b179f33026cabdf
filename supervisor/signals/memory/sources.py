"""What every source of memory news has in common that needs no looking: armed, dropped and tried again on its own.

From: kernel/watches. To: levels.py and kills.py, which are such sources, and edges.py, which keeps them.
A source that fails is off, with the reason and the cure, and is tried again slowly; what it has open is closed first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor.clock import Clock
from supervisor.facts import MemorySource
from supervisor.kernel.groups import Place
from supervisor.kernel.watches import Cannot, Ready

AGAIN = 30.0
"""seconds until something that could not be watched is tried again"""


@dataclass(frozen=True, slots=True)
class Key:
    """One life of one container: after a restart its groups are others. The machine's own group has no id."""

    container_id: str
    pid: int


Groups = Mapping[Key, Place]


class Source:
    """One source. `look` is called every second; what it says of itself is always one sentence."""

    name = ""

    def __init__(self) -> None:
        self._cannot: Cannot | None = Cannot("It was not looked at yet.")
        self._not_before = float("-inf")

    def look(self, now: float, groups: Groups) -> None:
        """Arm what is new and drop what is gone, unless it is off for a while. `now`: monotonic."""
        if now >= self._not_before:
            self.step(now, groups)

    def step(self, now: float, groups: Groups) -> None:
        """What `look` does."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of everything."""

    def off(self, why: Cannot, now: float) -> None:
        """It does not work: said so, and tried again later."""
        self.close()
        self._cannot, self._not_before = why, now + AGAIN

    def gives(self) -> str:
        """What it gives while it is live, one sentence."""
        raise NotImplementedError

    def better(self) -> str:
        """What a person can do so that it gives more; '' for nothing."""
        return ""

    def source(self) -> MemorySource:
        """How it is."""
        if self._cannot is not None:
            return MemorySource(self.name, False, self._cannot.text, self._cannot.cure)
        return MemorySource(self.name, True, self.gives(), self.better())


class PerGroup(Source):
    """A source with one watch per container."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.watches: dict[Key, Ready | None] = {}
        """None: there is nothing to be watched in it"""
        self._failed: dict[Key, tuple[Cannot, float]] = {}

    def arm(self, key: Key, place: Place) -> Ready | Cannot | None:
        """Watch one; None where there is nothing to watch."""
        raise NotImplementedError

    def dropped(self, key: Key) -> None:
        """One is watched no more."""

    def step(self, now: float, groups: Groups) -> None:
        for key in [key for key in self.watches if key not in groups]:
            self.drop(key)
        for key in [key for key in self._failed if key not in groups]:
            del self._failed[key]
        for key, place in groups.items():
            if key in self.watches or (key in self._failed and now < self._failed[key][1]):
                continue
            try:
                made = self.arm(key, place)
            except OSError as err:
                made = Cannot(f"A watch of the kernel was refused ({err.strerror}).")
            if isinstance(made, Cannot):
                self._failed[key] = (made, now + AGAIN)
            else:
                self._failed.pop(key, None)
                self.watches[key] = made
        self._cannot = None
        if self._failed and not self.watches:
            self._cannot = next(iter(self._failed.values()))[0]

    def close(self) -> None:
        for key in list(self.watches):
            self.drop(key)
        self._failed.clear()

    def drop(self, key: Key) -> None:
        watch = self.watches.pop(key, None)
        if watch is not None:
            watch.close()
        self.dropped(key)

    def lost(self, key: Key) -> Callable[[Cannot], None]:
        """What a watch calls when it ended by itself: mostly its container has ended."""

        def gone(why: Cannot) -> None:
            self.watches.pop(key, None)
            self.dropped(key)
            if why.over:
                self.watches[key] = None  # until the container is not in the list any more
            else:
                self._failed[key] = (why, self._clock.mono() + AGAIN)

        return gone

    def counted(self) -> str:
        """How many are watched, and why some are not."""
        count = len([key for key, one in self.watches.items() if one is not None and key.container_id])
        said = f"{count} container{'' if count == 1 else 's'}"
        if not self._failed:
            return said
        why = next(iter(self._failed.values()))[0].text
        return f"{said}, not {len(self._failed)}: {why.rstrip('.')}"
