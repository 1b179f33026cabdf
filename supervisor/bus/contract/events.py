"""`data` of every event, by its kind: what `resurgam/<host>/event/<first part of the kind>` carries.

The rows come from core/, services/ and daemon.py; `DATA` is the closed list of the public kinds, and a test holds it
against the kinds that the code can write. A row over 64 kB is trimmed: its longest texts and lists are cut, and
`trimmed` says so; where even that is not enough only `trimmed` and `text` are left (`Trimmed`).
"""

from typing import Literal

from pydantic import Field

from supervisor.bus.contract.actions import (
    Acked,
    Answered,
    Asked,
    Ended,
    Notified,
    Planned,
    Recovered,
    Refused,
    Rollout,
)
from supervisor.bus.contract.models import (
    Benchmarked,
    Evicted,
    Phase,
    ProbationOver,
    StoodIn,
    SwapBegan,
    Swapped,
)
from supervisor.bus.contract.shapes import Count, Labels, Number, Severity, Shape, Time, Told, Why

# ---------------------------------------------------------------- alert


class AlertData(Shape):
    """An Alertmanager alert object, with our `value`, `incident` and `text` beside it."""

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels
    startsAt: Time
    endsAt: Time
    generatorURL: str
    fingerprint: str
    value: Number = 0.0
    incident: str = ""
    text: str = ""


# ---------------------------------------------------------------- container, drift


class About(Told):
    """What every event about a service's container has."""

    service: str
    at: float
    """unix seconds"""
    container: str = ""
    id: str = ""
    image: str = ""
    image_id: str = ""


class Oom(Shape):
    """What is known of a kill for want of memory, merged from everybody who told of it."""

    process: str
    """how it called itself; empty where nobody says"""
    pid: Count
    """as the machine counts; 0 where nobody says"""
    victim: Literal["main", "child", ""]
    """the container's first process, or another one; empty where nobody knows"""
    constraint: Literal["own_limit", "parent_limit", "machine", "numa", ""]
    """what was at its end: the container's own limit, that of a group around it, the memory of the machine, that of the
    NUMA nodes it may use; empty where nobody says"""
    limit_of: str
    """the path of the control group whose limit was met"""
    confidence: Literal["certain", "likely", "possible"]
    sources: list[Literal["kernel-log", "events", "engine", "vmstat", "exit-code", "engine-flag"]]
    """who told, the best first"""
    kills: Count
    """how many processes; 0: the limit was met and nothing was killed"""
    ended: bool
    """the container ended with it, as far as it was known then"""


class OutOfMemory(About):
    """The kernel killed a process in it for want of memory, once per kill."""

    oom_verdict: Oom


class Appeared(About):
    status: str


class Started(About):
    again: bool
    """after a death"""
    plan: int


class Died(About):
    """It ended though nobody asked for it, or while a plan works on it."""

    exit_code: int | None
    signal: str = ""
    uptime: float = 0.0
    oom: bool = False
    """it ended by a kill for want of memory, or soon after one"""
    oom_verdict: Oom | None = None
    plan: int = 0
    counted: bool = False
    deaths: Count = 0
    streak: Count = 0
    cause: str = ""
    """the likely cause, one word"""
    missed: Count = 0
    """deaths that happened while nobody looked"""


class Stopped(About):
    """It was asked to end, finished, or was found ended."""

    exit_code: int | None = None
    signal: str = ""
    uptime: float = 0.0
    plan: int = 0
    oom: bool = False
    oom_verdict: Oom | None = None
    by: str = ""
    wanted: str = ""
    seen: bool = True
    """false: nobody saw how it ended"""


class Drifted(About):
    ref: str
    running: str
    proved: str
    stands_for: str


class Proved(About):
    ref: str
    before: str
    unquarantined: bool


class Quarantined(Told):
    service: str
    image_id: str


# ---------------------------------------------------------------- gpu


class Faulted(Told):
    """A burst of faults of one card: it began, it is understood otherwise now, or it is over."""

    episode: str
    """which burst: the same in all its events"""
    uuid: str
    """of the card; empty where it is not known"""
    bus_id: str
    gpu: int | None
    """its index, as far as it is known"""
    card: str
    """its model"""
    service: str
    """the service whose work was hit first; empty for none, and where nobody knows"""
    xid: Count
    """the driver's number of the fault that the others follow from; 0 for one without a number"""
    fault: Literal["lost", "heartbeat", "locked_up", "latched", "init_failed", "reset_required", ""]
    """of one without a number: which"""
    kind: str = Field(alias="class")
    """app | driver | memory | gpu | bus | link | firmware | mechanics | info | verdict | unknown"""
    remedy: Literal["none", "tell", "restart", "reset", "reboot", "power", "replace"]
    """what it calls for: by the driver's own verdict where it gave one"""
    recovery: Literal["none", "reset", "reboot", "drain", "drain_reset", "imex", "bus_reset", "power_cycle", ""]
    """that verdict; empty while it gave none"""
    counts: dict[str, int]
    """how often each number came"""
    first_at: float
    """unix seconds"""
    last_at: float
    drill: bool
    """a person practises: nothing is wrong, and nothing is done"""
    past: bool
    """it was over before we looked"""


class SaidOfGpus(Told):
    """A person let go of the driver (until when), has it asked again, or took a card out of what is expected."""

    by: str
    until: float = 0.0
    """unix seconds"""
    card: str = ""


# ---------------------------------------------------------------- daemon


class Version(Told):
    version: str


class OfEngine(Told):
    engine: str


class HostOutOfMemory(Told):
    """The kernel killed a process of no service for want of memory."""

    service: str
    """`host`"""
    at: float
    """unix seconds"""
    container: str
    """the id of its container; empty for none, and where nobody says"""
    oom_verdict: Oom


class Jumped(Told):
    seconds: float


class Paused(Told):
    until: float
    """unix seconds; 0 for no end"""


class RulesBad(Told):
    file: str = ""
    ok: bool = False
    """it evaluates again"""


class Commanded(Told):
    """A command came over the bus; this is what became of it."""

    principal: str
    id: str
    verb: str
    target: str
    allowed: bool
    reason: Why
    repeat: bool
    signed: bool
    if_rev: int | None
    plan: int
    approval: str
    """the question that waits for a second word"""


class Silenced(Told):
    silence: str
    matchers: list[str]
    by: str
    reason: str


class Summary(Told):
    """One event that tells of many others, which were not told one by one: they stand in the journal, for a replay."""

    first: int = Field(alias="from")
    """`seq` of the first of them"""
    last: int = Field(alias="to")
    """`seq` of the last; what lies between need not belong to them"""
    count: Count
    kinds: dict[str, int]
    severities: dict[Severity, int]
    severity: Severity
    """the gravest among them"""
    alerts: dict[str, int]
    """how many by alert name, the most frequent"""
    services: dict[str, int]
    firing: list[str]
    """alerts that fire by the last word among them"""
    since: Time
    until: Time
    why: str
    pile: str


DATA: dict[str, tuple[type[Shape], ...]] = {
    "alert.firing": (AlertData,),
    "alert.resolved": (AlertData,),
    "action.planned": (Planned,),
    "action.refused": (Refused,),
    "action.verified": (Ended, Notified),
    "action.rolled_back": (Ended,),
    "action.degraded": (Ended,),
    "action.failed": (Ended,),
    "action.ended_early": (Ended,),
    "action.recovered": (Recovered,),
    "action.rollout": (Rollout,),
    "action.approval": (Asked,),
    "action.approved": (Answered,),
    "action.denied": (Answered,),
    "action.withdrawn": (Answered,),
    "action.acked": (Acked,),
    "container.appeared": (Appeared,),
    "container.started": (Started,),
    "container.died": (Died,),
    "container.stopped": (Stopped,),
    "container.removed": (About,),
    "container.healthy": (About,),
    "container.unhealthy": (About,),
    "container.oom": (OutOfMemory,),
    "drift.tag_moved": (Drifted,),
    "drift.unproved": (Drifted,),
    "drift.cleared": (Drifted,),
    "drift.proved": (Proved,),
    "drift.quarantined": (Quarantined,),
    "gpu.fault": (Faulted,),
    "gpu.fault_changed": (Faulted,),
    "gpu.fault_over": (Faulted,),
    "gpu.released": (SaidOfGpus,),
    "gpu.resumed": (SaidOfGpus,),
    "gpu.forgotten": (SaidOfGpus,),
    "model.swap_began": (SwapBegan,),
    "model.phase": (Phase,),
    "model.swapped": (Swapped,),
    "model.no_go": (Swapped,),
    "model.probation_over": (ProbationOver,),
    "model.stand_in": (StoodIn,),
    "model.handed_back": (StoodIn,),
    "model.evicted": (Evicted,),
    "model.benchmark": (Benchmarked,),
    "daemon.started": (Version,),
    "daemon.ready": (OfEngine,),
    "daemon.reloaded": (Told,),
    "daemon.stopping": (Told,),
    "daemon.engine_lost": (OfEngine,),
    "daemon.engine_back": (OfEngine,),
    "daemon.oom": (HostOutOfMemory,),
    "daemon.clock_jump": (Jumped,),
    "daemon.paused": (Paused,),
    "daemon.resumed": (Told,),
    "daemon.mode": (Told,),
    "daemon.rules_bad": (RulesBad,),
    "daemon.command": (Commanded,),
    "daemon.silenced": (Silenced,),
    "daemon.unsilenced": (Silenced,),
    "daemon.digest": (Summary,),
    "daemon.shed": (Summary,),
}
"""kind -> the shapes its data can have"""
