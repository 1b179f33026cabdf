"""`data` of the events `action.*`: what was done, refused, asked or answered. Written by core/admission.py,
core/approvals.py, core/rollouts.py and core/acks.py.
"""

from typing import Any, Literal

from pydantic import Field

from supervisor.bus.contract.shapes import Count, Shape, Time, Told, Why


class Wish(Told):
    """What somebody wants done, and why."""

    verb: str
    service: str
    """the service's id, `host`, or a compose project"""
    params: dict[str, str]
    by: str
    """`rule:NAME`, `playbook:NAME`, `uid:0`, `bus:phone`, `resurgam`"""
    cause: str
    incident: str
    rollout: Count = 0
    """the rollout it is a part of"""


class Planned(Wish):
    """A plan was admitted: it begins, or waits for its locks."""

    plan: int
    steps: list[str]
    limit: str = ""
    """why a step has another limit than usual"""
    reason: Why = ""
    """why it waits"""


class Refused(Wish):
    """A wish was refused, for a reason."""

    reason: Why
    plan: int


class Notified(Wish):
    """The verb `notify`: it is done by being told."""

    reason: Literal["verified"]


class StepTaken(Shape):
    step: str
    seconds: float


class Probed(Shape):
    """What a probe said during a watch."""

    kind: str
    ok: Count
    failed: Count
    last: str
    broken: str
    first_ok_after: float = 0.0
    """seconds"""


class Watched(Shape):
    """What was seen of a container while it had to show that it is well."""

    probe: Probed | None = None
    check: str = ""
    rate: float = 0.0
    """tokens per second"""


class Backup(Shape):
    """How the command before the change went."""

    exit_code: int
    seconds: float
    output: list[str]
    file: str = ""


class Failed(Shape):
    """What is known of a container that failed."""

    name: str
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    health: str = ""
    log: list[str] = Field(default_factory=list)
    inspect: str = ""
    """JSON, secrets blanked out, cut where it is long"""


class Freed(Shape):
    """What was promised for a container's memory, and what came of it. Bytes."""

    expected: float
    got: float
    used_before: float = 0.0
    usage_before: float = 0.0
    """with page cache"""
    used_after: float = 0.0
    usage_after: float = 0.0
    limit_before: float = 0.0


class Ended(Told):
    """A plan is over, with the proof."""

    plan: int
    verb: str
    service: str
    by: str
    cause: str
    incident: str
    reason: Why
    left: list[str]
    """containers that were left on purpose, by name"""
    rollout: Count = 0
    old_image: str = ""
    new_image: str = ""
    old_ref: str = ""
    new_ref: str = ""
    old_digest: str = ""
    new_digest: str = ""
    proof: str = ""
    """what showed that it is well"""
    seconds: float = 0.0
    downtime: float = 0.0
    """seconds the service was away"""
    load_seconds: float = 0.0
    steps: list[StepTaken] = Field(default_factory=list)
    probes: Watched | None = None
    back_probes: Watched | None = None
    backup: Backup | None = None
    failed: Failed | str | None = None
    old_log: list[str] = Field(default_factory=list)
    memory: Freed | None = None
    why: Why = ""


class Recovered(Told):
    """A plan that an earlier process left open is taken up again."""

    plan: int
    verb: str
    service: str
    rollout: Count = 0


class Acked(Told):
    """A person took an incident on."""

    incident: str
    service: str
    by: str
    reason: str


class Stage(Shape):
    """One plan of a rollout."""

    service: str
    verb: str
    params: dict[str, str] = Field(default_factory=dict)
    document: dict[str, Any] = Field(default_factory=dict, max_length=0)
    """always empty here: a compose service can hold secrets"""
    plan: int = 0
    outcome: str = ""


class Rollout(Told):
    """Several plans, one after the other, were begun or are over."""

    rollout: int
    verb: str
    target: str
    kind: Literal["project", "dependents", "boot", "gpu"]
    by: str
    cause: str
    incident: str
    stages: list[Stage]
    left: list[str]
    failed: list[str]
    counts: dict[str, int]
    state: Literal["planned", "verified", "failed"]
    reason: Why
    untouched: list[str] = Field(default_factory=list)


class Asked(Told):
    """Something waits for a person's word, or does not any more."""

    approval: str
    """`ap-3`: what `approve` and `deny` take"""
    verb: str
    service: str
    params: dict[str, str]
    by: str
    cause: str
    incident: str
    expires_at: Time
    plan: int = 0
    step: str = ""


class Answered(Asked):
    """The question was answered, or was taken back (then by nobody)."""

    answered_by: str
