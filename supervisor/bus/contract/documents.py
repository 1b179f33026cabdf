"""The retained documents: how things stand. Made by views/documents.py, kept by the broker under `resurgam/<host>/`."""

from typing import Literal

from supervisor.bus.contract.shapes import Count, Labels, Node, Number, Severity, Shape, Time

Availability = Literal["online", "offline"]
"""the plain word on `availability`: `offline` is also the last will"""


class Pause(Shape):
    reason: str
    until: Time


class Engine(Shape):
    name: str
    up: bool
    version: str
    text: str


class Services(Shape):
    total: Count
    owned: Count
    healthy: Count


class AlertCounts(Shape):
    firing: Count
    pending: Count
    silenced: Count


class Question(Shape):
    """Something that waits for a person's word."""

    id: str
    state: Literal["open", "approved", "denied"]
    verb: str
    service: str
    params: dict[str, str]
    by: str
    cause: str
    incident: str
    plan: int
    step: str
    text: str
    asked_at: Time
    expires_at: Time


class BadFile(Shape):
    file: str
    text: str


class Rules(Shape):
    files: Count
    ok: Count
    bad: list[BadFile]


class Broker(Shape):
    connected: bool
    name: str
    text: str


class Outbox(Shape):
    """What became of messages."""

    waiting: Count
    oldest_s: Count = 0
    """seconds that the oldest of them has waited"""
    unheard: Count = 0
    """nobody had subscribed to them"""
    critical_unheard: Count = 0
    dead: Count = 0
    """the broker never takes them"""
    shed: Count = 0
    """given up, because too much waited"""
    digested: Count = 0
    """told together with others, in a digest"""


class Daemon(Shape):
    """The daemon itself."""

    host: str
    status: Literal["recovering", "ok", "degraded", "healing", "observe", "stopping", "stopped"]
    mode: Literal["heal", "observe"]
    version: str
    epoch: str
    started_at: Time
    problems: list[str]
    """what a person should know, one sentence each"""
    paused: dict[str, Pause]
    """`*` or a service -> why and until when"""
    engines: list[Engine]
    services: Services
    alerts: AlertCounts
    approvals: list[Question]
    silences: Count
    incidents: Count
    plans: list[int]
    rules: Rules
    broker: Broker
    outbox: Outbox
    counts: dict[str, int]
    rev: Count
    """the newest event about it: what a command's `if_rev` is compared with"""


class Alert(Shape):
    """An Alertmanager alert object, with what we know beside it."""

    status: Literal["pending", "firing"]
    labels: Labels
    annotations: Labels
    startsAt: Time
    endsAt: Time
    fingerprint: str
    value: Number
    severity: Severity
    rule: str
    """file:group:index"""
    origin: Literal["owner", "shipped", "outside"]
    held: bool
    """restored, and its input is not fresh yet"""
    silenced: str
    """the silence that keeps it from people"""
    unheard: bool
    """it is critical, and nobody had subscribed when it was told over MQTT"""


class Alerts(Shape):
    """The active alerts, the gravest first; `more` of them are left out."""

    alerts: list[Alert]
    more: Count


class Store(Shape):
    """Bytes; `used` is a share (0 to 1)."""

    total: Number | None
    available: Number | None
    used: float | None


class Lasts(Shape):
    """Seconds until it runs out, at the present rate; null while it does not."""

    ram: Number | None
    swap: Number | None


class Swap(Shape):
    """Bytes of swap."""

    declared: Number
    """what the machine is to have, by its configuration; 0 for no such wish"""
    total: Number
    free: Number


class NumaNode(Shape):
    node: Count
    total: Number
    free: Number


class Budget(Shape):
    """The memory of the machine, planned and left, in bytes. What moves all the time is rounded."""

    total: Number
    reserve: Number
    """kept for the system: no service may plan with it"""
    planned: Number
    """the plans of everything that runs, together; where there is none, what it uses"""
    headroom: Number
    """what may still be planned; below 0 where more is planned than there is"""
    available: Number
    effective: Number
    """of what is available: what is left once everything that runs has taken what its plan says"""
    lasts: Lasts
    at_risk: list[Literal["ram", "swap"]]
    """what is about to run out, for certain"""
    culprit: str
    """the service that takes it, above its plan; empty for none"""
    text: str
    """one sentence about it; empty where there is nothing to say"""
    swap: Swap
    nodes: list[NumaNode]
    """empty where there is one only"""


class Host(Shape):
    host: str
    memory: Store
    swap: Store
    budget: Budget | None
    """null until memory was read once"""


class Image(Shape):
    ref: str
    name: str
    running: str
    wanted: str
    """what its reference stands for"""
    proved: str
    drift: Literal["", "tag_moved", "unproved"]
    quarantined: list[str]


class Wanted(Shape):
    state: Literal["any", "running", "stopped"]
    by: str
    why: str


class Phoenix(Shape):
    """What works on it."""

    active: bool
    plan: int
    verb: str


class Share(Shape):
    """What one service takes of the memory, in bytes. What moves all the time is rounded."""

    plan: Number | None
    """what it is to need at most; null where nobody knows"""
    source: Literal["", "declared", "learned"]
    used: Number | None
    """in RAM and in swap, without page cache; null where it cannot be read"""
    resident: Number | None
    swap: Number
    limit: Number
    """of its container; 0 for none"""
    over: Number
    """above its plan"""
    left: Number
    """what it may still take by its plan"""
    growth: Number
    """bytes per second"""
    loading: bool
    culprit: bool
    """it takes the last memory, above its plan"""
    frozen: bool
    frozen_until: Time
    fuse: Number
    """from where on it is slowed down; 0 for nowhere"""
    fuse_until: Time
    nodes: dict[str, Number]
    """NUMA node -> what of it is there; empty where there is one only"""


class Container(Shape):
    """One service over all its containers."""

    service: str
    engine: str
    container: str
    container_id: str
    state: str
    """the engine's word, or `absent`"""
    health: str
    healthy: bool
    restart_policy: str
    restarts: Count
    memory: Number | None
    """bytes it uses"""
    budget: Share | None
    """null where nobody knows"""
    started_at: Time
    deaths: Count
    streak: Count
    exit: int | None
    exit_text: str
    last_death_at: Time
    trouble: str
    trouble_text: str
    image: Image
    wanted: Wanted
    owned: bool
    owned_why: str
    paused: str
    phoenix: Phoenix
    alerts: list[str]
    twins: list[str]
    blocker: str
    """why nothing would be done about it now"""
    project: str
    needs_first: list[str]
    shares: dict[str, str]
    boot: str
    profile: str
    """`safe` while it is run by its safe profile; empty else"""
    hint: str
    rev: Count
    """the newest event about it: what a command's `if_rev` is compared with"""


class Watermark(Shape):
    """Which events there are: a listener that comes late sees what it missed, and asks for it with `replay`."""

    machine: Node
    epoch: str
    oldest: Count
    """`seq` of the oldest event that can still be had; 0 for none"""
    last: Count
    """`seq` of the newest event"""
    at: Time
