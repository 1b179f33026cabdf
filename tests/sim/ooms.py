"""Kills for want of memory in the seeded worlds, told by sources that lose, repeat and delay what they tell.

`drawn` says which worlds have some, from a seed of its own. The kills are the simulated kernel's: the engine's event
and the counters follow by themselves; the lines of the kernel's log are handed over here, late, twice, or not at all.
`miscounted` holds what was told against what happened. To: worlds.py.
"""

import asyncio
import random
from collections import Counter
from typing import Any
from unittest.mock import patch

from supervisor.facts import OomSeen
from supervisor.kernel.oomlines import OomLines, container_of
from supervisor.lab.house import SimWorld
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Death
from supervisor.lab.kernel.reclaim import oom
from supervisor.services.oom.merge import Ooms
from tests.sim.troubles import Service

HOUR, GRID = 3600.0, 15.0
BIG = 60.0 * 2**20
LINES: tuple[tuple[float, ...], ...] = ((), (0.0,), (0.0, 0.0), (0.7,), (1.5, 4.0), (12.0,))
"""seconds after a kill at which its lines are read; none: they are lost"""
Event = tuple[float, str, tuple[Any, ...]]
Kill = tuple[float, tuple[float, ...]]
"""(seconds until the next one, when its lines are read)"""


def drawn(seed: int, services: tuple[Service, ...]) -> list[Event]:
    """What this seed adds: one world of five has kills."""
    if seed % 5 != 4:
        return []
    chance = random.Random(f"{seed} runs out of memory")
    found: list[Event] = []
    for _ in range(chance.randint(2, 6)):
        at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
        name = chance.choice(services).name
        kills = tuple((chance.choice((0.0, 0.4, 1.0, 3.0)), chance.choice(LINES)) for _ in range(chance.randint(1, 3)))
        found.append((at, "oom", (name, chance.random() < 0.6, chance.random() < 0.2, kills)))
    return found


def kill(world: SimWorld, name: str, *, child: bool = False, whole: bool = False) -> list[str]:
    """A container (or the machine, with `whole`) is out of memory, and the kernel kills; the lines of its log."""
    world.kernel.look()
    machine, box = world.kernel.machine, world.engine.container(name)
    group = machine.find(box.id) if box is not None and box.running else None
    if group is None:
        return []
    group.carry(SimLoad(anon=BIG, child=child))
    before = len(machine.log)
    oom(machine, machine.root if whole else group)
    world.kernel.changed()
    return machine.log[before:]


def facts(lines: list[str], at: float, mono: float, number: int = 1) -> list[OomSeen]:
    """What is read from these lines. Each child has a number of its own (the simulated kernel gives all of them the one
    after their parent's): `number` makes it."""
    reader, found = OomLines(), []
    for one in [reader.feed(line.encode(), mono) for line in lines]:
        if one is not None:
            pid = one.pid + 100_000 * number if one.process == "worker" else one.pid
            said = (container_of(one.group), pid, one.process, one.constraint, one.limit_of)
            found.append(OomSeen(at, mono, "kernel-log", *said))
    return found


def each_word_a_kill() -> Any:
    """Each source that tells of a kill for want of memory tells of another one."""
    return patch.object(Ooms, "_match", lambda *_given: None)


class OomTroubles:
    """The kernel kills."""

    world: SimWorld

    def count_kills(self) -> None:
        """From now on what the kernel kills is counted."""
        self.killed: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        """container -> kills of which a line was read by a process that lived on"""
        self._reading: list[asyncio.Future[None]] = []
        self._children = 0
        self.world.kernel.machine.on_death.append(self._was_killed)

    def _was_killed(self, death: Death) -> None:
        if death.how == "oom":
            self.killed[death.container_id] += 1

    async def _oom(self, name: str, child: bool, whole: bool, kills: tuple[Kill, ...]) -> None:
        """A container meets its limit, or the machine runs out of memory: once, or several times in a row."""
        for pause, late in kills:
            self._read_later(kill(self.world, name, child=child, whole=whole), late)
            await self.world.run(pause)

    def _read_later(self, lines: list[str], late: tuple[float, ...]) -> None:
        """The kernel's log is read: of what killed when, by the clock of that moment."""
        self._children += 1
        for seconds in late:
            body = self._read(lines, seconds, self.world.clock.wall(), self._children)
            self._reading.append(asyncio.ensure_future(body))

    async def _read(self, lines: list[str], seconds: float, at: float, number: int) -> None:
        await asyncio.sleep(seconds)
        life, clock = self.world.life, self.world.clock
        for fact in facts(lines, min(at, clock.wall()), clock.mono(), number):
            if life is None or life.fence.closed:
                return
            life.core.submit(fact)
            await asyncio.sleep(20.0)
            if life is self.world.life and not life.fence.closed:
                self.heard[f"{fact.container_id} {fact.pid} {at}"] += 1

    def miscounted(self) -> list[str]:
        """Each kill is told once, and none that was heard of is left out."""
        for task in self._reading:
            task.cancel()
        told: Counter[str] = Counter()
        for row in self.world.disk.rows(kinds=("container.oom", "daemon.oom"), limit=1_000_000):
            told[row.body.get("id") or row.body["container"]] += row.body["oom_verdict"]["kills"]
        heard = Counter(key.partition(" ")[0] for key in self.heard)
        known = sorted({*told, *heard})
        found = []
        for container in known:
            happened = self.killed[container]
            if told[container] > happened and container:
                found.append(f"one verdict: {told[container]} kills of {container[:12]} told, {happened} happened")
            if told[container] < heard[container]:
                found.append(f"one verdict: {told[container]} kills of {container[:12]} told, {heard[container]} heard")
        everything = [told.total(), self.killed.total()]
        if everything[0] > everything[1]:
            found.append(f"one verdict: {everything[0]} kills told, {everything[1]} happened")
        return found
