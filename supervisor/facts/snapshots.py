"""The snapshots: how services, alerts, incidents, plans and the whole house stood at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.facts.containers import Container
from supervisor.facts.happened import BusState, EngineState
from supervisor.facts.words import Json
from supervisor.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Needs:
    """What a service declares about itself, from labels and `services:` (which wins)."""

    probe: str = ""
    probe_from_label: bool = False
    """a probe from a label may only reach its own container"""
    startup: float = 300.0
    """seconds: the longest normal load"""
    stop_grace: float = 0.0
    """seconds; 0: the container's own"""
    exclusive: tuple[str, ...] = ()
    priority: int = 0
    depends: tuple[str, ...] = ()
    stateful: bool = False
    aliases: tuple[str, ...] = ()
    kube: Mapping[str, str] = field(default_factory=dict)
    """namespace, deployment, container"""


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
    needs: Needs = Needs()
    wanted: Wanted = Wanted()
    healthy: bool = False
    """by the engine's own health check, else plainly running; probes are asked by plans only"""
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
    twins: tuple[str, ...] = ()
    """other living containers that claim the same identity"""


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
class Intent:
    """What a rule, a playbook or a person wants done."""

    verb: str
    target: str
    """the service id, or `host`"""
    params: Mapping[str, str]
    cause: str
    """one sentence: why"""
    by: str
    """`rule:NAME`, `playbook:NAME`, `uid:0`, `resurgam`"""
    incident: str = ""
    key: str = ""
    """fingerprint|fired_at|rung: acted on once"""
    override: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an intent, and why. Every one is kept and can be read."""

    at: float
    intent: Intent
    verdict: Verdict
    plan: int = 0


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


@dataclass(frozen=True, slots=True)
class Step:
    """One step a plan may take. `phase`: before | inside | after the irreversible part; `back`: a way back."""

    name: str
    phase: str
    writes: tuple[str, ...] = ()
    """the engine objects it writes to, as names"""
    back: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A maneuver that was admitted: everything a fresh process needs to finish or undo it."""

    id: int
    verb: str
    service: str
    engine: str
    params: Mapping[str, str]
    cause: str
    by: str
    created_at: float
    op: str
    """a short random word in the names of the objects it makes"""
    container_id: str
    """the container it found"""
    name: str
    """the canonical container name"""
    image_id: str = ""
    """the image it goes to (phoenix, protect)"""
    locks: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    needs: Needs = Needs()
    incident: str = ""
    key: str = ""
    marks: tuple[tuple[str, bool, Json], ...] = ()
    """steps that ended so far: (name, ok, data), in order"""
    begun: tuple[str, ...] = ()
    """steps that were permitted so far, in order: the last one may have had its effect"""
    recovered: int = 0
    """how many times a fresh process took it over"""
    found: Json = field(default_factory=dict)
    """what was known of the service when the plan was built: a later process cannot ask for it again"""
    override: str = ""
    """the reason a person gave to go past budget, cooldown and veto; '' for none"""

    def data(self) -> Json:
        """Everything the steps so far have left for later ones, merged in order."""
        merged: Json = {}
        for _name, _ok, data in self.marks:
            merged.update(data)
        return merged

    @property
    def phase(self) -> str:
        """Where it stands: that of the last step permitted; `before` while there is none."""
        phases = {step.name: step.phase for step in self.steps}
        return phases.get(self.begun[-1], "before") if self.begun else "before"


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
    decisions: tuple[Decision, ...] = ()
    """the latest, newest first"""
    rules: tuple[RuleHealth, ...] = ()
    bus: BusState | None = None
    host_memory: Mapping[str, float] = field(default_factory=dict)
    """MemTotal, MemAvailable, SwapTotal, SwapFree in bytes"""
    counts: Mapping[str, int] = field(default_factory=dict)
    """what was dropped, shed or overtaken, by kind"""
