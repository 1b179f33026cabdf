"""What people are told of slots, as journal rows of the public kind `model.*`: they are the bus's events, too.

From: permitted and ended steps (admission.py), the ends of plans (slot_ends.py), what is done without being asked. To:
the turn's batch. The words of a body are the contract's (bus/contract/models.py).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from supervisor import units
from supervisor.facts import SLOT, Bench, Json, Plan, Probation, StepEnded
from supervisor.journal.codec import dump
from supervisor.slots import judge
from supervisor.slots.history import drift
from supervisor.slots.state import PIVOT, phase_of

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

_QUIET = ("bench",)
"""verbs whose phases are no news"""
PATIENCE = 60.0
"""seconds after the last word from which on a step that lasts is told of, too"""
WORDS = {
    "drain": "New requests wait; those in flight run to their end",
    "stop": "The model before is put away, and its memory is waited for",
    "start": "The model is started, and waited for until it answers",
    "bench": "It is measured, and asked its canaries",
    PIVOT: "It goes back to the model before",
}
"""the phases that are told one by one, with what happens in them; status and the series have every step"""
_PART_OF = {"freed": "stop", "ready": "start", "warmup": "bench", "canary": "bench"}


def phase(core: "Decider", plan: Plan, step: str, began: float) -> bool:
    """A step was permitted: where another phase begins with it, that is told, the first with what is to be done.
    Whether anything was."""
    if plan.verb in _QUIET:
        return False
    before = [name for name in plan.begun if name != step]
    if not before and not plan.recovered:
        _swap_began(core, plan, began)
    now, then = _told(phase_of(plan)), _told(phase_of(replace(plan, begun=tuple(before)))) if before else ""
    if now == then or now not in WORDS:
        return not before
    text = f"{WORDS[now]}."
    _tell(core, "model.phase", plan, phase=now, text=text, **_progress(core, plan, began))
    return True


def step_ended(core: "Decider", plan: Plan, fact: StepEnded, began: float) -> None:
    """A step that lasts has something to say."""
    if plan.verb in _QUIET or not fact.text:
        return
    said: Json = {"phase": phase_of(plan), "found": fact.text, "ok": fact.ok, "text": fact.text}
    _tell(core, "model.phase", plan, **said, **_progress(core, plan, began))


def _swap_began(core: "Decider", plan: Plan, began: float) -> None:
    leaves, comes = str(plan.found.get("from") or ""), str(plan.found.get("to") or "")
    moved = f"{leaves} -> {comes}" if leaves and comes else comes or leaves
    shape, why = str(plan.found.get("shape") or ""), str(plan.found.get("why_shape") or "")
    how = f", {shape}" + (f" ({why})" if why else "") if plan.verb == "swap" else ""
    lasts = float(plan.found.get("expected") or 0.0)
    takes = f"; about {units.show_duration(lasts)}" if lasts else ""
    text = f"{plan.verb} {plan.service.removeprefix(SLOT)}: {moved}{how}{takes}. {plan.cause}"
    more: Json = {"from": leaves, "shape": shape, "verb": plan.verb, "by": plan.by, "cause": plan.cause}
    more["expected"] = began + lasts if lasts else 0.0
    _tell(core, "model.swap_began", plan, text=text, **more)


def _told(phase: str) -> str:
    return _PART_OF.get(phase, phase)


def _progress(core: "Decider", plan: Plan, began: float) -> dict[str, Any]:
    lasts, spent = float(plan.found.get("expected") or 0.0), max(0.0, core.now - began)
    share = min(0.99, spent / lasts) if lasts else -1.0
    return {
        "seconds": round(spent, 1),
        "progress": round(share, 3),
        "expected": max(core.now, began + lasts) if lasts else 0.0,
    }


def swapped(core: "Decider", plan: Plan, data: Json, text: str, trial: Probation | None) -> None:
    """It ended with a verdict."""
    go = data.get("verdict") == "GO"
    report = data.get("report") if isinstance(data.get("report"), dict) else {}
    more: Json = {"from": str(plan.found.get("from") or ""), "holder": str(data.get("holder") or "")}
    more |= {"verdict": str(data.get("verdict") or ""), "report": report}
    more["probation"] = trial.until if trial is not None else 0.0
    _tell(core, "model.swapped" if go else "model.no_go", plan, text=text, **more)


def benchmark(core: "Decider", slot: str, one: Bench) -> None:
    """A model was measured."""
    share = drift(core.slots.history.of(slot, one.model)) or 0.0
    was = f", {share:.0%} of what it used to be" if share else ""
    failed = f"; {len(one.failed)} of {one.canaries} canaries failed" if one.failed else ""
    text = f"{one.model}: {judge.rate(one.rate)}" if one.rate else f"{one.model}: its canaries were asked"
    text += f", prompt {judge.rate(one.prompt_rate)}" if one.prompt_rate else ""
    text += f", {one.first_token * 1000:.0f} ms to the first token" if one.first_token else ""
    body: Json = {"slot": slot, "model": one.model, "plan": one.plan, "bench": dump(one)}
    core.row("model.benchmark", f"{SLOT}{slot}", body | {"drift": round(share, 4), "text": f"{text}{was}{failed}."})


def probation_over(core: "Decider", slot: str, trial: Probation) -> None:
    """The one before is let go."""
    text = f"{trial.model} has passed its probation; {trial.before} is not kept ready any more."
    core.row("model.probation_over", f"{SLOT}{slot}", _body(slot, trial.model, before=trial.before, text=text))


def sent_back(core: "Decider", slot: str, trial: Probation, why: str, plan: int) -> None:
    """It failed in probation, and the one before comes back."""
    text = f"NO-GO {trial.model} in probation: {why}. {trial.before} is brought back."
    body = _body(slot, trial.model, plan=plan, holder=trial.model, verdict="NO-GO", report={}, probation=0.0, text=text)
    core.row("model.no_go", f"{SLOT}{slot}", body | {"from": trial.before})


def stand_in(core: "Decider", slot: str, model: str, first: str, why: str, plan: int) -> None:
    """Another model holds the slot for the first choice."""
    text = f"{model} stands in for {first}: {why}"
    body = _body(slot, model, plan=plan, first=first, stand_in=model, why=why, text=text)
    core.row("model.stand_in", f"{SLOT}{slot}", body)


def handed_back(core: "Decider", slot: str, model: str, first: str, plan: int) -> None:
    """The first choice has its slot again."""
    text = f"{first} holds {slot} again; {model} stood in for it."
    body = _body(slot, first, plan=plan, first=first, stand_in=model, text=text)
    core.row("model.handed_back", f"{SLOT}{slot}", body)


def evicted(core: "Decider", slot: str, model: str, why: str, plan: int) -> None:
    """A model was put away by us."""
    text = f"{model} was put away: {why}"
    core.row("model.evicted", f"{SLOT}{slot}", _body(slot, model, plan=plan, why=why, text=text))


def _body(slot: str, model: str, **more: Any) -> Json:
    return {"slot": slot, "model": model, "plan": 0, **more}


def _tell(core: "Decider", kind: str, plan: Plan, **more: Any) -> None:
    model = str(plan.found.get("to") or plan.found.get("from") or "")
    core.row(kind, plan.service, _body(plan.service.removeprefix(SLOT), model, **{"plan": plan.id, **more}))
