"""The snapshots: how services, alerts, incidents, plans and the whole house stood at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.facts.containers import Container
from supervisor.facts.gpu import GpuState
from supervisor.facts.happened import BusState, EngineState
from supervisor.facts.memory import Hold, MemoryBudget, MemorySource
from supervisor.facts.needs import Needs
from supervisor.facts.plans import Approval, Decision, Plan, Rollout
from supervisor.facts.slots import SlotState
from supervisor.facts.targets import TargetState
from supervisor.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person wants of a service: running | stopped | any, and who said so, when and why."""

    state: str = "any"
    by: str = ""
    at: float = 0.0
    why: str = ""
    policy: str = ""
    """the restart policy to give back at the next start"""


@dataclass(frozen=True, slots=True)
class Service:
    """One service: a stable id over all its containers, with the one that carries it now."""

    id: str
    engine: str
    container: Container | None
    """None while there is no container by that name"""
    owned: Verdict
    needs: Needs = field(default_factory=Needs)
    wanted: Wanted = Wanted()
    healthy: bool = False
    """by the engine's own health check, else its probe, else plainly running"""
    proved_image: str = ""
    """the image id that last proved healthy (last known good)"""
    quarantined: tuple[str, ...] = ()
    drift: str = ""
    """'' | tag_moved (the reference moved on) | unproved (running something else than what last proved healthy)"""
    deaths: int = 0
    streak: int = 0
    """deaths chained by gaps short enough to belong together"""
    last_exit: int | None = None
    last_death_at: float = 0.0
    plan: int = 0
    """the open plan that works on it"""
    project: str = ""
    """its compose project; '' for none"""
    parents: Mapping[str, str] = field(default_factory=dict)
    """service id -> what of that one it shares (network, pid, ipc, volumes)"""
    reattach: Mapping[str, str] = field(default_factory=dict)
    """container id that its namespaces name and that carries no service any more -> the name of the container that
    stands in its place now ('' where nobody knows): a restart cannot work then, a recreation can"""
    cut_off: str = ""
    """why its shared namespace is dead though it runs: the parent was started or made anew since; '' if it is not"""
    needs_first: tuple[str, ...] = ()
    """ids of the services it depends on, declared or by compose's labels"""
    expected: bool = False
    """it is to run: wanted running, or (wanted any) it ran when we last looked"""
    previous_image: str = ""
    """the image id that `rollback` goes to; '' where there is none"""
    loads: tuple[float, ...] = ()
    """seconds from start to healthy of its latest loads, newest last"""
    trouble: str = ""
    """the likely cause of its latest death or sickness: a word of services/causes.py; '' for none"""
    trouble_text: str = ""
    """one sentence about it, with what to do"""
    trouble_told: str = ""
    """the same by the engine's word alone. Its log may make `trouble` more precise; this is what is decided by"""
    trouble_by: str = ""
    """the service (or container) that holds what it needs, where one is known"""
    trouble_at: float = 0.0
    """when that cause was seen last, unix seconds"""
    twins: tuple[str, ...] = ()
    """other living containers that claim the same identity"""
    profile: str = ""
    """`safe` while it is run by its safe profile; '' else"""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert instance. `fingerprint` names its label set. Times are unix seconds, 0 for not yet."""

    fingerprint: str
    name: str
    state: str
    """pending | firing | resolved"""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    active_at: float
    fired_at: float = 0.0
    resolved_at: float = 0.0
    keep_since: float = 0.0
    rule: str = ""
    """file:group:index of its rule, stable over reloads of an unchanged file"""
    origin: str = "owner"
    """owner | shipped | outside"""
    order: tuple[int, int, int] = (0, 0, 0)
    """(file, group, rule) position: earlier in the owner's files goes first"""
    held: bool = False
    """restored, and its input is not fresh yet"""

    @property
    def severity(self) -> str:
        """critical | warning | info (anything else counts as info)."""
        found = self.labels.get("severity", "")
        return found if found in ("critical", "warning") else "info"


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert instance went from one state to another at `at`."""

    alert: Alert
    before: str
    """'' for a new one"""
    at: float


@dataclass(frozen=True, slots=True)
class Incident:
    """What matters: one per service (or `host`), over all alerts about it, from the first firing to the last proof."""

    id: str
    subject: str
    opened_at: float
    closed_at: float = 0.0
    alerts: tuple[str, ...] = ()
    """fingerprints"""
    title: str = ""
    cause: str = ""
    """what is most likely behind it, in one sentence"""
    state: str = "open"
    """open | acting | verifying | degraded | closed"""
    rungs: Mapping[str, int] = field(default_factory=dict)
    """playbook or rule -> next rung of its ladder"""
    acked: str = ""
    """who took it on, and when; '' for nobody"""


@dataclass(frozen=True, slots=True)
class Silence:
    """Messages that match are not sent until `ends_at`. Actions go on."""

    id: str
    """`si-2`"""
    matchers: tuple[str, ...]
    """as they are written: `name="oracle"`; all must hold"""
    by: str
    why: str
    begins_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class RuleHealth:
    """How one rule file or rule is: `text` says what is wrong, '' if nothing is."""

    file: str
    rules: int
    text: str = ""
    origin: str = "owner"

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong, a sentence each, with the file in front."""
        lines = self.text.splitlines()
        return tuple(line if line.startswith(self.file) else f"{self.file}: {line}" for line in lines)


@dataclass(frozen=True, slots=True)
class ProbeState:
    """How a service, or an endpoint outside, answered last."""

    name: str
    service: str = ""
    """'' for an endpoint outside"""
    address: str = ""
    """what is asked: `http://:8000/health`"""
    at: float = 0.0
    """unix seconds of the last answer; 0: it was not asked yet"""
    ok: bool = False
    failing: bool = False
    broken: bool = False
    asleep: bool = False
    seconds: float = 0.0
    rate: float = 0.0
    """tokens per second, of a completion"""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How everything stood at the end of a turn. Everything people and machines are shown is made from it."""

    at: float
    mono: float
    rev: int
    host: str
    version: str
    epoch: str
    seq: int
    """the last journal row"""
    started_at: float
    mode: str
    """heal | observe"""
    status: str
    """recovering | ok | degraded | healing | observe | stopping"""
    problems: tuple[str, ...] = ()
    """what a person should know, one sentence each"""
    engines: tuple[EngineState, ...] = ()
    pauses: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """`*` or service id -> (reason, until; 0 for no end)"""
    services: tuple[Service, ...] = ()
    alerts: tuple[Alert, ...] = ()
    incidents: tuple[Incident, ...] = ()
    plans: tuple[Plan, ...] = ()
    waiting: tuple[tuple[int, str], ...] = ()
    """(plan id, `waits for …, held by …`)"""
    rollouts: tuple[Rollout, ...] = ()
    approvals: tuple[Approval, ...] = ()
    silences: tuple[Silence, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """the latest, newest first"""
    rules: tuple[RuleHealth, ...] = ()
    bus: BusState | None = None
    host_memory: Mapping[str, float] = field(default_factory=dict)
    """MemTotal, MemAvailable, SwapTotal, SwapFree in bytes"""
    budget: MemoryBudget | None = None
    """None until memory was read once"""
    sources: tuple[MemorySource, ...] = ()
    holds: tuple[Hold, ...] = ()
    memory: Mapping[str, float] = field(default_factory=dict)
    """service id -> bytes that its container used when it was read last; left out where nobody knows"""
    gpus: GpuState | None = None
    """None on a machine that has no GPU and no service that asks for one"""
    probes: tuple[ProbeState, ...] = ()
    """by name: services first, then endpoints outside"""
    targets: tuple[TargetState, ...] = ()
    """by job and instance"""
    slots: tuple[SlotState, ...] = ()
    """in the order in which they are declared"""
    counts: Mapping[str, int] = field(default_factory=dict)
    """what was dropped, shed or overtaken, by kind"""
    revisions: Mapping[str, int] = field(default_factory=dict)
    """service id (or host, daemon) -> its newest public row: the same as long as nothing about it was told"""
