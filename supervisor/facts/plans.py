"""What is to be done: intents, decisions about them, plans with their steps, rollouts of several plans, approvals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.facts.needs import Needs
from supervisor.facts.words import Json
from supervisor.verdicts import Verdict


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
    approved: str = ""
    """who said yes to it; '' for nobody"""
    rollout: int = 0
    """the rollout it is a part of; 0 for none"""
    document: Json = field(default_factory=dict)
    """the compose service it is recreated from, resolved; empty: from what runs"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an intent, and why. Every one is kept and can be read."""

    at: float
    intent: Intent
    verdict: Verdict
    plan: int = 0
    rollout: int = 0
    """the rollout that was begun; `plan` is its first"""
    asked: str = ""
    """the question that was opened about it (`ap-3`)"""
    rev: int | None = None
    """the revision that a command's `if_rev` was compared with"""
    repeat: bool = False
    """it was decided before, and nothing was done anew"""


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
    needs: Needs = field(default_factory=Needs)
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
    approved: str = ""
    """who said yes to it; '' for nobody"""
    rollout: int = 0
    """the rollout it is a part of; 0 for none"""
    document: Json = field(default_factory=dict)
    """the compose service it is recreated from, resolved; empty: from what runs"""
    touches: tuple[str, ...] = ()
    """the ids of the services it works on, where `service` is none (a slot's swap works on two); see `services`"""

    @property
    def services(self) -> tuple[str, ...]:
        """The ids of all it works on."""
        return (self.service, *self.touches)

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
class Stage:
    """One plan of a rollout: what is to be done to one service, and what came of it."""

    service: str
    verb: str
    params: Mapping[str, str] = field(default_factory=dict)
    document: Json = field(default_factory=dict)
    plan: int = 0
    """the plan that does it; 0 before its turn"""
    outcome: str = ""
    """the Reason it ended with; '' before its end"""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Several plans, one after the other: a compose project in the order of its dependencies, a container and those
    that share its namespaces, the services that come back after a boot. Kept in the journal until it is over."""

    id: int
    verb: str
    target: str
    """what was asked for: a project, a service, or `boot`"""
    by: str
    cause: str
    created_at: float
    stages: tuple[Stage, ...]
    keep_going: bool = False
    """go on with the next stage though one failed (boot), rather than end there"""
    incident: str = ""
    key: str = ""
    override: str = ""
    approved: str = ""
    kind: str = "project"
    """project | dependents (a service, then those that share its namespaces) | boot"""
    left: tuple[str, ...] = ()
    """what is left alone, each with why: `box.db (not owned)`"""


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that waits for a person's word: an intent that is not a plan yet, or an open plan at a step."""

    id: str
    """`ap-3`"""
    intent: Intent
    text: str
    """what is asked, why, and what either answer does"""
    asked_at: float
    expires_at: float
    plan: int = 0
    """the open plan that waits; 0 where none was opened yet"""
    step: str = ""
    answer: str = ""
    """'' | approved | denied"""
    by: str = ""
    image: str = ""
    """the image id it would go to as it was asked, where that is known: a tag may move before the answer"""
