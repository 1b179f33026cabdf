"""A box with one card, a model on it and a database beside it; and what must hold of everything done to the card and
to the machine, in every story about them."""

from dataclasses import dataclass, field

from supervisor.core.standing import Loaded
from supervisor.facts import Plan
from supervisor.journal.codec import load
from supervisor.lab.engine import Behaviour
from supervisor.lab.gpu import GIB, SimCard, SimVram
from supervisor.lab.house import SimWorld
from tests.sim.stage import Stage, read

UUID = "GPU-00000000-0000-4000-8000-000000000000"
BUS = "00000000:17:00.0"
CARD = f"gpu:{UUID}"
SERVICES = {"box.oracle": {"exclusive": ["gpu:0"]}}


def loaded(*, reset: bool = False, reboot: bool = False, **more: object) -> Loaded:
    """The shipped rules, with what is switched on."""
    services = more.pop("services", SERVICES)
    files = more.pop("files", None)
    return read(files, services=services, proof="10s", gpu={"reset": reset, "reboot": reboot}, **more)  # type: ignore[arg-type]


@dataclass
class MachineWatcher:
    """Sees every reset and every wish for a restart, as it is begun."""

    world: SimWorld
    found: list[str] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    """at which numbered points something was done"""

    def __post_init__(self) -> None:
        self.world.hands.watching.append(self.on_deed)

    def on_deed(self, verb: str, bus_id: str) -> None:
        self.points.append(self.world.points)
        step = {"gpu-reset": "reset", "reboot": "reboot"}[verb]
        plans = [load(Plan, value) for value in self.world.disk.space("plan").values()]
        mine = [plan for plan in plans if plan.verb == verb and step in plan.begun]
        if not mine:
            self.found.append(f"I9 journal before effect: {verb} is named by no step that was begun")
        others = [plan for plan in plans if plan.verb != verb and plan.phase == "inside" and plan.verb != "protect"]
        if others:
            self.found.append(f"alone: {verb} while plan {others[0].id} ({others[0].verb}) is at work")
        if verb == "gpu-reset" and self.world.hands.users(bus_id):
            self.found.append(f"in use: the card is reset while {self.world.hands.users(bus_id)} have it open")
        if verb == "gpu-reset" and self.world.life is not None and self.world.life.gpu.open:
            self.found.append("in use: the card is reset while our own reader has it open")


async def prepared(stage: Stage) -> tuple[SimCard, MachineWatcher]:
    """The model runs on the card; the daemon has read it."""
    cards = stage.world.cards
    card, watcher = cards.add(), MachineWatcher(stage.world)
    cards.vram["oracle"] = SimVram({0: 8 * GIB})
    for name in ("oracle", "db"):
        stage.image(f"local/{name}:1", Behaviour(healthy_after=1.0))
        await stage.up(name)
    await stage.begin()
    await stage.until(lambda: len(stage.space("proved")) == 2 and not stage.space("plan"), 100, "proof", step=5)
    await stage.until(lambda: stage.snapshot.gpus and stage.snapshot.gpus.cards[0].up, 60, "reading", step=5)
    return card, watcher


def down(stage: Stage) -> bool:
    """The model is stopped until its card is well."""
    service = stage.service()
    return service.wanted.by == f"quiesce:{UUID}" and stage.box().status == "exited"  # type: ignore[union-attr]


def serving(stage: Stage) -> bool:
    """The model runs as it did, and nothing is left open."""
    box = stage.box()
    assert box is not None
    as_it_was = (box.status, box.restart_policy, stage.service().wanted.state) == ("running", "always", "running")
    return as_it_was and not stage.space("plan") and not stage.space("rollout")
