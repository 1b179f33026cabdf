"""The facts: what happened. Each takes one of four lanes into the core (`core/lanes.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from supervisor.facts.containers import Container
from supervisor.facts.gpu import GpuReading
from supervisor.facts.memory import HostReading, MemorySource
from supervisor.facts.slots import GateState, ModelReading
from supervisor.facts.targets import TargetState
from supervisor.facts.words import Json, Labels
from supervisor.verdicts import Verdict


class Lane(IntEnum):
    """The four lanes into the core, in the order they are taken."""

    ANSWERS = 0
    EVENTS = 1
    SWEEPS = 2
    READINGS = 3


@dataclass(frozen=True, slots=True)
class Fact:
    """Anything that happened."""

    at: float
    mono: float


@dataclass(frozen=True, slots=True)
class EngineEvent(Fact):
    """One engine event. (engine, object_id, kind, time_ns) is its identity: a repeat is dropped."""

    engine: str
    type: str
    """container | image"""
    object_id: str
    kind: str
    """create start die stop kill oom pause unpause rename destroy health_status | tag untag pull load import delete"""
    time_ns: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    """name, image, exitCode, signal, oldName, plus every label the container chose: read it defensively"""


@dataclass(frozen=True, slots=True)
class Looked(Fact):
    """An inspect that followed an event. `container` None: it is gone. `log` is the tail of a dead one."""

    engine: str
    object_id: str
    container: Container | None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OomSeen(Fact):
    """One source saw that the kernel ran out of memory somewhere. Several tell of the same kill: services/ merges them
    into one verdict."""

    source: str
    """kernel-log | events (the control group's own counter) | vmstat (the machine's counter); the engine's word is an
    EngineEvent"""
    container_id: str = ""
    """whose process was killed; '' where the source does not know, or it was no container's"""
    pid: int = 0
    process: str = ""
    """the victim's command name, as it calls itself"""
    constraint: str = ""
    """memcg (a control group's limit) | none (the whole machine) | cpuset | policy (NUMA) | '' unknown"""
    limit_of: str = ""
    """the path of the control group whose limit was met, for `memcg`"""
    kills: int = 1
    """how many processes; 0: the limit was met and nothing was killed (yet)"""


@dataclass(frozen=True, slots=True)
class XidSeen(Fact):
    """A GPU's driver told of a fault: one line of the kernel's log, or one event of the driver's library."""

    source: str
    """kernel-log | nvml"""
    xid: int
    """0 for a message that has none (a card fell off the bus, the firmware's heartbeat stopped …)"""
    bus_id: str = ""
    """`00000000:17:00.0`, lower case; '' where the source does not know"""
    uuid: str = ""
    pid: int = 0
    process: str = ""
    """the command name, as it calls itself"""
    container_id: str = ""
    """whose process it is or was; '' for nobody's, or not known"""
    kind: str = ""
    """of one without a number: lost | heartbeat | locked_up | latched | init_failed | reset_required"""
    caused_by: int = 0
    """the XID that this one says it follows from; 0 for none"""
    recovery: str = ""
    """the driver's verdict that it carries (XID 154), one of facts.RECOVERIES; '' for none"""
    text: str = ""
    """the message, bounded and plain"""
    sequence: int = -1
    """its number in the kernel's log; -1 for none"""
    past: bool = False
    """it was written before we began to listen, in this boot"""
    drill: bool = False
    """a person wrote it, for practice: everything is decided and nothing is done"""


@dataclass(frozen=True, slots=True)
class Probed(Fact):
    """A service, or an endpoint outside, was asked whether it is well."""

    name: str
    """the service's id, or the name of an entry of `probes:`"""
    ok: bool
    text: str
    """what it answered, or why it did not, as the end of a sentence"""
    seconds: float = 0.0
    service: str = ""
    """the service's id; '' for an endpoint outside"""
    container_id: str = ""
    started_at: float = 0.0
    """which run of the container was asked"""
    broken: bool = False
    """the probe itself cannot work: says nothing about the service"""
    asleep: bool = False
    """it has its model put away, and was not woken: says nothing either"""
    rate: float = 0.0
    """tokens per second, of a completion"""
    failing: bool = False
    """it has failed as often in a row as `retries` says, past its start"""


@dataclass(frozen=True, slots=True)
class ImageRef(Fact):
    """A reference now stands for this image id ('' when it is gone)."""

    engine: str
    ref: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Sweep(Fact):
    """Everything the engine has, listed at once. The core compares it with what it knows."""

    engine: str
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class EngineState(Fact):
    """The engine answers, or does not any more. `identity` tells one engine life from the next."""

    engine: str
    up: bool
    text: str
    identity: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series."""

    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Readings(Fact):
    """What one collector read at one instant: one transaction, one timestamp."""

    collector: str
    samples: tuple[Sample, ...]
    host: HostReading | None = None
    """what the kernel told about memory, of the collector `host`"""
    sources: tuple[MemorySource, ...] = ()
    """how each source of what it tells is, of the collectors `host` and `gpu`"""
    gpu: GpuReading | None = None
    """what the driver told about the cards, of the collector `gpu`"""
    brought: tuple[Sample, ...] = ()
    """what others offered to be read (scrapes, text files): it has a share of the store's room of its own"""
    whole: bool = False
    """all that this collector has: a series of it that is not among these has ended"""
    target: TargetState | None = None
    """how the target of a scrape is; of a `whole` one without it, the target is no more"""
    models: tuple[ModelReading, ...] = ()
    """what the servers of slots say of their models, of the collector `models`"""
    gates: tuple[GateState, ...] = ()
    """how the gates of slots stand, of the collector `gate`"""


@dataclass(frozen=True, slots=True)
class Command(Fact):
    """A person (or their tool) asks for something."""

    verb: str
    target: str
    params: Mapping[str, str]
    principal: str
    """who: `uid:0`, `bus:phone`, or `file`"""
    door: str
    """socket | file (PAUSE, a request file) | bus"""
    id: str = ""
    override: str = ""
    """the reason given with --override; control socket only"""
    document: Json = field(default_factory=dict)
    """the compose services it is to be recreated from (`phoenix --from-compose`), resolved: name -> service"""
    widens: str = ""
    """what of the document would widen rights, as the door found out: a person's word is needed first"""
    approved: str = ""
    """who said yes to it; '' for nobody. Set by the core alone, when a question is answered"""
    refused: Verdict | None = None
    """the door's own no (a message that is too old, or of somebody who may not): it is only told and answered"""
    signed: bool = False
    """the door looked at its signature, and it is that of the principal; without one a second word is needed"""
    if_rev: int | None = None
    """do it only while this is the revision (Decider.revisions) of what it is about; None: whatever it is"""


@dataclass(frozen=True, slots=True)
class OutsideAlert:
    """An alert that another system tells of. Times are unix seconds, 0 for not said."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float = 0.0
    ends_at: float = 0.0
    lasts: float = 300.0
    """seconds for which it counts as firing where its end was not said and nobody tells of it again"""


@dataclass(frozen=True, slots=True)
class Outside(Fact):
    """One delivery of alerts from another system. `source`: who handed them in."""

    source: str
    alerts: tuple[OutsideAlert, ...]


@dataclass(frozen=True, slots=True)
class StepAsked(Fact):
    """The runner asks whether it may take this step. `seen` is an inspect not older than the step's start."""

    plan: int
    step: str
    seen: tuple[Container, ...] = ()


@dataclass(frozen=True, slots=True)
class StepEnded(Fact):
    """A step ended; `data` is what later steps (and a recovery) need."""

    plan: int
    step: str
    ok: bool
    text: str
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanEnded(Fact):
    """A plan is over: verified, rolled_back, degraded, failed or ended_early. `left` are containers it leaves on
    purpose (spare, failed one kept for forensics), by name."""

    plan: int
    outcome: Verdict
    left: tuple[str, ...] = ()
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reloaded(Fact):
    """Configuration and rules were read again, outside the turn. `payload` is a core.standing.Loaded, or None where
    they were refused, with the mistakes in `text`."""

    payload: Any
    text: str


@dataclass(frozen=True, slots=True)
class BusState(Fact):
    """How the message pump is: connected or not, to what, and how much waits."""

    connected: bool
    broker: str
    text: str
    waiting: int = 0
    oldest_at: float = 0.0
    """when the oldest message that waits was written, unix seconds; 0 for none"""
    unheard: int = 0
    """messages that the broker took and nobody had subscribed to, as long as the journal knows them"""
    dead: int = 0
    """messages that the broker will never take"""
    shed: int = 0
    """messages that were given up because too much waited"""
    digested: int = 0
    """messages that were told in a digest, not one by one"""
    critical_unheard: int = 0
    """critical alerts that nobody heard over MQTT since this process began"""
    unheard_alerts: tuple[str, ...] = ()
    """the fingerprints of critical alerts of whose firing nobody heard over MQTT; some may have ended since"""
    epoch: str = ""
    """the journal's, which the pump begins anew where an older copy was put back; '' where there is no pump"""


@dataclass(frozen=True, slots=True)
class Gathered(Fact):
    """The message pump lets one message tell of many rows: a `digest` of what came too fast or too late to be told
    one by one, or what was `shed` because too much waited. The core writes the row."""

    what: str
    """digest | shed: the row is of the kind `daemon.<what>`"""
    pile: str
    """names it: the same pile is written once, however often it is handed in"""
    body: Json


@dataclass(frozen=True, slots=True)
class EdgeState(Fact):
    """A part at our edge is in trouble (`text` says which and what to do), or is not any more ('')."""

    part: str
    text: str
    counts: Mapping[str, int] = field(default_factory=dict)
    """what it has counted since the start (crashes, drops …), by name"""


@dataclass(frozen=True, slots=True)
class Stopping(Fact):
    """We were asked to end (SIGTERM)."""
