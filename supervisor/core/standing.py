"""What the decider holds about the daemon itself: what was loaded, who we are, how we stand."""

from dataclasses import dataclass, field

from supervisor.config import Settings
from supervisor.facts import BusState, EngineState
from supervisor.gpu.xids import Table, shipped
from supervisor.incidents.playbooks import Playbook
from supervisor.rules import RuleSet
from supervisor.rules.promql.schedule import needed

MEMORY = 3600.0
"""Seconds of samples kept in any case, so that a person or a dashboard that asks has something to look at."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Configuration and rules, read at the edge."""

    settings: Settings
    rules: RuleSet
    playbooks: tuple[Playbook, ...]
    problems: tuple[str, ...] = ()
    xids: Table = field(default_factory=shipped)
    """what each fault of a GPU means, with the owner's entries"""

    def retention(self) -> float:
        """Seconds of samples that rules look back to, and playbooks by `unless` and `verify`; at least an hour."""
        asked = [book.unless for book in self.playbooks]
        asked += [rung.verify.expr for book in self.playbooks for rung in book.steps]
        return max([MEMORY, self.rules.retention(), *(needed(expr.selectors) for expr in asked if expr is not None)])


@dataclass(slots=True)
class Identity:
    """Who we are, for everything that is shown."""

    host: str
    version: str
    epoch: str
    started_at: float


@dataclass(slots=True)
class Standing:
    """How the daemon itself stands. Restored where a restart must not forget it."""

    stopping: bool = False
    journal_error: str = ""
    confirm: str = ""
    """why disruptive verbs wait for `resurgam resume` (a set-aside journal), '' if they do not"""
    pauses: dict[str, tuple[str, float]] = field(default_factory=dict)
    engines: dict[str, EngineState] = field(default_factory=dict)
    swept: dict[str, bool] = field(default_factory=dict)
    bus: BusState | None = None
    piles: dict[str, None] = field(default_factory=dict)
    """the piles of messages that were written down last (facts.Gathered), oldest first"""
    edge_counts: dict[str, int] = field(default_factory=dict)
    edges: dict[str, str] = field(default_factory=dict)
    """part -> what is wrong with it"""
    adapters: frozenset[str] = frozenset()
    """services whose model server can be asked to put its model away"""
    host_memory: dict[str, float] = field(default_factory=dict)
    load_problems: tuple[str, ...] = ()
    requests: dict[str, list[str]] = field(default_factory=dict)
    """request file -> the identities that were decided on, oldest first (space `request`)"""
