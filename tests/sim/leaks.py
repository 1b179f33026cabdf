"""Services that leak beside others that keep to their plans, in the seeded worlds.

`drawn` says which worlds have some, from a seed of its own: there every service has a plan and the memory it says, on
a machine that is planned almost full. What the shipped ladders do about a leak, and what people hold by hand, goes
through the simulated kernel's control groups; memory.py watches each write, and that nothing stays held. To: worlds.py.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from supervisor.lab.house import SimWorld
from supervisor.lab.kernel.load import SimLoad
from tests.sim.memory import MemoryWatcher, held
from tests.sim.troubles import Service

HOUR, GRID = 3600.0, 15.0
MIB, GIB = 2.0**20, 2.0**30
WORDS = tuple(f"s{number}" for number in range(6))
PLANS: Mapping[str, float] = {word: 6.0 if word == "s0" else 1.0 for word in WORDS}
"""compose service -> GiB: the first is the large one that everything else could kill"""
SERVICES = {f"box.{word}": {"memory": f"{size:.0f}GiB"} for word, size in PLANS.items()}
MACHINE = 14.0
"""GiB, of which the simulated kernel keeps two: all plans together are most of the rest"""
Event = tuple[float, str, tuple[Any, ...]]


def has(seed: int) -> bool:
    """Whether this is such a world: one of ten, since they cost three times as much as the others."""
    return seed % 10 == 1


def drawn(seed: int, services: tuple[Service, ...]) -> list[Event]:
    """What this seed adds."""
    if not has(seed):
        return []
    chance = random.Random(f"{seed} leaks")
    found: list[Event] = []
    for _ in range(chance.randint(1, 3)):
        at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
        name = chance.choice(services).name
        rate, after = chance.choice((2, 4, 12)) * MIB, chance.choice(("plan", "ever", "ever"))
        found.append((at, "leak", (name, rate, after == "plan", chance.choice((0.0, 30.0, 120.0)))))
    for _ in range(chance.randint(0, 2)):
        at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
        verb = chance.choice(("freeze", "fuse", "thaw", "unfuse", "reclaim"))
        found.append((at, "command", (verb, chance.choice(services).name)))
    return found


def planned(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """The same, without a label that gives one another plan."""
    return tuple(
        replace(one, more=tuple(pair for pair in one.more if pair[0] != "resurgam.memory")) for one in services
    )


class Leaks:
    """Memory runs out."""

    world: SimWorld
    services: tuple[Service, ...]
    memory: MemoryWatcher | None = None

    def plan_memory(self) -> None:
        """Before the first container: the machine, what each service takes, and who watches."""
        world = self.world
        world.host.memory = {
            "MemTotal": MACHINE * GIB,
            "MemAvailable": MACHINE * GIB,
            "SwapTotal": GIB,
            "SwapFree": GIB,
        }
        world.every = GRID
        self.memory = MemoryWatcher(world)
        self.settle_memory()

    def settle_memory(self) -> None:
        """Everybody takes what is usual, and nobody leaks."""
        for service in self.services:
            size = PLANS[service.word] * GIB
            self.world.kernel.declare(f"box.{service.word}", SimLoad(anon=0.8 * size, file=0.1 * size))

    async def _leak(self, name: str, rate: float, to_plan: bool, after: float) -> None:
        """It grows from now on: by its plan up to that, or beyond all bounds; its next start is as it should be."""
        word = self._word(name)
        self.world.kernel.grow(f"box.{word}", rate, upto=PLANS[word] * GIB if to_plan else float("inf"))
        await self.world.run(after)

    def _word(self, name: str) -> str:
        return next(service.word for service in self.services if service.name == name)

    def held_too_long(self) -> list[str]:
        """What was written to a group that should not have been, and what is held though all is calm."""
        return [] if self.memory is None else [*self.memory.found, *held(self.world)]
