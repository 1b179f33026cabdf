"""A decider with slots, and what its turns set off, for the tests of the core's hand on slots."""

from dataclasses import replace
from typing import Any

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.standing import Loaded
from supervisor.facts import (
    Command,
    Container,
    Decision,
    EngineState,
    GateState,
    ModelReading,
    Plan,
    PlanEnded,
    Readings,
    ServerLook,
    StepAsked,
    Sweep,
)
from supervisor.facts.slots import LOADED, UNLOADED
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.slots.doors import Order
from supervisor.verdicts import Reason, Verdict, no, yes
from tests.support.cards import ident
from tests.support.desk import Turns
from tests.support.rules import ruleset

GIB = 2**30
RACE = {
    "listen": "127.0.0.1:8000",
    "models": {"v32": {"url": "http://:8000"}, "mxfp4": {"url": "http://:8000"}},
    "criteria": {"at-least": 12},
    "fallback": ["mxfp4"],
}
"""the owner's drag race"""
SERVICES: dict[str, Any] = {
    "v32": {"memory": "281GB", "exclusive": ["gpu:0"]},
    "mxfp4": {"memory": "341GB", "exclusive": ["gpu:0"]},
}


def box(name: str, *, up: bool = True, **more: Any) -> Container:
    given: dict[str, Any] = {
        "image_id": f"sha256:{name}",
        "image_ref": "llama",
        "status": "running" if up else "exited",
        "started_at": 1.0 if up else 0.0,
        "address": "172.18.0.3" if up else "",
        "restart_policy": "unless-stopped",
        "health": "healthy" if up else "none",
    }
    ident_of = str(more.pop("id", ident(name)))
    return Container(ident_of, name, **(given | more))


class Doors:
    """Takes the effects of turns."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.started: list[Plan] = []
        self.ended: list[tuple[int, Verdict]] = []

    def end(self, plan: int, why: Verdict) -> None:
        self.ended.append((plan, why))

    def gate(self, order: Order) -> None:
        self.orders.append(order)

    def start(self, plan: Plan) -> None:
        self.started.append(plan)

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args: None


class Slots(Turns):
    """A box with the slot `oracle`, unless others are said."""

    def __init__(
        self,
        slots: dict[str, Any] | None = None,
        services: dict[str, Any] | None = None,
        *rules: str,
        journal: Journal | None = None,
        **more: Any,
    ) -> None:
        self.clock = SimLoop().clock
        self.journal = journal or Journal.open(None, self.clock)
        entries = {name: {"enable": True, **said} for name, said in (services or SERVICES).items()}
        self.said = {"host": "sim", "consent": "listed", "services": entries, "slots": slots or {"oracle": RACE}} | more
        loaded = Loaded(Settings.model_validate(self.said), ruleset(*rules), ())
        self.core: Decider = assemble(loaded, self.journal, self.clock)
        self.doors = Doors()
        self.public: list[str] = []
        """kinds of the rows that go to the bus"""
        self.begin(self.core, self.journal, self.clock.wall(), self.clock.mono())

    def turn(self, *facts: Any, seconds: float | None = None) -> None:
        step = self.every if seconds is None else seconds
        self.wall, self.mono = self.wall + step, self.mono + step
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        for fact in facts:
            self.core.take(replace(fact, at=self.wall, mono=self.mono), None)
        self.core.finish()
        effects, self.core.effects = self.core.effects, []
        self.core.replies.clear()
        self.rows += [row.kind for row in batch.rows]
        self.public += [row.kind for row in batch.rows if row.public]
        self.bodies = [(row.kind, row.subject, dict(row.body)) for row in batch.rows]
        self.told = [*getattr(self, "told", []), *self.bodies]
        self.journal.commit(batch)
        for effect in effects:
            effect(self.doors)  # type: ignore[arg-type]

    def listed(self, *containers: Container) -> None:
        """The engine answers, and has these; where none are said, v32 serves and mxfp4 stands still."""
        there = containers or (box("v32"), box("mxfp4", up=False))
        self.turn(EngineState(0, 0, "docker", True, "up", "life", "20.10"), Sweep(0, 0, "docker", there))

    def swept(self, *containers: Container) -> None:
        """Another look at what there is."""
        self.turn(Sweep(0, 0, "docker", containers))

    def ask(self, verb: str, target: str = "oracle", **params: str) -> Decision:
        """What a person types."""
        found: list[Decision] = []
        fact = Command(self.wall, self.mono, verb, target, params, "uid:0", "socket")

        class Reply:
            def done(self) -> bool:
                return False

        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        self.core.take(fact, Reply())
        found += [answer for _reply, answer in self.core.replies]
        self.core.finish()
        effects, self.core.effects = self.core.effects, []
        self.core.replies.clear()
        self.rows += [row.kind for row in batch.rows]
        self.told = [*getattr(self, "told", []), *((row.kind, row.subject, dict(row.body)) for row in batch.rows)]
        self.journal.commit(batch)
        for effect in effects:
            effect(self.doors)  # type: ignore[arg-type]
        return found[0]

    def steps(self, plan: Plan, *names: str) -> None:
        """Its runner asks for these steps."""
        for name in names:
            self.turn(StepAsked(0, 0, plan.id, name, ()), seconds=1.0)

    def end(
        self, plan: Plan, *, ok: bool = True, reason: Reason = Reason.VERIFIED, text: str = "It is.", **data: Any
    ) -> None:
        """It ends."""
        verdict: Verdict = yes(text, reason) if ok else no(reason, text)
        self.turn(PlanEnded(0, 0, plan.id, verdict, (), data), seconds=1.0)

    def go(self, plan: Plan, *, verdict: str = "GO", **data: Any) -> None:
        """A swap was committed, or went back."""
        leaves, comes = str(plan.found["from"]), str(plan.found["to"])
        holder = comes if verdict == "GO" else leaves
        report = {"plan": plan.id, "from": leaves, "to": comes, "verdict": verdict, "text": "so it was", "lines": []}
        told: dict[str, Any] = {"holder": holder, "verdict": verdict, "report": report, "stopped": [], "started": []}
        ok = verdict == "GO"
        self.end(plan, ok=ok, reason=Reason.VERIFIED if ok else Reason.ROLLED_BACK, **(told | data))

    def models(self, seconds: float = 5.0, **looks: ServerLook) -> None:
        """What the watch saw: model -> look, in every slot that has it."""
        seen = tuple(
            ModelReading(slot.name, name, look)
            for slot in self.core.slots.slots
            for name, look in looks.items()
            if slot.model(name) is not None
        )
        self.turn(Readings(0.0, 0.0, "models", (), models=seen), seconds=seconds)

    def gate(self, seconds: float = 5.0, **more: Any) -> None:
        """What the gate of `oracle` counts."""
        self.turn(Readings(0.0, 0.0, "gate", (), gates=(GateState("oracle", listening=True, **more),)), seconds=seconds)

    @property
    def state(self) -> Any:
        """How the first slot stands."""
        return self.core.slots.shown(self.core)[0]

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Open plans, but for the tags of good images."""
        return tuple(one for one in self.core.admission.plans() if one.verb != "protect")

    def plan(self, ident: int = 0) -> Plan:
        """An open plan; the newest one where no id is said."""
        plans = self.plans
        return next(one for one in plans if one.id == ident) if ident else plans[-1]

    def bodies_of(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of all rows of a kind."""
        return [body for one, _subject, body in self.told if one == kind]


def looks(state: str = LOADED, **more: Any) -> ServerLook:
    given: dict[str, Any] = {"in_flight": 0 if state in (LOADED, UNLOADED) else None}
    return ServerLook(state, f"it says {state}", "sim", **(given | more))
