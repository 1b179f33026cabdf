"""What slots need of the world is there where slots are declared, and nothing of it where none is."""

import asyncio
from collections.abc import Awaitable, Callable

from supervisor.clock import SystemClock
from supervisor.facts import Fact, Readings, Slot, SlotModel, Snapshot
from supervisor.kernel.tree import KernelFiles
from supervisor.signals.slots import SlotEdges

SNAPSHOT = Snapshot(0, 0, 1, "h", "1", "e", 1, 0, "heal", "ok")
DEADLINE = 60.0
"""seconds; it says only that something hangs"""


def made(*slots: Slot) -> tuple[SlotEdges, list[Fact], asyncio.Event]:
    told: list[Fact] = []
    heard = asyncio.Event()

    def submit(fact: Fact) -> None:
        told.append(fact)
        heard.set()

    return SlotEdges(slots, submit, SystemClock(), lambda: SNAPSHOT, KernelFiles()), told, heard


async def test_without_slots_there_is_none_of_it() -> None:
    edges, told, _heard = made()
    kept: list[str] = []
    edges.open(lambda name, _body: kept.append(name))
    edges.changed()
    assert (edges.models, kept, dict(edges.counts()), told) == (None, [], {}, [])
    await edges.close()


async def test_with_one_its_gate_holds_and_its_models_are_watched_until_the_end() -> None:
    edges, told, heard = made(Slot("oracle", (SlotModel("a"),), listen="127.0.0.1:0"))
    tasks: list[asyncio.Task[None]] = []

    def keep(name: str, body: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await body()

        tasks.append(asyncio.create_task(run(), name=name))

    edges.open(keep)
    async with asyncio.timeout(DEADLINE):
        while {fact.collector for fact in told if isinstance(fact, Readings)} != {"gate", "models"}:
            heard.clear()
            await heard.wait()
    (state,) = next(fact.gates for fact in told if isinstance(fact, Readings) and fact.gates)
    assert (state.slot, state.listening, state.open) == ("oracle", True, False)
    (model,) = next(fact.models for fact in told if isinstance(fact, Readings) and fact.models)
    assert (model.model, model.look.state) == ("a", "unknown")
    assert dict(edges.counts()) == {"gates_faults": 0, "models_faults": 0}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await edges.close()
    assert edges.models is not None
    assert edges.models.gate.state("oracle") is None
