"""A simulated box with one slot on it, and a core just big enough for its maneuvers (tests/support/runner.py).

Two models, `a` (it serves) and `b` (it stands still), each a container of its own. Tests say how they behave, what the
slot declares, what people do in between; `checks` looks at the world after every event and remembers what must not be.
"""

import asyncio
from dataclasses import replace
from typing import Any

from supervisor.actions.swap import steps
from supervisor.facts import Bench, Canary, Criteria, Needs, Plan, PlanEnded, Slot, SlotModel
from supervisor.facts.slots import BESIDE, EXCLUSIVE, SLEEP
from supervisor.journal.codec import dump
from supervisor.kernel.hands import ControlGroups
from supervisor.lab.engine import Behaviour, SimEngine, SimImage
from supervisor.lab.gate import SimCallers, SimGate
from supervisor.lab.gpu import SimCards
from supervisor.lab.kernel.dockerd import KernelDockerd
from supervisor.lab.kernel.sim import SimKernel
from supervisor.lab.loop import SimLoop
from supervisor.lab.minds import SimModel
from supervisor.lab.models import SimModels
from supervisor.lab.prober import SimProber
from supervisor.lab.room import SimRoom
from supervisor.lab.serving import SimServer, SimWeights
from supervisor.ports import Models
from tests.support.runner import Point, TinyCore

GIB = 2.0**30
PARIS = Canary("What is the capital of France?", matches="Paris", tokens=16)
CRITERIA = Criteria(runs=3, warmup=1, tokens=32, rate=12.0, canaries=(PARIS,), within=60.0)


class SwapLab:
    """The box. `slot` may be changed before the first plan."""

    def __init__(self, *, point: Point | None = None, gate: bool = True, **slot: Any) -> None:
        self.loop = SimLoop()
        self.clock = self.loop.clock
        self.memory = {"MemTotal": 384 * GIB, "MemAvailable": 376 * GIB, "SwapTotal": 0.0, "SwapFree": 0.0}
        self.kernel = SimKernel(self.clock, lambda: self.memory, 2)
        self.engine = SimEngine(self.clock, "sim", lambda clock, name: KernelDockerd(clock, name, self.kernel))
        self.cards = SimCards(self.clock, self.engine.world, self.kernel)
        self.world = SimModels(self.engine, self.cards, self.kernel)
        self.point = point or Point()
        declared: dict[str, Any] = {"criteria": CRITERIA, "drain": 30.0} | slot
        models = declared.pop("models", (SlotModel("a", "a"), SlotModel("b", "b")))
        self.slot = Slot("oracle", models, listen="127.0.0.1:8000" if gate else "", **declared)
        self.facts: list[Any] = []
        self.engine.add_image(SimImage(tags=("llama:1",), run=Behaviour(log=("llama server starts",))))
        self.engine.human_run("a", "llama:1", policy="unless-stopped", ports={"8000/tcp": "18000"})
        self.engine.human_run("b", "llama:1", policy="unless-stopped", ports={"8000/tcp": "18001"})
        self.run(asyncio.sleep(1.0))
        self.engine.human_stop("b")
        self.run(asyncio.sleep(2.0))
        self.engine.writes.clear()
        self.world.declare("a", SimModel(load=2.0, rate=20.0))
        self.world.declare("b", SimModel(load=3.0, rate=40.0))
        self.core = TinyCore(self.engine, SimProber(self.engine), self.clock, self.point)
        self.core.room = SimRoom(models=self.world)
        self.core.groups = ControlGroups(self.kernel, self.clock)
        self.weights = SimWeights()
        self.gate = self._gate()
        self._hands()
        self.both_ran: list[float] = []
        """instants at which a and b ran together"""
        self.engine.world.listeners.append(self._heard)
        self.callers = SimCallers("oracle", lambda: self.gate, self.clock, every=0.5)

    # ------------------------------------------------------------ its parts

    def _gate(self) -> SimGate:
        return SimGate((self.slot,), self.clock, self.facts.append, self.world.call)

    def _hands(self) -> None:
        server = SimServer(self.world, lambda: None, lambda: self.point.pass_by("server"))
        self.core.models = Models(server, self.gate, self.weights)
        self.core.runner = self.core.fresh()

    def _heard(self, _event: object) -> None:
        a, b = self.engine.container("a"), self.engine.container("b")
        if a is not None and b is not None and a.running and b.running:
            self.both_ran.append(self.clock.mono())

    def die(self) -> None:
        """What dies with the daemon beside its runner: the gate, which holds when it comes up."""
        self.gate.end()
        self.gate = self._gate()
        server = SimServer(self.world, lambda: None, lambda: self.point.pass_by("server"))
        self.core.models = Models(server, self.gate, self.weights)

    # ------------------------------------------------------------ plans

    def part(self, name: str, **more: Any) -> dict[str, Any]:
        """One of its models as core/slot_plans.py writes it."""
        box = self.engine.container(name)
        given: dict[str, Any] = {
            "service": name if box is not None else "",
            "engine": "sim",
            "container_id": box.id if box is not None else "",
            "name": box.name if box is not None else "",
            "needs": dump(Needs(startup=60.0, probe="http://:8000")),
            "policy": "unless-stopped",
            "image_id": box.image_id if box is not None else "",
            "running": box is not None and box.running,
            "golden": "",
        }
        return given | more

    def plan(self, verb: str = "swap", leaves: str = "a", comes: str = "b", **more: Any) -> Plan:
        """A plan as the core would build it. `found`: what differs in it; the rest are its parameters."""
        found = more.pop("found", {})
        shape, baseline = more.pop("shape", EXCLUSIVE), more.pop("baseline", None)
        by = more.pop("by", "uid:0")
        parts = {name: self.part(name) for name in dict.fromkeys((leaves, comes, *found.get("evict", ()))) if name}
        for name, changes in more.pop("parts", {}).items():
            parts[name] = {**parts[name], **changes}
        told: dict[str, Any] = {
            "slot": dump(self.slot),
            "from": leaves,
            "to": comes,
            "shape": shape,
            "why_shape": "a test",
            "parts": parts,
            "baseline": dump(baseline) if baseline is not None else None,
            "limits": dict.fromkeys(parts, 60.0),
            "expected": 60.0,
            "pivot": False,
            "evict": [],
            "holder": "a",
        } | found
        table = {
            "swap": lambda: steps.swap(leaves, comes, shape, pivot=bool(told["pivot"])),
            "load": lambda: steps.load(comes, evict=tuple(told["evict"])),
            "wake": lambda: steps.wake(comes),
            "unload": lambda: steps.away(leaves),
            "sleep": lambda: steps.away(leaves),
            "bench": steps.bench,
        }
        made = Plan(
            id=7,
            verb=verb,
            service="slot:oracle",
            engine="sim",
            params=more,
            cause="a test",
            by=by,
            created_at=self.clock.wall(),
            op="abcdef",
            container_id="",
            name="",
            found=told,
            touches=tuple(parts),
        )
        return replace(made, steps=table[verb]())

    def do(self, plan: Plan) -> PlanEnded:
        """Run it, with callers coming all the while and engine events passed on."""
        return self.run(self._do(plan))

    async def _do(self, plan: Plan) -> PlanEnded:
        if self.slot.listen and self.gate.state("oracle").upstream == "":
            self.gate.open("oracle", "http://127.0.0.1:18000")
        hears, calls = asyncio.ensure_future(self.core.hear()), asyncio.ensure_future(self.callers.run())
        try:
            return await self.core.run(plan)
        finally:
            await asyncio.sleep(3.0)
            for task in (hears, calls):
                task.cancel()

    # ------------------------------------------------------------ the world

    def status(self) -> dict[str, tuple[bool, str]]:
        """name -> (it runs, its restart policy)."""
        return {box.name: (box.running, box.restart_policy) for box in self.engine.containers()}

    def ops(self) -> list[tuple[str, str]]:
        """Every write to the engine, in order, with the container's name."""
        names = {box.id: box.name for box in self.engine.containers()}
        return [(op, names.get(key, key)) for op, key, _at in self.engine.writes]

    def at_step(self, step: str, act: Any) -> None:
        """Do this when the step is permitted."""
        self.core.at_step = lambda name: act() if name == step else None

    def run(self, awaitable: Any) -> Any:
        """Run it on the box's clock."""
        return self.loop.run_until_complete(awaitable)

    def close(self) -> None:
        """Drop the loop, as a kill does."""
        self.loop.close()


def measured(model: str, rate: float) -> Bench:
    """What a model did before."""
    return Bench(1.0, "oracle", model, model, runs=3, rate=rate)


__all__ = ["BESIDE", "CRITERIA", "EXCLUSIVE", "GIB", "PARIS", "SLEEP", "SimModel", "SwapLab", "measured"]
