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
    ImageRef,
    Lane,
    Looked,
    PlanEnded,
    Readings,
    Reloaded,
    Sample,
    StepAsked,
    StepEnded,
    Stopping,
    Sweep,
)
from supervisor.facts.metrics import Metric
from supervisor.facts.snapshots import (
    Alert,
    AlertChange,
    Decision,
    Incident,
    Intent,
    Needs,
    Plan,
    RuleHealth,
    Service,
    Snapshot,
    Step,
    Wanted,
)
from supervisor.facts.words import Json, Labels, labels

__all__ = [
    "Alert",
    "AlertChange",
    "BusState",
    "Command",
    "Container",
    "Decision",
    "EdgeState",
    "EngineEvent",
    "EngineState",
    "Fact",
    "Image",
    "ImageRef",
    "Incident",
    "Intent",
    "Json",
    "Labels",
    "Lane",
    "Looked",
    "Metric",
    "Needs",
    "Plan",
    "PlanEnded",
    "Readings",
    "Reloaded",
    "RuleHealth",
    "Sample",
    "Service",
    "Snapshot",
    "Step",
    "StepAsked",
    "StepEnded",
    "Stopping",
    "Sweep",
    "Wanted",
    "labels",
]
