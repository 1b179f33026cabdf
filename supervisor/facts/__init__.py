"""What can enter the core, and the frozen snapshots that travel.

A *fact* is something that happened: an engine event, a reading, an answer. It carries `at` (its source's wall time
in unix seconds, never later than its arrival) and `mono` (monotonic seconds of its arrival). Facts are plain data:
a run is a function of its facts, and a recorded run can be replayed.

A *snapshot* is how something stood at one instant. Snapshots are never changed; a new one takes their place.
"""

from supervisor.facts.containers import Container, Image
from supervisor.facts.happened import (
    BusState,
    Command,
    EdgeState,
    EngineEvent,
    EngineState,
    Fact,
    Gathered,
    ImageRef,
    Lane,
    Looked,
    OomSeen,
    Outside,
    OutsideAlert,
    PlanEnded,
    Readings,
    Reloaded,
    Sample,
    StepAsked,
    StepEnded,
    Stopping,
    Sweep,
)
from supervisor.facts.memory import (
    Exhaustion,
    GroupMemory,
    Hold,
    HostReading,
    MemoryBudget,
    MemorySource,
    ServiceMemory,
)
from supervisor.facts.metrics import Metric
from supervisor.facts.needs import Before, Benchmark, Needs
from supervisor.facts.plans import Approval, Decision, Intent, Plan, Rollout, Stage, Step
from supervisor.facts.snapshots import (
    Alert,
    AlertChange,
    Incident,
    RuleHealth,
    Service,
    Silence,
    Snapshot,
    Wanted,
)
from supervisor.facts.words import Json, Labels, labels

__all__ = [
    "Alert",
    "AlertChange",
    "Approval",
    "Before",
    "Benchmark",
    "BusState",
    "Command",
    "Container",
    "Decision",
    "EdgeState",
    "EngineEvent",
    "EngineState",
    "Exhaustion",
    "Fact",
    "Gathered",
    "GroupMemory",
    "Hold",
    "HostReading",
    "Image",
    "ImageRef",
    "Incident",
    "Intent",
    "Json",
    "Labels",
    "Lane",
    "Looked",
    "MemoryBudget",
    "MemorySource",
    "Metric",
    "Needs",
    "OomSeen",
    "Outside",
    "OutsideAlert",
    "Plan",
    "PlanEnded",
    "Readings",
    "Reloaded",
    "Rollout",
    "RuleHealth",
    "Sample",
    "Service",
    "ServiceMemory",
    "Silence",
    "Snapshot",
    "Stage",
    "Step",
    "StepAsked",
    "StepEnded",
    "Stopping",
    "Sweep",
    "Wanted",
    "labels",
]
