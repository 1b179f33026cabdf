"""A core just big enough for the runner: it grants permits and keeps marks, and can be killed at any point.

What a runner reports becomes durable with the next permit or the plan's end, as in the real core; a kill before that
loses it. `Killed` is raised inside the runner's task at a kill point: nothing of it runs afterwards.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from supervisor.actions.plans import build
from supervisor.actions.runner import Runner
from supervisor.facts import Container, EngineEvent, Fact, Intent, Needs, Plan, PlanEnded, Service, StepEnded, Wanted
from supervisor.lab.engine import SimEngine
from supervisor.lab.loop import SimLoop
from supervisor.lab.prober import SimProber
from supervisor.lab.room import SimRoom
from supervisor.ports import Engine, GpuDriver, Groups, Models, Prober
from supervisor.verdicts import Verdict, yes


class Killed(BaseException):
    """SIGKILL: whoever gets this does nothing more."""


@dataclass
class Point:
    """Counts the places a kill can hit, and hits the one it was told to."""

    at: int = -1
    count: int = 0
    seen: list[str] = field(default_factory=list)
    dead: bool = False
    """nothing of the killed process passes here any more, until the next one begins"""

    def pass_by(self, name: str) -> None:
        """One place."""
        if self.dead:
            raise Killed(name)
        self.count += 1
        self.seen.append(name)
        if self.count == self.at:
            self.dead = True
            raise Killed(name)


class TinyCore:
    """Permit and submit for a Runner. `journal` holds what is durable: open plans by id."""

    def __init__(self, engine: Engine, prober: Prober, clock, point: Point | None = None) -> None:
        self.engine, self.prober, self.clock = engine, prober, clock
        self.room = SimRoom()
        self.groups: Groups | None = None
        self.models: Models | None = None
        self.driver: GpuDriver | None = None
        self.point = point or Point()
        self.journal: dict[int, Plan] = {}
        self.unsaved: list[StepEnded] = []
        self.ended: dict[int, PlanEnded] = {}
        self.last: dict[int, Plan] = {}
        """ended plans as the journal had them just before their end was durable"""
        self.asked: list[str] = []
        self.notes: list[StepEnded] = []
        self.refuse: Callable[[Plan, str, tuple[Container, ...]], Verdict | None] = lambda plan, step, seen: None
        self.at_step: Callable[[str], None] = lambda step: None
        """told every step as it is permitted: where a test lends a hand"""
        self.runner = self.fresh()

    def fresh(self) -> Runner:
        """A runner as a new process would have it."""
        hands = self.groups, self.models, None, self.driver
        ask = self.permit, self.submit
        return Runner({self.engine.name: self.engine}, self.prober, self.room, *ask, self.clock, *hands)

    async def permit(self, plan_id: int, step: str, seen: tuple[Container, ...]) -> Verdict:
        self.point.pass_by(f"permit {step} asked")
        await asyncio.sleep(0)
        self._save()
        plan = self.journal[plan_id]
        known = [each for each in plan.steps if each.name == step]
        assert known, f"{step} is not a step of the plan"
        refused = self.refuse(plan, step, seen)
        if refused is not None:
            return refused
        self.asked.append(step)
        self.journal[plan_id] = replace(plan, begun=(*plan.begun, step))
        self.point.pass_by(f"permit {step} given")
        self.at_step(step)
        return yes()

    def submit(self, fact: Fact) -> None:
        if isinstance(fact, StepEnded):
            self.unsaved.append(fact)
            self.notes.append(fact)
        elif isinstance(fact, PlanEnded):
            self.last[fact.plan] = self.journal[fact.plan]
            self._save()
            self.ended[fact.plan] = fact
            del self.journal[fact.plan]

    def _save(self) -> None:
        for fact in self.unsaved:
            plan = self.journal.get(fact.plan)
            if plan is not None:
                self.journal[fact.plan] = replace(plan, marks=(*plan.marks, (fact.step, fact.ok, dict(fact.data))))
        self.unsaved.clear()

    async def run(self, plan: Plan) -> PlanEnded:
        """Admit a plan and wait for its end. Killed comes through."""
        self.journal[plan.id] = plan
        self.runner.start(plan)
        return await self.wait(plan.id)

    async def wait(self, plan_id: int) -> PlanEnded:
        """Until it has ended."""
        task = self.runner._tasks.get(plan_id)
        if task is not None:
            await task
        return self.ended[plan_id]

    async def recover(self) -> list[PlanEnded]:
        """A fresh process takes over what is open."""
        self.unsaved.clear()
        self.point.dead = False
        self.runner = self.fresh()
        found = []
        for plan in [self.journal[key] for key in sorted(self.journal)]:
            again = replace(plan, recovered=plan.recovered + 1)
            found.append(await self.run(again))
        return found

    async def run_heard(self, plan: Plan) -> PlanEnded:
        """The same, with engine events passed on meanwhile."""
        hears = asyncio.ensure_future(self.hear())
        try:
            return await self.run(plan)
        finally:
            hears.cancel()

    async def hear(self) -> None:
        """Pass engine events on to the runner, as the watch and the core do. Runs until cancelled."""
        async for event in self.engine.events():
            if isinstance(event, EngineEvent):
                self.runner.notice(event)


class SimBox:
    """A simulated engine with one service on it, and a tiny core."""

    def __init__(self, *, point: Point | None = None) -> None:
        self.loop = SimLoop()
        self.clock = self.loop.clock
        self.engine = SimEngine(self.clock)
        self.prober = SimProber(self.engine)
        self.core = TinyCore(self.engine, self.prober, self.clock, point)

    def service(self, name: str, *, healthy: bool = True, **changes) -> Service:
        """The service a container carries now, as the registry would show it."""
        needs = changes.pop("needs", Needs(startup=60.0))
        return Service(name, "sim", self.engine.container(name), yes(), needs=needs, healthy=healthy, **changes)

    def plan(self, verb: str, service: Service, image_id: str = "", plan_id: int = 1, **params: str) -> Plan:
        """A plan as the core would build it."""
        intent = Intent(verb, service.id, params, "a test", "uid:0")
        made = build(intent, service, plan_id=plan_id, op=f"{plan_id:06x}", now=self.clock.wall(), image_id=image_id)
        assert isinstance(made, Plan), made
        return made

    def core_data(self):
        """Everything the marks and the ends so far said, merged: what the core would learn from."""
        merged = {}
        for note in self.core.notes:
            merged.update(note.data)
        for _id, ended in sorted(self.core.ended.items()):
            merged.update(ended.data)
        return merged

    def run(self, awaitable):
        """Run it on the box's clock."""
        return self.loop.run_until_complete(awaitable)

    def let(self, seconds: float) -> None:
        """Let time go by."""
        self.run(asyncio.sleep(seconds))

    def close(self) -> None:
        """Drop the loop, as a kill does: no clean-up in tasks."""
        self.loop.close()


@contextmanager
def sim_box(point: Point | None = None) -> Iterator[SimBox]:
    """A box, closed at the end."""
    box = SimBox(point=point)
    try:
        yield box
    finally:
        box.close()


__all__ = ["Killed", "Point", "SimBox", "TinyCore", "Wanted", "sim_box"]
