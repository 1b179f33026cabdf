"""What the preflight of a swap looks at, whom it asks, and the lines it makes.

From: `Plan.found` (core/slots.py writes it, fixed), the hand of a running plan or the door that previews one. To: the
checks beside this file, and to created.py and dry_run.py.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from supervisor.actions.gpu.absent import NoDriver
from supervisor.actions.hand import Hand
from supervisor.actions.memory.absent import NoGroups
from supervisor.clock import Clock
from supervisor.facts import Container, Json, Needs, Plan, Slot, SlotModel
from supervisor.facts.slots import EXCLUSIVE
from supervisor.journal.codec import load
from supervisor.ports import Engine, GpuDriver, Groups, ModelAt, Models, Room
from supervisor.verdicts import Reason, Verdict, no

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One model of a swap, as `Plan.found["parts"]` has it."""

    model: SlotModel
    service: str = ""
    engine: str = ""
    container_id: str = ""
    """'' where it has no container (yet)"""
    name: str = ""
    needs: Needs = field(default_factory=Needs)
    policy: str = ""
    image_id: str = ""
    running: bool = False
    memory: float = 0.0
    """bytes at most when it last ran well on that image (`measured`); 0 where nobody knows"""
    vram: Mapping[str, float] = field(default_factory=dict)
    """UUID -> bytes, of the same run"""
    no_go: str = ""
    """why it failed when it was tried on that image; '' where it did not"""


@dataclass(frozen=True, slots=True)
class Case:
    """One swap, before anything is touched."""

    slot: Slot
    to: Part
    before: Part | None = None
    """who leaves; None where nobody holds the slot"""
    shape: str = EXCLUSIVE
    evict: tuple[Part, ...] = ()
    """who is put away first"""
    expected: float = 0.0
    """seconds in all; 0 where nobody knows"""
    limits: Mapping[str, float] = field(default_factory=dict)
    """model -> seconds to ready, at most"""
    again: bool = False
    """it is tried though it failed before"""
    service: str = ""
    """`slot:oracle`"""

    @property
    def leaving(self) -> tuple[Part, ...]:
        """All that give their memory back before the one that comes takes its own."""
        gone = (self.before,) if self.before is not None and self.shape == EXCLUSIVE else ()
        return (*self.evict, *gone)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a preflight. `ok` None: said, and no reason to refuse."""

    what: str
    """files | memory | gpu:0 | vram | image | container | cache | disk | ports | way back | no-go | dry run | drain |
    callers"""
    text: str
    ok: bool | None = True
    reason: Reason = Reason.NO_FIT
    """of the refusal, where `ok` is False"""

    def document(self) -> Json:
        """{what, text, ok}."""
        return {"what": self.what, "text": self.text, "ok": self.ok}

    def refusal(self) -> Verdict:
        """The same as a verdict."""
        return no(self.reason, f"Nothing was touched. {self.what}: {self.text}.")


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whom a preflight asks. None of them is written to."""

    engine: Engine
    room: Room
    models: Models
    clock: Clock
    groups: Groups = field(default_factory=NoGroups)
    driver: GpuDriver = field(default_factory=NoDriver)
    hand: Hand | None = None
    """of the plan that looks: it waits for an engine that is away"""

    async def ask(self, look: Callable[[], Awaitable[T]]) -> T:
        """A question to the engine; EngineError where it has no answer."""
        return await self.hand.read(look) if self.hand is not None else await look()

    async def inspect(self, part: Part | None) -> Container | None:
        """Its container as it stands now; None where it has none."""
        if part is None or not part.container_id:
            return None
        return await self.ask(lambda: self.engine.inspect(part.container_id))


def eyes_of(hand: Hand) -> Eyes:
    """Those of a plan's hand."""
    return Eyes(hand.engine, hand.room, hand.models, hand.clock, hand.groups, hand.driver, hand)


def case_of(plan: Plan) -> Case:
    """The case of a slot's plan, by what was found when it was built. JournalError where it cannot be read."""
    found = plan.found
    slot = load(Slot, found["slot"])
    parts = {name: part_of(slot, name, one) for name, one in (found.get("parts") or {}).items()}
    to, before = str(found.get("to") or ""), str(found.get("from") or "")
    evict = [str(name) for name in found.get("evict") or ()]
    return Case(
        slot,
        parts.get(to) or part_of(slot, to, {}),
        parts.get(before) if before and before != to else None,
        str(found.get("shape") or EXCLUSIVE),
        tuple(parts[name] for name in evict if name in parts and name not in (to, before)),
        float(found.get("expected") or 0.0),
        {str(name): float(one) for name, one in (found.get("limits") or {}).items()},
        plan.params.get("again") == "true" or bool(found.get("pivot")),
        plan.service,
    )


def part_of(slot: Slot, name: str, found: Mapping[str, Any]) -> Part:
    """One entry of `Plan.found["parts"]`; beside the fixed keys it may have `measured` ({"memory", "vram"} of its last
    good run on that image) and `no_go` (a sentence)."""
    measured = found.get("measured") or {}
    needs = found.get("needs")
    return Part(
        slot.model(name) or SlotModel(name),
        str(found.get("service") or ""),
        str(found.get("engine") or ""),
        str(found.get("container_id") or ""),
        str(found.get("name") or ""),
        load(Needs, needs) if needs else Needs(),
        str(found.get("policy") or ""),
        str(found.get("image_id") or ""),
        bool(found.get("running")),
        float(measured.get("memory") or 0.0),
        {str(uuid): float(size) for uuid, size in (measured.get("vram") or {}).items()},
        str(found.get("no_go") or ""),
    )


async def where(eyes: Eyes, part: Part) -> ModelAt:
    """Where the model's server answers, by a fresh look at its container."""
    return ModelAt(part.model, part.needs, await eyes.inspect(part))
