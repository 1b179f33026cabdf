"""ports.Groups in memory: the memory of containers as a test says it, with a kernel that obeys, refuses or is late.

Each write passes `on_call` before and after its effect, where a test may kill.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from supervisor.errors import GroupError, NotFound
from supervisor.facts import Container, GroupMemory

GIB = 2.0**30


@dataclass
class Groups:
    """The control groups of a simulated box. `alive` says whether a container runs now."""

    alive: Callable[[str], bool] = lambda _id: True

    def __post_init__(self) -> None:
        self.memory: dict[str, GroupMemory] = {}
        """container id -> how it is; half a GiB where nothing stands here"""
        self.why: dict[str, str] = {}
        """verb -> why it cannot be done here"""
        self.refuse: dict[str, str] = {}
        """operation -> what the kernel says to it"""
        self.swap = 0.0
        """bytes that anonymous pages may go to"""
        self.writes: list[tuple[str, str, float]] = []
        self.on_call: Callable[[str, str, str], None] = lambda operation, key, when: None

    def set(self, key: str, **figures: float) -> None:
        """Its memory from now on."""
        self.memory[key] = replace(self.memory.get(key, GroupMemory()), **figures)  # type: ignore[arg-type]

    def of(self, key: str) -> GroupMemory:
        """How it is now."""
        return self.memory.get(key, GroupMemory(anon=GIB / 2, usage=GIB / 2))

    def cannot(self, verb: str, container: Container) -> str:
        return self.why.get(verb, "")

    async def read(self, container: Container) -> GroupMemory:
        self._there(container)
        return self.of(container.id)

    async def freeze(self, container: Container, frozen: bool) -> None:
        self._write("freeze" if frozen else "thaw", container, frozen)
        self.memory[container.id] = replace(self.of(container.id), frozen=frozen)
        self.on_call("freeze" if frozen else "thaw", container.id, "after")

    async def fuse(self, container: Container, high: float) -> str:
        was = self.of(container.id).high
        self._write("fuse", container, high)
        self.memory[container.id] = replace(self.of(container.id), high=high)
        self.on_call("fuse", container.id, "after")
        return str(int(was)) if was else "max"

    async def reclaim(self, container: Container, wanted: float, within: float) -> float:
        self._write("reclaim", container, wanted)
        now = self.of(container.id)
        dropped = min(wanted, now.file)
        out = min(wanted - dropped, self.swap, now.anon)
        self.swap -= out
        made = replace(now, file=now.file - dropped, anon=now.anon - out, swap=now.swap + out)
        self.memory[container.id] = replace(made, usage=now.usage - dropped - out)
        self.on_call("reclaim", container.id, "after")
        return dropped + out

    async def raise_limit(self, container: Container, limit: float) -> str:
        now = self.of(container.id)
        if limit < now.limit:
            raise GroupError("a limit is never lowered")
        self._write("raise-limit", container, limit)
        self.memory[container.id] = replace(now, limit=limit)
        self.on_call("raise-limit", container.id, "after")
        return str(int(now.limit))

    async def drop_cache(self, paths: tuple[str, ...], within: float) -> float:
        self.on_call("drop-cache", " ".join(paths), "before")
        self.writes.append(("drop-cache", " ".join(paths), 0.0))
        self.on_call("drop-cache", " ".join(paths), "after")
        return len(paths) * GIB

    def _write(self, operation: str, container: Container, value: float) -> None:
        self.on_call(operation, container.id, "before")
        self._there(container)
        if operation in self.refuse:
            raise GroupError(self.refuse[operation])
        self.writes.append((operation, container.id, float(value)))

    def _there(self, container: Container) -> None:
        if not self.alive(container.id):
            raise NotFound("the container does not run")
