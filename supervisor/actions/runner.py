"""Takes the steps of plans, each plan in a task of its own, and tells the core how they end.

From: the core's effects (start, end, notice), with the plan as the journal has it. To: the engine, through one
maneuver per verb; back to the core as StepEnded and PlanEnded facts. A plan of an earlier process comes in by the same
door (`recovered` > 0, with what was begun and marked): maneuvers look at the world and go on from what they see.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from supervisor import units
from supervisor.actions import phoenix, protect, release, restart, start, stop
from supervisor.actions.gpu import quiesce, reboot, reset
from supervisor.actions.gpu.absent import NoEngine
from supervisor.actions.hand import Ending, Hand, LeftOpen
from supervisor.actions.memory import giving, holding, limits
from supervisor.actions.plans import plain_verb
from supervisor.actions.swap import single, swap
from supervisor.clock import Clock
from supervisor.facts import SLOT, EngineEvent, Plan, PlanEnded
from supervisor.incidents.machine import MACHINE
from supervisor.ports import Engine, GpuDriver, Groups, Hardware, Models, Permit, Prober, Room, Submit
from supervisor.verbs import HOLDS
from supervisor.verdicts import Reason, Verdict, no, yes

MANEUVERS: Mapping[str, Callable[[Hand], Awaitable[Ending]]] = {
    "drop-cache": giving.drop_cache,
    "freeze": holding.freeze,
    "fuse": holding.fuse,
    "gpu-reset": reset.run,
    "phoenix": phoenix.run,
    "protect": protect.run,
    "quiesce": quiesce.run,
    "raise-limit": limits.run,
    "reboot": reboot.run,
    "reclaim": giving.reclaim,
    "release": release.run,
    "restart": restart.run,
    "rollback": phoenix.run,
    "start": start.run,
    "stop": stop.run,
    "thaw": holding.thaw,
    "unfuse": holding.unfuse,
    "unload": giving.unload,
}
OF_SLOTS: Mapping[str, Callable[[Hand], Awaitable[Ending]]] = {
    "bench": single.bench,
    "load": single.load,
    "sleep": single.sleep,
    "swap": swap.run,
    "unload": single.unload,
    "wake": single.wake,
}
"""those of plans that are aimed at a slot"""
_TRIES = 2
"""a maneuver that fails in a way it should not is taken up once more, as a fresh process would"""


class Runner:
    """Every running plan. Its methods return at once; nothing here raises towards the core."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        prober: Prober,
        room: Room,
        permit: Permit,
        submit: Submit,
        clock: Clock,
        groups: Groups | None = None,
        models: Models | None = None,
        hardware: Hardware | None = None,
        driver: GpuDriver | None = None,
    ) -> None:
        """`groups`: the hands on the memory of containers; `models`: on model servers; `hardware`: on the
        machine; `driver`: who asks that of the GPUs."""
        self._engines, self._prober, self._room = engines, prober, room
        self._hands_on = groups, models, hardware, driver
        self._permit, self._submit, self._clock = permit, submit, clock
        self._hands: dict[int, Hand] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.crashes = 0
        """how often a maneuver failed in a way it should not"""

    def start(self, plan: Plan) -> None:
        """Run a plan: a new one, or one that an earlier process left open. One that runs already goes on."""
        if plan.id in self._tasks:
            return
        slot = plan.service.startswith(SLOT)
        none = cast(Engine, NoEngine()) if plan.verb in MACHINE or (slot and not plan.engine) else None
        engine = self._engines.get(plan.engine, none)
        if engine is None:
            text = f"There is no engine {plan.engine!r} any more; {plan.verb} {plan.service} cannot be done."
            self._ended(plan, Ending(no(Reason.FAILED, text), (), {"why": Reason.ENGINE_ABSENT.value}))
            return
        edges = self._prober, self._room, self._permit, self._submit, self._clock
        hand = Hand(plan, engine, *edges, *self._hands_on)
        self._hands[plan.id] = hand
        self._tasks[plan.id] = asyncio.get_running_loop().create_task(self._run(hand), name=f"plan-{plan.id}")

    def notice(self, event: EngineEvent) -> None:
        """An engine event that may be about a running plan."""
        for hand in self._hands.values():
            if hand.engine.name == event.engine:
                hand.notice(event)

    def end(self, plan_id: int, why: Verdict) -> None:
        """Wish a plan to end; obeyed at its next permit point as long as nothing was touched."""
        hand = self._hands.get(plan_id)
        if hand is not None:
            hand.end(why)

    async def close(self) -> None:
        """Let go of every plan where it stands. The next process finishes or undoes them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._hands.clear()

    @property
    def running(self) -> tuple[int, ...]:
        """The plans that run now."""
        return tuple(sorted(self._tasks))

    def holding(self) -> bool:
        """Whether a plan is about to hold a container, or to let one go: that takes but a moment."""
        return any(hand.plan.verb in (*HOLDS, *HOLDS.values()) for hand in self._hands.values())

    async def _run(self, hand: Hand) -> None:
        ending = await self._maneuver(hand)
        hand.tell()
        del self._tasks[hand.plan.id]
        del self._hands[hand.plan.id]
        if ending is not None:
            self._ended(hand.plan, ending)

    async def _maneuver(self, hand: Hand) -> Ending | None:
        """None: it stays open for the next process."""
        table = OF_SLOTS if hand.plan.service.startswith(SLOT) else MANEUVERS
        maneuver = table.get(plain_verb(hand.plan))
        if maneuver is None:
            return Ending(yes(f"{hand.plan.verb} has nothing to run.", Reason.VERIFIED))
        trouble = ""
        for _attempt in range(_TRIES):
            try:
                return await maneuver(hand)
            except LeftOpen:
                return None
            except Exception as err:  # noqa: BLE001 - the edge of a plan: counted, reported, taken up once more
                self.crashes += 1
                trouble = units.plain(f"{type(err).__name__}: {err}", 300)
                where = hand.begun[-1] if hand.begun else "look"
                hand.mark(where, f"Resurgam itself failed here: {trouble}", ok=False)
                hand.resumed = True
        what = f"{hand.plan.verb} {hand.plan.service}"
        text = f"{what} ended on a mistake of Resurgam itself ({trouble}); nothing was deleted. Please report it."
        return Ending(no(Reason.DEGRADED, text))

    def _ended(self, plan: Plan, ending: Ending) -> None:
        wall, mono = self._clock.wall(), self._clock.mono()
        self._submit(PlanEnded(wall, mono, plan.id, ending.outcome, ending.left, dict(ending.data)))
