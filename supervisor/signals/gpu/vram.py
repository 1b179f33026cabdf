"""Decides what of the GPUs' memory a container would have to wait for.

From: the room (signals/room.py), between the old container's stop and the new one's start. To: one sentence. Where an
amount is declared (`vram`) it is waited for; else, for a container that asks for a GPU, only until the processes of the
container before have left the GPUs. What never can be (a GPU that is not there, more than it has) is not waited for: it
is a doubt, told before anything is touched.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from supervisor import units
from supervisor.facts import Container, Needs
from supervisor.signals.gpu.usage import Gpu, Usage

Pairs = Sequence[tuple[str, int]]
"""(GPU, bytes): an index, a UUID or its beginning, '' for any"""
Naming = Callable[[int], str]
"""the name of a process; '' where it cannot be seen"""
_NAMED = 3
"""how many holders are named"""
_ID = re.compile(r"[0-9a-f]{64}")


class Reads(Protocol):
    """Asks the driver (`reader.py`)."""

    async def usage(self) -> Usage:
        """What the GPUs have free, or why nobody knows. Never raises."""


class VramGate:
    """Implements room.Vram on this machine."""

    def __init__(self, reader: Reads, proc: Path = Path("/proc")) -> None:
        self._reader, self._proc = reader, proc

    async def held(self, needs: Needs, container: Container, before: str) -> str:
        """What it would have to wait for; '' for nothing. `before`: the id of the container that ran last."""
        if not needs.vram and not (container.gpu and before):
            return ""
        usage = await self._reader.usage()
        if usage.trouble:
            return ""
        if needs.vram:
            return await asyncio.to_thread(short, needs.vram, usage, self._name)
        return await asyncio.to_thread(left_behind, usage, lambda pid: self._of(pid, before), self._name)

    async def doubts(self, needs: Needs, container: Container) -> tuple[str, ...]:
        """Why what is declared is not waited for, a sentence each. Opens the driver, so that it is open already (or
        known not to answer) when seconds count: while the service is down, and while others open and close the GPUs."""
        if not needs.vram and not container.gpu:
            return ()
        usage = await self._reader.usage()
        return doubts(needs.vram, usage) if needs.vram else ()

    async def free(self) -> Mapping[str, float]:
        """Bytes free of each card by its UUID, in the driver's order; empty where the driver cannot be asked. A card
        that cannot be read is left out."""
        usage = await self._reader.usage()
        return {gpu.uuid: float(gpu.free) for gpu in usage.gpus if gpu.uuid and not gpu.error}

    def _name(self, pid: int) -> str:
        try:
            return units.plain((self._proc / str(pid) / "comm").read_text("utf-8", "replace").strip(), 64)
        except OSError:
            return ""

    def _of(self, pid: int, container_id: str) -> bool:
        """Whether a process belongs, or belonged, to the container: its cgroup keeps the id after that is gone."""
        try:
            with (self._proc / str(pid) / "cgroup").open("rb") as file:
                return container_id in _ID.findall(file.read(65_536).decode("ascii", "replace"))
        except OSError:
            return False


# ------------------------------------------------------------ decisions


def find(name: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """The GPU of this index or UUID (or its beginning, if no other begins so); None where there is none."""
    if name.isdecimal():
        return next((gpu for gpu in gpus if gpu.index == int(name)), None)
    found = [gpu for gpu in gpus if name and gpu.uuid.lower().startswith(name.lower())]
    return found[0] if len(found) == 1 else None


def doubts(pairs: Pairs, usage: Usage) -> tuple[str, ...]:
    """What of the declared amounts cannot be waited for, and why; sentences."""
    if usage.trouble:
        return (f"VRAM is not watched, so nobody waits for it: {usage.trouble}.",)
    said = [_doubt(name, amount, usage.gpus) for name, amount in pairs]
    return tuple(f"{text}: it is not waited for." for text in said if text)


def short(pairs: Pairs, usage: Usage, naming: Naming) -> str:
    """`GPU 0 has 12 GiB of VRAM free, it needs 90 GiB; held by …` for the first that is short; '' if none is."""
    taken: dict[int, int] = {}
    for name, amount in pairs:
        if _doubt(name, amount, usage.gpus):
            continue
        gpu = find(name, usage.gpus)
        if gpu is not None:
            taken[gpu.index] = amount
            if gpu.free < amount:
                return f"{_has(gpu, gpu.free, amount)}{_held_by(gpu, naming)}"
    for amount in [amount for name, amount in pairs if not name and not _doubt(name, amount, usage.gpus)]:
        # what the same container wants of a GPU by name is not there for the rest
        free = {gpu.index: max(0, gpu.free - taken.get(gpu.index, 0)) for gpu in usage.gpus if not gpu.error}
        most = max((gpu for gpu in usage.gpus if not gpu.error), key=lambda gpu: free[gpu.index])
        if free[most.index] < amount:
            text = _has(most, free[most.index], amount)
            return f"{text if len(free) == 1 else f'no GPU has enough free: {text}'}{_held_by(most, naming)}"
    return ""


def left_behind(usage: Usage, of: Callable[[int], bool], naming: Naming) -> str:
    """Which process of the container before (`of` tells) is still on a GPU; '' if none is."""
    for gpu in usage.gpus:
        for pid, used in gpu.users:
            if of(pid):
                return f"GPU {gpu.index} is still used by the container before: {_holder(pid, used, naming)}"
    return ""


def _doubt(name: str, amount: int, gpus: Sequence[Gpu]) -> str:
    """Why this pair cannot be waited for; '' if it can."""
    needs = f"it needs {units.show_size(amount)}"
    if name.upper().startswith("MIG-"):
        return f"{name} is a slice of a GPU, and the memory of slices is not watched"
    if name:
        gpu = find(name, gpus)
        if gpu is None:
            return f"There is no GPU {name} on this machine, and {needs} on it"
        if gpu.error:
            return f"GPU {gpu.index} does not say what it has free ({gpu.error}), and {needs}"
        return f"GPU {gpu.index} never has {_more(gpu.most)} free, and {needs}" if gpu.most < amount else ""
    largest = max((gpu.most for gpu in gpus if not gpu.error), default=0)
    if not largest:
        return f"No GPU of this machine says what it has free, and {needs}"
    return f"No GPU of this machine ever has {_more(largest)} free, and {needs}" if largest < amount else ""


def _more(most: int) -> str:
    return f"more than {units.show_size(most)}"


def _has(gpu: Gpu, free: int, amount: int) -> str:
    return f"GPU {gpu.index} has {units.show_size(free)} of VRAM free, it needs {units.show_size(amount)}"


def _held_by(gpu: Gpu, naming: Naming) -> str:
    """The largest holders, as the end of a sentence. What a process of another PID namespace holds, or what one left
    behind, has no holder."""
    users = sorted(gpu.users, key=lambda user: (-user[1], user[0]))
    named = [_holder(pid, used, naming) for pid, used in users[:_NAMED]]
    more = [f"{len(users) - _NAMED} more"] if len(users) > _NAMED else []
    if named:
        return f"; held by {', '.join([*named, *more])}"
    return "; the driver names nobody who holds the rest" if gpu.free < gpu.most else ""


def _holder(pid: int, used: int, naming: Naming) -> str:
    size = f", {units.show_size(used)}" if used else ""
    return f"{naming(pid) or 'a process'} (pid {pid}{size})"
