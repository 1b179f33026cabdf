"""ports.Groups of a machine that has no control groups: it cannot do anything, and says so."""

from supervisor.errors import GroupError
from supervisor.facts import Container, GroupMemory

WHY = "this machine has no control groups that could be written to"


class NoGroups:
    """Nothing can be done."""

    def cannot(self, verb: str, container: Container) -> str:
        return WHY

    async def read(self, container: Container) -> GroupMemory:
        raise GroupError(WHY)

    async def freeze(self, container: Container, frozen: bool) -> None:
        raise GroupError(WHY)

    async def fuse(self, container: Container, high: float) -> str:
        raise GroupError(WHY)

    async def reclaim(self, container: Container, wanted: float, within: float) -> float:
        raise GroupError(WHY)

    async def raise_limit(self, container: Container, limit: float) -> str:
        raise GroupError(WHY)

    async def drop_cache(self, paths: tuple[str, ...], within: float) -> float:
        raise GroupError(WHY)
