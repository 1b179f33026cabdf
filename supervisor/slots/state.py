"""How a slot stands: what its models' servers say, what their containers do, who holds it. Pure.

From: declarations, the registry's services, the newest looks of the watch, what is kept. To: SlotState for the snapshot
and the guard. What was not looked at yet is taken from the container: one that does not run has nothing in memory.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from supervisor.facts import Bench, GateState, ModelState, Plan, ServerLook, Service, Slot, SlotModel, SlotState
from supervisor.facts.slots import ASLEEP, FAILED, LOADED, LOADING, UNKNOWN, UNLOADED
from supervisor.slots import address
from supervisor.slots.kept import Kept, keeps

FRESH = 90.0
"""seconds after which what a server said of a model says nothing about now"""
PIVOT = "pivot"
_SHOWN = {"create": "preflight", "dry_run": "preflight", "hold": "drain", "drain_old": "drain", "stop_old": "stop"}
_SHOWN |= {"move": "commit", "open": "commit", "tidy": "commit"}
_NOT_THERE = (UNLOADED, FAILED, ASLEEP)
_RAN = ("running", "paused", "restarting")


@dataclass(frozen=True, slots=True)
class Looked:
    """What a server said of a model, and when: `at` in unix seconds, `mono` on the monotonic clock."""

    look: ServerLook
    at: float
    mono: float
    since: float = 0.0
    """since when it is in this state"""
    used_at: float = 0.0

    def moved(self, seconds: float) -> "Looked":
        """The same after the wall clock jumped by so much."""
        used_at = self.used_at + seconds if self.used_at else 0.0
        return replace(self, at=self.at + seconds, since=self.since + seconds, used_at=used_at)


def outdated(looks: Mapping[str, Looked], names: Collection[str]) -> dict[str, Looked]:
    """The same after a plan put these models away, or brought them: what their servers said before counts no longer."""
    return {name: replace(one, mono=-math.inf) if name in names else one for name, one in looks.items()}


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything that is known of a slot at one instant."""

    slot: Slot
    kept: Kept
    now: float
    mono: float
    services: Mapping[str, Service] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    """what a model calls its service, where no service has that id -> the id of the one that is meant by it"""
    looks: Mapping[str, Looked] = field(default_factory=dict)
    """by model"""
    benches: Mapping[str, Bench] = field(default_factory=dict)
    no_go: Mapping[str, str] = field(default_factory=dict)
    gate: GateState | None = None
    plan: Plan | None = None
    """the open plan that is at work on it"""
    began: float = 0.0
    """unix seconds: when that plan had its locks"""


def state_of(seen: Sight) -> SlotState:
    """How the slot stands."""
    slot, kept, plan = seen.slot, seen.kept, seen.plan
    models = tuple(_model(seen, one) for one in slot.models)
    away = {one.name for one in models if one.state in _NOT_THERE}  # of whom nobody knows is not taken for away
    holder = "" if kept.holder in away else kept.holder
    first = slot.models[0].name
    service = _service_of(seen, slot.model(kept.holder))
    box = service.container if service is not None else None
    model = slot.model(kept.holder)
    reached = address.upstream(model, service.needs, box) if model is not None and service is not None else ""
    return SlotState(
        name=slot.name,
        address=address.shown(slot, model, box, reached),
        holder=holder,
        first=first,
        stand_in=kept.stand_in is not None and kept.holder == kept.stand_in.model,
        since=kept.since,
        phase=phase_of(plan) if plan is not None else "",
        plan=plan.id if plan is not None else 0,
        expected=_ends(seen),
        models=models,
        gate=seen.gate,
        probation=kept.probation,
        report=kept.report,
        problem=_problem(seen, holder),
    )


def phase_of(plan: Plan) -> str:
    """The phase that people are shown: of a step that was begun last; `pivot` on the way back."""
    last = next((name for name in reversed(plan.begun)), "")
    if any(step.back and step.name in plan.begun for step in plan.steps):
        return PIVOT
    return _SHOWN.get(last, last)


def _ends(seen: Sight) -> float:
    plan = seen.plan
    expected = float(plan.found.get("expected") or 0.0) if plan is not None else 0.0
    return (seen.began or plan.created_at) + expected if plan is not None and expected else 0.0


def _service_of(seen: Sight, model: SlotModel | None) -> Service | None:
    return seen.services.get(model.service) if model is not None and model.service else None


def _model(seen: Sight, model: SlotModel) -> ModelState:
    looked, kept = seen.looks.get(model.name), seen.kept
    state, text, since = _stands(seen, model, looked)
    fresh = looked is not None and seen.mono - looked.mono <= FRESH and state == looked.look.state
    look = looked.look if looked is not None and fresh else ServerLook(state, text)
    return ModelState(
        name=model.name,
        state=state,
        service=model.service,
        other=seen.others.get(model.service, ""),
        text=text,
        since=since,
        used_at=max(looked.used_at if looked is not None else 0.0, _asked_at(seen, model)),
        kept_until=keeps(kept, model.name, seen.now),
        in_flight=_in_flight(seen, model, look),
        memory=look.memory,
        vram=look.vram,
        no_go=seen.no_go.get(model.name, ""),
        bench=seen.benches.get(model.name),
    )


def _asked_at(seen: Sight, model: SlotModel) -> float:
    """When the gate had the last request for the one that holds the slot."""
    return seen.gate.last_at if seen.gate is not None and model.name == seen.kept.holder else 0.0


def _in_flight(seen: Sight, model: SlotModel, look: ServerLook) -> int | None:
    """By its server; else by the gate, whose counting is complete only where it is the one way in: that nobody knows.
    What is not in memory has none."""
    if look.state not in (LOADED, LOADING):
        return 0
    return look.in_flight


def _stands(seen: Sight, model: SlotModel, looked: Looked | None) -> tuple[str, str, float]:
    """(state, why, since)."""
    service = _service_of(seen, model)
    box = service.container if service is not None else None
    if model.service and (box is None or box.status not in _RAN):
        gone = _no_container(seen, model) if box is None else f"its container is {box.status}"
        return UNLOADED, gone, box.finished_at if box is not None else 0.0
    started = box.started_at if box is not None else 0.0
    # a start in time to come was before the clock was set back: nothing can be compared with it
    known = 0.0 if started > seen.now else started
    if looked is not None and seen.mono - looked.mono <= FRESH and looked.at >= known:
        return looked.look.state, looked.look.text, max(looked.since, known)
    if model.inside or model.sleep or box is None or service is None:
        return UNKNOWN, "its server was not asked yet", 0.0
    if not box.running:
        return LOADING, f"its container is {box.status}", started
    return (LOADED, "its container is well", started) if service.healthy else (LOADING, "it is not well yet", started)


def _no_container(seen: Sight, model: SlotModel) -> str:
    """Why a model has no container: most often its service was called by its container's name, not by its id."""
    other = seen.others.get(model.service, "")
    return f"its service is not {model.service}, but {other}" if other else "it has no container"


def misnamed(model: SlotModel, other: str) -> str:
    """What a person is to write instead."""
    where = f"`service: {other}` for the model {model.name}, and {other} under services:"
    return f"no service has the id {model.service}, the one of that name is {other}; in resurgam.yaml write {where}."


def _problem(seen: Sight, holder: str) -> str:
    """Why nobody holds it, or the stand-in does."""
    kept, slot = seen.kept, seen.slot
    first = slot.models[0].name
    if kept.stand_in is not None and holder == kept.stand_in.model:
        why = kept.stand_in.why.rstrip(".") or f"{first} cannot be brought back"
        return f"{holder} stands in for {first}: {why}. `resurgam swap {slot.name} --to {first}` tries it now."
    if holder or (seen.plan is not None and seen.plan.begun):
        return ""
    if not kept.holder:
        other = seen.others.get(slot.models[0].service)
        if other:
            return f"Nobody holds {slot.name}: {misnamed(slot.models[0], other)}"
        return f"Nobody holds {slot.name}; `resurgam swap {slot.name} --to {first}` puts its first choice there."
    service = _service_of(seen, slot.model(kept.holder))
    if service is not None and service.wanted.state == "stopped":
        by = service.wanted.by
        who = " by hand" if by == "person" else f" by {by}" if by else ""
        start = f"`resurgam start {service.id}`"
        return f"{kept.holder} was stopped on purpose{who}, so nobody stands in for it; {start} brings it back."
    state = next((one for one in seen.looks if one == kept.holder), "")
    text = seen.looks[state].look.text if state else "its container does not run"
    name = service.id if service is not None else kept.holder
    return f"{kept.holder} holds {slot.name} and is not there ({text}); see `resurgam explain {name}`."


def holder_seen(seen: Sight) -> str:
    """Who holds the slot where nothing of it was kept yet: the first of its models that is in memory; of those whose
    container merely runs, too. One that sleeps holds no slot that was emptied: it was put to sleep for that."""
    models = [_model(seen, one) for one in seen.slot.models]
    for wanted in ((LOADED,), (LOADING,), (ASLEEP,) if not seen.kept.since else ()):
        found = next((one.name for one in models if one.state in wanted), "")
        if found:
            return found
    return ""
