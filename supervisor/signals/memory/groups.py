"""The memory of every running container, round by round: whose group is where, and what has gone up since.

From: the containers as the core shows them, kernel/groups. To: signals/memory/watch.py. A container may be gone at any
line of this; then it is left out, and its files are closed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supervisor.facts import Container, GroupMemory, MemorySource, Sample
from supervisor.kernel.groups import Group, find
from supervisor.kernel.tree import Tree
from supervisor.signals.memory import series
from supervisor.signals.memory.pace import Margin

AGAIN = 10.0
"""seconds until a container whose group was not found is looked for again, unless it was started anew"""


@dataclass(slots=True)
class _Followed:
    container: Container
    group: Group
    under: series.Names
    memory: GroupMemory | None = None
    at: float = 0.0
    rate: float = 0.0
    """bytes per second at which it took what nobody else can have, between the last two readings"""


class Followed:
    """The groups of the containers that run."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[str, _Followed] = {}
        self._missing: dict[str, tuple[int, float]] = {}
        """container id -> (the pid with which it was not found, when to look again)"""
        self.kills: list[tuple[str, int]] = []
        """(container id, processes) that the kernel killed since the round before, by the groups' own counters"""

    def read(
        self, containers: Sequence[Container], now: float, *, rare: bool, swap: bool, nodes: bool
    ) -> dict[str, GroupMemory]:
        """Container id -> its memory. `now`: on the monotonic clock; the others as for kernel.groups.Group."""
        self.kills = []
        found: dict[str, GroupMemory] = {}
        for container in containers:
            one = self._known.get(container.id)
            if one is None or one.container is not container:
                one = self._follow(container, now, nodes)
            if one is None:
                continue
            try:
                memory = one.group.read(rare, swap)
            except (OSError, ValueError):
                self._lost(container, now)
                continue
            self._compare(one, memory, now)
            found[container.id] = memory
        if len(found) != len(self._known):
            self._forget([key for key in self._known if key not in found])
        if self._missing:
            there = {container.id for container in containers}
            self._missing = {key: value for key, value in self._missing.items() if key in there}
        return found

    def _follow(self, container: Container, now: float, nodes: bool) -> _Followed | None:
        """Know a container by its present name; find its group where it is new or was started anew."""
        one = self._known.get(container.id)
        if one is not None and one.container.pid == container.pid:
            if (one.container.name, one.container.labels) != (container.name, container.labels):
                one.under = series.names(container)
            one.container = container
            return one
        pid, again = self._missing.get(container.id, (0, 0.0))
        if pid == container.pid and now < again:
            return None
        if one is not None:
            self._forget([container.id])
        place = find(self._tree, container.pid, container.id)
        if place is None:
            self._missing[container.id] = (container.pid, now + AGAIN)
            return None
        self._missing.pop(container.id, None)
        self._known[container.id] = made = _Followed(
            container, Group(self._tree, place, nodes), series.names(container)
        )
        return made

    def _compare(self, one: _Followed, memory: GroupMemory, now: float) -> None:
        before, one.memory = one.memory, memory
        if before is None or now <= one.at:
            one.at = now
            return
        one.rate, one.at = (memory.resident - before.resident) / (now - one.at), now
        rise = int(memory.oom_kills - before.oom_kills)
        if rise < 0:  # another group by the same name, which counts from 0
            rise = int(memory.oom_kills)
        if rise:
            self.kills.append((one.container.id, rise))

    def _lost(self, container: Container, now: float) -> None:
        self._forget([container.id])
        self._missing[container.id] = (container.pid, now + AGAIN)

    def _forget(self, keys: Iterable[str]) -> None:
        folders: list[str] = []
        for key in keys:
            one = self._known.pop(key, None)
            folders += one.group.place.folders() if one is not None else ()
        if folders:
            self._tree.forget(folders)

    def margins(self) -> list[Margin]:
        """What each limited container has left of its limit, or of its fuse."""
        found = []
        for one in self._known.values():
            memory = one.memory
            if memory is not None and (memory.limit or memory.high):
                wall = min(memory.limit or memory.high, memory.high or memory.limit)
                found.append(Margin(wall - memory.resident, wall, one.rate))
        return found

    def samples(self) -> list[Sample]:
        """The series of every container that was read."""
        found: list[Sample] = []
        for one in self._known.values():
            if one.memory is not None:
                found += series.group(one.under, one.memory)
        return found

    def source(self) -> MemorySource:
        """How it is with the groups."""
        versions = sorted({one.group.place.version for one in self._known.values()})
        if versions or not self._missing:
            kind = f", from control groups of version {' and '.join(map(str, versions))}" if versions else ""
            return MemorySource("groups", True, f"The memory of each container{kind}.")
        return MemorySource(
            "groups",
            False,
            "The control groups of the running containers cannot be seen from here, so nobody knows what each of them "
            "holds.",
            "Run the daemon on the engine's own machine, with its process ids and control groups "
            "(in a container: --pid=host --cgroupns=host and /sys/fs/cgroup).",
        )
