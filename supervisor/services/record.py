"""What the registry holds: one `Held` per container, one `Record` per service. Plain state, no decisions.

Only state.py and events.py write to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from supervisor.config import ServiceSettings
from supervisor.facts import Container, Needs, Service, Wanted
from supervisor.services.loads import Load
from supervisor.services.series import Names
from supervisor.services.tally import Life, Tally


@dataclass(frozen=True, slots=True)
class Said:
    """The latest word of a service's probe, for one run of its container. `starting`: it did not answer well yet in
    this run. `silent`: it cannot be asked, or its model is put away: says nothing about it."""

    container_id: str
    started_at: float
    word: Literal["well", "starting", "failing", "silent"]


@dataclass(slots=True)
class Held:
    """One container that exists, as we believe it to be: the last inspect, corrected by events since."""

    engine: str
    container: Container
    said: Mapping[str, str]
    """its `resurgam.*` labels that count"""
    life: Life
    heard: float
    """mono of the last fact about it"""
    service: str = ""
    """'' for what is never a service"""
    run: float = 0.0
    """StartedAt of the run that the last inspect showed"""
    start_seen: bool = False
    """a start event came since that inspect"""
    died_when: float = 0.0
    """engine time of the end of the present run, 0 while it goes on"""
    asked: bool = False
    """somebody asked it to end in this run"""
    stopped: bool = False
    """the engine stopped it: it will not start again by itself"""
    by_hand: bool = False
    """it was a person who asked, though a plan was at work on it"""
    killed: bool = False
    """a SIGKILL came through the engine in this run"""
    nudged: bool = False
    """a signal that usually ends nothing came through the engine in this run"""
    oom: bool = False
    spared: bool = False
    """the engine said in this run that it was out of memory, and nothing of it was killed"""
    counted: bool = False
    """the end of this run was counted as a death"""
    loaded: bool = False
    """this run was seen healthy, or may have been: what comes now is no load any more"""
    unproven_log: float = 0.0
    """when the end happened whose log was not seen yet"""
    doubted: bool = False
    """the last inspect was older than the events; the next is believed whatever it says"""

    @property
    def key(self) -> tuple[str, str]:
        return self.engine, self.container.id

    @property
    def living(self) -> bool:
        """It runs or is about to: two of these cannot share one identity."""
        return self.container.living


@dataclass(slots=True)
class Record:
    """One service: what carries it now and what it has been through."""

    id: str
    tally: Tally
    wanted: Wanted = field(default_factory=Wanted)
    members: list[tuple[str, str]] = field(default_factory=list)
    """keys of its containers, oldest first"""
    current: tuple[str, str] | None = None
    twins: tuple[str, ...] = ()
    entry: ServiceSettings | None = None
    needs: Needs = field(default_factory=Needs)
    problems: tuple[str, ...] = ()
    running_since: float | None = None
    """mono; None while it does not run or nobody looks"""
    healthy_since: float | None = None
    died_mono: float | None = None
    """the last counted death, where this process saw it"""
    loads: tuple[Load, ...] = ()
    """its latest loads, newest last"""
    said: Said | None = None
    """the latest word of its probe"""
    settled: bool = False
    """this healthy stretch has lasted the whole proof time"""
    wish: tuple[float, Wanted] | None = None
    """a person's stop that this process saw: when (mono), and what was wanted before"""
    lost_since: float | None = None
    """mono: since when it has no container"""
    trouble_since: float | None = None
    """mono: when its latest cause of trouble came up, where this process saw it"""
    service: Service | None = None
    names: Names | None = None
    described: tuple[Mapping[str, str], ServiceSettings | None, Mapping[str, str]] | None = None
    """what needs and names were made from"""
    sent: dict[str, float] = field(default_factory=dict)
    born: bool = True
    """first seen by this process: its counters begin at 0 before our eyes"""
