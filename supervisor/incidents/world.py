"""What this folder is told and what it answers: `World` in, `Review` out.

The core makes a World from its registries at the end of a turn and carries a Review into the journal's batch. Both are
values: nothing here reads a clock, a file or an engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from supervisor.config import Settings
from supervisor.facts import (
    Alert,
    Decision,
    GpuState,
    Hold,
    Json,
    MemoryBudget,
    Plan,
    Rollout,
    Service,
    Slot,
    SlotState,
)
from supervisor.gpu.budget import GpuBudget
from supervisor.rules.promql.parse import CompiledExpr
from supervisor.verdicts import Verdict

SETTLE = 30.0
"""seconds after a plan in which alerts about its services still count as our own noise"""

Find: TypeAlias = Callable[[str | Mapping[str, str]], tuple[str, ...]]
"""The ids of services that a word, or a set of names (`namespace`, `deployment`, `container`), stands for."""
Holds: TypeAlias = Callable[[CompiledExpr, Alert], bool | None]
"""Whether an expression has a result now, joined on the alert's service; None where it errs, so that nobody knows."""


def annotated_action(alert: Alert) -> str:
    """The annotation `action` as the alert carries it."""
    return alert.annotations.get("action", "")


def remembered(find: Find) -> Find:
    """The same `find`, asking the registry once for each word: in a storm a thousand alerts name the same services."""
    known: dict[tuple[tuple[str, str], ...] | str, tuple[str, ...]] = {}

    def asked(word: str | Mapping[str, str]) -> tuple[str, ...]:
        key = word if isinstance(word, str) else tuple(sorted(word.items()))
        if key not in known:
            known[key] = find(word)
        return known[key]

    return asked


@dataclass(frozen=True, slots=True)
class Spend:
    """One plan that was admitted, as the budget remembers it. `at` in unix seconds."""

    at: float
    service: str
    verb: str
    disruptive: bool
    plan: int
    rollout: int = 0
    """the rollout it is a part of: on the host a rollout counts once; 0 for none"""
    asked: bool = False
    """a person asked for it, and no rule"""
    fault: str = ""
    """what a restart of the machine, or a reset, was done for: `GPU-… XID 79` (machine.py); '' for all else"""


@dataclass(frozen=True, slots=True)
class Maneuver:
    """How one plan that touched something ended, as the brake remembers it. `at` in unix seconds."""

    at: float
    plan: int
    verb: str
    service: str
    failed: bool


@dataclass(frozen=True, slots=True)
class SlotNow:
    """A slot as it is declared, and as it stands."""

    slot: Slot
    state: SlotState
    before: str = ""
    """the model that held it last, whether or not it runs; '' for none"""
    loaded_at: Mapping[str, float] = field(default_factory=dict)
    """model -> when it was loaded last, unix seconds"""


@dataclass(frozen=True, slots=True)
class World:
    """How everything stands in this turn. `now` in unix seconds."""

    now: float
    mode: str
    """heal | observe"""
    ready: bool
    """the engines were listed, and what an earlier process left open is known"""
    stopping: bool
    pauses: Mapping[str, tuple[str, float]]
    """`*` or a service id -> (reason, until; 0 for no end)"""
    services: Mapping[str, Service]
    alerts: tuple[Alert, ...]
    """pending and firing ones"""
    plans: tuple[Plan, ...]
    """open ones, those that wait among them"""
    spent: tuple[Spend, ...]
    settings: Settings
    find: Find
    holds: Holds
    action: Callable[[Alert], str] = annotated_action
    """the annotation `action` of an alert's rule, best as it is written (RuleEngine.action): then it is split into
    words before any label's value is filled in"""
    absent: tuple[str, ...] = ()
    """engines that do not answer now"""
    rollouts: tuple[Rollout, ...] = ()
    """those that are not over"""
    approved: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(by, key) of an intent that a person has just said yes to -> who"""
    maneuvers: tuple[Maneuver, ...] = ()
    """those that failed lately, and what went well after them, oldest first"""
    memory: MemoryBudget | None = None
    """how memory stands; None until it was read once"""
    gpus: GpuState | None = None
    """how the cards stand; None on a machine without any"""
    vram: GpuBudget | None = None
    """the budget of their memory, and which services use which card; None where nothing is known"""
    held: tuple[Hold, ...] = ()
    """what we hold: it stands frozen, or is slowed down"""
    adapters: frozenset[str] = frozenset()
    """services whose model server can be asked to put its model away"""
    failing: frozenset[str] = frozenset()
    """services that fail their probe again and again, whatever their own health check says"""
    slots: Mapping[str, SlotNow] = field(default_factory=dict)
    """by id (`slot:oracle`), in the order in which they are declared"""
    trying: bool = False
    """a rule was allowed something disruptive in this very review"""


RowOut: TypeAlias = tuple[str, str, Json, bool]
"""(kind, subject, body, public)"""
Put: TypeAlias = tuple[str, str, Json | None]
"""(space, key, value)"""


@dataclass(frozen=True, slots=True)
class Review:
    """What the incident book made of a turn."""

    rows: tuple[RowOut, ...] = ()
    puts: tuple[Put, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """new ones only; where the verdict says yes, the core builds and admits the plan"""
    again: float | None = None
    """unix seconds: look again then at the latest"""
    end: tuple[tuple[int, Verdict], ...] = ()
    """plans that should end if they have not touched anything yet"""
