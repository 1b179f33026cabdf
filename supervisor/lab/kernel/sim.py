"""A simulated Linux kernel: kernel.tree.Tree over /proc and control groups, with the kernel's rules about memory.

From: containers with a SimLoad each (dockerd.py brings those of a simulated engine), and what is written
to its files. To: whoever reads the files, and `machine.on_death` for what it kills. Nothing runs by itself: it is
brought up to the clock's present whenever it is looked at, through every instant at which something changes.

What the model leaves out: the livelock before a kill on a box without swap, active and inactive lists, writeback, the
charge of page cache to whoever came first, huge pages, and that reclaim takes time.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping

from supervisor.clock import Clock
from supervisor.lab.kernel import files
from supervisor.lab.kernel.group import NEAR, SOON, SimGroup
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Memory, SimMachine, Version
from supervisor.lab.kernel.reclaim import reclaimable, settle
from supervisor.lab.kernel.writes import write

SYSTEM = 2.0 * 2**30
"""bytes that everything takes that is in no container"""
SOONEST = 0.001
"""seconds: nobody is called sooner"""
PLAIN = SimLoad(anon=50.0 * 2**20)
"""a container of which nothing else was said"""


class SimKernel:
    """The files of a machine whose memory is simulated."""

    def __init__(
        self,
        clock: Clock,
        memory: Memory,
        version: Version = 1,
        *,
        systemd: bool | None = None,
        nodes: int = 1,
        system: float = SYSTEM,
    ) -> None:
        """`memory` is /proc/meminfo in bytes, or makes it: it is shown as it stands while no load was declared; once
        there is one, what is available follows from the loads. `systemd`: groups have systemd's names (as Docker has
        them on version 2); `nodes`: NUMA nodes; `system`: bytes that are taken by no container."""
        self.clock = clock
        self.machine = SimMachine(memory, version, nodes, system)
        self.systemd = version == 2 if systemd is None else systemd
        self.on_look: Callable[[], None] = lambda: None
        """called before each look: containers may have come and gone"""
        self.on_due: Callable[[float], None] = lambda _seconds: None
        """told in how many seconds something will happen by itself (infinity: nothing)"""
        self.fault: Callable[[str, str], int] = lambda _operation, _path: 0
        """asked before each `read` and `write` of a path: an errno, or 0"""
        self.writes: list[tuple[str, str]] = []
        """what was written and taken: (path, text)"""
        self.loads: dict[str, SimLoad] = {}
        self._at = clock.mono()
        self._busy = False

    # ------------------------------------------------------------ containers

    def add(
        self,
        container_id: str,
        pid: int,
        load: SimLoad | None = None,
        *,
        parent: str = "",
        limit: float = math.inf,
        memsw: float = math.inf,
        score: int = 0,
        words: tuple[str, ...] = (),
    ) -> SimGroup:
        """A container began, with the load given here, or declared for one of its `words`. `parent`: the path of the
        group it is put below, else where Docker puts it; `memsw`: its limit of memory and swap together; `score`: its
        oom_score_adj."""
        self.look()
        load = load or next((self.loads[word] for word in words if word in self.loads), None)
        above = self.machine.parent(parent or ("/system.slice" if self.systemd else "/docker"))
        own = f"docker-{container_id}.scope" if self.systemd else container_id
        group = SimGroup(
            f"{above.path}/{own}", above, container_id, pid, load or PLAIN, limit, score=score, words=words
        )
        if self.machine.version == 2:  # there the engine limits swap alone
            group.swap_limit = memsw - limit if math.isfinite(memsw) else math.inf
        else:
            group.memsw = memsw
        self.machine.declared = self.machine.declared or load is not None
        self.machine.groups[group.path] = group
        self.changed()
        return group

    def remove(self, container_id: str) -> None:
        """A container ended: its group is gone, with all its memory."""
        group = self.machine.find(container_id)
        if group is not None and group.parent is not None:
            self._bring_up()
            group.parent.children.remove(group)
            del self.machine.groups[group.path]
            self.changed()

    def group(self, container_id: str) -> SimGroup:
        """A container's group now; KeyError if there is none."""
        self.look()
        found = self.machine.find(container_id)
        if found is None:
            raise KeyError(container_id)
        return found

    def declare(self, word: str, load: SimLoad) -> None:
        """Containers with this id, name, compose service (`oracle` or `box.oracle`) or image have this memory: those
        that run from now on, later ones from their start on."""
        self.look()
        self.loads[word] = load
        self.machine.declared = True
        for group in self.machine.groups.values():
            if word in group.words or word == group.container_id:
                group.carry(load)
        self.changed()

    def grow(self, word: str, rate: float, upto: float = math.inf, of: str = "anon") -> None:
        """What runs under this word now grows from now on, from where it is; its next start is as it was declared."""
        self.look()
        self.machine.declared = True
        for group in self.machine.groups.values():
            if word in group.words or word == group.container_id:
                group.load = group.load.growing(rate, group.age, upto, of)
        self.changed()

    def meminfo(self) -> Mapping[str, float]:
        """/proc/meminfo in bytes, now."""
        self.look()
        return self.machine.meminfo()

    # ------------------------------------------------------------ kernel.tree.Tree

    def read(self, path: str) -> bytes:
        """The whole file; OSError as the kernel raises it."""
        self.look()
        self._fail("read", path)
        return files.read(self.machine, path, self.clock.mono()).encode()

    def write(self, path: str, data: bytes) -> None:
        """One write, with its effect; OSError as the kernel raises it."""
        self.look()
        self._fail("write", path)
        try:
            write(self.machine, path, data.decode(), self.clock.mono())
            self.writes.append((path, data.decode().strip()))
        finally:
            self.changed()

    def names(self, path: str) -> tuple[str, ...]:
        """What is in a folder."""
        self.look()
        return files.names(self.machine, path)

    def exists(self, path: str) -> bool:
        """Whether it is there."""
        self.look()
        return files.exists(self.machine, path)

    def writable(self, path: str) -> bool:
        """Whether it could be opened for writing."""
        return self.exists(path) and not self.fault("write", path)

    def forget(self, prefixes: Iterable[str]) -> None:
        """Nothing stays open here."""

    def _fail(self, operation: str, path: str) -> None:
        number = self.fault(operation, path)
        if number:
            raise OSError(number, os.strerror(number), path)

    # ------------------------------------------------------------ time

    def look(self) -> None:
        """Bring everything up to the present."""
        if not self._busy:
            self.on_look()
            if self.clock.mono() - self._at > SOON / 2:
                self._bring_up()

    def changed(self) -> None:
        """Something was changed by a hand: obey the limits, and say when the next thing happens."""
        if self._busy:
            return
        self._busy = True
        try:
            settle(self.machine)
        finally:
            self._busy = False
        self.on_due(max(SOONEST, self._next()))

    def _bring_up(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            began = self._at
            while self.clock.mono() - self._at > SOON / 2:
                step = min(self.clock.mono() - self._at, self._next())
                self._at += step
                groups = tuple(self.machine.root.below())
                for group in groups:
                    group.go_by(step)
                settle(self.machine)
                for group in groups:
                    group.stall.go_by(step, group.stalled)
                    group.peak = max(group.peak, group.charge)
        finally:
            self._busy = False
        if self._at > began:
            self.on_due(max(SOONEST, self._next()))

    def _next(self) -> float:
        """Seconds until something changes by itself; infinity while nothing grows."""
        machine, soonest = self.machine, math.inf
        grows = {one.path: math.fsum(one.rates().values()) for one in machine.root.below()}
        for group in machine.root.below():
            soonest = min(soonest, group.turn())
            walls = [machine.most(group), group.high, group.memsw - group.total("swap")]
            walls = [wall for wall in walls if math.isfinite(wall)]
            rate = math.fsum(grows[one.path] for one in group.below()) if walls else 0.0
            if rate <= 0:
                continue
            charge = group.charge
            for wall in walls:
                if charge < wall - NEAR:
                    soonest = min(soonest, (wall - charge) / rate)
                elif charge <= wall + NEAR:  # above: it is throttled, and that goes on until something else happens
                    soonest = min(soonest, max(2 * NEAR, reclaimable(machine, group)) / rate)
        return max(SOON, soonest)
